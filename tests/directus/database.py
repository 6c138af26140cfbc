"""Databases as Directus 11.16 and 12.4 make them, without Directus: the tables are facts in `tables.json`, seen in real
ones; the rows are ours.

A column there is `type [not null] [default …] [-> table.column on delete] [unique]`, with SQLite's types; `key` is the
primary key. Version 12 has what 11 has, and what is listed under it.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.databases import sqlalchemy_url

from .rows import OWN_TABLES, rows

TABLES: dict[str, dict[str, dict[str, str]]] = json.loads((Path(__file__).parent / "tables.json").read_text())
VERSIONS = ("11", "12")
TYPES = {
    "sqlite": {"integer unsigned": "integer"},
    "postgresql": {
        "char(36)": "uuid", "datetime": "timestamp with time zone", "integer unsigned": "integer", "float": "real",
    },
    "mariadb": {
        "datetime": "timestamp", "boolean": "tinyint(1)", "integer unsigned": "int unsigned", "float": "float(8, 2)",
        "json": "longtext character set utf8mb4 collate utf8mb4_bin",
    },
}  # fmt: skip
QUOTES = {"sqlite": "`", "postgresql": '"', "mariadb": "`"}
COLUMN = re.compile(
    r"(?P<type>integer unsigned|\S+?)(?P<key> key)?(?P<needed> not null)?(?: default (?P<default>'.*?'|\S+))?"
    r"(?: -> (?P<table>\w+)\.(?P<column>\w+) (?P<deleted>[A-Z ]+?))?(?P<unique> unique)?"
)


def tables_of(version: str) -> dict[str, dict[str, str]]:
    """Every `directus_*` table of a version."""
    found = {name: dict(columns) for name, columns in TABLES["11"].items()}
    if version == "12":
        for name, columns in TABLES["12"].items():
            found[name] = {**found.get(name, {}), **columns}
    return found


def build(url: str, version: str) -> None:
    """Makes the tables and rows of that version in an empty database."""
    engine = sa.create_engine(sqlalchemy_url(url))
    kind = "mariadb" if url.startswith("mariadb") else engine.dialect.name
    tables = tables_of(version)
    with engine.begin() as connection:
        if kind == "mariadb":
            connection.exec_driver_sql("SET foreign_key_checks = 0")
        for name, columns in {**tables, **OWN_TABLES}.items():
            connection.exec_driver_sql(_created(kind, name, columns))
            for column in (column for column, told in columns.items() if kind == "sqlite" and told.endswith(" unique")):
                connection.exec_driver_sql(f"CREATE UNIQUE INDEX `{name}_{column}_unique` ON `{name}` (`{column}`)")
        for table, found in rows(version).items():
            for row in found:
                names = ", ".join(_quoted(kind, name) for name in row)
                values = ", ".join(f":{name}" for name in row)
                given = {name: _given(kind, value) for name, value in row.items()}
                connection.execute(sa.text(f"INSERT INTO {_quoted(kind, table)} ({names}) VALUES ({values})"), given)
        if kind == "postgresql":
            _finish(connection, tables)
    engine.dispose()


def schema_of(url: str) -> dict[str, Any]:
    """What the database says of every table that is not ours, word for word."""
    engine = sa.create_engine(sqlalchemy_url(url))
    with engine.connect() as connection:
        names = sorted(name for name in sa.inspect(connection).get_table_names() if not name.startswith("datastead_"))
        found: dict[str, Any] = {name: _told(connection, name) for name in names}
    engine.dispose()
    return found


def rows_of(url: str) -> dict[str, list[Any]]:
    """Every row of every table that is not ours, by the table."""
    engine = sa.create_engine(sqlalchemy_url(url))
    with engine.connect() as connection:
        names = [name for name in sa.inspect(connection).get_table_names() if not name.startswith("datastead_")]
        mark = engine.dialect.identifier_preparer.quote
        found = {
            name: sorted((list(row) for row in connection.execute(sa.text(f"SELECT * FROM {mark(name)}"))), key=repr)
            for name in names
        }
    engine.dispose()
    return found


def _told(connection: sa.Connection, table: str) -> Any:
    if connection.dialect.name == "sqlite":
        asked = sa.text("SELECT type, name, sql FROM sqlite_master WHERE tbl_name = :table ORDER BY name")
        return [list(row) for row in connection.execute(asked, {"table": table})]
    if connection.dialect.name == "postgresql":
        inspector = sa.inspect(connection)
        told = [
            inspector.get_columns(table), inspector.get_pk_constraint(table), inspector.get_foreign_keys(table),
            inspector.get_indexes(table), inspector.get_unique_constraints(table),
            inspector.get_check_constraints(table),
        ]  # fmt: skip
        return repr(told)
    made = connection.exec_driver_sql(f"SHOW CREATE TABLE `{table}`").one()[1]
    return re.sub(r" AUTO_INCREMENT=\d+", "", made)


def _created(kind: str, table: str, columns: Mapping[str, str]) -> str:
    parts, links = [], []
    for name, told in columns.items():
        if name == "unique":
            parts.append(f"UNIQUE ({', '.join(_quoted(kind, column) for column in told.split(','))})")
            continue
        found = COLUMN.fullmatch(told)
        assert found is not None, (table, name, told)
        parts.append(f"{_quoted(kind, name)} {_column(kind, found)}")
        if found["table"] and kind != "postgresql":
            links.append(_link(kind, name, found))
    return f"CREATE TABLE {_quoted(kind, table)} ({', '.join([*parts, *links])})"


def _column(kind: str, found: re.Match[str]) -> str:
    counts = found["key"] is not None and found["type"] in {"integer", "integer unsigned"}
    if counts and kind == "postgresql":
        return "serial PRIMARY KEY"
    told = TYPES[kind].get(found["type"], found["type"])
    if counts:
        word = "AUTOINCREMENT" if kind == "sqlite" else "AUTO_INCREMENT"
        return f"{told} PRIMARY KEY {word} NOT NULL" if kind == "sqlite" else f"{told} NOT NULL PRIMARY KEY {word}"
    default = found["default"]
    if default is not None and kind == "postgresql" and told == "boolean":
        default = "true" if default == "'1'" else "false"
    if default is None and kind == "mariadb" and told == "timestamp":
        default = None if found["needed"] else "NULL"  # else it would say now
    needed = "NOT NULL" if found["needed"] or found["key"] else "NULL"
    return " ".join(
        word
        for word in (
            told, needed, f"DEFAULT {default}" if default else "",
            "PRIMARY KEY" if found["key"] else "", "UNIQUE" if found["unique"] and kind != "sqlite" else "",
        )
        if word
    )  # fmt: skip


def _link(kind: str, name: str, found: re.Match[str]) -> str:
    column, table, other = (_quoted(kind, word) for word in (name, found["table"], found["column"]))
    return f"FOREIGN KEY ({column}) REFERENCES {table} ({other}) ON DELETE {found['deleted']}"


def _finish(connection: sa.Connection, tables: Mapping[str, Mapping[str, str]]) -> None:
    """PostgreSQL: what refers to other tables, once they are all there; and where the counters go on."""
    for table, columns in {**tables, **OWN_TABLES}.items():
        for name, told in columns.items():
            found = COLUMN.fullmatch(told) if name != "unique" else None
            if found is not None and found["table"]:
                connection.exec_driver_sql(f'ALTER TABLE "{table}" ADD {_link("postgresql", name, found)}')
        if columns.get("id", "").startswith("integer"):
            last = f"SELECT setval(pg_get_serial_sequence('\"{table}\"', 'id'), max(id)) FROM \"{table}\""
            connection.exec_driver_sql(last)


def _given(kind: str, value: Any) -> Any:
    """A value as Directus stores it: on SQLite moments are milliseconds."""
    if isinstance(value, dict | list):
        return json.dumps(value)
    if hasattr(value, "timestamp"):
        return int(value.timestamp() * 1000) if kind == "sqlite" else value
    return value


def _quoted(kind: str, name: str) -> str:
    return f"{QUOTES[kind]}{name}{QUOTES[kind]}"
