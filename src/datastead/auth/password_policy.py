"""The project's rule for passwords: a regular expression in `auth_password_policy`, as Directus writes it."""

import re

from datastead.context import Context
from datastead.data.project import read_fields
from datastead.errors import FailedValidation, InvalidPayload, UnprocessableContent

FIELD = "auth_password_policy"
MAX_LENGTH = 1024  # characters; no rule is tried on more
_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}


async def check_password(ctx: Context, password: str) -> None:
    """Raises `FailedValidation` for a password that the rule does not allow. The password is not repeated."""
    given = (
        await ctx.connection.run(lambda transaction: read_fields(transaction, [FIELD]))
        if ctx.connection is not None
        else await ctx.services.database.read(lambda transaction: read_fields(transaction, [FIELD]))
    ).get(FIELD)
    if given and not expression_of(given).search(password[:MAX_LENGTH]):
        reason = "The password is not one that the project's rule (`auth_password_policy`) allows"
        raise FailedValidation(
            f"{reason}.", reason=reason, collection="directus_users", field="password", type="regex", path=[]
        )


def check_policy(text: object) -> None:
    """Raises `InvalidPayload` for a rule that is no regular expression."""
    if isinstance(text, str) and text:
        try:
            expression_of(text)
        except UnprocessableContent as error:
            reason = str(error.details["reason"])
            raise InvalidPayload(f"{reason}.", reason=reason, collection="directus_settings", field=FIELD) from None


def expression_of(text: str) -> re.Pattern[str]:
    """`/…/flags`, or the expression alone. Raises `UnprocessableContent` for what is none."""
    pattern, flags = text, ""
    found = re.fullmatch(r"/(.*)/([a-z]*)", text, re.DOTALL)
    if found:
        pattern, flags = found[1], found[2]
    try:
        return re.compile(re.sub(r"\(\?<(?![=!])", "(?P<", pattern), sum(_FLAGS.get(flag, 0) for flag in set(flags)))
    except re.error as error:
        reason = f"`{FIELD}` of the settings is not a regular expression: {error}"
        raise UnprocessableContent(f"{reason}. Correct it (`PATCH /settings`).", reason=reason) from None
