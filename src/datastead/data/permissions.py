"""Permissions: the one place where it is decided what an actor may do, and which rows and fields it gets.

What an actor may read becomes `Rights`, which the compiler puts into the SQL: rows that may not be seen are left out by
the database, never by a loop. Writes are checked by `Grants`: which policies permit them, and in which rows.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import Any, Literal

from datastead.context import Actor, Context
from datastead.data.app_access import APP_ACCESS
from datastead.data.defaults import literal_of
from datastead.data.evaluation import Linked, bounds_of, failures_of
from datastead.data.filters import parse_filter
from datastead.data.glimpses import KEPT, narrow
from datastead.data.nesting import links_of
from datastead.data.rights import Grant, Rights, Rule, Signature
from datastead.data.schema import Collection, Field, Permission, Schema
from datastead.errors import FailedValidation, Forbidden, InvalidQuery, RequestError

log = logging.getLogger(__name__)

Action = Literal["create", "read", "update", "delete", "share"]
GOVERNING = frozenset({"directus_permissions", "directus_access", "directus_policies", "directus_roles"})
"""Collections whose items say who may do what: a change of one is a change for every process."""


def permitted(schema: Schema, actor: Actor, action: Action) -> dict[str, list[Permission]]:
    """What an actor's policies and the public's permit, by collection, and what access to the app does."""
    policies = schema.policies
    found: dict[str, list[Permission]] = defaultdict(list)
    if actor.share is not None:
        granted: list[tuple[Permission, ...]] = [actor.grants]
    else:
        granted = [
            policies.permissions.get(policy, ())
            for policy in dict.fromkeys((*actor.policies, *policies.public_at(actor.ip)))
        ]
    for permission in chain(*granted, APP_ACCESS if actor.has_app_access else ()):
        if permission.action == action:
            found[permission.collection].append(permission)
    return found


def readable_schema(schema: Schema, actor: Actor) -> Schema:
    """The collections (also folders) and fields that an actor may read, and the relations between them."""
    allowed = permitted(schema, actor, "read")
    found = {
        name: replace(collection, fields=_readable_fields(collection, allowed.get(name, [])))
        for name, collection in schema.collections.items()
        if name in allowed or not collection.has_table
    }
    relations = tuple(
        each
        for each in schema.relations
        if each.collection in found
        and each.field in found[each.collection].fields
        and (each.related or "") in {"", *found}
    )
    return Schema(schema.version, found, relations)


def permitted_fields(schema: Schema, actor: Actor, action: Action) -> dict[str, frozenset[str] | None]:
    """The fields that an actor may do this with in some row at least, by collection; None = all of them."""
    if actor.is_admin:
        return dict.fromkeys(schema.collections)
    return {
        name: None
        if any(each.fields is None for each in permissions)
        else frozenset[str]().union(*(each.fields or () for each in permissions))
        for name, permissions in permitted(schema, actor, action).items()
    }


def _readable_fields(collection: Collection, permissions: Sequence[Permission]) -> dict[str, Field]:
    every = any(each.fields is None for each in permissions)
    names = {name for each in permissions for name in each.fields or ()}
    return {name: item for name, item in collection.fields.items() if every or name in names}


def rights_of(schema: Schema, actor: Actor, action: Action, now: Callable[[], datetime]) -> Rights | None:
    """What an actor may do an action to; None = everything. Kept with the schema, where it does not tell the time."""
    if actor.is_admin:
        return None
    if actor.share is not None:
        return _rights(schema, actor, action, now)
    facts = repr(actor.facts) if actor.facts else ""
    public = schema.policies.public_at(actor.ip)
    key = ("rights", action, actor.user, actor.role, actor.roles, actor.policies, public, actor.has_app_access, facts)
    found: Rights | None = schema.plans.get(key)
    if found is not None:
        return found
    tells_time = False

    def told() -> datetime:
        nonlocal tells_time
        tells_time = True
        return now()

    rights = _rights(schema, actor, action, told)
    return rights if tells_time else schema.plans.put(key, rights)


def _rights(schema: Schema, actor: Actor, action: Action, now: Callable[[], datetime]) -> Rights:
    found = permitted(schema, actor, action)
    rules = {
        collection: Rule(tuple(grants))
        for collection, permissions in found.items()
        if (grants := [grant for each in permissions if (grant := _grant(each, actor, now)) is not None])
    }
    for name in rules.keys() & KEPT if action == "read" else ():
        narrowed = [part for each in found[name] for part in narrow(schema, rules, actor, each)]
        rules[name] = Rule(tuple(grant for each in narrowed if (grant := _grant(each, actor, now)) is not None))
    return Rights(rules, _signature(action, rules))


def _grant(permission: Permission, actor: Actor, now: Callable[[], datetime]) -> Grant | None:
    try:
        return Grant(permission.fields, parse_filter(permission.permissions, actor, now, actor.facts))
    except InvalidQuery as error:
        _warn(permission, error)
        return None  # what cannot be understood permits nothing


def _warn(permission: Permission, error: InvalidQuery) -> None:
    log.warning("Policy `%s` grants nothing in `%s`: %s", permission.policy, permission.collection, error.message)


def _signature(action: Action, rules: Mapping[str, Rule]) -> Signature:
    """What the SQL of the rules depends on."""
    grants = (
        (collection, tuple((grant.fields, grant.filter.node) for grant in rule.grants))
        for collection, rule in sorted(rules.items())
    )
    return Signature((action, tuple(grants)))


def require(schema: Schema, actor: Actor, action: Action, collection: Collection) -> None:
    """Raises `Forbidden`, unless the actor may do this in the collection at all."""
    if not actor.is_admin:
        _permitted_in(schema, actor, action, collection)


def require_admin(actor: Actor) -> None:
    """Raises `Forbidden`: some things are an administrator's."""
    if not actor.is_admin:
        raise Forbidden


