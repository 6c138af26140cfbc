"""A query and the schema to one SELECT, and how its rows become items. Pure; made once per shape of query.

Fields through a many-to-one relation are joined. Those of a to-many relation take one more SELECT a level (`Many`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from datastead.data.conditions import Source, conditions, matches
from datastead.data.filters import EVERYTHING, Node
from datastead.data.links import Prepared
from datastead.data.schema import Collection, Relation, Schema
from datastead.data.values import Encoder
from datastead.data.wire import Decoder, decoder, plain
from datastead.errors import Forbidden, InvalidQuery

Row = tuple[Any, ...]
Tree = dict[str, "Tree"]
Prepare = Callable[[sa.ClauseElement], Prepared]

MAX_OUTPUTS = 1000


@dataclass(frozen=True, slots=True)
class Selection:
    """What to select: the shape of a read, hashable, so that its plan can be kept.

    keys: how many primary keys are asked for, or None. owned_by, owners: of a to-many level, the field that refers to
    the owners, and how many they are. searched: what the term can be read as (`Search.shape`).
    """

    fields: tuple[str, ...] = ("*",)
    node: Node = EVERYTHING
    sort: tuple[str, ...] = ()
    searched: tuple[str, ...] = ()
    is_limited: bool = False
    is_counted: bool = False
    keys: int | None = None
    owned_by: str | None = None
    owners: int = 0


@dataclass(frozen=True, slots=True)
class Many:
    """A to-many field. key: the column of the row that its items refer to. fields: of each item; none = its key."""

    index: int
    name: str
    key: int
    relation: Relation
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """How the columns from start to stop become an item.

    nested: name, the column that is null where there is no such item, and its shape.
    """

    start: int
    stop: int
    names: tuple[str, ...]
    decoders: tuple[tuple[str, Decoder], ...] = ()
    nested: "tuple[tuple[str, int, Shape], ...]" = ()
    many: tuple[Many, ...] = ()

    def build(self, row: Row, owned: list[list[tuple[Any, dict[str, Any]]]]) -> dict[str, Any]:
        """The item of a row. owned: for each to-many field, the keys and items that wait for it."""
        item = dict(zip(self.names, row[self.start : self.stop], strict=True))
        for name, decode in self.decoders:
            value = item[name]
            if value is not None:
                item[name] = decode(value)
        for name, key, shape in self.nested:
            item[name] = None if row[key] is None else shape.build(row, owned)
        for many in self.many:
            item[many.name] = []
            owned[many.index].append((row[many.key], item))
        return item


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled read. encoders: for the filter's values, in order."""

    prepared: Prepared
    encoders: tuple[Encoder, ...]
    shape: Shape
    many: tuple[Many, ...] = ()
    owner: int | None = None

    def items(self, rows: list[Row]) -> tuple[list[dict[str, Any]], list[list[tuple[Any, dict[str, Any]]]]]:
        """The items of the rows, and what waits for its to-many fields."""
        owned: list[list[tuple[Any, dict[str, Any]]]] = [[] for _ in self.many]
        for position, row in enumerate(rows):
            if bytes in map(type, row):  # SQLite lets others write bytes anywhere
                rows[position] = tuple(plain(value) for value in row)
        shape = self.shape
        if shape.nested or shape.many:
            return [shape.build(row, owned) for row in rows], owned
        items = [dict(zip(shape.names, row, strict=False)) for row in rows]
        for name, decode in shape.decoders:
            for item in items:
                value = item[name]
                if value is not None:
                    item[name] = decode(value)
        return items, owned


