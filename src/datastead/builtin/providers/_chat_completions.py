"""OpenAI's Chat Completions, which compatible endpoints speak too: a call as its JSON, and its answers as events.

Sources: platform.openai.com/docs/api-reference/chat and /chat-streaming, 2026-11.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from uuid import uuid4

from datastead.builtin.providers._content import (
    PDF,
    base64,
    closed,
    data_url,
    inline_text,
    is_image,
    is_strict,
    merged,
    unsupported,
)
from datastead.builtin.providers._openai_errors import error_in
from datastead.builtin.providers._reading import an_object, arguments, objects, openai_usage, string
from datastead.builtin.providers._responses import effort_of
from datastead.errors import ProviderUnavailable
from datastead.messages import (
    Attachment,
    Call,
    Finished,
    FinishReason,
    Message,
    Reasoning,
    ReasoningDelta,
    ReasoningDone,
    Started,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallDone,
    ToolResult,
    UsageReport,
)

_AUDIO_FORMATS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}


def request_body(call: Call, *, openai_reasoning: bool) -> dict[str, Any]:
    """The call as JSON.

    openai_reasoning: the model is one of OpenAI's reasoning models, which refuse `max_tokens` and any temperature.
    """
    body = {
        "model": call.model,
        "messages": [*_system(call), *(wire for message in call.messages for wire in _messages(message))],
        "max_completion_tokens" if openai_reasoning else "max_tokens": call.max_tokens,
        "temperature": None if openai_reasoning else call.temperature,
        "top_p": None if openai_reasoning else call.top_p,
        "stop": list(call.stop) or None,
        "reasoning_effort": effort_of(call),
        "tools": [{"type": "function", "function": _function(tool)} for tool in call.tools] or None,
        "tool_choice": _tool_choice(call) if call.tools else None,
        "response_format": _format(call.schema) if call.schema is not None else None,
        "stream": call.stream or None,
        "stream_options": {"include_usage": True} if call.stream else None,
    }
    return merged(body, call.provider_options)


def _system(call: Call) -> list[dict[str, Any]]:
    return [{"role": "system", "content": call.system}] if call.system else []


def _function(tool: Any) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "parameters": tool.input_schema}


def _tool_choice(call: Call) -> str | dict[str, Any]:
    if call.tool_choice in {"auto", "none", "required"}:
        return call.tool_choice
    return {"type": "function", "function": {"name": call.tool_choice}}


def _format(schema: Mapping[str, Any]) -> dict[str, Any]:
    named = {"name": "answer", "schema": closed(schema), "strict": is_strict(schema)}
    return {"type": "json_schema", "json_schema": named}


def _messages(message: Message) -> Iterator[dict[str, Any]]:
    """The wire's messages of one of ours: a tool result is a message of its own. Reasoning is not sent back."""
    for part in message.parts:
        if isinstance(part, ToolResult):
            yield {"role": "tool", "tool_call_id": part.id, "content": part.content}
    shown = [part for part in message.parts if isinstance(part, Text | Attachment)]
    calls = [_wire_call(part) for part in message.parts if isinstance(part, ToolCall)]
    if message.role == "assistant":
        yield {"role": "assistant", "content": message.text or None} | ({"tool_calls": calls} if calls else {})
    elif shown:
        yield {"role": "user", "content": _content(shown)}


def _content(parts: list[Text | Attachment]) -> str | list[dict[str, Any]]:
    """Plain text as a string, as some compatible endpoints take nothing else."""
    if all(isinstance(part, Text) for part in parts):
        return "".join(part.text for part in parts if isinstance(part, Text))
    return [{"type": "text", "text": part.text} if isinstance(part, Text) else _file(part) for part in parts]


def _file(part: Attachment) -> dict[str, Any]:
    text = inline_text(part)
    if text is not None:
        return {"type": "text", "text": text}
    if is_image(part) and part.file_id is None:
        return {"type": "image_url", "image_url": {"url": data_url(part)}}
    if part.file_id is not None and not is_image(part):
        return {"type": "file", "file": {"file_id": part.file_id}}
    if part.data is not None and part.media_type == PDF:
        return {"type": "file", "file": {"filename": part.filename or "file.pdf", "file_data": data_url(part)}}
    if part.data is not None and part.media_type in _AUDIO_FORMATS:
        sound = {"data": base64(part.data), "format": _AUDIO_FORMATS[part.media_type]}
        return {"type": "input_audio", "input_audio": sound}
    raise unsupported(part, "Chat Completions")


def _wire_call(part: ToolCall) -> dict[str, Any]:
    function = {"name": part.name, "arguments": json.dumps(part.arguments, ensure_ascii=False)}
    extra = {} if part.opaque is None else {key: part.opaque[key] for key in ("extra_content",) if key in part.opaque}
    return {"id": part.id, "type": "function", "function": function, **extra}


