"""The simulator over real HTTP: what it answers, how it fails, and what it refuses; and each mapping against it."""

import json
from typing import Any

import aiohttp
import orjson
import pytest

from datastead.errors import (
    ContextLengthExceeded,
    InvalidApiKey,
    InvalidRequest,
    ModelNotFound,
    ProviderUnavailable,
    QuotaExceeded,
    RateLimitExceeded,
)
from datastead.messages import (
    Call,
    EmbeddingCall,
    Endpoint,
    Finished,
    Message,
    ReasoningDone,
    StreamEvent,
    Text,
    ToolCallDone,
    ToolDefinition,
    ToolResult,
    Usage,
    UsageReport,
    WireRequest,
    user,
)
from datastead.testing.simulator import Behaviour, Simulator
from tests.providers.documented import model, provider, text_of, usage_of

MODELS = [
    model("openai", "gpt-4.1"),
    model("openai", "gpt-5", reasoning=True),
    model("openai", "gpt-4o-mini", api="chat-completions"),
    model("openai-compatible", "llama3"),
    model("anthropic", "claude-sonnet-4-5", reasoning=True),
    model("anthropic", "claude-opus-4-7", reasoning=True),
    model("google", "gemini-2.5-flash", reasoning=True),
    model("google", "gemini-3-pro-preview", reasoning=True),
]
WIRES = [MODELS[0], MODELS[3], MODELS[4], MODELS[6]]
PROMPT = (
    "Generate an SEO meta description for: Low tide walks\n\n"
    "Content: The sandbanks dry out twice a day. Walkers reach the lighthouse, and seals rest on the sandbanks."
)
TOOL = ToolDefinition("tide_table", "Tides of a port.", {"type": "object", "properties": {}})
SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 20},
        "score": {"type": "integer", "minimum": 3},
        "kind": {"enum": ["walk", "swim"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "open": {"type": "boolean"},
    },
    "required": ["title", "score", "kind", "tags", "open"],
}
by_name = pytest.mark.parametrize("definition", MODELS, ids=lambda each: each.model)
by_wire = pytest.mark.parametrize("definition", WIRES, ids=lambda each: each.provider)
by_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest.fixture(scope="module")
def simulator():
    with Simulator() as running:
        yield running


@pytest.fixture(autouse=True)
def _fresh(simulator):
    simulator.reset()


def request(simulator: Simulator, definition: Any, call: Call, key: str | None = "key") -> WireRequest:
    base_url = simulator.base_url(definition.provider)
    return provider(definition.provider).request(Endpoint(definition.provider, base_url, key), definition, call)


async def ask(simulator: Simulator, definition: Any, call: Call, key: str | None = "key") -> list[StreamEvent]:
    """The events of a call, over HTTP; raises what the mapping makes of a failure."""
    sent = request(simulator, definition, call, key)
    mapping = provider(definition.provider)
    async with aiohttp.ClientSession() as session, session.post(sent.url, headers=sent.headers, json=sent.json) as got:
        raw = await got.read()
        if got.status != 200:
            raise mapping.error(got.status, got.headers, json.loads(raw))
        if not call.stream:
            return list(mapping.response(json.loads(raw)))
    decode = mapping.decoder()
    data = [line[6:] for line in raw.decode().split("\n") if line.startswith("data: ") and line != "data: [DONE]"]
    return [event for each in data for event in decode(orjson.loads(each))]


def calls_of(events: list[StreamEvent]) -> list[Any]:
    return [event.call for event in events if isinstance(event, ToolCallDone)]


