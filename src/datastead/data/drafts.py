"""An item with changes laid over it that are not written: how it looks as of a version.

What is read for it is read by the actor from what there is: a change that is not written can make nothing visible.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datastead.context import Context
from datastead.data.defaults import literal_of
from datastead.data.items import Items, Key
from datastead.data.nesting import Delta, entries_of, links_of, primary_of, target_of
from datastead.data.query import Query
from datastead.data.schema import Collection, Relation, Schema

Item = dict[str, Any]
Changes = Mapping[str, Any]
Place = tuple[str, Key]
"""The collection of an item, and its key."""


async def laid_over(ctx: Context, place: Place, item: Item, changes: Changes, query: Query) -> Item:
    """A copy of the item with the changes of fields that it shows. query: what it was read by."""
    collection, key = place
    schema = await ctx.services.schemas.get()
    overlay = _Overlay(ctx, schema, schema.collection(collection))
    found = dict(item)
    for shown in item:
        name = query.alias.get(shown, shown)
        if name in changes:
            found[shown] = await overlay.value(name, key, changes, _inner(query.fields, shown))
    return found


def _inner(fields: Sequence[str], name: str) -> tuple[str, ...]:
    """What is asked of the items that a field leads to; `()` = their keys."""
    paths = (path.partition(".") for path in fields)
    return tuple(rest for head, _, rest in paths if rest and head.partition(":")[0] in {name, "*"})


@dataclass(frozen=True, slots=True)
class _Overlay:
    ctx: Context
    schema: Schema
    collection: Collection

    async def value(self, name: str, key: Key | None, changes: Changes, inner: tuple[str, ...]) -> Any:
        """What a field holds that changes. key: of its item; None = there is none yet."""
        links = links_of(self.schema, self.collection)
        if name in links.many:
            return await self._many(links.many[name], key, changes[name], inner)
        if name in links.one:
            return await self._one(links.one[name], changes, inner)
        return changes[name]

    async def _one(self, relation: Relation, changes: Changes, inner: tuple[str, ...]) -> Any:
        value, related = changes[relation.field], target_of(self.schema, relation, changes)
        if value is None or related is None:
            return value
        own = value.get(primary_of(related)) if isinstance(value, Mapping) else value
        if not inner:
            return value if own is None else own
        if own is None:
            return await self._new(related, value, inner)
        found = await self._read(related, [own], inner)
        return next(iter(await self._with(related, found, [value], inner)), None)

    async def _many(self, relation: Relation, key: Key | None, value: Any, inner: tuple[str, ...]) -> list[Any]:
        child = self.schema.collections[relation.collection]
        primary = primary_of(child)
        entries = entries_of(relation, primary, value)
        if isinstance(entries, Delta):
            entries = _applied(await self._owned(relation, child, key), entries, primary)
        keys = [own for entry in entries if (own := _key_in(entry, primary)) is not None]
        added = [entry for entry in entries if _key_in(entry, primary) is None]
        if not inner:
            return [*keys, *added]
        found = await self._read(child, keys, inner)
        return [*await self._with(child, found, entries, inner), *[await self._new(child, one, inner) for one in added]]

    async def _owned(self, relation: Relation, child: Collection, key: Key | None) -> list[Key]:
        """The items that refer to this one by now, in their order."""
        if key is None:
            return []
        sort = (relation.sort_field,) if relation.sort_field in child.columns else ()
        return await Items(self.ctx, child.name).keys(Query(filter={relation.field: {"_eq": key}}, sort=sort, limit=-1))

    async def _new(self, related: Collection, entry: Changes, inner: tuple[str, ...]) -> Item:
        """An item that there is not yet, as far as it is asked for."""
        overlay = _Overlay(self.ctx, self.schema, related)
        asked = dict.fromkeys(path.partition(".")[0].partition(":")[0] for path in inner)
        names = [*related.columns, *(name for name in entry if name not in related.columns)] if "*" in asked else asked
        found: Item = {}
        for name in names:
            item = related.fields.get(name)
            if name in entry:
                found[name] = await overlay.value(name, None, entry, _inner(inner, name))
            elif item is not None:
                found[name] = [] if item.is_alias else literal_of(item.column)
        return found

    async def _read(self, related: Collection, keys: Sequence[Key], inner: tuple[str, ...]) -> list[Item]:
        fields = tuple(dict.fromkeys((primary_of(related), *inner)))
        return await Items(self.ctx, related.name).read_many(keys, Query(fields=fields, limit=-1)) if keys else []

    async def _with(
        self, related: Collection, found: list[Item], entries: Sequence[Any], inner: tuple[str, ...]
    ) -> list[Item]:
        """The items, each with the changes that an entry has for it."""
        primary = primary_of(related)
        changed = {str(entry[primary]): entry for entry in entries if isinstance(entry, Mapping) and primary in entry}
        query, hidden = Query(fields=inner), set() if {primary, "*"} & set(inner) else {primary}
        laid = [
            await laid_over(self.ctx, (related.name, item[primary]), item, changed.get(str(item[primary]), {}), query)
            for item in found
        ]
        return [{name: value for name, value in item.items() if name not in hidden} for item in laid]


def _applied(owned: Sequence[Key], delta: Delta, primary: str) -> list[Any]:
    """All the entries that there would be after the delta."""
    gone = {str(key) for key in delta.delete}
    changed = {str(entry[primary]): entry for entry in delta.update}
    kept = [changed.pop(str(key), key) for key in owned if str(key) not in gone]
    return [*kept, *changed.values(), *delta.create]


def _key_in(entry: Any, primary: str) -> Any:
    return entry.get(primary) if isinstance(entry, Mapping) else entry
