"""Changes of tables on MariaDB, where each is final at once: how each of them is undone is written down before.

What would lose rows or values is set aside by another name, and dropped when everything else is done. The functions
that are context managers do nothing on other databases.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from datastead.data import mariadb_reflection
from datastead.data.engine import Transaction
from datastead.data.mariadb_reflection import COLLATION, SET_ASIDE
from datastead.data.schema import ForeignKey
from datastead.data.undo import run
from datastead.errors import ContainsNullValues, UnprocessableContent

_PLAIN = re.compile(r"'.*'|-?[\d.]+|current_timestamp(\(\d*\))?", re.IGNORECASE | re.DOTALL)
"""Defaults that are values; the others stand in brackets."""

_COLUMN = sa.text("""
    SELECT column_type, collation_name, column_default, is_nullable, extra, generation_expression, column_comment
    FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = :table AND column_name = :name
""")
_CHECK = sa.text("""
    SELECT check_clause FROM information_schema.check_constraints
    WHERE constraint_schema = DATABASE() AND table_name = :table AND constraint_name = :name AND level = 'Column'
""")
_KEYS = sa.text("""
    SELECT column_name FROM information_schema.key_column_usage
    WHERE table_schema = DATABASE() AND table_name = :table AND constraint_name = 'PRIMARY'
""")
_REFERRING = sa.text("""
    SELECT table_name, referenced_column_name FROM information_schema.key_column_usage
    WHERE table_schema = DATABASE() AND referenced_table_name = :table
