"""`/fields`: the columns, as fields."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from datastead.api.answers import NoContent, data
from datastead.api.body import invalid, objects_of, read_json
from datastead.api.openapi import OBJECT, json_body
from datastead.api.request import Body, RequestContext
from datastead.data.changes import Changes

router = APIRouter(prefix="/fields", tags=["Fields"])

_FIELD = {
    "type": "object",
    "required": ["field", "type"],
    "properties": {"field": {"type": "string"}, "type": {"type": "string"}, "meta": OBJECT, "schema": OBJECT},
}


@router.get("")
async def read_all_fields(ctx: RequestContext) -> Response:
    """The fields of every collection."""
    return data(await Changes(ctx).read_fields())


@router.get("/{collection}")
async def read_fields(ctx: RequestContext, collection: str) -> Response:
    """The fields of one collection."""
    return data(await Changes(ctx).read_fields(collection))


@router.get("/{collection}/{field}")
async def read_field(ctx: RequestContext, collection: str, field: str) -> Response:
    """One field."""
    return data(await Changes(ctx).read_field(collection, field))


@router.post("/{collection}", openapi_extra=json_body(_FIELD))
async def create_field(ctx: RequestContext, collection: str, body: Body) -> Response:
    """Adds a field."""
    return data(await Changes(ctx).create_field(collection, body))


@router.patch("/{collection}", openapi_extra=json_body({"type": "array", "items": _FIELD}))
async def update_fields(ctx: RequestContext, collection: str, request: Request) -> Response:
    """Changes several fields, each of which its entry names; all or none."""
    body = await read_json(request, max_size=ctx.services.settings.max_payload_size)
    if not isinstance(body, list):
        raise invalid("The body has to be a list of fields.")
    return data(await Changes(ctx).update_fields(collection, objects_of(body)))


@router.patch("/{collection}/{field}", openapi_extra=json_body(OBJECT))
async def update_field(ctx: RequestContext, collection: str, field: str, body: Body) -> Response:
    """Changes a field's `meta`, `schema` or `type`."""
    return data(await Changes(ctx).update_field(collection, field, body))


@router.delete("/{collection}/{field}")
async def delete_field(ctx: RequestContext, collection: str, field: str) -> Response:
    """Drops a field with all that it holds."""
    await Changes(ctx).delete_field(collection, field)
    return NoContent()
