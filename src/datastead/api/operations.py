"""`/operations`: the operations of flows."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from datastead.api.answers import NoContent, data
from datastead.api.openapi import OBJECT, ONE_OR_MANY, json_body
from datastead.api.request import Body, RequestContext, RequestQuery, json_of
from datastead.api.several import create_each, delete_each, update_each
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


@router.post("", openapi_extra=json_body(ONE_OR_MANY))
async def create_operations(ctx: RequestContext, request: Request, query: RequestQuery) -> Response:
    """Adds an operation to a flow, or a list of them to theirs."""
    body = await json_of(ctx, request)
    keys = await create_each(ctx, body, ctx.services.flows.create_operation)
    found = [await _read(ctx, key, query) for key in keys]
    return data(found if isinstance(body, list) else found[0])


@router.patch("", openapi_extra=json_body(ONE_OR_MANY))
async def update_operations(ctx: RequestContext, request: Request, query: RequestQuery) -> Response:
    """Changes operations: a list with an `id` each, or `data` for those of `keys` or `query`."""
    keys = await update_each(ctx, COLLECTION, await json_of(ctx, request), ctx.services.flows.update_operation)
    return data([await _read(ctx, key, query) for key in keys])


@router.delete("", openapi_extra=json_body(ONE_OR_MANY))
async def delete_operations(ctx: RequestContext, request: Request) -> Response:
    """Removes operations: a list of ids, or those of `keys` or `query`."""
    await delete_each(ctx, COLLECTION, await json_of(ctx, request), ctx.services.flows.delete_operation)
    return NoContent()


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
