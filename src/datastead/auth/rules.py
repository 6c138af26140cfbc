"""What holds for every write that says who may do what, whoever writes: an administrator stays, and nobody becomes one.

Before a write in `directus_users`, `directus_roles`, `directus_policies` and `directus_access` its values are checked,
and what belongs to a deleted item goes; after it an active administrator has to be left.
"""

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from datastead.auth.identity import active_admins, has_active_admin
from datastead.auth.password_policy import check_policy
from datastead.auth.permission_rules import guard_permissions
from datastead.context import SYSTEM, Context
from datastead.data import system
from datastead.data.items import Items
from datastead.data.locks import hold_users
from datastead.data.query import Query
from datastead.errors import Forbidden, InvalidForeignKey, InvalidPayload, UnprocessableContent
from datastead.events import Bus, Event

REFERENCES = {
    "directus_users": {"role": "directus_roles"},
    "directus_roles": {"parent": "directus_roles"},
    "directus_settings": {"public_registration_role": "directus_roles"},
    "directus_access": {"role": "directus_roles", "user": "directus_users", "policy": "directus_policies"},
}
"""What refers to what, where no foreign key of the database says so."""


def install(bus: Bus) -> None:
    """These rules, for a process."""
    for collection in ("directus_users", "directus_roles", "directus_policies", "directus_access"):
        bus.on_guard(collection, guard)
        bus.on_outcome(collection, keep_an_admin)
    bus.on_guard("directus_permissions", guard_permissions)
    bus.on_guard("directus_settings", guard_settings)


async def guard(ctx: Context, event: Event) -> None:
    """Refuses what is no role, policy or assignment, and what would make an administrator."""
    assert ctx.connection is not None
    await lock_users(ctx)
    if not ctx.actor.is_admin:
        await _leave_admins_alone(ctx, event)
    if event.scope == "items.delete":
        await _forget(ctx, event)
        return
    await check_references(ctx, event.collection or "", event.payload)
    if event.collection == "directus_policies":
        _check_networks(event.payload.get("ip_access"))
    if event.collection == "directus_roles" and event.payload.get("parent") is not None:
        await _check_cycle(ctx, event)


async def guard_settings(ctx: Context, event: Event) -> None:
    """Refuses what nobody could log in with, and a role for strangers that may do everything."""
    assert ctx.connection is not None
    if event.scope == "items.delete":
        return
    await check_references(ctx, "directus_settings", event.payload)
    check_policy(event.payload.get("auth_password_policy"))
    _check_assets(event.payload)
    attempts, role = event.payload.get("auth_login_attempts"), event.payload.get("public_registration_role")
    if isinstance(attempts, int) and attempts < 1:
        raise _invalid_setting("auth_login_attempts", "has to be 1 or more; null is no limit")
    if role is not None and _id(role) in (await ctx.connection.run(_granting))["roles"]:
        raise _invalid_setting("public_registration_role", "has admin access, which whoever registers would have, too")


def _check_assets(payload: Mapping[str, Any]) -> None:
    """How images may be shown: which transforms, and the presets."""
    mode, presets = payload.get("storage_asset_transform"), payload.get("storage_asset_presets")
    if mode not in (None, "all", "presets", "none"):
        raise _invalid_setting("storage_asset_transform", "has to be `all`, `presets` or `none`")
    entries = [] if presets is None else presets
    if not isinstance(entries, list) or not all(
        isinstance(one, Mapping) and isinstance(one.get("key"), str) for one in entries
    ):
        raise _invalid_setting("storage_asset_presets", "has to be a list of objects, each with a `key`")


def _invalid_setting(field: str, why: str) -> InvalidPayload:
    reason = f"`{field}` {why}"
    return InvalidPayload(f"{reason}.", reason=reason, collection="directus_settings", field=field)


async def keep_an_admin(ctx: Context, event: Event) -> None:
    """Raises `UnprocessableContent` where nobody is left who may do everything."""
    assert ctx.connection is not None
    if event.scope != "items.create" and not await ctx.connection.run(has_active_admin):
        reason = "Nobody would be left who may do everything"
        raise UnprocessableContent(f"{reason}: give another user admin access first.", reason=reason)


async def check_references(ctx: Context, collection: str, payload: Mapping[str, Any]) -> None:
    """Raises `InvalidForeignKey` for an item that does not exist."""
    for name, related in REFERENCES.get(collection, {}).items():
        value = payload.get(name)
        if value is not None and not await exists(ctx, related, value):
            shown = str(value)[:100]
            reason = f"There is no `{shown}` in `{related}`"
            raise InvalidForeignKey(f"{reason}.", collection=collection, field=name, value=shown)


