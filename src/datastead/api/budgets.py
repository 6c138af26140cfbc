"""`/ai/budgets`: budgets and rate limits, for administrators."""

from fastapi import APIRouter
from starlette.responses import Response

from datastead.ai import budget_store
from datastead.api.answers import NoContent, data
from datastead.api.openapi import OBJECT, json_body
from datastead.api.request import Body, RequestContext

router = APIRouter(prefix="/ai/budgets", tags=["AI"])


@router.get("")
async def read_budgets(ctx: RequestContext) -> Response:
    """All budgets, each with what is spent and left of it now, and when it is whole again."""
    return data(await budget_store.list_budgets(ctx))


@router.get("/{budget}")
async def read_budget(ctx: RequestContext, budget: str) -> Response:
    """One budget."""
    return data(await budget_store.read_budget(ctx, budget))


@router.post("", openapi_extra=json_body(OBJECT))
async def create_budget(ctx: RequestContext, body: Body) -> Response:
    """Makes one: `{"scope": "role", "scope_id": "marketing", "limit": "50/month"}`. What was spent before counts."""
    return data(await budget_store.read_budget(ctx, await budget_store.create_budget(ctx, body)))


@router.patch("/{budget}", openapi_extra=json_body(OBJECT))
async def update_budget(ctx: RequestContext, budget: str, body: Body) -> Response:
    """Changes one, from the next call on."""
    await budget_store.update_budget(ctx, budget, body)
    return data(await budget_store.read_budget(ctx, budget))


@router.delete("/{budget}")
async def delete_budget(ctx: RequestContext, budget: str) -> Response:
    """Removes one; the ledger stays."""
    await budget_store.delete_budget(ctx, budget)
    return NoContent()
