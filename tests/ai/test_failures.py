"""What goes wrong: the code, what the ledger says, and what is tried again."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from datastead import Provider, Registry, Settings, provider
from datastead.ai.models import ModelDefinition
from datastead.ai.streams import GenerationStream
from datastead.errors import AIError, ContentFiltered, ProviderTimeout, ProviderUnavailable
from datastead.messages import Call, Endpoint, StreamEvent, WireRequest
from datastead.testing.simulator import Simulator
from tests.ai.conftest import KEY, REGISTRY, WIRES, House, opened

REFUSALS = {
    "rate-limit": "RATE_LIMIT_EXCEEDED",
    "quota": "QUOTA_EXCEEDED",
    "unavailable": "PROVIDER_UNAVAILABLE",
    "overloaded": "PROVIDER_UNAVAILABLE",
    "context-length": "CONTEXT_LENGTH_EXCEEDED",
    "bad-key": "INVALID_API_KEY",
    "model-not-found": "MODEL_NOT_FOUND",
}


async def failure(house: House, stream: bool, **options: Any) -> AIError:
    ai = house.ai
    work = ai.generate_stream("Hello", **options).collect() if stream else ai.generate("Hello", **options)
    with pytest.raises(AIError) as caught:
        await work
    return caught.value


async def read_into(pieces: list[str], stream: GenerationStream) -> None:
    async for event in stream:
        pieces.append(event.content)  # noqa: PERF401  it may end in an error


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", REFUSALS)
async def test_a_refusal_has_its_code_and_costs_nothing(
    house: House, simulator: Simulator, wire: str, stream: bool, kind: str
) -> None:
    simulator.script({"kind": kind, "times": 0, "retry_after_s": 10_000})
    error = await failure(house, stream, model=WIRES[wire], provider=wire)
    rows = await house.rows()
    assert error.code == REFUSALS[kind]
    assert {(row["state"], row["error_code"], row["cost_nano_usd"]) for row in rows} == {("failed", error.code, 0)}


async def test_a_rate_limit_says_how_long_to_wait(house: House, simulator: Simulator) -> None:
    simulator.script({"kind": "rate-limit", "retry_after_s": 77})
    error = await failure(house, stream=False, model="gpt-4.1")
    assert error.retry_after_s == 77


@pytest.mark.parametrize("stream", [False, True])
async def test_what_may_pass_is_tried_again_and_each_attempt_has_a_row(
    any_house: House, simulator: Simulator, stream: bool
) -> None:
    simulator.script([{"kind": "rate-limit", "retry_after_s": 0.01}, {"kind": "overloaded", "retry_after_s": 0.01}])
    if stream:
        await any_house.ai.generate_stream("Hello", model="gpt-4.1").collect()
    else:
        await any_house.ai.generate("Hello", model="gpt-4.1")
    rows = await any_house.rows()
    assert [(row["attempt"], row["state"]) for row in rows] == [(1, "failed"), (2, "failed"), (3, "settled")]


async def test_no_wait_goes_beyond_the_deadline(house: House, simulator: Simulator) -> None:
    simulator.script({"kind": "rate-limit", "retry_after_s": 30, "times": 0})
    await failure(house, stream=False, model="gpt-4.1", timeout_s=5)
    assert len(simulator.requests) == 1


@pytest.mark.parametrize("wire", WIRES)
async def test_a_cut_stream_is_an_error_and_what_came_is_paid(
    any_house: House, simulator: Simulator, wire: str
) -> None:
    simulator.script({"kind": "cut", "text": "one two three four five", "chunks": 5, "after_chunks": 2})
    pieces: list[str] = []
    with pytest.raises(ProviderUnavailable):
        await read_into(pieces, any_house.ai.generate_stream("Hello", model=WIRES[wire], provider=wire))
    row = await any_house.row()
    assert "".join(pieces) != ""
    assert (row["state"], row["usage_source"], row["error_code"]) == ("settled", "estimated", "PROVIDER_UNAVAILABLE")
    assert row["cost_nano_usd"] > 0


@pytest.mark.parametrize("wire", WIRES)
async def test_an_error_inside_a_stream_comes_after_the_pieces_before_it(
    house: House, simulator: Simulator, wire: str
) -> None:
    simulator.script({"kind": "error-in-stream", "text": "one two three four", "chunks": 4, "after_chunks": 2})
    pieces: list[str] = []
    with pytest.raises(AIError):
        await read_into(pieces, house.ai.generate_stream("Hello", model=WIRES[wire], provider=wire))
    row = await house.row()
    assert "".join(pieces).startswith("one")
    assert (row["state"], row["usage_source"]) == ("settled", "estimated")


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_is_not_json_is_a_typed_error(house: House, simulator: Simulator, stream: bool) -> None:
    simulator.script({"kind": "malformed", "times": 0})
    error = await failure(house, stream, model="gpt-4.1", timeout_s=8)
    assert error.code == "PROVIDER_UNAVAILABLE"


async def test_a_filtered_answer_is_an_error(house: House, simulator: Simulator) -> None:
    simulator.script({"kind": "content-filter", "text": "", "times": 0})
    for wire, model in WIRES.items():
        with pytest.raises(ContentFiltered):
            await house.ai.generate("Hello", model=model, provider=wire)
    assert {row["error_code"] for row in await house.rows()} == {"CONTENT_FILTERED"}


async def test_a_whole_answer_that_does_not_come_in_time_stays_in_doubt(any_house: House, simulator: Simulator) -> None:
    simulator.script({"delay_s": 30})
    with pytest.raises(ProviderTimeout):
        await any_house.ai.generate("Hello", model="gpt-4.1", timeout_s=1)
    row = await any_house.row()
    assert (row["state"], row["error_code"], row["cost_nano_usd"]) == ("in_doubt", "TIMEOUT", None)
    assert row["held_nano_usd"] > 0


async def test_a_stream_that_does_not_begin_in_time_is_estimated(house: House, simulator: Simulator) -> None:
    simulator.script({"delay_s": 30})
    with pytest.raises(ProviderTimeout):
        await house.ai.generate_stream("Hello", model="gpt-4.1", timeout_s=1).collect()
    assert (await house.row())["usage_source"] == "estimated"


async def test_an_address_where_nobody_listens_costs_nothing(
    sqlite_url: str, settings: Callable[..., Settings]
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        own = {"ai_openai_base_url": f"http://127.0.0.1:{unused.getsockname()[1]}/v1"}
        async with opened(sqlite_url, settings(**own)) as house:
            error = await failure(house, stream=False, model="gpt-4.1", timeout_s=8)
            rows = await house.rows()
    assert error.code == "PROVIDER_UNAVAILABLE"
    assert {(row["state"], row["cost_nano_usd"]) for row in rows} == {("failed", 0)}


async def test_giving_a_stream_up_stops_the_provider_and_settles(any_house: House, simulator: Simulator) -> None:
    simulator.script({"text": "word " * 400, "chunks": 400, "chunk_delay_s": 0.02})
    async with any_house.ai.generate_stream("Hello", model="gpt-4.1") as stream:
        async for event in stream:
            if event.content:
                break
    row = await any_house.row()
    assert (row["state"], row["usage_source"], row["error_code"]) == ("settled", "estimated", "CANCELLED")
    assert 0 < row["output_tokens"] < 400
    await until(lambda: simulator.requests[-1]["disconnected"])


async def test_leaving_the_loop_is_giving_up(house: House, simulator: Simulator) -> None:
    simulator.script({"text": "word " * 400, "chunks": 400, "chunk_delay_s": 0.02})
    async for event in house.ai.generate_stream("Hello", model="gpt-4.1"):
        if event.content:
            break
    await until(lambda: simulator.requests[-1]["disconnected"])
    await house.ai.close()
    assert (await house.row())["state"] == "settled"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cancelled_task_settles_what_it_had_begun(house: House, simulator: Simulator, stream: bool) -> None:
    simulator.script({"text": "word " * 400, "chunks": 400, "chunk_delay_s": 0.02, "delay_s": 0 if stream else 30})
    work = house.ai.generate_stream("Hello", model="gpt-4.1").collect() if stream else None
    task = asyncio.create_task(work or house.ai.generate("Hello", model="gpt-4.1"))
    await until(lambda: simulator.requests)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await house.row())["state"] == ("settled" if stream else "in_doubt")


async def test_an_endpoint_without_responses_is_called_by_chat_completions(
    sqlite_url: str, settings: Callable[..., Settings], simulator: Simulator
) -> None:
    own = {"ai_openai_base_url": simulator.base_url("openai-compatible")}
    async with opened(sqlite_url, settings(**own)) as house:
        await house.ai.generate("Hello", model="gpt-4.1")
        await house.ai.generate("Hello", model="gpt-4.1")
        states = [row["state"] for row in await house.rows()]
    assert [request["path"] for request in simulator.requests if "chat" in request["path"]] != []
    assert states == ["failed", "settled", "settled"]


async def test_no_key_is_anywhere_but_in_the_request(
    sqlite_url: str, settings: Callable[..., Settings], caplog: pytest.LogCaptureFixture
) -> None:
    async with upstream(f"HTTP/1.1 401 No\r\ncontent-length: {len(KEY) + 9}\r\n\r\nBad key: {KEY}".encode()) as url:
        own = {"ai_openai_base_url": f"{url}/v1", "ai_openai_compatible_base_url": f"{url}/v1",
               "ai_openai_compatible_headers": {"x-own": KEY}, "ai_record_io": True}  # fmt: skip
        async with opened(sqlite_url, settings(**own)) as house:
            seen = []
            for model in ("gpt-4.1", "local"):
                error = await failure(house, stream=False, model=model)
                seen += [str(error), repr(error), repr(error.details), repr(error.__cause__)]
            seen += [repr(row) for row in await house.rows()]
            seen += [repr(house.ai), repr(vars(house.ai)["_targets"]._found), caplog.text]
    assert not [text for text in seen if KEY in text]


async def test_a_redirect_is_not_followed_with_the_key(sqlite_url: str, settings: Callable[..., Settings]) -> None:
    answer = b"HTTP/1.1 307 Elsewhere\r\nlocation: http://127.0.0.1:1/v1\r\ncontent-length: 0\r\n\r\n"
    async with upstream(answer) as url, opened(sqlite_url, settings(ai_openai_base_url=f"{url}/v1")) as house:
        error = await failure(house, stream=False, model="gpt-4.1", timeout_s=8)
    assert error.details["provider"] == "openai"


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"[]", b'{"odd": true}', b"null", b'{"output": 5}', b""])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_of_any_other_shape_is_a_typed_error(
    sqlite_url: str, settings: Callable[..., Settings], body: bytes, stream: bool
) -> None:
    kind = b"text/event-stream" if stream else b"application/json"
    answer = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n%s" % (kind, len(body), body)
    async with upstream(answer) as url, opened(sqlite_url, settings(ai_openai_base_url=f"{url}/v1")) as house:
        error = await failure(house, stream, model="gpt-4.1", timeout_s=8)
    assert error.code in {"PROVIDER_UNAVAILABLE", "INVALID_OUTPUT"}


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  it changes in another thread
            await asyncio.sleep(0.01)


@asynccontextmanager
async def upstream(answer: bytes) -> AsyncIterator[str]:
    """A server that answers every request with the same bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class Buggy(Provider):
    """A mapping with a bug, of a kind that no answer explains."""

    def __init__(self) -> None:
        self._good = REGISTRY.provider("openai-compatible").provider

    def request(self, endpoint: Endpoint, model: ModelDefinition, call: Call) -> WireRequest:
        return self._good.request(endpoint, model, call)

    def response(self, body: Mapping[str, Any]) -> Iterable[StreamEvent]:
        raise ZeroDivisionError(KEY)

    def decoder(self) -> Callable[[Any], Iterable[StreamEvent]]:
        good = self._good.decoder()
        read: list[Any] = []

        def decode(chunk: Any) -> Iterable[StreamEvent]:
            read.append(chunk)
            return self.response(chunk) if len(read) > 3 else good(chunk)

        return decode


@pytest.mark.parametrize(("stream", "state"), [(False, "in_doubt"), (True, "settled")])
async def test_a_bug_is_raised_as_it_is_and_leaves_nothing_held(
    sqlite_url: str, settings: Callable[..., Settings], simulator: Simulator, stream: bool, state: str
) -> None:
    simulator.script({"text": "one two three four five six", "chunks": 6})
    registry = Registry(("datastead.builtin",), (provider("openai-compatible")(Buggy),))
    async with opened(sqlite_url, settings(), registry=registry) as house:
        with pytest.raises(ZeroDivisionError):
            await asked(house, stream)
        row = await house.row()
    assert (row["state"], row["error_code"]) == (state, "INTERNAL_SERVER_ERROR")
    assert (row["output_tokens"] > 0, row["cost_nano_usd"] is None) == (stream, not stream)
    assert KEY not in row["error"]


async def asked(house: House, stream: bool) -> None:
    if stream:
        await house.ai.generate_stream("Hello", model="local").collect()
    else:
        await house.ai.generate("Hello", model="local")
