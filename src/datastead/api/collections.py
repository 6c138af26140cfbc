"""`/collections`: the tables, as collections."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from datastead.api.answers import NoContent, data
from datastead.api.body import invalid, objects_of, read_json
from datastead.api.openapi import OBJECT, json_body
from datastead.api.request import Body, RequestContext
from datastead.data.changes import Changes

router = APIRouter(prefix="/collections", tags=["Collections"])

_COLLECTION = {
    "type": "object",
    "required": ["collection"],
    "properties": {
        "collection": {"type": "string"},
        "meta": OBJECT,
        "schema": OBJECT,
        "fields": {"type": "array", "items": OBJECT},
    },
}


@router.get("")
async def read_collections(ctx: RequestContext) -> Response:
    """All collections."""
    return data(await Changes(ctx).read_collections())


@router.get("/{collection}")
async def read_collection(ctx: RequestContext, collection: str) -> Response:
    """One collection."""
    return data(await Changes(ctx).read_collection(collection))


@router.post("", openapi_extra=json_body({"oneOf": [_COLLECTION, {"type": "array", "items": _COLLECTION}]}))
async def create_collections(ctx: RequestContext, request: Request) -> Response:
    """Creates a collection, or a list of them, each with its fields."""
    body = await read_json(request, max_size=ctx.services.settings.max_payload_size)
    changes = Changes(ctx)
    if isinstance(body, list):
        return data(await changes.create_collections(objects_of(body)))
    return data(await changes.create_collection(_object(body)))


@router.patch("", openapi_extra=json_body({"type": "array", "items": _COLLECTION}))
async def update_collections(ctx: RequestContext, request: Request) -> Response:
    """Changes the `meta` of several collections, each of which its entry names; all or none."""
    body = await read_json(request, max_size=ctx.services.settings.max_payload_size)
    if not isinstance(body, list):
        raise invalid("The body has to be a list of collections.")
    return data(await Changes(ctx).update_collections(objects_of(body)))


@router.patch("/{collection}", openapi_extra=json_body(OBJECT))
async def update_collection(ctx: RequestContext, collection: str, body: Body) -> Response:
    """Changes a collection's `meta`."""
    return data(await Changes(ctx).update_collection(collection, body))


@router.delete("/{collection}")
async def delete_collection(ctx: RequestContext, collection: str) -> Response:
    """Drops the table, with its fields and relations."""
    await Changes(ctx).delete_collection(collection)
    return NoContent()


def _object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise invalid("A collection has to be an object.")
    return body
