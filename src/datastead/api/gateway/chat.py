"""Chat Completions: `POST /ai/v1/chat/completions`, for any model of any provider.

Source: platform.openai.com/docs/api-reference/chat, 2026-11.
"""

from collections.abc import Callable, Iterator, Mapping
from time import time
from typing import Any

from datastead.ai.engine import GenerationResult
from datastead.ai.requests import CallOptions
from datastead.api.answers import Json
from datastead.api.gateway import errors, options, reading
from datastead.api.gateway.chat_stream import ChatEncoder
from datastead.api.gateway.chat_words import FINISH, content_of, tool_call, usage_json
from datastead.api.gateway.endpoint import Ask, Encoder
from datastead.api.gateway.opaque import reasoning_details, reasoning_parts, tool_opaque
from datastead.api.gateway.reading import wrong
from datastead.context import Context
from datastead.errors import InvalidOutput, InvalidRequest
from datastead.messages import Message, Part, Text, ToolCall, ToolResult

_READ = frozenset(
    """model messages stream stream_options max_tokens max_completion_tokens temperature top_p stop tools tool_choice
    parallel_tool_calls response_format reasoning_effort reasoning thinking include_reasoning service_tier n user
    metadata safety_identifier modalities audio logprobs top_logprobs functions function_call datastead""".split()  # noqa: SIM905
)
"""What is read here; the rest is for the provider, if anybody."""


class Chat:
    """Chat Completions, read and written."""

    def read(self, body: dict[str, Any], ctx: Context) -> Ask:
        _refuse_what_is_not_there(body)
        system, messages = _conversation(body.get("messages"))
        made: CallOptions = {"model": reading.model_of(body), "messages": messages}
        known = {
            "system": system,
            "max_tokens": body.get("max_completion_tokens") or body.get("max_tokens"),
            "stop": body.get("stop"),
            "tools": _tools(body.get("tools")),
            "tool_choice": _tool_choice(body.get("tool_choice")),
            **reading.common_of(body),
            **reading.reasoning_of(body.get("reasoning_effort"), body.get("reasoning"), body.get("thinking")),
        }
        ask = Ask(None, options.merged(made, known), stream=body.get("stream") is True, body=body)
        _format(ask, body.get("response_format"), ctx)
        return options.completed(ask, _READ, ctx)

    def whole(self, ask: Ask, result: GenerationResult) -> Any:  # noqa: ARG002  other dialects repeat what was asked
        content = content_of(result)
        shown = content if content or not result.tool_calls else None
        message: dict[str, Any] = {"role": "assistant", "content": shown, "refusal": None}
        if result.reasoning:
            message["reasoning_content"] = result.reasoning
        if details := reasoning_details(result.reasoning_parts):
            message["reasoning_details"] = details
        if result.tool_calls:
            message["tool_calls"] = [tool_call(call) for call in result.tool_calls]
        return {
            "id": f"chatcmpl-{result.call}",
            "object": "chat.completion",
            "created": int(time()),
            "model": result.response_model or result.model,
            "choices": [
                {"index": 0, "message": message, "logprobs": None, "finish_reason": FINISH[result.finish_reason]}
            ],
            "usage": usage_json(result),
            "service_tier": result.usage.tier or "default",
            "system_fingerprint": None,
        }

    def encoder(self, ask: Ask) -> Encoder:
        given = ask.body.get("stream_options")
        counted = isinstance(given, dict) and given.get("include_usage") is True
        return ChatEncoder(str(ask.options["model"]), with_usage=counted)

    def refuse(self, error: BaseException) -> Json:
        return errors.refuse(error)

    def unfinished(self, error: InvalidOutput) -> GenerationResult | None:
        return errors.unfinished(error)


def _refuse_what_is_not_there(body: Mapping[str, Any]) -> None:
    """What a client would wait for in vain is refused, each with what to do."""
    if body.get("n") not in (None, 1):
        raise InvalidRequest("`n` has to be 1: send the request several times for several answers.", parameter="n")
    for name in ("functions", "function_call"):
        if body.get(name):
            raise InvalidRequest(f"`{name}` is no longer taken: use `tools` and `tool_choice`.", parameter=name)
    if body.get("logprobs") or body.get("top_logprobs"):
        raise InvalidRequest("`logprobs` are not passed back here: leave them out.", parameter="logprobs")
    if body.get("audio") or body.get("modalities") not in (None, ["text"]):
        raise InvalidRequest(
            "Answers are text here: leave out `audio`, and other `modalities`.", parameter="modalities"
        )


