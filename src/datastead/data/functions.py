"""Functions of the query language: parts of moments, and counts. `year(published_on)` becomes an expression, on each
database its own. They give integers everywhere.
"""

import re
from typing import Any, NamedTuple

import sqlalchemy as sa

from datastead.data.schema import Column, Field
from datastead.errors import InvalidQuery

_CALL = re.compile(r"([a-z]+)\(([^()]+)\)")

PARTS = {
    "year": ("%Y", "year"), "month": ("%m", "month"), "week": ("", "week"), "day": ("%d", "day"),
    "weekday": ("%w", "dow"), "hour": ("%H", "hour"), "minute": ("%M", "minute"), "second": ("%S", "second"),
}  # fmt: skip
"""By name: SQLite's format, PostgreSQL's word."""
MARIADB_PARTS = {"day": "dayofmonth"}

COUNT = "count"
OF_DATES = ("year", "month", "week", "day", "weekday")
OF_TIMES = ("hour", "minute", "second")


class Call(NamedTuple):
    """A function of a field. output: the name under which its value stands in an item."""

    function: str
    field: str

    @property
    def output(self) -> str:
        return f"{self.field}_{self.function}"


def call_of(name: str) -> Call | None:
    """The call that a name spells, or None. Raises `InvalidQuery` for a function that there is not."""
    if "(" not in name and ")" not in name:
        return None
    match = _CALL.fullmatch(name)
    if match is None or match[1] not in {*PARTS, COUNT}:
        known = ", ".join(f"`{function}`" for function in (*PARTS, COUNT))
        reason = f"`{name[:100]}` is no function of a field; there are {known}"
        raise InvalidQuery(f"{reason}.", reason=reason)
    return Call(match[1], match[2])


def integer_field(collection: str, name: str) -> Field:
    """What the value of a function is, seen as a field."""
    return Field(collection, name, "integer", column=Column(name, collection, "bigint", type="bigInteger"))


def part_of(function: str, item: Field, column: sa.ColumnElement[Any], dialect: str) -> sa.ColumnElement[Any]:
    """A part of a moment. Raises `InvalidQuery` for a field that has none."""
    allowed = {"date": OF_DATES, "time": OF_TIMES, "dateTime": tuple(PARTS), "timestamp": tuple(PARTS)}
    if function not in allowed.get(item.type, ()):
        reason = f"`{item.collection}.{item.name}` is of the type `{item.type}`, which has no `{function}`"
        raise InvalidQuery(f"{reason}.", reason=reason)
    if dialect == "sqlite":
        return _sqlite_part(function, column)
    if dialect == "mariadb":
        return _mariadb_part(function, column)
    if item.type == "timestamp" and item.column is not None and item.column.data_type == "timestamp with time zone":
        column = sa.func.timezone(sa.literal_column("'UTC'"), column)
    return sa.cast(sa.func.floor(sa.func.date_part(sa.literal_column(f"'{PARTS[function][1]}'"), column)), sa.Integer)


def _sqlite_part(function: str, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """Moments are text, or milliseconds since 1970 where Directus has written them."""
    if function == "week":
        return sa.func.iso_week(column)
    form: sa.ColumnElement[Any] = sa.literal_column(f"'{PARTS[function][0]}'")
    unix: sa.ColumnElement[Any] = sa.literal_column("'unixepoch'")
    is_number = sa.func.typeof(column) == sa.literal_column("'integer'")
    of_number = sa.func.strftime(form, column / sa.literal_column("1000"), unix)
    return sa.cast(sa.case((is_number, of_number), else_=sa.func.strftime(form, column)), sa.Integer)


def _mariadb_part(function: str, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    one: sa.ColumnElement[Any] = sa.literal_column("1")
    if function == "week":
        return sa.func.week(column, sa.literal_column("3"))  # from Monday on, and the first has four days or more
    if function == "weekday":
        return sa.func.dayofweek(column) - one
    made: sa.ColumnElement[Any] = getattr(sa.func, MARIADB_PARTS.get(function, function))(column)
    return made


def length_of(item: Field, column: sa.ColumnElement[Any], dialect: str) -> sa.ColumnElement[Any]:
    """How many entries a JSON list has; null where it is none. Raises `InvalidQuery` for another type."""
    if item.type != "json":
        reason = f"`{item.collection}.{item.name}` is of the type `{item.type}`, which cannot be counted"
        raise InvalidQuery(f"{reason}.", reason=reason)
    if dialect == "sqlite":
        is_list = sa.func.json_type(column) == sa.literal_column("'array'")
        valid = sa.and_(sa.func.json_valid(column) == sa.literal_column("1"), is_list)
        return sa.case((valid, sa.func.json_array_length(column)))
    if dialect == "mariadb":
        is_list = sa.func.json_type(column) == sa.literal_column("'ARRAY'")
        valid = sa.and_(sa.func.json_valid(column) == sa.literal_column("1"), is_list)
        return sa.case((valid, sa.func.json_length(column)))
    as_json: sa.ColumnElement[Any] = sa.cast(column, sa.dialects.postgresql.JSONB)
    is_list = sa.func.jsonb_typeof(as_json) == sa.literal_column("'array'")
    return sa.case((is_list, sa.func.jsonb_array_length(as_json)))
