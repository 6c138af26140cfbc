"""Logging in, refreshing and logging out. Each session is a row of `directus_sessions`, with the token that renews it.

In the mode `session` that token is a claim of the access token, which is a cookie; in the others it is the client's.
"""

import asyncio
import secrets
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa

from datastead.auth import attempts, tfa
from datastead.auth.identity import EMAIL, Identity, identity_of
from datastead.auth.passwords import verify_password
from datastead.auth.share_scope import identity_of_share
from datastead.auth.tokens import issue_access_token
from datastead.context import Context
from datastead.data import system
from datastead.data.engine import Transaction
from datastead.data.history import record_login
from datastead.data.moments import as_text
from datastead.errors import InvalidCredentials, InvalidOtp, InvalidPayload, RouteNotFound
from datastead.events import Event

Mode = Literal["json", "cookie", "session"]
GRACE = timedelta(seconds=10)
"""How long the former cookie of a session is good after a refresh: other requests of the same page may be under way."""


@dataclass(frozen=True, slots=True)
class Session:
    """What a client gets. expires_ms: how long the access token is valid."""

    access_token: str
    refresh_token: str
    expires_ms: int


async def log_in(ctx: Context, email: str, password: str, mode: Mode = "json", otp: str | None = None) -> Session:
    """A new session. Every reason why not is the same `InvalidCredentials`, after the same time.

    Only who knows the password learns that a one-time password is missing or wrong (`InvalidOtp`), and that no policy
    is for the address (`InvalidIp`).
    """
    if ctx.services.settings.auth_disable_default:
        raise RouteNotFound("Logging in with a password is switched off here.", path="/auth/login")
    if not EMAIL.fullmatch(email):
        raise InvalidPayload("`email` has to be an email address.", field="email")
    begun = time.monotonic()
    try:
        identity = await _verified(ctx, email, password, otp)
    except (InvalidCredentials, InvalidOtp):
        await _stall(ctx, begun)
        raise
    return await new_session(ctx, identity, mode)


async def _verified(ctx: Context, email: str, password: str, otp: str | None) -> Identity:
    user = await _user_by_email(ctx, email)
    if user is not None:
        await attempts.begin(ctx, user.id)
    matches = await verify_password(user.password if user is not None else None, password)
    identity = await identity_of(ctx.services.database, system.users.c.id == user.id) if user and matches else None
    if user is None or identity is None:
        raise InvalidCredentials
    if user.tfa_secret:
        await tfa.require(ctx, user.id, user.tfa_secret, otp)
    await attempts.succeed(ctx, user.id)
    return identity


async def _stall(ctx: Context, begun: float) -> None:
    """Waits until a whole number of `LOGIN_STALL_TIME` has gone by: how long it took tells nothing."""
    step_s = ctx.services.settings.login_stall_time / 1000
    if step_s > 0:
        await asyncio.sleep(step_s - (time.monotonic() - begun) % step_s)


async def refresh(ctx: Context, refresh_token: str, mode: Mode = "json") -> Session:
    """The session with new tokens; the old refresh token is spent, once (of a cookie's session: after `GRACE`)."""
    sessions = system.sessions
    valid = sa.and_(sessions.c.token == refresh_token, as_text(sessions.c.expires) > ctx.now())
    asked = sa.select(sessions.c.user, sessions.c.share).where(valid)
    row = await ctx.services.database.read(lambda transaction: transaction.execute(asked).first())
    identity = await _renewed(ctx, row) if row is not None else None
    if identity is None:
        raise InvalidCredentials
    identity.require_address(ctx.actor.ip)
    new = secrets.token_urlsafe(48)
    renew = _replace if mode == "session" else _spend
    values = {"token": new, "expires": _end(ctx, mode)}
    renewed = await ctx.services.database.write(lambda transaction: renew(transaction, valid, values, ctx.now()))
    if renewed is None:
        raise InvalidCredentials
    return _session(ctx, identity, renewed, mode)


