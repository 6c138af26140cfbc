"""Attempts to log in, counted for each user in the database: after too many the account is suspended.

Counted before anything is checked, so that many at once are not more than many in a row; a success begins anew.
"""

import logging
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from datastead.auth.accounts import Accounts
from datastead.auth.limits import upsert
from datastead.context import SYSTEM, Context
from datastead.data import system
from datastead.data.engine import Transaction
from datastead.errors import InvalidCredentials, UnprocessableContent

log = logging.getLogger(__name__)

LOCK = timedelta(minutes=15)
"""How long the last administrator is locked out, who cannot be suspended."""


async def begin(ctx: Context, user: str) -> None:
    """Counts an attempt. Raises `InvalidCredentials` where it is one too many, which nobody can tell from a wrong one.

    `auth_login_attempts` of the settings says how many may fail in a row; null = no limit.
    """
    failures, locked_until, allowed = await ctx.services.database.write(lambda transaction: _count(transaction, user))
    if locked_until is not None and locked_until > ctx.now():
        raise InvalidCredentials
    if allowed is not None and 0 < allowed < failures:
        await _lock_out(ctx, user)
        raise InvalidCredentials


async def succeed(ctx: Context, user: str) -> None:
    """Begins the count anew."""
    logins = system.logins
    anew = logins.update().where(logins.c.user == user, logins.c.failures > 0).values(failures=0, locked_until=None)
    await ctx.services.database.write(lambda transaction: transaction.execute(anew).rowcount)


def _count(transaction: Transaction, user: str) -> tuple[int, Any, int | None]:
    logins, settings = system.logins, system.settings
    upsert(transaction, logins, {"user": user, "failures": 1}, {"failures": logins.c.failures + 1})
    row = transaction.execute(sa.select(logins.c.failures, logins.c.locked_until).where(logins.c.user == user)).one()
    allowed = transaction.execute(sa.select(settings.c.auth_login_attempts).limit(1)).scalar()
    return row.failures, row.locked_until, allowed


async def _lock_out(ctx: Context, user: str) -> None:
    """Suspends the user, whose sessions end; whoever makes the user active again begins the count anew."""
    logins = system.logins
    values: dict[str, Any] = {"failures": 0}
    try:
        await Accounts(ctx.acting_as(SYSTEM)).update([user], {"status": "suspended"})
    except UnprocessableContent:
        values["locked_until"] = ctx.now() + LOCK
    await ctx.services.database.write(
        lambda transaction: transaction.execute(logins.update().where(logins.c.user == user).values(**values)).rowcount
    )
    log.warning("The user `%s` has failed to log in too often, and is locked out.", user)
