"""`/ai/models` and `/ai/prices`: which models can be called here, and what they cost."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from datastead.api.answers import data
from datastead.api.openapi import OBJECT, json_body
from datastead.api.request import Body, Parameters, RequestContext
from datastead.context import Context
from datastead.errors import Forbidden, InvalidQuery

router = APIRouter(prefix="/ai", tags=["AI"])

SWITCHES = {"true": True, "1": True, "": True, "false": False, "0": False}


@router.get("/models")
async def read_models(ctx: RequestContext, parameters: Parameters) -> Response:
    """The models that are configured and allowed. `provider`, `search`; `all` = also those not built in."""
    if not (ctx.actor.user or ctx.actor.role or ctx.actor.is_admin):
        raise Forbidden
    provider, search = (_text(parameters, name) for name in ("provider", "search"))
    found = await ctx.services.ai.list_models(all=_switch(parameters, "all"), provider=provider, search=search)
    return data(found)


@router.get("/prices")
async def read_prices(ctx: RequestContext, parameters: Parameters) -> Response:
    """The price list; with `model` (and `provider`) all that is known about its price."""
    _check_admin(ctx)
    model, provider = (_text(parameters, name) for name in ("model", "provider"))
    return data(await ctx.services.ai.price_list(model, provider))


@router.post("/prices", openapi_extra=json_body(OBJECT))
async def create_price(ctx: RequestContext, body: Body) -> Response:
    """Adds a price, valid from `valid_from` or now. `{model, provider, input, output, …}`, USD per million tokens."""
    _check_admin(ctx)
    return data(await ctx.services.ai.set_price(body, ctx.actor.user))


def _check_admin(ctx: Context) -> None:
    if not ctx.actor.is_admin:
        raise Forbidden


def _text(parameters: dict[str, Any], name: str) -> str | None:
    given = parameters.get(name)
    if not isinstance(given, str | None):
        raise InvalidQuery(f"`{name}` is given as something else than text.")
    return given or None


def _switch(parameters: dict[str, Any], name: str) -> bool:
    given = parameters.get(name, "false")
    if not isinstance(given, str) or given.lower() not in SWITCHES:
        raise InvalidQuery(f"`{name}` is `true` or `false`.")
    return SWITCHES[given.lower()]
