"""`/items/{collection}` and `/items/{collection}/{key}`: reading and writing items.

The hot path: plain ASGI and orjson, with no layer between the route and the service.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from datastead.api.answers import NoContent, data, error_answer, revalidated
from datastead.api.body import invalid, keys_of, object_of, objects_of, read_json
from datastead.api.export import exported
from datastead.api.request import context_of, parameters_of
from datastead.context import Context
from datastead.data.batches import batches_of
from datastead.data.items import Items
from datastead.data.query import Query
from datastead.data.recorded import Written
from datastead.data.versions import Versions
from datastead.errors import DatasteadError, Forbidden, InvalidQuery, RouteNotFound

SYSTEM_PREFIXES = ("directus_", "datastead_")


@dataclass(frozen=True, slots=True)
class Call:
    """One request to `/items`: who asks what of which items. query: from the query string."""

    request: Request
    ctx: Context
    items: Items
    query: Query

    @property
    def key(self) -> str:
        key: str = self.request.path_params["key"]
        return key

    async def is_singleton(self) -> bool:
        """Whether the collection has one item, and is that item."""
        schema = await self.ctx.services.schemas.get()
        return schema.collection(self.items.collection).singleton

    async def body(self) -> Any:
        return await read_json(self.request, max_size=self.ctx.services.settings.max_payload_size)

    def query_of(self, body: dict[str, Any]) -> Query:
        """The query that a body holds."""
        query = body.get("query", {})
        if not isinstance(query, dict):
            raise invalid("`query` has to be an object.")
        return Query.parse(query, self.ctx.services.settings)


Answer = Callable[[Call], Awaitable[Response]]


class Endpoint:
    """One path's methods, as an ASGI app. collection: one of the platform's own; None where the path names it."""

    def __init__(self, collection: str | None = None, /, **methods: Answer) -> None:
        self.collection = collection
        self.methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(Request(scope, receive))
        except DatasteadError as error:
            answer = error_answer(error)
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        parameters = parameters_of(request.scope)
        ctx = await context_of(request.scope, parameters)
        collection = self.collection or _user_collection(request)
        query = Query.parse(parameters, ctx.services.settings)
        method: str = request.scope["method"]
        answer = await self.methods[method](Call(request, ctx, Items(ctx, collection), query))
        return revalidated(answer, request.scope) if method == "GET" else answer


def _user_collection(request: Request) -> str:
    collection: str = request.scope["path_params"]["collection"]
    if collection.startswith(SYSTEM_PREFIXES):
        raise Forbidden
    return collection


async def read_items(call: Call) -> Response:
    if await call.is_singleton():
        return data(await _singleton(call))
    return await _list(call, call.query)


async def search_items(call: Call) -> Response:
    """A GET whose query is in the body."""
    body = await call.body()
    if not isinstance(body, dict):
        raise invalid("The body has to be an object with `query` or `keys`.")
    if "keys" in body:
        return data(await call.items.read_many(keys_of(body["keys"]), call.query_of(body)))
    return await _list(call, call.query_of(body))


async def create_items(call: Call) -> Response:
    if await call.is_singleton():
        name = call.items.collection
        raise RouteNotFound(
            f"`{name}` has one item, which `PATCH /items/{name}` makes and changes.", path=f"/items/{name}"
        )
    body = await call.body()
    if isinstance(body, list):
        written = await call.items.create_rows(objects_of(body))
        return await read_back(call.items.read_written(written, call.query))
    if not isinstance(body, dict):
        raise invalid("The body has to be an object, or a list of objects.")
    return await read_back(_one_written(call, await call.items.create_rows([body])))


async def update_items(call: Call) -> Response:
    body = await call.body()
    if await call.is_singleton():
        await call.items.write_singleton(object_of(body))
        return await read_back(call.items.read_singleton(call.query))
    keys = await _update_many(call, body)
    return await read_back(call.items.read_many(keys, call.query))


async def delete_items(call: Call) -> Response:
    body = await call.body()
    if isinstance(body, list):
        await call.items.delete_many(keys_of(body))
    elif isinstance(body, dict) and "keys" in body:
        await call.items.delete_many(keys_of(body["keys"]))
    elif isinstance(body, dict) and "query" in body:
        await call.items.delete_by_query(call.query_of(body))
    else:
        raise invalid("The body has to be a list of keys, or an object with `keys` or `query`.")
    return NoContent()


async def read_item(call: Call) -> Response:
    version = call.query.version
    if version is not None:
        return data(await Versions(call.ctx).read_item(call.items.collection, call.key, version, call.query))
    return data(await call.items.read_one(call.key, call.query))


async def update_item(call: Call) -> Response:
    written = await call.items.update_rows([call.key], object_of(await call.body()))
    return await read_back(_one_written(call, written)) if written.keys else NoContent()


async def delete_item(call: Call) -> Response:
    await call.items.delete(call.key)
    return NoContent()


def routes_of(path: str, many: Endpoint, one: Endpoint) -> list[Route]:
    """The routes of a collection and of its items."""
    return [
        Route(path, many, methods=list(many.methods)),
        Route(f"{path}/{{key}}", one, methods=list(one.methods)),
    ]


def system_routes(path: str, collection: str | None = None) -> list[Route]:
    """All that can be done to items, for a collection of the platform's own."""
    many = Endpoint(
        collection, GET=read_items, SEARCH=search_items, POST=create_items, PATCH=update_items, DELETE=delete_items
    )
    return routes_of(path, many, Endpoint(collection, GET=read_item, PATCH=update_item, DELETE=delete_item))


routes = system_routes("/items/{collection}")


async def _singleton(call: Call) -> dict[str, Any]:
    """The only item, also as of a version."""
    version = call.query.version
    if version is None:
        return await call.items.read_singleton(call.query)
    return await Versions(call.ctx).read_singleton(call.items.collection, version, call.query)


async def _list(call: Call, query: Query) -> Response:
    items = call.items
    if query.version is not None:
        raise InvalidQuery("`version` goes with one item, not with a list.", reason="version of a list")
    if query.export:
        batches = batches_of(call.ctx, items.collection, query)
        return await exported(batches, query.export, items.collection, call.ctx.now())
    return data(await items.read(query), await items.meta(query) if query.meta else None)


async def _one_written(call: Call, written: Written) -> Any:
    found = await call.items.read_written(written, call.query)
    if not found:
        raise Forbidden
    return found[0]


async def _update_many(call: Call, body: Any) -> list[Any]:
    if isinstance(body, list):
        return await call.items.update_batch(objects_of(body))
    if not isinstance(body, dict) or not isinstance(body.get("data"), dict):
        raise invalid("The body has to be a list of objects with keys, or an object with `data` and `keys` or `query`.")
    if "keys" in body:
        return await call.items.update_many(keys_of(body["keys"]), body["data"])
    if "query" in body:
        return await call.items.update_by_query(call.query_of(body), body["data"])
    raise invalid("`keys` or `query` has to say which items to update.")


async def read_back(reading: Awaitable[Any]) -> Response:
    """The written items as they are now; nothing for those who may write them and not read them."""
    try:
        return data(await reading)
    except Forbidden:
        return NoContent()