def _conversation(given: Any) -> tuple[str | None, list[Message]]:
    """The system's texts, put together, and the turns."""
    systems: list[str] = []
    messages: list[Message] = []
    names: dict[str, str] = {}  # of tool calls, by id: a tool's answer does not say whose it is, and Google asks
    for number, message in enumerate(reading.objects(given, "messages")):
        role, place = message.get("role"), f"messages[{number}]"
        if role in ("system", "developer"):
            systems.append(reading.texts_of(message.get("content"), f"{place}.content"))
        elif isinstance(role, str) and role in _TURNS:
            messages.append(_TURNS[role](message, place, names))
        else:
            raise wrong(f"{place}.role", role, "`system`, `developer`, `user`, `assistant` or `tool`")
    if not messages:
        raise InvalidRequest("`messages` has nothing to answer.", parameter="messages")
    return "\n\n".join(systems) or None, messages


def _user(message: Mapping[str, Any], place: str, _: dict[str, str]) -> Message:
    return Message("user", reading.user_parts(message.get("content"), f"{place}.content", _user_part))


def _user_part(part: Mapping[str, Any], place: str) -> Part:
    kind = part.get("type")
    if kind == "text":
        return Text(reading.text(part.get("text"), f"{place}.text"))
    if kind == "image_url":
        given = part.get("image_url")
        return reading.image(given.get("url") if isinstance(given, dict) else given, f"{place}.image_url.url")
    if kind == "input_audio":
        return reading.audio(reading.an_object(part.get("input_audio"), f"{place}.input_audio"), place)
    if kind == "file":
        return reading.file(reading.an_object(part.get("file"), f"{place}.file"), f"{place}.file")
    raise wrong(f"{place}.type", kind, "`text`, `image_url`, `input_audio` or `file`")


def _assistant(message: Mapping[str, Any], place: str, names: dict[str, str]) -> Message:
    parts: list[Part] = list(reasoning_parts(message.get("reasoning_details")))
    if message.get("content"):
        said = reading.texts_of(message["content"], f"{place}.content", ("text", "refusal"))
        parts += [Text(said)] if said else []
    if message.get("tool_calls"):
        calls = reading.objects(message["tool_calls"], f"{place}.tool_calls")
        parts += [_call(call, f"{place}.tool_calls[{number}]", names) for number, call in enumerate(calls)]
    return Message("assistant", tuple(parts) or (Text(""),))


def _call(call: Mapping[str, Any], place: str, names: dict[str, str]) -> ToolCall:
    function = reading.an_object(call.get("function"), f"{place}.function")
    made = ToolCall(
        reading.text(call.get("id"), f"{place}.id"),
        reading.text(function.get("name"), f"{place}.function.name"),
        reading.arguments(function.get("arguments"), f"{place}.function.arguments"),
        tool_opaque(call.get("extra_content")),
    )
    names[made.id] = made.name
    return made


def _tool_answer(message: Mapping[str, Any], place: str, names: dict[str, str]) -> Message:
    call_id = reading.text(message.get("tool_call_id"), f"{place}.tool_call_id")
    said = reading.texts_of(message.get("content"), f"{place}.content")
    return Message("tool", (ToolResult(call_id, names.get(call_id, str(message.get("name") or "")), said),))


_TURNS: Mapping[str, Callable[[Mapping[str, Any], str, dict[str, str]], Message]] = {
    "user": _user,
    "assistant": _assistant,
    "tool": _tool_answer,
}


def _tools(given: Any) -> list[Any] | None:
    if given is None:
        return None
    return list(_functions(reading.objects(given, "tools")))


def _functions(given: Any) -> Iterator[Any]:
    for number, each in enumerate(given):
        place = f"tools[{number}]"
        if each.get("type", "function") != "function":
            raise wrong(f"{place}.type", each.get("type"), "`function`")
        yield reading.tool(reading.an_object(each.get("function"), f"{place}.function"), f"{place}.function")


def _tool_choice(given: Any) -> str | None:
    if given is None or (isinstance(given, str) and given in {"auto", "none", "required"}):
        return given
    named = given.get("function") if isinstance(given, dict) else None
    if not isinstance(named, dict) or not isinstance(named.get("name"), str):
        raise wrong("tool_choice", given, "`auto`, `none`, `required`, or the name of one function")
    return str(named["name"])


def _format(ask: Ask, given: Any, ctx: Context) -> None:
    """`json_schema` is ours; plain JSON is asked for in words where the wire has no word for it."""
    kind = reading.an_object(given, "response_format").get("type") if given is not None else "text"
    if kind == "json_schema":
        named = reading.an_object(given.get("json_schema"), "response_format.json_schema")
        ask.options["schema"] = reading.an_object(named.get("schema"), "response_format.json_schema.schema")
    elif kind == "json_object":
        options.ask_for_json(ask, ctx, "response_format", {"type": "json_object"})
    elif kind != "text":
        raise wrong("response_format.type", kind, "`text`, `json_object` or `json_schema`")
