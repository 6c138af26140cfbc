"""The filter `date`."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from datastead import template_filter


@template_filter("date")
def date(value: Any, format: str = "%Y-%m-%d", zone: str = "UTC") -> str:
    """A time in words: `{{ $trigger.created_at | date("%d.%m.%Y %H:%M", "Europe/Zurich") }}`.

    The value is ISO 8601 text, or seconds since 1970; a time without a zone is UTC. format: as Python's `strftime`.
    """
    if value is None or value == "":
        return ""
    moment = _moment(value)
    return (moment.astimezone(ZoneInfo(zone)) if zone != "UTC" else moment.astimezone(UTC)).strftime(format)


def _moment(value: Any) -> datetime:
    if isinstance(value, bool):
        raise TypeError(f"`{value}` is no time")
    if isinstance(value, datetime):
        found = value
    elif isinstance(value, int | float):
        found = datetime.fromtimestamp(value, UTC)
    else:
        found = datetime.fromisoformat(str(value).strip())
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
