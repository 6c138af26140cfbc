"""The filter `trim`."""

from typing import Any

from datastead import template_filter


@template_filter("trim")
def trim(value: Any, characters: str | None = None) -> str:
    """The text without white space (or the given characters) at its start and end."""
    return "" if value is None else str(value).strip(characters)
