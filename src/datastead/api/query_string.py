"""The query string as nested values: `filter[views][_gt]=5`, `fields[]=a`, `sort=a,b`. Pure.

What a value means (JSON, a list by commas, a number) is `Query.parse`'s to say; here it is text.
"""

import re
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

from datastead.errors import InvalidQuery
from datastead.settings import Settings

MAX_INDEX = 500

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_STEP = re.compile(r"\[([^\[\]]*)\]")


class Bounds(NamedTuple):
    """How large a query string may be. size: bytes. depth: of a parameter's name."""

    size: int = 65_536
    parameters: int = 1000
    depth: int = 20

    @classmethod
    def of(cls, settings: Settings) -> "Bounds":
        """Those of the settings."""
        return cls(
            settings.query_string_max_size, settings.query_string_max_parameters, settings.query_string_max_depth
        )


STANDARD = Bounds()


def parse_query_string(raw: bytes, bounds: Bounds = STANDARD) -> dict[str, Any]:
    """Text, lists and dicts of text. Raises `InvalidQuery` on what cannot be read, or has no end."""
    if not raw:
        return {}
    if len(raw) > bounds.size:
        raise _too("long", f"is longer than {bounds.size} bytes (`QUERY_STRING_MAX_SIZE`)")
    parts = raw.split(b"&")
    if len(parts) > bounds.parameters:
        raise _too("many", f"has more than {bounds.parameters} parameters (`QUERY_STRING_MAX_PARAMETERS`)")
    found: dict[str, Any] = {}
    for part in parts:
        if part:
            name, _, value = part.partition(b"=")
            _put(found, _path(_text(name), bounds.depth), _text(value))
    return {name: _with_lists(value) for name, value in found.items()}


def _too(much: str, why: str) -> InvalidQuery:
    return InvalidQuery(f"The query string {why}.", reason=f"too {much}")


def _text(raw: bytes) -> str:
    try:
        text = unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise InvalidQuery("The query string is not UTF-8.", reason="not UTF-8") from None
    if "\0" in text:
        raise InvalidQuery("The query string holds a NUL character.", reason="NUL character")
    return text


def _path(name: str, most: int) -> list[str]:
    """`a[b][]` as `["a", "b", ""]`. A name with brackets that do not pair is a name."""
    if "[" not in name:
        return [name]
    match = _KEY.fullmatch(name)
    if match is None:
        return [name]
    path = [match[1], *_STEP.findall(match[2])]
    if len(path) > most:
        why = f"`{match[1][:100]}` is nested deeper than {most} (`QUERY_STRING_MAX_DEPTH`)"
        raise InvalidQuery(f"{why}.", reason="nested too deeply")
    return path


def _put(found: dict[str, Any], path: list[str], value: str) -> None:
    """Sets a value in nested dicts. `[]` takes the next free index; a name that comes again makes a list."""
    *steps, last = path
    place = found
    for step in steps:
        inner = place.setdefault(step or str(len(place)), {})
        if not isinstance(inner, dict):
            raise InvalidQuery(f"`{path[0]}` is given as a value and as an object.", reason="contradiction")
        place = inner
    if last == "":
        last = str(len(place))
    held = place.get(last)
    if held is None:
        place[last] = value
    elif isinstance(held, dict):
        held[str(len(held))] = value
    else:
        place[last] = {"0": held, "1": value}


def _with_lists(value: Any) -> Any:
    """Dicts whose keys are all indexes, as lists in the order of the indexes."""
    if not isinstance(value, dict):
        return value
    inner = {key: _with_lists(entry) for key, entry in value.items()}
    if all(key.isascii() and key.isdigit() and len(key) <= 4 and int(key) < MAX_INDEX for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner
