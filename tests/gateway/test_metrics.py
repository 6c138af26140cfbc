"""`/metrics`: who may read it, and that it counts what the ledger has."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from datastead.ai.metrics import MOST_MODELS
from datastead.testing import Simulator
from tests.api.conftest import serving

from .conftest import Gateway, gateway_settings

ANY = {"id": "any", "cost": {"input": 1, "output": 2}}


@pytest.fixture
def watched(simulator: Simulator, tmp_path: Path) -> Iterator[Gateway]:
    """A server of its own, so that nothing else is counted."""
    settings = gateway_settings(
        simulator,
        tmp_path,
        metrics_enabled=True,
        metrics_tokens=["scrape-me"],
        ai_openai_compatible_models=[],
    )
    with serving(settings) as port:
        yield Gateway(port, settings)


def _samples(gateway: Gateway) -> dict[str, float]:
    answer = gateway.get("/metrics", None, Authorization="Metrics scrape-me")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    lines = [line.rpartition(" ") for line in answer.body.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_metrics_count_calls_tokens_cost_and_time_as_the_ledger_has_them(
    watched: Gateway, simulator: Simulator
) -> None:
    simulator.script({"text": "one two", "usage": {"input": 100, "output": 50, "cache_read": 30}})
    watched.post("/ai/generate", {"model": "gpt-4.1", "prompt": "Hi", "stream": True})
    simulator.script([{"kind": "context-length"}])
    watched.post("/ai/generate", {"model": "claude-haiku-4-5", "prompt": "Hi"})
    found, (paid, failed) = _samples(watched), watched.rows()
    of_paid = 'model="gpt-4.1",provider="openai"'
    assert found[f'datastead_ai_calls_total{{code="",{of_paid},state="settled"}}'] == 1
    code = f'code="{failed["error_code"]}",model="claude-haiku-4-5",provider="anthropic",state="failed"'
    assert found[f"datastead_ai_calls_total{{{code}}}"] == 1
    assert found['datastead_ai_tokens_total{model="gpt-4.1",part="cache_read",provider="openai"}'] == 30
    assert found[f"datastead_ai_cost_usd_total{{{of_paid}}}"] == pytest.approx(paid["cost_nano_usd"] / 1e9)
    assert found[f"datastead_ai_duration_seconds_count{{{of_paid}}}"] == 1
    assert found[f"datastead_ai_time_to_first_token_seconds_count{{{of_paid}}}"] == 1
    assert found["datastead_ai_holds_open"] == 0
    assert found["process_resident_memory_bytes"] > 0


def test_metrics_count_what_was_reused_and_refused(watched: Gateway) -> None:
    asked = {"model": "gpt-4.1", "prompt": "Hi", "key": "once", "maxTokens": 50}
    for _ in range(3):
        watched.post("/ai/generate", asked)
    watched.budget(limit_nano_usd=1)
    assert watched.post("/ai/generate", {**asked, "key": "twice"}).code == "BUDGET_EXCEEDED"
    found = _samples(watched)
    assert found['datastead_ai_reused_total{model="gpt-4.1",provider="openai"}'] == 2
    assert found['datastead_ai_refused_total{code="BUDGET_EXCEEDED"}'] == 1


def test_names_that_callers_make_up_do_not_make_labels_without_end(watched: Gateway) -> None:
    for number in range(MOST_MODELS + 5):
        watched.post("/ai/generate", {"model": f"made-up-{number}", "provider": "openai-compatible", "prompt": "Hi"})
    names = [name for name in _samples(watched) if name.startswith("datastead_ai_calls_total")]
    assert len(names) == MOST_MODELS + 1
    assert any('model="other"' in name for name in names)


def test_metrics_are_for_administrators_and_for_those_who_have_a_token(watched: Gateway) -> None:
    assert watched.get("/metrics").status == 200
    assert watched.get("/metrics", None, Authorization="Bearer scrape-me").status == 200
    assert watched.get("/metrics", None).code == "FORBIDDEN"
    assert watched.get("/metrics", None, Authorization="Metrics other").code == "FORBIDDEN"
    assert watched.get("/metrics", "no-such-token").status == 401


def test_metrics_are_off_unless_they_are_switched_on(gateway: Gateway) -> None:
    assert gateway.get("/metrics").code == "ROUTE_NOT_FOUND"
