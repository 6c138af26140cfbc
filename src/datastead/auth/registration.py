"""Registration: users who make themselves, where the settings (`public_registration*`) let them."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from datastead.auth import limits
from datastead.auth.accounts import Accounts
from datastead.auth.identity import EMAIL
from datastead.auth.letters import letter
from datastead.auth.password_policy import check_password
from datastead.auth.passwords import MAX_LENGTH
from datastead.auth.rules import lock_users
from datastead.auth.tickets import issue, link, page_of, redeem, user_of
from datastead.context import SYSTEM, Context
from datastead.data import system
from datastead.data.evaluation import failures_of
from datastead.data.project import read_fields
from datastead.errors import Forbidden, InvalidPayload, InvalidQuery, InvalidToken, RequestsExceeded
from datastead.mail import Mail

FIELDS = ("public_registration", "public_registration_role", "public_registration_verify_email",
          "public_registration_email_filter")  # fmt: skip
MAILS, PERIOD_S = 3, 600
NAMES = ("first_name", "last_name")


async def register(ctx: Context, given: Mapping[str, Any], verification_url: str | None = None) -> None:
    """Makes a user of `email`, `password`, `first_name` and `last_name`, who confirms the address by a link.

    Answers in the same way and after the same time for an address that has a user already. One who has not confirmed
    gets the new password, and a new link; the one before is of no use then.

    Raises `Forbidden` where nobody may register, or nobody with this address; `FailedValidation` for the password.
    """
    begun, project = time.monotonic(), await _project(ctx)
    _check(ctx, project, given)
    page = page_of(ctx.services.settings, "pending-registration", verification_url) if _confirms(project) else None
    await check_password(ctx, given["password"])
    await _count(ctx)
    await _register(ctx, project, given)
    if page is not None:
        ctx.services.mailer.post(_letter(ctx, given["email"], page))
    await asyncio.sleep(begun + ctx.services.settings.register_stall_time / 1000 - time.monotonic())


async def verify(ctx: Context, ticket: str) -> str:
    """Lets the user in whose address is confirmed; the id. Raises `InvalidToken` and `TokenExpired`."""
    async with ctx.transaction() as inside:
        user = await redeem(inside, "pending-registration", ticket)
        if user["status"] != "unverified":
            raise InvalidToken
        await Accounts(inside.acting_as(SYSTEM)).update([user["id"]], {"status": "active"})
    return str(user["id"])


async def _project(ctx: Context) -> dict[str, Any]:
    row = await ctx.services.database.read(lambda transaction: read_fields(transaction, FIELDS))
    if not row.get("public_registration"):
        raise Forbidden
    return row


def _confirms(project: Mapping[str, Any]) -> bool:
    return bool(project.get("public_registration_verify_email", True))


def _check(ctx: Context, project: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    if not EMAIL.fullmatch(given["email"]):
        raise InvalidPayload("`email` has to be an email address.", field="email")
    if not 0 < len(given["password"]) <= MAX_LENGTH:
        raise InvalidPayload(f"`password` has between 1 and {MAX_LENGTH} characters.", field="password")
    rule = project.get("public_registration_email_filter")
    try:
        if isinstance(rule, Mapping) and rule and failures_of(ctx, rule, {"email": given["email"]}):
            raise Forbidden
    except InvalidQuery as error:
        raise Forbidden from error  # a rule that cannot be understood lets nobody in


async def _count(ctx: Context) -> None:
    settings = ctx.services.settings
    if not settings.rate_limiter_registration_enabled:
        return
    points, duration_s = settings.rate_limiter_registration_points, settings.rate_limiter_registration_duration
    left = await limits.seconds_left(ctx, f"register:{ctx.actor.ip}", points, duration_s)
    if left is not None:
        raise RequestsExceeded(limit=points, retry_after_s=left)


async def _register(ctx: Context, project: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Makes the user, or gives the unconfirmed one the new password; for any other nothing."""
    async with ctx.acting_as(SYSTEM).transaction() as inside:
        found = await _found(inside, given["email"])
        names = {name: given[name] for name in NAMES if name in given}
        if found is None:
            status = "unverified" if _confirms(project) else "active"
            new = {"email": given["email"], "password": given["password"], "status": status, **names}
            await Accounts(inside).create([{**new, "role": project.get("public_registration_role")}])
        elif found.status == "unverified" and found.provider == "default" and _confirms(project):
            await Accounts(inside).update([found.id], {"password": given["password"], **names})


async def _found(ctx: Context, email: str) -> sa.Row[Any] | None:
    """The user with the address. Of two who register with it at once the second waits here."""
    assert ctx.connection is not None
    await lock_users(ctx)
    users = system.users
    asked = sa.select(users.c.id, users.c.status, users.c.provider).where(sa.func.lower(users.c.email) == email.lower())
    rows = await ctx.connection.execute(asked)
    return rows[0] if rows else None


async def _letter(ctx: Context, email: str, page: str) -> Mail | None:
    user = await user_of(ctx, email)
    is_waiting = user is not None and user["status"] == "unverified"
    if user is None or not is_waiting or await limits.is_exceeded(ctx, f"mail:{user['id']}", MAILS, PERIOD_S):
        return None
    url = link(page, issue(ctx, "pending-registration", user))
    return await letter(ctx, "pending-registration", user["email"], url)
