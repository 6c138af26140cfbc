"""What a database refuses, as typed errors: constraints, lengths, ranges and types, on every database alike."""

import re
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import sqlalchemy as sa

from datastead.data.engine import Transaction
from datastead.data.mariadb_reflection import index_columns
from datastead.data.schema import Collection, Schema
from datastead.data.values import shortened
from datastead.data.wire import CONCEALED
from datastead.errors import (
    DatasteadError,
    FailedValidation,
    InvalidForeignKey,
    InvalidPayload,
    NotNullViolation,
    RecordNotUnique,
    ServiceUnavailable,
    ValueOutOfRange,
    ValueTooLong,
)

Kind = Literal[
    "unique",
    "not_null",
    "foreign_key",
    "check",
    "raised",
    "too_long",
    "out_of_range",
    "wrong_type",
    "stale",
    "busy",
    "slow",
    "other",
]

PLPGSQL_RAISE = "exec_stmt_raise"
"""Where in PostgreSQL an exception comes from that a function of the user's own has raised, with any code."""

_KEY_DETAIL = re.compile(r"\((.*?)\)=\((.*)\)")
_SQLSTATES: dict[str, Kind] = {
    "23505": "unique", "23502": "not_null", "23503": "foreign_key", "23001": "foreign_key", "23514": "check",
    "23P01": "unique", "22001": "too_long", "22003": "out_of_range", "22008": "out_of_range",
    "42703": "stale", "42P01": "stale", "40001": "busy", "40P01": "busy", "55P03": "busy", "57014": "slow",
    "44000": "raised", "P0001": "raised", "54000": "raised", "428C9": "wrong_type",
    "42804": "wrong_type", "42883": "wrong_type", "42846": "wrong_type", "0A000": "wrong_type",
}  # fmt: skip
_SQLITE_CODES: dict[str, Kind] = {
    "SQLITE_CONSTRAINT_UNIQUE": "unique", "SQLITE_CONSTRAINT_PRIMARYKEY": "unique", "SQLITE_CONSTRAINT_ROWID": "unique",
    "SQLITE_CONSTRAINT_NOTNULL": "not_null", "SQLITE_CONSTRAINT_FOREIGNKEY": "foreign_key",
    "SQLITE_CONSTRAINT_CHECK": "check", "SQLITE_CONSTRAINT_DATATYPE": "wrong_type", "SQLITE_MISMATCH": "wrong_type",
    "SQLITE_TOOBIG": "too_long", "SQLITE_CONSTRAINT_TRIGGER": "raised",
    "SQLITE_INTERRUPT": "slow",
}  # fmt: skip


REFERENCED = 1451
_MARIADB_CODES: dict[int, Kind] = {
    1062: "unique", 1586: "unique", 1048: "not_null", 1364: "not_null", 1138: "not_null", 1451: "foreign_key",
    1452: "foreign_key", 4025: "check", 1644: "raised", 1406: "too_long", 1153: "too_long", 1118: "too_long",
    1264: "out_of_range", 1690: "out_of_range", 1367: "out_of_range", 1292: "wrong_type", 1366: "wrong_type",
    4048: "wrong_type", 4049: "wrong_type", 4050: "wrong_type", 4076: "wrong_type",
    1265: "wrong_type", 1525: "wrong_type", 1411: "wrong_type", 1416: "wrong_type", 1906: "wrong_type",
    4079: "wrong_type", 1054: "stale", 1146: "stale", 1412: "stale", 1932: "stale", 1213: "busy", 1205: "busy",
    1020: "busy", 1969: "slow", 1927: "busy", 1053: "busy", 2006: "busy", 2013: "busy", 2055: "busy",
}  # fmt: skip
_DUPLICATE = re.compile(r"Duplicate entry '(.*)' for key '(?:[^']*\.)?([^']+)'", re.DOTALL)
_MARIADB_COLUMN = re.compile(r"(?:Column|column|Field) (?:`[^`]*`\.`[^`]*`\.`([^`]+)`|'([^']+)')")
_MARIADB_KEY = re.compile(r"\(`[^`]*`\.`([^`]+)`, CONSTRAINT `([^`]+)` FOREIGN KEY \(`([^`]+)`")
_MARIADB_CHECK = re.compile(r"CONSTRAINT `([^`]+)` failed")


