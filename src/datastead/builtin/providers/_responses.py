"""OpenAI's Responses API: a call as its JSON, and its answers, streamed or whole, as events.

Sources: platform.openai.com/docs/api-reference/responses and /responses-streaming, 2026-11.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from datastead import Decoder
from datastead.builtin.providers._content import (
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
from datastead.builtin.providers._schemas import closed, for_openai, is_strict
from datastead.builtin.providers._usage import openai_usage
from datastead.errors import ProviderUnavailable, UnsupportedCapability
from datastead.messages import (
    Attachment,
    Call,
    Effort,
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

if TYPE_CHECKING:
    from datastead import ModelDefinition

_KEEPS_LONG = re.compile(r"(^|/)gpt-(4\.1|5)")
_NOT_MINIMAL = re.compile(r"(^|/)(o\d|gpt-5\.\d)")
"""OpenAI's models that have no effort below `low`."""

ENCRYPTED_REASONING = "reasoning.encrypted_content"


def effort_of(call: Call) -> Effort | None:
    """How much to reason, where the call says so. Thresholds of `budget_tokens` are ours: OpenAI has no budget."""
    if call.effort is not None:
        return "low" if call.effort == "minimal" and _NOT_MINIMAL.search(call.model) else call.effort
    if call.budget_tokens is not None:
        return "low" if call.budget_tokens < 4_096 else "medium" if call.budget_tokens < 16_384 else "high"
    return "medium" if call.enable_reasoning else None


def request_body(model: "ModelDefinition", call: Call, *, openai: bool = False) -> dict[str, Any]:
    """The call as JSON. Stateless: nothing is stored, and reasoning comes back encrypted, to be sent again.

    Reasoning models take no temperature and no top_p; no model takes stop sequences here.
    openai: it goes to OpenAI, which can be told how long to keep the prompt's beginning.
    """
    if call.stop:
        raise UnsupportedCapability(
            f"`{call.model}` takes no stop sequences through the Responses API.", model=call.model, option="stop"
        )
    body = {
        "model": call.model,
        "instructions": call.system,
        "input": [item for message in call.messages for item in _items(message)],
        "max_output_tokens": call.max_tokens,
        "temperature": None if model.reasoning else call.temperature,
        "top_p": None if model.reasoning else call.top_p,
        "reasoning": _reasoning(call),
        "include": [ENCRYPTED_REASONING] if model.reasoning else None,
        "tools": [_tool(tool.name, tool.description, tool.input_schema) for tool in call.tools] or None,
        "tool_choice": _tool_choice(call) if call.tools else None,
        "parallel_tool_calls": call.parallel_tools if call.tools else None,
        "text": {"format": _format(call.schema, openai=openai)} if call.schema is not None else None,
        "store": False,
        "stream": call.stream or None,
        "service_tier": service_tier(call, ("flex", "priority"), "OpenAI's Responses API"),
    }
    if openai and call.prompt_cache:
        body |= cache_options(call)
    return merged(body, call.provider_options)


def cache_options(call: Call) -> dict[str, Any]:
    """Where OpenAI shall keep the prompt's beginning: by a key of what calls of a kind share; and how long.

    It keeps every prompt for five minutes and more by itself; models since GPT-4.1 can keep it for a day.
    """
    shared = json.dumps([call.model, call.system, [tool.name for tool in call.tools]])
    key = {"prompt_cache_key": sha256(shared.encode()).hexdigest()[:32]}
    lasting = call.prompt_cache == "1h" and _KEEPS_LONG.search(call.model)
    return {**key, "prompt_cache_retention": "24h"} if lasting else key


def _reasoning(call: Call) -> dict[str, Any] | None:
    effort = effort_of(call)
    summary = {"summary": "auto"} if call.enable_reasoning else {}
    return {"effort": effort, **summary} if effort is not None else None


def _tool(name: str, description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "function", "name": name, "description": description, "parameters": schema, "strict": False}


def _tool_choice(call: Call) -> str | dict[str, Any]:
    if call.tool_choice in {"auto", "none", "required"}:
        return call.tool_choice
    return {"type": "function", "name": call.tool_choice}


def _format(schema: Mapping[str, Any], *, openai: bool) -> dict[str, Any]:
    sent, strict = for_openai(schema) if openai else (closed(schema), is_strict(schema))
    return {"type": "json_schema", "name": "answer", "schema": sent, "strict": strict}


