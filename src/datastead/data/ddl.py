"""Changes of tables, through Alembic's operations. Each runs inside `Database.alter`: whole, or not at all.

MariaDB cannot undo them by itself: there each is done so that it can be (see `reversible.py`).

SQLite cannot change a column or a constraint in place: the table is made anew, its rows are copied, and it takes the
old one's name. Foreign keys are off meanwhile (`begin_alteration`), or the rows that refer to it would be deleted too.
"""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from datastead.data import reversible
from datastead.data.conversion import Convert
from datastead.data.engine import Transaction
from datastead.data.schema import Column, ForeignKey
from datastead.data.tables import unique_sets
from datastead.data.violations import violation_of
from datastead.errors import (
    ContainsNullValues,
    DatasteadError,
    InvalidForeignKey,
    InvalidPayload,
    RecordNotUnique,
    ServiceUnavailable,
    UnprocessableContent,
)

NAMES = {"fk": "%(table_name)s_%(column_0_name)s_foreign", "uq": "%(table_name)s_%(column_0_name)s_unique"}
_NOT_CARRIED = re.compile(r"\b(COLLATE|GENERATED\s+ALWAYS|ON\s+CONFLICT)\b", re.IGNORECASE)

_KEPT = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL AND type <> 'table' ORDER BY rowid"


class Declared(sa.types.UserDefinedType[Any]):
    """A column's type in the words it was declared with, so that a rebuilt table has the same."""

    cache_ok = True

    def __init__(self, words: str) -> None:
        self.words = words

    def get_col_spec(self, **_: Any) -> str:
        return self.words


class _Drop(sa.schema.ExecutableDDLElement):
    """DROP VIEW, DROP TRIGGER."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind = kind
        self.name = name


@compiles(_Drop)
def _compile_drop(element: _Drop, compiler: Any, **_: Any) -> str:
    return f"DROP {element.kind} IF EXISTS {compiler.preparer.quote_identifier(element.name)}"


def foreign_key_name(table: str, column: str) -> str:
    """As Directus names them, within PostgreSQL's 63 characters."""
    return f"{table}_{column}_foreign".lower()[:63]


def create_table(transaction: Transaction, name: str, columns: list[sa.Column[Any]]) -> None:
    """On SQLite, too, a key that counts up gives no number twice: what is about a deleted item is about no new one."""
    counts = any(column.primary_key and column.autoincrement is True for column in columns)
    with _operations(transaction) as operations, reversible.new_table(transaction, name):
        operations.create_table(name, *columns, sqlite_autoincrement=counts)
        for column in columns:
            if column.info.get("is_indexed"):
                operations.create_index(f"{name}_{column.name}_index"[:63], name, [column.name])


def drop_table(transaction: Transaction, name: str) -> None:
    with _operations(transaction) as operations:
        if transaction.undo is not None:
            reversible.drop_table(transaction, name)
        else:
            operations.drop_table(name)


def add_column(transaction: Transaction, table: str, column: sa.Column[Any]) -> None:
    """SQLite adds in place what needs no constraint, and rebuilds the table for the rest."""
    needs_rebuild = transaction.dialect == "sqlite" and (
        bool(column.unique) or (not column.nullable and column.server_default is None) or _is_worked_out(column)
    )
    with reversible.new_column(transaction, table, column):
        change(transaction, table, lambda batch: batch.add_column(column), rebuild=needs_rebuild)
    if column.info.get("is_indexed"):
        set_indexed(transaction, table, column.name, indexed=True)


def _is_worked_out(column: sa.Column[Any]) -> bool:
    default = column.server_default
    return isinstance(default, sa.DefaultClause) and not isinstance(default.arg, str)


def drop_column(transaction: Transaction, table: str, column: Column) -> None:
    """With its indexes."""
    if transaction.undo is not None:
        drop_foreign_key(transaction, table, column)
        with _operations(transaction):
            reversible.drop_column(transaction, table, column.name)
        return
    if transaction.dialect == "sqlite":
        with _operations(transaction) as operations:
            for index in sa.inspect(transaction.connection).get_indexes(table):
                if column.name in index["column_names"] and index["name"]:
                    operations.drop_index(index["name"], table)
    is_plain = not (column.foreign_key or column.is_unique or column.is_indexed)
    freed = None if is_plain else column.name
    change(transaction, table, lambda batch: batch.drop_column(column.name), rebuild=not is_plain, freed=freed)


def alter_column(
    transaction: Transaction, table: str, column: str, convert: Convert | None = None, **options: Any
) -> None:
    """options: those of Alembic's `alter_column`. convert: on SQLite, what values become, or raises."""
    if transaction.undo is not None:
        with _operations(transaction):
            reversible.modify_column(transaction, table, column, **options)
        return
    with _converting(transaction, convert) as impl:
        change(transaction, table, lambda batch: batch.alter_column(column, **options), impl=impl)


