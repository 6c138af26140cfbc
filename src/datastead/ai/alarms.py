"""What happens when a budget that only warns is passed: a line in the log and an event, once per window."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from datastead.context import SYSTEM, Context, Services
from datastead.events import Event

log = logging.getLogger(__name__)

EVENT = "ai.budget.warning"
REMEMBERED = 10_000

Subscriber = Callable[[Mapping[str, Any]], Awaitable[None]]


class Alarms:
    """Which warnings have been given."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def is_new(self, warning: Mapping[str, Any]) -> bool:
        """Whether it is the first of its budget, value and window in this process."""
        name = _name(warning)
        if name in self._given:
            return False
        if len(self._given) >= REMEMBERED:
            self._given.clear()
        self._given.add(name)
        log.warning("%s Nothing is refused: the budget only warns.", warning["message"])
        return True


async def announce(services: Services, warning: Mapping[str, Any]) -> None:
    """Tells flows. Several processes give the same event the same id, so that a flow runs once."""
    async with Context(services, SYSTEM).transaction() as ctx:
        event = Event("action", EVENT, EVENT, payload=dict(warning), id=str(uuid5(NAMESPACE_URL, _name(warning))))
        await services.bus.action(ctx, [event])


def _name(warning: Mapping[str, Any]) -> str:
    parts = (warning["budget"], warning["scope_id"], warning["code"], warning["window_start"])
    return f"datastead:{EVENT}:" + ":".join(str(part) for part in parts)
