"""What MariaDB says of its tables: columns and constraints, read for all tables at once."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from datastead.data.engine import Transaction
from datastead.data.geometry import NativeShape
from datastead.data.schema import Column, ForeignKey

SET_ASIDE = "datastead_dropped_"
"""How columns and tables are named that are about to go."""
COLLATION = "utf8mb4_nopad_bin"
"""Texts are the same where every character is, as in the other databases: case and spaces at the end count."""

TYPES = {
    "tinyint": "integer", "smallint": "integer", "mediumint": "integer", "int": "integer", "bigint": "bigInteger",
    "year": "integer", "decimal": "decimal", "float": "float", "double": "float", "date": "date", "time": "time",
    "datetime": "dateTime", "timestamp": "timestamp", "char": "string", "varchar": "string", "enum": "string",
    "set": "string", "tinytext": "text", "text": "text", "mediumtext": "text", "longtext": "text", "uuid": "uuid",
    "inet4": "string", "inet6": "string", "binary": "binary", "varbinary": "binary", "tinyblob": "binary",
    "blob": "binary", "mediumblob": "binary", "longblob": "binary",
}  # fmt: skip
"""Field types by the database's."""
SHAPES = {
    "geometry": "geometry", "point": "geometry.Point", "linestring": "geometry.LineString",
    "polygon": "geometry.Polygon", "multipoint": "geometry.MultiPoint",
    "multilinestring": "geometry.MultiLineString", "multipolygon": "geometry.MultiPolygon",
    "geometrycollection": "geometry",
}  # fmt: skip
"""The same of geometry."""
BOOLEANS = {"tinyint(1)", "bit(1)"}
TEXTS = {"char", "varchar"}
_UNSAID = {"RESTRICT": "NO ACTION"}
"""What MariaDB says where nothing was said, and what the other databases say then. To MariaDB the two are the same."""

_NOW = re.compile(r"current_timestamp(\(\d*\))?", re.IGNORECASE)
_IS_JSON = re.compile(r"json_valid\(`((?:[^`]|``)+)`\)", re.IGNORECASE)
_TABLES = """
    SELECT c.table_name FROM information_schema.tables c
    WHERE c.table_schema = DATABASE() AND c.table_type = 'BASE TABLE' AND {which}
"""
_COLUMNS = """
    SELECT c.table_name, c.column_name, c.data_type, c.column_type, c.column_default, c.is_nullable, c.extra,
           c.generation_expression, c.character_maximum_length, c.numeric_precision, c.numeric_scale
    FROM information_schema.columns c
    WHERE c.table_schema = DATABASE() AND {which} ORDER BY c.table_name, c.ordinal_position
"""
_INDEXES = """
    SELECT c.table_name, index_name, non_unique, column_name FROM information_schema.statistics c
    WHERE c.table_schema = DATABASE() AND {which} ORDER BY c.table_name, index_name, seq_in_index
"""
_FOREIGN_KEYS = """
    SELECT c.table_name, c.constraint_name, c.column_name, c.referenced_table_name, c.referenced_column_name
    FROM information_schema.key_column_usage c
    WHERE c.table_schema = DATABASE() AND c.referenced_table_name IS NOT NULL AND {which}
    ORDER BY c.table_name, c.constraint_name, c.ordinal_position
"""
_RULES = """
    SELECT c.table_name, c.constraint_name, c.update_rule, c.delete_rule
    FROM information_schema.referential_constraints c WHERE c.constraint_schema = DATABASE() AND {which}
"""
_CHECKS = """
    SELECT c.table_name, check_clause FROM information_schema.check_constraints c
    WHERE c.constraint_schema = DATABASE() AND {which}
"""


def tables(transaction: Transaction, names: Sequence[str] | None = None) -> dict[str, dict[str, Column]]:
    """The columns of the tables, or of those with these names."""
    facts = _Facts(transaction, names)
    every = {row["table_name"] for row in _rows(transaction, _TABLES, names)}  # and no views
    found: dict[str, dict[str, Column]] = {name: {} for name in every if not name.startswith(SET_ASIDE)}
    for row in _rows(transaction, _COLUMNS, names):
        if row["table_name"] in found and not row["column_name"].startswith(SET_ASIDE):
            found[row["table_name"]][row["column_name"]] = _column(row, facts)
    return found


def index_columns(transaction: Transaction, table: str, index: str) -> tuple[str, ...]:
    """The columns of an index; none where there is no such index."""
    rows = _rows(transaction, _INDEXES, [table])
    return tuple(row["column_name"] for row in rows if row["index_name"] == index)


