"""What providers and gateways get wrong ends in a typed error, or is passed over: never in a `KeyError`."""

import copy
from typing import Any

import pytest

from datastead.errors import (
    AIError,
    ContentFiltered,
    InvalidOutput,
    ProviderUnavailable,
    RateLimitExceeded,
)
from datastead.messages import Finished, TextDelta, ToolCallDone, Usage, UsageReport
from tests.providers.documented import chunks, provider, text_of, usage_of

STREAMS = [
    ("openai", "responses_text.sse"),
    ("openai", "responses_tools.sse"),
    ("openai-compatible", "chat_text.sse"),
    ("openai-compatible", "chat_tools.sse"),
    ("openai-compatible", "chat_reasoning.sse"),
    ("anthropic", "anthropic_text.sse"),
    ("anthropic", "anthropic_tools.sse"),
    ("google", "google_text.sse"),
    ("google", "google_tools.sse"),
]
ODD: list[Any] = [None, 7, "x", [], {}, [None], [7], True]


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, each in inner for found in paths(each, (*path, key)))]


def changed(chunk: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    made = copy.deepcopy(chunk)
    holder = made
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return made


@pytest.mark.parametrize(("name", "fixture"), STREAMS)
def test_an_odd_value_anywhere_in_a_stream_is_passed_over_or_a_typed_error(name, fixture):
    sent = chunks(fixture)
    for position, chunk in enumerate(sent):
        for path in paths(chunk)[1:]:
            for value in ODD:
                decode = provider(name).decoder()
                try:
                    for each in [*sent[:position], changed(chunk, path, value), *sent[position + 1 :]]:
                        list(decode(each))
                except AIError:
                    continue


@pytest.mark.parametrize("name", ["openai", "openai-compatible", "anthropic", "google"])
@pytest.mark.parametrize("body", [{}, {"output": None}, {"choices": []}, {"content": 3}, {"data": "x"}])
def test_a_body_of_another_shape_is_an_unavailable_provider(name, body):
    with pytest.raises(ProviderUnavailable):
        list(provider(name).response(body))


@pytest.mark.parametrize("name", ["openai", "openai-compatible", "anthropic", "google"])
@pytest.mark.parametrize("body", ["", "<html>", None, [], {"error": None}, {"error": "text"}, {"error": {"code": {}}}])
def test_an_error_body_of_any_shape_becomes_a_typed_error(name, body):
    assert provider(name).error(500, {}, body).code == "PROVIDER_UNAVAILABLE"


@pytest.mark.parametrize(
    ("name", "chunk"),
    [
        ("openai", {"type": "response.something_new", "delta": "x"}),
        ("openai-compatible", {"object": "keep-alive"}),
        ("anthropic", {"type": "something_new"}),
        ("google", {"somethingNew": {}}),
    ],
)
def test_an_unknown_event_is_passed_over(name, chunk):
    assert not [event for event in provider(name).decoder()(chunk) if event.content]


def test_usage_that_comes_twice_counts_once_and_the_last_one_counts():
    sent = chunks("chat_text.sse")
    decode = provider("openai-compatible").decoder()
    doubled = {**sent[-2], "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}}
    events = [event for chunk in (*sent[:-2], doubled, sent[-1]) for event in decode(chunk)]
    assert usage_of(events) == Usage(input=93, cache_read=1024, output=46)
    assert len([event for event in events if isinstance(event, Finished)]) == 1


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": None, "completion_tokens": None}, "none", {"cost": 1}])
def test_missing_usage_is_not_reported_as_none_used(usage):
    decode = provider("openai-compatible").decoder()
    chunk = {"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}], "usage": usage}
    assert not [event for event in decode(chunk) if isinstance(event, UsageReport)]


@pytest.mark.parametrize(
    ("name", "body", "usage"),
    [
        (
            "openai-compatible",
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 99}},
            Usage(input=10, cache_read=99, output=5),
        ),
        (
            "openai-compatible",
            {
                "prompt_tokens": 30,
                "completion_tokens": 5,
                "total_tokens": 42,
                "prompt_tokens_details": {"audio_tokens": 4, "cached_tokens": 6},
                "completion_tokens_details": {"reasoning_tokens": 7},
            },
            Usage(input=20, cache_read=6, audio_input=4, output=12, reasoning=7),
        ),
    ],
)
def test_usage_parts_never_overlap_and_are_never_negative(name, body, usage):
    answer = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": body}
    assert usage_of(list(provider(name).response(answer))) == usage


def test_a_prompt_that_leaves_out_what_was_cached_is_told_by_the_total():
    usage = {
        "prompt_tokens": 500,
        "completion_tokens": 50,
        "total_tokens": 950,
        "prompt_tokens_details": {"cached_tokens": 400},
    }
    answer = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": usage}
    assert usage_of(list(provider("openai-compatible").response(answer))) == Usage(input=500, cache_read=400, output=50)


def test_googles_audio_and_tool_tokens_are_parts_of_their_own():
    usage = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 40,
        "toolUsePromptTokenCount": 8,
        "candidatesTokenCount": 10,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 30}, {"modality": "TEXT", "tokenCount": 70}],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 10}],
    }
    body = {"candidates": [{"content": {"parts": [{"text": "x"}]}, "finishReason": "STOP"}], "usageMetadata": usage}
    assert usage_of(list(provider("google").response(body))) == Usage(
        input=48, cache_read=40, cache_read_audio=10, audio_input=20, output=10
    )


