"""The filter `truncate`."""

from typing import Any

from datastead import template_filter


@template_filter("truncate")
def truncate(value: Any, length: int = 255, end: str = "") -> str:
    """At most so many characters of a text: `{{ $trigger.content | truncate(10000) }}`. end: put after what was cut."""
    text = "" if value is None else str(value)
    if length < 0:
        raise ValueError("the length has to be 0 or more")
    return text if len(text) <= length else text[: max(0, length - len(end))] + end[:length]