@dataclass(frozen=True, slots=True)
class Violation:
    """What was refused. columns: where the database said so. table: the one at the other end of a foreign key.

    said: the words of a trigger or a view of the user's own, which refused it (`raised`).

    is_referenced: the key of something is still in use; otherwise what a new key refers to does not exist.
    """

    kind: Kind
    columns: tuple[str, ...] = ()
    value: str | None = None
    constraint: str | None = None
    table: str | None = None
    is_referenced: bool = False
    said: str | None = None


def violation_of(error: sa.exc.DBAPIError) -> Violation:
    """Reads the driver's error."""
    original = error.orig
    if isinstance(original, Exception) and type(original).__module__.startswith("pymysql"):
        return _of_mariadb(original)
    if hasattr(original, "sqlstate"):
        return _of_postgresql(original)
    return _of_sqlite(original)


def _of_postgresql(error: Any) -> Violation:
    state = error.sqlstate or ""
    kind = _SQLSTATES.get(state) or ("wrong_type" if state.startswith("22") else "other")
    if kind == "raised" or (kind == "other" and error.diag.source_function == PLPGSQL_RAISE):
        return Violation("raised", said=error.diag.message_primary)
    detail = error.diag.message_detail or ""
    match = _KEY_DETAIL.search(detail)
    columns = tuple(part.strip(' "') for part in match[1].split(",")) if match else ()
    if error.diag.column_name:
        columns = (error.diag.column_name,)
    referring = error.diag.table_name if kind == "foreign_key" else None
    # two tables and a constraint are named where something still refers to a row, one table where the row is missing
    is_referenced = kind == "foreign_key" and (error.diag.message_primary or "").count('"') > 4
    return Violation(kind, columns, match[2] if match else None, error.diag.constraint_name, referring, is_referenced)


def _of_mariadb(error: Exception) -> Violation:
    code, text = error.args[0], str(error.args[1]) if len(error.args) > 1 else ""
    kind: Kind = _MARIADB_CODES.get(code, "wrong_type" if type(error).__name__ == "DataError" else "other")
    if kind == "raised":
        return Violation(kind, said=text)
    if kind == "unique" and (match := _DUPLICATE.search(text)):
        return Violation(kind, value=match[1], constraint=match[2])
    if kind == "foreign_key" and (match := _MARIADB_KEY.search(text)):
        is_referenced = code == REFERENCED
        return Violation(kind, (match[3],), None, match[2], match[1], is_referenced)
    if kind == "check" and (match := _MARIADB_CHECK.search(text)):
        return Violation(kind, constraint=match[1])
    column = _MARIADB_COLUMN.search(text)
    return Violation(kind, (column[1] or column[2],) if column else ())


def _of_sqlite(error: Any) -> Violation:
    code = getattr(error, "sqlite_errorname", "")
    text = str(error)
    kind: Kind = _SQLITE_CODES.get(code, "other")
    if kind == "raised":  # also what `ON DELETE RESTRICT` refuses
        return Violation("foreign_key") if text == "FOREIGN KEY constraint failed" else Violation(kind, said=text)
    if "no such column" in text or "no such table" in text or "has no column" in text:
        kind = "stale"
    elif code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        kind = "busy"
    elif kind == "other" and isinstance(error, sqlite3.DataError | sqlite3.InterfaceError):
        kind = "wrong_type"
    names = text.partition("constraint failed: ")[2]
    columns = tuple(name.strip().rpartition(".")[2] for name in names.split(",") if "." in name)
    return Violation(kind, columns, constraint=names or None)


def typed_error(
    error: sa.exc.DBAPIError,
    transaction: Transaction | None,
    schema: Schema,
    collection: Collection,
    row: Mapping[str, Any],
) -> DatasteadError | None:
    """The error to answer with, or None where the database's own fault is no fault of the caller's.

    row: the values that were to be written. transaction: to look for the missing item, where it is not named.
    """
    found = _with_columns(violation_of(error), transaction, collection)
    if found.kind == "foreign_key":
        return _foreign_key(found, transaction, schema, collection, row)
    if found.kind in {"too_long", "out_of_range", "wrong_type"}:
        return _unfit(found, collection, row, error)
    return _constraint(found, collection, row)


def _with_columns(found: Violation, transaction: Transaction | None, collection: Collection) -> Violation:
    """With the columns of the index that MariaDB has named."""
    if found.kind != "unique" or found.columns or found.constraint is None or transaction is None:
        return found
    return replace(found, columns=index_columns(transaction, collection.name, found.constraint))


