"""Which of the platform's own collections are read and written as items, and by which service: for the ways to items
that are not a route for each collection, such as WebSockets.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from starlette.applications import Starlette

from datastead.api.items import SYSTEM_PREFIXES, Answer, Endpoint, create_items, delete_items, read_items, update_items
from datastead.api.several import Create, Delete, Update, create_each, delete_each, update_each
from datastead.auth.accounts import COLLECTION as USERS
from datastead.auth.accounts import Accounts
from datastead.context import Context
from datastead.data.items import Items
from datastead.data.project import COLLECTION as SETTINGS
from datastead.data.project import ProjectSettings
from datastead.errors import Forbidden
from datastead.files.files import Files
from datastead.files.guard import COLLECTION as FILES
from datastead.files.store import store_of

FLOWS, OPERATIONS = "directus_flows", "directus_operations"
READ_BESIDES = frozenset({USERS, SETTINGS, FLOWS, OPERATIONS})
"""Collections whose routes read items, and write them in ways of their own."""
WRITTEN_BESIDES = frozenset({USERS, SETTINGS, FILES, FLOWS, OPERATIONS})

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
        self._require(collection)
        if collection == USERS:
            return list(await Accounts(ctx).create(payloads))
        if collection == SETTINGS:
            raise Forbidden
        if (parts := _parts_of_flows(ctx, collection)) is not None:
            return list(await create_each(ctx, [_linked(payload) for payload in payloads], parts.create))
        if collection == FILES:
            async with ctx.transaction() as inside:
                return [await Files(inside).describe(payload) for payload in payloads]
        return await Items(ctx, collection).create_many(payloads)

    async def update(self, ctx: Context, collection: str, keys: Sequence[Any], payload: Payload) -> list[Any]:
        """Changes items alike; the keys of those that exist."""
        self._require(collection)
        if collection == USERS:
            return list(await Accounts(ctx).update(keys, payload))
        if (parts := _parts_of_flows(ctx, collection)) is not None:
            body = {"keys": list(keys), "data": _linked(payload)}
            return list(await update_each(ctx, collection, body, parts.update))
        return await Items(ctx, collection).update_many(keys, payload)

    async def update_batch(self, ctx: Context, collection: str, payloads: Sequence[Payload]) -> list[Any]:
        """Changes items, each as its own payload says, which holds its key."""
        self._require(collection)
        if collection == USERS:
            return list(await Accounts(ctx).update_batch(payloads))
        if (parts := _parts_of_flows(ctx, collection)) is not None:
            return list(await update_each(ctx, collection, [_linked(payload) for payload in payloads], parts.update))
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
        self._require(collection)
        if collection == USERS:
            await Accounts(ctx).delete(keys)
            return
        if (parts := _parts_of_flows(ctx, collection)) is not None:
            await delete_each(ctx, collection, list(keys), parts.delete)
            return
        await Items(ctx, collection).delete_many(keys)
        if collection == FILES and ctx.connection is None:
            await store_of(ctx).settled()

    def _require(self, collection: str) -> None:
        if not self.writes(collection):
            raise Forbidden


LINKS = frozenset({"flow", "operation", "resolve", "reject"})


class _Parts(NamedTuple):
    """How one part of flows is written."""

    create: Create
    update: Update
    delete: Delete


def _linked(payload: Payload) -> dict[str, Any]:
    """With the keys of what it links to in place of objects that are only these."""
    is_key = {name for name, value in payload.items() if isinstance(value, Mapping) and value.keys() == {"id"}}
    return {name: value["id"] if name in is_key and name in LINKS else value for name, value in payload.items()}


def _parts_of_flows(ctx: Context, collection: str) -> _Parts | None:
    """The service of flows or of operations; None for other collections."""
    flows = ctx.services.flows
    if collection == FLOWS:
        return _Parts(flows.create_flow, flows.update_flow, flows.delete_flow)
    if collection == OPERATIONS:
        return _Parts(flows.create_operation, flows.update_operation, flows.delete_operation)
    return None
