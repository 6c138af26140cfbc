"""Which of the platform's own collections are read and written as items, and by which service: for the ways to items
that are not a route for each collection, such as WebSockets.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.applications import Starlette

from datastead.api.items import SYSTEM_PREFIXES, Answer, Endpoint, create_items, delete_items, read_items, update_items
from datastead.api.several import create_each, delete_each, update_each
from datastead.auth.accounts import COLLECTION as USERS
from datastead.auth.accounts import Accounts
from datastead.context import Context
from datastead.data.items import Items
from datastead.data.project import COLLECTION as SETTINGS
from datastead.data.project import ProjectSettings
from datastead.data.versions import Versions
from datastead.data.workspace import VERSIONS
from datastead.errors import Forbidden
from datastead.files.files import Files
from datastead.files.guard import COLLECTION as FILES
from datastead.files.store import store_of
from datastead.flows.parts import FLOWS, OPERATIONS, linked

READ_BESIDES = frozenset({USERS, SETTINGS, FLOWS, OPERATIONS})
"""Collections whose routes read items, and write them in ways of their own."""
WRITTEN_BESIDES = frozenset({USERS, SETTINGS, FILES, FLOWS, OPERATIONS, VERSIONS})

PLAIN: Mapping[str, Answer] = {"POST": create_items, "PATCH": update_items, "DELETE": delete_items}
"""The methods of a collection that is written as items are, with nothing beside."""

Payload = Mapping[str, Any]


class Doors:
    """What of the platform's own the routes of an app show."""

    def __init__(self, app: Starlette) -> None:
        found = {
            endpoint.collection: endpoint
            for route in app.routes
            if isinstance(endpoint := getattr(route, "endpoint", None), Endpoint) and endpoint.collection is not None
            if endpoint.methods.get("GET") is read_items
        }
        self.readable = READ_BESIDES | found.keys()
        self.writable = WRITTEN_BESIDES | {
            name for name, endpoint in found.items() if PLAIN.items() <= endpoint.methods.items()
        }

    def shows(self, collection: str) -> bool:
        """Whether items of a collection can be read, by those who may."""
        return collection in self.readable or not collection.startswith(SYSTEM_PREFIXES)

    def writes(self, collection: str) -> bool:
        """Whether items of a collection can be written, by those who may."""
        return collection in self.writable or not collection.startswith(SYSTEM_PREFIXES)

    async def create(self, ctx: Context, collection: str, payloads: Sequence[Payload]) -> list[Any]:
        """Creates items, all or none; their keys."""
        self._require(collection, SETTINGS)
        if collection == USERS:
            return list(await Accounts(ctx).create(payloads))
        if (part := ctx.services.flows.part(collection)) is not None:
            return list(await create_each(ctx, [linked(payload) for payload in payloads], part.create))
        if collection == VERSIONS:
            return await Versions(ctx).create(payloads)
        if collection == FILES:
            async with ctx.transaction() as inside:
                return [await Files(inside).describe(payload) for payload in payloads]
        return await Items(ctx, collection).create_many(payloads)

    async def update(self, ctx: Context, collection: str, keys: Sequence[Any], payload: Payload) -> list[Any]:
        """Changes items alike; the keys of those that exist."""
        self._require(collection, SETTINGS)
        if collection == USERS:
            return list(await Accounts(ctx).update(keys, payload))
        if (part := ctx.services.flows.part(collection)) is not None:
            body = {"keys": list(keys), "data": linked(payload)}
            return list(await update_each(ctx, collection, body, part.update))
        return await Items(ctx, collection).update_many(keys, payload)

    async def update_batch(self, ctx: Context, collection: str, payloads: Sequence[Payload]) -> list[Any]:
        """Changes items, each as its own payload says, which holds its key."""
        self._require(collection, SETTINGS)
        if collection == USERS:
            return list(await Accounts(ctx).update_batch(payloads))
        if (part := ctx.services.flows.part(collection)) is not None:
            return list(await update_each(ctx, collection, [linked(payload) for payload in payloads], part.update))
        return await Items(ctx, collection).update_batch(payloads)

    async def write_singleton(self, ctx: Context, collection: str, payload: Payload) -> None:
        """Changes the only item of a singleton, or creates it."""
        self._require(collection)
        if collection != SETTINGS:
            await Items(ctx, collection).write_singleton(payload)
            return
        await ProjectSettings(ctx).write(dict(payload))
        if ctx.services.configuration is not None:
            await ctx.services.configuration.refresh()

    async def delete(self, ctx: Context, collection: str, keys: Sequence[Any]) -> None:
        """Deletes items, all or none."""
        self._require(collection, SETTINGS)
        if collection == USERS:
            await Accounts(ctx).delete(keys)
            return
        if (part := ctx.services.flows.part(collection)) is not None:
            await delete_each(ctx, collection, list(keys), part.delete)
            return
        await Items(ctx, collection).delete_many(keys)
        if collection == FILES and ctx.connection is None:
            await store_of(ctx).settled()

    def _require(self, collection: str, *others: str) -> None:
        """others: what is written in another way only."""
        if not self.writes(collection) or collection in others:
            raise Forbidden