async def _renewed(ctx: Context, row: sa.Row[Any]) -> Identity | None:
    """Whose session it is."""
    if row.user:
        return await identity_of(ctx.services.database, system.users.c.id == row.user)
    return await identity_of_share(ctx.services, row.share, ctx.actor.ip) if row.share else None


def _spend(transaction: Transaction, valid: sa.ColumnElement[bool], values: dict[str, Any], _: datetime) -> str | None:
    """The new token in place of the old one; None where that is spent already."""
    spent = transaction.execute(system.sessions.update().where(valid).values(**values)).rowcount
    return str(values["token"]) if spent else None


def _replace(
    transaction: Transaction, valid: sa.ColumnElement[bool], values: dict[str, Any], now: datetime
) -> str | None:
    """The new token beside the old one, which ends soon; what another request has put there, where one has."""
    sessions = system.sessions
    ending = {"next_token": values["token"], "expires": now + GRACE}
    first = sessions.update().where(valid, sessions.c.next_token.is_(None)).values(**ending)
    if transaction.execute(first).rowcount == 0:
        row = transaction.execute(sa.select(sessions.c.next_token).where(valid)).first()
        return row.next_token if row is not None else None
    kept = transaction.execute(sa.select(sessions).where(sessions.c.next_token == values["token"])).mappings().one()
    transaction.execute(sessions.insert().values(**{**kept, **values, "next_token": None}))
    return str(values["token"])


async def log_out(ctx: Context, refresh_token: str) -> None:
    """Ends the session; one that does not exist is over already."""
    sessions = system.sessions
    statement = sessions.delete().where(
        sa.or_(sessions.c.token == refresh_token, sessions.c.next_token == refresh_token)
    )
    await ctx.services.database.write(lambda transaction: transaction.execute(statement).rowcount)


async def _user_by_email(ctx: Context, email: str) -> sa.Row[Any] | None:
    users = system.users
    statement = sa.select(users.c.id, users.c.password, users.c.tfa_secret).where(
        sa.func.lower(users.c.email) == email.lower(), users.c.provider == "default"
    )
    return await ctx.services.database.read(lambda transaction: transaction.execute(statement).first())


async def new_session(ctx: Context, identity: Identity, mode: Mode) -> Session:
    """A session of somebody who is known. Raises `InvalidIp`."""
    identity.require_address(ctx.actor.ip)
    token, now, sessions = secrets.token_urlsafe(48), ctx.now(), system.sessions
    row = {
        "token": token,
        "user": identity.user,
        "share": identity.share,
        "expires": _end(ctx, mode),
        "ip": ctx.actor.ip,
        "user_agent": ctx.actor.user_agent,
    }
    async with ctx.transaction() as inside:
        assert inside.connection is not None
        await inside.connection.execute(sessions.delete().where(as_text(sessions.c.expires) <= now))
        await inside.connection.execute(sessions.insert().values(**row))
        await inside.connection.execute(
            system.users.update().where(system.users.c.id == identity.user).values(last_access=now)
        )
        if identity.user is None:
            return _session(ctx, identity, token, mode)
        who = replace(identity.actor(ctx.actor.ip, ctx.actor.user_agent), origin=ctx.actor.origin)
        await record_login(inside.acting_as(who))
        event = Event("action", "auth.login", "auth.login", payload={"user": identity.user}, keys=(identity.user,))
        await ctx.services.bus.action(inside.acting_as(who), [event])
    return _session(ctx, identity, token, mode)


def _end(ctx: Context, mode: Mode) -> datetime:
    settings = ctx.services.settings
    return ctx.now() + timedelta(
        seconds=settings.session_cookie_ttl if mode == "session" else settings.refresh_token_ttl
    )


def _session(ctx: Context, identity: Identity, refresh_token: str, mode: Mode) -> Session:
    settings = ctx.services.settings
    actor = identity.actor(ctx.actor.ip)
    if mode == "session":
        access_token = issue_access_token(settings, actor, ctx.now(), refresh_token)
        return Session(access_token, refresh_token, int(settings.session_cookie_ttl * 1000))
    access_token = issue_access_token(settings, actor, ctx.now())
    return Session(access_token, refresh_token, int(settings.access_token_ttl * 1000))
