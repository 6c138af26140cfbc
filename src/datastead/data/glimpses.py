"""What a policy shows of activities and revisions: never more of a collection than the policies show of its items.

A permission for `directus_activity` or `directus_revisions` says which of them its holder may read; here it is narrowed
by what the holder may read of the collections that they are about.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from datastead.context import Actor
from datastead.data.rights import Rule
from datastead.data.schema import Collection, Permission, Schema

ACTIVITY, REVISIONS = "directus_activity", "directus_revisions"
KEPT = frozenset({ACTIVITY, REVISIONS})
VALUES = frozenset({"data", "delta"})
NONE: Mapping[str, Any] = {"collection": {"_null": True}}


def narrow(schema: Schema, rules: Mapping[str, Rule], actor: Actor, permission: Permission) -> Iterator[Permission]:
    """The permission, as several.

    Of a collection of which everything may be read, all; where some fields are hidden, what was done, without the
    values; where some rows are hidden, the activities of the actor's own.
    """
    whole, rows, some = _readable(schema, rules)
    columns = schema.collection(permission.collection).fields.keys() - VALUES
    fields = columns if permission.fields is None else permission.fields - VALUES
    yield _of(permission, {"collection": {"_in": whole}} if whole else NONE)
    if rows and fields:
        yield replace(_of(permission, {"collection": {"_in": rows}}), fields=frozenset(fields))
    if some and permission.collection == ACTIVITY and actor.user is not None:
        own = {"_and": [{"collection": {"_in": some}}, {"user": {"_eq": actor.user}}]}
        yield _of(permission, own)


def _of(permission: Permission, condition: Mapping[str, Any]) -> Permission:
    given = permission.permissions
    return replace(permission, permissions={"_and": [given, condition]} if given else condition)


def _readable(schema: Schema, rules: Mapping[str, Rule]) -> tuple[list[str], list[str], list[str]]:
    """Collections of which everything, every row, or some rows may be read."""
    whole, rows, some = [], [], []
    for name, rule in sorted(rules.items()):
        if name in KEPT or name not in schema.collections:
            continue
        if rule.rows() is not None:
            some.append(name)
        elif _is_whole(schema.collections[name], rule):
            whole.append(name)
        else:
            rows.append(name)
    return whole, rows, some


def _is_whole(collection: Collection, rule: Rule) -> bool:
    """Whether every field may be read, in every row, of those that revisions hold."""
    return all(
        rule.has(name) and rule.guard(name) is None
        for name, item in collection.columns.items()
        if not item.is_concealed
    )
