"""One table of errors: what fails has the same code and details in Python, in a flow's reject data, and over HTTP."""

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from datastead.errors import AIError
from datastead.testing import Simulator
from tests.ai.conftest import opened
from tests.api.conftest import serving

from .conftest import Gateway, gateway_settings

LIE = {"type": "data", "data": "bm90IGEgcG5n", "mediaType": "image/png"}
SCHEMA = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
LONG = "a " * 480_000  # that much certainly does not fit, and a flow may still hold it
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("INVALID_API_KEY", {"kind": "bad-key"}, {}),
    ("RATE_LIMIT_EXCEEDED", {"kind": "rate-limit", "retry_after_s": 90}, {}),
    ("QUOTA_EXCEEDED", {"kind": "quota"}, {}),
    ("CONTEXT_LENGTH_EXCEEDED", {"kind": "context-length"}, {}),
    ("CONTEXT_LENGTH_EXCEEDED", {}, {"prompt": LONG}),
    ("MODEL_NOT_FOUND", {"kind": "model-not-found"}, {}),
    ("MODEL_NOT_FOUND", {}, {"model": "gpt-nothing"}),
    ("MODEL_NOT_ALLOWED", {}, {"model": "gemini-2.5-pro"}),
    ("CONTENT_FILTERED", {"kind": "content-filter"}, {}),
    ("INVALID_OUTPUT", {"text": "No."}, {"schema": SCHEMA}),
    ("PROVIDER_UNAVAILABLE", {"kind": "unavailable", "retry_after_s": 90}, {}),
    ("TIMEOUT", {"delay_s": 5}, {"timeout": 1}),
    ("BUDGET_EXCEEDED", {}, {"model": "gpt-4o-mini"}),
    ("UNPRICED_MODEL", {}, {"model": "unpriced"}),
    ("UNSUPPORTED_CAPABILITY", {}, {"model": "unpriced", "enableReasoning": True}),
    ("INVALID_REQUEST", {}, {"attachments": [LIE]}),
]
IN_PYTHON = {"timeout": "timeout_s", "enableReasoning": "enable_reasoning"}
OF_ONE_CALL = {"call", "attempts", "code", "waited_s", "left", "skipped", "request_id", "resets_at"}
"""Details that differ from call to call."""


@pytest.fixture(scope="module")
def house(running_simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A server with an allow-list, and budgets that nothing fits into."""
    folder: Path = tmp_path_factory.mktemp("codes")
    settings = gateway_settings(running_simulator, folder, ai_google_allowed_models=["gemini-2.5-flash"])
    with serving(settings) as port:
        gateway = Gateway(port, settings)
        for model in ("gpt-4o-mini", "unpriced"):
            budget = {"scope": "model", "scope_id": model, "limit": "0.000001 USD/month"}
            assert gateway.post("/ai/budgets", budget).status == 200
        yield gateway


@pytest.mark.parametrize(("code", "script", "options"), CASES, ids=lambda value: str(value)[:40])
def test_an_error_is_the_same_in_python_in_flows_and_over_http(
    house: Gateway, simulator: Simulator, code: str, script: dict[str, Any], options: dict[str, Any]
) -> None:
    simulator.default(script)
    asked = {"model": "claude-haiku-4-5", "prompt": "Hello", **options}
    python = asyncio.run(in_python(house, asked))
    (over_http,) = house.post("/ai/generate", asked).json["errors"]
    rejected = in_a_flow(house, asked)
    assert (python.code, over_http["extensions"]["code"], rejected["code"]) == (code, code, code)
    if code != "TIMEOUT":  # its message has how long was waited
        assert python.message == over_http["message"] == rejected["message"]
    assert shared(over_http["extensions"]) == shared(rejected["details"]) == shared(python.details)


def shared(details: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in details.items() if name not in OF_ONE_CALL and value is not None}


async def in_python(house: Gateway, asked: dict[str, Any]) -> AIError:
    given = {IN_PYTHON.get(name, name): value for name, value in asked.items()}
    async with opened(house.settings.database, house.settings) as opened_house:
        with pytest.raises(AIError) as caught:
            await opened_house.ai.generate(**given)
    return caught.value


def in_a_flow(house: Gateway, asked: dict[str, Any]) -> dict[str, Any]:
    """What the flow's reject path is given."""
    operations = [
        {"id": "ask", "operation": "ai-generate", "options": asked, "reject": "seen"},
        {"id": "seen", "operation": "transform", "options": {"json": "{{ $last }}"}},
    ]
    flow = {"name": "codes", "trigger": "webhook", "options": {"method": "GET", "return": "$last"}}
    applied = house.post("/flows/apply", {**flow, "operations": operations})
    assert applied.status == 200, applied.body
    found: dict[str, Any] = house.get(f"/flows/trigger/{applied.data['id']}").json
    return found
