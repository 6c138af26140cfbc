"""`/server` by GraphQL: is it there, what is it, is it well, and what can be asked."""

from typing import Any

from graphql import GraphQLBoolean, GraphQLEnumType, GraphQLInt, GraphQLObjectType, GraphQLString

from datastead.api.graphql.call import Arguments, Call, Fields, model_field, system_field
from datastead.api.openapi import openapi_of
from datastead.api.server import PROJECT, health_of, info_of
from datastead.graphql.reading import Info
from datastead.graphql.types import JSON, argument, plain_object, taken

SCOPE = argument(taken(GraphQLEnumType("graphql_sdl_scope", {scope: scope for scope in ("items", "system")})))


def server_fields() -> Fields:
    """The fields of `Query`."""
    return {
        "server_ping": system_field(GraphQLString, _ping),
        "server_info": system_field(INFO, _info),
        "server_health": system_field(JSON, _health),
        "server_specs_oas": model_field(JSON, _openapi),
        "server_specs_graphql": model_field(GraphQLString, _sdl, scope=SCOPE),
    }


def _either(name: str, /, **fields: Any) -> GraphQLObjectType:
    return plain_object(f"server_info_{name}", **fields)


_OTHERS = {"public_registration": GraphQLBoolean, "public_registration_verify_email": GraphQLBoolean,
           "theme_light_overrides": JSON, "theme_dark_overrides": JSON}  # fmt: skip
_LIMIT = {"points": GraphQLInt, "duration": GraphQLInt}
_SOCKET = {"authentication": GraphQLString, "path": GraphQLString}
INFO = plain_object(
    "server_info",
    project=_either("project", **{name: _OTHERS.get(name, GraphQLString) for name in PROJECT}),
    setupCompleted=GraphQLBoolean,
    rateLimit=_either("rate_limit", **_LIMIT),
    rateLimitGlobal=_either("rate_limit_global", **_LIMIT),
    websocket=_either(
        "websocket",
        rest=_either("websocket_rest", **_SOCKET),
        graphql=_either("websocket_graphql", **_SOCKET),
        heartbeat=GraphQLInt,
    ),
    queryLimit=_either("query_limit", default=GraphQLInt, max=GraphQLInt),
    version=GraphQLString,
)
"""What is switched off is null here, and false over REST: a field has one type."""


async def _ping(_: Call, __: Info, ___: Arguments) -> str:
    return "pong"


async def _info(call: Call, _: Info, __: Arguments) -> dict[str, Any]:
    return await info_of(call.ctx)


async def _health(call: Call, _: Info, __: Arguments) -> dict[str, Any]:
    return await health_of(call.ctx, call.http.request.app.state.health)


async def _openapi(call: Call, _: Info, __: Arguments) -> dict[str, Any]:
    return await openapi_of(call.http.request.app, call.ctx)


async def _sdl(call: Call, _: Info, given: Arguments) -> str:
    return await call.graphql.sdl(call.ctx, given.get("scope", "items"))
