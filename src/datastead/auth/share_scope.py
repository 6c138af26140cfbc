"""What a share lets whoever has it read: one item, and what belongs to it; never more than both who shared it and its
role may.

What belongs to an item: those that it refers to, those that refer to it by a field of its own, and those that such a
junction leads to.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import product
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from datastead.auth.identity import Identity, actor_of_role, identity_of
from datastead.context import SYSTEM, Actor, Context
from datastead.data import system
from datastead.data.facts import learn
from datastead.data.items import Items
from datastead.data.moments import as_text
from datastead.data.permissions import permitted
from datastead.data.query import Query
from datastead.data.schema import Collection, Permission, Schema
from datastead.errors import Forbidden

if TYPE_CHECKING:
    from datastead.context import Services

MOST_KEYS = 1000
"""Of the items that a junction leads to."""

Scope = dict[str, list[dict[str, Any]]]


def is_open(now: datetime) -> sa.ColumnElement[bool]:
    """That a share has begun, and not ended."""
    shares = system.shares
    return sa.and_(
        sa.or_(shares.c.date_start.is_(None), as_text(shares.c.date_start) <= now),
        sa.or_(shares.c.date_end.is_(None), as_text(shares.c.date_end) > now),
    )


async def identity_of_share(services: "Services", share: str, ip: str | None) -> Identity | None:
    """Whoever has the share, at an address; None where it is over, or whoever shared it is no longer active."""
    shares = system.shares
    statement = sa.select(shares).where(shares.c.id == share, is_open(services.clock()))
    row = await services.database.read(lambda transaction: transaction.execute(statement).mappings().first())
    if row is None or row["user_created"] is None:
        return None
    sharer = await identity_of(services.database, system.users.c.id == row["user_created"])
    if sharer is None:
        return None
    grants = await _grants(services, dict(row), sharer.actor(ip))
    return Identity(None, None, (), (), share=share, grants=tuple(grants))


async def _grants(services: "Services", row: Mapping[str, Any], sharer: Actor) -> list[Permission]:
    schema = await services.schemas.get()
    role = await actor_of_role(services.database, row["role"], sharer.ip) if row["role"] else Actor(ip=sharer.ip)
    scope = await _scope(Context(services, SYSTEM), schema, row["collection"], row["item"])
    theirs = [await _readable(services, schema, actor) for actor in (sharer, role)]
    return [
        _both(pair, {"_or": rows})
        for collection, rows in scope.items()
        for pair in product(*(_of(collection, permissions) for permissions in theirs))
    ]


async def _readable(services: "Services", schema: Schema, actor: Actor) -> dict[str, list[Permission]] | None:
    """What an actor may read, with the actor's own values in place of variables; None = everything."""
    if actor.is_admin:
        return None
    await learn(Context(services, actor), schema)
    known: dict[str, Any] = {
        "$CURRENT_USER": actor.user, "$CURRENT_ROLE": actor.role, "$CURRENT_ROLES": list(actor.roles),
        "$CURRENT_POLICIES": list(actor.policies), **actor.facts,
    }  # fmt: skip
    return {
        collection: list(_settled(permissions, known))
        for collection, permissions in permitted(schema, actor, "read").items()
    }


def _settled(permissions: Iterable[Permission], known: Mapping[str, Any]) -> Iterator[Permission]:
    """The permissions with values in place of variables. One that asks for what there is not grants nothing."""
    for each in permissions:
        try:
            rows = _filled(each.permissions or {}, known)
        except LookupError:
            continue
        yield Permission("share", each.collection, "read", each.fields, rows)


def _filled(value: Any, known: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping):
        return {name: _filled(inner, known) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, known) for inner in value]
    if isinstance(value, str) and value.startswith("$CURRENT_"):
        if known.get(value) is None:
            raise LookupError(value)
        return known[value]
    return value


def _of(collection: str, permissions: Mapping[str, list[Permission]] | None) -> list[Permission]:
    return [Permission("share", collection, "read")] if permissions is None else permissions.get(collection, [])


def _both(pair: Sequence[Permission], rows: dict[str, Any]) -> Permission:
    """What both permit, of these rows."""
    one, other = pair
    fields = other.fields if one.fields is None else one.fields if other.fields is None else one.fields & other.fields
    filters = [dict(each.permissions) for each in pair if each.permissions]
    return Permission("share", one.collection, "read", fields, {"_and": [*filters, rows]})


async def _scope(ctx: Context, schema: Schema, name: str, item: str) -> Scope:
    """By collection, filters of which one has to hold."""
    root = schema.collections.get(name)
    if root is None or root.primary is None:
        return {}
    scope: Scope = {name: [{root.primary.name: {"_eq": item}}]}
    try:
        await _add_referred(ctx, schema, root, {root.primary.name: {"_eq": item}}, scope)
        for relation in schema.relations:
            if relation.related == name and relation.one_field and _is_shared(relation.collection):
                here = {relation.field: {"_eq": item}}
                scope.setdefault(relation.collection, []).append(here)
                if relation.junction_field:
                    await _add_referred(ctx, schema, schema.collections[relation.collection], here, scope)
    except Forbidden:
        return {}
    return scope


async def _add_referred(
    ctx: Context, schema: Schema, collection: Collection, rows: dict[str, Any], scope: Scope
) -> None:
    """The items that these rows refer to, of one collection each (m2o) or of several (m2a)."""
    relations = [each for each in schema.relations if each.collection == collection.name]
    fields = {name for each in relations for name in (each.field, each.collection_field) if name}
    if not fields:
        return
    items = await Items(ctx, collection.name).read(Query(fields=tuple(fields), filter=rows, limit=MOST_KEYS))
    for each in relations:
        found: dict[str, dict[Any, None]] = {}
        for item in items:
            kind = each.related or item.get(each.collection_field or "")
            if item[each.field] is not None and isinstance(kind, str):
                found.setdefault(kind, {})[item[each.field]] = None
        for kind, keys in found.items():
            target = schema.collections.get(kind)
            is_allowed = each.related is not None or kind in each.allowed_collections
            if target is not None and target.primary is not None and is_allowed and _is_shared(kind):
                scope.setdefault(kind, []).append({target.primary.name: {"_in": list(keys)}})


def _is_shared(collection: str) -> bool:
    return not collection.startswith("directus_") or collection == "directus_files"
