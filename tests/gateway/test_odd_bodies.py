"""A value of another kind at each place of a request, one after the other: never a mistake of the server's."""

from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import PIXEL, Gateway

ODD: list[Any] = [None, 7, [], ["a"], {"type": ["a"]}]
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}, "extra_content": {"google": {}}}
CHAT = {
    "model": "local",
    "messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "x"}}]},
        {
            "role": "assistant",
            "content": "ok",
            "tool_calls": [CALL],
            "reasoning_details": [{"data": "datastead.v1.e30="}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "r"},
    ],
    "max_tokens": 50,
    "stop": ["x"],
    "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}],
    "tool_choice": "auto",
    "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}},
    "reasoning_effort": "low",
    "reasoning": {"max_tokens": 100},
    "thinking": {"type": "enabled"},
    "user": "u",
    "metadata": {"purpose": "p"},
    "stream": False,
    "stream_options": {"include_usage": True},
    "n": 1,
    "datastead": {"purpose": "x", "fallbacks": ["local"], "timeout": 5},
}
RESPONSES = {
    "model": "local",
    "instructions": "i",
    "input": [
        {"role": "user", "content": [{"type": "input_text", "text": "hi"}, {"type": "input_file", "file_id": "f"}]},
        {"type": "reasoning", "summary": [], "encrypted_content": "datastead.v1.e30="},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "r"},
    ],
    "tools": [{"type": "function", "name": "f", "parameters": SCHEMA}],
    "tool_choice": {"type": "function", "name": "f"},
    "text": {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}},
    "reasoning": {"effort": "low", "summary": "auto"},
    "stream": True,
}
NATIVE = {
    "model": "local",
    "prompt": "p",
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "x"}]},
        {"role": "assistant", "content": [{"type": "tool-call", "id": "c", "name": "f", "arguments": {}}]},
        {"role": "tool", "content": [{"type": "tool-result", "id": "c", "name": "f", "content": {}}]},
    ],
    "attachments": [{"type": "data", "data": PIXEL, "mediaType": "image/png"}],
    "tools": [{"name": "f", "description": "d", "inputSchema": SCHEMA}],
    "toolChoice": "auto",
    "schema": SCHEMA,
    "fallbacks": ["local"],
    "overflow": "truncate",
    "timeout": 5,
    "key": "odd",
    "stream": False,
}
VECTORS = {"model": "text-embedding-3-small", "input": ["a"], "dimensions": 5, "encoding_format": "float", "user": "u"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/ai/v1/chat/completions", CHAT),
        ("/ai/v1/responses", RESPONSES),
        ("/ai/generate", NATIVE),
        ("/ai/v1/embeddings", VECTORS),
    ],
)
def test_no_value_at_any_place_is_a_mistake_of_the_servers(gateway: Gateway, path: str, body: Any) -> None:
    for place in _places(body):
        for odd in ODD:
            answer = gateway.post(path, _with(body, place, odd))
            assert answer.status < 500 or "Something went wrong" not in answer.body, (place, odd)


def _places(value: Any, so_far: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if so_far:
        yield so_far
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield from _places(value[key], (*so_far, key))


def _with(value: Any, place: tuple[Any, ...], odd: Any) -> Any:
    if not place:
        return odd
    copied = value.copy()
    copied[place[0]] = _with(value[place[0]], place[1:], odd)
    return copied
