"""Registration: users who make themselves, where the settings (`public_registration*`) let them.

Anybody can register anybody's address, before its owner or after. So what was chosen travels, sealed, in the link of
that registration's own mail: a link confirms the password it was sent for, and no other.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from datastead.auth import limits
from datastead.auth.accounts import Accounts
from datastead.auth.identity import EMAIL
from datastead.auth.letters import letter
from datastead.auth.password_policy import check_password
from datastead.auth.passwords import MAX_LENGTH, hash_password
from datastead.auth.rules import lock_users
from datastead.auth.tickets import issue, link, page_of, redeem, sealed_in, user_of
from datastead.context import SYSTEM, Context
from datastead.data import system
from datastead.data.evaluation import failures_of
from datastead.data.project import read_fields
from datastead.data.vault import Vault
from datastead.errors import Forbidden, InvalidPayload, InvalidQuery, InvalidToken, RequestsExceeded
from datastead.mail import Mail

FIELDS = ("public_registration", "public_registration_role", "public_registration_verify_email",
          "public_registration_email_filter")  # fmt: skip
MAILS, PERIOD_S = 3, 600
NAMES = ("first_name", "last_name")
MAX_NAME = 50  # characters
PLACE = "datastead: a registration"


async def register(ctx: Context, given: Mapping[str, Any], verification_url: str | None = None) -> None:
    """Makes a user of `email`, `password`, `first_name` and `last_name`, who confirms the address by a link.

    Answers in the same way and after the same time for an address that has a user already. For one who has not
    confirmed another mail is sent, and nothing else: the link followed first counts, with what was given for it.

    Raises `Forbidden` where nobody may register, or nobody with this address; `FailedValidation` for the password.
    """
    begun, project = time.monotonic(), await _project(ctx)
    _check(ctx, project, given)
    page = page_of(ctx.services.settings, "pending-registration", verification_url) if _confirms(project) else None
    await check_password(ctx, given["password"])
    await _count(ctx)
    await _register(ctx, project, given)
    if page is not None:
        chosen = {**dict.fromkeys(NAMES), **given, "password": await hash_password(given["password"])}
        sealed = Vault(ctx.services.settings).seal(PLACE, json.dumps(chosen), lasts=False)
        ctx.services.mailer.post(_letter(ctx, given["email"], page, sealed))
    await asyncio.sleep(begun + ctx.services.settings.register_stall_time / 1000 - time.monotonic())


async def verify(ctx: Context, ticket: str) -> str:
    """Lets the user in whose address is confirmed, with the password and names that the ticket was issued for; the id.

    Raises `InvalidToken` and `TokenExpired`.
    """
    async with ctx.transaction() as inside:
        user = await redeem(inside, "pending-registration", ticket)
        if user["status"] != "unverified":
            raise InvalidToken
        chosen = json.loads(Vault(ctx.services.settings).open(PLACE, sealed_in(ctx, ticket)))
        names = {name: chosen[name] for name in NAMES}
        await Accounts(inside.acting_as(SYSTEM)).update([user["id"]], {"status": "active", **names})
        await _set_password(inside, user["id"], chosen["password"])
    return str(user["id"])


async def _set_password(ctx: Context, user: str, hashed: str) -> None:
    """Not through `Accounts`, which would hash it once more."""
    assert ctx.connection is not None
    users = system.users
    await ctx.connection.execute(users.update().where(users.c.id == user).values(password=hashed))


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
    for name in NAMES:
        if len(given.get(name) or "") > MAX_NAME:
            raise InvalidPayload(f"`{name}` has at most {MAX_NAME} characters.", field=name)
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
    """Makes the user, where there is none with the address."""
    async with ctx.acting_as(SYSTEM).transaction() as inside:
        if not await _is_taken(inside, given["email"]):
            status = "unverified" if _confirms(project) else "active"
            new = {name: given[name] for name in ("email", "password", *NAMES) if name in given}
            await Accounts(inside).create([{**new, "status": status, "role": project.get("public_registration_role")}])


async def _is_taken(ctx: Context, email: str) -> bool:
    """Whether there is a user with the address. Of two who register with it at once the second waits here."""
    assert ctx.connection is not None
    await lock_users(ctx)
    users = system.users
    return bool(
        await ctx.connection.execute(sa.select(users.c.id).where(sa.func.lower(users.c.email) == email.lower()))
    )


async def _letter(ctx: Context, email: str, page: str, sealed: str) -> Mail | None:
    user = await user_of(ctx, email)
    is_waiting = user is not None and user["status"] == "unverified"
    if user is None or not is_waiting or await limits.is_exceeded(ctx, f"mail:{user['id']}", MAILS, PERIOD_S):
        return None
    url = link(page, issue(ctx, "pending-registration", user, sealed))
    origin = f"{ctx.now():%Y-%m-%d %H:%M} UTC" + (f" from {ctx.actor.ip}" if ctx.actor.ip else "")
    return await letter(ctx, "pending-registration", user["email"], url, origin=origin)
