"""`/roles`: what users are grouped by, and budgets are given to."""

from fastapi import APIRouter
from starlette.responses import Response

from datastead.api.answers import data
from datastead.api.openapi import OBJECT, json_body
from datastead.api.request import Body, RequestContext, RequestQuery
from datastead.data import system
from datastead.data.items import Items

router = APIRouter(prefix="/roles", tags=["Roles"])

COLLECTION = system.roles.name


@router.get("")
async def read_roles(ctx: RequestContext, query: RequestQuery) -> Response:
    """All roles."""
    items = Items(ctx, COLLECTION)
    return data(await items.read(query), await items.meta(query) if query.meta else None)


@router.get("/{role}")
async def read_role(ctx: RequestContext, role: str, query: RequestQuery) -> Response:
    """One role."""
    return data(await Items(ctx, COLLECTION).read_one(role, query))


@router.post("", openapi_extra=json_body(OBJECT))
async def create_role(ctx: RequestContext, body: Body, query: RequestQuery) -> Response:
    """Adds a role."""
    items = Items(ctx, COLLECTION)
    return data(await items.read_one(await items.create(body), query))
