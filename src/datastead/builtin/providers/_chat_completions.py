"""OpenAI's Chat Completions, which compatible endpoints speak too: a call as its JSON, and its answers as events.

Sources: platform.openai.com/docs/api-reference/chat and /chat-streaming, 2026-11.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from uuid import uuid4

from datastead import Decoder
from datastead.builtin.providers._content import (
    PDF,
    base64,
    data_url,
    inline_text,
    is_image,
    merged,
    service_tier,
    unsupported,
)
from datastead.builtin.providers._openai_errors import error_in
from datastead.builtin.providers._pieces import Pieces
from datastead.builtin.providers._reading import an_object, arguments, objects, string
from datastead.builtin.providers._responses import cache_options, effort_of
from datastead.builtin.providers._schemas import closed, for_openai, is_strict
from datastead.builtin.providers._usage import openai_usage
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

THOUGHTS = ("reasoning_content", "reasoning")
"""The fields in which endpoints show their reasoning: DeepSeek, Kimi and older vLLM; Ollama, OpenRouter and vLLM."""

DETAILS = "reasoning_details"
"""OpenRouter's field for reasoning as the model's own vendor wants it back: summaries, signatures, encrypted parts."""

_AUDIO_FORMATS = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}


def request_body(call: Call, *, openai_reasoning: bool, openai: bool = False) -> dict[str, Any]:
    """The call as JSON.

    openai_reasoning: the model is one of OpenAI's reasoning models, which refuse `max_tokens` and any temperature.
    openai: it goes to OpenAI, which can be told how long to keep the prompt's beginning.
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
        "parallel_tool_calls": call.parallel_tools if call.tools else None,
        "response_format": _format(call.schema, openai=openai) if call.schema is not None else None,
        "stream": call.stream or None,
        "stream_options": {"include_usage": True} if call.stream else None,
        "service_tier": service_tier(call, ("flex", "priority"), "Chat Completions"),
    }
    if openai and call.prompt_cache:
        body |= cache_options(call)
    return merged(body, call.provider_options)


def _system(call: Call) -> list[dict[str, Any]]:
    return [{"role": "system", "content": call.system}] if call.system else []


def _function(tool: Any) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "parameters": tool.input_schema}


def _tool_choice(call: Call) -> str | dict[str, Any]:
    if call.tool_choice in {"auto", "none", "required"}:
        return call.tool_choice
    return {"type": "function", "function": {"name": call.tool_choice}}


def _format(schema: Mapping[str, Any], *, openai: bool) -> dict[str, Any]:
    sent, strict = for_openai(schema) if openai else (closed(schema), is_strict(schema))
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": sent, "strict": strict}}


def _messages(message: Message) -> Iterator[dict[str, Any]]:
    """The wire's messages of one of ours: a tool result is a message of its own.

    Reasoning goes back in the field that it came in: OpenRouter's always, other endpoints' where it led to a call, as
    DeepSeek and Kimi refuse the turn without it; DeepSeek's R1, which called no tools, refuses it anywhere else.
    """
    for part in message.parts:
        if isinstance(part, ToolResult):
            yield {"role": "tool", "tool_call_id": part.id, "content": part.content}
    shown = [part for part in message.parts if isinstance(part, Text | Attachment)]
    calls = [_wire_call(part) for part in message.parts if isinstance(part, ToolCall)]
    if message.role == "assistant":
        said = {"role": "assistant", "content": message.text or None, **_thoughts_of(message, with_calls=bool(calls))}
        yield said | ({"tool_calls": calls} if calls else {})
    elif shown:
        yield {"role": "user", "content": _content(shown)}


def _thoughts_of(message: Message, *, with_calls: bool) -> dict[str, Any]:
    kept = [part.opaque for part in message.parts if isinstance(part, Reasoning) and part.opaque is not None]
    details = [entry for opaque in kept for entry in objects(opaque.get(DETAILS))]
    if details:
        return {DETAILS: details}
    fields = {name: opaque[name] for opaque in kept for name in THOUGHTS if name in opaque}
    return fields if with_calls else {}


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
    choices = objects(body.get("choices"))
    stream = _Stream(provider)
    error = error_object(body, choices)
    if error:
        yield from stream.usage(body)  # what was used before it failed is paid
        raise error_in(provider, error)
    if not choices:
        raise ProviderUnavailable("The provider's answer has no choices.", provider=provider)
    reason = string(choices[0].get("finish_reason")) or "stop"
    whole = {"delta": choices[0].get("message"), "finish_reason": reason}
    # In a stream the usage follows the end; here there is no such order to keep.
    *found, finished = stream.events({**body, "choices": [whole], "usage": None})
    yield from found
    yield from stream.usage(body)
    yield finished


