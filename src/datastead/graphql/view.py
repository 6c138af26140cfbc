"""`View`: the part of the schema that exists for an actor in GraphQL: collections, fields, and what may be done."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from datastead.context import Actor
from datastead.data.permissions import Action, permitted_fields
from datastead.data.schema import Collection, Field, Relation, Schema
from datastead.graphql.types import TAKEN

Scope = Literal["items", "system"]
NAME = re.compile(r"(?!__)[_A-Za-z][_0-9A-Za-z]*")
HAVE_NO_ITEMS = frozenset(f"directus_{name}" for name in ("collections", "fields", "relations"))
"""What has fields of its own in the schema, as `/collections` has routes of its own."""
ENDINGS = (
    "_filter",
    "_quantifier_filter",
    "_aggregated",
    "_aggregated_count",
    "_aggregated_fields",
    "_mutated",
)


@dataclass(frozen=True)
class View:
    """What an actor may do: by action and collection the fields; None = all of them."""

    schema: Schema
    actor: Actor

    @cached_property
    def _permitted(self) -> Mapping[Action, Mapping[str, frozenset[str] | None]]:
        actions: tuple[Action, ...] = ("create", "read", "update", "delete")
        return {action: permitted_fields(self.schema, self.actor, action) for action in actions}

    @cached_property
    def names(self) -> frozenset[str]:
        """The collections that have a name that a type can have."""
        tables = {name for name, each in self.schema.collections.items() if each.has_table and NAME.fullmatch(name)}
        made = {f"{name}{ending}" for name in tables for ending in ENDINGS}
        made |= {f"{verb}_{name}_input" for name in tables for verb in ("create", "update")}
        made |= {union_of(each) for each in self.schema.relations if each.allowed_collections}
        return frozenset(tables - made - TAKEN - HAVE_NO_ITEMS)

    def may(self, action: Action, collection: str | None) -> bool:
        """Whether there is something in the collection that the actor may do this to."""
        if collection not in self.names:
            return False
        return collection in self._permitted[action]

    def fields(self, action: Action, collection: Collection) -> dict[str, Field]:
        """The fields that the actor may read or write in some row at least."""
        allowed = self._permitted[action].get(collection.name, frozenset())
        return {
            name: item
            for name, item in collection.named.items()
            if NAME.fullmatch(name) and (allowed is None or name in allowed)
        }

    def sees(self, item: Field) -> bool:
        """Whether the actor may read the field in some row at least."""
        return item.name in self.fields("read", self.schema.collection(item.collection))

    def link(self, action: Action, item: Field) -> "Link | None":
        """What a field leads to, where the actor may do this there."""
        one, many = self.schema.relation(item.collection, item.name), self.schema.inverse(item.collection, item.name)
        if item.is_alias:
            is_there = many is not None and self.may(action, many.collection)
            return Link("many", many, many.collection) if many is not None and is_there else None
        if one is None:
            return None
        if one.allowed_collections:
            targets = tuple(name for name in one.allowed_collections if self.may(action, name))
            return Link("any", one, None, targets) if targets else None
        return Link("one", one, one.related) if one.related and self.may(action, one.related) else None


@dataclass(frozen=True, slots=True)
class Link:
    """kind: one | many | any. target: the collection that it leads to, of several `targets`."""

    kind: str
    relation: Relation
    target: str | None
    targets: tuple[str, ...] = ()


def union_of(relation: Relation) -> str:
    """The name of the type of what a field refers to, where that is of several collections."""
    return f"{relation.collection}_{relation.field}_union"


def is_system(name: str) -> bool:
    """Whether a collection is the platform's own."""
    return name.startswith(("directus_", "datastead_"))


def short(name: str) -> str:
    """A collection's name at the root of its scope."""
    return name.removeprefix("directus_")