def _items(message: Message) -> Iterator[dict[str, Any]]:
    """The input items of a message. Text and attachments that stand together are one item; the rest, one each."""
    content: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, Text | Attachment):
            content.append(_content(part, message.role))
            continue
        if content:
            yield {"role": message.role, "content": content}
            content = []
        yield from _item(part)
    if content:
        yield {"role": message.role, "content": content}


def _item(part: Reasoning | ToolCall | ToolResult) -> Iterator[dict[str, Any]]:
    if isinstance(part, ToolCall):
        text = json.dumps(part.arguments, ensure_ascii=False)
        yield {"type": "function_call", "call_id": part.id, "name": part.name, "arguments": text}
    elif isinstance(part, ToolResult):
        yield {"type": "function_call_output", "call_id": part.id, "output": part.content}
    elif part.opaque is not None and part.opaque.get("type") == "reasoning":
        yield dict(part.opaque)


def _content(part: Text | Attachment, role: str) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "output_text" if role == "assistant" else "input_text", "text": part.text}
    if is_image(part):
        return {"type": "input_image", "detail": "auto", **_where(part, "file_id", "image_url")}
    text = inline_text(part)
    if text is not None:
        return {"type": "input_text", "text": text}
    if part.media_type.startswith(("audio/", "video/")):
        raise unsupported(part, "OpenAI's Responses API")
    named = {"filename": part.filename or "file"} if part.data is not None else {}
    return {
        "type": "input_file",
        **named,
        **_where(part, "file_id", "file_data" if part.data is not None else "file_url"),
    }


def _where(part: Attachment, by_id: str, by_url: str) -> dict[str, str]:
    return {by_id: part.file_id} if part.file_id is not None else {by_url: data_url(part)}


def events(body: Mapping[str, Any], provider: str) -> Iterator[StreamEvent]:
    """The events of a whole answer."""
    if not isinstance(body.get("output"), list):
        raise ProviderUnavailable("The provider's answer is not a Responses object.", provider=provider)
    yield Started(string(body.get("id")) or None, string(body.get("model")) or None)
    for item in objects(body["output"]):
        yield from _item_events(item)
    yield from _end(body, provider)


def _item_events(item: Mapping[str, Any]) -> Iterator[StreamEvent]:
    kind = item.get("type")
    if kind == "message":
        for part in objects(item.get("content")):
            text = string(part.get("text")) or string(part.get("refusal"))
            if text:
                yield TextDelta(text)
    elif kind == "reasoning":
        text = _reasoning_text(item)
        if text:
            yield ReasoningDelta(text)
        yield ReasoningDone(Reasoning(text, item))
    elif kind == "function_call":
        yield ToolCallDelta(string(item.get("call_id")), string(item.get("name")), string(item.get("arguments")))
        yield _tool_call(item)


def _reasoning_text(item: Mapping[str, Any]) -> str:
    said = objects(item.get("summary")) or objects(item.get("content"))
    return "\n\n".join(string(part.get("text")) for part in said)


def _tool_call(item: Mapping[str, Any]) -> ToolCallDone:
    name = string(item.get("name"))
    return ToolCallDone(ToolCall(string(item.get("call_id")), name, arguments(string(item.get("arguments")), name)))


def _end(response: Mapping[str, Any], provider: str) -> Iterator[StreamEvent]:
    """Usage and end of an answer; raises what made it fail."""
    raw = an_object(response.get("usage"))
    usage = openai_usage(raw, "input", "output", tier=response.get("service_tier"))
    if usage is not None:
        yield UsageReport(usage)
    status = string(response.get("status"))
    if status in {"failed", "cancelled"} or (not status and response.get("error")):
        raise error_in(provider, response.get("error") or {"message": f"The response ended as `{status}`."})
    if status in {"in_progress", "queued"}:
        raise ProviderUnavailable(f"The provider answered with a response that is still `{status}`.", provider=provider)
    yield _finish(response)


