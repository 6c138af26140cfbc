"""`/graphql` and `/graphql/system`, and their schemas as text. GraphQL itself is loaded with the first request."""

from typing import TYPE_CHECKING, Any, Literal

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from datastead.api.answers import Json, error_answer
from datastead.api.body import invalid, object_of, read_json
from datastead.api.doors import Doors
from datastead.api.request import context_of, parameters_of
from datastead.errors import DatasteadError

if TYPE_CHECKING:
    from datastead.api.graphql.call import Exchange
    from datastead.api.graphql.service import Graphql

Scoped = Literal["items", "system"]


class GraphqlEndpoint:
    """One scope's requests. is_schema: the schema is asked for, as text."""

    def __init__(self, scope: Scoped, *, is_schema: bool = False) -> None:
        self._scope: Scoped = scope
        self._is_schema = is_schema

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(Request(scope, receive))
        except DatasteadError as error:
            answer = error_answer(error)
        await answer(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        parameters = parameters_of(request.scope)
        ctx = await context_of(request.scope, parameters)
        graphql = graphql_of(request.scope["app"])
        if self._is_schema:
            return PlainTextResponse(await graphql.sdl(ctx, self._scope))
        is_read = request.method == "GET"
        if is_read:
            asked = {**parameters, "variables": _variables(parameters.get("variables"))}
        else:
            asked = object_of(await read_json(request, max_size=ctx.services.settings.max_payload_size))
        exchange = _exchange(request)
        found = await graphql.answer(ctx, self._scope, asked, exchange, may_change=not is_read)
        return Json(
            found, headers=[(name, value) for name, value in exchange.answer.raw_headers if name == b"set-cookie"]
        )


def _exchange(request: Request) -> "Exchange":
    from datastead.api.graphql.call import Exchange as Made

    return Made(request, Response())


def graphql_of(app: Any) -> "Graphql":
    """What the app has for GraphQL; made when it is first needed."""
    found: Graphql | None = getattr(app.state, "graphql", None)
    if found is None:
        from datastead.api.graphql.service import Graphql as Made

        found = app.state.graphql = Made(Doors(app), has_sockets=_has_sockets(app))
    return found


def _has_sockets(app: Any) -> bool:
    settings = app.state.services.settings
    return bool(settings.websockets_enabled and settings.websockets_graphql_enabled)


def _variables(given: Any) -> Any:
    if given is None or given == "":
        return None
    try:
        return orjson.loads(given) if isinstance(given, str) else given
    except orjson.JSONDecodeError:
        raise invalid("`variables` is not JSON.") from None


routes = [
    Route("/graphql", GraphqlEndpoint("items"), methods=["GET", "POST"]),
    Route("/graphql/system", GraphqlEndpoint("system"), methods=["GET", "POST"]),
    Route("/server/specs/graphql", GraphqlEndpoint("items", is_schema=True), methods=["GET"]),
    Route("/server/specs/graphql/items", GraphqlEndpoint("items", is_schema=True), methods=["GET"]),
    Route("/server/specs/graphql/system", GraphqlEndpoint("system", is_schema=True), methods=["GET"]),
]
