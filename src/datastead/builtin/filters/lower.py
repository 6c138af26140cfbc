"""The filter `lower`."""

from typing import Any

from datastead import template_filter


@template_filter("lower")
def lower(value: Any) -> str:
    """The text in lower case."""
    return "" if value is None else str(value).lower()
