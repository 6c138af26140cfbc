"""`Versions`: drafts of items. A version has what it changes (`delta`), and a hash of the item that it was made for.

Reading an item as of a version lays the changes over what the actor may see of the item; nothing is written for it.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from datastead.context import SYSTEM, Context
from datastead.data import payloads, system
from datastead.data.drafts import laid_over
from datastead.data.items import Item, Items, Key
from datastead.data.nesting import inspect, links_of
from datastead.data.query import Query
from datastead.data.saves import add_save, saved
from datastead.data.workspace import MAIN, VERSIONS
from datastead.errors import Forbidden, InvalidPayload, UnprocessableContent

Payload = Mapping[str, Any]
EVERYTHING = Query()


class Versions:
    """The versions of items, for one actor."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._items = Items(ctx, VERSIONS)

    async def create(self, new: Sequence[Payload]) -> list[Key]:
        """Creates versions that change nothing yet; their keys."""
        keys: list[Key] = []
        async with self._ctx.transaction() as ctx:
            for payload in new:
                key = await Items(ctx, VERSIONS).create(await self._named(payload))
                row = await Items(ctx.acting_as(SYSTEM), VERSIONS).read_one(key)
                await _note(ctx, key, await _hash(ctx, row))
                keys.append(key)
        return keys

    async def save(self, key: Key, changes: Payload) -> Item:
        """Adds changes of fields; the item as it would be, with who saved it and when."""
        async with self._ctx.transaction() as ctx:
            items = Items(ctx, VERSIONS)
            row = await items.read_one(key)
            if not await items.may("update", key):
                raise Forbidden
            checked = await _checked(ctx, row["collection"], changes)
            delta = {**await self._delta(ctx, key), **checked}
            if await self._has_delta():
                await _write(ctx, key, delta=delta)
            else:
                await add_save(ctx, row, checked)
                await _write(ctx, key, hash=row["hash"])
        main = await Items(self._ctx, row["collection"]).read_one(row["item"])
        draft = await laid_over(self._ctx, (row["collection"], row["item"]), main, delta, EVERYTHING)
        moment = self._ctx.now().replace(tzinfo=None).isoformat(timespec="milliseconds")
        return {**draft, "_user": self._ctx.actor.user, "_date": f"{moment}Z"}

    async def compare(self, key: Key) -> dict[str, Any]:
        """`{outdated, mainHash, current, main}`: current is what the version changes."""
        row = await self._items.read_one(key)
        main = await Items(self._ctx, row["collection"]).read_one(row["item"])
        now, then = await _hash(self._ctx, row), row.get("hash")
        primary = await self._primary(row["collection"])
        delta = await self._delta(self._ctx, key)
        shown = {name: value for name, value in delta.items() if name in main}
        return {"outdated": now != then, "mainHash": now, "current": {primary: row["item"], **shown}, "main": main}

    async def promote(self, key: Key, main_hash: str, fields: Sequence[str] | None = None) -> Key:
        """Writes the changes to the item, as the actor may; its key. Raises `UnprocessableContent` for an old hash."""
        async with self._ctx.transaction() as ctx:
            row = await Items(ctx, VERSIONS).read_one(key)
            if not hmac.compare_digest(main_hash.encode(), (await _hash(ctx, row)).encode()):
                reason = "The item has changed since `mainHash` was asked for: compare again"
                raise UnprocessableContent(f"{reason}.", reason=reason)
            delta = await self._delta(ctx, key)
            wanted = {name: value for name, value in delta.items() if fields is None or name in fields}
            await Items(ctx, row["collection"]).update(row["item"], wanted)
            await _write(ctx, key, hash=await _hash(ctx, row))
        return row["item"]

    async def read_item(self, collection: str, item: Key, version: str, query: Query) -> Item:
        """An item as of one of its versions (`main`: as it is). Raises `Forbidden` where there is none."""
        found = await Items(self._ctx, collection).read_one(item, query)
        if version == MAIN:
            return found
        own = await self._own(collection, item)
        here = {"collection": {"_eq": collection}, "item": {"_eq": own}, "key": {"_eq": version}}
        keys = await self._items.keys(Query(filter=here, limit=1))
        if not keys:
            reason = f"There is no version `{version[:100]}` of the item, or you are not allowed to see it"
            raise Forbidden(f"{reason}.", reason=reason)
        return await laid_over(self._ctx, (collection, own), found, await self._delta(self._ctx, keys[0]), query)

    async def read_singleton(self, collection: str, version: str, query: Query) -> Item:
        """The only item as of one of its versions; what it is by default where it was never written."""
        items = Items(self._ctx, collection)
        keys = await items.keys(Query(limit=1))
        return await (self.read_item(collection, keys[0], version, query) if keys else items.read_singleton(query))

    async def _has_delta(self) -> bool:
        return "delta" in (await self._ctx.services.schemas.get()).collection(VERSIONS).columns

    async def _delta(self, ctx: Context, key: Key) -> dict[str, Any]:
        if not await self._has_delta():
            return await saved(ctx, key)
        """Its changes of fields that there are. Directus adds who saved them (`_user`) and when (`_date`)."""
        row = await Items(ctx.acting_as(SYSTEM), VERSIONS).read_one(key, Query(fields=("delta", "collection")))
        delta = row["delta"] if isinstance(row["delta"], dict) else {}
        fields = (await self._ctx.services.schemas.get()).collection(row["collection"]).fields
        return {name: value for name, value in delta.items() if name in fields}

    async def _named(self, payload: Payload) -> Payload:
        """With the item's key as the database spells it."""
        collection, item = payload.get("collection"), payload.get("item")
        if not isinstance(collection, str) or isinstance(item, bool) or not isinstance(item, str | int):
            return payload
        return {**payload, "item": await self._own(collection, item)}

    async def _own(self, collection: str, item: Key) -> str:
        """The item's key, as its versions have it."""
        primary = await self._primary(collection)
        found = await Items(self._ctx.acting_as(SYSTEM), collection).read_one(item, Query(fields=(primary,)))
        return str(found[primary])

    async def _primary(self, collection: str) -> str:
        primary = (await self._ctx.services.schemas.get()).collection(collection).primary
        assert primary is not None
        return primary.name


