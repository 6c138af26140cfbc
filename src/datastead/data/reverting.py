"""Reverting: an item gets the values again that a revision has kept of it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from datastead.context import SYSTEM, Context
from datastead.data.history import REVISIONS
from datastead.data.items import Items
from datastead.data.nesting import NESTABLE
from datastead.data.query import Query
from datastead.data.schema import Collection, Field
from datastead.errors import Forbidden, UnprocessableContent

Write = Callable[[Context, Any, Mapping[str, Any]], Awaitable[Any]]
"""Changes one item, by its key."""

FILL_THEMSELVES = frozenset({"date-updated", "user-updated", "role-updated"})


async def revert(ctx: Context, revision: Any, writers: Mapping[str, Write]) -> None:
    """Writes what is not as it was then, as the actor, who needs the permissions for it; that is recorded, too.

    writers: of those system collections that have rules of their own. Raises `Forbidden` where there is no such
    revision or item, `UnprocessableContent` for what cannot be reverted.
    """
    wanted = Query(fields=("collection", "item", "data"))
    found = await Items(ctx, REVISIONS).read_one(revision, wanted)
    name, key, data = found["collection"], found["item"], found["data"]
    if not isinstance(data, Mapping):
        raise _impossible(f"The revision {revision} holds no values")
    async with ctx.transaction() as inside:
        schema = await inside.services.schemas.get()
        write = _writer(schema.collection(name), writers)
        changes = await _differing(inside, schema.collection(name), key, data)
        if changes:
            await write(inside, key, changes)


def _writer(collection: Collection, writers: Mapping[str, Write]) -> Write:
    if collection.name in writers:
        return writers[collection.name]
    if collection.is_system and collection.name not in NESTABLE:
        raise _impossible(f"Items of `{collection.name}` are not reverted, but changed by their own requests")
    return lambda ctx, key, changes: Items(ctx, collection.name).update(key, changes)


async def _differing(ctx: Context, collection: Collection, key: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that the item does not have now. Fields that there are no more are left out."""
    names = tuple(name for name, item in collection.columns.items() if name in data and _is_restored(item))
    if not names:
        return {}
    now = await Items(ctx.acting_as(SYSTEM), collection.name).read_many([key], Query(fields=names, limit=-1))
    if not now:
        raise Forbidden
    return {name: data[name] for name in names if data[name] != now[0][name]}


def _is_restored(item: Field) -> bool:
    column = item.column
    if column is None or column.is_primary_key or column.is_generated or item.is_concealed:
        return False
    return item.special.isdisjoint(FILL_THEMSELVES)


def _impossible(reason: str) -> UnprocessableContent:
    return UnprocessableContent(f"{reason}.", reason=reason)
