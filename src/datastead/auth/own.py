"""What is the caller's own: the user, the roles, and what the policies come to."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import sqlalchemy as sa

from datastead.context import Context
from datastead.data import system
from datastead.data.items import Items
from datastead.data.permissions import Action, permitted
from datastead.data.query import Query
from datastead.data.schema import Permission
from datastead.errors import Forbidden

ACTIONS = get_args(Action)
NOTHING = {"access": "none"}
ITEM_ACTIONS: tuple[Action, ...] = ("update", "delete", "share")


async def own_items(ctx: Context, collection: str, keys: Sequence[str], query: Query) -> list[dict[str, Any]]:
    """Each of the items, as far as the actor may see it: its id, where that is all."""
    items, every = Items(ctx, collection), replace(query, limit=-1)
    try:
        found = await items.read_many(keys, every)
    except Forbidden:
        schema = await ctx.services.schemas.get()
        permissions = permitted(schema, ctx.actor, "read").get(collection, [])
        fields = tuple(name for name in query.fields if _is_visible(permissions, name))
        found = await items.read_many(keys, replace(every, fields=fields, alias={}, deep={})) if fields else []
    if len(found) == len(keys):
        return found
    return [{"id": key} for key in keys]


def _is_visible(permissions: Sequence[Permission], path: str) -> bool:
    """Of a path that leads on, nothing is taken to be."""
    return any(each.fields is None or path in each.fields for each in permissions) and "." not in path


async def own_permissions(ctx: Context) -> dict[str, dict[str, Any]]:
    """`{collection: {action: {access: none | partial | full, fields, presets}}}`."""
    schema = await ctx.services.schemas.get()
    if ctx.actor.is_admin:
        full = {"access": "full", "fields": ["*"]}
        return {name: dict.fromkeys(ACTIONS, full) for name in schema.collections}
    found: dict[str, dict[str, Any]] = {}
    for action in ACTIONS:
        for name, permissions in permitted(schema, ctx.actor, action).items():
            found.setdefault(name, dict.fromkeys(ACTIONS, NOTHING))[action] = _together(permissions)
    return found


def _together(permissions: Sequence[Permission]) -> dict[str, Any]:
    is_full = any(not each.permissions for each in permissions)
    every = any(each.fields is None for each in permissions)
    names = dict.fromkeys(name for each in permissions for name in sorted(each.fields or ()))
    presets = {name: value for each in permissions for name, value in (each.presets or {}).items()}
    shown: dict[str, Any] = {"access": "full" if is_full else "partial", "fields": ["*"] if every else list(names)}
    return shown | ({"presets": presets} if presets else {})


async def own_permissions_in(ctx: Context, collection: str, key: Any = None) -> dict[str, dict[str, Any]]:
    """`{action: {access}}` for an item, or for some item of the collection. Raises `Forbidden` where there is none."""
    items = Items(ctx, collection)
    found: dict[str, dict[str, Any]] = {action: {"access": await items.may(action, key)} for action in ITEM_ACTIONS}
    schema = await ctx.services.schemas.get()
    if schema.collection(collection).singleton and found["update"]["access"] and not ctx.actor.is_admin:
        together = _together(permitted(schema, ctx.actor, "update").get(collection, []))
        found["update"] |= {"fields": together["fields"], "presets": together.get("presets", {})}
    return found


async def own_globals(ctx: Context) -> dict[str, bool]:
    """What the policies say that is not about a collection."""
    policies = system.policies
    asked = sa.select(policies.c.enforce_tfa).where(policies.c.id.in_(ctx.actor.policies))
    rows = await ctx.services.database.read(lambda transaction: transaction.execute(asked).all())
    return {
        "app_access": ctx.actor.has_app_access,
        "admin_access": ctx.actor.is_admin,
        "enforce_tfa": ctx.actor.lacks_tfa or any(row.enforce_tfa for row in rows),
    }
