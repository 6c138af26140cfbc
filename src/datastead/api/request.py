"""A request's `Context`: who calls, from where; and its query string, parsed once."""

import itertools
from dataclasses import replace
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Depends
from starlette.requests import Request
from starlette.types import Scope

from datastead.api.body import read_json, read_object
from datastead.api.query_string import Bounds, parse_query_string
from datastead.auth.tokens import Authenticator
from datastead.context import PUBLIC, Actor, Context, Services
from datastead.data.query import Query
from datastead.errors import Forbidden, InvalidPayload

WITHOUT_TFA = ("/users/me", "/policies/me/", "/roles/me", "/permissions/me", "/server/", "/graphql/system")
NEEDS_TFA = "Your policies ask for a second factor: set it up by `/users/me/tfa/generate` and `/users/me/tfa/enable`."
"""What those may do all the same who have yet to set it up; and what the others are told."""

_PROCESS, _COUNT = uuid4().hex, itertools.count(1)
"""Requests are numbered in each process: an id of its own for each would cost more than the rest of its context."""


def services_of(scope: Scope) -> Services:
    """The services of the app that the request came to."""
    services: Services = scope["app"].state.services
    return services


async def context_of(scope: Scope, parameters: dict[str, Any]) -> Context:
    """The unit of work for a request. parameters: its query, parsed; `access_token` is taken out of it."""
    state = scope["app"].state
    bearer, user_agent, cookies, origin = headers_of(scope)
    client = scope.get("client")
    ip = client[0] if client else None
    token = _one_token(bearer, parameters.pop("access_token", None))
    if token is None and cookies is not None:
        token = cookie_in(cookies, state.services.settings.session_cookie_name)
    if token is None:
        actor = Actor(ip=ip, user_agent=user_agent) if ip or user_agent else PUBLIC
    else:
        authenticator: Authenticator = state.authenticator
        actor = await authenticator.actor(token, ip, user_agent)
        if actor.lacks_tfa and not scope["path"].startswith(WITHOUT_TFA):
            raise Forbidden(NEEDS_TFA, reason=NEEDS_TFA)
    if origin is not None:
        actor = replace(actor, origin=origin)
    return new_context(state.services, actor)


def cookie_in(cookies: str, name: str) -> str | None:
    """A cookie's value. cookies: the header."""
    for part in cookies.split(";"):
        key, _, value = part.strip().partition("=")
        if key == name and value:
            return value.strip('"')
    return None


def parameters_of(scope: Scope) -> dict[str, Any]:
    """The query string, parsed."""
    raw: bytes = scope["query_string"]
    found = parse_query_string(raw, Bounds.of(services_of(scope).settings)) if raw else {}
    for name in {"filter", "deep"} & found.keys():
        found[name] = _with_nulls(found[name])
    return found


def _with_nulls(value: Any) -> Any:
    """In brackets there is no other word for it: `filter[author][_eq]=null`."""
    if isinstance(value, dict):
        return {name: None if entry == "null" else _with_nulls(entry) for name, entry in value.items()}
    return [None if entry == "null" else _with_nulls(entry) for entry in value] if isinstance(value, list) else value


async def _parameters(request: Request) -> dict[str, Any]:
    return parameters_of(request.scope)


Parameters = Annotated[dict[str, Any], Depends(_parameters)]


async def _context(request: Request, parameters: Parameters) -> Context:
    return await context_of(request.scope, parameters)


RequestContext = Annotated[Context, Depends(_context)]


async def _query(ctx: RequestContext, parameters: Parameters) -> Query:
    return Query.parse(parameters, ctx.services.settings)


RequestQuery = Annotated[Query, Depends(_query)]


async def _object(request: Request) -> dict[str, Any]:
    return await read_object(request, max_size=services_of(request.scope).settings.max_payload_size)


Body = Annotated[dict[str, Any], Depends(_object)]


async def json_of(ctx: Context, request: Request) -> Any:
    """The body, whatever JSON it is; None where there is none."""
    return await read_json(request, max_size=ctx.services.settings.max_payload_size)


async def _visitor(request: Request) -> Context:
    """Whoever asks to be let in: nobody yet, whatever tokens and cookies there may be from before."""
    client, (_, user_agent, _, origin) = request.client, headers_of(request.scope)
    actor = Actor(ip=client.host if client else None, user_agent=user_agent, origin=origin)
    return new_context(services_of(request.scope), actor)


Visitor = Annotated[Context, Depends(_visitor)]


def new_context(services: Services, actor: Actor) -> Context:
    """A unit of work, with a number of its own."""
    return Context(services, actor, f"{_PROCESS}-{next(_COUNT)}")


def headers_of(scope: Scope) -> tuple[str | None, str | None, str | None, str | None]:
    """The bearer token, the user agent, the cookies, and the origin."""
    bearer = user_agent = cookies = origin = None
    for name, value in scope["headers"]:
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            bearer = value[7:].strip().decode("latin-1")
        elif name == b"user-agent":
            user_agent = _text(value)
        elif name == b"cookie":
            cookies = value.decode("latin-1")
        elif name == b"origin":
            origin = _text(value)
    return bearer or None, user_agent, cookies, origin


def _text(header: bytes) -> str:
    """As databases take it."""
    return header.decode("latin-1")[:255].replace("\0", "")


def _one_token(bearer: str | None, given: Any) -> str | None:
    if given is not None and not isinstance(given, str):
        raise InvalidPayload("`access_token` is given more than once.", reason="more than one access token")
    if bearer and given:
        raise InvalidPayload(
            "The access token is given twice: in the header and in the query.", reason="more than one access token"
        )
    return bearer or given or None
