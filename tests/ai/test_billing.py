"""The billing corpus: answers as vendors document them, sent over HTTP, and the bill that was worked out by hand.

`billing/*.json`, a file a wire format, a case each: `price` in USD per million tokens, `answer` (JSON) or `stream` (the
`data` of each event; text is a line as it is), `usage` in our parts, `arithmetic` and `cost_nano_usd`, and how the
ledger's row ends. What is estimated is given as `[least, most]`. `cut`: the connection ends there. `leave`: the caller
goes after the first piece. `whole`: a JSON answer to a request for a stream.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from datastead import AI, Settings
from datastead.errors import AIError
from datastead.messages import Usage
from datastead.testing.simulator import Simulator
from tests.ai.conftest import House, opened

CORPUS = Path(__file__).parent / "billing"
FILES = sorted(file.stem for file in CORPUS.glob("*.json"))
PROMPT = "When does the harbour open?"
PARTS = (
    "input", "output", "cache_read", "cache_write", "cache_write_1h", "audio_input", "audio_output", "image_input",
    "image_output", "reasoning",
)  # fmt: skip
Case = Mapping[str, Any]


def cases(file: str) -> list[Case]:
    found: list[Case] = json.loads((CORPUS / f"{file}.json").read_text())
    return found


class Catalogue:
    """Settings in which each price of some cases belongs to a model of its own, so that one `AI` answers them all."""

    def __init__(self, found: list[Case]) -> None:
        prices = [json.dumps([case["wire"], case["model"], case.get("price")]) for case in found]
        self._numbers = {price: number for number, price in enumerate(dict.fromkeys(prices))}
        self._models = {self.model(case): case for case in found}

    def model(self, case: Case) -> str:
        number = self._numbers[json.dumps([case["wire"], case["model"], case.get("price")])]
        return f"{case['model']}-billed-{number}"

    def settings(self) -> dict[str, Any]:
        allowed = {
            f"ai_{wire}_allowed_models": [name for name, case in self._models.items() if case["wire"] == wire]
            for wire in ("openai", "anthropic", "google")
        }
        vendors = {name: case for name, case in self._models.items() if case["wire"] != "openai-compatible"}
        prices = [{"provider": case["wire"], "model": name, **case["price"]} for name, case in vendors.items()]
        custom = [_custom(name, case) for name, case in self._models.items() if name not in vendors]
        return {"ai_prices": prices, **allowed} | ({"ai_openai_compatible_models": custom} if custom else {})


def _custom(name: str, case: Case) -> dict[str, Any]:
    return {"id": name} | ({} if case.get("price") is None else {"cost": case["price"]})


def script_for(case: Case) -> dict[str, Any]:
    """What tells the simulator to answer as the case has it."""
    if "stream" not in case:
        return {"kind": "body", "body": case.get("whole", case.get("answer")), "status": case.get("status", 200)}
    lines = [line if isinstance(line, str) else f"data: {json.dumps(line)}" for line in case["stream"]]
    kind = "cut" if case.get("cut") else "body"
    return {"kind": kind, "body": "\n\n".join(lines) + "\n\n", "chunk_delay_s": 0.02 if case.get("leave") else 0}


@dataclass(frozen=True)
class Ending:
    """What came of a case: the error, or the usage of the result; and the ledger's rows."""

    error: AIError | None
    usage: Usage | None
    rows: list[dict[str, Any]]


def purpose_of(case: Case) -> str:
    """By this the case's row is found; names are longer than a purpose may be."""
    return sha256(case["name"].encode()).hexdigest()


async def ask(ai: AI, case: Case, model: str) -> Usage | None:
    options = {"model": model, "provider": case["wire"], "purpose": purpose_of(case), **case.get("call", {})}
    if "stream" not in case and "whole" not in case:
        return (await ai.generate(PROMPT, **options)).usage
    async with ai.generate_stream(PROMPT, **options) as stream:
        async for event in stream:
            if event.content and case.get("leave"):
                return None
        return stream.result.usage


async def ending_of(house: House, case: Case, model: str, simulator: Simulator) -> Ending:
    simulator.reset()
    simulator.script(script_for(case))
    error, usage = None, None
    try:
        usage = await ask(house.ai, case, model)
    except AIError as raised:
        error = raised
    return Ending(error, usage, await house.rows(purpose=purpose_of(case)))


def differences(case: Case, ending: Ending) -> list[str]:
    """Where a case ended otherwise than it should."""
    if len(ending.rows) != 1:
        return [f"{case['name']}: {len(ending.rows)} rows, {ending.error!r}"]
    (row,) = ending.rows
    expected = {f"{part}_tokens": case["usage"].get(part, 0) for part in PARTS} | {
        "service_tier": case["usage"].get("tier"),
        "cost_nano_usd": case["cost_nano_usd"],
        "cost_source": case.get("cost_source", row["cost_source"]),
        "state": case["state"],
        "usage_source": case["usage_source"],
        "error_code": case.get("error_code"),
        "price_state": case.get("price_state", "known"),
        "finish_reason": case.get("finish_reason", row["finish_reason"]),
    }
    wrong = [
        f"{name} is {row[name]!r}, not {value!r}" for name, value in expected.items() if not fits(row[name], value)
    ]
    if ending.usage is not None and ending.usage.cost_nano_usd != case["usage"].get("cost_nano_usd"):
        wrong.append(f"the provider's cost is {ending.usage.cost_nano_usd!r}")
    if ending.usage is not None and ending.usage.cache_read_audio != case["usage"].get("cache_read_audio", 0):
        wrong.append(f"of what was cached, {ending.usage.cache_read_audio} tokens are sound")
    if case["usage_source"] == "provider" and not row["raw_usage"]:
        wrong.append("the provider's own usage object is not kept")
    return [f"{case['name']}: {each}" for each in wrong]


def fits(found: Any, expected: Any) -> bool:
    if isinstance(expected, list):
        return found is not None and expected[0] <= found <= expected[1]
    return bool(found == expected)


@pytest.mark.parametrize("file", FILES)
async def test_every_case_of_the_corpus_ends_in_its_bill(
    sqlite_url: str, settings: Callable[..., Settings], simulator: Simulator, file: str
) -> None:
    found = cases(file)
    catalogue, wrong = Catalogue(found), []
    async with opened(sqlite_url, settings(**catalogue.settings())) as house:
        for case in found:
            wrong += differences(case, await ending_of(house, case, catalogue.model(case), simulator))
    assert wrong == []


@pytest.mark.parametrize("file", FILES)
def test_the_arithmetic_of_each_case_comes_to_its_bill(file: str) -> None:
    summed = [
        case for case in cases(file) if "*" in case.get("arithmetic", "") and isinstance(case["cost_nano_usd"], int)
    ]
    wrong = [
        case["name"] for case in summed if "=" not in case["arithmetic"] and worked_out(case) != case["cost_nano_usd"]
    ]
    assert wrong == []
    assert len(summed) > 15


def worked_out(case: Case) -> int:
    """Tokens times USD per million, in nano-USD."""
    products = (term.split("*") for term in case["arithmetic"].split("+"))
    total = sum((Decimal(tokens.strip()) * Decimal(rate.strip()) for tokens, rate in products), Decimal(0))
    return int((total * 1000).to_integral_value(ROUND_CEILING))


def test_the_corpus_is_large_and_every_case_says_where_it_is_from() -> None:
    every = [case for file in FILES for case in cases(file)]
    assert len(every) >= 60
    assert len({case["name"] + case["wire"] for case in every}) == len(every)
    assert all(case["source"].startswith("https://") for case in every)
