"""A query and the schema to one SELECT, and how its rows become items. Pure; made once per shape of query.

Fields through a many-to-one relation are joined. Those of a to-many relation take one more SELECT a level (`Many`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa

from datastead.data.aggregates import Sums
from datastead.data.conditions import conditions, matches
from datastead.data.filters import EVERYTHING
from datastead.data.functions import Call, call_of
from datastead.data.links import Prepared
from datastead.data.ordering import sorted_by
from datastead.data.rights import Rights
from datastead.data.schema import Collection, Relation, Schema
from datastead.data.selection import Bare, Many, One, Plan, Selection, Shape, Tree, paths_of, tree_of
from datastead.data.sources import Build, Source
from datastead.data.wire import Decoder, decoder
from datastead.errors import Forbidden, InvalidQuery

Prepare = Callable[[sa.ClauseElement], Prepared]

MAX_OUTPUTS = 1000


def compile_read(
    schema: Schema,
    collection: Collection,
    selection: Selection,
    prepare: Prepare,
    *,
    dialect: str,
    max_depth: int,
    max_relations: int,
    rights: Rights | None = None,
) -> Plan:
    """Raises `Forbidden` for fields that are unknown or hidden, `InvalidQuery` for what a field cannot be asked."""
    build = Build(schema, dialect, max_depth, max_relations, conditions, rights)
    ones = {one.path: (number, one) for number, one in enumerate(selection.ones)}
    compiler = _Compiler(build, prepare, dict(selection.aliases), ones)
    return compiler.sums(collection, selection) if selection.aggregate or selection.group else compiler.read(
        collection, selection
    )  # fmt: skip


class _Wanted(NamedTuple):
    """What is read of a field. kind: column | call | one | many. source: its name in the collection."""

    kind: str
    source: str
    relation: Relation | None = None
    inner: Tree | None = None
    call: Call | None = None


@dataclass
class _Compiler:
    build: Build
    prepare: Prepare
    aliases: dict[str, str]
    ones: dict[tuple[str, ...], tuple[int, One]]
    outputs: list[sa.ColumnElement[Any]] = field(default_factory=list)
    many: list[Many] = field(default_factory=list)

    def read(self, collection: Collection, selection: Selection) -> Plan:
        source = Source.of(self.build, collection, collection.table)
        shape = None
        if not selection.is_counted:
            shape = self._shape(source, tree_of(selection.fields, self.build.max_depth), ())
        owner = self._output(source.column(selection.owned_by)) if selection.owned_by and shape else None
        wheres = list(self._wheres(source, selection))
        order = [] if selection.is_counted else self._order(source, selection.sort)
        columns = self.outputs or [sa.func.count() if selection.is_counted else sa.literal_column("1")]
        if selection.owned_by:
            statement = self._first_of_each(source, columns, wheres, order, selection)
        else:
            statement = sa.select(*columns).select_from(source.joined).where(*wheres).order_by(*order)
            statement = _limited(statement, selection)
        return self._plan(statement, shape or Shape(0, 0, ()), owner)

    def sums(self, collection: Collection, selection: Selection) -> Plan:
        """Sums of the items, one row for each group; of each owner, where they are asked for as items of others."""
        source = Source.of(self.build, collection, collection.table)
        sums = Sums(source)
        groups = [sums.group(name) for name in selection.group]
        columns = [*groups, *(sums.sum(function, name) for function, name in selection.aggregate)]
        wheres = list(self._wheres(source, selection))
        order = sums.order(selection.sort)
        outputs = [column.label(f"c{number}") for number, column in enumerate(columns)]
        shape = Shape(0, len(columns), tuple(sums.names), tuple(sums.decoders))
        if selection.owned_by:
            owner = source.column(selection.owned_by)
            outputs.append(owner.label(f"c{len(columns)}"))
            statement = self._first_of_each(source, outputs, wheres, order, selection, groups=(owner, *groups))
            return self._plan(statement, shape, owner=len(columns))
        statement = sa.select(*outputs).select_from(source.joined).where(*wheres).group_by(*groups).order_by(*order)
        return self._plan(_limited(statement, selection), shape)

    def _plan(self, statement: sa.Select[Any], shape: Shape, owner: int | None = None) -> Plan:
        build = self.build
        prepared = self.prepare(statement)
        return Plan(prepared, tuple(build.encoders), tuple(build.origins), shape, tuple(self.many), owner)

    def _wheres(self, source: Source, selection: Selection) -> Iterable[sa.ColumnElement[bool]]:
        visible = source.visible()
        if visible is not None:
            yield visible
        yield conditions(source, selection.node)
        if selection.searched:
            yield matches(source, selection.searched)
        if selection.keys is not None and source.collection.primary is not None:
            yield _one_of(source.table.c[source.collection.primary.name], "key", selection.keys)
        if selection.owned_by:
            yield _one_of(source.column(selection.owned_by), "owner", selection.owners)

    def _first_of_each(
        self,
        source: Source,
        columns: Sequence[sa.ColumnElement[Any]],
        wheres: Sequence[sa.ColumnElement[bool]],
        order: Sequence[sa.ColumnElement[Any]],
        selection: Selection,
        *,
        groups: Sequence[sa.ColumnElement[Any]] = (),
    ) -> sa.Select[Any]:
        """The items of each owner in their order, or their groups, and of these the wanted ones."""
        assert selection.owned_by is not None
        number = sa.func.row_number().over(partition_by=source.column(selection.owned_by), order_by=order or None)
        found = sa.select(*columns, number.label("number")).select_from(source.joined).where(*wheres)
        numbered = found.group_by(*groups).subquery("owned")
        wanted = sa.select(*(numbered.c[column.name] for column in columns)).order_by(numbered.c.number)
        if not selection.is_limited:
            return wanted
        first, last = sa.bindparam("first", None, sa.BigInteger), sa.bindparam("last", None, sa.BigInteger)
        return wanted.where(numbered.c.number > first, numbered.c.number <= last)

    def _shape(self, source: Source, tree: Tree, path: tuple[str, ...]) -> Shape:
        wanted = list(self._expanded(source, tree, path).items())
        start = len(self.outputs)
        names, decoders = self._scalars(source, wanted)
        stop = len(self.outputs)
        nested, many = [], []
        for name, found in wanted:
            if found.kind == "one":
                other = source.join(found.source)
                key = self._output(self._let_through(other, _key_of(source, other, found), (*path, name)))
                nested.append((name.partition(":")[0], key, self._shape(other, found.inner or {}, (*path, name))))
            elif found.kind == "many" and found.relation is not None:
                key = self._output(source.table.c[source.key_of(found.relation)])
                entry = Many(len(self.many), (*path, name), key, found.relation, paths_of(found.inner or {}))
                self.many.append(entry)
                many.append(entry)
        return Shape(start, stop, names, decoders, tuple(nested), tuple(many), self._bare(source, wanted))

    def _bare(self, source: Source, wanted: list[tuple[str, _Wanted]]) -> tuple[Bare, ...]:
        """What is not asked for of the items of several collections that one field refers to: these show their keys."""
        asked: dict[str, tuple[Relation, set[str]]] = {}
        for name, found in wanted:
            base, _, scope = name.partition(":")
            if found.kind == "one" and scope and found.relation is not None:
                asked.setdefault(base, (found.relation, set()))[1].add(found.source.partition(":")[2])
        schema = self.build.schema
        keys = {name: one.primary.type for name, one in schema.collections.items() if one.primary} if asked else {}
        numbered = frozenset(name for name, kind in keys.items() if kind in {"integer", "bigInteger"})
        return tuple(
            Bare(
                name,
                self._output(source.column(relation.field)),
                self._output(source.column(relation.collection_field or "")),
                frozenset(collections),
                numbered,
            )
            for name, (relation, collections) in asked.items()
            if set(relation.allowed_collections) - collections
        )

    def _let_through(self, other: Source, key: sa.ColumnElement[Any], path: tuple[str, ...]) -> sa.ColumnElement[Any]:
        """The key of a single item; null where the item is not what is asked for."""
        number, one = self.ones.get(path, (0, None))
        if one is None:
            return key
        clauses = [conditions(other, one.node, (number + 1,))] if one.node != EVERYTHING else []
        clauses += [matches(other, one.searched, f"s{number}")] if one.searched else []
        return sa.case((sa.and_(*clauses), key)) if clauses else key

    def _scalars(
        self, source: Source, wanted: list[tuple[str, _Wanted]]
    ) -> tuple[tuple[str, ...], tuple[tuple[str, Decoder], ...]]:
        """Adds what has a value of its own to the SELECT: its names, and how they are read."""
        names, decoders = [], []
        for name, found in wanted:
            if found.kind == "column":
                self._output(source.column(found.source))
                decode = decoder(source.collection.fields[found.source], self.build.dialect)
                decoders += [(name, decode)] if decode is not None else []
                names.append(name)
            elif found.call is not None:
                self._output(source.call(found.call))
                names.append(name)
        return tuple(names), tuple(decoders)

    def _output(self, column: sa.ColumnElement[Any]) -> int:
        """Adds a column to the SELECT; its position."""
        if len(self.outputs) >= MAX_OUTPUTS:
            raise InvalidQuery(f"A query may ask for {MAX_OUTPUTS} fields.", reason="too many fields")
        self.outputs.append(column.label(f"c{len(self.outputs)}"))
        return len(self.outputs) - 1

    def _order(self, source: Source, sort: Sequence[str]) -> list[sa.ColumnElement[Any]]:
        """As asked, or else by hand; then by the key, so that pages do not overlap. Nulls are the largest."""
        by_hand = source.collection.sort_field
        if not sort and by_hand in source.fields():
            sort = (by_hand,)
        order = [sorted_by(source, name) for name in sort]
        primary = source.collection.primary
        if primary is not None and not {primary.name, f"-{primary.name}"} & set(sort):
            order.append(source.table.c[primary.name].asc())
        return order

    def _expanded(self, source: Source, tree: Tree, path: tuple[str, ...]) -> dict[str, _Wanted]:
        """What to read, by the name under which it stands in the item."""
        wanted: dict[str, _Wanted] = {}
        aliases = (dict(self.ones[path][1].aliases) if path in self.ones else {}) if path else self.aliases
        if "*" in tree:
            for name in source.fields():
                wanted |= self._wanted(source, name, name, tree["*"], is_named=False)
        for name, inner in tree.items():
            if name != "*":
                wanted |= self._wanted(source, name, aliases.get(name, name), inner, is_named=True)
        return wanted

    def _wanted(self, source: Source, name: str, original: str, inner: Tree, *, is_named: bool) -> dict[str, _Wanted]:
        call = call_of(original)
        if call is not None:
            return {name if name != original else call.output: _Wanted("call", original, call=call)}
        field_name, _, scope = original.partition(":")
        if is_named and self._is_left_out(source, field_name, leads_on=bool(inner or scope)):
            return {}
        item = source.field(field_name)
        schema, own = source.schema, source.collection.name
        inverse = schema.inverse(own, field_name)
        if item.is_alias:
            if inverse is None or not (is_named or self._is_readable(inverse.collection)):
                return {}
            return {name: _Wanted("many", field_name, inverse, inner)}
        if not inner and not scope:
            return {name: _Wanted("column", field_name)}
        return self._wanted_of_one(source, name, original, inner, is_named=is_named)

    def _wanted_of_one(
        self, source: Source, name: str, original: str, inner: Tree, *, is_named: bool
    ) -> dict[str, _Wanted]:
        """A field that refers to an item, and what is asked of that."""
        field_name, _, scope = original.partition(":")
        relation = source.schema.relation(source.collection.name, field_name)
        if relation is not None and relation.allowed_collections:
            return self._any(relation, name, scope, inner)
        if relation is not None and relation.related in source.schema.collections:
            is_shown = is_named or self._is_readable(relation.related)
            return {name: _Wanted("one", original, relation, inner) if is_shown else _Wanted("column", field_name)}
        if not is_named:
            return {name: _Wanted("column", field_name)}
        reason = f"`{field_name}` of `{source.collection.name}` does not refer to other items"
        raise Forbidden(f"{reason}.", reason=reason)

    def _any(self, relation: Relation, name: str, scope: str, inner: Tree) -> dict[str, _Wanted]:
        """A field that refers to items of several collections: what is asked of each of them, or of one."""
        if scope in self.build.schema.collections and not self._is_readable(scope):
            return {name.partition(":")[0]: _Wanted("column", relation.field)}
        if scope:
            return {name: _Wanted("one", name, relation, inner or {"*": {}})}
        wanted = {}
        for collection in relation.allowed_collections:
            known = self.build.schema.collections.get(collection)
            fields = {key: entry for key, entry in inner.items() if key == "*" or (known and key in known.named)}
            if fields and self._is_readable(collection):
                wanted[f"{name}:{collection}"] = _Wanted("one", f"{relation.field}:{collection}", relation, fields)
        return wanted

    def _is_left_out(self, source: Source, name: str, *, leads_on: bool) -> bool:
        """Whether a field refers to items of which the actor sees none: that is left out, and nothing said of it."""
        schema, item = source.schema, source.collection.fields.get(name)
        if item is None or source.rule is None or not (leads_on or (item.is_alias and source.rule.has(name))):
            return False
        relation = (schema.inverse if item.is_alias else schema.relation)(item.collection, name)
        if relation is None:
            return False
        related = relation.collection if item.is_alias else relation.related
        return related is not None and not self._is_readable(related)

    def _is_readable(self, collection: str | None) -> bool:
        rights = self.build.rights
        return collection in self.build.schema.collections and (rights is None or collection in rights.rules)


def _key_of(source: Source, other: Source, found: _Wanted) -> sa.ColumnElement[Any]:
    """The column that is null where there is no such item."""
    assert found.relation is not None
    if ":" in found.source:
        assert other.collection.primary is not None
        return other.table.c[other.collection.primary.name]
    key: sa.ColumnElement[Any] = other.table.c[source.key_of(found.relation)]
    return key


def _limited(statement: sa.Select[Any], selection: Selection) -> sa.Select[Any]:
    if not selection.is_limited:
        return statement
    return statement.limit(sa.bindparam("limit")).offset(sa.bindparam("offset"))


def _one_of(column: sa.ColumnElement[Any], name: str, count: int) -> sa.ColumnElement[bool]:
    if count == 0:
        return sa.false()
    if count == 1:
        return column == sa.bindparam(f"{name}0")
    return column.in_([sa.bindparam(f"{name}{number}") for number in range(count)])
