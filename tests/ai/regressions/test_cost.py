"""The right cost: the bugs that peers had over what a call costs, one test each."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastead import Registry, Settings
from datastead.messages import Usage, UsageReport
from datastead.testing.simulator import Simulator
from tests.ai.conftest import House, opened

RATES = {"input": 1.00, "output": 2.00, "cache_read": 0.10, "cache_write": 1.25, "image_input": 8.00}
COMPATIBLE = Registry(("datastead.builtin",)).provider("openai-compatible").provider


def chat(usage: dict[str, Any]) -> dict[str, Any]:
    return {"choices": [{"message": {"role": "assistant", "content": "Yes."}, "finish_reason": "stop"}], "usage": usage}


def message(usage: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "content": [{"type": "text", "text": "Yes."}], "stop_reason": "end_turn", "usage": usage}


def generated(usage: dict[str, Any]) -> dict[str, Any]:
    return {
        "candidates": [{"content": {"parts": [{"text": "Yes."}]}, "finishReason": "STOP"}],
        "usageMetadata": usage,
    }


async def row_of(house: House, simulator: Simulator, body: dict[str, Any], model: str) -> dict[str, Any]:
    simulator.script({"kind": "body", "body": body})
    await house.ai.generate("Is it so?", model=model)
    return await house.row()


@pytest.fixture
def priced(settings: Callable[..., Settings]) -> Settings:
    return settings(ai_openai_compatible_models=[{"id": "local", "cost": RATES}])


async def test_cached_tokens_of_openai_are_billed_once(
    sqlite_url: str, priced: Settings, simulator: Simulator
) -> None:  # LiteLLM 14849: 0.764 USD in place of 0.185
    usage = {"prompt_tokens": 700_000, "completion_tokens": 100, "prompt_tokens_details": {"cached_tokens": 600_000}}
    async with opened(sqlite_url, priced) as house:
        row = await row_of(house, simulator, chat(usage), "local")
    assert row["cost_nano_usd"] == 100_000 * 1000 + 600_000 * 100 + 100 * 2000


async def test_cached_tokens_of_anthropic_are_not_part_of_its_input(
    house: House, simulator: Simulator
) -> None:  # LiteLLM 9812, 6215, 11364
    usage = {"input_tokens": 21, "cache_read_input_tokens": 188_086, "output_tokens": 393}
    row = await row_of(house, simulator, message(usage), "claude-haiku-4-5")
    assert (row["input_tokens"], row["cache_read_tokens"]) == (21, 188_086)
    assert row["cost_nano_usd"] == 21 * 1000 + 188_086 * 100 + 393 * 5000


async def test_reading_from_the_cache_is_not_billed_as_writing_to_it(
    house: House, simulator: Simulator
) -> None:  # Aider 5516 and 5518: 10.9 times too much
    usage = {"input_tokens": 4, "cache_creation_input_tokens": 1000, "cache_read_input_tokens": 90_000}
    row = await row_of(house, simulator, message({**usage, "output_tokens": 10}), "claude-haiku-4-5")
    assert row["cost_nano_usd"] == 4 * 1000 + 1000 * 1250 + 90_000 * 100 + 10 * 5000


async def test_a_cached_image_is_billed_once(
    sqlite_url: str, priced: Settings, simulator: Simulator
) -> None:  # LiteLLM 37407: 72 percent too much
    details = {"cached_tokens": 900, "image_tokens": 700, "text_tokens": 300}
    usage = {"prompt_tokens": 1000, "completion_tokens": 20, "prompt_tokens_details": details}
    async with opened(sqlite_url, priced) as house:
        row = await row_of(house, simulator, chat(usage), "local")
    assert row["cost_nano_usd"] == 900 * 100 + 100 * 8000 + 20 * 2000


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (
            "local",
            chat({"prompt_tokens": 1000, "completion_tokens": 50, "prompt_tokens_details": {"cached_tokens": 400}}),
        ),
        ("claude-haiku-4-5", message({"input_tokens": 600, "cache_read_input_tokens": 400, "output_tokens": 50})),
        (
            "gemini-2.5-flash",
            generated(
                {
                    "promptTokenCount": 1000,
                    "cachedContentTokenCount": 400,
                    "candidatesTokenCount": 20,
                    "thoughtsTokenCount": 30,
                }
            ),
        ),
    ],
)
async def test_what_the_prompt_includes_is_each_wires_own_affair(
    house: House, simulator: Simulator, model: str, body: dict[str, Any]
) -> None:  # LiteLLM 15945: what `prompt_tokens` includes was documented wrongly
    row = await row_of(house, simulator, body, model)
    assert (row["input_tokens"], row["cache_read_tokens"], row["output_tokens"]) == (600, 400, 50)


async def test_the_providers_own_usage_is_kept_beside_the_parts(house: House, simulator: Simulator) -> None:
    usage = {"input_tokens": 21, "output_tokens": 5, "server_tool_use": {"web_search_requests": 1}, "speed": "fast"}
    row = await row_of(house, simulator, message(usage), "claude-haiku-4-5")
    assert row["raw_usage"] == usage


@pytest.mark.parametrize("stream", [False, True])
async def test_the_endpoints_own_cost_goes_before_our_price(
    sqlite_url: str, priced: Settings, simulator: Simulator, stream: bool
) -> None:  # what a gateway charges is not what the model's list price says
    usage = {"prompt_tokens": 194, "completion_tokens": 62, "cost": 0.00151, "is_byok": False}
    whole = chat(usage)
    end = {"choices": [{"delta": {"content": "Yes."}, "finish_reason": "stop"}], "usage": usage}
    simulator.script({"kind": "body", "body": f"data: {json.dumps(end)}\n\ndata: [DONE]\n\n" if stream else whole})
    async with opened(sqlite_url, priced) as house:
        asked = {"prompt": "Is it so?", "model": "local"}
        result = await (house.ai.generate_stream(**asked).collect() if stream else house.ai.generate(**asked))
        row = await house.row()
    assert (result.cost_nano_usd, row["cost_nano_usd"], row["cost_source"]) == (1_510_000, 1_510_000, "provider")


async def test_a_cost_of_zero_is_a_cost(sqlite_url: str, priced: Settings, simulator: Simulator) -> None:
    usage = {"prompt_tokens": 194, "completion_tokens": 62, "cost": 0}
    async with opened(sqlite_url, priced) as house:
        row = await row_of(house, simulator, chat(usage), "local")
    assert (row["cost_nano_usd"], row["cost_source"]) == (0, "provider")


COUNT = st.integers(0, 1_000_000)


@given(prompt=COUNT, answer=COUNT, parts=st.tuples(COUNT, COUNT, COUNT, COUNT), reasoning=COUNT)
def test_the_parts_are_disjoint_and_their_sum_is_the_total(
    prompt: int, answer: int, parts: tuple[int, int, int, int], reasoning: int
) -> None:
    cached, written, audio, images = (min(part, prompt // 2) for part in parts)
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt + answer,
        "prompt_tokens_details": {
            "cached_tokens": cached,
            "cache_write_tokens": min(written, prompt - cached),
            "audio_tokens": audio,
            "image_tokens": images,
        },
        "completion_tokens_details": {"reasoning_tokens": min(reasoning, answer)},
    }
    (found,) = [event.usage for event in COMPATIBLE.response(chat(usage)) if isinstance(event, UsageReport)]
    assert found.total == prompt + answer
    assert (
        min(getattr(found, name) for name in Usage.__dataclass_fields__ if isinstance(getattr(found, name), int)) >= 0
    )
    assert found.reasoning <= found.output
