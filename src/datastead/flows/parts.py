"""Flows and operations as collections among others: how one of each is written, and what it links to."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

from datastead.context import Context
from datastead.data import system

FLOWS, OPERATIONS = system.flows.name, system.operations.name
LINKS = frozenset({"flow", "operation", "resolve", "reject"})


class Part(NamedTuple):
    """How one of a collection is written."""

    create: Callable[[Context, dict[str, Any]], Awaitable[str]]
    update: Callable[[Context, str, dict[str, Any]], Awaitable[None]]
    delete: Callable[[Context, str], Awaitable[None]]


def linked(payload: Mapping[str, Any]) -> dict[str, Any]:
    """With the keys of what it links to in place of objects that are only these."""
    is_key = {name for name, value in payload.items() if isinstance(value, Mapping) and value.keys() == {"id"}}
    return {name: value["id"] if name in is_key and name in LINKS else value for name, value in payload.items()}
