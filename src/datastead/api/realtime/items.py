"""The messages with `type` `items`: reading and writing items over a WebSocket."""

from typing import Any

from datastead.api.body import invalid, keys_of, object_of, objects_of
from datastead.api.doors import Doors
from datastead.api.realtime.messages import Incoming, Message, readable
from datastead.context import Context
from datastead.data.items import Items
from datastead.data.query import Query
from datastead.errors import Forbidden, InvalidCollection, InvalidPayload


async def act(ctx: Context, doors: Doors, message: Incoming) -> Message:
    """Carries a message out; its answer. Raises what the services do."""
    action = message.values.get("action")
    work = {"create": _create, "read": _read, "update": _update, "delete": _delete}.get(str(action))
    if work is None:
        raise InvalidPayload("`action` has to be `create`, `read`, `update` or `delete`.", reason="unknown action")
    collection = message.text("collection")
    known = (await ctx.services.schemas.get()).collections.get(collection)
    if known is None or not known.has_table or not doors.shows(collection):
        raise InvalidCollection
    return message.answer(**await work(ctx, doors, message, collection))


async def _create(ctx: Context, doors: Doors, message: Incoming, collection: str) -> dict[str, Any]:
    given = message.values.get("data")
    payloads = objects_of(given) if isinstance(given, list) else [object_of(given)]
    query = message.query(ctx)
    if await _is_singleton(ctx, collection):
        await doors.write_singleton(ctx, collection, object_of(given))
        return {"data": await _seen(ctx, collection, None, query)}
    keys = await doors.create(ctx, collection, payloads)
    return {"data": await _seen(ctx, collection, keys, query, is_one=not isinstance(given, list))}


async def _read(ctx: Context, doors: Doors, message: Incoming, collection: str) -> dict[str, Any]:
    await readable(ctx, doors, message)
    query, items = message.query(ctx), Items(ctx, collection)
    if "id" in message.values:
        return {"data": await items.read_one(_key(message), query)}
    if "ids" in message.values:
        return {"data": await items.read_many(keys_of(message.values["ids"], "ids"), query)}
    if await _is_singleton(ctx, collection):
        return {"data": await items.read_singleton(query)}
    found: dict[str, Any] = {"data": await items.read(query)}
    return {**found, "meta": await items.meta(query)} if query.meta else found


async def _update(ctx: Context, doors: Doors, message: Incoming, collection: str) -> dict[str, Any]:
    given, query = message.values.get("data"), message.query(ctx)
    if await _is_singleton(ctx, collection):
        await doors.write_singleton(ctx, collection, object_of(given))
        return {"data": await _seen(ctx, collection, None, query)}
    if "id" in message.values:
        keys = await doors.update(ctx, collection, [_key(message)], object_of(given))
        return {"data": await _seen(ctx, collection, keys, query, is_one=True)}
    if isinstance(given, list):
        keys = await doors.update_batch(ctx, collection, objects_of(given))
        return {"data": await _seen(ctx, collection, keys, query)}
    named = await _named(ctx, message, collection, query)
    keys = await doors.update(ctx, collection, named, object_of(given))
    return {"data": await _seen(ctx, collection, keys, Query(fields=query.fields))}


async def _delete(ctx: Context, doors: Doors, message: Incoming, collection: str) -> dict[str, Any]:
    if "id" in message.values:
        key = _key(message)
        await doors.delete(ctx, collection, [key])
        return {"data": key}
    keys = await _named(ctx, message, collection, message.query(ctx))
    await doors.delete(ctx, collection, keys)
    return {"data": keys}


async def _named(ctx: Context, message: Incoming, collection: str, query: Query) -> list[Any]:
    """The keys of the items that a message means, by `ids` or by a query."""
    if "ids" in message.values:
        return keys_of(message.values["ids"])
    if "query" not in message.values:
        raise invalid("`id`, `ids` or `query` has to say which items.")
    return await Items(ctx, collection).keys(query)


async def _seen(ctx: Context, collection: str, keys: list[Any] | None, query: Query, *, is_one: bool = False) -> Any:
    """Written items as they are now; None for those who may write them and not read them. keys: None = a singleton."""
    items = Items(ctx, collection)
    try:
        if keys is None:
            return await items.read_singleton(query)
        return await items.read_one(keys[0], query) if is_one else await items.read_many(keys, query)
    except (Forbidden, IndexError):
        return None


async def _is_singleton(ctx: Context, collection: str) -> bool:
    return (await ctx.services.schemas.get()).collection(collection).singleton


def _key(message: Incoming) -> Any:
    return keys_of([message.values["id"]])[0]
