"""Messages, attachments and tools as JSON in our own words.

A message is `{role, content}`; content is text or a list of parts: `{type: "text", text}`,
`{type: "file", fileId | url | data, mediaType, filename}`, `{type: "tool-call", id, name, arguments, opaque}`,
`{type: "tool-result", id, name, content, isError}`, `{type: "reasoning", text, opaque}`. `opaque` is what the provider
wants back, as it came.
"""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from datastead.api.gateway import reading
from datastead.api.gateway.reading import wrong
from datastead.messages import Attachment, Message, Part, Reasoning, Text, ToolCall, ToolDefinition, ToolResult

_ROLES = ("user", "assistant", "tool")


def read_messages(given: Any) -> list[Any]:
    """The turns. One of role `system` stays as it is: the call path puts it to the system prompt."""
    return [_message(each, f"messages.{number}") for number, each in enumerate(reading.objects(given, "messages"))]


def read_attachments(given: Any) -> list[Any]:
    """What goes with the prompt."""
    return [_file(each, f"attachments.{number}") for number, each in enumerate(reading.objects(given, "attachments"))]


def read_tools(given: Any) -> list[ToolDefinition]:
    """`{name, description, inputSchema}` each."""
    return [
        reading.tool({**each, "parameters": each.get("inputSchema")}, f"tools.{number}")
        for number, each in enumerate(reading.objects(given, "tools"))
    ]


def message_json(message: Message) -> dict[str, Any]:
    """A turn as JSON, with all that has to come back on the next one."""
    return {"role": message.role, "content": [_part_json(part) for part in message.parts]}


def tool_call_json(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "name": call.name, "arguments": call.arguments} | _opaque(call.opaque)


def _message(given: Mapping[str, Any], place: str) -> Message | Mapping[str, Any]:
    role, content = given.get("role"), given.get("content")
    if role == "system":
        return given
    if role not in _ROLES:
        raise wrong(f"{place}.role", role, "`system`, `user`, `assistant` or `tool`")
    if isinstance(content, str):
        return Message(role, (Text(content),))
    parts = reading.objects(content, f"{place}.content")
    return Message(role, tuple(_part(part, f"{place}.content.{number}") for number, part in enumerate(parts)))


def _part(part: Mapping[str, Any], place: str) -> Part:
    kind = part.get("type")
    read = _PARTS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise wrong(f"{place}.type", kind, " or ".join(f"`{name}`" for name in _PARTS))
    return read(part, place)


def _text(part: Mapping[str, Any], place: str) -> Part:
    return Text(reading.text(part.get("text"), f"{place}.text"))


def _file(part: Mapping[str, Any], place: str) -> Attachment:
    """A file of the platform, one at an address, or its bytes as base64 or as a data URL."""
    wire = {"file_id": part.get("fileId"), "file_url": part.get("url"), "file_data": part.get("data")}
    if sum(value is not None for value in wire.values()) != 1:
        raise wrong(place, sorted(part), "exactly one of `fileId`, `url` and `data`")
    read = reading.file({**wire, "filename": part.get("filename")}, place)
    kind = part.get("mediaType")
    media_type = read.media_type if kind is None else reading.text(kind, f"{place}.mediaType")
    return Attachment(media_type, read.data, read.url, read.file_id, read.filename)


def _call(part: Mapping[str, Any], place: str) -> Part:
    arguments = reading.an_object(part.get("arguments", {}), f"{place}.arguments")
    call_id, name = reading.text(part.get("id"), f"{place}.id"), reading.text(part.get("name"), f"{place}.name")
    return ToolCall(call_id, name, arguments, _given_opaque(part, place))


def _answer(part: Mapping[str, Any], place: str) -> Part:
    content = part.get("content")
    said = content if isinstance(content, str) else orjson.dumps(content).decode()
    call_id, name = reading.text(part.get("id"), f"{place}.id"), reading.text(part.get("name") or "", f"{place}.name")
    return ToolResult(call_id, name, said, is_error=part.get("isError") is True)


def _reasoning(part: Mapping[str, Any], place: str) -> Part:
    return Reasoning(reading.text(part.get("text") or "", f"{place}.text"), _given_opaque(part, place))


_PARTS: Mapping[str, Callable[[Mapping[str, Any], str], Part]] = {
    "text": _text,
    "file": _file,
    "tool-call": _call,
    "tool-result": _answer,
    "reasoning": _reasoning,
}


def _part_json(part: Part) -> dict[str, Any]:
    """A part of an answer: text, reasoning or a tool call."""
    if isinstance(part, ToolCall):
        return {"type": "tool-call", **tool_call_json(part)}
    if isinstance(part, Reasoning):
        return {"type": "reasoning", "text": part.text} | _opaque(part.opaque)
    assert isinstance(part, Text)
    return {"type": "text", "text": part.text}


def _opaque(opaque: Mapping[str, Any] | None) -> dict[str, Any]:
    return {} if opaque is None else {"opaque": opaque}


def _given_opaque(part: Mapping[str, Any], place: str) -> Mapping[str, Any] | None:
    opaque = part.get("opaque")
    return None if opaque is None else reading.an_object(opaque, f"{place}.opaque")
