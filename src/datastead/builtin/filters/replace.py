"""The filter `replace`."""

from typing import Any

from datastead import template_filter


@template_filter("replace")
def replace(value: Any, old: str, new: str) -> str:
    """The text with each `old` replaced: `{{ $trigger.title | replace("&", "and") }}`."""
    return "" if value is None else str(value).replace(old, new)
