"""Invitations: users who are made by others, and choose their password from a link."""

from collections.abc import Sequence

from datastead.auth.accounts import Accounts
from datastead.auth.identity import EMAIL
from datastead.auth.letters import letter
from datastead.auth.tickets import issue, link, page_of, redeem, user_of
from datastead.context import SYSTEM, Context
from datastead.data.permissions import require
from datastead.errors import InvalidPayload, InvalidToken

COLLECTION = "directus_users"
MOST = 100  # addresses in one request


async def invite(ctx: Context, emails: Sequence[str], role: str | None, invite_url: str | None = None) -> None:
    """Makes users of status `invited`, and sends each a link. One who is invited already gets another link.

    An address that has a user otherwise is passed over in silence. The users are there before mail is sent: where that
    fails (`ServiceUnavailable`), inviting again sends it again. Raises what creating users raises.
    """
    page = page_of(ctx.services.settings, "invite", invite_url)
    _check(emails)
    schema = await ctx.services.schemas.get()
    require(schema, ctx.actor, "create", schema.collection(COLLECTION))
    await _create(ctx, [email for email in dict.fromkeys(emails) if await user_of(ctx, email) is None], role)
    for email in dict.fromkeys(emails):
        user = await user_of(ctx, email)
        if user is not None and user["status"] == "invited":
            url = link(page, issue(ctx, "invite", user))
            await ctx.services.mailer.send(await letter(ctx, "invite", user["email"], url))


async def _create(ctx: Context, emails: Sequence[str], role: str | None) -> None:
    await Accounts(ctx).create([{"email": email, "role": role, "status": "invited"} for email in emails])


def _check(emails: Sequence[str]) -> None:
    if not 0 < len(emails) <= MOST:
        raise InvalidPayload(f"`email` has to be an address, or a list of up to {MOST}.", field="email")
    for email in emails:
        if not EMAIL.fullmatch(email):
            raise InvalidPayload(f"`{email[:200]}` is not an email address.", field="email")


async def accept(ctx: Context, ticket: str, password: str) -> None:
    """Gives the invited user a password, and lets the user in. Raises `InvalidToken` and `TokenExpired`."""
    async with ctx.transaction() as inside:
        user = await redeem(inside, "invite", ticket)
        if user["status"] != "invited":
            raise InvalidToken
        await Accounts(inside.acting_as(SYSTEM)).update([user["id"]], {"password": password, "status": "active"})
