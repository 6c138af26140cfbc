"""Responses: `POST /ai/v1/responses`, for any model of any provider. Stateless: nothing is kept for a later request.

Source: platform.openai.com/docs/api-reference/responses, 2026-11.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from datastead.ai.engine import GenerationResult
from datastead.ai.requests import CallOptions
from datastead.api.answers import Json
from datastead.api.gateway import errors, options, reading
from datastead.api.gateway.endpoint import Ask, Encoder
from datastead.api.gateway.opaque import opened, tool_opaque
from datastead.api.gateway.reading import wrong
from datastead.api.gateway.response_stream import ResponseEncoder
from datastead.api.gateway.response_words import items_of, response
from datastead.context import Context
from datastead.errors import InvalidOutput, InvalidRequest
from datastead.messages import Message, Part, Reasoning, Role, Text, ToolCall, ToolResult

_READ = frozenset(
    """model input instructions stream stream_options max_output_tokens temperature top_p tools tool_choice
    parallel_tool_calls text reasoning service_tier user metadata safety_identifier include previous_response_id
    conversation truncation top_logprobs max_tool_calls prompt_cache_options datastead""".split()  # noqa: SIM905
)
"""What is read here; the rest is for the provider, if anybody."""

_KEPT_ELSEWHERE = ("previous_response_id", "conversation", "background", "prompt")


class Responses:
    """Responses, read and written."""

    def read(self, body: dict[str, Any], ctx: Context) -> Ask:
        _refuse_what_is_kept_elsewhere(body)
        system, messages = _conversation(body.get("input"), body.get("instructions"))
        made: CallOptions = {"model": reading.model_of(body), "messages": messages}
        known = {
            "system": system,
            "max_tokens": body.get("max_output_tokens"),
            "tools": _tools(body.get("tools")),
            "tool_choice": _tool_choice(body.get("tool_choice")),
            **reading.common_of(body),
            **reading.reasoning_of(None, body.get("reasoning")),
        }
        ask = Ask(None, options.merged(made, known), stream=body.get("stream") is True, body=body)
        _format(ask, body.get("text"), ctx)
        return options.completed(ask, _READ, ctx)

    def whole(self, ask: Ask, result: GenerationResult) -> Any:
        return response(ask, result, items_of(result))

    def encoder(self, ask: Ask) -> Encoder:
        return ResponseEncoder(ask)

    def refuse(self, error: BaseException) -> Json:
        return errors.refuse(error)

    def unfinished(self, error: InvalidOutput) -> GenerationResult | None:
        return errors.unfinished(error)


def _refuse_what_is_kept_elsewhere(body: Mapping[str, Any]) -> None:
    for name in _KEPT_ELSEWHERE:
        if body.get(name):
            raise InvalidRequest(
                f"`{name}` is not taken, as nothing is kept here: send the whole conversation in `input`.",
                parameter=name,
            )
    if body.get("top_logprobs"):
        raise InvalidRequest("`top_logprobs` are not passed back here: leave them out.", parameter="top_logprobs")


def _conversation(given: Any, instructions: Any) -> tuple[str | None, list[Message]]:
    """The instructions and system messages, put together, and the turns: one of each run of items of the same role."""
    systems = [reading.text(instructions, "instructions")] if instructions else []
    if isinstance(given, str):
        return "\n\n".join(systems) or None, [Message("user", (Text(given),))]
    turns: list[tuple[Role, list[Part]]] = []
    names: dict[str, str] = {}
    for number, item in enumerate(reading.objects(given, "input")):
        place = f"input[{number}]"
        if item.get("role") in ("system", "developer"):
            systems.append(reading.texts_of(item.get("content"), f"{place}.content", ("input_text", "text")))
            continue
        role, parts = _item(item, place, names)
        if turns and turns[-1][0] == role == "assistant":
            turns[-1][1].extend(parts)
        else:
            turns.append((role, parts))
    if not turns:
        raise InvalidRequest("`input` has nothing to answer.", parameter="input")
    return "\n\n".join(systems) or None, [Message(role, tuple(parts)) for role, parts in turns if parts]


def _item(item: Mapping[str, Any], place: str, names: dict[str, str]) -> tuple[Role, list[Part]]:
    kind = item.get("type", "message")
    read = _ITEMS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise wrong(f"{place}.type", kind, " or ".join(f"`{name}`" for name in _ITEMS))
    return read(item, place, names)


def _message(item: Mapping[str, Any], place: str, _: dict[str, str]) -> tuple[Role, list[Part]]:
    role, content = item.get("role"), item.get("content")
    if role == "user":
        return "user", list(reading.user_parts(content, f"{place}.content", _user_part))
    if role == "assistant":
        said = reading.texts_of(content, f"{place}.content", ("output_text", "refusal", "input_text", "text"))
        return "assistant", [Text(said)] if said else []
    raise wrong(f"{place}.role", role, "`system`, `developer`, `user` or `assistant`")


def _user_part(part: Mapping[str, Any], place: str) -> Part:
    kind = part.get("type")
    if kind in ("input_text", "text"):
        return Text(reading.text(part.get("text"), f"{place}.text"))
    if kind == "input_image" and part.get("file_id") is None:
        return reading.image(part.get("image_url"), f"{place}.image_url")
    if kind == "input_image":
        return reading.file({"file_id": part["file_id"], "filename": "image.png"}, place)
    if kind == "input_file":
        return reading.file(part, place)
    if kind == "input_audio":
        return reading.audio(reading.an_object(part.get("input_audio"), f"{place}.input_audio"), place)
    raise wrong(f"{place}.type", kind, "`input_text`, `input_image`, `input_file` or `input_audio`")


def _reasoning(item: Mapping[str, Any], _: str, __: dict[str, str]) -> tuple[Role, list[Part]]:
    """Reasoning that has to come back: what was sealed here, or OpenAI's own item. Without that it says nothing."""
    sealed = item.get("encrypted_content")
    own = opened(sealed)
    if own is None and not sealed:
        return "assistant", []
    return "assistant", [Reasoning("", own if own is not None else {**item, "type": "reasoning"})]


