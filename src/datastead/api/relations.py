"""`/relations`: the foreign keys, as relations."""

from fastapi import APIRouter
from starlette.responses import Response

from datastead.api.answers import NoContent, data
from datastead.api.openapi import OBJECT, json_body
from datastead.api.request import Body, RequestContext
from datastead.data.changes import Changes

router = APIRouter(prefix="/relations", tags=["Relations"])

_RELATION = {
    "type": "object",
    "required": ["collection", "field", "related_collection"],
    "properties": {
        "collection": {"type": "string"},
        "field": {"type": "string"},
        "related_collection": {"type": ["string", "null"]},
        "meta": OBJECT,
        "schema": OBJECT,
    },
}


@router.get("")
async def read_all_relations(ctx: RequestContext) -> Response:
    """Every relation."""
    return data(await Changes(ctx).read_relations())


@router.get("/{collection}")
async def read_relations(ctx: RequestContext, collection: str) -> Response:
    """The relations of one collection."""
    return data(await Changes(ctx).read_relations(collection))


@router.get("/{collection}/{field}")
async def read_relation(ctx: RequestContext, collection: str, field: str) -> Response:
    """One relation."""
    return data(await Changes(ctx).read_relation(collection, field))


@router.post("", openapi_extra=json_body(_RELATION))
async def create_relation(ctx: RequestContext, body: Body) -> Response:
    """Makes a field refer to another collection."""
    return data(await Changes(ctx).create_relation(body))


@router.patch("/{collection}/{field}", openapi_extra=json_body(OBJECT))
async def update_relation(ctx: RequestContext, collection: str, field: str, body: Body) -> Response:
    """Changes a relation's `meta`, and what happens on a delete (`schema.on_delete`)."""
    return data(await Changes(ctx).update_relation(collection, field, body))


@router.delete("/{collection}/{field}")
async def delete_relation(ctx: RequestContext, collection: str, field: str) -> Response:
    """Drops the foreign key; the field stays."""
    await Changes(ctx).delete_relation(collection, field)
    return NoContent()