@contextmanager
def _converting(transaction: Transaction, convert: Convert | None) -> Iterator[Mapping[str, Any]]:
    """Gives what Alembic is to do in place of a `CAST`. Raises what `convert` raises."""
    if convert is None:
        yield {}
        return
    refused: list[Exception] = []

    def converted(value: Any) -> Any:
        try:
            return None if value is None else convert(value)
        except Exception as error:
            refused.append(error)
            raise

    def cast(_existing: Any, transfer: dict[str, Any], _type: Any) -> None:
        transfer["expr"] = sa.func.datastead_converted(transfer["expr"])

    raw: Any = transaction.connection.connection.dbapi_connection
    raw.create_function("datastead_converted", 1, converted)
    try:
        yield {"cast_for_batch_migrate": cast}
    except DatasteadError:
        if refused:
            raise refused[0] from None
        raise
    finally:
        raw.create_function("datastead_converted", 1, None)


def set_indexed(transaction: Transaction, table: str, column: str, *, indexed: bool) -> None:
    """A plain index on one column."""
    with _operations(transaction) as operations:
        name = f"{table}_{column}_index"[:63]
        if indexed:
            with reversible.new_index(transaction, table, name):
                operations.create_index(name, table, [column])
            return
        for index in sa.inspect(transaction.connection).get_indexes(table):
            if index["column_names"] == [column] and not index["unique"] and index["name"]:
                with reversible.no_index(transaction, table, index["name"], unique=False):
                    operations.drop_index(index["name"], table)


def set_unique(transaction: Transaction, table: str, column: str, *, unique: bool) -> None:
    """A unique constraint on one column."""
    if unique:
        made = f"{table}_{column}_unique"[:63]
        with reversible.new_index(transaction, table, made):
            change(transaction, table, lambda batch: batch.create_unique_constraint(made, [column]))
        return
    inspector = sa.inspect(transaction.connection)
    names = [
        str(entry["name"] or NAMES["uq"] % {"table_name": table, "column_0_name": column})
        for entry in inspector.get_unique_constraints(table)
        if entry["column_names"] == [column]
    ]
    indexes = [
        entry["name"] for entry in inspector.get_indexes(table) if entry["unique"] and entry["column_names"] == [column]
    ]

    def drop(batch: Any) -> None:
        for name in names:
            with reversible.no_index(transaction, table, name, unique=True):
                batch.drop_constraint(name, type_="unique")

    change(transaction, table, drop, freed=column)
    with _operations(transaction) as operations:
        for index in set(indexes) - set(names):
            operations.drop_index(index, table)


def add_foreign_key(transaction: Transaction, table: str, column: str, key: ForeignKey) -> None:
    """Raises `InvalidForeignKey` where items refer to what does not exist."""
    name = foreign_key_name(table, column)
    with _operations(transaction), reversible.new_foreign_key(transaction, table, column, name, key):
        change(
            transaction,
            table,
            lambda batch: batch.create_foreign_key(name, key.table, [column], [key.column], ondelete=key.on_delete),
        )


def drop_foreign_key(transaction: Transaction, table: str, column: Column) -> None:
    key = column.foreign_key
    if key is not None:
        name = key.name or NAMES["fk"] % {"table_name": table, "column_0_name": column.name}
        with _operations(transaction), reversible.no_foreign_key(transaction, table, column.name, name, key):
            change(transaction, table, lambda batch: batch.drop_constraint(name, type_="foreignkey"))


def change(
    transaction: Transaction,
    table: str,
    work: Callable[[Any], None],
    *,
    rebuild: bool = True,
    freed: str | None = None,
    impl: Mapping[str, Any] | None = None,
) -> None:
    """Changes a table; on SQLite by making it anew, where `rebuild` says so.

    freed: a column whose unique constraints are left out then. impl: methods of Alembic's to replace.
    """
    with _operations(transaction) as operations:
        vars(operations.impl).update(impl or {})
        if rebuild and transaction.dialect == "sqlite":
            _rebuild(transaction, operations, table, work, freed)
            return
        with operations.batch_alter_table(table, recreate="never") as batch:
            work(batch)


