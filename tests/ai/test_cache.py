"""The response cache: what is answered again, what it cost, and what is never kept."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from datastead import Settings
from datastead.ai.structure import in_words
from datastead.context import system_clock
from datastead.data import system
from datastead.errors import AIError, InvalidOutput
from datastead.messages import ToolDefinition
from datastead.testing.simulator import Simulator
from tests.ai.conftest import WIRES, House, opened

USAGE = {"input": 1000, "output": 10}
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = ToolDefinition("weather", "The weather.", {"type": "object", "properties": {}})


class Watch:
    """A clock that can be put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return system_clock() + self.ahead


async def ask(house: House, prompt: str = "Hello", *, stream: bool = False, **options: Any) -> Any:
    given = {"model": "claude-haiku-4-5", "cache": True, **options}
    return await (house.ai.generate_stream(prompt, **given).collect() if stream else house.ai.generate(prompt, **given))


async def kept(house: House) -> int:
    query = sa.select(sa.func.count()).select_from(system.ai_cache)
    return await house.database.read(lambda transaction: transaction.execute(query).scalar_one())


async def test_the_same_call_is_answered_again_and_costs_nothing(any_house: House, simulator: Simulator) -> None:
    simulator.script({"text": "Good day.", "usage": USAGE})
    first, second = await ask(any_house), await ask(any_house)
    paid, free = await any_house.rows()
    assert len(simulator.requests) == 1
    assert (first.cached, second.cached, second.content) == (False, True, "Good day.")
    assert (second.cost_nano_usd, second.saved_nano_usd) == (0, first.cost_nano_usd)
    assert (float(second.saved), second.usage) == (0.00105, first.usage)
    assert (free["state"], free["cost_nano_usd"], free["saved_nano_usd"]) == ("cached", 0, paid["cost_nano_usd"])
    assert (free["id"], free["input_tokens"], free["held_nano_usd"]) == (second.call, 0, 0)
    assert [tuple(made) for made in second.attempts] == [("anthropic", "claude-haiku-4-5", None, second.call)]


@pytest.mark.parametrize("wire", WIRES)
async def test_a_stream_is_replayed_as_events_and_shares_what_whole_answers_keep(
    house: House, simulator: Simulator, wire: str
) -> None:
    simulator.script({"text": "Good day.", "chunks": 3})
    options: dict[str, Any] = {"model": WIRES[wire], "provider": wire, "cache": True}
    first = [event async for event in house.ai.generate_stream("Hello", **options)]
    again = [event async for event in house.ai.generate_stream("Hello", **options)]
    whole = await house.ai.generate("Hello", **options)
    assert len(simulator.requests) == 1
    assert "".join(event.content for event in again) == "".join(event.content for event in first) == "Good day."
    assert [event.type for event in again] == ["started", "text", "usage", "finished"]
    assert whole.cached


async def test_a_tool_call_is_kept_whole(house: House, simulator: Simulator) -> None:
    simulator.script({"tool": "weather", "arguments": {"city": "Oslo"}})
    first, second = [await ask(house, tools=[TOOL]) for _ in range(2)]
    assert second.cached
    assert second.tool_calls == first.tool_calls != ()


async def test_a_call_that_does_not_ask_for_it_neither_keeps_nor_is_answered(
    house: House, simulator: Simulator
) -> None:
    await ask(house, cache=None)
    await ask(house)
    await ask(house, cache=False)
    assert len(simulator.requests) == 3


@pytest.mark.parametrize(("cache", "lasts_s"), [(60, 60), ({"ttl": 5}, 5), (True, 3600)])
async def test_an_answer_is_kept_for_its_time_and_cleaned_up_after(
    database_url: str, settings: Callable[..., Settings], simulator: Simulator, cache: Any, lasts_s: int
) -> None:
    watch = Watch()
    async with opened(database_url, settings(), clock=watch) as house:
        await ask(house, cache=cache)
        watch.ahead += timedelta(seconds=lasts_s - 2)
        assert (await ask(house, cache=cache)).cached
        watch.ahead += timedelta(seconds=3)
        assert not (await ask(house, cache=cache)).cached
        watch.ahead += timedelta(seconds=7200)
        await ask(house, "Another one", cache=cache)
        assert await kept(house) == 1


@pytest.mark.parametrize(
    "behaviour", [{"kind": "content-filter", "text": ""}, {"kind": "bad-key"}, {"kind": "malformed", "times": 3}]
)
async def test_errors_are_not_kept(house: House, simulator: Simulator, behaviour: dict[str, Any]) -> None:
    simulator.script(behaviour)
    with pytest.raises(AIError):
        await ask(house)
    assert await kept(house) == 0


