"""The filter `first`."""

from typing import Any

from datastead import template_filter


@template_filter("first")
def first(value: Any) -> Any:
    """The first entry of a list, or character of a text; null where there is none."""
    return value[0] if isinstance(value, str | list | tuple) and value else None
