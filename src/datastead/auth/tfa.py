"""One-time passwords (TOTP): the second factor of those who have set it up. Each is good once.

Source: RFC 6238; six digits, 30 seconds, SHA-1, as authenticator apps take it. (Checked 2026-11.)
"""

import base64
import binascii
import re
import secrets
from typing import Any
from urllib.parse import quote, urlencode

import sqlalchemy as sa

from datastead.auth import attempts
from datastead.auth.limits import upsert
from datastead.auth.passwords import verify_password
from datastead.context import Context
from datastead.data import system
from datastead.data.directus import is_directus
from datastead.data.engine import Transaction
from datastead.data.project import read_fields
from datastead.data.vault import Vault, is_sealed, place_of
from datastead.errors import InvalidCredentials, InvalidOtp, InvalidPayload, ServiceUnavailable

SECRET_BYTES = 20
STEP_S = 30
DIGITS = 6
DRIFT = (0, -1, 1)  # steps; clocks differ, and people type slowly
PLACE = place_of("directus_users", "tfa_secret")
_SECRET = re.compile(r"[A-Z2-7]{16,128}=*", re.IGNORECASE)


async def generate(ctx: Context, password: str | None) -> dict[str, str]:
    """A secret that the user can set up: `{secret, otpauth_url}`. Nothing is stored yet.

    password: the user's; of those who log in elsewhere there is none. Raises `InvalidCredentials` for a wrong one.
    """
    user = await _own(ctx)
    if user["tfa_secret"]:
        raise _invalid("tfa_secret", "is there already: disable it first")
    if user["provider"] == "default":
        if password is None:
            raise _invalid("password", "is required")
        await attempts.begin(ctx, user["id"])
        if not await verify_password(user["password"], password):
            raise InvalidCredentials
        await attempts.succeed(ctx, user["id"])
    secret = base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode()
    project = await ctx.services.database.read(lambda transaction: read_fields(transaction, ["project_name"]))
    return {"secret": secret, "otpauth_url": _url(project.get("project_name") or "Datastead", user["email"], secret)}


async def enable(ctx: Context, secret: str, otp: str) -> None:
    """Asks the user for a one-time password from now on. Raises `InvalidPayload` for one that is not of the secret."""
    user = await _own(ctx)
    if user["tfa_secret"]:
        raise _invalid("tfa_secret", "is there already: disable it first")
    if not _SECRET.fullmatch(secret):
        raise _invalid("secret", "is not one that `POST /users/me/tfa/generate` gives")
    step = _step(ctx, secret, otp)
    if step is None:
        raise _invalid("otp", "is not a current one-time password of this secret")
    await _store(ctx, user["id"], await _as_stored(ctx, secret), step)


async def disable(ctx: Context, otp: str) -> None:
    """Asks for none any more. Raises `InvalidPayload` for a wrong one, and where it is not enabled."""
    user = await _own(ctx)
    if not user["tfa_secret"]:
        raise _invalid("otp", "is not asked for: there is nothing to disable")
    await attempts.begin(ctx, user["id"])
    if not await is_good(ctx, user["id"], user["tfa_secret"], otp):
        raise _invalid("otp", "is not a current one-time password, or was used already")
    await attempts.succeed(ctx, user["id"])
    await _store(ctx, user["id"], None, None)


async def require(ctx: Context, user: str, stored: str, otp: str | None) -> None:
    """Raises `InvalidOtp`, unless it is a one-time password of the user's that was not used yet. Then it is used."""
    if not otp or not await is_good(ctx, user, stored, otp):
        raise InvalidOtp


async def is_good(ctx: Context, user: str, stored: str, otp: str) -> bool:
    """Whether it is a one-time password that was not used yet; it is then, for every process."""
    step = _step(ctx, _opened(ctx, stored), otp)
    if step is None:
        return False
    anew = _sealed_anew(ctx, stored)
    return await ctx.services.database.write(lambda transaction: _use(transaction, user, step, anew))