def error_object(chunk: Mapping[str, Any], choices: list[Mapping[str, Any]]) -> Any:
    """The error in a chunk or an answer: of its own, of a choice (OpenRouter), or the whole of it (older vLLM)."""
    found = chunk.get("error") or next((choice["error"] for choice in choices if choice.get("error")), None)
    return found or (chunk if chunk.get("object") == "error" else None)


def decoder(provider: str) -> Decoder:
    """Events of one stream, chunk by chunk. Chunks of nothing but text, nearly all of a stream, take the short way."""
    slow = _Stream(provider)

    def decode(chunks: Iterable[dict[str, Any]], events: list[StreamEvent]) -> None:
        with Pieces(events) as pieces:
            for chunk in chunks:
                if slow.is_plain:
                    try:
                        choice = chunk["choices"][0]
                        delta = choice["delta"]
                        text = delta["content"]
                        only = len(delta) == 1 or (len(delta) == 2 and "role" in delta)
                        if only and text.__class__ is str and not choice["finish_reason"] and not chunk.get("usage"):
                            pieces.append(text)
                            continue
                    except (KeyError, IndexError, TypeError):
                        pass  # not such a chunk: the careful reader below takes any shape
                pieces.join()
                events += slow.events(chunk)

    return Decoder(decode)


class _Stream:
    """What has to be remembered in a stream: calls whose arguments are still coming, and reasoning so far.

    is_plain: it has started, and no reasoning is open.
    """

    def __init__(self, provider: str) -> None:
        self.is_plain = False
        self._started = False
        self._provider = provider
        self._calls = _Calls()
        self._thought = _Thought()
        self._tier: object = None
        self._counted = False
        self._refused = False
        self._finished = False

    def events(self, chunk: Mapping[str, Any]) -> Iterator[StreamEvent]:
        choices = objects(chunk.get("choices"))
        error = error_object(chunk, choices)
        if error:
            yield from self.usage(chunk)
            raise error_in(self._provider, error)
        self._tier = chunk.get("service_tier") or self._tier
        if not self._started:
            self._started = True
            yield Started(string(chunk.get("id")) or None, string(chunk.get("model")) or None)
        for choice in choices[:1]:
            yield from self._choice(choice)
        self.is_plain = not self._thought.is_open
        yield from self.usage(chunk)

    def usage(self, chunk: Mapping[str, Any]) -> Iterator[StreamEvent]:
        """What was used in all so far. Zeros take back nothing that was counted before."""
        raw = an_object(chunk.get("usage"))
        at_end = self._finished or "choices" not in chunk
        usage = openai_usage(raw, "prompt", "completion", tier=self._tier, at_end=at_end) if raw else None
        if usage is not None and (usage.total or not self._counted):
            self._counted = True
            yield UsageReport(usage)

    def _choice(self, choice: Mapping[str, Any]) -> Iterator[StreamEvent]:
        delta = an_object(choice.get("delta"))
        shown = self._thought.add(delta)
        if shown:
            yield ReasoningDelta(shown)
        text, refusal = _text_of(delta.get("content")), string(delta.get("refusal"))
        self._refused = self._refused or bool(refusal)
        calls = objects(delta.get("tool_calls"))
        if text or refusal or calls:
            yield from self._thought.done()
        if text or refusal:
            yield TextDelta(text or refusal)
        for position, call in enumerate(calls):
            yield self._calls.add(call, position)
        reason = string(choice.get("finish_reason"))
        if reason and not self._finished:
            self._finished = True
            yield from self._finish(reason)

    def _finish(self, reason: str) -> Iterator[StreamEvent]:
        yield from self._thought.done()
        calls = list(self._calls.done())
        yield from calls
        known = _FINISH.get(reason, "other")
        known = "tool-calls" if calls and known == "stop" else "content-filter" if self._refused else known
        yield Finished(known, reason)


