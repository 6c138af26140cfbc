"""What a payload says of other items: through which fields, and in which form. Pure; `relations.py` carries it out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from datastead.data.schema import Collection, Relation, Schema
from datastead.errors import InvalidPayload
from datastead.settings import Settings

Key = Any
Payload = Mapping[str, Any]
DELTA = ("create", "update", "delete")
NESTABLE = frozenset(
    {
        "directus_access", "directus_dashboards", "directus_files", "directus_folders", "directus_panels",
        "directus_permissions", "directus_policies", "directus_roles",
    }
)  # fmt: skip
"""The system collections that nested writes may change. The others have more rules than their rows tell."""


@dataclass(frozen=True, slots=True)
class Links:
    """The fields of a collection that lead to other items.

    one: those that refer to an item; many: the aliases of the items that refer to this one.
    """

    one: Mapping[str, Relation]
    many: Mapping[str, Relation]

    def is_plain(self, payload: Payload) -> bool:
        """Whether the payload writes this one item, and no other."""
        if self.many and not self.many.keys().isdisjoint(payload):
            return False
        for name in self.one:
            value = payload.get(name)
            if value is not None and not isinstance(value, int | str) and isinstance(value, Mapping):
                return False
        return True

    def in_use(self, payload: Payload) -> list[str]:
        """The fields through which the payload writes other items."""
        one, many = self.one, self.many
        return [name for name, value in payload.items() if name in many or (name in one and _is_object(value))]

    def inner(self, schema: Schema, name: str, payload: Payload) -> Collection | None:
        """The collection of the items that the payload holds in this field; None where it does not say (m2a)."""
        if name in self.many:
            return schema.collections[self.many[name].collection]
        return target_of(schema, self.one[name], payload)


@dataclass(frozen=True, slots=True)
class Delta:
    """Changes of the items of a to-many field. create: objects; update: objects with their keys; delete: keys."""

    create: Sequence[Payload] = ()
    update: Sequence[Payload] = ()
    delete: Sequence[Key] = ()


def links_of(schema: Schema, collection: Collection) -> Links:
    """The fields that lead to other items, found once a schema."""
    key = ("links", collection.name)
    found: Links | None = schema.plans.get(key)
    return found or schema.plans.put(key, _links(schema, collection))


def _links(schema: Schema, collection: Collection) -> Links:
    one: dict[str, Relation] = {}
    many: dict[str, Relation] = {}
    for name, item in collection.named.items():
        if item.is_alias:
            relation = schema.inverse(collection.name, name)
            many |= {name: relation} if relation and relation.collection in schema.collections else {}
        else:
            relation = schema.relation(collection.name, name)
            known = relation and (relation.related in schema.collections or relation.allowed_collections)
            one |= {name: relation} if relation and known else {}
    return Links(one, many)


def target_of(schema: Schema, relation: Relation, payload: Payload) -> Collection | None:
    """The collection that a field refers to. None: another field says it (m2a), and the payload does not have that."""
    if not relation.allowed_collections:
        return schema.collection(relation.related or "")
    kind = payload.get(relation.collection_field or "")
    if kind is None:
        return None
    if kind not in relation.allowed_collections or kind not in schema.collections:
        raise invalid(relation, relation.field, f"may not refer to items of `{str(kind)[:100]}`")
    return schema.collections[kind]


def primary_of(collection: Collection) -> str:
    """The name of the key. Raises `InvalidPayload` for a table without one."""
    if collection.primary is None:
        reason = f"The items of `{collection.name}` have no key, so that they cannot be written from others"
        raise InvalidPayload(f"{reason}.", reason=reason, collection=collection.name)
    return collection.primary.name


def entries_of(relation: Relation, primary: str, value: Any) -> "list[Key | Payload] | Delta":
    """The value of a to-many field: all its items, each a key or an object, or a delta. Raises `InvalidPayload`."""
    if value is None:
        return []
    if isinstance(value, Mapping):
        return _delta(relation, primary, value)
    if not isinstance(value, list | tuple):
        raise _invalid_many(relation, "is a list of keys and objects, or has `create`, `update` and `delete`")
    if not all(isinstance(entry, Mapping) or is_key(entry) for entry in value):
        raise _invalid_many(relation, "takes keys and objects")
    return list(value)


def _delta(relation: Relation, primary: str, value: Payload) -> Delta:
    unknown = value.keys() - set(DELTA)
    if unknown:
        name = str(min(unknown, key=str))[:100]
        raise _invalid_many(relation, f"takes `create`, `update` and `delete`, not `{name}`; items stand in a list")
    create, update, delete = ([] if value.get(name) is None else value[name] for name in DELTA)
    for name, part in zip(DELTA, (create, update, delete), strict=True):
        if not isinstance(part, list | tuple):
            raise _invalid_many(relation, f"has a list in `{name}`")
    if not all(isinstance(entry, Mapping) for entry in (*create, *update)):
        raise _invalid_many(relation, "takes objects in `create` and `update`")
    if not all(is_key(entry.get(primary)) for entry in update):
        raise _invalid_many(relation, f"needs the key `{primary}` of each item in `update`")
    if not all(is_key(entry) for entry in delete):
        raise _invalid_many(relation, "takes keys in `delete`")
    if {str(entry[primary]) for entry in update} & {str(key) for key in delete}:
        raise _invalid_many(relation, "cannot have one item in `update` and in `delete`")
    return Delta(create, update, delete)


def objects_in(value: Any, *, is_many: bool) -> list[Payload]:
    """The objects in the value of a relational field."""
    found: list[Payload] = []
    mapped(value, found.append, is_many=is_many)
    return found


def mapped(value: Any, change: Callable[[Payload], Any], *, is_many: bool) -> Any:
    """The value of a relational field, with each object in it changed."""
    if _is_object(value):
        if not is_many:
            return change(value)
        return {name: value[name] if name == "delete" else mapped(value[name], change, is_many=True) for name in value}
    if is_many and isinstance(value, list | tuple):
        return [change(entry) if _is_object(entry) else entry for entry in value]
    return value


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping)


def is_key(value: Any) -> bool:
    """Whether it can stand for an item."""
    return isinstance(value, int | str | UUID) and not isinstance(value, bool)


def invalid(relation: Relation, name: str, why: str) -> InvalidPayload:
    """The error for a relational field's value."""
    reason = f"`{name}` of `{relation.collection}` {why}"
    return InvalidPayload(f"{reason}.", reason=reason, collection=relation.collection, field=name)


