"""Tickets: signed tokens in the links of mail, each good for one purpose, once, and for a time.

One is bound to the user's state (password, status, email): what it was made for changes that, and so ends it.
"""

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import sqlalchemy as sa

from datastead.auth.rules import lock_users
from datastead.auth.tokens import claims_of, signed
from datastead.context import Context
from datastead.data import system
from datastead.errors import InvalidPayload, InvalidToken, UnprocessableContent

if TYPE_CHECKING:
    from datastead.settings import Settings

Purpose = Literal["password-reset", "invite", "pending-registration"]
PAGES: dict[Purpose, str] = {
    "password-reset": "/admin/reset-password",
    "invite": "/admin/accept-invite",
    "pending-registration": "/users/register/verify-email",
}
"""Where a link leads to, below `PUBLIC_URL`, when the caller names no page of its own."""

ALLOW_LISTS: dict[Purpose, str] = {
    "password-reset": "password_reset_url_allow_list",
    "invite": "user_invite_url_allow_list",
    "pending-registration": "user_register_url_allow_list",
}
TTLS: dict[Purpose, str] = {
    "password-reset": "password_reset_token_ttl",
    "invite": "user_invite_token_ttl",
    "pending-registration": "email_verification_token_ttl",
}


def page_of(settings: "Settings", purpose: Purpose, given: str | None) -> str:
    """The page that a link leads to. Raises `InvalidPayload` for one that is not in the purpose's allow list.

    Without one it is below `PUBLIC_URL`, never below what the request says of its host: that anybody can say.
    """
    if given is not None:
        name = ALLOW_LISTS[purpose]
        if not is_allowed(given, getattr(settings, name)):
            reason = f"`{given[:200]}` is not in `{name.upper()}`, so that no link can lead there"
            raise InvalidPayload(f"{reason}.", reason=reason)
        return given
    if settings.public_url is None:
        reason = "`PUBLIC_URL` is not set, so that no link can lead here: set it to the URL under which users come"
        raise UnprocessableContent(f"{reason}.", reason=reason)
    return f"{settings.public_url.rstrip('/')}{PAGES[purpose]}"


def is_allowed(url: str, allow_list: list[str]) -> bool:
    """Whether a page is in the list: the same scheme, host, port and path; its query may be another."""
    given = _place(url)
    return given is not None and any(given == _place(allowed) for allowed in allow_list)


def _place(url: str) -> tuple[str, str, int | None, str] | None:
    """None for what browsers may read as something else than we do."""
    try:
        parts = urlsplit(url)
        odd = any(character <= " " or character == "\\" for character in url)
        if odd or parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
            return None
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except ValueError:
        return None
    return parts.scheme, parts.hostname, port, parts.path.rstrip("/")


def link(page: str, ticket: str) -> str:
    """The page's URL with the ticket in its query."""
    parts = urlsplit(page)
    return urlunsplit(parts._replace(query=urlencode([*parse_qsl(parts.query), ("token", ticket)])))


def issue(ctx: Context, purpose: Purpose, user: Mapping[str, Any], sealed: str | None = None) -> str:
    """A ticket. user: `id`, `email`, `password` (its hash) and `status`, as they are stored.

    sealed: what the ticket brings along, unreadable for who gets it.
    """
    settings = ctx.services.settings
    claims = {"sub": user["id"], "email": user["email"], "scope": purpose, "hash": _state(settings, purpose, user)}
    if sealed is not None:
        claims["sealed"] = sealed
    return signed(settings, claims, ctx.now(), getattr(settings, TTLS[purpose]))


async def redeem(ctx: Context, purpose: Purpose, ticket: str) -> dict[str, Any]:
    """The user it was made for, as stored; of two at once the second waits, and finds it spent.

    In a transaction. Raises `InvalidToken` and `TokenExpired`.
    """
    assert ctx.connection is not None
    claims = claims_of(ctx.services, ticket)
    if claims.get("scope") != purpose or not isinstance(claims.get("sub"), str):
        raise InvalidToken
    await lock_users(ctx)
    users = system.users
    asked = sa.select(*_STATE).where(users.c.id == claims["sub"], users.c.provider == "default").with_for_update()
    rows = await ctx.connection.execute(asked)
    user = dict(rows[0]._mapping) if rows else None  # noqa: SLF001  SQLAlchemy's public name
    expected = _state(ctx.services.settings, purpose, user) if user is not None else ""
    if user is None or not hmac.compare_digest(expected, str(claims.get("hash"))):
        raise InvalidToken
    return user


def sealed_in(ctx: Context, ticket: str) -> str:
    """What a ticket brings along. Raises `InvalidToken` where it is nothing."""
    sealed = claims_of(ctx.services, ticket).get("sealed")
    if not isinstance(sealed, str):
        raise InvalidToken
    return sealed


_STATE = (system.users.c.id, system.users.c.email, system.users.c.password, system.users.c.status)


async def user_of(ctx: Context, email: str) -> dict[str, Any] | None:
    """The state of the user with this address who logs in with a password; None where there is none."""
    users = system.users
    asked = sa.select(*_STATE).where(sa.func.lower(users.c.email) == email.lower(), users.c.provider == "default")
    row = await ctx.services.database.read(lambda transaction: transaction.execute(asked).first())
    return dict(row._mapping) if row is not None else None  # noqa: SLF001  SQLAlchemy's public name


def _state(settings: "Settings", purpose: Purpose, user: Mapping[str, Any]) -> str:
    about = "\0".join([purpose, *(str(user[name] or "") for name in ("id", "email", "password", "status"))])
    return hmac.new(settings.secret.get_secret_value().encode(), about.encode(), sha256).hexdigest()[:32]
