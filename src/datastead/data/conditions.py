"""Filters and search terms to SQL conditions. Pure: what is compared with stays a parameter."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from datastead.data import geometry
from datastead.data.filters import (
    FLAGS,
    LISTS,
    NEVER,
    NIN_OR_NULL,
    QUANTIFIERS,
    RANGES,
    SHAPES,
    Condition,
    Group,
    Nested,
    Node,
)
from datastead.data.functions import call_of, integer_field
from datastead.data.mariadb_reflection import COLLATION
from datastead.data.schema import Field, Relation
from datastead.data.sources import QUERY, Clause, Column, Origin, Source, refused
from datastead.data.values import Encoder, encoder
from datastead.data.wire import GEOMETRIES
from datastead.errors import InvalidQuery, RequestError

TEXT_TYPES = {"string", "text", "csv"}
UNCOMPARED_TYPES = {"json", "binary"}
NUMBER_TYPES = {"integer", "bigInteger", "float", "decimal"}
POSTGRESQL_TEXTS = {"character varying", "character", "text", "citext"}
TEXT_OPERATORS = {
    "_contains", "_ncontains", "_icontains", "_starts_with", "_nstarts_with", "_istarts_with", "_nistarts_with",
    "_ends_with", "_nends_with", "_iends_with", "_niends_with",
}  # fmt: skip


def conditions(source: Source, node: Node, origin: Origin = QUERY) -> Clause:
    """The filter as SQL; its values become parameters of the source's build, in their order. origin: of the values."""
    return _Conditions(origin).of(source, node, None)