@by_name
@by_way
async def test_text_is_made_of_the_prompts_words_and_counted(simulator, definition, stream):
    events = await ask(simulator, definition, Call(definition.model, (user(PROMPT),), max_tokens=200, stream=stream))
    assert "Low tide walks" in text_of(events)
    assert "sandbanks" in text_of(events)
    usage = usage_of(events)
    assert (usage.input, usage.output) == (-(-len(PROMPT) // 4) + 3, -(-len(text_of(events)) // 4))
    assert [event.reason for event in events if isinstance(event, Finished)] == ["stop"]


@by_wire
async def test_the_same_prompt_gets_the_same_answer_streamed_or_not(simulator, definition):
    call = Call(definition.model, (user(PROMPT),))
    whole = await ask(simulator, definition, call)
    streamed = await ask(simulator, definition, Call(definition.model, (user(PROMPT),), stream=True))
    assert (text_of(whole), usage_of(whole)) == (text_of(streamed), usage_of(streamed))


@by_wire
@by_way
async def test_the_token_limit_is_kept_and_said(simulator, definition, stream):
    simulator.script({"text": "Seals rest on the sandbanks. " * 9})
    events = await ask(simulator, definition, Call(definition.model, (user(PROMPT),), max_tokens=16, stream=stream))
    assert usage_of(events).output == 16
    assert [event.reason for event in events if isinstance(event, Finished)] == ["length"]


@by_name
@by_way
async def test_json_satisfies_the_schema_that_was_asked_for(simulator, definition, stream):
    events = await ask(
        simulator,
        definition,
        Call(definition.model, (user(PROMPT),), max_tokens=900, schema=SCHEMA, stream=stream),
    )
    answer = json.loads(text_of(events))
    assert set(answer) == set(SCHEMA["properties"])
    assert answer["score"] >= 3
    assert answer["kind"] in {"walk", "swim"}
    assert isinstance(answer["open"], bool)
    assert 0 < len(answer["title"]) <= 20


@by_name
@by_way
async def test_a_tools_result_goes_back_the_way_the_vendor_wants_it(simulator, definition, stream):
    simulator.script(Behaviour(tool="tide_table", arguments={"port": "Oban"}, reasoning="I need the table."))
    first = Call(
        definition.model, (user("When?"),), tools=(TOOL,), enable_reasoning=definition.reasoning, stream=stream
    )
    events = await ask(simulator, definition, first)
    (call,) = calls_of(events)
    assert (call.name, call.arguments) == ("tide_table", {"port": "Oban"})
    assert Finished("tool-calls", next(event.raw_reason for event in events if isinstance(event, Finished))) in events
    thoughts = tuple(event.part for event in events if isinstance(event, ReasoningDone))
    result = ToolResult(call.id, call.name, '{"high": "06:10"}')
    turn = (user("When?"), Message("assistant", (*thoughts, call)), Message("tool", (result,)))
    again = await ask(simulator, definition, Call(definition.model, turn, tools=(TOOL,), stream=stream))
    assert "06:10" in text_of(again)


@by_wire
async def test_a_call_without_its_result_is_refused(simulator, definition):
    simulator.script(Behaviour(tool="tide_table"))
    (call,) = calls_of(await ask(simulator, definition, Call(definition.model, (user("When?"),), tools=(TOOL,))))
    turn = (user("When?"), Message("assistant", (call,)), user("And?"))
    with pytest.raises(InvalidRequest):
        await ask(simulator, definition, Call(definition.model, turn, tools=(TOOL,)))


async def test_gemini_3_refuses_a_call_that_lost_its_signature(simulator):
    definition = MODELS[7]
    simulator.script(Behaviour(tool="tide_table"))
    (call,) = calls_of(await ask(simulator, definition, Call(definition.model, (user("When?"),), tools=(TOOL,))))
    bare = type(call)(call.id, call.name, call.arguments)
    turn = (user("When?"), Message("assistant", (bare,)), Message("tool", (ToolResult(call.id, call.name, "1"),)))
    with pytest.raises(InvalidRequest):
        await ask(simulator, definition, Call(definition.model, turn, tools=(TOOL,)))


FAILURES = [
    ("rate-limit", RateLimitExceeded),
    ("quota", QuotaExceeded),
    ("unavailable", ProviderUnavailable),
    ("overloaded", ProviderUnavailable),
    ("context-length", ContextLengthExceeded),
    ("bad-key", InvalidApiKey),
    ("model-not-found", ModelNotFound),
]


@by_wire
@by_way
@pytest.mark.parametrize(("kind", "error"), FAILURES)
async def test_a_scripted_failure_has_the_vendors_own_body(simulator, definition, stream, kind, error):
    simulator.script({"kind": kind, "retry_after_s": 1.5})
    with pytest.raises(error) as raised:
        await ask(simulator, definition, Call(definition.model, (user("Hello"),), stream=stream))
    waits = kind == "rate-limit" or (kind in {"unavailable", "overloaded", "quota"} and definition.provider != "google")
    if waits:
        assert raised.value.retry_after_s == 1.5
    assert text_of(await ask(simulator, definition, Call(definition.model, (user("Hello"),), stream=stream)))


@by_wire
async def test_a_bad_key_and_an_unknown_model_are_refused_without_a_script(simulator, definition):
    with pytest.raises(InvalidApiKey):
        await ask(simulator, definition, Call(definition.model, (user("Hello"),)), key="bad-key")
    with pytest.raises(ModelNotFound):
        await ask(simulator, definition, Call("no-such-model", (user("Hello"),)))


@pytest.mark.parametrize("definition", [MODELS[0], MODELS[2], MODELS[4], MODELS[6]], ids=lambda each: each.model)
async def test_a_missing_key_is_refused(simulator, definition):
    with pytest.raises(InvalidApiKey):
        await ask(simulator, definition, Call(definition.model, (user("Hello"),)), key=None)


async def test_a_compatible_server_takes_no_key_and_has_no_responses(simulator):
    definition = MODELS[3]
    assert text_of(await ask(simulator, definition, Call("llama3", (user("Hello"),)), key=None))
    with pytest.raises(InvalidRequest) as raised:
        await ask(simulator, model("openai-compatible", "llama3", api="responses"), Call("llama3", (user("Hello"),)))
    assert raised.value.details["route_not_found"] is True


@by_wire
async def test_a_cut_stream_closes_the_connection_after_some_text(simulator, definition):
    simulator.script(Behaviour("cut", after_chunks=2))
    sent = request(simulator, definition, Call(definition.model, (user(PROMPT),), stream=True))
    async with aiohttp.ClientSession() as session, session.post(sent.url, headers=sent.headers, json=sent.json) as got:
        with pytest.raises(aiohttp.ClientPayloadError):
            await got.read()


@by_wire
async def test_a_cut_answer_that_is_not_streamed_closes_the_connection_too(simulator, definition):
    simulator.script(Behaviour("cut"))
    with pytest.raises(aiohttp.ClientPayloadError):
        await ask(simulator, definition, Call(definition.model, (user(PROMPT),)))


@by_wire
async def test_an_error_in_the_middle_of_a_stream_is_typed(simulator, definition):
    simulator.script({"kind": "error-in-stream", "after_chunks": 1})
    with pytest.raises(ProviderUnavailable):
        await ask(simulator, definition, Call(definition.model, (user(PROMPT),), stream=True))


@by_wire
@by_way
async def test_malformed_json_is_malformed(simulator, definition, stream):
    simulator.script({"kind": "malformed"})
    with pytest.raises(ValueError, match=r"."):
        await ask(simulator, definition, Call(definition.model, (user(PROMPT),), stream=stream))


@by_wire
@by_way
async def test_a_content_filter_ends_the_answer(simulator, definition, stream):
    simulator.script({"kind": "content-filter"})
    events = await ask(simulator, definition, Call(definition.model, (user(PROMPT),), stream=stream))
    assert [event.reason for event in events if isinstance(event, Finished)] == ["content-filter"]


@by_wire
@by_way
async def test_usage_can_be_left_out_or_set(simulator, definition, stream):
    simulator.script([{"usage": False}, {"usage": {"input": 10, "output": 7, "cache_read": 5, "reasoning": 0}}])
    call = Call(definition.model, (user("Hello"),), stream=stream)
    assert not [event for event in await ask(simulator, definition, call) if isinstance(event, UsageReport)]
    assert usage_of(await ask(simulator, definition, call)) == Usage(input=10, output=7, cache_read=5)


@by_wire
async def test_a_stream_has_as_many_pieces_as_it_is_told(simulator, definition):
    simulator.default({"chunks": 200})
    for _ in range(2):
        events = await ask(simulator, definition, Call(definition.model, (user(PROMPT),), stream=True))
        assert len([event for event in events if event.type == "text"]) == 200


async def test_behaviours_are_taken_in_order_by_the_requests_they_fit(simulator):
    simulator.script(
        [
            {"model": "llama3", "text": "for the llama"},
            {"prompt": "harbour", "text": "for the harbour", "times": 2},
            {"text": "for the next"},
        ]
    )
    gpt, llama = MODELS[0], MODELS[3]
    said = [
        text_of(await ask(simulator, definition, Call(definition.model, (user(prompt),))))
        for definition, prompt in ((gpt, "harbour"), (gpt, "tide"), (llama, "tide"), (gpt, "harbour"))
    ]
    assert said == ["for the harbour", "for the next", "for the llama", "for the harbour"]


async def test_another_process_scripts_and_watches_it_over_http(simulator):
    async with aiohttp.ClientSession(simulator.url) as session:
        async with session.post("/_simulator/script", json=[{"text": "scripted"}]) as got:
            assert await got.json() == {"queued": 1}
        async with session.put("/_simulator/default", json={"text": "default"}) as got:
            assert got.status == 200
        assert text_of(await ask(simulator, MODELS[0], Call("gpt-4.1", (user("One"),)))) == "scripted"
        assert text_of(await ask(simulator, MODELS[0], Call("gpt-4.1", (user("Two"),)))) == "default"
        async with session.get("/_simulator/requests") as got:
            seen = (await got.json())["requests"]
        assert [each["path"] for each in seen] == ["/v1/responses", "/v1/responses"]
        assert seen[0]["headers"]["authorization"] == "Bearer key"
        assert seen[0]["json"]["input"][0]["content"][0]["text"] == "One"
        async with session.delete("/_simulator") as got:
            assert got.status == 204
        async with session.get("/_simulator/requests") as got:
            assert await got.json() == {"requests": []}
        async with session.get("/v1/models") as got:
            assert "gpt-4.1" in [each["id"] for each in (await got.json())["data"]]


@pytest.mark.parametrize("given", [{"kind": "explode"}, {"texts": "x"}, [3], "x"])
async def test_a_script_that_makes_no_sense_is_refused(simulator, given):
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{simulator.url}/_simulator/script", json=given) as got,
    ):
        assert got.status == 400


async def test_a_client_that_leaves_a_slow_stream_is_noticed(simulator):
    simulator.script(Behaviour(chunk_delay_s=0.02, chunks=500))
    sent = request(simulator, MODELS[0], Call("gpt-4.1", (user(PROMPT),), stream=True))
    async with aiohttp.ClientSession() as session:
        async with session.post(sent.url, headers=sent.headers, json=sent.json) as got:
            assert await got.content.readline()
            got.close()
        for _ in range(200):
            async with session.get(f"{simulator.url}/_simulator/requests") as seen:
                if (await seen.json())["requests"][0]["disconnected"]:
                    return
    pytest.fail("the simulator has not noticed")


REFUSED: list[tuple[str, dict[str, str], dict[str, Any], int]] = [
    ("/v1/messages", {"x-api-key": "k"}, {"model": "m", "max_tokens": 5, "messages": []}, 400),
    ("/v1/messages", {"x-api-key": "k", "anthropic-version": "2023-06-01"}, {"model": "m", "messages": []}, 400),
    (
        "/v1/messages",
        {"x-api-key": "k", "anthropic-version": "2023-06-01"},
        {"model": "m", "max_tokens": 5, "messages": [{"role": "system", "content": "x"}]},
        400,
    ),
    ("/v1/chat/completions", {"authorization": "Bearer k"}, {"model": "gpt-4.1", "messages": [{"role": "robot"}]}, 400),
    (
        "/v1/chat/completions",
        {"authorization": "Bearer k"},
        {"model": "gpt-5", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]},
        400,
    ),
    ("/v1/responses", {"authorization": "Bearer k"}, {"model": "gpt-4.1", "input": "x", "stop": ["y"]}, 400),
    ("/v1/responses", {"authorization": "Bearer k"}, {"model": "gpt-5", "input": "x", "temperature": 0.2}, 400),
    ("/v1/responses", {"authorization": "Bearer k"}, {"model": "gpt-4.1", "input": "x", "max_output_tokens": 5}, 400),
    ("/v1beta/models/gemini-2.5-flash:generateContent", {"x-goog-api-key": "k"}, {"contents": []}, 400),
    ("/v1beta/models/gemini-2.5-flash:generateContent", {"x-goog-api-key": "k"}, {"prompt": "x"}, 400),
    ("/v1beta/models/gemini-2.5-flash:generateContent", {}, {"contents": [{"parts": [{"text": "x"}]}]}, 403),
    ("/v1/nothing", {}, {}, 404),
]


