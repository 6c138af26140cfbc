"""Descriptions of new collections and fields, in the contract's shape, checked and made into columns."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from datastead.data.filters import GROUPS, OPERATORS, QUANTIFIERS
from datastead.data.schema import Column, Field
from datastead.data.values import UnfitError, encoder, error_of
from datastead.data.wire import GEOMETRIES
from datastead.errors import InvalidPayload

MAX_NAME = 63
MAX_LENGTH = 65_535
MAX_LENGTHS = {"mariadb": 16_383}
MAX_DIGITS = {"mariadb": (65, 38)}  # precision, scale
RESERVED = ("directus_", "datastead_", "sqlite_", "pg_")
TYPE_SPECIALS = {"csv": "cast-csv", "hash": "hash", **{kind: kind for kind in GEOMETRIES}}
NOW = {"now()", "current_timestamp", "$now"}
WHOLE_NUMBERS = {"integer", "bigInteger"}
KEY_FIELD: dict[str, Any] = {
    "field": "id",
    "type": "integer",
    "meta": {"hidden": True, "readonly": True, "interface": "numeric"},
    "schema": {"is_primary_key": True, "has_auto_increment": True},
}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def checked_name(kind: str, name: Any) -> str:
    """A name that may be given to something new. kind: `collection` or `field`. Raises `InvalidPayload`."""
    if not isinstance(name, str) or not name:
        raise invalid(f"`{kind}` needs a name")
    if len(name) > MAX_NAME:
        raise invalid(f"`{name[:20]}…` is too long for a {kind}: a name has at most {MAX_NAME} characters")
    if _NAME.fullmatch(name) is None:
        shown = name.encode("ascii", "backslashreplace").decode()
        raise invalid(f"`{shown}` cannot be a {kind}: a name has letters (a-z), digits and `_`, and no digit first")
    if kind == "collection" and name.lower().startswith(RESERVED):
        raise invalid(f"`{name}` cannot be a collection: names that begin with `{name.partition('_')[0]}_` are taken")
    if kind == "field" and name in {*OPERATORS, *GROUPS, *QUANTIFIERS}:
        raise invalid(f"`{name}` cannot be a field: it is an operator")
    return name


def checked_object(value: Any, name: str) -> Mapping[str, Any]:
    """The object, or an empty one for null."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise invalid(f"`{name}` has to be an object")
    return value


def column_of(table: str, name: str, kind: str, schema: Mapping[str, Any], dialect: str) -> sa.Column[Any]:
    """The column. Raises `InvalidPayload` on a type that there is not, and on a default that does not fit it."""
    is_key = _flag(schema, "is_primary_key")
    counts = is_key and kind in {"integer", "bigInteger"} and _flag(schema, "has_auto_increment")
    is_nullable = not is_key and _flag(schema, "is_nullable", default=True)
    type_ = sa.Integer() if counts and dialect == "sqlite" else type_of(kind, schema, dialect)
    column: sa.Column[Any] = sa.Column(
        name,
        type_,
        primary_key=is_key,
        autoincrement=counts,
        nullable=is_nullable,
        unique=(_flag(schema, "is_unique") and not is_key) or None,
        server_default=None if counts else server_default(described(table, name, kind, type_), schema, dialect),
        info={"is_indexed": _flag(schema, "is_indexed") and not is_key},
    )
    return column