class _Conditions:
    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._count = 0

    def of(self, source: Source, node: Node, item: Field | None) -> Clause:
        if isinstance(node, Group):
            return self._group(source, node, item)
        if isinstance(node, Nested):
            return self._nested(source, node, item)
        assert item is not None
        return self._condition(source, node, item)

    def _group(self, source: Source, node: Group, item: Field | None) -> Clause:
        clauses = [self.of(source, entry, item) for entry in node.nodes]
        if not clauses:
            return sa.true()
        return sa.and_(*clauses) if node.kind == "and" else sa.or_(*clauses)

    def _nested(self, source: Source, node: Nested, item: Field | None) -> Clause:
        if item is None:
            return self._field(source, node)
        if item.is_alias:
            return self._some(source, item, Nested(node.name, node.node))
        return self.of(source.join(item.name), Nested(node.name, node.node), None)

    def _field(self, source: Source, node: Nested) -> Clause:
        call = call_of(node.name)
        if call is not None:
            return self._called(source, node.node, source.call(call), integer_field(source.collection.name, node.name))
        name, _, scope = node.name.partition(":")
        item = source.field(name)
        if scope:
            return self.of(source.join(node.name), node.node, None)
        return self._some(source, item, node.node) if item.is_alias else self.of(source, node.node, item)

    def _called(self, source: Source, node: Node, value: Column, item: Field) -> Clause:
        """What has to be true of the value of a function."""
        if isinstance(node, Group):
            return _joined(node.kind, [self._called(source, entry, value, item) for entry in node.nodes])
        if isinstance(node, Nested):
            raise refused(f"`{item.name}` is a number, and has no `{node.name[:100]}`")
        return self._compared(source, node, item, value)

    def _some(self, source: Source, item: Field, node: Node) -> Clause:
        """A to-many field: whether some of its items, or none, are so."""
        relation = source.schema.inverse(source.collection.name, item.name)
        if relation is None:
            raise refused(f"`{item.name}` of `{source.collection.name}` holds nothing that can be filtered")
        if isinstance(node, Condition) and node.operator in {"_null", "_empty"}:
            return sa.not_(self._exists(source, relation, None))
        if isinstance(node, Condition) and node.operator in {"_nnull", "_nempty"}:
            return self._exists(source, relation, None)
        if isinstance(node, Nested) and node.name in QUANTIFIERS:
            found = self._exists(source, relation, node.node)
            return sa.not_(found) if node.name == "_none" else found
        found = self._exists(source, relation, node)
        return sa.or_(found, sa.not_(self._exists(source, relation, None))) if _holds_of_nothing(node) else found

    def _exists(self, source: Source, relation: Relation, node: Node | None) -> Clause:
        inner, tie = source.owned(relation, "some")
        clause = sa.true() if node is None else self._inside(inner, node)
        return (
            sa.select(sa.literal_column("1"))
            .select_from(inner.joined)
            .where(tie, clause)
            .correlate(source.table)
            .exists()
        )

    def _inside(self, inner: Source, node: Node) -> Clause:
        """Operators right on a to-many field are about the key of its items."""
        primary = inner.collection.primary
        if isinstance(node, Condition):
            if primary is None:
                raise refused(f"`{inner.collection.name}` has no primary key")
            return self._condition(inner, node, primary)
        if isinstance(node, Group):
            return _joined(node.kind, [self._inside(inner, entry) for entry in node.nodes])
        return self.of(inner, node, None)

    def _condition(self, source: Source, node: Condition, item: Field) -> Clause:
        return self._compared(source, node, item, source.column(item.name))

    def _compared(self, source: Source, node: Condition, item: Field, column: Column) -> Clause:
        operator = node.operator
        if operator == NEVER:
            return sa.false()
        if operator in FLAGS:
            return _flag(column, operator, is_text=item.type in TEXT_TYPES or item.is_concealed)
        if operator == NIN_OR_NULL:
            return self._not_in_with_null(source, node, item, column)
        _check_operator(item, operator)
        if operator in SHAPES:
            return self._met(source, node, item, column)
        if operator in TEXT_OPERATORS:
            values = self._values(source, node, _needle)
            return _text(_as_text(column, item, source.dialect), node, values, source.dialect)
        return self._valued(source, node, item, column)

    def _valued(self, source: Source, node: Condition, item: Field, column: Column) -> Clause:
        operator, values = node.operator, self._values(source, node, _for_filter(item, source.dialect))
        if operator in LISTS:
            return _listed(column, operator, values)
        if operator in RANGES:
            low, high = values
            between = column.between(low, high)
            return between if operator == "_between" else sa.not_(between)
        return _COMPARISONS[operator](column, values[0])

    def _met(self, source: Source, node: Condition, item: Field, column: Column) -> Clause:
        geometry.require(node.operator, source.dialect, has_postgis=source.schema.has_postgis)
        assert item.column is not None
        (shape,) = self._values(source, node, _shape_for(source.dialect))
        native = item.column.native
        if native is None and source.dialect == "mariadb":
            column = _as_text(column, item, source.dialect)
        return geometry.meets(column, native, shape, node.operator, source.dialect)

    def _not_in_with_null(self, source: Source, node: Condition, item: Field, column: Column) -> Clause:
        """As the contract has it: of numbers null is passed over, of the rest it is not known to be different."""
        _check_operator(item, "_nin")
        others = _listed(column, "_nin", self._values(source, node, _for_filter(item, source.dialect)))
        return sa.and_(column.is_not(None) if item.type in NUMBER_TYPES else sa.false(), others)

    def _values(self, source: Source, node: Condition, encode: Encoder) -> list[Column]:
        first = self._count
        self._count += node.arity
        return [source.build.parameter(encode, (*self._origin, number)) for number in range(first, self._count)]


def _holds_of_nothing(node: Node) -> bool:
    """Whether an item would be found that has nulls only: then it is found without any item in its to-many field."""
    if isinstance(node, Group):
        return (all if node.kind == "and" else any)(map(_holds_of_nothing, node.nodes))
    if isinstance(node, Nested):
        return node.name not in QUANTIFIERS and _holds_of_nothing(node.node)
    return node.operator in {"_null", "_empty"}


