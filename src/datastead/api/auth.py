"""`/auth/*`: logging in, refreshing and logging out, in the modes `json`, `cookie` and `session`."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from datastead.api.answers import Json, NoContent, data
from datastead.api.body import invalid, object_of, optional_text, read_json, text_of
from datastead.api.openapi import body_of
from datastead.api.request import Body, Visitor, services_of
from datastead.auth import login, recovery
from datastead.auth.tokens import session_of
from datastead.context import Context
from datastead.errors import InvalidCredentials, InvalidToken, TokenExpired
from datastead.settings import Settings

router = APIRouter(prefix="/auth", tags=["Authentication"])

MODES: tuple[login.Mode, ...] = ("json", "cookie", "session")
_STRING: dict[str, Any] = {"type": "string"}
_MODE: dict[str, Any] = {"enum": list(MODES)}
_TOKEN: dict[str, Any] = {"mode": _MODE, "refresh_token": {"type": "string"}}


@router.post("/login", openapi_extra=body_of(email=_STRING, password=_STRING, otp=_STRING, mode=_MODE))
async def log_in(ctx: Visitor, body: Body) -> Response:
    """An access token, and a refresh token with which to get the next one; or a cookie in place of one of them."""
    mode = mode_of(body, "json")
    email, password, otp = text_of(body, "email"), text_of(body, "password"), optional_text(body, "otp")
    session = await login.log_in(ctx, email, password, mode, otp)
    return answer_of(ctx.services.settings, session, mode)


@router.post("/refresh", openapi_extra=body_of(**_TOKEN))
async def refresh(ctx: Visitor, request: Request) -> Response:
    """New tokens for a refresh token, which is valid once, or for a session's cookie."""
    session, mode = await refreshed(ctx, request, await _body(request))
    return answer_of(ctx.services.settings, session, mode)


@router.post("/logout", openapi_extra=body_of(**_TOKEN))
async def log_out(ctx: Visitor, request: Request) -> Response:
    """Ends a session, and takes its cookie away."""
    answer = NoContent()
    await end_session(ctx, request, await _body(request), answer)
    return answer


@router.post("/password/request", openapi_extra=body_of(email=_STRING, reset_url=_STRING))
async def request_password(ctx: Visitor, body: Body) -> Response:
    """Sends a link for a new password, where the address has a user; the answer is the same where it has none."""
    await recovery.request_reset(ctx, text_of(body, "email"), optional_text(body, "reset_url"))
    return NoContent()


@router.post("/password/reset", openapi_extra=body_of(token=_STRING, password=_STRING))
async def reset_password(ctx: Visitor, body: Body) -> Response:
    """A new password, for the token of such a link. All sessions of the user end."""
    await recovery.reset(ctx, text_of(body, "token"), text_of(body, "password"))
    return NoContent()


@router.get("")
async def providers(ctx: Visitor) -> Response:
    """Other ways to log in: those of `AUTH_PROVIDERS`, by their names; and whether they are the only ones."""
    listed = [
        {"name": openid.name, "label": openid.provider.label or openid.name.capitalize(),
         "driver": openid.provider.driver, "icon": openid.provider.icon}
        for openid in ctx.services.providers
    ]  # fmt: skip
    return Json({"data": listed, "disableDefault": ctx.services.settings.auth_disable_default})


async def _body(request: Request) -> dict[str, Any]:
    """None is as good as an empty one."""
    body = await read_json(request, max_size=services_of(request.scope).settings.max_payload_size)
    return {} if body is None else object_of(body)


async def refreshed(ctx: Context, request: Request, given: dict[str, Any]) -> tuple[login.Session, login.Mode]:
    """A session with new tokens, and its mode. given: `{mode, refresh_token}`, each of which may be missing."""
    mode = _mode_of_known(given)
    return await login.refresh(ctx, _refresh_token(request, given, mode), mode), mode


async def end_session(ctx: Context, request: Request, given: dict[str, Any], answer: Response) -> None:
    """Ends a session, and takes its cookie away with the answer. given: as for `refreshed`."""
    mode, settings = _mode_of_known(given), ctx.services.settings
    if mode == "session":
        request.app.state.authenticator.forget(request.cookies.get(settings.session_cookie_name, ""))
    if mode != "json":
        _set_cookie(answer, settings, mode, "", 0)
    try:
        token = _refresh_token(request, given, mode)
    except (InvalidCredentials, InvalidToken, TokenExpired):
        return  # what is no session, or no longer, is over already
    await login.log_out(ctx, token)


def answer_of(settings: Settings, session: login.Session, mode: login.Mode) -> Response:
    """What a client gets of a new session: tokens, a cookie, or one of each."""
    answer = data(tokens_of(session, mode))
    set_session_cookie(answer, settings, session, mode)
    return answer


def tokens_of(session: login.Session, mode: login.Mode) -> dict[str, Any]:
    """What a client is shown of a session: what is in a cookie is not."""
    shown: dict[str, Any] = {"expires": session.expires_ms}
    if mode == "json":
        shown["refresh_token"] = session.refresh_token
    if mode != "session":
        shown["access_token"] = session.access_token
    return shown


def set_session_cookie(answer: Response, settings: Settings, session: login.Session, mode: login.Mode) -> None:
    """The session's cookie, in a mode that has one."""
    if mode == "cookie":
        _set_cookie(answer, settings, mode, session.refresh_token, settings.refresh_token_ttl)
    elif mode == "session":
        _set_cookie(answer, settings, mode, session.access_token, settings.session_cookie_ttl)


def _set_cookie(answer: Response, settings: Settings, mode: login.Mode, value: str, ttl_s: float) -> None:
    """ttl_s: 0 takes the cookie away."""
    of = "session_cookie" if mode == "session" else "refresh_token_cookie"
    flags = settings.model_dump(include={f"{of}_{flag}" for flag in ("name", "domain", "secure", "same_site")})
    answer.set_cookie(
        flags[f"{of}_name"], value, int(ttl_s), int(ttl_s), "/", flags[f"{of}_domain"], flags[f"{of}_secure"],
        httponly=True, samesite=flags[f"{of}_same_site"],
    )  # fmt: skip


def mode_of(body: dict[str, Any], otherwise: login.Mode) -> login.Mode:
    """How a session is kept. Raises `InvalidPayload`."""
    given = body.get("mode", otherwise)
    for mode in MODES:
        if given == mode:
            return mode
    raise invalid(f"`mode` has to be one of {', '.join(f'`{mode}`' for mode in MODES)}.")


def _mode_of_known(given: dict[str, Any]) -> login.Mode:
    """Of a session that there is: without a refresh token it has a cookie."""
    return mode_of(given, "json" if "refresh_token" in given else "cookie")


def _refresh_token(request: Request, body: dict[str, Any], mode: login.Mode) -> str:
    """What renews the session: from the body, or from the mode's cookie."""
    services = services_of(request.scope)
    if mode == "session":
        cookie = request.cookies.get(services.settings.session_cookie_name)
        if cookie:
            return session_of(services, cookie)
    elif mode == "cookie" and "refresh_token" not in body:
        cookie = request.cookies.get(services.settings.refresh_token_cookie_name)
        if cookie:
            return cookie
    elif body.get("refresh_token") is not None:
        return text_of(body, "refresh_token")
    raise invalid("There is no refresh token, neither in the body nor in a cookie.")
