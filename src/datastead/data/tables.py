"""What the database itself says of its tables: columns, keys, constraints and triggers."""

import re
import warnings
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from datastead.data import mariadb_reflection
from datastead.data.engine import Transaction
from datastead.data.geometry import SRID, NativeShape
from datastead.data.schema import Column, ForeignKey
from datastead.data.wire import GEOMETRIES

Reflected = Mapping[tuple[str | None, str], Any]

POSTGRESQL_NAMES = {
    "VARCHAR": "character varying", "CHAR": "character", "DOUBLE PRECISION": "double precision",
    "TIMESTAMP": "timestamp without time zone", "TIME": "time without time zone",
}  # fmt: skip
TYPES: tuple[tuple[type[sa.types.TypeEngine[Any]], str], ...] = (
    (sa.Boolean, "boolean"),
    (sa.BigInteger, "bigInteger"),
    (sa.Integer, "integer"),
    (sa.Float, "float"),
    (sa.Numeric, "decimal"),
    (sa.Date, "date"),
    (sa.Time, "time"),
    (sa.JSON, "json"),
    (sa.types.UUID, "uuid"),
    (sa.Text, "text"),
    (sa.Enum, "string"),
    (sa.String, "string"),
    (sa.LargeBinary, "binary"),
)


def columns_of(transaction: Transaction, table: str) -> dict[str, Column]:
    """One table's columns as they are now, also inside a change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sa.exc.SAWarning)
        return tables_of(transaction, [table]).get(table, {})


def tables_of(transaction: Transaction, names: list[str] | None = None) -> dict[str, dict[str, Column]]:
    """The columns of every table, or of those that are named, by table and name."""
    if transaction.dialect == "mariadb":
        return mariadb_reflection.tables(transaction, names)
    if transaction.dialect == "sqlite":
        return _sqlite_tables(transaction, names)
    return _read_tables(transaction, names)


def _sqlite_tables(transaction: Transaction, names: list[str] | None) -> dict[str, dict[str, Column]]:
    """Reads only the tables whose text is new: all that we ask of a table follows from its `CREATE` statements."""
    rows = transaction.connection.exec_driver_sql(
        "SELECT tbl_name, group_concat(sql, ';') FROM"
        " (SELECT tbl_name, coalesce(sql, name) AS sql FROM sqlite_master WHERE type IN ('table', 'index')"
        " ORDER BY type DESC, name) WHERE tbl_name NOT LIKE 'sqlite~_%' ESCAPE '~' GROUP BY tbl_name ORDER BY tbl_name"
    )
    texts = {table: text for table, text in rows if names is None or table in names}
    new = [table for table, text in texts.items() if (table, text) not in _KNOWN]
    read = _read_tables(transaction, new) if new else {}
    found = {table: read[table] if table in read else _KNOWN[table, text] for table, text in texts.items()}
    if len(_KNOWN) > MAX_KNOWN:
        _KNOWN.clear()
    _KNOWN.update({(table, texts[table]): found[table] for table in new if not _IMPLICIT_KEY.search(texts[table])})
    return found


_KNOWN: dict[tuple[str, str], dict[str, Column]] = {}
MAX_KNOWN = 5000
_IMPLICIT_KEY = re.compile(r"""\breferences\s+(?:"[^"]*"|`[^`]*`|\[[^\]]*\]|'[^']*'|\w++)\s*+(?!\()""", re.IGNORECASE)
"""A foreign key that does not name the column: what it refers to is in another table's text."""


