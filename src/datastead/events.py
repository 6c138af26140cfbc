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
Interest = Callable[[Context, Event], Awaitable[bool]]
Witness = Callable[[Event], None]


@dataclass(slots=True)
class Bus:
    """Carries events from those who cause them to those who subscribe."""

    _guards: dict[str, Guard] = field(default_factory=dict)
    _outcomes: dict[str, Guard] = field(default_factory=dict)
    _deletions: list[Guard] = field(default_factory=list)
    _filters: list[Filter] = field(default_factory=list)
    _actions: list[Action] = field(default_factory=list)
    _interests: list[Interest | None] = field(default_factory=list)
    _witnesses: list[Witness] = field(default_factory=list)

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

    def on_deletion(self, guard: Guard) -> None:
        """`guard(ctx, event)` runs after every deletion of items, also one that is quiet, in its transaction.

        The event has the keys that there were.
        """
        self._deletions.append(guard)

    def on_filter(self, subscriber: Filter, hears: Interest | None = None) -> None:
        """`subscriber(ctx, event)` returns the payload to go on with, and may raise to stop the change.

        hears: whether it may want an event like one that is shown without payload and keys. Writes that nobody wants
        to hear of take a shorter way; a subscriber without `hears` hears everything.
        """
        self._filters.append(subscriber)
        self._interests.append(hears)

    def on_action(self, subscriber: Action, hears: Interest | None = None) -> None:
        """`subscriber(ctx, events)` runs in the change's transaction (`ctx.connection`), once for all its events.

        hears: as of `on_filter`.
        """
        self._actions.append(subscriber)
        self._interests.append(hears)

    def on_unheard(self, witness: Witness) -> None:
        """`witness(event)` is called on the loop after the commit of a write that took the shorter way.

        The event has the keys that were written, and no payload. It must not wait or raise.
        """
        self._witnesses.append(witness)

    @property
    def is_witnessed(self) -> bool:
        """Whether anybody is told of writes that took the shorter way."""
        return bool(self._witnesses)

    def unheard(self, event: Event) -> None:
        """Tells of a write that took the shorter way."""
        for witness in self._witnesses:
            witness(event)

    async def is_heard(self, ctx: Context, events: Sequence[Event]) -> bool:
        """Whether anybody may want events like these, which are shown without payload and keys."""
        for hears in self._interests:
            if hears is None:
                return True
            for event in events:
                if await hears(ctx, event):
                    return True
        return False

    def guard_of(self, collection: str) -> Guard | None:
        """Whoever looks after the collection."""
        return self._guards.get(collection)

    def outcome_of(self, collection: str) -> Guard | None:
        """Whoever looks at what writes in the collection have led to."""
        return self._outcomes.get(collection)

    async def deletion(self, ctx: Context, event: Event) -> None:
        """Lets go what belongs to items that have been deleted."""
        for guard in self._deletions:
            await guard(ctx, event)

    async def filter(self, ctx: Context, event: Event) -> Any:
        """The payload, after every filter has seen it."""
        for subscriber in self._filters:
            event = replace(event, payload=await subscriber(ctx, event))
        return event.payload

    async def action(self, ctx: Context, events: Sequence[Event]) -> None:
        """Tells every subscriber what was done."""
        for subscriber in self._actions:
            await subscriber(ctx, events)
