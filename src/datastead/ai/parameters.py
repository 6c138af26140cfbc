"""How a parameter of a call is refused: in the same words everywhere."""

from typing import Any

from datastead.errors import InvalidRequest


def invalid(parameter: str, value: Any, allowed: str) -> InvalidRequest:
    """The error for a parameter that has a value which is not allowed. allowed: what to use instead."""
    shown = repr(value)[:80]
    return InvalidRequest(f"`{parameter}` is {shown}: use {allowed}.", parameter=parameter)
