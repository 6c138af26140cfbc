"""Shares: a link to one item, for those who have no account. Whoever has the link, and the password, gets tokens."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from datastead.auth import limits, login
from datastead.auth.identity import EMAIL, is_uuid
from datastead.auth.passwords import verify_password
from datastead.auth.share_scope import identity_of_share, is_open
from datastead.context import Context
from datastead.data import system
from datastead.data.items import Items
from datastead.data.project import read_fields
from datastead.data.query import Query
from datastead.data.wire import CONCEALED
from datastead.data.workspace import SHARES
from datastead.errors import Forbidden, InvalidCredentials, InvalidPayload
from datastead.mail import Mail

ATTEMPTS, PERIOD_S = 25, 900
"""How long attempts at a share's password are counted together."""

ADDRESSES = 20
"""How many times the attempts of one address all addresses have together."""

SHOWN = ("id", "collection", "item", "password", "max_uses", "times_used", "date_start", "date_end")


async def info(ctx: Context, share: str) -> dict[str, Any]:
    """What everybody with the link may know. Raises `Forbidden` where there is no such share, or it is not open."""
    row = await _open_share(ctx, share)
    if row is None:
        raise Forbidden
    shown = {name: row[name] for name in SHOWN}
    moments = {name: row[name].isoformat().replace("+00:00", "Z") for name in ("date_start", "date_end") if row[name]}
    return {**shown, **moments, "password": CONCEALED if row["password"] else None}


async def log_in(ctx: Context, share: str, password: str | None, mode: login.Mode) -> login.Session:
    """Tokens for the item; counted. Every reason why not is the same `InvalidCredentials`."""
    row = await _open_share(ctx, share)
    hashed = row["password"] if row is not None else None
    if hashed is not None:
        await _count_attempt(ctx, share)
    matches = hashed is None or await verify_password(hashed, password or "")
    identity = await identity_of_share(ctx.services, share, ctx.actor.ip) if row is not None and matches else None
    if identity is None:
        raise InvalidCredentials
    shares = system.shares
    counted = shares.update().where(shares.c.id == share, _is_left()).values(times_used=_used() + 1)
    async with ctx.transaction() as inside:
        assert inside.connection is not None
        if not await inside.connection.run(lambda transaction: transaction.execute(counted).rowcount):
            raise InvalidCredentials
        if hashed is not None:
            for counted_as in _attempts(ctx, share):
                await limits.forget(inside, counted_as)
        return await login.new_session(inside, identity, mode)


async def _count_attempt(ctx: Context, share: str) -> None:
    """Counted before the password is looked at, so that many at once are not more than many in a row.

    Raises `InvalidCredentials` after `auth_login_attempts` of the settings, which looks like a wrong password:
    for those at one address, so that a stranger shuts nobody else out; and after many more for all.
    """
    row = await ctx.services.database.read(lambda transaction: read_fields(transaction, ["auth_login_attempts"]))
    allowed = row.get("auth_login_attempts", ATTEMPTS)
    if not allowed:
        return
    here, everywhere = _attempts(ctx, share)
    is_over = await limits.is_exceeded(ctx, here, allowed, PERIOD_S)
    if is_over or await limits.is_exceeded(ctx, everywhere, allowed * ADDRESSES, PERIOD_S):
        raise InvalidCredentials


def _attempts(ctx: Context, share: str) -> tuple[str, str]:
    """What attempts are counted as: those from here, and all of them."""
    return f"share:{share}:{ctx.actor.ip}", f"share:{share}"


async def invite(ctx: Context, share: str, emails: Sequence[str]) -> None:
    """Sends the link to each address. Raises `Forbidden` for a share that the actor may not read."""
    wrong = next((email for email in emails if not EMAIL.fullmatch(email)), None)
    if wrong is not None:
        raise InvalidPayload(f"`{wrong[:100]}` is not an email address.", reason="not an email address", field="emails")
    row = await Items(ctx, SHARES).read_one(share, Query(fields=("id", "name")))
    url = f"{(ctx.services.settings.public_url or '').rstrip('/')}/admin/shared/{row['id']}"
    known = await ctx.services.database.read(lambda transaction: read_fields(transaction, ["project_name"]))
    project = known.get("project_name") or "Datastead"
    text = f"Somebody shares something of {project} with you:\n\n{url}\n"
    for email in emails:
        await ctx.services.mailer.send(Mail(email, f"Shared with you: {row.get('name') or project}", text))


async def _open_share(ctx: Context, share: str) -> dict[str, Any] | None:
    """The row of a share that can be used now."""
    if not is_uuid(share):
        return None
    shares = system.shares
    statement = sa.select(shares).where(shares.c.id == share, is_open(ctx.now()), _is_left())
    row = await ctx.services.database.read(lambda transaction: transaction.execute(statement).mappings().first())
    return dict(row) if row is not None else None


def _used() -> sa.ColumnElement[int]:
    return sa.func.coalesce(system.shares.c.times_used, 0)


def _is_left() -> sa.ColumnElement[bool]:
    """That it has not been used as often as it may be."""
    most = system.shares.c.max_uses
    return sa.or_(most.is_(None), _used() < most)
