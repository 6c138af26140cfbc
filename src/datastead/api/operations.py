"""`/operations`: the operations of flows."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from datastead.api.answers import NoContent, data
from datastead.api.openapi import OBJECT, json_body
from datastead.api.request import Body, RequestContext, RequestQuery
from datastead.context import Context
from datastead.data.items import Items

router = APIRouter(prefix="/operations", tags=["Operations"])

COLLECTION = "directus_operations"


@router.get("")
async def read_operations(ctx: RequestContext, query: RequestQuery) -> Response:
    """All operations."""
    items = Items(ctx, COLLECTION)
    return data(await items.read(query), await items.meta(query) if query.meta else None)


@router.get("/{operation}")
async def read_operation(ctx: RequestContext, operation: str, query: RequestQuery) -> Response:
    """One operation."""
    return data(await _read(ctx, operation, query))


@router.post("", openapi_extra=json_body(OBJECT))
async def create_operation(ctx: RequestContext, body: Body, query: RequestQuery) -> Response:
    """Adds an operation to a flow."""
    return data(await _read(ctx, await ctx.services.flows.create_operation(ctx, body), query))


@router.patch("/{operation}", openapi_extra=json_body(OBJECT))
async def update_operation(ctx: RequestContext, operation: str, body: Body, query: RequestQuery) -> Response:
    """Changes an operation: its options, or what it goes on with."""
    await ctx.services.flows.update_operation(ctx, operation, body)
    return data(await _read(ctx, operation, query))


@router.delete("/{operation}")
async def delete_operation(ctx: RequestContext, operation: str) -> Response:
    """Removes an operation; what led to it leads nowhere."""
    await ctx.services.flows.delete_operation(ctx, operation)
    return NoContent()


async def _read(ctx: Context, operation: str, query: Any) -> dict[str, Any]:
    return await Items(ctx, COLLECTION).read_one(operation, query)
