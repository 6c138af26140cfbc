"""Logging in and out by GraphQL: the mutations `auth_*` of the platform's own scope, for everybody; as `/auth` does."""

from typing import Any

from graphql import GraphQLBoolean, GraphQLEnumType, GraphQLString

from datastead.api.auth import MODES, end_session, mode_of, refreshed, set_session_cookie, tokens_of
from datastead.api.graphql.call import Arguments, Call, Fields, entrance
from datastead.auth import login, recovery
from datastead.graphql.reading import Info
from datastead.graphql.types import BIG_INT, NEEDED, TEXT, argument, plain_object, taken

TOKENS = plain_object("auth_tokens", access_token=GraphQLString, expires=BIG_INT, refresh_token=GraphQLString)
MODE = argument(taken(GraphQLEnumType("auth_mode", {str(mode): mode for mode in MODES})))


def auth_fields() -> Fields:
    """The mutations."""
    return {
        "auth_login": entrance(TOKENS, _log_in, email=NEEDED, password=NEEDED, mode=MODE, otp=TEXT),
        "auth_refresh": entrance(TOKENS, _refresh, refresh_token=TEXT, mode=MODE),
        "auth_logout": entrance(GraphQLBoolean, _log_out, refresh_token=TEXT, mode=MODE),
        "auth_password_request": entrance(GraphQLBoolean, _request_password, email=NEEDED, reset_url=TEXT),
        "auth_password_reset": entrance(GraphQLBoolean, _reset_password, token=NEEDED, password=NEEDED),
    }


async def _log_in(call: Call, _: Info, given: Arguments) -> dict[str, Any]:
    mode = mode_of(dict(given), "json")
    session = await login.log_in(call.visitor(), given["email"], given["password"], mode, given.get("otp"))
    return _shown(call, session, mode)


async def _refresh(call: Call, _: Info, given: Arguments) -> dict[str, Any]:
    return _shown(call, *await refreshed(call.visitor(), call.http.request, dict(given)))


def _shown(call: Call, session: login.Session, mode: login.Mode) -> dict[str, Any]:
    set_session_cookie(call.http.answer, call.ctx.services.settings, session, mode)
    return tokens_of(session, mode)


async def _log_out(call: Call, _: Info, given: Arguments) -> bool:
    await end_session(call.visitor(), call.http.request, dict(given), call.http.answer)
    return True


async def _request_password(call: Call, _: Info, given: Arguments) -> bool:
    await recovery.request_reset(call.visitor(), given["email"], given.get("reset_url"))
    return True


async def _reset_password(call: Call, _: Info, given: Arguments) -> bool:
    await recovery.reset(call.visitor(), given["token"], given["password"])
    return True
