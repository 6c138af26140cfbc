"""Users whom somebody else knows: found, made and kept up to date by what a provider says of them."""

import logging
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from datastead.auth import attempts, tfa
from datastead.auth.accounts import Accounts
from datastead.auth.identity import EMAIL, Identity, identity_of
from datastead.auth.openid import OpenId
from datastead.context import SYSTEM, Context
from datastead.data import system
from datastead.errors import InvalidCredentials, InvalidProvider, RecordNotUnique

log = logging.getLogger(__name__)


async def identity_for(ctx: Context, openid: OpenId, claims: Mapping[str, Any], otp: str | None) -> Identity:
    """The user of the claims, who may come in.

    Raises `InvalidCredentials` for one who is not known and may not register, `InvalidProvider` where identifier or
    address are another's, `InvalidOtp` for a user with a second factor.
    """
    identifier = _identifier(openid, claims)
    try:
        user = await _known(ctx, openid, identifier)
        key = await _make(ctx, openid, claims, identifier) if user is None else user.id
        if user is not None:
            await _update(ctx, openid, claims, user)
    except RecordNotUnique:
        log.warning("The provider `%s` names an address or identifier that another user has.", openid.name)
        raise InvalidProvider from None
    identity = await identity_of(ctx.services.database, system.users.c.id == key)
    if identity is None:
        raise InvalidCredentials
    if user is not None and user.tfa_secret:
        await attempts.begin(ctx, key)
        await tfa.require(ctx, key, user.tfa_secret, otp)
        await attempts.succeed(ctx, key)
    return identity


def _identifier(openid: OpenId, claims: Mapping[str, Any]) -> str:
    """Who it is, at the provider. An address that the provider says is not verified identifies nobody."""
    name = openid.provider.identifier_key
    found = _text(_claim(claims, name))
    if found is None:
        name, found = "email", _text(claims.get("email"))
    if found is None or (name == "email" and claims.get("email_verified", True) not in {True, "true"}):
        log.warning("The provider `%s` names nobody by `%s`.", openid.name, openid.provider.identifier_key)
        raise InvalidCredentials
    return found


async def _known(ctx: Context, openid: OpenId, identifier: str) -> Any:
    users = system.users
    asked = sa.select(users).where(sa.func.lower(users.c.external_identifier) == identifier.lower())
    row = await ctx.services.database.read(lambda transaction: transaction.execute(asked).first())
    if row is not None and row.provider != openid.name:
        raise InvalidProvider
    return row


async def _make(ctx: Context, openid: OpenId, claims: Mapping[str, Any], identifier: str) -> str:
    provider = openid.provider
    is_verified = claims.get("email_verified") in {True, "true"}
    if not provider.allow_public_registration or (provider.require_verified_email and not is_verified):
        raise InvalidCredentials
    new = {**_info(claims), "provider": openid.name, "external_identifier": identifier, "role": _role(openid, claims)}
    (key,) = await Accounts(ctx.acting_as(SYSTEM)).create([new])
    return key


async def _update(ctx: Context, openid: OpenId, claims: Mapping[str, Any], user: Any) -> None:
    wanted: dict[str, Any] = _info(claims) if openid.provider.sync_user_info else {}
    if openid.provider.role_mapping:
        wanted["role"] = _role(openid, claims)
    changed = {name: value for name, value in wanted.items() if value != getattr(user, name)}
    if changed:
        await Accounts(ctx.acting_as(SYSTEM)).update([user.id], changed)


def _info(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Names and address, as far as the claims have them."""
    email = _text(claims.get("email"))
    first, last = _text(claims.get("given_name")), _text(claims.get("family_name"))
    found = {
        "email": email if email is not None and EMAIL.fullmatch(email) and len(email) <= 128 else None,
        "first_name": first and first[:50],
        "last_name": last and last[:50],
    }
    return {name: value for name, value in found.items() if value is not None}


def _role(openid: OpenId, claims: Mapping[str, Any]) -> str | None:
    """The role of the first group of `ROLE_MAPPING` that the user is in; without one `DEFAULT_ROLE_ID`, or none."""
    given = _claim(claims, openid.provider.group_claim_name)
    groups = set(map(str, given if isinstance(given, list) else [given]))
    mapped = (role for group, role in openid.provider.role_mapping.items() if group in groups)
    return next(mapped, openid.provider.default_role_id)


def _claim(claims: Mapping[str, Any], path: str) -> Any:
    """A claim; one within others by `outer.inner`."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for step in path.split("."):
        found = found.get(step) if isinstance(found, Mapping) else None
    return found


def _text(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and 0 < len(value) <= 255 and "\0" not in value else None