@pytest.mark.parametrize("arguments", ['{"port": ', "[1]", '"text"'])
def test_broken_tool_arguments_are_an_invalid_output(arguments):
    call = {"id": "c1", "function": {"name": "look", "arguments": arguments}}
    body = {"choices": [{"message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    with pytest.raises(InvalidOutput) as raised:
        list(provider("openai-compatible").response(body))
    assert raised.value.details == {"tool": "look", "arguments": arguments}


def test_a_call_without_arguments_is_a_call():
    body = {"choices": [{"message": {"tool_calls": [{"id": "c1", "function": {"name": "look"}}]}}]}
    events = list(provider("openai-compatible").response(body))
    assert [event.call.arguments for event in events if isinstance(event, ToolCallDone)] == [{}]


def test_an_error_in_place_of_an_answer_is_typed_by_its_own_code():
    with pytest.raises(RateLimitExceeded):
        list(provider("openai-compatible").response({"error": {"code": 429, "message": "Slow down"}}))


def test_an_error_chunk_ends_a_chat_stream():
    decode = provider("openai-compatible").decoder()
    assert text_of(list(decode(chunks("chat_text.sse")[1]))) == "The harbour"
    with pytest.raises(ProviderUnavailable):
        list(decode({"error": {"message": "upstream died", "type": "server_error"}}))


def test_azures_content_filter_is_typed_by_its_code():
    body = {"error": {"message": "filtered", "type": None, "param": "prompt", "code": "content_filter", "status": 400}}
    assert isinstance(provider("openai").error(400, {}, body), ContentFiltered)


def test_text_in_parts_is_text():
    content = [{"type": "text", "text": "The "}, {"type": "text", "text": "harbour"}]
    body = {"choices": [{"message": {"content": content}, "finish_reason": "stop"}]}
    assert TextDelta("The harbour") in list(provider("openai-compatible").response(body))


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefghijklmnop",
        "sk-ant-api03-AbCdEf_123",
        "AIzaSyA1234567890abcdefghij",
        "gsk_abcdef123456",
        "bad-key",
    ],
)
@pytest.mark.parametrize("name", ["openai", "anthropic", "google"])
def test_a_key_in_a_providers_message_is_redacted(name, secret):
    said = f"Incorrect API key provided: {secret}. See your account."
    error = provider(name).error(401, {}, {"error": {"message": said, "type": "x", "status": "UNAUTHENTICATED"}})
    assert secret not in str(error)
    assert str(error).endswith("See your account.")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Tue, 24 Nov 2026 00:00:10 GMT", "date": "Tue, 24 Nov 2026 00:00:00 GMT"}, 10),
        ({"retry-after": "Tue, 24 Nov 2026 00:00:00 GMT", "date": "Tue, 24 Nov 2026 00:00:10 GMT"}, 0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("name", ["openai", "anthropic", "google"])
def test_the_time_to_wait_is_read_in_every_form(name, headers, seconds):
    assert provider(name).error(429, headers, {}).retry_after_s == seconds
