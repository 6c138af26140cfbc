"""`Feed`: tells the processes of one database what another has changed, through two small tables.

A process that has subscribers says so in `datastead_listeners`, and the others write their changes into
`datastead_changes` then, with the changes themselves. While nobody subscribes, all that a writer does is to look
whether that is so, twice a second at most.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal
from uuid import uuid4

import orjson
import sqlalchemy as sa

from datastead.context import Clock
from datastead.data import system
from datastead.data.engine import Connection, Database, Transaction
from datastead.data.signals import Signals

Verb = Literal["create", "update", "delete"]

LOOK_S = 0.5
"""How long a writer believes what it knows of listeners; so long a new listener waits before it counts on them."""
LEASE = timedelta(seconds=30)
KEPT = timedelta(minutes=1)
LATE_S = 10.0
"""How long a transaction may take between its change and its commit, where others commit before it: not on SQLite."""


@dataclass(frozen=True, slots=True)
class Change:
    """Items that were created, changed or deleted together. keys: as they are in JSON."""

    collection: str
    action: Verb
    keys: tuple[Any, ...]
    id: str = field(default_factory=lambda: uuid4().hex, compare=False)


class Feed:
    """The changes of other processes, and for them."""

    def __init__(self, database: Database, signals: Signals, clock: Clock) -> None:
        self._database = database
        self._signals = signals
        self._clock = clock
        self._process = uuid4().hex
        self._looked_at = 0.0
        self._others_listen = False
        self._floor = 0
        self._seen: dict[int, float] = {}
        listeners, changes = system.listeners, system.changes
        is_other = listeners.c.process != self._process
        until = sa.bindparam("now", None, listeners.c.until.type)
        self._look = database.prepare(
            sa.select(listeners.c.process).where(is_other, listeners.c.until > until).limit(1)
        )
        self._read = database.prepare(
            sa.select(changes.c.id, changes.c.entries)
            .where(changes.c.id > sa.bindparam("floor"), changes.c.process != self._process)
            .order_by(changes.c.id)
        )

    async def tell(self, connection: Connection, made: Sequence[Change]) -> None:
        """Writes the changes down for others, in their own transaction; they hear of it after the commit."""
        entries = [[change.collection, change.action, list(change.keys)] for change in made]
        row = {"process": self._process, "entries": entries, "at": self._clock()}
        await connection.run(lambda transaction: transaction.execute(system.changes.insert().values(row)).rowcount)
        await self._signals.send_after(connection, "changes")

    async def is_heard(self, connection: Connection) -> bool:
        """Whether any other process listens."""
        if self._database.is_in_memory:
            return False
        now = time.monotonic()
        if now - self._looked_at >= LOOK_S:
            parameters = self._of_now()
            self._note(now, await connection.run(lambda transaction: transaction.raw(self._look, parameters)))
        return self._others_listen

    async def is_awaited(self) -> bool:
        """The same for a write that has not begun yet, and so has to have looked less long ago."""
        if self._database.is_in_memory:
            return False
        now = time.monotonic()
        if now - self._looked_at >= LOOK_S / 2:
            parameters = self._of_now()
            self._note(now, await self._database.reading(lambda fetch: fetch(self._look, parameters), "listeners"))
        return self._others_listen

    def _of_now(self) -> dict[str, Any]:
        return {"now": self._database.timestamp(self._clock())}

    def _note(self, looked_at: float, listeners: Sequence[Any]) -> None:
        """Only now: who comes meanwhile looks as well, and does not believe what was known long before."""
        self._looked_at = max(self._looked_at, looked_at)
        self._others_listen = bool(listeners)

    async def listen(self) -> bool:
        """Says that this process listens, for as long as a lease; whether it did not before."""
        if self._database.is_in_memory:
            return False
        is_new, last = await self._database.write(self._renew)
        if is_new:
            self._floor, self._seen = last, {}
        return is_new

    def _renew(self, transaction: Transaction) -> tuple[bool, int]:
        listeners, changes, now = system.listeners, system.changes, self._clock()
        transaction.execute(listeners.delete().where(listeners.c.until <= now))
        transaction.execute(changes.delete().where(changes.c.at <= now - KEPT))
        own = listeners.update().where(listeners.c.process == self._process).values(until=now + LEASE)
        if transaction.execute(own).rowcount:
            return False, 0
        transaction.execute(listeners.insert().values(process=self._process, until=now + LEASE))
        return True, transaction.execute(sa.select(sa.func.max(changes.c.id))).scalar() or 0

    async def leave(self) -> None:
        """Says that this process does not listen any more."""
        own = system.listeners.delete().where(system.listeners.c.process == self._process)
        await self._database.write(lambda transaction: transaction.execute(own).rowcount)

    async def news(self) -> list[Change]:
        """What others have changed since the last time."""
        if self._database.is_in_memory:
            return []
        rows = await self._database.fetch(self._read, {"floor": self._floor})
        new = [(number, entries) for number, entries in rows if number not in self._seen]
        now = time.monotonic()
        self._seen |= dict.fromkeys((number for number, _ in new), now)
        self._forget(now - (0.0 if self._database.dialect == "sqlite" else LATE_S))
        return [
            Change(collection, action, tuple(keys))
            for _, entries in new
            for collection, action, keys in orjson.loads(entries)
        ]

    def _forget(self, before: float) -> None:
        """Rows are not read again that nothing can come before any more."""
        settled = [number for number, seen_at in self._seen.items() if seen_at <= before]
        self._floor = max(settled, default=self._floor)
        self._seen = {number: seen_at for number, seen_at in self._seen.items() if number > self._floor}