""")


@contextmanager
def new_table(transaction: Transaction, table: str) -> Iterator[None]:
    """Around the creation of a table."""
    if transaction.undo is not None:
        if mariadb_reflection.tables(transaction, [table]):
            raise _refused(f"The table `{table}` exists already")
        transaction.undo.note([f"DROP TABLE IF EXISTS {_quoted(table)}"])
    yield


@contextmanager
def new_column(transaction: Transaction, table: str, column: sa.Column[Any]) -> Iterator[None]:
    """Around the creation of a column. Raises `ContainsNullValues`: MariaDB would make up a value for every row."""
    if transaction.undo is not None:
        if _described(transaction, table, column.name) is not None:
            raise _refused(f"The table `{table}` has a column `{column.name}` already")
        if not column.nullable and column.server_default is None and _has_rows(transaction, table):
            raise ContainsNullValues
        transaction.undo.note([_alter(table, f"DROP COLUMN IF EXISTS {_quoted(column.name)}")])
    yield


@contextmanager
def new_index(transaction: Transaction, table: str, index: str) -> Iterator[None]:
    """Around the creation of an index, or of a unique constraint."""
    if transaction.undo is not None:
        if mariadb_reflection.index_columns(transaction, table, index):
            raise _refused(f"The table `{table}` has an index `{index}` already")
        transaction.undo.note([_alter(table, f"DROP INDEX IF EXISTS {_quoted(index)}")])
    yield


@contextmanager
def no_index(transaction: Transaction, table: str, index: str, *, unique: bool) -> Iterator[None]:
    """Around the end of an index, or of a unique constraint."""
    if transaction.undo is not None:
        columns = ", ".join(map(_quoted, mariadb_reflection.index_columns(transaction, table, index)))
        kind = "UNIQUE INDEX" if unique else "INDEX"
        transaction.undo.note([_alter(table, f"ADD {kind} IF NOT EXISTS {_quoted(index)} ({columns})")])
    yield


@contextmanager
def new_foreign_key(transaction: Transaction, table: str, column: str, name: str, key: ForeignKey) -> Iterator[None]:
    """Around the creation of a foreign key. The column takes the collation of what it refers to, as it has to."""
    if transaction.undo is not None:
        _adopt_collation(transaction, table, column, key)
        undo = [_alter(table, f"DROP FOREIGN KEY IF EXISTS {_quoted(name)}")]
        if not mariadb_reflection.index_columns(transaction, table, name):  # it brings one
            undo.append(_alter(table, f"DROP INDEX IF EXISTS {_quoted(name)}"))
        transaction.undo.note(undo)
    yield


@contextmanager
def no_foreign_key(transaction: Transaction, table: str, column: str, name: str, key: ForeignKey) -> Iterator[None]:
    """Around the end of a foreign key. The index that came with it goes, too."""
    if transaction.undo is None:
        yield
        return
    target = f"{_quoted(key.table)} ({_quoted(key.column)})"
    rules = f"ON DELETE {key.on_delete}" + (f" ON UPDATE {key.on_update}" if key.on_update != "NO ACTION" else "")
    made = f"ADD CONSTRAINT {_quoted(name)} FOREIGN KEY IF NOT EXISTS {_quoted(name)} ({_quoted(column)})"
    transaction.undo.note([_alter(table, f"{made} REFERENCES {target} {rules}")])
    yield
    if mariadb_reflection.index_columns(transaction, table, name):
        with no_index(transaction, table, name, unique=False):
            run(transaction.tables, _alter(table, f"DROP INDEX {_quoted(name)}"))


def drop_table(transaction: Transaction, table: str) -> None:
    """Sets the table aside, and drops it when all is done."""
    assert transaction.undo is not None
    for referring, _ in transaction.tables.execute(_REFERRING, {"table": table}):
        if referring != table:
            raise _refused(f"Items of `{referring}` refer to items of `{table}`")
    aside = _aside()
    transaction.undo.note(
        [f"RENAME TABLE IF EXISTS {_quoted(aside)} TO {_quoted(table)}"], [f"DROP TABLE IF EXISTS {_quoted(aside)}"]
    )
    run(transaction.tables, f"RENAME TABLE {_quoted(table)} TO {_quoted(aside)}")


def drop_column(transaction: Transaction, table: str, column: str) -> None:
    """Sets the column aside, and drops it when all is done. Until then it takes nulls, as nobody writes it any more."""
    assert transaction.undo is not None
    now, aside = _described(transaction, table, column), _aside()
    if now is None:
        raise _refused(f"The table `{table}` has no column `{column}`")
    for referring, target in transaction.tables.execute(_REFERRING, {"table": table}):
        if target == column:
            raise _refused(f"Items of `{referring}` refer to `{column}` of `{table}`")
    if now["is_nullable"] == "NO" and now["column_default"] is None:
        modify_column(transaction, table, column, nullable=True)
    transaction.undo.note(
        [_alter(table, f"RENAME COLUMN IF EXISTS {_quoted(aside)} TO {_quoted(column)}")],
        [_alter(table, f"DROP COLUMN IF EXISTS {_quoted(aside)}")],
    )
    run(transaction.tables, _alter(table, f"RENAME COLUMN {_quoted(column)} TO {_quoted(aside)}"))


def modify_column(
    transaction: Transaction,
    table: str,
    column: str,
    *,
    type_: sa.types.TypeEngine[Any] | None = None,
    nullable: bool | None = None,
    server_default: Any = False,
    **_others: Any,
) -> None:
    """Makes the column as it is to be. Raises `ContainsNullValues`. The options are those of Alembic."""
    now = _described(transaction, table, column)
    if now is None:
        raise _refused(f"The table `{table}` has no column `{column}`")
    if now["generation_expression"]:
        raise _refused(f"The column `{column}` of `{table}` is worked out by the database")
    wanted = now | (_typed(transaction, type_) if type_ is not None else {})
    if nullable is not None:
        wanted["is_nullable"] = "YES" if nullable else "NO"
    if server_default is not False:
        wanted["column_default"] = _default_words(transaction, server_default)
    if nullable is False and transaction.tables.execute(_nulls(table, column)).first() is not None:
        raise ContainsNullValues
    _modify(transaction, table, column, now, wanted)


def _modify(
    transaction: Transaction, table: str, column: str, now: Mapping[str, Any], wanted: Mapping[str, Any]
) -> None:
    """Values that another type may change are kept until all is done."""
    assert transaction.undo is not None
    is_typed = now["column_type"] != wanted["column_type"]
    kept = _keep_values(transaction, table, column) if is_typed else None
    back, after = ([], []) if kept is None else kept
    transaction.undo.note([_modified(table, column, now), *back], after)
    with _unchecked(transaction, is_needed=not is_typed):
        run(transaction.tables, _modified(table, column, wanted))


def _keep_values(transaction: Transaction, table: str, column: str) -> tuple[list[str], list[str]] | None:
    """Copies the column's values: how they are put back, and how the copy goes. None where rows cannot be told."""
    assert transaction.undo is not None
    keys = transaction.tables.execute(_KEYS, {"table": table}).scalars().all()
    if not keys or column in keys:
        return None
    copy, listed = _quoted(_aside()), ", ".join(map(_quoted, keys))
    transaction.undo.note([f"DROP TABLE IF EXISTS {copy}"])
    source, name = _quoted(table), _quoted(column)
    run(transaction.tables, f"CREATE TABLE {copy} (PRIMARY KEY ({listed})) AS SELECT {listed}, {name} FROM {source}")  # noqa: S608  quoted
    back = f"UPDATE {source} AS now JOIN {copy} AS kept USING ({listed}) SET now.{name} = kept.{name}"  # noqa: S608
    return [back], [f"DROP TABLE IF EXISTS {copy}"]


