"""An INSERT that says what to do where the row is there already: each database has its own words.

The values are given when it is executed.
"""

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

Changed = Callable[[Any], Mapping[str, Any]]
"""From the values that were to be inserted (`new["column"]`) to what the row's columns become."""


def upsert(dialect: str, table: sa.Table, changed: Changed) -> sa.Insert:
    """Inserts, or changes the row that has the same primary key."""
    if dialect == "mariadb":
        from sqlalchemy.dialects import mysql

        insert = mysql.insert(table)
        return insert.on_duplicate_key_update(dict(changed(insert.inserted)))
    made = _insert(dialect, table)
    keys = [column.name for column in table.primary_key]
    upserted: sa.Insert = made.on_conflict_do_update(index_elements=keys, set_=dict(changed(made.excluded)))
    return upserted


def insert_missing(dialect: str, table: sa.Table) -> sa.Insert:
    """Inserts, and leaves a row alone that is there already."""
    if dialect == "mariadb":  # INSERT IGNORE would let other errors pass, too
        from sqlalchemy.dialects import mysql

        key = next(iter(table.primary_key))
        return mysql.insert(table).on_duplicate_key_update({key.name: key})
    inserted: sa.Insert = _insert(dialect, table).on_conflict_do_nothing()
    return inserted


def _insert(dialect: str, table: sa.Table) -> Any:
    """PostgreSQL's or SQLite's, which know the same words."""
    if dialect == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)
