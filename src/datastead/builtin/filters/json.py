"""The filter `json`."""

import json as standard
from typing import Any

from datastead import template_filter


@template_filter("json")
def json(value: Any, indent: bool = False) -> str:
    """The value as JSON text, quotes and line ends escaped: `{{ $trigger.payload | json }}`. indent: on many lines."""
    if indent:
        return standard.dumps(value, default=str, ensure_ascii=False, indent=2)
    return standard.dumps(value, default=str, ensure_ascii=False, separators=(",", ":"))
