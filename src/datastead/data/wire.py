"""Values on their way out: from a row to the wire. One function a type, each pure.

In rows, moments, JSON, UUIDs and PostgreSQL's numerics are text (`Transaction.raw`), which is most of the way already.
"""

import base64
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import orjson

from datastead.data.schema import Field

Decoder = Callable[[Any], Any]

GEOMETRIES = tuple(
    f"geometry{kind}"
    for kind in ("", ".Point", ".LineString", ".Polygon", ".MultiPoint", ".MultiLineString", ".MultiPolygon")
)
"""Field types whose values are GeoJSON, kept as text; see `geometry` for columns of the database's own."""
CONCEALED = "**********"
_FRACTION = re.compile(r"\.\d+")


def decoder(field: Field, dialect: str) -> Decoder | None:
    """A function from the column's value (never None) to the wire's; None where they are the same."""
    if field.is_concealed:
        return _conceal_values if field.has_sealed_values else _conceal
    if dialect == "sqlite":
        return _EVERYWHERE.get(field.type) or _SQLITE.get(field.type)
    if field.type == "boolean" and field.column is not None and field.column.data_type != "boolean":
        return _from_boolean
    return _EVERYWHERE.get(field.type) or _OTHERS.get(field.type)


def _conceal(_: Any) -> str:
    return CONCEALED


def _conceal_values(value: Any) -> Any:
    """Of `[{header, value}]` each value; anything else whole."""
    found = _from_json(value)
    if not isinstance(found, list):
        return CONCEALED
    return [{**entry, "value": CONCEALED} if isinstance(entry, dict) and "value" in entry else entry for entry in found]


def _from_json(value: Any) -> Any:
    if not isinstance(value, str | bytes):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return plain(value)  # SQLite lets others write what they like


def _from_boolean(value: Any) -> Any:
    return bool(value) if isinstance(value, int) else plain(value)


def _from_csv(value: Any) -> Any:
    return value.split(",") if value else []


def _from_local(value: Any) -> Any:
    """`2024-02-29T12:30:15`"""
    if isinstance(value, str):
        if len(value) == 19:
            return f"{value[:10]}T{value[11:]}"
        if len(value) > 19 and value[10] in " T":
            return f"{value[:10]}T{value[11:19]}"
        return value
    return _of_milliseconds(value, "%Y-%m-%dT%H:%M:%S")


def _from_timestamp(value: Any) -> Any:
    """`2024-02-29T12:30:15.000Z`"""
    if not isinstance(value, str):
        return _of_milliseconds(value, "%Y-%m-%dT%H:%M:%S.000Z")
    size = len(value)
    if size == 26 and value[19] == ".":
        return f"{value[:10]}T{value[11:23]}Z"
    if size == 22 and value.endswith("+00"):
        return f"{value[:10]}T{value[11:19]}.000Z"
    if size == 19:
        return f"{value[:10]}T{value[11:]}.000Z"
    return _from_other_timestamp(value)


def _from_other_timestamp(value: str) -> str:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return value  # such as `infinity`
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _of_milliseconds(value: Any, form: str) -> Any:
    if not isinstance(value, int | float):
        return plain(value)
    try:
        moment = datetime.fromtimestamp(value / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return value
    return moment.strftime(form.replace(".000", f".{moment.microsecond // 1000:03}"))


def _from_date(value: Any) -> Any:
    return value if isinstance(value, str) else _of_milliseconds(value, "%Y-%m-%d")


def _from_time(value: Any) -> Any:
    return _FRACTION.sub("", value) if isinstance(value, str) else plain(value)


def plain(value: Any) -> Any:
    """The value as JSON has it: bytes in base64, and text for what JSON does not know."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, Mapping):
        return {str(name): plain(entry) for name, entry in value.items()}
    return str(value)


_EVERYWHERE: Mapping[str, Decoder] = {
    "json": _from_json,
    **dict.fromkeys(GEOMETRIES, _from_json),
    "csv": _from_csv,
    "dateTime": _from_local,
    "timestamp": _from_timestamp,
    "time": _from_time,
    "binary": plain,
}
_SQLITE: Mapping[str, Decoder] = {"boolean": _from_boolean, "date": _from_date}
_OTHERS: Mapping[str, Decoder] = {"unknown": plain}
