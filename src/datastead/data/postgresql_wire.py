"""Values on their way out as PostgreSQL itself says them: `wire`, in SQL, for the types where that can be done."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from datastead.data.schema import Field

Value = sa.ColumnElement[Any]
TEXTS = frozenset({"character varying", "character", "text"})
SECOND = 'YYYY-MM-DD"T"HH24:MI:SS'
LAST_YEAR = 9999
"""Of those that Python knows: other moments go out as the database's text."""


@dataclass(frozen=True, slots=True)
class Wire:
    """given: the type as which a value comes out of a JSON object. columns: those that take it of themselves, by the
    names of their types; empty = all. say: from the column to the wire's value; None where JSON has it as it is.
    """

    given: sa.types.TypeEngine[Any]
    columns: frozenset[str] = frozenset()
    say: Callable[[Value], Value] | None = None


def wire_of(item: Field) -> Wire | None:
    """None where the database cannot say the field's values."""
    found = _WIRES.get(item.type)
    if found is None or item.column is None or item.is_concealed or item.column.is_generated:
        return None
    return found if not found.columns or item.column.data_type in found.columns else None


def _text(value: Value) -> Value:
    return sa.cast(value, sa.Text)


def _moments(form: str) -> Callable[[Value], Value]:
    def say(value: Value) -> Value:
        is_known = sa.and_(sa.func.isfinite(value), sa.extract("year", value).between(1, LAST_YEAR))
        return sa.case((is_known, sa.func.to_char(value, sa.literal_column(f"'{form}'"))), else_=_text(value))

    return say


def _time(value: Value) -> Value:
    """Without fractions of a second."""
    return sa.func.left(_text(value), sa.literal_column("8"))


def _float(value: Value) -> Value:
    """JSON has no infinity."""
    names: list[sa.ColumnElement[Any]] = [sa.literal_column(f"'{word}'") for word in ("NaN", "Infinity", "-Infinity")]
    return sa.case((value.in_(names), sa.null()), else_=value)


def _list(value: Value) -> Value:
    return sa.func.to_json(sa.func.string_to_array(value, sa.literal_column("','")))


_WIRES: Mapping[str, Wire] = {
    "string": Wire(sa.Text(), TEXTS),
    "text": Wire(sa.Text(), frozenset({"text"})),
    "csv": Wire(sa.Text(), TEXTS, _list),
    "integer": Wire(sa.BigInteger()),
    "bigInteger": Wire(sa.BigInteger()),
    "float": Wire(sa.Double(), frozenset({"double precision", "real"}), _float),
    "decimal": Wire(sa.Numeric(), frozenset({"numeric"}), _text),
    "boolean": Wire(sa.Boolean(), frozenset({"boolean"})),
    "uuid": Wire(sa.Uuid(), frozenset({"uuid"})),
    "json": Wire(sa.Text(), frozenset({"json", "jsonb"})),
    "timestamp": Wire(
        sa.TIMESTAMP(timezone=True), frozenset({"timestamp with time zone"}), _moments(f'{SECOND}.MS"Z"')
    ),
    "dateTime": Wire(sa.TIMESTAMP(), frozenset({"timestamp without time zone"}), _moments(SECOND)),
    "date": Wire(sa.Date(), frozenset({"date"})),
    "time": Wire(sa.Time(), frozenset({"time without time zone"}), _time),
}  # fmt: skip