def _constraint(found: Violation, collection: Collection, row: Mapping[str, Any]) -> DatasteadError | None:
    name, field = collection.name, found.columns[0] if found.columns else None
    if found.kind == "unique":
        value = _value(collection, field, row.get(field or "", found.value))
        fields = ", ".join(f"`{column}`" for column in found.columns) or "the item"
        message = f"The value `{value}` of {fields} in `{name}` is taken: it has to be unique."
        is_key = collection.primary is not None and collection.primary.name == field
        return RecordNotUnique(message, collection=name, field=field, value=value, primaryKey=is_key)
    if found.kind == "not_null":
        return NotNullViolation(f"The field `{field}` of `{name}` needs a value.", collection=name, field=field)
    if found.kind == "check":
        reason = f"The values do not pass the check `{found.constraint or ''}` of `{name}`"
        return FailedValidation(f"{reason}.", reason=reason, collection=name, field=field, type="check", path=[])
    if found.kind == "raised":
        reason = f"The database refused the values of `{name}`: {shortened(found.said or '')}"
        return FailedValidation(f"{reason}.", reason=reason, collection=name, type="check", path=[])
    return ServiceUnavailable("The database is busy: try again.") if found.kind == "busy" else None


def _value(collection: Collection, field: str | None, value: Any) -> Any:
    known = collection.fields.get(field or "")
    if known is not None and known.is_concealed:
        return CONCEALED
    return value if isinstance(value, int | float | None) else shortened(value)


def _foreign_key(
    found: Violation, transaction: Transaction | None, schema: Schema, collection: Collection, row: Mapping[str, Any]
) -> InvalidForeignKey:
    if found.is_referenced:
        return _still_referenced(collection, found.table, found.value)
    field = found.columns[0] if found.columns else None
    if field is None and transaction is not None:
        field = _missing_reference(transaction, schema, collection, row)
    if field is None:
        return _still_referenced(collection, None, None)
    value = _value(collection, field, row.get(field, found.value))
    return InvalidForeignKey(
        f"There is no item `{value}` for the field `{field}` of `{collection.name}`.",
        collection=collection.name, field=field, value=value,
    )  # fmt: skip


def _still_referenced(collection: Collection, table: str | None, value: str | None) -> InvalidForeignKey:
    by = f"`{table}`" if table else "other items"
    key = collection.primary.name if collection.primary else None
    return InvalidForeignKey(
        f"The item of `{collection.name}` is referred to by {by}.", collection=collection.name, field=key, value=value
    )


def _missing_reference(
    transaction: Transaction, schema: Schema, collection: Collection, row: Mapping[str, Any]
) -> str | None:
    """The field of the row that refers to nothing: SQLite does not say which."""
    for relation in schema.relations:
        key = relation.column.foreign_key if relation.column and relation.collection == collection.name else None
        if key is None or row.get(relation.field) is None:
            continue
        column: sa.ColumnClause[Any] = sa.column(key.column or "rowid")
        statement = (
            sa.select(sa.literal(1)).select_from(sa.table(key.table)).where(column == row[relation.field]).limit(1)
        )
        if transaction.execute(statement).first() is None:
            return relation.field
    return None


def _unfit(
    found: Violation, collection: Collection, row: Mapping[str, Any], error: sa.exc.DBAPIError
) -> DatasteadError:
    field = found.columns[0] if found.columns else _suspect(found.kind, collection, row, error)
    value = _value(collection, field, row.get(field or ""))
    where = f"the field `{field}`" if field else "a field"
    kinds: dict[str, tuple[type[DatasteadError], str]] = {
        "too_long": (ValueTooLong, "is too long for"),
        "out_of_range": (ValueOutOfRange, "is out of the range of"),
    }
    made, words = kinds.get(found.kind, (InvalidPayload, "does not fit"))
    reason = f"The value `{value}` {words} {where} of `{collection.name}`"
    return made(f"{reason}.", reason=reason, collection=collection.name, field=field, value=value)


def _suspect(kind: str, collection: Collection, row: Mapping[str, Any], error: sa.exc.DBAPIError) -> str | None:
    """The field whose value the database has named, or the only one that it can be."""
    text = str(error.orig)
    named = [name for name, value in row.items() if isinstance(value, str) and value and f'"{value}"' in text]
    if len(named) == 1:
        return named[0]
    if kind == "out_of_range":
        numbers = [
            name
            for name in row
            if (known := collection.fields.get(name)) and known.type in {"decimal", "integer", "float"}
        ]
        return numbers[0] if len(numbers) == 1 else None
    return next(iter(row)) if len(row) == 1 else None
