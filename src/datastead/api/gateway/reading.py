"""Reads what OpenAI's two wires have in common: parameters by type, content parts, what is passed on and what is not.

Everything raises `InvalidRequest` that names the parameter, as its place in the body.
"""

import mimetypes
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import orjson

from datastead.ai.attachments import PlatformFile
from datastead.ai.parameters import invalid
from datastead.ai.requests import LONGEST_PURPOSE
from datastead.errors import InvalidRequest
from datastead.messages import Attachment, Part, Text, ToolDefinition

_EFFORTS = {"minimal": "minimal", "low": "low", "medium": "medium", "high": "high", "xhigh": "high", "max": "high"}
_AUDIO = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_TIERS = frozenset({"flex", "priority", "batch"})

NEVER_PASSED_ON = frozenset({"models", "route", "best_of", "background", "stream", "model", "prompt", "store"})
"""What would change which model is called, what is kept elsewhere, or how much is answered: never sent along."""


wrong = invalid
"""The error for a value that is not allowed."""


def text(value: Any, parameter: str) -> str:
    if not isinstance(value, str):
        raise wrong(parameter, value, "text")
    return value


def an_object(value: Any, parameter: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise wrong(parameter, value, "an object")
    return value


def objects(value: Any, parameter: str) -> Sequence[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise wrong(parameter, value, "a list of objects")
    return value


def model_of(body: Mapping[str, Any]) -> str:
    model = body.get("model")
    if model is None:
        raise InvalidRequest("`model` is missing: `GET /ai/v1/models` lists the ids.", parameter="model")
    if not isinstance(model, str) or not model:
        raise wrong("model", model, "a model's id; `GET /ai/v1/models` lists them")
    return model


def common_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """Our options out of what both of OpenAI's request formats say in the same words."""
    return {
        "temperature": body.get("temperature"),
        "top_p": body.get("top_p"),
        "parallel_tools": body.get("parallel_tool_calls"),
        "service_tier": tier_of(body.get("service_tier")),
        "purpose": purpose_of(body),
    }


def purpose_of(body: Mapping[str, Any]) -> str | None:
    """What the ledger says that the call is for: `metadata.purpose`, else `user`; as much as fits."""
    metadata = body.get("metadata")
    given = metadata.get("purpose") if isinstance(metadata, dict) else None
    named = given or body.get("user") or body.get("safety_identifier")
    return named[:LONGEST_PURPOSE] if isinstance(named, str) and named else None


def tier_of(value: Any) -> str | None:
    """Our service tier; None for `auto`, `default` and what only one vendor knows."""
    return value if isinstance(value, str) and value in _TIERS else None


def reasoning_of(effort: Any, reasoning: Any, thinking: Any = None) -> dict[str, Any]:
    """Our options out of `reasoning_effort`, `reasoning` (Responses', OpenRouter's) and `thinking` (Anthropic's)."""
    found: dict[str, Any] = {}
    if reasoning is not None:
        given = an_object(reasoning, "reasoning")
        effort = given.get("effort") if effort is None else effort
        found["budget_tokens"] = given.get("max_tokens")
        shown = given.get("enabled") or given.get("summary") or given.get("generate_summary")
        found["enable_reasoning"] = True if shown else None
    if thinking is not None and an_object(thinking, "thinking").get("type") in ("enabled", "adaptive"):
        found |= {"enable_reasoning": True, "budget_tokens": thinking.get("budget_tokens")}
    if effort not in (None, "none"):
        if not isinstance(effort, str) or effort not in _EFFORTS:
            raise wrong("reasoning_effort", effort, "`none`, `minimal`, `low`, `medium`, `high` or `xhigh`")
        found["effort"] = _EFFORTS[effort]
    return found


def tool(function: Mapping[str, Any], place: str) -> ToolDefinition:
    """A function that the model may call."""
    schema = function.get("parameters")
    return ToolDefinition(
        text(function.get("name"), f"{place}.name"),
        text(function.get("description") or "", f"{place}.description"),
        {"type": "object", "properties": {}} if schema is None else an_object(schema, f"{place}.parameters"),
    )


def texts_of(content: Any, place: str, kinds: Sequence[str] = ("text",)) -> str:
    """Text, or the texts of a list of parts."""
    if isinstance(content, str):
        return content
    parts = objects(content, place)
    for number, part in enumerate(parts):
        if part.get("type") not in kinds:
            raise wrong(f"{place}[{number}].type", part.get("type"), " or ".join(f"`{kind}`" for kind in kinds))
    return "".join(text(part.get("text", part.get("refusal")), place) for part in parts)


def image(url: Any, place: str) -> Attachment:
    """An image, as a data URL or by its address."""
    given = text(url, place)
    if given.startswith("data:"):
        return _inline(given, place)
    return Attachment(mimetypes.guess_type(given.partition("?")[0])[0] or "image/jpeg", url=given)


def file(part: Mapping[str, Any], place: str) -> Attachment:
    """A file: its bytes, its address, or its id: one of ours, else the provider's."""
    name = part.get("filename")
    named = text(name, f"{place}.filename") if name is not None else None
    if part.get("file_data") is not None:
        return _inline(text(part["file_data"], f"{place}.file_data"), f"{place}.file_data", named)
    guessed = mimetypes.guess_type(named or str(part.get("file_url")).partition("?")[0])[0] or "application/pdf"
    if part.get("file_url") is not None:
        return Attachment(guessed, url=text(part["file_url"], f"{place}.file_url"), filename=named)
    file_id = text(part.get("file_id"), f"{place}.file_id")
    if is_our_file(file_id):
        return PlatformFile("", file_id=file_id)
    return Attachment(guessed, file_id=file_id, filename=named)


def audio(part: Mapping[str, Any], place: str) -> Attachment:
    kind = part.get("format")
    if not isinstance(kind, str) or kind not in _AUDIO:
        raise wrong(f"{place}.format", kind, "`wav` or `mp3`")
    return Attachment(_AUDIO[kind], data=_bytes(text(part.get("data"), f"{place}.data"), f"{place}.data"))


def is_our_file(file_id: str) -> bool:
    """Whether an id is that of a file of the platform, which are UUIDs."""
    try:
        return str(UUID(file_id)) == file_id.lower()
    except ValueError:
        return False


def user_parts(content: Any, place: str, read: Any) -> tuple[Part, ...]:
    """The parts of a user's message. read: what makes a part of the wire one of ours."""
    if isinstance(content, str):
        return (Text(content),)
    return tuple(read(part, f"{place}[{number}]") for number, part in enumerate(objects(content, place)))


def arguments(value: Any, place: str) -> Mapping[str, Any]:
    """A tool call's arguments out of their JSON text."""
    given = text(value if value is not None else "", place)
    try:
        parsed = orjson.loads(given) if given.strip() else {}
    except orjson.JSONDecodeError:
        raise wrong(place, given, "JSON text of an object") from None
    return an_object(parsed, place)


def passed_on(body: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """The parameters that are not ours to read, and may go to a provider that speaks the same wire."""
    return {
        name: value
        for name, value in body.items()
        if name not in known and name not in NEVER_PASSED_ON and value is not None
    }


def _inline(url: str, place: str, name: str | None = None) -> Attachment:
    """The bytes of a data URL; of bare base64, which some clients send for files, too."""
    head, mark, data = url.partition(",") if url.startswith("data:") else ("data:;base64", ",", url)
    kind, *more = head.removeprefix("data:").split(";")
    if not mark or "base64" not in more:
        raise wrong(place, url, "a data URL: `data:<type>;base64,<data>`")
    guessed = mimetypes.guess_type(name)[0] if name else None
    return Attachment(kind or guessed or "application/pdf", data=_bytes(data, place), filename=name)


def _bytes(data: str, place: str) -> bytes:
    try:
        found = b64decode(data, validate=True)
    except (NotBase64, ValueError):
        raise wrong(place, data, "base64") from None
    if not found:
        raise wrong(place, data, "base64 of a file that is not empty")
    return found
