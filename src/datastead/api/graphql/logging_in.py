"""Logging in and out by GraphQL: the mutations `auth_*` of the platform's own scope, for everybody.

Tokens come in the answer (mode `json`); a session in a cookie is opened by `POST /auth/login`.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from graphql import GraphQLArgument, GraphQLBoolean, GraphQLField, GraphQLNonNull, GraphQLObjectType, GraphQLString

from datastead.api.body import invalid
from datastead.api.graphql.reading import Info
from datastead.api.graphql.types import BIG_INT
from datastead.auth import login, recovery
from datastead.context import Actor, Context

if TYPE_CHECKING:
    from datastead.api.graphql.roots import Call

Arguments = Mapping[str, Any]
Work = Callable[[Context, Arguments], Awaitable[Any]]

TEXT, NEEDED = GraphQLArgument(GraphQLString), GraphQLArgument(GraphQLNonNull(GraphQLString))
TOKENS = GraphQLObjectType(
    "auth_tokens",
    {
        "access_token": GraphQLField(GraphQLString, resolve=lambda session, _: session.access_token),
        "expires": GraphQLField(BIG_INT, resolve=lambda session, _: session.expires_ms),
        "refresh_token": GraphQLField(GraphQLString, resolve=lambda session, _: session.refresh_token),
    },
)


def auth_fields() -> dict[str, GraphQLField]:
    """The mutations."""
    return {
        "auth_login": _field(TOKENS, _log_in, email=NEEDED, password=NEEDED, mode=TEXT, otp=TEXT),
        "auth_refresh": _field(TOKENS, _refresh, refresh_token=NEEDED, mode=TEXT),
        "auth_logout": _field(GraphQLBoolean, _log_out, refresh_token=NEEDED, mode=TEXT),
        "auth_password_request": _field(GraphQLBoolean, _request_password, email=NEEDED, reset_url=TEXT),
        "auth_password_reset": _field(GraphQLBoolean, _reset_password, token=NEEDED, password=NEEDED),
    }


def _field(kind: Any, work: Work, **arguments: GraphQLArgument) -> GraphQLField:
    async def resolve(_: Any, info: Info, **given: Any) -> Any:
        call: Call = info.context
        call.budget.take_login()
        if given.get("mode") not in {None, "json"}:
            raise invalid("`mode` has to be `json` here: a session in a cookie is opened by `POST /auth/login`.")
        actor = call.ctx.actor
        visitor = Actor(ip=actor.ip, user_agent=actor.user_agent, origin=actor.origin)
        return await work(call.ctx.acting_as(visitor), given)

    return GraphQLField(kind, arguments, resolve)


async def _log_in(ctx: Context, given: Arguments) -> login.Session:
    return await login.log_in(ctx, given["email"], given["password"], "json", given.get("otp"))


async def _refresh(ctx: Context, given: Arguments) -> login.Session:
    return await login.refresh(ctx, given["refresh_token"], "json")


async def _log_out(ctx: Context, given: Arguments) -> bool:
    await login.log_out(ctx, given["refresh_token"])
    return True


async def _request_password(ctx: Context, given: Arguments) -> bool:
    await recovery.request_reset(ctx, given["email"], given.get("reset_url"))
    return True


async def _reset_password(ctx: Context, given: Arguments) -> bool:
    await recovery.reset(ctx, given["token"], given["password"])
    return True