def _rows(transaction: Transaction, sql: str, names: Sequence[str] | None) -> list[dict[str, Any]]:
    which = "c.table_name IN :names" if names else "TRUE"
    statement = sa.text(sql.format(which=which))
    if names:
        statement = statement.bindparams(sa.bindparam("names", list(names), expanding=True))
    found = transaction.execute(statement)
    columns = [name.lower() for name in found.keys()]  # noqa: SIM118  iterating over it gives rows
    return [dict(zip(columns, row, strict=True)) for row in found]


class _Facts:
    """What constraints and indexes say of columns, each by table and column."""

    def __init__(self, transaction: Transaction, names: Sequence[str] | None) -> None:
        sets: dict[tuple[str, str, bool], list[str]] = defaultdict(list)
        for row in _rows(transaction, _INDEXES, names):
            sets[row["table_name"], row["index_name"], bool(int(row["non_unique"]))].append(row["column_name"])
        self.key = {(table, columns[0]) for (table, index, _), columns in sets.items() if _is_key(index, columns)}
        self.unique = {(table, own[0]) for (table, _, many), own in sets.items() if not many and not own[1:]}
        self.indexed = {(table, columns[0]) for (table, _, many), columns in sets.items() if many}
        self.foreign = _foreign_keys(_rows(transaction, _FOREIGN_KEYS, names), _rows(transaction, _RULES, names))
        self.json = {
            (row["table_name"], match[1].replace("``", "`"))
            for row in _rows(transaction, _CHECKS, names)
            if (match := _IS_JSON.fullmatch(row["check_clause"]))
        }


def _is_key(index: str, columns: list[str]) -> bool:
    return index == "PRIMARY" and len(columns) == 1


def _foreign_keys(rows: list[dict[str, Any]], rules: list[dict[str, Any]]) -> dict[tuple[str, str], ForeignKey]:
    """Those of one column. Joined here: MariaDB would look into all databases of the server for it."""
    sizes = Counter((row["table_name"], row["constraint_name"]) for row in rows)
    ruled = {(row["table_name"], row["constraint_name"]): (row["update_rule"], row["delete_rule"]) for row in rules}
    found: dict[tuple[str, str], ForeignKey] = {}
    for row in rows:
        table, name = row["table_name"], row["constraint_name"]
        if sizes[table, name] == 1 and (table, name) in ruled:
            update, delete = ruled[table, name]
            target = row["referenced_table_name"], row["referenced_column_name"]
            found[table, row["column_name"]] = ForeignKey(name, *target, _UNSAID.get(update, update), delete)
    return found


def _column(row: Mapping[str, Any], facts: _Facts) -> Column:
    table, name, place = row["table_name"], row["column_name"], (row["table_name"], row["column_name"])
    generated, kind = row["generation_expression"], SHAPES.get(row["data_type"])
    return Column(
        name=name,
        table=table,
        data_type=_data_type(row),
        default=None if generated else _default(row["column_default"]),
        generation_expression=generated,
        max_length=int(row["character_maximum_length"]) if row["data_type"] in TEXTS else None,
        numeric_precision=_whole(row["numeric_precision"]),
        numeric_scale=_whole(row["numeric_scale"]),
        is_generated=bool(generated),
        is_nullable=row["is_nullable"] == "YES",
        is_unique=place in facts.unique,
        is_indexed=place in facts.indexed,
        is_primary_key=place in facts.key,
        has_auto_increment="auto_increment" in row["extra"].lower(),
        foreign_key=facts.foreign.get(place),
        type="json" if place in facts.json else kind or _type(row),
        native=None if kind is None else NativeShape("mariadb", row["data_type"], kind),
    )


def _data_type(row: Mapping[str, Any]) -> str:
    """`int unsigned`: the range of an integer depends on it."""
    return f"{row['data_type']} unsigned" if "unsigned" in row["column_type"] else str(row["data_type"])


def _type(row: Mapping[str, Any]) -> str:
    if row["column_type"].lower() in BOOLEANS:
        return "boolean"
    if row["data_type"] == "char" and int(row["character_maximum_length"]) == 36:
        return "uuid"
    return TYPES.get(row["data_type"], "unknown")


def _default(text: str | None) -> str | None:
    """In the words of the other databases."""
    if text is None or text.upper() == "NULL":
        return None
    if _NOW.fullmatch(text):
        return "CURRENT_TIMESTAMP"
    return "CURRENT_DATE" if text.lower() == "curdate()" else text


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
