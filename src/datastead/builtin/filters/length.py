"""The filter `length`."""

from typing import Any

from datastead import template_filter


@template_filter("length")
def length(value: Any) -> int:
    """How many characters a text has, entries a list, keys an object."""
    if value is None:
        return 0
    return len(value) if isinstance(value, str | list | tuple | dict) else len(str(value))
