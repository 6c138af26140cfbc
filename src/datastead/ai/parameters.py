"""How a parameter of a call is refused: in the same words everywhere."""

from typing import Any

from datastead.errors import InvalidRequest, as_json


def invalid(parameter: str, value: Any, allowed: str) -> InvalidRequest:
    """The error for a parameter that has a value which is not allowed. allowed: what to use instead."""
    shown = "missing" if value is None else as_json(value)[:80]
    return InvalidRequest(f"`{parameter}` is {shown}: use {allowed}.", parameter=parameter)
