"""What a token stands for: a user's static token, or an access token (JWT, HS256, signed with `SECRET`)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from datastead.auth.identity import Identity, identity_of
from datastead.auth.share_scope import identity_of_share
from datastead.context import Actor
from datastead.data import system
from datastead.data.moments import as_text
from datastead.errors import InvalidCredentials, InvalidToken, TokenExpired

if TYPE_CHECKING:
    from datastead.context import Services
    from datastead.settings import Settings

ISSUER = "directus"
ALGORITHM = "HS256"
MAX_AGE = timedelta(seconds=0.5)
"""How long what the database said is believed: a removed user or a changed token counts within a second."""

MAX_KNOWN = 10_000
FINGERPRINT_LENGTH = 16
"""Of a static token's SHA-256 in hexadecimal digits: enough to tell tokens apart, too little to find one."""


class Authenticator:
    """Tells who tokens stand for, with a server's every request: the database is asked twice a second for the same."""

    def __init__(self, services: "Services") -> None:
        self._services = services
        self._known: dict[tuple[bytes, str | None], tuple[datetime, Identity]] = {}
        """By token; of shares also by address, as what they may depends on that."""

    async def actor(self, token: str, ip: str | None = None, user_agent: str | None = None) -> Actor:
        """Who a token stands for, acting from an address.

        Raises `InvalidCredentials`, `InvalidToken`, `TokenExpired`, or `InvalidIp` where the address may not.
        """
        key, now = sha256(token.encode()).digest(), self._services.clock()
        read_at, identity = self._known.get((key, None), (None, None))
        if identity is not None and identity.share is not None:
            read_at, identity = self._known.get((key, ip or ""), (None, None))
        if identity is None or read_at is None or not timedelta(0) <= now - read_at < MAX_AGE:
            if identity is not None:
                self._keep(key, ip, now, identity)  # others go on with what was known, meanwhile
            identity = await self._read(key, token, ip, now)
        identity.require_address(ip)
        return identity.actor(ip, user_agent, None if _is_access_token(token) else key.hex()[:FINGERPRINT_LENGTH])

    def forget(self, token: str | None = None) -> None:
        """What was known, of one token or all, may have changed."""
        if token is None:
            self._known.clear()
        else:
            self._let_go(sha256(token.encode()).digest())

    async def _read(self, key: bytes, token: str, ip: str | None, now: datetime) -> Identity:
        try:
            identity = await _identify(self._services, token, ip)
        except BaseException:
            self._let_go(key)
            raise
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._keep(key, ip, now, identity)
        return identity

    def _keep(self, key: bytes, ip: str | None, now: datetime, identity: Identity) -> None:
        self._known[key, None] = (now, identity)
        if identity.share is not None:
            self._known[key, ip or ""] = (now, identity)

    def _let_go(self, key: bytes) -> None:
        known = self._known.pop((key, None), None)
        if known is not None and known[1].share is not None:
            for place in [each for each in self._known if each[0] == key]:
                del self._known[place]


def issue_access_token(settings: "Settings", actor: Actor, now: datetime, session: str | None = None) -> str:
    """A signed token with Directus's claims, valid for `ACCESS_TOKEN_TTL`.

    session: the key of a session, for a token that is the session's cookie: it is good for as long as that lasts.
    """
    claims: dict[str, Any] = {"session": session} if session is not None else {}
    claims |= {
        "id": actor.user,
        "role": actor.role,
        "app_access": actor.has_app_access,
        "admin_access": actor.is_admin,
        **({"enforce_tfa": True} if actor.lacks_tfa else {}),
        **({"share": actor.share} if actor.share is not None else {}),
    }
    return signed(settings, claims, now, settings.access_token_ttl if session is None else settings.session_cookie_ttl)


def signed(settings: "Settings", claims: Mapping[str, Any], now: datetime, ttl_s: float) -> str:
    """A token of ours. One without `id` stands for nobody: it is good only for what it was made for."""
    import jwt  # and with it all of cryptography, which the first token waits for, and not the start

    times = {"iat": int(now.timestamp()), "exp": int(now.timestamp() + ttl_s), "iss": ISSUER}
    return jwt.encode({**claims, **times}, settings.secret.get_secret_value(), algorithm=ALGORITHM)


async def _identify(services: "Services", token: str, ip: str | None = None) -> Identity:
    users = system.users
    claims = claims_of(services, token) if _is_access_token(token) else None
    if claims is not None and _is_id(claims.get("share")):
        return await _identify_share(services, claims, ip)
    if claims is None:
        condition = users.c.token == token
    elif _is_id(claims.get("id")):
        condition = users.c.id == claims["id"]
        if "session" in claims:
            condition = sa.and_(condition, _lasts(str(claims["session"]), claims["id"], services.clock()))
    else:
        raise InvalidToken
    identity = await identity_of(services.database, condition) if "\0" not in token else None
    if identity is None:
        raise InvalidCredentials
    return replace(identity, has_second_factor=True) if claims is None else identity


async def _identify_share(services: "Services", claims: Mapping[str, Any], ip: str | None) -> Identity:
    identity = await identity_of_share(services, claims["share"], ip)
    if identity is not None and "session" in claims:
        sessions, asked = system.sessions, str(claims["session"])
        lasts = sa.select(sessions.c.token).where(
            sessions.c.token == asked,
            sessions.c.share == claims["share"],
            as_text(sessions.c.expires) > services.clock(),
        )
        if await services.database.read(lambda transaction: transaction.execute(lasts).first()) is None:
            identity = None
    if identity is None:
        raise InvalidCredentials
    return identity


def _lasts(session: str, user: str, now: datetime) -> sa.ColumnElement[bool]:
    """That the session is the user's, and not over."""
    sessions = system.sessions
    found = sa.select(sessions.c.token)
    return found.where(sessions.c.token == session, sessions.c.user == user, as_text(sessions.c.expires) > now).exists()


def session_of(services: "Services", token: str) -> str:
    """The session that a session's cookie belongs to. Raises `InvalidCredentials`, `InvalidToken` or `TokenExpired`."""
    if not _is_access_token(token):
        raise InvalidCredentials
    session = claims_of(services, token).get("session")
    if not isinstance(session, str):
        raise InvalidCredentials
    return session


def expiry_of(services: "Services", token: str) -> float | None:
    """When a token ends, in seconds since 1970; None for a static one. Raises `InvalidToken` or `TokenExpired`."""
    return float(claims_of(services, token)["exp"]) if _is_access_token(token) else None


def _is_access_token(token: str) -> bool:
    """Whether it is a JWT of ours. A static token may be any text, so its look alone does not say it."""
    if token.count(".") != 2:
        return False
    import jwt

    try:
        return bool(jwt.decode(token, options={"verify_signature": False}).get("iss") == ISSUER)
    except jwt.InvalidTokenError:
        return False


def claims_of(services: "Services", token: str) -> Mapping[str, Any]:
    """The claims of a token that is signed by us and has not expired, by the services' clock."""
    import jwt

    options: Any = {"verify_exp": False, "verify_iat": False, "require": ["exp", "iss"]}
    try:
        claims: dict[str, Any] = jwt.decode(
            token, services.settings.secret.get_secret_value(), algorithms=[ALGORITHM], issuer=ISSUER, options=options
        )
    except jwt.InvalidTokenError as error:
        raise InvalidToken from error
    if not isinstance(claims["exp"], int | float) or claims["exp"] <= services.clock().timestamp():
        raise TokenExpired
    return claims


def _is_id(value: object) -> bool:
    return isinstance(value, str) and len(value) == 36 and value.replace("-", "").isalnum() and value.isascii()