@pytest.mark.parametrize(("path", "headers", "body", "status"), REFUSED)
async def test_a_request_that_the_vendor_would_refuse_is_refused(simulator, path, headers, body, status):
    url = simulator.url + path
    async with aiohttp.ClientSession() as session, session.post(url, headers=headers, json=body) as got:
        assert got.status == status
        assert (await got.json())["error"]["message"]


async def test_a_body_that_is_not_json_is_refused(simulator):
    url, headers = f"{simulator.url}/v1/responses", {"authorization": "Bearer k"}
    async with aiohttp.ClientSession() as session, session.post(url, data=b"{", headers=headers) as got:
        assert got.status == 400


async def test_it_starts_and_stops_within_async_code_and_again():
    for _ in range(2):
        async with Simulator() as running:
            assert text_of(await ask(running, MODELS[4], Call(MODELS[4].model, (Message("user", (Text("Hi"),)),))))


@pytest.mark.parametrize("name", ["openai", "openai-compatible", "google"])
async def test_texts_of_the_same_words_have_vectors_near_each_other(simulator, name):
    asked = EmbeddingCall("small", ("high tide at noon", "at noon high tide", "seals"), dimensions=32)
    sent = provider(name).embedding_request(Endpoint(name, simulator.base_url(name), "key"), asked)
    async with aiohttp.ClientSession() as session, session.post(sent.url, headers=sent.headers, json=sent.json) as got:
        made = provider(name).embeddings(await got.json())
    assert [len(vector) for vector in made.vectors] == [32, 32, 32]
    assert made.vectors[0] == made.vectors[1] != made.vectors[2]
    assert made.usage.output == 0 < made.usage.input


@by_wire
async def test_a_vendors_own_body_is_sent_as_it_is(simulator, definition):
    simulator.script({"kind": "body", "status": 418, "headers": {"x-request-id": "req_1"}, "body": {"odd": [1]}})
    sent = request(simulator, definition, Call(definition.model, (user(PROMPT),)))
    async with aiohttp.ClientSession() as session, session.post(sent.url, headers=sent.headers, json=sent.json) as got:
        assert (got.status, await got.json(), got.headers["x-request-id"]) == (418, {"odd": [1]}, "req_1")


@by_wire
async def test_every_answer_has_the_vendors_request_id_where_it_has_one(simulator, definition):
    sent = request(simulator, definition, Call(definition.model, (user(PROMPT),)))
    async with aiohttp.ClientSession() as session, session.post(sent.url, headers=sent.headers, json=sent.json) as got:
        named = provider(definition.provider).request_id(got.headers)
    assert (named is None) if definition.provider == "google" else named.startswith("req_sim")
