"""`AI` from where it is used: scripts, loops, and processes that start and stop."""

import asyncio
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from datastead import AI, Settings
from datastead.ai.sse import SseParser
from datastead.data.engine import Database
from datastead.errors import InvalidRequest, ProviderUnavailable
from datastead.testing.simulator import Simulator
from tests.ai.conftest import REGISTRY, House

MakeSettings = Callable[..., Settings]


async def test_it_starts_with_the_first_call_and_needs_no_database(settings: MakeSettings) -> None:
    ai = AI(settings(), registry=REGISTRY)
    results = await asyncio.gather(*(ai.generate("Hello", model="gpt-4.1") for _ in range(3)))
    await ai.close()
    assert len({result.call for result in results}) == 3


async def test_it_can_be_started_again_after_it_was_closed(settings: MakeSettings) -> None:
    ai = AI(settings(), registry=REGISTRY)
    async with ai:
        await ai.generate("Hello", model="gpt-4.1")
    async with ai:
        await ai.generate("Hello", model="gpt-4.1")


async def test_a_database_that_cannot_be_opened_fails_the_call_and_not_the_next(
    tmp_path: Path, settings: MakeSettings
) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'without-tables.db'}")
    await database.start()
    async with AsyncClosing(database):
        ai = AI(settings(), database=database, registry=REGISTRY)
        with pytest.raises(Exception, match="no such table"):
            await ai.generate("Hello", model="gpt-4.1")
        from datastead.data.migrations import migrate

        await migrate(database)
        assert (await ai.generate("Hello", model="gpt-4.1")).content
        await ai.close()


async def test_a_call_that_waits_is_refused_where_a_loop_runs(settings: MakeSettings) -> None:
    ai = AI(settings(), registry=REGISTRY)
    with pytest.raises(InvalidRequest, match="await"):
        ai.generate_sync("Hello", model="gpt-4.1")


def test_a_stream_left_early_in_a_script_stops_the_provider(settings: MakeSettings, simulator: Simulator) -> None:
    simulator.script({"text": "word " * 400, "chunks": 400, "chunk_delay_s": 0.02})
    with AI(settings(), registry=REGISTRY) as ai:
        with ai.generate_stream_sync("Hello", model="gpt-4.1") as stream:
            next(event for event in stream if event.content)
        with pytest.raises(InvalidRequest):
            _ = stream.result
        assert ai.generate_sync("Hello", model="gpt-4.1").content


def test_errors_reach_a_script_as_they_are(settings: MakeSettings, simulator: Simulator) -> None:
    simulator.script({"kind": "bad-key"})
    with AI(settings(), registry=REGISTRY) as ai, pytest.raises(Exception) as caught:  # noqa: PT011  by its code
        ai.generate_sync("Hello", model="gpt-4.1")
    assert caught.value.code == "INVALID_API_KEY"  # type: ignore[attr-defined]


def test_it_says_so_when_it_is_used_in_two_loops(settings: MakeSettings) -> None:
    ai = AI(settings(), registry=REGISTRY)

    async def call() -> None:
        await ai.generate("Hello", model="gpt-4.1")

    async def call_and_close() -> None:
        await call()
        other = AI(settings(), registry=REGISTRY)
        await asyncio.to_thread(other.generate_sync, "Hello", model="gpt-4.1")
        with pytest.raises(InvalidRequest):
            await other.generate("Hello", model="gpt-4.1")
        await asyncio.to_thread(other.close_sync)
        await ai.close()

    asyncio.run(call_and_close())


async def test_there_is_no_result_before_the_end(house: House) -> None:
    stream = house.ai.generate_stream("Hello", model="gpt-4.1")
    with pytest.raises(InvalidRequest):
        _ = stream.result
    assert (await stream.collect()) is stream.result


async def test_a_result_is_json_for_the_steps_of_a_flow(house: House) -> None:
    result = await house.ai.generate("Hello", model="gpt-4.1")
    shown = result.to_dict()
    assert set(shown) == {
        "content", "reasoning", "object", "tool_calls", "usage", "cost", "model", "provider", "finish_reason", "call",
        "truncated", "repaired", "cached", "saved", "attempts",
    }  # fmt: skip
    assert shown["usage"]["total"] == shown["usage"]["input"] + shown["usage"]["output"]


STREAM = (
    b'event: a\r\ndata: {"n": 1}\r\n\r\n: alive\n\ndata:{"n":\ndata: 2}\n\nid: 7\ndata: {"n": 3}\n\ndata: [DONE]\n\n'
)


def _events(parser: SseParser, received: bytes) -> Iterator[dict[str, Any]]:
    return chain.from_iterable(parser.objects(received))


@pytest.mark.parametrize("size", range(1, len(STREAM) + 1, 3))
def test_events_are_the_same_however_the_bytes_are_split(size: int) -> None:
    parser = SseParser()
    pieces = [STREAM[start : start + size] for start in range(0, len(STREAM), size)]
    assert [event["n"] for piece in [*pieces, b""] for event in _events(parser, piece)] == [1, 2, 3]
    assert parser.done


PLAIN = b'event: a\ndata: {"n": 1}\n\ndata: {"n": 2}\n\nevent:b\ndata:{"n": 3}\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("size", [*range(1, 40, 3), 1000])
def test_events_that_are_parsed_together_are_the_same_as_one_by_one(size: int, line_end: bytes) -> None:
    parser, stream = SseParser(), PLAIN.replace(b"\n", line_end)
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
    assert [event["n"] for piece in [*pieces, b""] for event in _events(parser, piece)] == [1, 2, 3]
    assert parser.done


@pytest.mark.parametrize("data", [b'{"n": 1}, {"n": 2}', b'{"n": ', b"x", b"1]", b'{"n": 9}]\n\ndata: [{"n": 9}'])
def test_data_that_is_not_json_is_an_error_after_what_came_before_it(data: bytes) -> None:
    events = _events(SseParser(), b'data: {"n": 0}\n\ndata: ' + data + b"\n\n")
    assert next(events) == {"n": 0}
    with pytest.raises(ProviderUnavailable):
        list(events)


def test_the_last_event_needs_no_empty_line_after_it() -> None:
    parser = SseParser()
    assert list(_events(parser, b'data: {"n": 1}')) == []
    assert list(_events(parser, b"")) == [{"n": 1}]


def test_an_event_that_is_not_json_is_an_error() -> None:
    with pytest.raises(ProviderUnavailable):
        SseParser().parse(b'data: {"broken')


class AsyncClosing:
    """Closes a database at the end of a block."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __aenter__(self) -> None:
        return

    async def __aexit__(self, *_: object) -> None:
        await self._database.close()