@contextmanager
def _operations(transaction: Transaction) -> Iterator[Any]:
    """Alembic's operations, with the database's refusals as typed errors."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sa.exc.SAWarning)  # of types and indexes that SQLAlchemy does not know
        try:
            yield Operations(MigrationContext.configure(transaction.tables))
        except sa.exc.DBAPIError as error:
            raise _refused(error) from error


def _refused(error: sa.exc.DBAPIError) -> DatasteadError:
    match violation_of(error).kind:
        case "not_null":
            return ContainsNullValues()
        case "unique":
            return RecordNotUnique("The field holds a value more than once, so that it cannot be made unique.")
        case "foreign_key":
            return InvalidForeignKey("The field holds values that refer to no item.")
        case "wrong_type" | "too_long" | "out_of_range":
            return InvalidPayload("The values that the field holds, or the default, do not fit the new type.")
        case "busy":
            return ServiceUnavailable("The table is in use: try again.")
    reason = str(error.orig).splitlines()[0][:200]
    return UnprocessableContent(f"The database refused the change: {reason}.", reason=reason)


def _rebuild(
    transaction: Transaction, operations: Any, table: str, work: Callable[[Any], None], freed: str | None
) -> None:
    execute = transaction.connection.exec_driver_sql
    sql = str(execute("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)).scalar_one())
    found = _NOT_CARRIED.search(sql)
    if found is not None:
        reason = f"The table `{table}` uses {found[0].upper()}, which would be lost when it is made anew"
        raise UnprocessableContent(f"{reason}.", reason=reason)
    broken, options = _broken_references(transaction, table), _table_options(sql)
    rebuilding = operations.batch_alter_table(
        table,
        recreate="always",
        naming_convention=NAMES,
        table_args=[*_checks(transaction, table), *_uniques(transaction, table, freed)],
        table_kwargs=options,
        reflect_kwargs={"listeners": [("column_reflect", _keep_types(transaction, table))]},
    )
    with _put_back(transaction, table), _still_counted(transaction, table, options), rebuilding as batch:
        work(batch)
    if _broken_references(transaction, table) > broken:
        raise InvalidForeignKey("The field holds values that refer to no item.", collection=table)


def _table_options(sql: str) -> dict[str, Any]:
    words = sql.upper()
    options = words.rpartition(")")[2]
    found: dict[str, Any] = {}
    if "AUTOINCREMENT" in words:
        found["sqlite_autoincrement"] = True
    if "WITHOUT ROWID" in options:
        found["sqlite_with_rowid"] = False
    if "STRICT" in options:
        found["sqlite_strict"] = True
    return found


def _checks(transaction: Transaction, table: str) -> list[sa.CheckConstraint]:
    """Those without a name, which Alembic does not find."""
    found = sa.inspect(transaction.connection).get_check_constraints(table)
    return [sa.CheckConstraint(sa.text(entry["sqltext"])) for entry in found if entry["name"] is None]


def _uniques(transaction: Transaction, table: str, freed: str | None) -> list[sa.UniqueConstraint]:
    """Those that stand beside a column, which Alembic does not find either."""
    found = sa.inspect(transaction.connection).get_unique_constraints(table)
    known = {tuple(entry["column_names"]) for entry in found}
    missed = (columns for owner, columns in unique_sets(transaction) if owner == table and columns not in known)
    return [sa.UniqueConstraint(*columns) for columns in missed if freed not in columns]


def _keep_types(transaction: Transaction, table: str) -> Callable[[Any, Any, dict[str, Any]], None]:
    rows = transaction.connection.exec_driver_sql("SELECT name, type FROM pragma_table_info(?)", (table,))
    declared = {name: kind for name, kind in rows if kind}

    def keep(_inspector: Any, _table: Any, column: dict[str, Any]) -> None:
        words = declared.get(column["name"], "")
        if words.upper() != "INTEGER":  # a key that counts up is known by its type
            column["type"] = Declared(words) if words else sa.types.NullType()

    return keep


def _broken_references(transaction: Transaction, table: str) -> int:
    counted = transaction.connection.exec_driver_sql("SELECT count(*) FROM pragma_foreign_key_check(?)", (table,))
    return int(counted.scalar_one())


@contextmanager
def _put_back(transaction: Transaction, table: str) -> Iterator[None]:
    """Triggers and indexes go with the old table, and views stop the new one's renaming: they are made again after."""
    connection = transaction.connection
    kept = connection.exec_driver_sql(_KEPT).all()
    for row in kept:
        if row.type in {"view", "trigger"}:
            connection.execute(_Drop(row.type, row.name))
    yield
    present = {name for (name,) in connection.exec_driver_sql("SELECT name FROM sqlite_master")}
    for row in kept:
        if row.name not in present and (row.type != "index" or row.tbl_name == table):
            connection.exec_driver_sql(row.sql)


@contextmanager
def _still_counted(transaction: Transaction, table: str, options: Mapping[str, Any]) -> Iterator[None]:
    """The new table goes on counting where the old one was, also where its last rows are deleted."""
    if not options.get("sqlite_autoincrement"):
        yield
        return
    execute = transaction.connection.exec_driver_sql
    last = execute("SELECT max(seq) FROM sqlite_sequence WHERE name = ?", (table,)).scalar()
    yield
    if last is not None:
        execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
        execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, last))


def dialect_of(name: str) -> sa.Dialect:
    """The dialect, for the words of a type."""
    from sqlalchemy.dialects import postgresql, sqlite

    if name == "mariadb":
        from datastead.data.mariadb_dialect import MariadbDialect

        return MariadbDialect()
    return postgresql.dialect() if name == "postgresql" else sqlite.dialect()  # type: ignore[no-untyped-call]


def quoted(dialect: str, name: str) -> str:
    """A name, as SQL takes it."""
    return dialect_of(dialect).identifier_preparer.quote_identifier(name)
