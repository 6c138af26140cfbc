"""The body of a request as JSON: bounded while it is read, checked before anybody sees it."""

from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope

from datastead.errors import InvalidPayload, UnsupportedMediaType

MAX_DEPTH = 100
CONTAINERS = frozenset({dict, list})
_ESCAPED_NUL = b"\\u0000"


async def read_json(request: Request, *, max_size: int) -> Any:
    """The body, parsed; None where there is no body. max_size: bytes."""
    raw = await read_bytes(request.scope, request.receive, max_size)
    return parse_json(raw, request.headers.get("content-type")) if raw else None


async def read_object(request: Request, *, max_size: int) -> dict[str, Any]:
    """The body, which has to be an object."""
    body = await read_json(request, max_size=max_size)
    if not isinstance(body, dict):
        raise invalid("The body has to be a JSON object.")
    return body


async def read_bytes(scope: Scope, receive: Receive, max_size: int) -> bytes:
    """The body as sent. Stops reading at `max_size`, whatever `Content-Length` says."""
    declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    if declared.isdigit() and int(declared) > max_size:
        raise _too_large(max_size)
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        size += len(part)
        if size > max_size:
            raise _too_large(max_size)
        parts.append(part)
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def parse_json(raw: bytes, content_type: str | None) -> Any:
    """JSON that the rest can rely on: UTF-8, no NaN, no NUL characters, not nested without end."""
    if content_type is not None and not is_json(content_type):
        raise UnsupportedMediaType(f"The body has to be `application/json`, not `{content_type[:100]}`.")
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise invalid(f"The body is not JSON: line {error.lineno}, column {error.colno}.") from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and type(parsed) in CONTAINERS and _is_deeper(parsed, MAX_DEPTH):
        raise invalid(f"The body is nested deeper than {MAX_DEPTH}.")
    if _ESCAPED_NUL in raw and _has_nul(parsed):
        raise invalid("The body holds a NUL character.")
    return parsed


def is_json(content_type: str) -> bool:
    kind, _, parameters = content_type.partition(";")
    kind = kind.strip().lower()
    charset = parameters.lower().partition("charset=")[2].strip('" ')
    return (kind == "application/json" or kind.endswith("+json")) and charset in {"", "utf-8", "utf8"}


def invalid(reason: str) -> InvalidPayload:
    """An `InvalidPayload` that says why, for people and (in `reason`) for programs."""
    return InvalidPayload(reason, reason=reason)


def object_of(body: Any) -> dict[str, Any]:
    """The body, if it is an object."""
    if not isinstance(body, dict):
        raise invalid("The body has to be an object.")
    return body


def objects_of(value: list[Any]) -> list[dict[str, Any]]:
    """The list, if it is one of objects."""
    if not all(isinstance(entry, dict) for entry in value):
        raise invalid("Each entry of the list has to be an object.")
    return value


def text_of(body: dict[str, Any], name: str) -> str:
    """A text of the body. Raises `InvalidPayload` where there is none."""
    value = body.get(name)
    if value is None:
        raise InvalidPayload(f"`{name}` is required.", reason=f"`{name}` is required", field=name)
    if not isinstance(value, str):
        raise InvalidPayload(f"`{name}` has to be text.", reason=f"`{name}` has to be text", field=name)
    return value


def optional_text(body: dict[str, Any], name: str) -> str | None:
    """The same, where there may be none."""
    return None if body.get(name) is None else text_of(body, name)


def keys_of(value: Any, name: str = "keys") -> list[Any]:
    """The value, if it is a list of keys."""
    if not isinstance(value, list) or not all(
        isinstance(key, str | int) and not isinstance(key, bool) for key in value
    ):
        raise invalid(f"`{name}` has to be a list of texts or whole numbers.")
    return value


def _too_large(max_size: int) -> InvalidPayload:
    return invalid(f"The body is larger than {max_size} bytes (`MAX_PAYLOAD_SIZE`).")


def _is_deeper(value: Any, limit: int) -> bool:
    """value: as the parser gives it, with nothing but its own types, and not a single value."""
    level = [value]
    for _ in range(limit):
        inside = [entry.values() if type(entry) is dict else entry for entry in level]
        level = [inner for entries in inside for inner in entries if type(inner) in CONTAINERS]
        if not level:
            return False
    return True


def _has_nul(value: Any) -> bool:
    waiting = [value]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, str):
            if "\0" in entry:
                return True
        elif isinstance(entry, dict):
            waiting += [*entry, *entry.values()]
        elif isinstance(entry, list):
            waiting += entry
    return False