async def test_answers_that_are_cut_or_filtered_are_not_kept(house: House, simulator: Simulator) -> None:
    part = {"role": "assistant", "content": "A part"}
    filtered = {"choices": [{"index": 0, "message": part, "finish_reason": "content_filter"}]}
    simulator.script([{"text": "a b c d e f"}, {"kind": "body", "body": filtered}])
    assert (await ask(house, max_tokens=1)).finish_reason == "length"
    assert (await ask(house, model="local")).finish_reason == "content-filter"
    assert await kept(house) == 0


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "local"])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_does_not_fit_its_schema_is_not_kept(
    house: House, simulator: Simulator, model: str, stream: bool
) -> None:
    simulator.script([{"text": '{"city": 1}', "times": 2}, {"text": '{"city": "Oslo"}', "times": 2}])
    with pytest.raises(InvalidOutput):
        await ask(house, model=model, stream=stream, schema=CITY)
    assert await kept(house) == 0
    first, second = [await ask(house, model=model, stream=stream, schema=CITY) for _ in range(2)]
    assert (first.cached, first.repaired, second.cached, second.object) == (False, None, True, {"city": "Oslo"})


async def test_what_others_were_content_with_is_not_given_to_who_wants_it_to_fit(
    sqlite_url: str, settings: Callable[..., Settings], simulator: Simulator
) -> None:
    """A schema in words is text like any other."""
    words_only = settings(ai_openai_compatible_models=[{"id": "local", "schema": False}])
    simulator.script([{"text": "Oslo"}, {"text": '{"city": "Oslo"}'}])
    async with opened(sqlite_url, words_only) as house:
        await ask(house, model="local", system=in_words(CITY, None))
        result = await ask(house, model="local", schema=CITY)
    assert (result.object, result.cached, result.repaired) == ({"city": "Oslo"}, False, None)


async def test_a_stream_that_is_left_early_keeps_nothing(house: House, simulator: Simulator) -> None:
    simulator.script({"text": "a b c d", "chunks": 4, "chunk_delay_s": 0.05})
    async with house.ai.generate_stream("Hello", model="gpt-4.1", cache=True) as stream:
        async for event in stream:
            if event.content:
                break
    assert await kept(house) == 0


async def test_a_hit_needs_no_budget(any_house: House, simulator: Simulator) -> None:
    await ask(any_house, max_tokens=10)
    await any_house.budget(limit_nano_usd=1)
    await any_house.budget(limit_tokens=1)
    assert (await ask(any_house, max_tokens=10)).cached
    with pytest.raises(AIError) as caught:
        await ask(any_house, "Something else", max_tokens=10)
    assert caught.value.code == "BUDGET_EXCEEDED"


async def test_a_hit_under_a_key_is_the_keys_answer(any_house: House, simulator: Simulator) -> None:
    await ask(any_house)
    first, second = [await ask(any_house, key="step") for _ in range(2)]
    assert (first.cached, second.cached, second.call) == (True, True, first.call)
    assert [row["state"] for row in await any_house.rows()] == ["settled", "cached"]


async def test_what_a_fallback_answered_is_found_behind_the_model_that_failed(
    house: House, simulator: Simulator
) -> None:
    simulator.script({"model": "gpt-4.1", "kind": "quota", "times": 0})
    await ask(house, model="gpt-4.1", fallbacks=["claude-haiku-4-5"])
    result = await ask(house, model="gpt-4.1", fallbacks=["claude-haiku-4-5"])
    assert result.cached
    assert [(made.provider, made.code) for made in result.attempts] == [
        ("openai", "QUOTA_EXCEEDED"), ("anthropic", None),
    ]  # fmt: skip


async def test_another_process_is_answered_too(
    database_url: str, settings: Callable[..., Settings], simulator: Simulator
) -> None:
    async with opened(database_url, settings()) as one, opened(database_url, settings()) as other:
        await ask(one)
        assert (await ask(other)).cached


async def test_it_works_without_a_database(settings: Callable[..., Settings], simulator: Simulator) -> None:
    from datastead import AI
    from tests.ai.conftest import REGISTRY

    async with AI(settings(), registry=REGISTRY) as ai:
        results = [await ai.generate("Hello", model="gpt-4.1", cache=True) for _ in range(2)]
    assert [result.cached for result in results] == [False, True]
