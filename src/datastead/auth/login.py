"""Logging in, refreshing and logging out, with refresh tokens in `directus_sessions` (mode `json`)."""

import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from datastead.auth.identity import Identity, identity_of
from datastead.auth.passwords import verify_password
from datastead.auth.tokens import issue_access_token
from datastead.context import Context
from datastead.data import system
from datastead.errors import InvalidCredentials, InvalidOtp, InvalidPayload
from datastead.events import Event

EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,189}")


@dataclass(frozen=True, slots=True)
class Session:
    """What a client gets. expires_ms: how long the access token is valid."""

    access_token: str
    refresh_token: str
    expires_ms: int


async def log_in(ctx: Context, email: str, password: str) -> Session:
    """A new session. Every reason why not is the same `InvalidCredentials`."""
    if not EMAIL.fullmatch(email):
        raise InvalidPayload("`email` has to be an email address.", field="email")
    user = await _user_by_email(ctx, email)
    matches = await verify_password(user.password if user is not None else None, password)
    identity = await identity_of(ctx.services.database, system.users.c.id == user.id) if user and matches else None
    if user is None or identity is None:
        raise InvalidCredentials
    if user.tfa_secret:
        raise InvalidOtp
    return await _new_session(ctx, identity)


async def refresh(ctx: Context, refresh_token: str) -> Session:
    """The session with new tokens; the old refresh token is spent, once."""
    sessions, now = system.sessions, ctx.now()
    valid = sa.and_(sessions.c.token == refresh_token, sessions.c.expires > now)
    rows = await ctx.services.database.read(
        lambda transaction: transaction.execute(sa.select(sessions.c.user).where(valid)).all()
    )
    user = rows[0].user if rows else None
    identity = await identity_of(ctx.services.database, system.users.c.id == user) if user else None
    if identity is None:
        raise InvalidCredentials
    new = secrets.token_urlsafe(48)
    values = {"token": new, "expires": now + timedelta(seconds=ctx.services.settings.refresh_token_ttl)}
    spent = await ctx.services.database.write(
        lambda transaction: transaction.execute(sessions.update().where(valid).values(**values)).rowcount
    )
    if not spent:
        raise InvalidCredentials
    return _session(ctx, identity, new)


async def log_out(ctx: Context, refresh_token: str) -> None:
    """Ends the session; one that does not exist is over already."""
    statement = system.sessions.delete().where(system.sessions.c.token == refresh_token)
    await ctx.services.database.write(lambda transaction: transaction.execute(statement).rowcount)


async def _user_by_email(ctx: Context, email: str) -> sa.Row[Any] | None:
    users = system.users
    statement = sa.select(users.c.id, users.c.password, users.c.tfa_secret).where(
        sa.func.lower(users.c.email) == email.lower(), users.c.provider == "default"
    )
    return await ctx.services.database.read(lambda transaction: transaction.execute(statement).first())


async def _new_session(ctx: Context, identity: Identity) -> Session:
    token, now, sessions = secrets.token_urlsafe(48), ctx.now(), system.sessions
    row = {
        "token": token,
        "user": identity.user,
        "expires": now + timedelta(seconds=ctx.services.settings.refresh_token_ttl),
        "ip": ctx.actor.ip,
        "user_agent": ctx.actor.user_agent,
    }
    async with ctx.transaction() as inside:
        assert inside.connection is not None
        await inside.connection.execute(sessions.delete().where(sessions.c.expires <= now))
        await inside.connection.execute(sessions.insert().values(**row))
        await inside.connection.execute(
            system.users.update().where(system.users.c.id == identity.user).values(last_access=now)
        )
        event = Event("action", "auth.login", "auth.login", payload={"user": identity.user}, keys=(identity.user,))
        await ctx.services.bus.action(inside.acting_as(identity.actor(ctx.actor.ip)), [event])
    return _session(ctx, identity, token)


def _session(ctx: Context, identity: Identity, refresh_token: str) -> Session:
    settings = ctx.services.settings
    actor = identity.actor(ctx.actor.ip)
    access_token = issue_access_token(settings, actor, ctx.now())
    return Session(access_token, refresh_token, int(settings.access_token_ttl * 1000))
