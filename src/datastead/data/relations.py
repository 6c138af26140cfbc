"""Nested writes: the items that a payload holds are written, too, each as the same actor, and in the same transaction.

What an item refers to is written before it; what refers to it, after it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from datastead.context import Context
from datastead.data.nesting import (
    NESTABLE,
    Delta,
    Key,
    Payload,
    entries_of,
    invalid,
    is_key,
    links_of,
    primary_of,
    target_of,
)
from datastead.data.payloads import encoder_of
from datastead.data.query import Query
from datastead.data.reading import Reader
from datastead.data.schema import Collection, Relation, Schema
from datastead.errors import FailedValidation, Forbidden, InvalidPayload

Row = dict[str, Any]


class Writes(Protocol):
    """The items of a collection, for the actor: `Items`, which this module cannot name."""

    async def read(self, query: Query) -> list[Row]: ...

    async def create_many(self, new: Sequence[Payload], *, emit: bool = True) -> list[Key]: ...

    async def update_many(self, keys: Sequence[Key], payload: Payload, *, emit: bool = True) -> list[Key]: ...

    async def delete_many(self, keys: Sequence[Key], *, emit: bool = True) -> list[Key]: ...


@contextmanager
def _led_to_by(name: str) -> Iterator[None]:
    """What is wrong with a value of a nested item is told with the fields that lead there."""
    try:
        yield
    except FailedValidation as error:
        error.details["path"] = [name, *error.details.get("path", [])]
        raise


@dataclass(frozen=True, slots=True)
class Nested:
    """The items around those of a collection that are being written. ctx: in the transaction.

    revisions: of what has been written by now.
    """

    ctx: Context
    schema: Schema
    collection: Collection
    open: Callable[[str], Writes]
    emit: bool = True
    revisions: list[int] = field(default_factory=list)

    async def before(self, payload: Row, keys: Sequence[Key] = ()) -> Row:
        """Writes what the items refer to; the payload with its key in place of each, and without aliases.

        keys: of the items that are changed.
        """
        links = links_of(self.schema, self.collection)
        if links.is_plain(payload):
            return payload
        flat = {name: value for name, value in payload.items() if name not in links.many}
        for name, relation in links.one.items():
            value = flat.get(name)
            if isinstance(value, Mapping):
                target = target_of(self.schema, relation, payload) or await self._present_target(relation, keys)
                with _led_to_by(name):
                    flat[name] = await self._refer(relation, target, value)
        return flat

    async def after(self, key: Key, payload: Row, *, is_new: bool) -> None:
        """Writes what refers to an item that has been written. payload: as `before` was given it."""
        for name, relation in links_of(self.schema, self.collection).many.items():
            if name in payload:
                child = self.schema.collections[relation.collection]
                owner = await self._referred(relation, self.collection, key)
                owned = _Owned(self, relation, child, self.writes(child), owner, is_new)
                entries = entries_of(relation, owned.primary, payload[name])
                with _led_to_by(name):
                    await (owned.alter(entries) if isinstance(entries, Delta) else owned.replace(entries))

    def writes(self, collection: Collection) -> Writes:
        """The items of another collection. Raises `InvalidPayload` where they are written in another way."""
        if collection.is_system and collection.name not in NESTABLE:
            reason = f"Items of `{collection.name}` are written by themselves, and not from others"
            raise InvalidPayload(f"{reason}.", reason=reason, collection=collection.name)
        return self.open(collection.name)

    async def known(self, collection: Collection, keys: Sequence[Key], *names: str) -> dict[Key, Row]:
        """The items of these keys that exist, whoever may see them, by their keys as the database has them."""
        reader = Reader(self.ctx, self.schema, collection)
        primary = primary_of(collection)
        if not keys:
            return {}
        rows = await reader.read_keys(keys, Query(fields=(primary, *names), limit=-1))
        return dict(zip(reader.encode_keys([row[primary] for row in rows]), rows, strict=True))

    async def _present_target(self, relation: Relation, keys: Sequence[Key]) -> Collection:
        """The collection that the items refer to by now."""
        name = relation.collection_field or ""
        rows = await self.known(self.collection, keys, name) if name in self.collection.columns else {}
        found = {row[name] for row in rows.values()}
        target = target_of(self.schema, relation, {name: found.pop()}) if len(found) == 1 else None
        if target is None:
            raise invalid(relation, relation.field, f"is an item of the collection that `{name}` names: give that, too")
        return target

    async def _refer(self, relation: Relation, target: Collection, value: Payload) -> Key:
        """Writes what a field refers to; what the field then holds."""
        primary = primary_of(target)
        given = value.get(primary)
        rest = {name: entry for name, entry in value.items() if name != primary}
        if given is not None and not is_key(given):
            raise invalid(relation, relation.field, f"has a `{primary}` that is no key")
        if given is None or not await self.known(target, [given]):
            new = rest if given is None else value
            (key,) = await self.writes(target).create_many([new], emit=self.emit)
        else:
            key = given
            if rest and not await self.writes(target).update_many([key], rest, emit=self.emit):
                raise Forbidden
        return await self._referred(relation, target, key)

    async def _referred(self, relation: Relation, target: Collection, key: Key) -> Key:
        """What is stored in a field that refers to the item: its key, unless the constraint is about another column."""
        constraint = relation.column.foreign_key if relation.column is not None else None
        primary = primary_of(target)
        if constraint is None or constraint.column in {None, primary} or relation.allowed_collections:
            return key
        (row,) = (await self.known(target, [key], constraint.column)).values()
        return row[constraint.column]


@dataclass(frozen=True, slots=True)
class _Owned:
    """The items that refer to one item. owner: what their field holds."""

    nested: Nested
    relation: Relation
    child: Collection
    items: Writes
    owner: Key
    is_new: bool

    @property
    def primary(self) -> str:
        return primary_of(self.child)

    @property
    def sort_field(self) -> str | None:
        name = self.relation.sort_field
        return name if name in self.child.columns else None

    async def replace(self, entries: Sequence[Any]) -> None:
        """They become these: what is not among them goes."""
        keys = [self._key(entry) for entry in entries]
        known = await self._known([key for key in keys if key is not None])
        visible = await self._let_go(known)
        new = []
        for position, (key, entry) in enumerate(zip(keys, entries, strict=True), start=1):
            given = dict(entry) if isinstance(entry, Mapping) else {}
            ordered = self._at(position)
            row = known.get(self._encoded(key)) if key is not None else None
            if row is not None:
                is_visible = self._encoded(key) in visible
                await self._change(key, {**given, **ordered}, row if is_visible else None)
            elif isinstance(entry, Mapping):
                new.append({**given, **ordered, self.relation.field: self.owner})
            else:
                raise Forbidden
        await self._create(new)

    async def alter(self, delta: Delta) -> None:
        """Some are added, changed and let go. What is not there any more is as it should be, or nothing to change."""
        known = await self._known([*delta.delete, *(entry[self.primary] for entry in delta.update)])
        await self._detach(await self._own_of(delta.delete))
        for entry in delta.update:
            if self._encoded(entry[self.primary]) in known:
                await self._change(entry[self.primary], entry, None)
            elif not self.nested.ctx.actor.is_admin:
                raise Forbidden  # as for one that the actor may not see
        last = await self._last_position() if delta.create and self.sort_field else 0
        await self._create(
            [
                {**self._at(last + place), **entry, self.relation.field: self.owner}
                for place, entry in enumerate(delta.create, start=1)
            ]
        )

    def _at(self, position: int) -> dict[str, Any]:
        return {self.sort_field: position} if self.sort_field else {}

    def _key(self, entry: Any) -> Key | None:
        if not isinstance(entry, Mapping):
            return entry
        key = entry.get(self.primary)
        if key is not None and not is_key(key):
            raise invalid(self.relation, self.primary, "has a value that is no key")
        return key

    def _encoded(self, key: Key) -> Key:
        return self._reader().encode_keys([key])[0]

    def _reader(self) -> Reader:
        return Reader(self.nested.ctx, self.nested.schema, self.child)

    async def _known(self, keys: Sequence[Key]) -> dict[Key, Row]:
        names = [self.relation.field, *([self.sort_field] if self.sort_field else [])]
        return await self.nested.known(self.child, keys, *names)

    def _is_own(self, row: Row) -> bool:
        name, dialect = self.relation.field, self.nested.ctx.services.database.dialect
        encode = encoder_of(self.nested.schema, self.child.fields[name], dialect)
        return bool(encode(row[name]) == encode(self.owner))

    async def _let_go(self, kept: Mapping[Key, Row]) -> set[Key]:
        """Detaches those that are not kept; the keys of all that the actor could see."""
        if self.is_new:
            return set()
        visible = await self._visible({self.relation.field: {"_eq": self.owner}})
        await self._detach([key for key in visible if key not in kept])
        return set(visible)

    async def _own_of(self, keys: Sequence[Key]) -> list[Key]:
        """Those of the keys whose items are this one's, and are there for the actor."""
        return await self._visible({self.primary: {"_in": self._reader().encode_keys(keys)}}) if keys else []

    async def _visible(self, condition: Mapping[str, Any]) -> list[Key]:
        """The keys of this one's items that the actor can see, and of which the condition is true."""
        wanted = Query(fields=(self.primary, self.relation.field), filter=condition, limit=-1)
        rows = [row for row in await self.items.read(wanted) if self._is_own(row)]
        return self._reader().encode_keys([row[self.primary] for row in rows])

    async def _detach(self, keys: Sequence[Key]) -> None:
        if not keys:
            return
        if self.relation.meta and self.relation.meta.get("one_deselect_action") == "delete":
            await self.items.delete_many(keys, emit=self.nested.emit)
        else:
            await self.items.update_many(keys, {self.relation.field: None}, emit=self.nested.emit)

    async def _change(self, key: Key, given: Payload, present: Row | None) -> None:
        """present: what the item has by now and the actor may know; what is the same is not written."""
        changes = {**given, self.relation.field: self.owner}
        changes.pop(self.primary, None)
        if present is not None:
            if self._is_own(present):
                del changes[self.relation.field]
            if self.sort_field and changes.get(self.sort_field) == present[self.sort_field]:
                changes.pop(self.sort_field, None)
        if changes and not await self.items.update_many([key], changes, emit=self.nested.emit):
            raise Forbidden

    async def _create(self, new: Sequence[Payload]) -> None:
        if new:
            await self.items.create_many(new, emit=self.nested.emit)

    async def _last_position(self) -> int:
        assert self.sort_field
        wanted = {self.relation.field: {"_eq": self.owner}}
        (sums,) = await self._reader().read(Query(filter=wanted, aggregate=(("max", self.sort_field),)))
        return int(sums["max"][self.sort_field] or 0)
