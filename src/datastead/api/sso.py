"""`/auth/login/{provider}`: logging in at somebody else's, and coming back."""

import re
from typing import Any
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from datastead.api.auth import answer_of, set_session_cookie
from datastead.api.request import Parameters, Visitor
from datastead.auth import login
from datastead.auth.external import identity_for
from datastead.auth.openid import Attempt, OpenId
from datastead.auth.tickets import is_allowed
from datastead.auth.tokens import claims_of, signed
from datastead.context import Context
from datastead.errors import DatasteadError, InvalidCredentials, InvalidPayload, InvalidToken, TokenExpired

router = APIRouter(prefix="/auth/login", tags=["Authentication"])

_RELATIVE = re.compile(r"/(?![/\\])[^\\\x00-\x20]*")


@router.get("/{provider}")
async def begin(ctx: Visitor, provider: str, parameters: Parameters) -> Response:
    """Sends the user to the provider. `redirect`: where to go afterwards; `otp`: of a user with a second factor."""
    openid = ctx.services.providers.get(provider)
    redirect, otp = _optional(parameters, "redirect"), _optional(parameters, "otp")
    _check_redirect(ctx, openid, redirect)
    attempt = Attempt.new()
    try:
        address = await openid.address(attempt, prompt="prompt" in parameters)
    except DatasteadError as error:
        return _failed(ctx, redirect, error)
    answer = RedirectResponse(address, 302)
    kept = {"verifier": attempt.verifier, "state": attempt.state, "nonce": attempt.nonce, "redirect": redirect}
    timeout_s, settings = openid.provider.login_timeout, ctx.services.settings
    cookie = signed(settings, {**kept, "otp": otp, "scope": _cookie(openid)}, ctx.now(), timeout_s)
    _set_cookie(answer, ctx, openid, cookie, int(timeout_s))
    return answer


@router.get("/{provider}/callback")
async def come_back(ctx: Visitor, request: Request, provider: str, parameters: Parameters) -> Response:
    """Signs the user in whom the provider knows, and leads to the `redirect` with the session's cookie."""
    openid = ctx.services.providers.get(provider)
    kept = _kept(ctx, openid, request)
    redirect = kept.get("redirect") if kept is not None else None
    try:
        if kept is None:
            raise InvalidCredentials
        attempt = Attempt(kept["verifier"], kept["state"], kept["nonce"])
        claims = await openid.claims(attempt, parameters)
        identity = await identity_for(ctx, openid, claims, kept.get("otp"))
        mode: login.Mode = openid.provider.mode if redirect else "json"
        session = await login.new_session(ctx, identity, mode)
    except DatasteadError as error:
        answer = _failed(ctx, redirect, error)
    else:
        answer = answer_of(ctx.services.settings, session, mode)
        if redirect:
            answer = RedirectResponse(redirect, 302)
            set_session_cookie(answer, ctx.services.settings, session, mode)
    _set_cookie(answer, ctx, openid, "", 0)
    return answer


def _kept(ctx: Context, openid: OpenId, request: Request) -> dict[str, Any] | None:
    """What the login that this browser began is tied to; None for any other browser, and after its time."""
    try:
        claims = dict(claims_of(ctx.services, request.cookies.get(_cookie(openid), "")))
    except (InvalidToken, TokenExpired):
        return None
    return claims if claims.get("scope") == _cookie(openid) else None


def _failed(ctx: Context, redirect: str | None, error: DatasteadError) -> Response:
    """Back to where the user came from, with the code of what went wrong as `reason`."""
    page = redirect.partition("?")[0].partition("#")[0] if redirect else None
    page = page or f"{(ctx.services.settings.public_url or '').rstrip('/')}/admin/login"
    return RedirectResponse(f"{page}?{urlencode({'reason': error.code})}", 302)


def _check_redirect(ctx: Context, openid: OpenId, redirect: str | None) -> None:
    """Raises `InvalidPayload` for a page that is neither ours nor in the provider's list."""
    if redirect is None or _RELATIVE.fullmatch(redirect) or is_allowed(redirect, openid.provider.redirect_allow_list):
        return
    public = ctx.services.settings.public_url
    if public is not None and _has_origin_of(redirect, public):
        return
    variable = f"AUTH_{openid.name.upper()}_REDIRECT_ALLOW_LIST"
    reason = f"`{redirect[:200]}` is not in `{variable}`, so that no login can lead there"
    raise InvalidPayload(f"{reason}.", reason=reason, field="redirect")


def _has_origin_of(url: str, public: str) -> bool:
    """Whether the URL is one of the server's own: its path may be any."""
    try:
        given = urlsplit(url)._replace(path="", query="", fragment="").geturl()
    except ValueError:
        return False
    parts = urlsplit(public)
    return not re.search(r"[\x00-\x20\\]", url) and is_allowed(given, [f"{parts.scheme}://{parts.netloc}"])


def _cookie(openid: OpenId) -> str:
    return f"openid.{openid.name}"


def _set_cookie(answer: Response, ctx: Context, openid: OpenId, value: str, ttl_s: int) -> None:
    """Sent back with the provider's redirect, which is a link from another site: so `lax`."""
    is_secure = (ctx.services.settings.public_url or "").startswith("https://")
    answer.set_cookie(_cookie(openid), value, ttl_s, ttl_s, "/", None, is_secure, httponly=True, samesite="lax")


def _optional(parameters: dict[str, Any], name: str) -> str | None:
    value = parameters.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidPayload(f"`{name}` is given more than once.", reason=f"`{name}` is given more than once")
    return value or None
