"""The filter `upper`."""

from typing import Any

from datastead import template_filter


@template_filter("upper")
def upper(value: Any) -> str:
    """The text in upper case."""
    return "" if value is None else str(value).upper()
