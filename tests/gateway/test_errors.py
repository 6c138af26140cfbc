"""Errors as the official client maps them, and nothing a client sends is a mistake of the server's."""

import json
from typing import Any

import openai
import pytest

from datastead.testing import Simulator

from .conftest import WIRES, Gateway

ASK: Any = [{"role": "user", "content": "Say hello."}]


@pytest.mark.parametrize(
    ("kind", "error", "code"),
    [
        ("rate-limit", openai.RateLimitError, "rate_limit_exceeded"),
        ("context-length", openai.BadRequestError, "context_length_exceeded"),
        ("model-not-found", openai.NotFoundError, "model_not_found"),
        ("quota", openai.APIStatusError, "insufficient_quota"),
        ("bad-key", openai.InternalServerError, "invalid_api_key"),
        ("unavailable", openai.InternalServerError, "provider_unavailable"),
    ],
)
def test_a_providers_failure_is_the_clients_exception(
    gateway: Gateway, simulator: Simulator, kind: str, error: type[openai.APIStatusError], code: str
) -> None:
    simulator.default({"kind": kind, "retry_after_s": 90})
    with pytest.raises(error) as caught:
        gateway.client().chat.completions.create(model="claude-haiku-4-5", messages=ASK)
    assert caught.value.code == code
    assert caught.value.response.headers["x-should-retry"] in {"true", "false"}
    if kind == "rate-limit":
        assert caught.value.response.headers["retry-after"] == "90"
    assert "sk-upstream" not in caught.value.response.text


def test_a_wrong_token_is_an_authentication_error(gateway: Gateway) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        gateway.client("no-such-token").chat.completions.create(model="local", messages=ASK)
    assert caught.value.code == "invalid_api_key"
    with pytest.raises(openai.AuthenticationError):
        gateway.client("a.b.c").models.list()


def test_nobody_calls_a_model_without_a_token(gateway: Gateway, simulator: Simulator) -> None:
    for path in ("chat/completions", "responses", "embeddings"):
        answer = gateway.post(f"/ai/v1/{path}", {"model": "local", "messages": ASK}, token=None)
        assert (answer.status, answer.json["error"]["code"]) == (401, "invalid_api_key")
    assert gateway.get("/ai/v1/models", token=None).status == 401
    assert gateway.post("/ai/generate", {"model": "local", "prompt": "Hi"}, token=None).code == "INVALID_CREDENTIALS"
    assert simulator.requests == []


def test_a_model_that_is_not_there_is_named_with_what_is_like_it(gateway: Gateway) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        gateway.client().chat.completions.create(model="openai/gpt-4.1-minii", messages=ASK)
    assert caught.value.code == "model_not_found"
    assert "gpt-4.1-mini" in caught.value.message


BAD: list[tuple[Any, str | None]] = [
    ({}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": "hi"}, "messages"),
    ({"messages": [{"role": "nobody", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content[0].type"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
    ({"messages": [{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{"}}]}]},
     "messages[0].tool_calls[0].function.arguments"),
    ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:x"}}]}]},
     "messages[0].content[0].image_url.url"),
    ({"messages": ASK, "n": 2}, "n"),
    ({"messages": ASK, "logprobs": True}, "logprobs"),
    ({"messages": ASK, "functions": [{"name": "f"}]}, "functions"),
    ({"messages": ASK, "modalities": ["audio"]}, "modalities"),
    ({"messages": ASK, "max_tokens": -1}, "max_tokens"),
    ({"messages": ASK, "temperature": "hot"}, "temperature"),
    ({"messages": ASK, "stop": {"a": 1}}, "stop"),
    ({"messages": ASK, "stop": 7}, "stop"),
    ({"messages": ASK, "tools": [{"type": "magic"}]}, "tools[0].type"),
    ({"messages": ASK, "tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
    ({"messages": ASK, "tool_choice": 3}, "tool_choice"),
    ({"messages": ASK, "response_format": {"type": "xml"}}, "response_format.type"),
    ({"messages": ASK, "reasoning_effort": "huge"}, "reasoning_effort"),
    ({"messages": ASK, "reasoning": "yes"}, "reasoning"),
    ({"messages": ASK, "datastead": {"keyy": "x"}}, "keyy"),
    ({"messages": ASK, "datastead": {"key": 7}}, "key"),
    ({"messages": ASK, "model": None}, "model"),
    ({"messages": ASK, "model": 7}, "model"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "parameter"), BAD, ids=lambda value: json.dumps(value)[:60])
def test_bad_input_is_a_400_that_names_the_parameter(gateway: Gateway, body: Any, parameter: str | None) -> None:
    answer = gateway.post("/ai/v1/chat/completions", {"model": "local", **body})
    assert (answer.status, answer.json["error"]["param"]) == (400, parameter), answer.body
    assert answer.json["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", ["/ai/v1/chat/completions", "/ai/v1/responses", "/ai/generate"])
@pytest.mark.parametrize("body", [[], "text", 7, None, {"model": "local", "messages": [[]], "input": [[]]}])
def test_a_body_of_another_shape_is_a_400(gateway: Gateway, path: str, body: Any) -> None:
    assert gateway.post(path, body).status == 400


def test_an_error_in_the_middle_of_a_stream_is_the_clients_exception(
    gateway: Gateway, simulator: Simulator, wire: str
) -> None:
    simulator.default({"kind": "error-in-stream", "text": "aa bb cc dd ee", "chunks": 5, "after_chunks": 2})
    texts: list[str] = []
    with pytest.raises(openai.APIError) as caught:
        chunks = gateway.client().chat.completions.create(model=WIRES[wire], messages=ASK, stream=True)
        texts.extend(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert "".join(texts) == "aa bb "
    assert caught.value.code
    assert gateway.rows()[-1]["usage_source"] == "estimated"


def test_a_path_that_there_is_not_is_a_404(gateway: Gateway) -> None:
    answer = gateway.post("/ai/v1/images/generations", {})
    assert (answer.status, answer.json["error"]["code"]) == (404, "unknown_url")


def test_a_limit_of_ours_is_a_rate_limit_error_that_says_when_to_come_again(own_gateway: Gateway) -> None:
    own_gateway.budget(limit_requests=1, window="minute")
    chat = own_gateway.client().chat.completions
    chat.create(model="local", messages=ASK, max_tokens=50)
    with pytest.raises(openai.RateLimitError) as caught:
        chat.create(model="local", messages=ASK, max_tokens=50)
    headers = caught.value.response.headers
    assert caught.value.code == "rate_limit_exceeded"
    assert 0 <= int(headers["retry-after"]) <= 60
    assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == ("1", "0")


def test_a_budget_that_is_used_up_is_a_402_that_is_not_tried_again(own_gateway: Gateway) -> None:
    own_gateway.budget(limit_nano_usd=1)
    for path, code in (("/ai/v1/chat/completions", "budget_exceeded"), ("/ai/v1/responses", "budget_exceeded")):
        answer = own_gateway.post(path, {"model": "local", "messages": ASK, "input": "Hi", "stream": True})
        assert (answer.status, answer.json["error"]["code"]) == (402, code)
        assert answer.json["error"]["datastead"]["left"] == pytest.approx(1e-9)
        assert answer.headers["x-should-retry"] == "false"
    answer = own_gateway.post("/ai/generate", {"model": "local", "prompt": "Hi"})
    assert (answer.status, answer.code) == (402, "BUDGET_EXCEEDED")