def _joined(kind: str, clauses: Sequence[Clause]) -> Clause:
    return sa.and_(sa.true(), *clauses) if kind == "and" else sa.or_(sa.false(), *clauses)


_COMPARISONS: dict[str, Callable[[Column, Column], Clause]] = {
    "_eq": lambda column, value: column == value,
    "_neq": lambda column, value: column != value,
    "_lt": lambda column, value: column < value,
    "_lte": lambda column, value: column <= value,
    "_gt": lambda column, value: column > value,
    "_gte": lambda column, value: column >= value,
}


def _check_operator(item: Field, operator: str) -> None:
    is_refused = (
        item.is_concealed
        or (operator in SHAPES) is not (item.type in GEOMETRIES)
        or item.type in UNCOMPARED_TYPES
        or (operator in TEXT_OPERATORS and item.type not in TEXT_TYPES)
        or (item.type == "boolean" and operator not in {"_eq", "_neq", *LISTS})
    )
    if is_refused:
        raise refused(
            f"`{item.collection}.{item.name}` is of the type `{item.type}`, which has no operator `{operator}`"
        )


def _for_filter(item: Field, dialect: str) -> Encoder:
    """As for a payload, but a value that does not fit is a fault of the query."""
    encode = encoder(item, dialect, bounded=False)

    def checked(value: Any) -> Any:
        try:
            return encode(value)
        except RequestError as error:
            raise InvalidQuery(
                f"The filter is not valid: {error.message}", reason=error.message, field=item.name
            ) from error

    return checked


def _shape_for(dialect: str) -> Encoder:
    return (lambda shape: shape.number) if dialect == "sqlite" else (lambda shape: shape.geojson)


