"""`Recorded`: writes to one collection together with what is kept of them, as work for a thread."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from datastead.context import Context
from datastead.data.at_once import at_once
from datastead.data.engine import Prepared, Transaction
from datastead.data.history import History
from datastead.data.schema import Collection, Schema
from datastead.data.stored import Row, stored_of
from datastead.data.writing import KEYS_AT_ONCE, Writer

Key = Any
Values = Mapping[str, Any]


class Written(NamedTuple):
    """What a write has done: the items' keys, their rows as they are now (see `Stored`), and their revisions.

    rows: None where the rows alone do not say what the items are now. is_new: whether they have just been created.
    """

    keys: list[Key]
    rows: list[Row] | None = None
    revisions: Sequence[int] = ()
    is_new: bool = False


NOTHING_WRITTEN = Written([], [])
Statement = tuple[Prepared, Values]
Work = Callable[[Transaction], Written]


class Recorded:
    """Writes as the context's actor. Values are as the driver takes them."""

    def __init__(self, ctx: Context, schema: Schema, collection: Collection) -> None:
        self._database = ctx.services.database
        self._writer = Writer(ctx.services.database, schema, collection)
        self._at_once = at_once(ctx, schema, collection)
        self._history = History(ctx, schema, collection)
        self._stored = stored_of(schema, collection, ctx.services.database.dialect)

    async def insert_alone(self, rows: Sequence[Values]) -> Written:
        """Inserts the rows in a transaction of their own."""
        counts = self._writer.numbered_by_hand(rows) is None
        statement = self._at_once.insert(rows) if self._at_once and counts else None
        if statement is not None:
            found = await self._execute(statement)
            if found is not None:
                return Written(self._stored.keys(found), found, is_new=True)
        return await self._database.write(self.insert(rows))

    async def update_alone(self, row: Values, keys: Sequence[Key]) -> Written:
        """Changes those of the items that there are, in a transaction of its own."""
        if self._at_once is not None and row and len(keys) <= KEYS_AT_ONCE:
            found = await self._execute(self._at_once.update(row, keys))
            if found is not None:
                places = {key: place for place, key in enumerate(keys)}
                found.sort(key=lambda one: places.get(one[self._stored.key_at], len(places)))
                return Written(self._stored.keys(found), found)
        return await self._database.write(self.update(row, keys))

    async def _execute(self, statement: Statement) -> list[Row] | None:
        """The rows; None where the database has refused it: step by step it says more of the reason."""
        try:
            return await self._database.execute(*statement)
        except sa.exc.DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) is None:  # not known whether it was done
                raise
            return None

    def insert(self, rows: Sequence[Values]) -> Work:
        """Inserts the rows."""
        insert, stored, history = self._writer.insert(rows), self._stored, self._history

        def work(transaction: Transaction) -> Written:
            found = insert(transaction)
            keys = stored.keys(found)
            items = stored.items(found) if history.has_revisions else None
            return Written(keys, found, history.record(transaction, "create", keys, items), is_new=True)

        return work

    def update(self, row: Values, keys: Sequence[Key]) -> Work:
        """Changes those of the items that there are. Without values it is the items around that are changed."""
        stored, history = self._stored, self._history
        if not row:
            return lambda transaction: Written(list(keys), None, history.record(transaction, "update", keys))
        update, written = self._writer.update(row, keys), list(row)

        def work(transaction: Transaction) -> Written:
            found = update(transaction)
            changed = stored.keys(found)
            items = stored.items(found) if history.has_revisions else None
            return Written(changed, found, history.record(transaction, "update", changed, items, written))

        return work

    def delete(self, keys: Sequence[Key]) -> Work:
        """Deletes those of the items that there are."""
        delete, history = self._writer.delete(keys), self._history

        def work(transaction: Transaction) -> Written:
            deleted = delete(transaction)
            history.record(transaction, "delete", deleted)
            return Written(deleted)

        return work

    def adopt(self, parent: int, children: Sequence[int]) -> Work:
        """Says of revisions that they were written from another."""

        def work(transaction: Transaction) -> Written:
            self._history.adopt(transaction, parent, children)
            return NOTHING_WRITTEN

        return work