class _Thought:
    """Reasoning that is under way: the wire does not mark its end, but what follows does."""

    def __init__(self) -> None:
        self._text: dict[str, list[str]] = {}
        self._details: list[dict[str, Any]] = []

    @property
    def is_open(self) -> bool:
        return bool(self._text or self._details)

    def add(self, delta: Mapping[str, Any]) -> str:
        """What the delta shows of it."""
        details = objects(delta.get(DETAILS))
        for entry in details:
            self._add_detail(entry)
        name = next((name for name in THOUGHTS if string(delta.get(name))), None)
        text = string(delta.get(name)) if name else "".join(map(_detail_text, details))
        if text:
            self._text.setdefault(name or DETAILS, []).append(text)
        return text

    def _add_detail(self, entry: Mapping[str, Any]) -> None:
        """A piece of an entry is put to the one before it, if that has its place and kind."""
        last = self._details[-1] if self._details else None
        place = entry.get("index"), entry.get("type")
        if last is None or entry.get("index") is None or (last.get("index"), last.get("type")) != place:
            self._details.append(dict(entry))
            return
        for name, value in entry.items():
            if name in _DETAIL_PIECES and isinstance(value, str):
                last[name] = string(last.get(name)) + value
            elif value is not None:
                last[name] = value

    def done(self) -> Iterator[StreamEvent]:
        if not self.is_open:
            return
        shown = {name: "".join(pieces) for name, pieces in self._text.items()}
        opaque = {DETAILS: self._details} if self._details else shown
        self._text, self._details = {}, []
        yield ReasoningDone(Reasoning("".join(shown.values()), opaque))


_DETAIL_PIECES = frozenset({"text", "summary", "data"})


def _detail_text(entry: Mapping[str, Any]) -> str:
    return string(entry.get("text")) or string(entry.get("summary"))


class _Calls:
    """Tool calls whose arguments are coming, in the order in which they began."""

    def __init__(self) -> None:
        self._begun: list[dict[str, Any]] = []
        self._open: dict[int, dict[str, Any]] = {}

    def add(self, piece: Mapping[str, Any], position: int) -> StreamEvent:
        """The event of a piece, which belongs to the open call of its index, or begins another."""
        function = an_object(piece.get("function"))
        index, name, text = piece.get("index"), string(function.get("name")), _json_text(function.get("arguments"))
        key = index if isinstance(index, int) else position
        call = self._open.get(key)
        begins = call is None or _is_another(call, string(piece.get("id")), name)
        if call is None or begins:
            call = self._open[key] = _begun(piece, name)
            self._begun.append(call)
        call["arguments"].append(text)
        return ToolCallDelta(call["id"], call["name"] if begins else None, text)

    def done(self) -> Iterator[StreamEvent]:
        begun, self._begun, self._open = self._begun, [], {}
        for call in begun:
            given = arguments("".join(call["arguments"]), call["name"])
            yield ToolCallDone(ToolCall(call["id"], call["name"], given, call["opaque"]))


def _is_another(call: Mapping[str, Any], call_id: str, name: str) -> bool:
    """Whether a piece begins a new call at an index that is taken: some servers send 0, or none, with each call."""
    if call_id:
        return bool(call_id != call["id"] and call["has_id"])
    return bool(name) and _is_whole("".join(call["arguments"]))


def _is_whole(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _json_text(given: object) -> str:
    """Arguments as text; some servers send the object itself."""
    return json.dumps(given, ensure_ascii=False) if isinstance(given, Mapping) else string(given)


def _begun(piece: Mapping[str, Any], name: str) -> dict[str, Any]:
    extra = piece.get("extra_content")  # Google's thought signature, which it wants back
    opaque = {"extra_content": extra} if isinstance(extra, Mapping) else None
    own_id = string(piece.get("id"))
    made = own_id or f"call_{uuid4().hex}"
    return {"id": made, "has_id": bool(own_id), "name": name, "arguments": [], "opaque": opaque}


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
