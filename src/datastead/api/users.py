"""`/users/me`: who is signed in."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from datastead.api.answers import data
from datastead.api.request import RequestContext, RequestQuery
from datastead.context import SYSTEM
from datastead.data.items import Items
from datastead.errors import InvalidCredentials

router = APIRouter(prefix="/users", tags=["Users"])

CONCEALED = ("password", "token", "tfa_secret")


@router.get("/me")
async def read_me(ctx: RequestContext, query: RequestQuery) -> Response:
    """The signed-in user; of those who may read no users, the id alone."""
    if ctx.actor.user is None:
        raise InvalidCredentials
    if not ctx.actor.is_admin:
        return data({"id": ctx.actor.user})
    user = await Items(ctx.acting_as(SYSTEM), "directus_users").read_one(ctx.actor.user, query)
    return data(_concealed(user))


def _concealed(user: dict[str, Any]) -> dict[str, Any]:
    hidden = {name: "**********" for name in CONCEALED if user.get(name) is not None}
    return {**user, **hidden}
