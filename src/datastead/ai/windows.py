"""Windows of budgets: of the calendar in UTC, or rolling: the last hour, day, … up to now."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

WINDOWS = ("minute", "hour", "day", "week", "month", "total")
STEPS = 60
"""A rolling window moves on in steps of a 60th of its length, and is up to one step longer than its name says: so that
in no stretch of its length more passes than its limit."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LENGTHS = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "month": timedelta(days=30),  # of a rolling one
}


def window_start(window: str, now: datetime, *, rolling: bool = False) -> datetime:
    """When the window that holds `now` began; calendar weeks begin on Monday."""
    if window == "total":
        return EPOCH
    if rolling:
        return _floor(now, _LENGTHS[window] / STEPS) - _LENGTHS[window]
    moment = now.astimezone(UTC).replace(second=0, microsecond=0)
    midnight = moment.replace(hour=0, minute=0)
    starts: dict[str, Callable[[], datetime]] = {
        "minute": lambda: moment,
        "hour": lambda: moment.replace(minute=0),
        "day": lambda: midnight,
        "week": lambda: midnight - timedelta(days=midnight.weekday()),
        "month": lambda: midnight.replace(day=1),
    }
    return starts[window]()


def window_end(window: str, now: datetime) -> datetime | None:
    """When the calendar's window ends and the budget is whole again; None for `total`."""
    if window == "total":
        return None
    start = window_start(window, now)
    return (start + timedelta(days=31)).replace(day=1) if window == "month" else start + _LENGTHS[window]


def leaves_at(window: str, made_at: datetime) -> datetime:
    """When a call that was made then has left the rolling window."""
    length = _LENGTHS[window]
    return _floor(made_at + length, length / STEPS) + length / STEPS


def _floor(moment: datetime, step: timedelta) -> datetime:
    return moment - (moment - EPOCH) % step
