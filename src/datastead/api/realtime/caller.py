"""`Caller`: who is at the other end of a WebSocket; asked anew for each thing that is done, as tokens and users end."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from starlette.types import Scope

from datastead.api.request import cookie_in, headers_of, new_context, parameters_of, services_of
from datastead.auth import login
from datastead.auth.tokens import Authenticator, expiry_of
from datastead.context import Actor, Context
from datastead.errors import InvalidCredentials, InvalidPayload, TokenExpired


class Caller:
    """One connection's. token: None for nobody in particular; expires: of the token, in seconds since 1970."""

    def __init__(self, scope: Scope) -> None:
        self._services = services_of(scope)
        self._authenticator: Authenticator = scope["app"].state.authenticator
        client = scope.get("client")
        _, user_agent, _, _ = headers_of(scope)
        self._nobody = Actor(ip=client[0] if client else None, user_agent=user_agent)
        self.token: str | None = None
        self.expires: float | None = None

    def left_s(self) -> float | None:
        """How long the token is good, in seconds; None = for ever."""
        return None if self.expires is None else max(0.0, self.expires - self._services.clock().timestamp())

    async def context(self) -> Context:
        """A unit of work for whoever it is. Raises `TokenExpired`, `InvalidToken` or `InvalidCredentials`."""
        if self.token is None:
            return new_context(self._services, self._nobody)
        if self.left_s() == 0:
            raise TokenExpired
        actor = await self._authenticator.actor(self.token, self._nobody.ip, self._nobody.user_agent)
        return new_context(self._services, actor)

    async def show(self, token: str) -> None:
        """Signs in by a token. Raises as `context` does, and nobody is signed in then."""
        self.token = self.expires = None
        expires = expiry_of(self._services, token)
        await self._authenticator.actor(token, self._nobody.ip, self._nobody.user_agent)
        self.token, self.expires = token, expires

    async def sign_in(self, message: Mapping[str, Any]) -> str | None:
        """Signs in by a message with `access_token`, `email` and `password`, or `refresh_token`.

        The new refresh token, where there is one.
        """
        visitor = new_context(self._services, self._nobody)
        if message.get("email") is not None:
            session = await login.log_in(
                visitor, _text(message, "email"), _text(message, "password"), otp=_otp(message)
            )
        elif message.get("refresh_token") is not None:
            session = await login.refresh(visitor, _text(message, "refresh_token"))
        else:
            await self.show(_text(message, "access_token"))
            return None
        await self.show(session.access_token)
        return session.refresh_token


def token_of(scope: Scope) -> str | None:
    """The token in the URL, or in the session's cookie where the page that connects may use it."""
    given = parameters_of(scope).get("access_token")
    if given is not None:
        if not isinstance(given, str):
            raise InvalidPayload("`access_token` is given more than once.", reason="more than one access token")
        return given or None
    _, _, cookies, _ = headers_of(scope)
    if cookies is None or not _is_of_ours(scope):
        return None
    return cookie_in(cookies, services_of(scope).settings.session_cookie_name)


def _is_of_ours(scope: Scope) -> bool:
    """Whether a page connects that may act as its user: browsers send cookies with whatever page asks for it."""
    settings = services_of(scope).settings
    headers = dict(scope["headers"])
    origin = headers.get(b"origin", b"").decode("latin-1")
    if not origin:
        return True  # no browser
    host = headers.get(b"host", b"").decode("latin-1")
    if urlsplit(origin).netloc == host or (settings.public_url and _origin(settings.public_url) == origin):
        return True
    return settings.cors_enabled and settings.cors_credentials and origin in settings.cors_origin


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _otp(message: Mapping[str, Any]) -> str | None:
    return None if message.get("otp") is None else _text(message, "otp")


def _text(message: Mapping[str, Any], name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidCredentials
    return value
