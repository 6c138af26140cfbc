"""Reads JSON that comes from outside: nothing here raises over a missing or odd value.

Shared by the provider mappings, so that a provider's malformed answer never ends in a `KeyError`.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from datastead.errors import InvalidOutput

NOTHING: Mapping[str, Any] = {}


def an_object(value: object) -> Mapping[str, Any]:
    """The value where it is an object, else an empty one."""
    # The first test is for speed: what comes from JSON is a dict, and the second costs four times as much.
    return value if value.__class__ is dict or isinstance(value, Mapping) else NOTHING


def objects(value: object) -> list[Mapping[str, Any]]:
    """The objects in a list; an empty list where it is none."""
    if value.__class__ is not list and (not isinstance(value, Sequence) or isinstance(value, str)):
        return []
    return [entry for entry in value if entry.__class__ is dict or isinstance(entry, Mapping)]


def string(value: object) -> str:
    """The value where it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def count(value: object) -> int:
    """The value where it is a count of tokens, else 0."""
    return value if value.__class__ is int and value > 0 else 0


def arguments(text: str, tool: str) -> dict[str, Any]:
    """A tool call's arguments out of their JSON text; no text at all is a call without arguments."""
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidOutput(
            f"The arguments of the call of `{tool}` are not valid JSON.", tool=tool, arguments=text
        ) from error
    if not isinstance(value, dict):
        raise InvalidOutput(f"The arguments of the call of `{tool}` are not an object.", tool=tool, arguments=text)
    return value
