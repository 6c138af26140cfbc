"""Turns and tools as callers write them: `Message` and `ToolDefinition`, or JSON of a documented shape.

JSON of a turn: `{role, content}`. role: `system`, `user`, `assistant` or `tool`. content: text, or a list of parts:
`{type: 'text', text}`; `{type: 'reasoning', text, opaque?}`; `{type: 'tool-call', id, name, arguments, opaque?}`;
`{type: 'tool-result', id, name, content, isError?}`; and attachments (see `attachments`). opaque: what the provider
wants back, as it came. JSON of a tool: `{name, description?, inputSchema}`; `parameters` is the same as `inputSchema`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from datastead.ai.attachments import attachment_json, attachment_of
from datastead.ai.parameters import invalid
from datastead.messages import Attachment, Message, Part, Reasoning, Text, ToolCall, ToolDefinition, ToolResult

_ROLES = ("system", "user", "assistant", "tool")
_CHOICES = ("auto", "none", "required")
_ATTACHMENTS = ("file", "url", "data", "provider-file")
_OF_ROLE: Mapping[str, tuple[type, ...]] = {
    "user": (Text, Attachment),
    "assistant": (Text, Attachment, Reasoning, ToolCall),
    "tool": (ToolResult,),
}


def conversation(given: Any) -> tuple[list[str], list[Message]]:
    """The system's texts, and the turns. Raises `InvalidRequest` that names the place."""
    systems: list[str] = []
    messages: list[Message] = []
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        raise invalid("messages", given, "a list of turns")
    for position, message in enumerate(given):
        if isinstance(message, Message):
            messages.append(message)
            continue
        role, parts = _turn(message, f"messages.{position}")
        if role == "system":
            systems.append("".join(part.text for part in parts if isinstance(part, Text)))
        else:
            messages.append(Message(role, parts))  # type: ignore[arg-type]  # `_turn` gives a role
    return systems, messages


def message_json(message: Message) -> dict[str, Any]:
    """The turn as JSON that `conversation` reads."""
    return {"role": message.role, "content": [_part_json(part) for part in message.parts]}


def tools_of(given: Any) -> tuple[ToolDefinition, ...]:
    """The tools that a model may call. Raises `InvalidRequest` where one is none, or two have the same name."""
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        raise invalid("tools", given, "a list of tools")
    tools = tuple(_tool(each, f"tools.{position}") for position, each in enumerate(given))
    names = [tool.name for tool in tools]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise invalid("tools", names, f"each name once (`{twice}` is there twice)")
    return tools


def tool_choice_of(given: Any, tools: tuple[ToolDefinition, ...]) -> str:
    """`auto`, `none`, `required` or the name of one of the tools. Raises `InvalidRequest`."""
    names = [tool.name for tool in tools]
    if (
        not isinstance(given, str)
        or (given not in _CHOICES and given not in names)
        or (given == "required" and not names)
    ):
        allowed = ", ".join(f"`{name}`" for name in (*_CHOICES[: 3 if names else 2], *names))
        raise invalid("tool_choice", given, f"one of {allowed}")
    return given


def _turn(message: Any, where: str) -> tuple[str, tuple[Part, ...]]:
    role = message.get("role") if isinstance(message, Mapping) else None
    if role not in _ROLES:
        raise invalid(where, message, f"a `Message`, or `{{role, content}}` of {', '.join(_ROLES[:3])} or tool")
    parts = _parts(message.get("content"), f"{where}.content")
    allowed = _OF_ROLE.get(role, (Text,))
    for position, part in enumerate(parts):
        if not isinstance(part, allowed):
            kinds = ", ".join(_KINDS[kind] for kind in allowed)
            raise invalid(f"{where}.content.{position}", _KINDS[_kind(part)], f"what a turn of `{role}` has: {kinds}")
    return role, parts


def _parts(content: Any, where: str) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Text(content),)
    if isinstance(content, Mapping) or not isinstance(content, Sequence):
        raise invalid(where, content, "text, or a list of parts")
    return tuple(_part(part, f"{where}.{position}") for position, part in enumerate(content))


def _part(part: Any, where: str) -> Part:
    if isinstance(part, Text | Attachment | Reasoning | ToolCall | ToolResult):
        return part
    kind = str(part.get("type")) if isinstance(part, Mapping) else ""
    if kind in _ATTACHMENTS:
        return attachment_of(part, where)
    if kind not in _READ:
        raise invalid(where, part, f"a part whose `type` is one of {', '.join((*_READ, *_ATTACHMENTS))}")
    return _READ[kind](part, where)


def _reasoning(part: Mapping[str, Any], where: str) -> Reasoning:
    return Reasoning(_text(part, "text", where), _opaque(part, where))


def _tool_call(part: Mapping[str, Any], where: str) -> ToolCall:
    arguments = part.get("arguments", {})
    if not isinstance(arguments, Mapping):
        raise invalid(f"{where}.arguments", arguments, "an object")
    return ToolCall(_text(part, "id", where), _text(part, "name", where), arguments, _opaque(part, where))


def _tool_result(part: Mapping[str, Any], where: str) -> ToolResult:
    """content: text, or any other JSON value, which is sent as JSON text."""
    content = part.get("content")
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, default=str)
    name = _text(part, "name", where) if "name" in part else ""
    return ToolResult(_text(part, "id", where), name, text, bool(part.get("isError")))


_READ: Mapping[str, Callable[[Mapping[str, Any], str], Part]] = {
    "text": lambda part, where: Text(_text(part, "text", where)),
    "reasoning": _reasoning,
    "tool-call": _tool_call,
    "tool-result": _tool_result,
}
_KINDS: Mapping[type, str] = {
    Text: "text",
    Attachment: "attachments",
    Reasoning: "reasoning",
    ToolCall: "tool calls",
    ToolResult: "tool results",
}


def _kind(part: Part) -> type:
    return next(kind for kind in _KINDS if isinstance(part, kind))


def _part_json(part: Part) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Attachment):
        return attachment_json(part)
    if isinstance(part, ToolResult):
        failed = {"isError": True} if part.is_error else {}
        return {"type": "tool-result", "id": part.id, "name": part.name, "content": part.content, **failed}
    opaque = {} if part.opaque is None else {"opaque": dict(part.opaque)}
    if isinstance(part, Reasoning):
        return {"type": "reasoning", "text": part.text, **opaque}
    return {"type": "tool-call", "id": part.id, "name": part.name, "arguments": dict(part.arguments), **opaque}


def _tool(given: Any, where: str) -> ToolDefinition:
    if isinstance(given, ToolDefinition):
        return given
    if not isinstance(given, Mapping):
        raise invalid(where, given, "a `ToolDefinition`, or `{name, description, inputSchema}`")
    schema = given.get("inputSchema", given.get("parameters", {"type": "object", "properties": {}}))
    if not isinstance(schema, Mapping):
        raise invalid(f"{where}.inputSchema", schema, "a JSON schema of an object")
    description = _text(given, "description", where) if given.get("description") is not None else ""
    return ToolDefinition(_text(given, "name", where), description, schema)


def _opaque(part: Mapping[str, Any], where: str) -> Mapping[str, Any] | None:
    opaque = part.get("opaque")
    if opaque is not None and not isinstance(opaque, Mapping):
        raise invalid(f"{where}.opaque", opaque, "the object that came with the answer")
    return opaque


def _text(part: Mapping[str, Any], name: str, where: str) -> str:
    value = part.get(name)
    if not isinstance(value, str) or (not value and name != "text"):
        raise invalid(f"{where}.{name}", value, "text")
    return value
