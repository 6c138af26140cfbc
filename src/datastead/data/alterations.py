"""What has to be done to a column so that it is as a changed field says: only what is asked for, and is different."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import sqlalchemy as sa

from datastead.data import ddl
from datastead.data.columns import described, invalid, server_default, type_of
from datastead.data.conversion import Convert, conversion
from datastead.data.engine import Transaction
from datastead.data.schema import Column, Field
from datastead.errors import InvalidPayload

Step = Callable[[Transaction], None]
SIZES = ("max_length", "numeric_precision", "numeric_scale")
SIZED_TYPES = {"string", "hash", "decimal"}


def column_changes(item: Field, kind: str, wanted: Mapping[str, Any], dialect: str) -> list[Step]:
    """The steps. kind: the new type. wanted: the new `schema`, as far as it is given. Nothing for an alias."""
    column = item.column
    if column is None:
        return []
    table, name = item.collection, item.name
    steps: list[Step] = []
    options = _options(item, column, kind, wanted, dialect)
    if options:
        convert = _converted(item, kind, options, dialect)
        steps.append(partial(ddl.alter_column, table=table, column=name, convert=convert, **options))
    if _differs(wanted, "is_unique", column.is_unique):
        steps.append(partial(ddl.set_unique, table=table, column=name, unique=wanted["is_unique"]))
    if _differs(wanted, "is_indexed", column.is_indexed):
        steps.append(partial(ddl.set_indexed, table=table, column=name, indexed=wanted["is_indexed"]))
    return steps


def _differs(wanted: Mapping[str, Any], name: str, now: bool) -> bool:
    return isinstance(wanted.get(name), bool) and wanted[name] is not now


def _options(item: Field, column: Column, kind: str, wanted: Mapping[str, Any], dialect: str) -> dict[str, Any]:
    """What Alembic is to change."""
    options: dict[str, Any] = _new_type(item, column, kind, wanted, dialect)
    if _differs(wanted, "is_nullable", column.is_nullable) and not column.is_primary_key:
        options["nullable"] = wanted["is_nullable"]
    if "default_value" in wanted and not column.has_auto_increment:
        if column.native is not None and wanted["default_value"] is not None:
            raise _native(item, "takes no default")
        field = described(item.collection, item.name, kind, options["type_"]) if "type_" in options else item
        options["server_default"] = server_default(field, wanted, dialect)
    return options


def _converted(item: Field, kind: str, options: Mapping[str, Any], dialect: str) -> Convert | None:
    """What makes the values fit: SQLite's own way of doing so would lose those that do not."""
    if dialect != "sqlite" or "type_" not in options:
        return None
    new = replace(described(item.collection, item.name, kind, options["type_"]), special=item.special)
    return conversion(replace(item, special=frozenset()), new)


def _new_type(item: Field, column: Column, kind: str, wanted: Mapping[str, Any], dialect: str) -> dict[str, Any]:
    now = {
        "max_length": column.max_length,
        "numeric_precision": column.numeric_precision,
        "numeric_scale": column.numeric_scale,
    }
    asked = {name: wanted[name] for name in SIZES if wanted.get(name) is not None and wanted[name] != now[name]}
    if kind == item.type and not (asked and kind in SIZED_TYPES):
        return {}
    if column.native is not None:
        raise _native(item, f"stays of the type `{item.type}`")
    new = type_of(kind, now | asked if kind == item.type else wanted, dialect)
    # a cast to a text of some length cuts what is longer, an assignment of a text refuses it
    words = "TEXT" if isinstance(new, sa.String) else new.compile(dialect=ddl.dialect_of(dialect))
    return {"type_": new, "postgresql_using": f"{ddl.quoted(dialect, column.name)}::{words}"}


def _native(item: Field, what: str) -> InvalidPayload:
    reason = f"`{item.name}` of `{item.collection}` is the database's own geometry, which {what}"
    return invalid(reason, collection=item.collection, field=item.name)
