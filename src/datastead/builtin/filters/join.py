"""The filter `join`."""

import json
from typing import Any

from datastead import template_filter


@template_filter("join")
def join(value: Any, separator: str = "") -> str:
    """The entries of a list as one text: `{{ $trigger.tags | join(", ") }}`."""
    if value is None:
        return ""
    return separator.join(_text(entry) for entry in value) if isinstance(value, list | tuple) else str(value)


def _text(entry: Any) -> str:
    if entry is None:
        return ""
    return entry if isinstance(entry, str) else json.dumps(entry, default=str, ensure_ascii=False)