def _call(item: Mapping[str, Any], place: str, names: dict[str, str]) -> tuple[Role, list[Part]]:
    call = ToolCall(
        reading.text(item.get("call_id"), f"{place}.call_id"),
        reading.text(item.get("name"), f"{place}.name"),
        reading.arguments(item.get("arguments"), f"{place}.arguments"),
        tool_opaque(item.get("extra_content")),
    )
    names[call.id] = call.name
    return "assistant", [call]


def _call_output(item: Mapping[str, Any], place: str, names: dict[str, str]) -> tuple[Role, list[Part]]:
    call_id = reading.text(item.get("call_id"), f"{place}.call_id")
    said = reading.texts_of(item.get("output"), f"{place}.output", ("input_text", "output_text", "text"))
    return "tool", [ToolResult(call_id, names.get(call_id, ""), said)]


_ITEMS: Mapping[str, Callable[[Mapping[str, Any], str, dict[str, str]], tuple[Role, list[Part]]]] = {
    "message": _message,
    "reasoning": _reasoning,
    "function_call": _call,
    "function_call_output": _call_output,
}


def _tools(given: Any) -> list[Any] | None:
    return None if given is None else list(_functions(reading.objects(given, "tools")))


def _functions(given: Any) -> Iterator[Any]:
    for number, each in enumerate(given):
        if each.get("type") != "function":
            raise wrong(f"tools[{number}].type", each.get("type"), "`function`: no other tool is run here")
        yield reading.tool(each, f"tools[{number}]")


def _tool_choice(given: Any) -> str | None:
    if given is None or (isinstance(given, str) and given in {"auto", "none", "required"}):
        return given
    if not isinstance(given, dict) or given.get("type") != "function" or not isinstance(given.get("name"), str):
        raise wrong("tool_choice", given, "`auto`, `none`, `required`, or the name of one function")
    return str(given["name"])


def _format(ask: Ask, text: Any, ctx: Context) -> None:
    given = (reading.an_object(text, "text") if text is not None else {}).get("format")
    given = reading.an_object(given, "text.format") if given is not None else {}
    kind = given.get("type", "text")
    if kind == "json_schema":
        ask.options["schema"] = reading.an_object(given.get("schema"), "text.format.schema")
    elif kind == "json_object":
        options.ask_for_json(ask, ctx, "text", {"format": {"type": "json_object"}})
    elif kind != "text":
        raise wrong("text.format.type", kind, "`text`, `json_object` or `json_schema`")
