"""The filter `last`."""

from typing import Any

from datastead import template_filter


@template_filter("last")
def last(value: Any) -> Any:
    """The last entry of a list, or character of a text; null where there is none."""
    return value[-1] if isinstance(value, str | list | tuple) and value else None