def _read_tables(transaction: Transaction, names: list[str] | None) -> dict[str, dict[str, Column]]:
    inspector = sa.inspect(transaction.connection)
    options: dict[str, Any] = {"filter_names": names} if names else {}
    keys = _by_table(inspector.get_multi_pk_constraint(**options))
    foreign = _by_table(inspector.get_multi_foreign_keys(**options))
    uniques = _uniques(transaction, inspector, options)
    indexes = _by_table(inspector.get_multi_indexes(**options))
    declared, natives = _declared_types(transaction), _native_shapes(transaction)
    found: dict[str, dict[str, Column]] = {}
    for table, columns in _by_table(inspector.get_multi_columns(**options)).items():
        facts = _Constraints(keys.get(table), foreign.get(table), uniques.get(table), indexes.get(table))
        found[table] = {
            column["name"]: _column(transaction.dialect, table, column, facts, declared.get((table, column["name"])))
            for column in columns
        }
        for name in found[table].keys() & natives.get(table, {}).keys():
            native = natives[table][name]
            found[table][name] = replace(
                found[table][name], data_type=native.data_type, type=native.kind, native=native
            )
    return found


def _uniques(transaction: Transaction, inspector: sa.Inspector, options: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Unique constraints. On SQLite from its own list, as SQLAlchemy does not find all that stand beside a column."""
    if transaction.dialect != "sqlite":
        return _by_table(inspector.get_multi_unique_constraints(**options))
    found: dict[str, list[Any]] = defaultdict(list)
    for table, columns in unique_sets(transaction):
        found[table].append({"column_names": columns})
    return found


def unique_sets(transaction: Transaction) -> list[tuple[str, tuple[str, ...]]]:
    """Tables and columns of SQLite's unique constraints (not of keys and indexes)."""
    rows = transaction.connection.exec_driver_sql(
        "SELECT t.name, i.name, c.name FROM sqlite_master t JOIN pragma_index_list(t.name) i"
        " JOIN pragma_index_info(i.name) c WHERE t.type = 'table' AND i.origin = 'u' ORDER BY i.name, c.seqno"
    )
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for table, index, column in rows:
        found[table, index].append(column)
    return [(table, tuple(columns)) for (table, _), columns in found.items()]


def _by_table(reflected: Reflected) -> dict[str, Any]:
    return {table: value for (_, table), value in reflected.items()}


class _Constraints:
    """What a table's constraints and indexes say of its columns."""

    def __init__(self, key: Any, foreign: Any, uniques: Any, indexes: Any) -> None:
        self.key: list[str] = list((key or {}).get("constrained_columns") or [])
        self.foreign = {
            entry["constrained_columns"][0]: _foreign_key(entry)
            for entry in foreign or []
            if len(entry["constrained_columns"]) == 1 and len(entry["referred_columns"]) <= 1
        }
        unique_indexes = [
            entry["column_names"] for entry in indexes or [] if entry["unique"] and not _is_partial(entry)
        ]
        sets = [entry["column_names"] for entry in uniques or []] + unique_indexes + [self.key]
        self.unique = {columns[0] for columns in sets if len(columns) == 1}
        self.indexed = {entry["column_names"][0] for entry in indexes or [] if not entry["unique"]}


def _is_partial(index: Mapping[str, Any]) -> bool:
    return any("where" in name and value is not None for name, value in index.get("dialect_options", {}).items())


def _foreign_key(entry: Mapping[str, Any]) -> ForeignKey:
    options = entry.get("options") or {}
    return ForeignKey(
        entry.get("name"),
        entry["referred_table"],
        entry["referred_columns"][0] if entry["referred_columns"] else "",
        (options.get("onupdate") or "NO ACTION").upper(),
        (options.get("ondelete") or "NO ACTION").upper(),
    )


def _declared_types(transaction: Transaction) -> dict[tuple[str, str], str]:
    """SQLite's own words for types: `INTEGER` makes a key count up, `INT` does not."""
    if transaction.dialect != "sqlite":
        return {}
    rows = transaction.connection.exec_driver_sql(
        "SELECT t.name, c.name, c.type FROM sqlite_master t JOIN pragma_table_xinfo(t.name) c WHERE t.type = 'table'"
    )
    return {(table, column): str(kind).upper() for table, column, kind in rows}


def _native_shapes(transaction: Transaction) -> dict[str, dict[str, NativeShape]]:
    """The columns of PostGIS's types, by table and name."""
    found: dict[str, dict[str, NativeShape]] = defaultdict(dict)
    if transaction.dialect != "postgresql":
        return found
    for table, name, words in transaction.connection.exec_driver_sql(_SHAPES):
        match = _SHAPE.fullmatch(words)
        assert match is not None
        kind = f"geometry.{match['kind']}"
        srid = int(match["srid"] or 0) or SRID
        found[table][name] = NativeShape(
            "postgresql", match["type"], kind if kind in GEOMETRIES else GEOMETRIES[0], srid
        )
    return found


_SHAPES = """
    SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE a.atttypid IN (to_regtype('geometry'), to_regtype('geography')) AND NOT a.attisdropped
      AND c.relnamespace = current_schema()::regnamespace
"""
_SHAPE = re.compile(r'(?:.*\.)?"?(?P<type>geometry|geography)"?(?:\((?P<kind>\w+?)(?:ZM|Z|M)?(?:,(?P<srid>\d+))?\))?')
"""`geometry`, `geometry(PointZ,4326)`."""


def _column(dialect: str, table: str, raw: Mapping[str, Any], facts: _Constraints, declared: str | None) -> Column:
    name, kind, computed = raw["name"], raw["type"], raw.get("computed")
    default = raw.get("default")
    is_key = facts.key == [name]
    counts = declared == "INTEGER" if dialect == "sqlite" else bool(raw.get("identity")) or _is_serial(default)
    return Column(
        name=str(name),
        table=table,
        data_type=_data_type(dialect, kind, declared),
        default=default,
        generation_expression=computed["sqltext"] if computed else None,
        max_length=getattr(kind, "length", None),
        numeric_precision=getattr(kind, "precision", None),
        numeric_scale=getattr(kind, "scale", None),
        is_generated=bool(computed),
        is_nullable=bool(raw["nullable"]) and not is_key,
        is_unique=name in facts.unique,
        is_indexed=name in facts.indexed,
        is_primary_key=name in facts.key,
        has_auto_increment=counts and (is_key or dialect != "sqlite"),
        foreign_key=facts.foreign.get(name),
        type=_type(dialect, kind, declared),
    )


def _is_serial(default: str | None) -> bool:
    return bool(default and default.startswith("nextval("))


def _data_type(dialect: str, kind: Any, declared: str | None) -> str:
    if dialect == "sqlite":
        return re.sub(r"\(.*", "", declared or "").strip().lower()
    name = re.sub(r"\(.*?\)", "", _sql_name(kind)).strip()
    return POSTGRESQL_NAMES.get(name, name.lower())


def _sql_name(kind: Any) -> str:
    from sqlalchemy.dialects import postgresql

    try:
        return str(kind.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
    except sa.exc.CompileError:
        return "unknown"


def _type(dialect: str, kind: Any, declared: str | None) -> str:
    """The field type, independent of the database."""
    if isinstance(kind, sa.DateTime):
        has_zone = kind.timezone or (dialect == "sqlite" and (declared or "").startswith("TIMESTAMP"))
        return "timestamp" if has_zone else "dateTime"
    if dialect == "sqlite" and isinstance(kind, sa.CHAR) and kind.length == 36:
        return "uuid"
    if isinstance(kind, sa.types.ARRAY | sa.types.NullType):
        return "unknown"
    return next((name for known, name in TYPES if isinstance(kind, known)), "unknown")


def tables_with_triggers(transaction: Transaction) -> set[str]:
    """The tables with triggers of the database's own."""
    if transaction.dialect == "sqlite":
        statement = "SELECT DISTINCT tbl_name FROM sqlite_master WHERE type = 'trigger'"
    else:
        here = "DATABASE()" if transaction.dialect == "mariadb" else "current_schema()"
        of_here = "information_schema.triggers WHERE event_object_schema ="
        statement = f"SELECT DISTINCT event_object_table FROM {of_here} {here}"  # noqa: S608  no words but ours
    return {str(row[0]) for row in transaction.connection.exec_driver_sql(statement)}