async def _note(ctx: Context, key: Key, hashed: str) -> None:
    """The hash of a version that was just made: nobody has changed it yet."""
    assert ctx.connection is not None
    table = system.item_versions
    await ctx.connection.execute(table.update().where(table.c.id == key).values(hash=hashed))


async def _write(ctx: Context, key: Key, **values: Any) -> None:
    """What the rules of the table let nobody write by themselves."""
    admin = replace(ctx.actor, is_admin=True)
    await Items(ctx.acting_as(admin), VERSIONS).update(key, values)


async def _checked(ctx: Context, name: str, changes: Payload) -> dict[str, Any]:
    """The changes, which could be written: of fields that there are, of their types, and none that is never shown."""
    schema = await ctx.services.schemas.get()
    collection = schema.collection(name)
    checked = payloads.checked(ctx, schema, collection, changes)
    if collection.primary is not None:
        checked.pop(collection.primary.name, None)
    inspect(schema, collection, [checked], ctx.services.settings)
    if payloads.shown(schema, collection, checked) != checked:
        reason = f"A version of `{name}` cannot hold values that are never shown, such as passwords"
        raise InvalidPayload(f"{reason}.", reason=reason, collection=name)
    links = links_of(schema, collection).in_use(checked)
    plain = {field: value for field, value in checked.items() if field not in links}
    payloads.row_of(schema, collection, plain, "update", ctx.services.database.dialect)
    return checked


async def _hash(ctx: Context, row: Payload) -> str:
    """Of the item as it is, whoever asks; signed, so that it tells nothing about what it is of."""
    item = await Items(ctx.acting_as(SYSTEM), row["collection"]).read_one(row["item"])
    written = orjson.dumps(item, default=str, option=orjson.OPT_SORT_KEYS)
    return hmac.new(ctx.services.settings.secret.get_secret_value().encode(), written, hashlib.sha1).hexdigest()
