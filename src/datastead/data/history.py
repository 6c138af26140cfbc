"""`History`: what is kept of writes: an activity for each item, and a revision where there is something after it.

Written in the transaction of the change. Which collections keep what, their `accountability` says.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import orjson
import sqlalchemy as sa

from datastead.context import Context
from datastead.data import system
from datastead.data.engine import Prepared, Transaction
from datastead.data.schema import Collection, Schema
from datastead.data.wire import plain
from datastead.data.writing import parts_of
from datastead.errors import Forbidden

Verb = Literal["create", "update", "delete", "login"]
Item = Mapping[str, Any]
Keeps = Literal["all", "activity"] | None
ACTIVITY, REVISIONS = system.activity.name, system.revisions.name
UNRECORDED = frozenset({ACTIVITY, REVISIONS, "directus_presets", "directus_sessions", "directus_notifications"})
NEVER_KEPT: Mapping[str, frozenset[str]] = {"directus_users": frozenset({"auth_data"})}
"""Fields that are not in revisions, beside those that are concealed: what providers of sign-on have given."""
LONGEST_KEY = 255
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def actor_columns(ctx: Context) -> dict[str, Any]:
    """What an activity says of who acts, from where and when, as the driver takes it."""
    actor = ctx.actor
    return {
        "user": actor.user if _UUID.fullmatch(actor.user or "") else None,
        "timestamp": ctx.services.database.timestamp(ctx.now()),
        "ip": actor.ip,
        "user_agent": actor.user_agent,
        "origin": actor.origin,
    }


def accountability_of(collection: Collection) -> Keeps:
    """What is kept of writes in a collection: activities and revisions, activities, or nothing."""
    if collection.name in UNRECORDED:
        return None
    if collection.is_system or collection.meta is None:
        return "all"
    said = collection.meta.get("accountability")
    return said if said in {"all", "activity"} else None


class History:
    """Records what an actor does in one collection."""

    def __init__(self, ctx: Context, schema: Schema, collection: Collection) -> None:
        self._database = ctx.services.database
        self._schema = schema
        self._name = collection.name
        self._never = NEVER_KEPT.get(collection.name, frozenset())
        self._ctx = ctx
        self.keeps = accountability_of(collection)

    @property
    def has_revisions(self) -> bool:
        return self.keeps == "all"

    def record(
        self,
        transaction: Transaction,
        verb: Verb,
        keys: Sequence[Any],
        items: Sequence[Item] | None = None,
        written: Sequence[str] | None = None,
    ) -> list[int]:
        """Adds an activity for each item; and revisions, where there are items as they are now: the ids of these.

        written: the fields that were written; None = all.
        """
        if self.keeps is None or not keys:
            return []
        names = [str(key)[:LONGEST_KEY] for key in keys]
        activities = self._add_activities(transaction, verb, names)
        if items is None or self.keeps != "all":
            return []
        return self._add_revisions(transaction, activities, names, items, written)

    def _add_activities(self, transaction: Transaction, verb: Verb, names: Sequence[str]) -> list[int]:
        found, start = list[int](), 0
        about = [verb, *actor_columns(self._ctx).values()]
        for size in parts_of(len(names), len(about) + 2):
            part = names[start : start + size]
            values = [value for name in part for value in (*about, self._name, name)]
            rows = transaction.raw(self._activities(size), values)
            found += [row[0] for row in rows]
            start += size
        return found

    def _add_revisions(
        self,
        transaction: Transaction,
        activities: Sequence[int],
        names: Sequence[str],
        items: Sequence[Item],
        written: Sequence[str] | None,
    ) -> list[int]:
        found: list[int] = []
        rows = []
        for activity, name, item in zip(activities, names, items, strict=True):
            data = self._json(item)
            delta = data if written is None else self._json({field: item[field] for field in written if field in item})
            rows.append((activity, self._name, name, data, delta))
        start = 0
        for size in parts_of(len(rows), 5):
            values = [value for row in rows[start : start + size] for value in row]
            found += [row[0] for row in transaction.raw(self._revisions(size), values)]
            start += size
        return found

    def _json(self, item: Item) -> str:
        kept = {name: value for name, value in item.items() if name not in self._never} if self._never else item
        return orjson.dumps(kept, default=plain).decode()

    def adopt(self, transaction: Transaction, parent: int, children: Sequence[int]) -> None:
        """Says of revisions that they were written from another."""
        revisions = system.revisions
        transaction.execute(sa.update(revisions).where(revisions.c.id.in_(list(children))).values(parent=parent))

    def _activities(self, count: int) -> Prepared:
        names = ("action", "user", "timestamp", "ip", "user_agent", "origin", "collection", "item")
        return self._insert(ACTIVITY, names, count)

    def _revisions(self, count: int) -> Prepared:
        return self._insert(REVISIONS, ("activity", "collection", "item", "data", "delta"), count)

    def _insert(self, table_name: str, names: Sequence[str], count: int) -> Prepared:
        """Takes its values as a list, row by row."""
        key = ("history", table_name, count)
        found: Prepared | None = self._schema.plans.get(key)
        if found is not None:
            return found
        table = sa.table(table_name, *(sa.column(name) for name in ("id", *names)))
        rows: list[dict[Any, Any]] = [{name: sa.bindparam(f"r{row}{name}") for name in names} for row in range(count)]
        statement = sa.insert(table).values(rows if count > 1 else rows[0]).returning(table.c.id)
        prepared = self._database.prepare(statement)
        self._schema.plans.put(key, prepared)
        return prepared


async def record_login(ctx: Context) -> None:
    """Adds the activity of a login, in its transaction. ctx: of the user who has logged in."""
    assert ctx.connection is not None
    schema, user = await ctx.services.schemas.get(), ctx.actor.user
    history = History(ctx, schema, schema.collection("directus_users"))
    await ctx.connection.run(lambda transaction: history.record(transaction, "login", [user]))


async def refuse_changes(*_: Any) -> None:
    """A guard: what has happened is written by the platform alone, and is not changed."""
    raise Forbidden("Activities and revisions are written by the platform, and not changed.")