def _needle(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    if "\0" in text:
        raise refused("a text holds a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise refused("a text is not valid Unicode") from None
    return text


def _flag(column: Column, operator: str, *, is_text: bool) -> Clause:
    if operator == "_null" or (operator == "_empty" and not is_text):
        return column.is_(None)
    if operator == "_nnull" or not is_text:
        return column.is_not(None)
    if operator == "_empty":
        return sa.or_(column.is_(None), column == sa.literal_column("''"))
    return sa.and_(column.is_not(None), column != sa.literal_column("''"))


def _listed(column: Column, operator: str, values: Sequence[Column]) -> Clause:
    if not values:
        return sa.false() if operator == "_in" else sa.true()
    return column.in_(values) if operator == "_in" else column.not_in(values)


def _as_text(column: Column, item: Field, dialect: str) -> Column:
    """PostgreSQL finds no text in its own enumerations and the like; MariaDB's text may be of any character set."""
    assert item.column is not None
    if dialect == "mariadb":
        return sa.func.convert(column.op("USING")(sa.literal_column("utf8mb4")))
    if dialect == "sqlite" or item.column.data_type in POSTGRESQL_TEXTS:
        return column
    return sa.cast(column, sa.Text)


class _TextOperator(NamedTuple):
    place: str  # anywhere | start | end
    folds: bool
    negated: bool


def _text_operator(operator: str) -> _TextOperator:
    name = operator.removeprefix("_")
    negated = name.startswith("n")
    name = name.removeprefix("n")
    folds = name.startswith("i")
    name = name.removeprefix("i")
    return _TextOperator({"contains": "anywhere", "starts_with": "start", "ends_with": "end"}[name], folds, negated)


def _text(column: Column, node: Condition, values: Sequence[Column], dialect: str) -> Clause:
    """Case counts unless the operator says otherwise, on every database."""
    operator = _text_operator(node.operator)
    found = _found(column, values[0], operator, dialect, beyond_ascii=node.folds)
    return sa.not_(found) if operator.negated else found


def _found(column: Column, value: Column, operator: _TextOperator, dialect: str, *, beyond_ascii: bool) -> Clause:
    if operator.folds:
        lower = sa.func.unicode_lower if beyond_ascii and dialect == "sqlite" else sa.func.lower
        column, value = lower(column), lower(value)
    return _PLACES[dialect](column, value, operator.place)


def _in_sqlite(column: Column, value: Column, place: str) -> Clause:
    if place == "anywhere":
        return sa.func.instr(column, value) > sa.literal_column("0")
    if place == "start":
        return sa.func.substr(column, sa.literal_column("1"), sa.func.length(value)) == value
    start = sa.func.length(column) - sa.func.length(value) + sa.literal_column("1")
    return sa.func.substr(column, start) == value


def _in_postgresql(column: Column, value: Column, place: str) -> Clause:
    if place == "anywhere":
        return sa.func.strpos(column, value) > sa.literal_column("0")
    if place == "start":
        return sa.func.starts_with(column, value)
    return sa.func.right(column, sa.func.length(value)) == value


def _in_mariadb(column: Column, value: Column, place: str) -> Clause:
    """Its texts may be of a kind that does not tell cases and accents apart: each character counts here."""
    column, size = sa.collate(column, COLLATION), sa.func.char_length(value)
    if place == "anywhere":
        return sa.func.locate(value, column) > sa.literal_column("0")
    return (sa.func.left if place == "start" else sa.func.right)(column, size) == value


_PLACES: dict[str, Callable[[Column, Column, str], Clause]] = {
    "sqlite": _in_sqlite,
    "postgresql": _in_postgresql,
    "mariadb": _in_mariadb,
}


class Search(NamedTuple):
    """A search term, and what it can be read as besides text."""

    shape: tuple[str, ...]
    values: dict[str, Any]


def search_of(term: str | None, prefix: str = "s") -> Search:
    """Parameters are `text`, `integer`, `float` and `uuid`, after the prefix."""
    if term is None:
        return Search((), {})
    values: dict[str, Any] = {f"{prefix}_text": term.lower()}
    shape = ["text" if term.isascii() else "unicode"]
    for name, read in (("integer", _integer), ("float", _float), ("uuid", _uuid)):
        value = read(term.strip())
        if value is not None:
            values[f"{prefix}_{name}"] = value
            shape.append(name)
    return Search(tuple(shape), values)


def matches(source: Source, shape: Sequence[str], prefix: str = "s") -> Clause:
    """Whether some field of the item holds the term. prefix: of its parameters."""
    clauses = [
        clause
        for item in source.fields().values()
        if item.column is not None
        and not item.is_concealed
        and (clause := _matches(source, item, shape, prefix)) is not None
    ]
    return sa.or_(*clauses) if clauses else sa.false()


def _matches(source: Source, item: Field, shape: Sequence[str], prefix: str) -> Clause | None:
    column = source.column(item.name)
    if item.type in TEXT_TYPES:
        operator = _TextOperator("anywhere", folds=True, negated=False)
        text = _as_text(column, item, source.dialect)
        return _found(text, sa.bindparam(f"{prefix}_text"), operator, source.dialect, beyond_ascii="unicode" in shape)
    if item.type in NUMBER_TYPES:
        kinds = ("integer",) if item.type in {"integer", "bigInteger"} else ("float",)
        return column == sa.bindparam(f"{prefix}_{kinds[0]}") if kinds[0] in shape else None
    if item.type == "uuid" and "uuid" in shape:
        return column == sa.bindparam(f"{prefix}_uuid")
    return None


def _integer(term: str) -> int | None:
    number = int(term) if len(term) < 20 and term.lstrip("-").isdecimal() and term.isascii() else None
    return number if number is not None and -(2**63) <= number < 2**63 else None


def _float(term: str) -> float | None:
    from math import isfinite

    try:
        number = float(term) if term.isascii() and len(term) < 40 else None
    except ValueError:
        return None
    return number if number is not None and isfinite(number) else None


def _uuid(term: str) -> str | None:
    from uuid import UUID

    try:
        return str(UUID(term)) if len(term) == 36 else None
    except ValueError:
        return None
