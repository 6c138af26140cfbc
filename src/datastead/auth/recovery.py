"""A forgotten password: mail with a link, and a new password for it."""

from datastead.auth import limits
from datastead.auth.accounts import Accounts
from datastead.auth.letters import letter
from datastead.auth.tickets import issue, link, page_of, redeem, user_of
from datastead.context import SYSTEM, Context
from datastead.errors import InvalidToken
from datastead.mail import Mail

MAILS, PERIOD_S = 3, 600
"""How many links one user is sent within this time: nobody's mailbox can be filled by others."""


async def request_reset(ctx: Context, email: str, reset_url: str | None = None) -> None:
    """Sends the user a link, where there is such a user. Whoever asks learns neither that nor when.

    Raises `InvalidPayload` for a `reset_url` that is not allowed, `UnprocessableContent` without `PUBLIC_URL`.
    """
    page = page_of(ctx.services.settings, "password-reset", reset_url)
    ctx.services.mailer.post(_letter(ctx, email, page))


async def _letter(ctx: Context, email: str, page: str) -> Mail | None:
    user = await user_of(ctx, email)
    if (
        user is None
        or user["status"] != "active"
        or await limits.is_exceeded(ctx, f"mail:{user['id']}", MAILS, PERIOD_S)
    ):
        return None
    return await letter(ctx, "password-reset", user["email"], link(page, issue(ctx, "password-reset", user)))


async def reset(ctx: Context, ticket: str, password: str) -> None:
    """The password that the ticket's user has from now on. All sessions end.

    Raises `InvalidToken`, `TokenExpired`, and `FailedValidation` for a password that the project's rule refuses.
    """
    async with ctx.transaction() as inside:
        user = await redeem(inside, "password-reset", ticket)
        if user["status"] != "active":
            raise InvalidToken
        await Accounts(inside.acting_as(SYSTEM)).update([user["id"]], {"password": password})
        await limits.forget(inside, f"mail:{user['id']}")
