"""`/versions`: drafts of items: saved beside them, compared with them, and put in their place."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from datastead.api.answers import data
from datastead.api.body import invalid, object_of, objects_of
from datastead.api.items import (
    Call,
    Endpoint,
    delete_item,
    delete_items,
    read_back,
    read_item,
    read_items,
    routes_of,
    search_items,
    update_item,
    update_items,
)
from datastead.data.versions import Versions
from datastead.data.workspace import VERSIONS


async def create_versions(call: Call) -> Response:
    """One, or a list of them; each remembers what the item was."""
    body = await call.body()
    versions = Versions(call.ctx)
    if isinstance(body, list):
        keys = await versions.create(objects_of(body))
        return await read_back(call.items.read_many(keys, call.query))
    (key,) = await versions.create([object_of(body)])
    return await read_back(call.items.read_one(key, call.query))


async def save(call: Call) -> Response:
    """Adds changes to a version; answers the item as it would be."""
    return data(await Versions(call.ctx).save(call.key, object_of(await call.body())))


async def compare(call: Call) -> Response:
    """What the version changes, what the item is, and whether that has changed since."""
    return data(await Versions(call.ctx).compare(call.key))


async def promote(call: Call) -> Response:
    """Writes what the version changes (of it `fields`, where they are named) to the item; its key."""
    body = object_of(await call.body())
    return data(await Versions(call.ctx).promote(call.key, _hash(body), _fields(body)))


def _hash(body: Mapping[str, Any]) -> str:
    given = body.get("mainHash")
    if not isinstance(given, str) or not given:
        raise invalid("`mainHash` is required: it is in the answer of `GET /versions/:id/compare`.")
    return given


def _fields(body: Mapping[str, Any]) -> list[str] | None:
    given = body.get("fields")
    if given is not None and not (isinstance(given, list) and all(isinstance(name, str) for name in given)):
        raise invalid("`fields` has to be a list of names.")
    return given


routes = [
    Route("/versions/{key}/save", Endpoint(VERSIONS, POST=save), methods=["POST"]),
    Route("/versions/{key}/compare", Endpoint(VERSIONS, GET=compare), methods=["GET"]),
    Route("/versions/{key}/promote", Endpoint(VERSIONS, POST=promote), methods=["POST"]),
    *routes_of(
        "/versions",
        Endpoint(
            VERSIONS, GET=read_items, SEARCH=search_items, POST=create_versions, PATCH=update_items, DELETE=delete_items
        ),
        Endpoint(VERSIONS, GET=read_item, PATCH=update_item, DELETE=delete_item),
    ),
]