def _typed(transaction: Transaction, type_: sa.types.TypeEngine[Any]) -> dict[str, Any]:
    words = type_.compile(dialect=transaction.tables.dialect).lower()
    return {"column_type": words, "collation_name": COLLATION if isinstance(type_, sa.String) else None, "check": None}


def _default_words(transaction: Transaction, default: Any) -> str | None:
    """A default as SQL has it. It is run without parameters, where a percent sign stands for itself."""
    if default is None:
        return None
    dialect = transaction.tables.dialect
    column = sa.Column("c", sa.Text(), server_default=default)
    words = dialect.ddl_compiler(dialect, None).get_column_default_string(column)  # type: ignore[arg-type]  # as Alembic
    return None if words is None else words.replace("%%", "%")


def _adopt_collation(transaction: Transaction, table: str, column: str, key: ForeignKey) -> None:
    """Texts can refer to each other only where they are compared alike."""
    now, target = _described(transaction, table, column), _described(transaction, key.table, key.column)
    if now and target and now["collation_name"] and target["collation_name"] not in {None, now["collation_name"]}:
        _modify(transaction, table, column, now, now | {"collation_name": target["collation_name"]})


@contextmanager
def _unchecked(transaction: Transaction, *, is_needed: bool) -> Iterator[None]:
    """With foreign keys checked, MariaDB changes no column that has one, whatever is changed of it."""
    if is_needed:
        run(transaction.tables, "SET foreign_key_checks = 0")
    try:
        yield
    finally:
        if is_needed:
            run(transaction.tables, "SET foreign_key_checks = 1")


def _described(transaction: Transaction, table: str, column: str) -> dict[str, Any] | None:
    """A column as `_modified` takes it."""
    place = {"table": table, "name": column}
    row = transaction.tables.execute(_COLUMN, place).mappings().first()
    if row is None:
        return None
    check = transaction.tables.execute(_CHECK, place).scalar()
    return {str(name).lower(): value for name, value in row.items()} | {"check": check}


def _modified(table: str, column: str, wanted: Mapping[str, Any]) -> str:
    """The statement that makes a column so."""
    default, extra = wanted["column_default"], wanted["extra"].lower()
    parts = [
        f"MODIFY COLUMN IF EXISTS {_quoted(column)} {wanted['column_type']}",
        f"COLLATE {wanted['collation_name']}" if wanted["collation_name"] else "",
        "NULL" if wanted["is_nullable"] == "YES" else "NOT NULL",
        "" if default is None or default == "NULL" else f"DEFAULT {_expression(default)}",
        "AUTO_INCREMENT" if "auto_increment" in extra else "",
        extra[extra.index("on update") :] if "on update" in extra else "",
        f"COMMENT {_literal(wanted['column_comment'])}" if wanted["column_comment"] else "",
        f"CHECK ({wanted['check']})" if wanted["check"] else "",
    ]
    return _alter(table, " ".join(part for part in parts if part))


def _expression(default: str) -> str:
    return default if _PLAIN.fullmatch(default) else f"({default})"


def _has_rows(transaction: Transaction, table: str) -> bool:
    found = sa.select(sa.literal(1)).select_from(sa.table(table)).limit(1)
    return transaction.tables.execute(found).first() is not None


def _nulls(table: str, column: str) -> sa.Select[Any]:
    wanted: sa.ColumnClause[Any] = sa.column(column)
    return sa.select(sa.literal(1)).select_from(sa.table(table, wanted)).where(wanted.is_(None)).limit(1)


def _alter(table: str, action: str) -> str:
    return f"ALTER TABLE IF EXISTS {_quoted(table)} {action}"


def _aside() -> str:
    return f"{SET_ASIDE}{uuid4().hex}"


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def _refused(reason: str) -> UnprocessableContent:
    return UnprocessableContent(f"The database refused the change: {reason}.", reason=reason)
