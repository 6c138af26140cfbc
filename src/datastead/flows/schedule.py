"""Schedules: which flows start by themselves between two moments. Pure: whoever calls has the clock."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID, uuid5

from datastead.flows.catalog import LoadedFlow

MOST_TICKS = 100
"""How many ticks of one flow are made up for, where a process was asleep."""


def due(flows: Iterable[LoadedFlow], after: datetime, until: datetime) -> list[tuple[LoadedFlow, datetime]]:
    """Each flow with each moment at which it starts, after the one and until the other, oldest first."""
    found = [(flow, moment) for flow in flows for moment in _ticks(flow, after, until)]
    return sorted(found, key=lambda tick: tick[1])


def next_at(flows: Iterable[LoadedFlow], after: datetime) -> datetime | None:
    """When the next flow starts by itself."""
    moments = [moment for flow in flows if (moment := flow.next_at(after)) is not None]
    return min(moments, default=None)


def run_id(flow: str, moment: datetime) -> str:
    """The id of the run of a tick: the same in every process, so that the tick fires once."""
    return str(uuid5(UUID(flow), moment.isoformat()))


def _ticks(flow: LoadedFlow, after: datetime, until: datetime) -> list[datetime]:
    ticks: list[datetime] = []
    moment = flow.next_at(after)
    while moment is not None and moment <= until:
        ticks.append(moment)
        moment = flow.next_at(moment)
    return ticks[-MOST_TICKS:]