def admitted(ctx: Context, schema: Schema, collection: Collection, payload: Mapping[str, Any]) -> dict[str, Any]:
    """A new item's payload, with the presets of the policy that permits it.

    Raises `Forbidden` where none does, `FailedValidation` where the values are the reason.
    """
    if ctx.actor.is_admin:
        return dict(payload)
    failures: list[dict[str, Any]] = []
    for permission in _permitted_in(schema, ctx.actor, "create", collection):
        if permission.fields is not None and not payload.keys() <= permission.fields:
            continue
        filled = {**_presets(ctx, permission), **payload}
        found = _failures(ctx, permission, {**_literals(schema, collection), **_seen(schema, collection, filled)})
        if found == []:
            return filled
        failures = found or failures
    raise _refusal(collection, "create", payload, failures)


def changeable(
    ctx: Context, schema: Schema, collection: Collection, action: Action, payload: Mapping[str, Any] | None = None
) -> Rights | None:
    """The rows in which the actor may change the payload's fields to its values, or which it may delete; None = all.

    Raises `Forbidden` where there can be none, `FailedValidation` where the values are the reason.
    """
    if ctx.actor.is_admin:
        return None
    written, grants = payload or {}, list[Grant]()
    failures: list[dict[str, Any]] = []
    for permission in _permitted_in(schema, ctx.actor, action, collection):
        if permission.fields is not None and not written.keys() <= permission.fields:
            continue
        found = _failures(ctx, permission, _seen(schema, collection, written))
        grant = _grant(replace(permission, fields=None), ctx.actor, ctx.now) if found == [] else None
        grants += [grant] if grant is not None else []
        failures = found or failures
    if not grants:
        raise _refusal(collection, action, written, failures)
    rules = {collection.name: Rule(tuple(grants))}
    return Rights(rules, _signature(action, rules))


def _literals(schema: Schema, collection: Collection) -> dict[str, Any]:
    """What new items get from the database where no value is given, as far as that is known before."""
    key = ("literals", collection.name)
    found: dict[str, Any] | None = schema.plans.get(key)
    if found is None:
        values = {name: literal_of(item.column) for name, item in collection.columns.items()}
        found = schema.plans.put(key, {name: value for name, value in values.items() if value is not None})
    return found


def _failures(ctx: Context, permission: Permission, values: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """What of the permission's validation does not hold; None for one that cannot be understood: it permits nothing.

    What is not written is not asked about: with a rule for a field, a policy does not demand that it is there.
    """
    try:
        return failures_of(ctx, permission.validation or {}, values, partial=True)
    except InvalidQuery as error:
        _warn(permission, error)
        return None


def _permitted_in(schema: Schema, actor: Actor, action: Action, collection: Collection) -> list[Permission]:
    found = permitted(schema, actor, action).get(collection.name)
    if not found:
        reason = f"The collection `{collection.name}` does not exist, or you are not allowed to {action} in it."
        raise Forbidden(reason, reason=reason)
    return found


def _seen(schema: Schema, collection: Collection, payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """The payload, in which an object that changes another item stands for the key of that, too."""
    links = links_of(schema, collection)
    if links.is_plain(payload):
        return payload
    seen = dict(payload)
    for name in links.one.keys() & seen.keys():
        target = links.inner(schema, name, payload) if isinstance(seen[name], Mapping) else None
        key = seen[name].get(target.primary.name) if target is not None and target.primary is not None else None
        if key is not None:
            seen[name] = Linked(seen[name], key)
    return seen


def _presets(ctx: Context, permission: Permission) -> dict[str, Any]:
    known = {"$CURRENT_USER": ctx.actor.user, "$CURRENT_ROLE": ctx.actor.role, **ctx.actor.facts}
    presets = permission.presets or {}
    moment = ctx.now().replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
    return {
        name: (moment if value == "$NOW" else known.get(value, value)) if isinstance(value, str) else value
        for name, value in presets.items()
    }


def _refusal(
    collection: Collection, action: Action, payload: Mapping[str, Any], failures: list[dict[str, Any]]
) -> RequestError:
    if failures:
        failure = failures[0]
        reason = f"The value of `{failure['path']}` of `{collection.name}` is not one that you may write"
        return FailedValidation(
            f"{reason}.", reason=reason, collection=collection.name, field=failure["path"], type=failure["type"],
            path=[], **bounds_of(failure),
        )  # fmt: skip
    fields = ", ".join(f"`{name}`" for name in payload)
    reason = f"You are not allowed to {action} {fields or 'items'} in `{collection.name}`, or there is no such field."
    return Forbidden(reason, reason=reason, collection=collection.name)