def tree_of(fields: Iterable[str], max_depth: int) -> Tree:
    """Paths as a tree. Raises `InvalidQuery` on what is too deep, or not supported."""
    tree: Tree = {}
    for path in fields:
        names = path.split(".")
        if len(names) > max_depth:
            reason = f"`{path[:100]}` reaches deeper than {max_depth} levels"
            raise InvalidQuery(f"{reason}.", reason=reason)
        if "(" in path or ":" in path:
            reason = f"`{path[:100]}`: functions and collection names in `fields` are not supported in this version"
            raise InvalidQuery(f"{reason}.", reason=reason)
        place = tree
        for name in names:
            place = place.setdefault(name, {})
    return tree


def paths_of(tree: Tree) -> tuple[str, ...]:
    """The paths of a tree, as `tree_of` takes them."""
    return tuple(
        f"{name}.{path}" if path else name for name, inner in tree.items() for path in (paths_of(inner) or ("",))
    )


def compile_read(
    schema: Schema, collection: Collection, selection: Selection, prepare: Prepare, *, dialect: str, max_depth: int
) -> Plan:
    """Raises `Forbidden` for unknown fields, `InvalidQuery` for what a field cannot be asked."""
    return _Compiler(schema, dialect, max_depth, prepare).read(collection, selection)


@dataclass
class _Compiler:
    schema: Schema
    dialect: str
    max_depth: int
    prepare: Prepare
    outputs: list[sa.ColumnElement[Any]] = field(default_factory=list)
    many: list[Many] = field(default_factory=list)
    encoders: list[Encoder] = field(default_factory=list)

    def read(self, collection: Collection, selection: Selection) -> Plan:
        source = Source(self.schema, collection, collection.table, self.dialect, self.max_depth)
        shape = self._shape(source, tree_of(selection.fields, self.max_depth)) if not selection.is_counted else None
        owner = self._output(source, selection.owned_by) if selection.owned_by and shape else None
        wheres = list(self._wheres(source, selection))
        order = [] if selection.is_counted else self._order(source, selection.sort)
        columns = self.outputs or [sa.func.count() if selection.is_counted else sa.literal_column("1")]
        statement = sa.select(*columns).select_from(source.joined).where(*wheres).order_by(*order)
        if selection.is_limited and not selection.owned_by:
            statement = statement.limit(sa.bindparam("limit")).offset(sa.bindparam("offset"))
        return Plan(self.prepare(statement), tuple(self.encoders), shape or Shape(0, 0, ()), tuple(self.many), owner)

    def _wheres(self, source: Source, selection: Selection) -> Iterable[sa.ColumnElement[bool]]:
        yield conditions(source, selection.node, self.encoders)
        if selection.searched:
            yield matches(source, selection.searched)
        if selection.keys is not None and source.collection.primary is not None:
            yield _one_of(source.table.c[source.collection.primary.name], "key", selection.keys)
        if selection.owned_by:
            yield _one_of(source.table.c[selection.owned_by], "owner", selection.owners)
            if selection.is_limited:
                yield self._first_of_each(source.collection, selection)

    def _first_of_each(self, collection: Collection, selection: Selection) -> sa.ColumnElement[bool]:
        """The first so many items of each owner."""
        if collection.primary is None or selection.owned_by is None:
            return sa.true()
        table = collection.table.alias("ranked")
        key = table.c[collection.primary.name]
        order = [table.c[name].asc().nulls_last() for name in selection.sort] + [key.asc()]
        number = sa.func.row_number().over(partition_by=table.c[selection.owned_by], order_by=order)
        ranked = (
            sa.select(key.label("key"), number.label("number"))
            .where(_one_of(table.c[selection.owned_by], "owner", selection.owners))
            .subquery("ranked_items")
        )
        first = sa.select(ranked.c.key).where(ranked.c.number <= sa.bindparam("limit"))
        return collection.table.c[collection.primary.name].in_(first)

    def _shape(self, source: Source, tree: Tree) -> Shape:
        wanted = _expanded(source, tree)
        scalars = [name for name, (kind, _, _) in wanted.items() if kind == "column"]
        start = len(self.outputs)
        for name in scalars:
            self._output(source, name)
        stop = len(self.outputs)
        fields = source.collection.fields
        decoders = ((name, decoder(fields[name], self.dialect)) for name in scalars)
        nested, many = [], []
        for name, (kind, relation, inner) in wanted.items():
            if kind == "one" and relation is not None:
                other = source.join(name)
                key = self._output(other, source.key_of(relation))
                nested.append((name, key, self._shape(other, inner)))
            elif kind == "many" and relation is not None:
                key = self._output(source, source.key_of(relation))
                entry = Many(len(self.many), name, key, relation, paths_of(inner))
                self.many.append(entry)
                many.append(entry)
        known = tuple((name, decode) for name, decode in decoders if decode is not None)
        return Shape(start, stop, tuple(scalars), known, tuple(nested), tuple(many))

    def _output(self, source: Source, name: str) -> int:
        """Adds a column to the SELECT; its position."""
        if len(self.outputs) >= MAX_OUTPUTS:
            raise InvalidQuery(f"A query may ask for {MAX_OUTPUTS} fields.", reason="too many fields")
        self.outputs.append(source.table.c[name].label(f"c{len(self.outputs)}"))
        return len(self.outputs) - 1

    def _order(self, source: Source, sort: Sequence[str]) -> list[sa.ColumnElement[Any]]:
        """As asked, then by the key, so that pages do not overlap. Nulls are the largest, on every database."""
        order = [self._sorted(source, name) for name in sort]
        primary = source.collection.primary
        if primary is not None and not {primary.name, f"-{primary.name}"} & set(sort):
            order.append(source.table.c[primary.name].asc())
        return order

    def _sorted(self, source: Source, name: str) -> sa.ColumnElement[Any]:
        path = name.removeprefix("-").split(".")
        owner = source.follow(path[:-1])
        item = owner.collection.field(path[-1])
        if item.column is None or item.is_concealed or item.type in {"json", "binary"}:
            reason = f"`{name[:100]}` cannot be sorted by"
            raise InvalidQuery(f"{reason}.", reason=reason)
        column = owner.table.c[item.name]
        is_nullable = item.column.is_nullable or len(path) > 1
        if name.startswith("-"):
            return column.desc().nulls_first() if is_nullable else column.desc()
        return column.asc().nulls_last() if is_nullable else column.asc()