def _use(transaction: Transaction, user: str, step: int, anew: str | None) -> bool:
    """Of two that come at once one finds the step used. anew: the secret, sealed with the present `SECRET`."""
    logins, users = system.logins, system.users
    upsert(transaction, logins, {"user": user}, {"user": user})
    unused = sa.or_(logins.c.otp_step.is_(None), logins.c.otp_step < step)
    used = transaction.execute(logins.update().where(logins.c.user == user, unused).values(otp_step=step)).rowcount
    if used and anew is not None:
        transaction.execute(users.update().where(users.c.id == user).values(tfa_secret=anew))
    return bool(used)


async def _store(ctx: Context, user: str, stored: str | None, step: int | None) -> None:
    users, logins = system.users, system.logins

    def store(transaction: Transaction) -> None:
        transaction.execute(users.update().where(users.c.id == user).values(tfa_secret=stored))
        if step is not None:
            upsert(transaction, logins, {"user": user, "otp_step": step}, {"otp_step": step})

    await ctx.services.database.write(store)


async def _own(ctx: Context) -> dict[str, Any]:
    users = system.users
    if ctx.actor.user is None:
        raise InvalidCredentials
    asked = sa.select(users.c.id, users.c.email, users.c.password, users.c.tfa_secret, users.c.provider)
    asked = asked.where(users.c.id == ctx.actor.user)
    row = await ctx.services.database.read(lambda transaction: transaction.execute(asked).first())
    if row is None:
        raise InvalidCredentials
    return dict(row._mapping)  # noqa: SLF001  SQLAlchemy's public name


def _step(ctx: Context, secret: str, otp: str) -> int | None:
    """Which 30 seconds the one-time password is of, where it is a current one."""
    from cryptography.hazmat.primitives.hashes import SHA1
    from cryptography.hazmat.primitives.twofactor import InvalidToken
    from cryptography.hazmat.primitives.twofactor.totp import TOTP

    given = "".join(otp.split())
    if not (len(given) == DIGITS and given.isascii() and given.isdigit()):
        return None
    totp = TOTP(_decoded(secret), DIGITS, SHA1(), STEP_S, enforce_key_length=False)  # noqa: S303  the standard's
    now = int(ctx.now().timestamp()) // STEP_S
    for drift in DRIFT:
        try:
            totp.verify(given.encode(), (now + drift) * STEP_S)
        except InvalidToken:
            continue
        return now + drift
    return None


def _decoded(secret: str) -> bytes:
    bare = secret.rstrip("=").upper()
    try:
        return base64.b32decode(bare + "=" * (-len(bare) % 8))
    except (binascii.Error, ValueError):
        raise _invalid("secret", "is not one that `POST /users/me/tfa/generate` gives") from None


async def _as_stored(ctx: Context, secret: str) -> str:
    """Sealed with `SECRET`; in a table that Directus made as Directus has it, who has to be able to read it."""
    return secret if await ctx.services.database.read(is_directus) else Vault(ctx.services.settings).seal(PLACE, secret)


def _opened(ctx: Context, stored: str) -> str:
    if not is_sealed(stored):
        return stored
    try:
        return Vault(ctx.services.settings).open(PLACE, stored)
    except ServiceUnavailable:
        reason = "The second factor is stored encrypted, and not with the `SECRET` that is set now"
        cure = "set `SECRET_PREVIOUS` to the former one, or let an administrator set `tfa_secret` of the user to null"
        raise ServiceUnavailable(f"{reason}: {cure}.", reason=reason, field="tfa_secret") from None


def _sealed_anew(ctx: Context, stored: str) -> str | None:
    vault = Vault(ctx.services.settings)
    return vault.seal(PLACE, vault.open(PLACE, stored)) if is_sealed(stored) and vault.is_outdated(stored) else None


def _url(project: str, email: str | None, secret: str) -> str:
    """For the QR code that authenticator apps read."""
    label = f"{quote(project, safe='')}:{quote(email or '', safe='')}"
    options = {"secret": secret, "period": STEP_S, "digits": DIGITS, "algorithm": "SHA1", "issuer": project}
    return f"otpauth://totp/{label}?{urlencode(options, quote_via=quote)}"


def _invalid(field: str, why: str) -> InvalidPayload:
    reason = f"`{field}` {why}"
    return InvalidPayload(f"{reason}.", reason=reason, field=field)
