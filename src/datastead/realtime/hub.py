"""`Realtime`: hears of changes once they are committed, and passes them to those who subscribe to the collection."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol
from uuid import UUID

from datastead.context import Clock, Context
from datastead.data.engine import Database
from datastead.data.signals import Signals
from datastead.errors import ServiceUnavailable
from datastead.events import Bus, Event
from datastead.realtime.feed import LOOK_S, Change, Feed, Verb

log = logging.getLogger("datastead.realtime")

POLL_S = 0.25
"""How soon a change of another process is seen where nothing tells of it."""
SIGNALLED_POLL_S = 1.0
"""The same where signals come, of a process that can send none."""
RENEW_S = 10.0
LINGER_S = 30.0
"""How long a process goes on to listen after its last subscriber has left: the next need not wait then."""
READY_S = 10.0
SHARED = 512
SHARED_S = 1.0
VERBS: dict[str, Verb] = {
    "items.create": "create", "items.update": "update", "items.delete": "delete", "files.upload": "create",
}  # fmt: skip


class Subscriber(Protocol):
    """Takes a change without waiting."""

    def put(self, change: Change) -> None: ...


class Realtime:
    """The subscribers of one process."""

    def __init__(self, database: Database, bus: Bus, signals: Signals, clock: Clock) -> None:
        self._is_alone = database.is_in_memory
        self._feed = Feed(database, signals, clock)
        self._signals = signals
        self._signalled = asyncio.Event()
        signals.on("changes", self._signalled.set)
        self._subscribers: dict[str, dict[Subscriber, int]] = {}
        self._listening: asyncio.Task[None] | None = None
        self._is_ready = asyncio.Event()
        self._left_at: float | None = None
        self._shared: dict[Any, asyncio.Future[Any]] = {}
        bus.on_action(self._on_action, self._hears)
        bus.on_unheard(lambda event: self._committed([event]))

    async def subscribe(self, subscriber: Subscriber, collection: str) -> None:
        """When this has returned, every change of the collection's items comes to the subscriber, once."""
        of = self._subscribers.setdefault(collection, {})
        of[subscriber] = of.get(subscriber, 0) + 1
        if self._is_alone:
            return
        if self._listening is None or self._listening.done():
            self._is_ready.clear()
            self._listening = asyncio.get_running_loop().create_task(self._listen())
        try:
            await asyncio.wait_for(self._is_ready.wait(), READY_S)
        except BaseException as error:
            self.unsubscribe(subscriber, collection)
            if isinstance(error, TimeoutError):
                raise ServiceUnavailable("The database is not available.") from None
            raise

    def unsubscribe(self, subscriber: Subscriber, collection: str) -> None:
        """One time less."""
        of = self._subscribers.get(collection, {})
        count = of.pop(subscriber, 0) - 1
        if count > 0:
            of[subscriber] = count
        if not of:
            self._subscribers.pop(collection, None)

    async def stop(self) -> None:
        """Ends."""
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    async def once(self, key: Any, read: Callable[[], Awaitable[Any]]) -> Any:
        """What `read` gives, read once for all who ask for the same at the same time."""
        found = self._shared.get(key)
        if found is None:
            loop = asyncio.get_running_loop()
            found = self._shared[key] = loop.create_task(_awaited(read))
            found.add_done_callback(lambda done: done.cancelled() or done.exception())
            loop.call_later(SHARED_S, self._shared.pop, key, None)
            if len(self._shared) > SHARED:
                self._shared.pop(next(iter(self._shared)))
        return await asyncio.shield(found)

    async def _hears(self, _: Context, event: Event) -> bool:
        """Other processes are told in the transaction of the change; those of this one, when it is committed."""
        return event.kind == "action" and event.scope in VERBS and await self._feed.is_awaited()

    async def _on_action(self, ctx: Context, events: Sequence[Event]) -> None:
        if ctx.connection is None or not any(event.scope in VERBS for event in events):
            return  # not a change of items
        if await self._feed.is_heard(ctx.connection):
            await self._feed.tell(ctx.connection, changes_of(events))
        ctx.connection.after_commit(lambda: self._committed(events))

    def _committed(self, events: Sequence[Event]) -> None:
        if self._subscribers:
            self._publish(changes_of(events))

    def _publish(self, changes: Iterable[Change]) -> None:
        for change in changes:
            for subscriber in list(self._subscribers.get(change.collection, ())):
                subscriber.put(change)

    async def _listen(self) -> None:
        """Hears other processes while there are subscribers, and a while longer."""
        loop = asyncio.get_running_loop()
        renewed_at, busy_at = -RENEW_S, loop.time()
        try:
            while loop.time() - busy_at < LINGER_S:
                try:
                    if loop.time() - renewed_at >= RENEW_S:
                        renewed_at = loop.time()
                        if await self._feed.listen():
                            await asyncio.sleep(LOOK_S + 0.1)  # until every writer knows of it
                    self._is_ready.set()
                    self._signalled.clear()
                    self._publish(await self._feed.news())
                except Exception:
                    log.exception("The changes of other processes could not be read; it is tried again.")
                busy_at = loop.time() if self._subscribers else busy_at
                await self._pause()
        finally:
            with contextlib.suppress(Exception):
                await asyncio.shield(self._feed.leave())

    async def _pause(self) -> None:
        """Until there may be news."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._signalled.wait(), SIGNALLED_POLL_S if self._signals.is_live else POLL_S)


def changes_of(events: Iterable[Event]) -> list[Change]:
    """What the events say of items: those of one collection that had the same done to them, together."""
    together: dict[tuple[str, Verb], dict[Any, None]] = {}
    for event in events:
        verb = VERBS.get(event.scope)
        if verb is not None and event.collection is not None and event.keys:
            keys = together.setdefault((event.collection, verb), {})
            keys |= dict.fromkeys(str(key) if isinstance(key, UUID) else key for key in event.keys)
    return [Change(collection, verb, tuple(keys)) for (collection, verb), keys in together.items()]


async def _awaited(read: Callable[[], Awaitable[Any]]) -> Any:
    return await read()