def _one_of(column: sa.ColumnElement[Any], name: str, count: int) -> sa.ColumnElement[bool]:
    if count == 0:
        return sa.false()
    if count == 1:
        return column == sa.bindparam(f"{name}0")
    return column.in_([sa.bindparam(f"{name}{number}") for number in range(count)])


def _expanded(source: Source, tree: Tree) -> Mapping[str, tuple[str, Relation | None, Tree]]:
    """What to read: name -> (column | one | many, its relation, what is asked of it)."""
    collection = source.collection
    wanted: dict[str, tuple[str, Relation | None, Tree]] = {}
    if "*" in tree:
        for name in collection.fields:
            found = _kind(source, name, tree["*"], is_named=False)
            if found is not None:
                wanted[name] = found
    for name, inner in tree.items():
        if name != "*":
            found = _kind(source, name, inner, is_named=True)
            if found is not None:
                wanted[name] = found
    return wanted


def _kind(source: Source, name: str, inner: Tree, *, is_named: bool) -> tuple[str, Relation | None, Tree] | None:
    item = source.collection.field(name)
    inverse = source.schema.inverse(source.collection.name, name)
    if item.is_alias:
        return ("many", inverse, inner) if inverse is not None else None
    if not inner:
        return ("column", None, {})
    relation = source.schema.relation(source.collection.name, name)
    if relation is not None and relation.related in source.schema.collections:
        return ("one", relation, inner)
    if not is_named:
        return ("column", None, {})
    reason = f"`{name}` of `{source.collection.name}` does not refer to other items"
    raise Forbidden(f"{reason}.", reason=reason)
