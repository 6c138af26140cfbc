"""Events: what happened, and who wants to know. `data` emits; `flows` subscribes.

A guard is a collection's own rule: nothing is written past it. Another looks at the outcome, after the write.
A filter runs inside the change's transaction, before the write; it may replace the payload, or stop the change.
An action subscriber runs inside the same transaction after the write, so that what it writes (a run of a flow) commits
with the change, or not at all.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from uuid import uuid4

from datastead.context import Context

EventKind = Literal["filter", "action"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens to items, or in the server.

    name: `<collection>.items.create` for user collections, `<collection without directus_>.create` for system ones.
    scope: `items.create`, `items.update`, `items.delete`, `auth.login`, `server.start` …
    payload: of a create the item; of an update what changed; of a delete the keys.
    keys: primary keys; empty in a filter event of a create.
    id: what a run's id is made of, so that an event that is delivered twice starts one run.
    """

    kind: EventKind
    name: str
    scope: str
    collection: str | None = None
    payload: Any = None
    keys: tuple[Any, ...] = ()
    id: str = field(default_factory=lambda: str(uuid4()))


Guard = Callable[[Context, Event], Awaitable[None]]
Filter = Callable[[Context, Event], Awaitable[Any]]
Action = Callable[[Context, Sequence[Event]], Awaitable[None]]


@dataclass(slots=True)
class Bus:
    """Carries events from those who cause them to those who subscribe."""

    _guards: dict[str, Guard] = field(default_factory=dict)
    _outcomes: dict[str, Guard] = field(default_factory=dict)
    _filters: list[Filter] = field(default_factory=list)
    _actions: list[Action] = field(default_factory=list)

    def on_guard(self, collection: str, guard: Guard) -> None:
        """`guard(ctx, event)` runs before every write in a collection of the platform's own, also one that is quiet.

        It sees what will be written, in the transaction, and may raise to stop it, or do what belongs to it.
        """
        self._guards[collection] = guard

    def on_outcome(self, collection: str, guard: Guard) -> None:
        """`guard(ctx, event)` runs after every write in a collection of the platform's own, and may raise to undo it.

        The event has the keys that were written, and no payload.
        """
        self._outcomes[collection] = guard

    def on_filter(self, subscriber: Filter) -> None:
        """`subscriber(ctx, event)` returns the payload to go on with, and may raise to stop the change."""
        self._filters.append(subscriber)

    def on_action(self, subscriber: Action) -> None:
        """`subscriber(ctx, events)` runs in the change's transaction (`ctx.connection`), once for all its events."""
        self._actions.append(subscriber)

    def guard_of(self, collection: str) -> Guard | None:
        """Whoever looks after the collection."""
        return self._guards.get(collection)

    def outcome_of(self, collection: str) -> Guard | None:
        """Whoever looks at what writes in the collection have led to."""
        return self._outcomes.get(collection)

    async def filter(self, ctx: Context, event: Event) -> Any:
        """The payload, after every filter has seen it."""
        for subscriber in self._filters:
            event = replace(event, payload=await subscriber(ctx, event))
        return event.payload

    async def action(self, ctx: Context, events: Sequence[Event]) -> None:
        """Tells every subscriber what was done."""
        for subscriber in self._actions:
            await subscriber(ctx, events)