async def exists(ctx: Context, collection: str, key: Any) -> bool:
    """Whether there is such an item, for whoever asks."""
    items = Items(ctx.acting_as(SYSTEM), collection)
    try:
        return bool(await items.read_many([key], Query(fields=("id",), limit=-1)))
    except Forbidden:
        return False


async def lock_users(ctx: Context) -> None:
    """One such change at a time: two that each leave the other's administrator would leave none."""
    assert ctx.connection is not None
    await ctx.connection.run(hold_users)


async def _leave_admins_alone(ctx: Context, event: Event) -> None:
    """Who is no administrator makes none, and changes nothing that makes one, nor an administrator's account."""
    assert ctx.connection is not None
    payload: Any = event.payload if isinstance(event.payload, Mapping) else {}
    granting, keys = await ctx.connection.run(_granting), {_id(key) for key in event.keys}
    touched = {
        "directus_policies": keys & granting["policies"] or payload.get("admin_access"),
        "directus_access": keys & granting["access"] or _id(payload.get("policy")) in granting["policies"],
        "directus_roles": keys & granting["roles"] or _id(payload.get("parent")) in granting["roles"],
        "directus_users": keys & granting["users"] - {_id(ctx.actor.user)}
        or _id(payload.get("role")) in granting["roles"],
    }
    if touched[event.collection or ""]:
        reason = "This has to do with admin access, which only an administrator can give, change or take away"
        raise Forbidden(f"{reason}.", reason=reason)


def _id(value: Any) -> str:
    """An id as the database has it, in whatever way it is spelled: PostgreSQL takes it in capitals, too."""
    try:
        return str(UUID(str(value)))
    except ValueError:
        return str(value)


def _granting(transaction: Any) -> dict[str, set[Any]]:
    """The ids of what gives admin access, and of those who have it."""
    policies, access, roles = system.policies, system.access, system.roles
    granting = {row.id for row in transaction.execute(sa.select(policies.c.id).where(policies.c.admin_access)).all()}
    given = transaction.execute(sa.select(access).where(access.c.policy.in_(granting))).all()
    parents = transaction.execute(sa.select(roles.c.id, roles.c.parent)).all()
    found, size = {row.role for row in given if row.role is not None}, -1
    while len(found) != size:
        size = len(found)
        found |= {row.id for row in parents if row.parent in found}
    return {
        "policies": granting, "access": {row.id for row in given}, "roles": found, "users": active_admins(transaction),
    }  # fmt: skip


async def _forget(ctx: Context, event: Event) -> None:
    """What belongs to the deleted goes with it, and what refers to it does so no more."""
    assert ctx.connection is not None
    access, users, roles, permissions = system.access, system.users, system.roles, system.permissions
    keys = [_id(key) for key in event.keys]
    work: dict[str, tuple[Any, ...]] = {
        "directus_users": (access.delete().where(access.c.user.in_(keys)),
                           system.sessions.delete().where(system.sessions.c.user.in_(keys))),
        "directus_roles": (access.delete().where(access.c.role.in_(keys)),
                           users.update().where(users.c.role.in_(keys)).values(role=None),
                           roles.update().where(roles.c.parent.in_(keys)).values(parent=None)),
        "directus_policies": (access.delete().where(access.c.policy.in_(keys)),
                              permissions.delete().where(permissions.c.policy.in_(keys))),
    }  # fmt: skip
    for statement in work.get(event.collection or "", ()):
        await ctx.connection.execute(statement)


async def _check_cycle(ctx: Context, event: Event) -> None:
    """A role is not its own ancestor."""
    assert ctx.connection is not None
    roles = system.roles
    parents = {row.id: row.parent for row in await ctx.connection.execute(sa.select(roles.c.id, roles.c.parent))}
    keys = {_id(key) for key in event.keys}
    parents |= dict.fromkeys(keys, _id(event.payload["parent"]))
    for key in keys:
        seen, role = {key}, parents[key]
        while role is not None:
            if role in seen:
                reason = f"`{event.payload['parent']}` cannot be the parent of `{key}`, which is among its ancestors"
                raise InvalidPayload(f"{reason}.", reason=reason, collection="directus_roles", field="parent")
            seen.add(role)
            role = parents.get(role)


def _check_networks(given: Any) -> None:
    """Addresses, networks and ranges, as a list or by commas."""
    networks = given.split(",") if isinstance(given, str) else given or ()
    for network in networks if isinstance(networks, list | tuple) else [networks]:
        try:
            first, dash, last = str(network).strip().partition("-")
            if dash:
                ip_address(first.strip()), ip_address(last.strip())
            else:
                ip_network(first, strict=False)
        except ValueError:
            reason = (
                f"`{str(network)[:100]}` is not an address, a network such as `10.0.0.0/8`, or a range `first-last`"
            )
            raise InvalidPayload(f"{reason}.", reason=reason, field="ip_access") from None