def _invalid_many(relation: Relation, why: str) -> InvalidPayload:
    reason = f"`{relation.one_field}` of `{relation.related}` {why}"
    return InvalidPayload(f"{reason}.", reason=reason, collection=relation.related, field=relation.one_field)


def inspect(
    schema: Schema, collection: Collection, payloads: Sequence[Payload], settings: Settings, *, times: int = 1
) -> None:
    """Raises `InvalidPayload` for nested writes of a wrong form, and for too deep or too many ones.

    times: for how many items each payload is. What changes many of them alike counts once.
    """
    links = links_of(schema, collection)
    inspector = _Inspector(schema, settings.max_relational_depth, settings.max_batch_mutation)
    inspector.count(len(payloads))
    inspector.times = times
    for payload in payloads:
        if not links.is_plain(payload):
            inspector.payload(collection, payload, 1)


@dataclass
class _Inspector:
    schema: Schema
    max_depth: int
    max_items: int
    times: int = 1
    counted: int = 0

    def count(self, more: int) -> None:
        self.counted += more * self.times
        if self.counted > self.max_items:
            reason = f"A request may write {self.max_items} items"
            raise InvalidPayload(f"{reason} (`MAX_BATCH_MUTATION`).", reason=reason)

    def payload(self, collection: Collection, payload: Payload, depth: int) -> None:
        for target, value in self._inner(collection, payload):
            require_depth(depth, self.max_depth)
            if target is not None:
                self.payload(target, value, depth + 1)

    def _inner(self, collection: Collection, payload: Payload) -> Iterator[tuple[Collection | None, Payload]]:
        """The objects in a payload, each with its collection, where that is known."""
        links = links_of(self.schema, collection)
        for name, value in payload.items():
            if name in links.many:
                relation = links.many[name]
                child = self.schema.collections[relation.collection]
                found = entries_of(relation, primary_of(child), value)
                every = found if isinstance(found, list) else [*found.create, *found.update, *found.delete]
                self.count(len(every))
                yield from ((child, entry) for entry in every if isinstance(entry, Mapping))
            elif name in links.one and isinstance(value, Mapping):
                self.count(1)
                yield target_of(self.schema, links.one[name], payload), value


def require_depth(depth: int, max_depth: int) -> None:
    """depth: from 1. Raises `InvalidPayload` where items may not hold others any more."""
    if depth >= max_depth:
        reason = f"Items are nested deeper than {max_depth} levels"
        raise InvalidPayload(f"{reason} (`MAX_RELATIONAL_DEPTH`).", reason=reason)