def _finish(response: Mapping[str, Any]) -> Finished:
    if response.get("status") == "incomplete":
        raw = string(an_object(response.get("incomplete_details")).get("reason"))
        return Finished(_INCOMPLETE.get(raw, "other"), raw or "incomplete")
    output = objects(response.get("output"))
    if "function_call" in [item.get("type") for item in output]:
        return Finished("tool-calls", "completed")
    if "refusal" in [part.get("type") for item in output for part in objects(item.get("content"))]:
        return Finished("content-filter", "refusal")
    return Finished("stop", "completed")


_INCOMPLETE: Mapping[str, FinishReason] = {"max_output_tokens": "length", "content_filter": "content-filter"}


def decoder(provider: str) -> Decoder:
    """Events of one stream, chunk by chunk. Text deltas, nearly all of a stream, take the short way at the top."""
    slow = _Stream(provider)

    def decode(chunks: Iterable[dict[str, Any]], events: list[StreamEvent]) -> None:
        with Pieces(events) as pieces:
            for chunk in chunks:
                try:
                    if chunk["type"] == "response.output_text.delta" and chunk["delta"].__class__ is str:
                        pieces.append(chunk["delta"])
                        continue
                except KeyError:
                    pass  # not such a chunk: the careful reader below takes any shape
                pieces.join()
                events += slow.events(chunk)

    return Decoder(decode)


class _Stream:
    """What has to be remembered in a stream: which call an item's argument pieces belong to, and what was done."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._calls: dict[str, str] = {}
        self._handlers: dict[str, Callable[[Mapping[str, Any]], Iterable[StreamEvent]]] = {
            "response.created": self._created,
            "response.output_item.added": self._added,
            "response.output_item.done": self._done,
            "response.function_call_arguments.delta": self._arguments,
            "response.reasoning_summary_part.added": self._summary_part,
            "response.reasoning_summary_text.delta": _reasoning_delta,
            "response.reasoning_text.delta": _reasoning_delta,
            "response.refusal.delta": _text_delta,
            "response.completed": self._ended,
            "response.incomplete": self._ended,
            "response.failed": self._ended,
            "error": self._error,
        }

    def events(self, chunk: Mapping[str, Any]) -> Iterable[StreamEvent]:
        handler = self._handlers.get(string(chunk.get("type")))
        if handler is not None:
            return handler(chunk)
        if "type" not in chunk and chunk.get("error"):
            raise error_in(self._provider, chunk["error"])
        return ()

    def _created(self, chunk: Mapping[str, Any]) -> Iterable[StreamEvent]:
        response = an_object(chunk.get("response"))
        return (Started(string(response.get("id")) or None, string(response.get("model")) or None),)

    def _added(self, chunk: Mapping[str, Any]) -> Iterable[StreamEvent]:
        item = an_object(chunk.get("item"))
        if item.get("type") != "function_call":
            return ()
        self._calls[string(item.get("id"))] = call_id = string(item.get("call_id"))
        return (ToolCallDelta(call_id, string(item.get("name")), string(item.get("arguments"))),)

    def _arguments(self, chunk: Mapping[str, Any]) -> Iterable[StreamEvent]:
        item_id = string(chunk.get("item_id"))
        return (ToolCallDelta(self._calls.get(item_id, item_id), arguments=string(chunk.get("delta"))),)

    def _done(self, chunk: Mapping[str, Any]) -> Iterable[StreamEvent]:
        item = an_object(chunk.get("item"))
        if item.get("type") == "reasoning":
            return (ReasoningDone(Reasoning(_reasoning_text(item), item)),)
        return (_tool_call(item),) if item.get("type") == "function_call" else ()

    def _summary_part(self, chunk: Mapping[str, Any]) -> Iterable[StreamEvent]:
        return (ReasoningDelta("\n\n"),) if chunk.get("summary_index") else ()

    def _ended(self, chunk: Mapping[str, Any]) -> Iterable[StreamEvent]:
        return _end(an_object(chunk.get("response")), self._provider)

    def _error(self, chunk: Mapping[str, Any]) -> Iterable[StreamEvent]:
        raise error_in(self._provider, chunk.get("error") or chunk)


def _text_delta(chunk: Mapping[str, Any]) -> Iterable[StreamEvent]:
    return (TextDelta(string(chunk.get("delta"))),)


def _reasoning_delta(chunk: Mapping[str, Any]) -> Iterable[StreamEvent]:
    return (ReasoningDelta(string(chunk.get("delta"))),)
