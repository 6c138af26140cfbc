"""The filter `default`."""

from typing import Any

from datastead import template_filter


@template_filter("default")
def default(value: Any, instead: Any = "", also_empty: bool = False) -> Any:
    """Another value where there is none: `{{ $trigger.title | default("Untitled") }}`. also_empty: for empty ones."""
    return instead if value is None or (also_empty and not value) else value