def events(body: Mapping[str, Any], provider: str) -> Iterator[StreamEvent]:
    """The events of a whole answer: read as a stream of one chunk, so that both are understood by the same code."""
    if body.get("error"):
        raise error_in(provider, body["error"])
    choices = objects(body.get("choices"))
    if not choices:
        raise ProviderUnavailable("The provider's answer has no choices.", provider=provider)
    reason = string(choices[0].get("finish_reason")) or "stop"
    whole = {"delta": choices[0].get("message"), "finish_reason": reason}
    stream = _Stream(provider)
    found = [*stream.events({**body, "choices": [whole], "usage": None}), *stream.usage(body)]
    # In a stream the usage follows the end; here there is no such order to keep.
    yield from (event for event in found if not isinstance(event, Finished))
    yield from (event for event in found if isinstance(event, Finished))


def decoder(provider: str) -> Callable[[dict[str, Any]], Iterable[StreamEvent]]:
    """Events of one stream, chunk by chunk. Chunks of nothing but text, nearly all of a stream, take the short way."""
    slow = _Stream(provider)

    def decode(chunk: dict[str, Any]) -> Iterable[StreamEvent]:
        if slow.started and not slow.reasoning:
            try:
                choice = chunk["choices"][0]
                delta = choice["delta"]
                text = delta["content"]
                if text.__class__ is str and len(delta) == 1 and not choice["finish_reason"] and not chunk.get("usage"):
                    return (TextDelta(text),) if text else ()
            except (KeyError, IndexError, TypeError):
                pass  # not such a chunk: the careful reader below takes any shape
        return slow.events(chunk)

    return decode


class _Stream:
    """What has to be remembered in a stream: calls whose arguments are still coming, and reasoning so far."""

    def __init__(self, provider: str) -> None:
        self.started = False
        self._provider = provider
        self._calls: dict[int, dict[str, Any]] = {}
        self.reasoning: list[str] = []
        self._refused = False
        self._finished = False

    def events(self, chunk: Mapping[str, Any]) -> Iterator[StreamEvent]:
        if chunk.get("error"):
            raise error_in(self._provider, chunk["error"])
        if not self.started:
            self.started = True
            yield Started(string(chunk.get("id")) or None, string(chunk.get("model")) or None)
        for choice in objects(chunk.get("choices"))[:1]:
            yield from self._choice(choice)
        yield from self.usage(chunk)

    def usage(self, chunk: Mapping[str, Any]) -> Iterator[StreamEvent]:
        usage = openai_usage(an_object(chunk.get("usage")), "prompt", "completion")
        if usage is not None:
            yield UsageReport(usage)

    def _choice(self, choice: Mapping[str, Any]) -> Iterator[StreamEvent]:
        delta = an_object(choice.get("delta"))
        yield from self._thoughts(delta)
        text, refusal = _text_of(delta.get("content")), string(delta.get("refusal"))
        self._refused = self._refused or bool(refusal)
        if text or refusal:
            yield from self._thought()
            yield TextDelta(text or refusal)
        for position, call in enumerate(objects(delta.get("tool_calls"))):
            yield from self._thought()
            yield from self._call(call, position)
        reason = string(choice.get("finish_reason"))
        if reason and not self._finished:
            self._finished = True
            yield from self._finish(reason)

    def _thoughts(self, delta: Mapping[str, Any]) -> Iterator[StreamEvent]:
        text = string(delta.get("reasoning_content")) or string(delta.get("reasoning"))
        if text:
            self.reasoning.append(text)
            yield ReasoningDelta(text)

    def _thought(self) -> Iterator[StreamEvent]:
        """The end of reasoning: the wire does not mark it, but what follows does."""
        if self.reasoning:
            text, self.reasoning = "".join(self.reasoning), []
            yield ReasoningDone(Reasoning(text))

    def _call(self, piece: Mapping[str, Any], position: int) -> Iterator[StreamEvent]:
        index = piece.get("index")
        key = index if isinstance(index, int) else position
        function = an_object(piece.get("function"))
        text = string(function.get("arguments"))
        call = self._calls.get(key)
        if call is None:
            call = self._calls[key] = _begun(piece, string(function.get("name")))
            yield ToolCallDelta(call["id"], call["name"], text)
        elif text:
            yield ToolCallDelta(call["id"], arguments=text)
        call["arguments"].append(text)

    def _finish(self, reason: str) -> Iterator[StreamEvent]:
        yield from self._thought()
        calls, self._calls = self._calls, {}
        for call in calls.values():
            given = arguments("".join(call["arguments"]), call["name"])
            yield ToolCallDone(ToolCall(call["id"], call["name"], given, call["opaque"]))
        known = _FINISH.get(reason, "other")
        known = "tool-calls" if calls and known == "stop" else "content-filter" if self._refused else known
        yield Finished(known, reason)


def _begun(piece: Mapping[str, Any], name: str) -> dict[str, Any]:
    extra = piece.get("extra_content")  # Google's thought signature, which it wants back
    opaque = {"extra_content": extra} if isinstance(extra, Mapping) else None
    return {"id": string(piece.get("id")) or f"call_{uuid4().hex}", "name": name, "arguments": [], "opaque": opaque}


def _text_of(content: object) -> str:
    """Text, or the text of a list of parts, as some compatible endpoints send it."""
    if isinstance(content, str):
        return content
    return "".join(string(part.get("text")) for part in objects(content) if part.get("type") == "text")


_FINISH: Mapping[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool-calls",
    "function_call": "tool-calls",
    "content_filter": "content-filter",
    "error": "error",
}
