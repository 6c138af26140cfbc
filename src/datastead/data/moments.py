"""Moments on SQLite where Directus has written them: as milliseconds since 1970, which no text compares with.

`as_text` is such a column as we hold moments: what is compared, sorted and counted by has one form then.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

FORMS = {"date": "%Y-%m-%d", "dateTime": "%Y-%m-%d %H:%M:%S", "timestamp": "%Y-%m-%d %H:%M:%f000"}
"""Of the types of fields that may be held so: SQLite's `strftime`, as `values` writes them."""


class _AsText(FunctionElement[Any]):
    """Compiled for SQLite only; elsewhere the column itself."""

    inherit_cache = True


def as_text(column: sa.ColumnElement[Any], kind: str = "timestamp") -> sa.ColumnElement[Any]:
    """The column of a table, in one form. kind: the field's type."""
    found = _AsText(column, sa.literal_column(f"'{FORMS[kind]}'"))
    found.type = column.type
    return found


@compiles(_AsText)
def _elsewhere(element: _AsText, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses.clauses[0], **options)


@compiles(_AsText, "sqlite")
def _on_sqlite(element: _AsText, compiler: SQLCompiler, **options: Any) -> str:
    column, form = (compiler.process(clause, **options) for clause in element.clauses.clauses)
    text = f"strftime({form}, {column} / 1000.0, 'unixepoch')"
    return f"CASE typeof({column}) WHEN 'integer' THEN {text} ELSE {column} END"
