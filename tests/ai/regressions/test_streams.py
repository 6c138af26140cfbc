"""The stopped stream is billed for what came, no more and no less; and whoever leaves, leaves nothing held.

Peers: LiteLLM 14457, 13245, 35958, 33736, 36008, 37558, 37734, 39893 (unbilled); 37992 (an explicit zero replaced).
"""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from datastead import Settings
from datastead.errors import ProviderTimeout
from datastead.testing.simulator import Simulator
from tests.ai.conftest import WIRES, House, opened

LONG = {"text": "word " * 400, "chunks": 400, "chunk_delay_s": 0.02}


async def first_words(house: House, wire: str, count: int = 3, **options: Any) -> str:
    """What somebody has read who then leaves."""
    read: list[str] = []
    async with house.ai.generate_stream("Hello", model=WIRES[wire], provider=wire, **options) as stream:
        async for event in stream:
            read.append(event.content)
            if len("".join(read).split()) >= count:
                break
    return "".join(read)


@pytest.mark.parametrize("wire", WIRES)
async def test_a_stopped_stream_is_billed_for_what_came_and_stops_the_provider(
    any_house: House, simulator: Simulator, wire: str
) -> None:
    simulator.script(LONG)
    read = await first_words(any_house, wire)
    row = await any_house.row()
    assert (row["state"], row["error_code"], row["usage_source"]) == ("settled", "CANCELLED", "estimated")
    assert 0 < len(read) / 5 <= row["output_tokens"] < 400
    assert 0 < row["cost_nano_usd"] < row["held_nano_usd"]
    await until(lambda: simulator.requests[-1]["disconnected"])


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_explicit_zero_is_a_value_and_not_missing(
    house: House, simulator: Simulator, wire: str, stream: bool
) -> None:
    simulator.script({"text": "Hello there.", "usage": {"input": 0, "output": 0}})
    options: dict[str, Any] = {"model": WIRES[wire], "provider": wire}
    if stream:
        await house.ai.generate_stream("Hello", **options).collect()
    else:
        await house.ai.generate("Hello", **options)
    row = await house.row()
    assert (row["input_tokens"], row["output_tokens"], row["cost_nano_usd"]) == (0, 0, 0)
    assert row["usage_source"] == "provider"


@pytest.mark.parametrize("wire", ["openai-compatible"])
async def test_a_stream_without_usage_is_estimated_and_not_free(house: House, simulator: Simulator, wire: str) -> None:
    simulator.script({"text": "one two three four", "usage": False})
    await house.ai.generate_stream("Hello", model=WIRES[wire], provider=wire).collect()
    row = await house.row()
    assert (row["usage_source"], row["state"]) == ("estimated", "settled")
    assert row["cost_nano_usd"] > 0


@pytest.mark.parametrize("stream", [False, True])
async def test_who_leaves_between_two_attempts_leaves_nothing_held_and_nothing_is_sent(
    house: House, simulator: Simulator, stream: bool
) -> None:
    simulator.script({"kind": "rate-limit", "retry_after_s": 20, "times": 0})
    task = asyncio.create_task(asking(house, stream=stream))
    async with asyncio.timeout(10):
        while not await house.rows(state="failed"):  # noqa: ASYNC110  another task writes it
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [row["state"] for row in await house.rows()] == ["failed"]
    assert len(simulator.requests) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_who_leaves_while_the_ledger_is_asked_leaves_nothing_held_and_nothing_is_sent(
    house: House, simulator: Simulator, stream: bool
) -> None:
    with write_lock(house):
        task = asyncio.create_task(asking(house, stream=stream))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await house.ai.close()
    assert [(row["state"], row["error_code"], row["cost_nano_usd"]) for row in await house.rows()] in (
        [("failed", "CANCELLED", 0)],
        [],
    )
    assert not simulator.requests


async def test_the_time_for_a_call_is_over_also_while_the_ledger_is_asked(house: House, simulator: Simulator) -> None:
    with write_lock(house), pytest.raises(ProviderTimeout) as caught:
        await asking(house, stream=False, timeout_s=0.3)
    await house.ai.close()
    assert caught.value.details["timeout_s"] == 0.3
    assert not [row for row in await house.rows() if row["state"] == "held"]
    assert not simulator.requests


@pytest.mark.parametrize("behaviour", [{"delay_s": 30}, {**LONG, "chunk_delay_s": 0.2}])
async def test_the_time_for_a_call_covers_its_body_and_the_error_says_how_long_it_was(
    house: House, simulator: Simulator, behaviour: dict[str, Any]
) -> None:
    simulator.script(behaviour)
    with pytest.raises(ProviderTimeout) as caught:
        await asking(house, stream=True, timeout_s=1)
    assert caught.value.details["timeout_s"] == 1
    assert 0.9 < caught.value.details["waited_s"] < 10
    assert "`timeout_s` is 1" in caught.value.message
    assert (await house.row())["error_code"] == "TIMEOUT"


async def test_a_stream_that_is_dropped_unread_sends_nothing(house: House, simulator: Simulator) -> None:
    stream = house.ai.generate_stream("Hello", model="gpt-4.1")
    await stream.aclose()
    assert not simulator.requests
    assert await house.rows() == []


async def test_many_streams_that_are_left_at_once_are_all_settled(any_house: House, simulator: Simulator) -> None:
    simulator.script({**LONG, "times": 0})
    tasks = [asyncio.create_task(first_words(any_house, "openai", 400)) for _ in range(20)]
    await until(lambda: len(simulator.requests) == 20)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    rows = await any_house.rows()
    assert [(row["state"], row["error_code"]) for row in rows] == [("settled", "CANCELLED")] * 20


async def test_what_a_provider_says_that_it_cost_is_the_bill(
    sqlite_url: str, settings: Callable[..., Settings], simulator: Simulator
) -> None:
    answer = {
        "id": "gen-1", "object": "chat.completion", "created": 1, "model": "local",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi."}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "cost": 0.0000123},
    }  # fmt: skip
    simulator.script({"kind": "body", "body": answer, "headers": {"x-request-id": "req_77"}})
    async with opened(sqlite_url, settings()) as house:
        result = await house.ai.generate("Hello", model="local")
        row = await house.row()
    assert (result.cost_nano_usd, result.cost_source) == (12_300, "provider")
    assert (row["cost_nano_usd"], row["cost_source"], row["provider_request_id"]) == (12_300, "provider", "req_77")


async def asking(house: House, *, stream: bool, **options: Any) -> Any:
    options = {"model": "gpt-4.1", **options}
    return await (house.ai.generate_stream("Hi", **options).collect() if stream else house.ai.generate("Hi", **options))


@contextmanager
def write_lock(house: House) -> Iterator[None]:
    """Somebody else is writing, so that every hold has to wait."""
    other = sqlite3.connect(house.url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  it changes in another thread
            await asyncio.sleep(0.01)
