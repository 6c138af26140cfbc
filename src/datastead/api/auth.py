"""`/auth/*`: logging in and out (mode `json`)."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from datastead.api.answers import Json, NoContent, data
from datastead.api.body import invalid
from datastead.api.openapi import body_of
from datastead.api.request import Body, RequestContext
from datastead.auth import login
from datastead.errors import InvalidPayload

router = APIRouter(prefix="/auth", tags=["Authentication"])

_TOKEN = {"refresh_token": {"type": "string"}, "mode": {"const": "json"}}


@router.post("/login", openapi_extra=body_of(email={"type": "string"}, password={"type": "string"}))
async def log_in(ctx: RequestContext, body: Body) -> Response:
    """An access token, and a refresh token with which to get the next one."""
    _check_mode(body)
    return data(_wire(await login.log_in(ctx, _text(body, "email"), _text(body, "password"))))


@router.post("/refresh", openapi_extra=body_of(**_TOKEN))
async def refresh(ctx: RequestContext, body: Body) -> Response:
    """New tokens for a refresh token, which is valid once."""
    _check_mode(body)
    return data(_wire(await login.refresh(ctx, _refresh_token(body))))


@router.post("/logout", openapi_extra=body_of(**_TOKEN))
async def log_out(ctx: RequestContext, body: Body) -> Response:
    """Ends the session of a refresh token."""
    _check_mode(body)
    await login.log_out(ctx, _refresh_token(body))
    return NoContent()


@router.get("")
async def providers() -> Response:
    """Other ways to log in: there is none yet."""
    return Json({"data": [], "disableDefault": False})


def _wire(session: login.Session) -> dict[str, Any]:
    return {
        "expires": session.expires_ms,
        "refresh_token": session.refresh_token,
        "access_token": session.access_token,
    }


def _check_mode(body: dict[str, Any]) -> None:
    if body.get("mode", "json") != "json":
        raise invalid("`mode` has to be `json`: cookies are not supported yet.")


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if value is None:
        raise InvalidPayload(f"`{name}` is required.", reason=f"`{name}` is required", field=name)
    if not isinstance(value, str):
        raise InvalidPayload(f"`{name}` has to be text.", reason=f"`{name}` has to be text", field=name)
    return value


def _refresh_token(body: dict[str, Any]) -> str:
    return _text(body, "refresh_token")