def _flag(schema: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    value = schema.get(name, default)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise invalid(f"`schema.{name}` has to be true or false")
    return value


def type_of(kind: Any, schema: Mapping[str, Any], dialect: str) -> sa.types.TypeEngine[Any]:
    """The column type for a field type."""
    simple: dict[str, sa.types.TypeEngine[Any]] = {
        "text": sa.Text(), "boolean": sa.Boolean(), "integer": sa.Integer(), "bigInteger": sa.BigInteger(),
        "float": sa.Float(), "date": sa.Date(), "time": sa.Time(), "dateTime": sa.DateTime(),
        "timestamp": sa.TIMESTAMP(timezone=True), "json": sa.JSON(), "csv": sa.Text(), "binary": sa.LargeBinary(),
        "uuid": sa.Uuid() if dialect == "postgresql" else sa.CHAR(36),
    }  # fmt: skip
    if kind in GEOMETRIES:
        return sa.Text()
    if kind in ("string", "hash"):
        return sa.String(_size(schema, "max_length", 255, MAX_LENGTHS.get(dialect, MAX_LENGTH)))
    if kind == "decimal":
        most = MAX_DIGITS.get(dialect, (1000, 1000))
        precision = _size(schema, "numeric_precision", 10, most[0])
        return sa.Numeric(precision, min(_size(schema, "numeric_scale", 5, most[1], least=0), precision))
    if not isinstance(kind, str) or kind not in simple:
        known = ", ".join(f"`{name}`" for name in sorted({*simple, *GEOMETRIES, "string", "hash", "decimal", "alias"}))
        raise invalid(f"`{str(kind)[:100]}` is not a type of fields; there are {known}")
    return simple[kind]


def _size(schema: Mapping[str, Any], name: str, default: int, most: int, *, least: int = 1) -> int:
    value = schema.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise invalid(f"`schema.{name}` has to be a whole number from {least} to {most}")
    return value


def described(table: str, name: str, kind: str, type_: sa.types.TypeEngine[Any]) -> Field:
    """The field that there will be, as far as its values are concerned."""
    data_type = "uuid" if isinstance(type_, sa.Uuid) else str(type_.compile()).partition("(")[0].lower()
    return Field(table, name, kind, column=Column(name, table, data_type, max_length=getattr(type_, "length", None)))


def server_default(field: Field, schema: Mapping[str, Any], dialect: str) -> Any:
    """The default, as DDL takes it: a text, or an expression."""
    value = schema.get("default_value")
    if value is None:
        return None
    if field.type in {"timestamp", "dateTime"} and isinstance(value, str) and value.lower() in NOW:
        return sa.func.current_timestamp()
    if field.type == "date" and isinstance(value, str) and value.lower() in NOW:
        return sa.func.current_date()
    if field.type != "boolean":
        return str(encoder(field, dialect)(value))
    if not isinstance(value, bool):
        raise error_of(field, value, UnfitError("is not true or false"))
    return sa.true() if value else sa.false()


def is_folder(payload: Mapping[str, Any]) -> bool:
    """Whether a collection without a table is asked for."""
    return "schema" in payload and payload["schema"] is None


def fields_of(payload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The descriptions of a new collection's fields."""
    fields = payload.get("fields") or []
    if not isinstance(fields, Sequence) or not all(isinstance(entry, Mapping) for entry in fields):
        raise invalid("`fields` has to be a list of fields")
    return list(fields)


def with_key(fields: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """With a key: the field that says that it is, or one named `id`, or one more."""
    keys = [entry for entry in fields if checked_object(entry.get("schema"), "schema").get("is_primary_key")]
    if len(keys) > 1:
        raise invalid("A collection has one primary key")
    if keys:
        return fields
    for place, entry in enumerate(fields):
        if entry.get("field") == "id":
            counts = entry.get("type", "integer") in WHOLE_NUMBERS
            key = {
                **checked_object(entry.get("schema"), "schema"),
                "is_primary_key": True,
                "has_auto_increment": counts,
            }
            return [
                *fields[:place],
                {**entry, "type": entry.get("type", "integer"), "schema": key},
                *fields[place + 1 :],
            ]
    return [KEY_FIELD, *fields]


def check_names(fields: Sequence[Mapping[str, Any]]) -> None:
    """Raises `InvalidPayload` on a name that may not be given, or comes twice."""
    names = [checked_name("field", entry.get("field")).lower() for entry in fields]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise invalid(f"The field `{twice}` is there twice", field=twice)


def invalid(reason: str, **details: Any) -> InvalidPayload:
    """The error, in these words. reason: without the full stop."""
    return InvalidPayload(f"{reason}.", reason=reason, **details)
