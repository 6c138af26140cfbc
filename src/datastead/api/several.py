"""Several in one request, of what has a service of its own that writes one at a time: all or none."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from datastead.api.body import invalid, keys_of, object_of, objects_of
from datastead.context import Context
from datastead.data.items import Items
from datastead.data.query import Query

Create = Callable[[Context, dict[str, Any]], Awaitable[str]]
Update = Callable[[Context, str, dict[str, Any]], Awaitable[None]]
Delete = Callable[[Context, str], Awaitable[None]]


async def create_each(ctx: Context, body: Any, create: Create) -> list[str]:
    """Creates what an object says, or each of a list; the keys."""
    payloads = objects_of(body) if isinstance(body, list) else [object_of(body)]
    async with ctx.transaction() as inside:
        return [await create(inside, payload) for payload in payloads]


async def update_each(ctx: Context, collection: str, body: Any, update: Update) -> list[str]:
    """Changes each of a list by its `id`, or those of `keys` or `query` by `data`; the keys."""
    async with ctx.transaction() as inside:
        changes = await _changes(inside, collection, body)
        for key, payload in changes:
            await update(inside, key, payload)
    return [key for key, _ in changes]


async def delete_each(ctx: Context, collection: str, body: Any, delete: Delete) -> None:
    """Deletes those of a list of keys, of `keys` or of `query`."""
    async with ctx.transaction() as inside:
        keys = keys_of(body) if isinstance(body, list) else await _named(inside, collection, body)
        for key in keys:
            await delete(inside, str(key))


async def _changes(ctx: Context, collection: str, body: Any) -> list[tuple[str, dict[str, Any]]]:
    if isinstance(body, list):
        changes = objects_of(body)
        if any(not isinstance(payload.get("id"), str) for payload in changes):
            raise invalid("Each entry of the list needs its `id`.")
        return [(payload["id"], {k: v for k, v in payload.items() if k != "id"}) for payload in changes]
    if not isinstance(body, dict) or not isinstance(body.get("data"), dict):
        raise invalid("The body has to be a list of objects with `id`, or an object with `data` and `keys` or `query`.")
    return [(str(key), body["data"]) for key in await _named(ctx, collection, body)]


async def _named(ctx: Context, collection: str, body: Any) -> list[Any]:
    if isinstance(body, dict) and "keys" in body:
        return keys_of(body["keys"])
    if not isinstance(body, dict) or not isinstance(body.get("query"), dict):
        raise invalid("`keys` (a list) or `query` (an object) has to say which.")
    query = Query.parse(body["query"], ctx.services.settings)
    return await Items(ctx, collection).keys(replace(query, limit=-1) if query.limit is None else query)
