"""What people put around items: bookmarks, notifications, comments, translations, dashboards, versions and shares.

One entry of `RESOURCES` is a resource: its path, its table, and what one of it is called. The rules that their rows do
not tell are here, too; they hold for every write, whoever writes.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from datastead.context import SYSTEM, Context
from datastead.data import system
from datastead.data.items import Items
from datastead.data.query import Query
from datastead.data.reading import KEYS_AT_ONCE
from datastead.errors import Forbidden, InvalidForeignKey, InvalidPayload, UnprocessableContent
from datastead.events import Bus, Event


class Resource(NamedTuple):
    """A collection of the platform's own that is written like any other. word: what one of it is called."""

    path: str
    table: sa.Table
    word: str


RESOURCES = (
    Resource("/presets", system.presets, "bookmark"),
    Resource("/notifications", system.notifications, "notification"),
    Resource("/comments", system.comments, "comment"),
    Resource("/translations", system.translations, "translation"),
    Resource("/dashboards", system.dashboards, "dashboard"),
    Resource("/panels", system.panels, "panel"),
    Resource("/versions", system.item_versions, "version"),
    Resource("/shares", system.shares, "share"),
)

REFERENCES = tuple(column for resource in RESOURCES for column in resource.table.c if column.info)
"""The columns that refer to users and roles."""

COMMENTS, VERSIONS, SHARES = system.comments.name, system.item_versions.name, system.shares.name
ABOUT_ITEMS = (COMMENTS, VERSIONS, SHARES)
MAIN = "main"
"""What the item itself is called among its versions."""


def install(bus: Bus) -> None:
    """These rules, for a process."""
    for resource in RESOURCES:
        bus.on_guard(resource.table.name, guard)
    bus.on_deletion(forget)


async def guard(ctx: Context, event: Event) -> None:
    """Nobody writes in another's name; what is about an item is about one that its author may see."""
    if event.scope == "items.delete":
        return
    _check_author(ctx, event.payload)
    await _check_references(ctx, event)
    if event.collection not in ABOUT_ITEMS:
        return
    if event.scope == "items.create":
        await _check_item(ctx, event)
    else:
        await _check_unmoved(ctx, event)
    if event.collection == VERSIONS:
        await _check_version(ctx, event)


async def forget(ctx: Context, event: Event) -> None:
    """What belongs to a deleted user or role goes with it, and so do the versions and shares of a deleted item.

    A link to an item must not lead to another one that gets its key. Comments stay, as in the contract.
    """
    assert ctx.connection is not None
    assert event.collection is not None
    keys = [str(key) for key in event.keys]
    for start in range(0, len(keys), KEYS_AT_ONCE):
        some = keys[start : start + KEYS_AT_ONCE]
        for statement in (*_forgetting(event.collection, some), *_of_items(event.collection, some)):
            await ctx.connection.execute(statement)


def _of_items(collection: str, keys: list[str]) -> Iterator[Any]:
    for table in (system.item_versions, system.shares):
        yield table.delete().where(table.c.collection == collection, table.c.item.in_(keys))


def _forgetting(collection: str, keys: list[str]) -> Iterator[Any]:
    """The statements by which what refers to these users or roles does so no more."""
    for column in REFERENCES:
        if column.info["refers"] == collection:
            if column.info["on_delete"] == "CASCADE":
                yield column.table.delete().where(column.in_(keys))
            else:
                yield column.table.update().where(column.in_(keys)).values({column.name: None})


async def _check_references(ctx: Context, event: Event) -> None:
    for column in REFERENCES:
        value = event.payload.get(column.name) if column.table.name == event.collection else None
        if value is None:
            continue
        try:
            await Items(ctx.acting_as(SYSTEM), column.info["refers"]).read_one(value, Query(fields=("id",)))
        except Forbidden:
            shown = str(value)[:100]
            reason = f"There is no `{shown}` in `{column.info['refers']}`"
            raise InvalidForeignKey(f"{reason}.", collection=event.collection, field=column.name, value=shown) from None


def _check_author(ctx: Context, payload: Mapping[str, Any]) -> None:
    author = payload.get("user_created")
    if not ctx.actor.is_admin and author is not None and str(author).lower() != ctx.actor.user:
        raise Forbidden("`user_created` is whoever has created it.")


async def _check_item(ctx: Context, event: Event) -> None:
    collection, item = _text(event.payload, "collection"), _text(event.payload, "item")
    primary = (await ctx.services.schemas.get()).collection(collection).primary
    if primary is None:
        raise _invalid(event, "collection", f"`{collection[:100]}` has no key of one column")
    await Items(ctx, collection).read_one(item, Query(fields=(primary.name,)))
    if event.collection == SHARES and not await Items(ctx, collection).may("share", item):
        raise Forbidden


async def _check_unmoved(ctx: Context, event: Event) -> None:
    """It stays with its item."""
    moved = {name: str(event.payload[name]) for name in ("collection", "item") if name in event.payload}
    if not moved:
        return
    found = await Items(ctx.acting_as(SYSTEM), event.collection or "").read_many(list(event.keys))
    for row in found:
        changed = next((name for name, value in moved.items() if str(row[name]) != value), None)
        if changed is not None:
            raise _invalid(event, changed, f"`{changed}` cannot be changed: make another one for another item")


async def _check_version(ctx: Context, event: Event) -> None:
    payload = event.payload
    if not ctx.actor.is_admin and not {"delta", "hash"}.isdisjoint(payload):
        raise Forbidden("What a version changes is saved with `POST /versions/:id/save`.")
    if "key" not in payload and event.scope != "items.create":
        return
    key = payload.get("key")
    if not isinstance(key, str) or not key.strip() or key.lower() == MAIN:
        raise _invalid(event, "key", f"`key` has to be a text, and another one than `{MAIN}`")
    if event.scope == "items.create":
        await _check_versioning(ctx, payload["collection"])
    await _check_key(ctx, event, key)


async def _check_versioning(ctx: Context, name: str) -> None:
    collection = (await ctx.services.schemas.get()).collection(name)
    if not (collection.meta and collection.meta.get("versioning")):
        reason = f"The items of `{name}` have no versions: switch them on with the collection's `versioning`"
        raise UnprocessableContent(f"{reason}.", reason=reason, collection=name)


async def _check_key(ctx: Context, event: Event, key: str) -> None:
    """An item has one version of a name."""
    items, taken = Items(ctx.acting_as(SYSTEM), VERSIONS), {"key": {"_eq": key}}
    homes = [event.payload] if event.scope == "items.create" else await items.read_many(list(event.keys))
    if len(homes) > 1 and len({(row["collection"], row["item"]) for row in homes}) < len(homes):
        raise _not_unique(key)
    for row in homes:
        here = {"collection": {"_eq": row["collection"]}, "item": {"_eq": str(row["item"])}}
        others = {"id": {"_nin": list(event.keys)}} if event.keys else {}
        if await items.keys(Query(filter={**here, **taken, **others}, limit=1)):
            raise _not_unique(key)


def _not_unique(key: str) -> UnprocessableContent:
    reason = f"There is a version `{key[:100]}` of the item already"
    return UnprocessableContent(f"{reason}.", reason=reason, field="key")


def _text(payload: Mapping[str, Any], name: str) -> str:
    value = payload.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise InvalidPayload(f"`{name}` is required, and has to be a text.", reason=f"`{name}` is required", field=name)
    return str(value)


def _invalid(event: Event, field: str, reason: str) -> InvalidPayload:
    return InvalidPayload(f"{reason}.", reason=reason, collection=event.collection, field=field)
