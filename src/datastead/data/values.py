"""Values on their way in: from the wire to a column, each checked for its type. One function a type, each pure."""

import base64
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

import orjson

from datastead.data.geojson import NoShapeError, bare, dimensions_of, read
from datastead.data.geometry import NativeShape
from datastead.data.schema import Column, Field
from datastead.data.wire import CONCEALED, GEOMETRIES
from datastead.errors import InvalidPayload, RequestError, ValueOutOfRange, ValueTooLong, as_json

Encoder = Callable[[Any], Any]

TRUTHS = {"true": True, "1": True, "false": False, "0": False}
INTEGER_BITS = {
    "tinyint": 8, "smallint": 16, "mediumint": 24, "integer": 32, "bigint": 64, "int": 32, "int2": 16, "int4": 32,
    "int8": 64,
}  # fmt: skip
_MAX_DECIMAL_EXPONENT = 1000


class UnfitError(Exception):
    """A value that the field's type does not take. The reason goes on after the value: `… is not an integer`."""

    def __init__(self, reason: str, kind: type[RequestError] = InvalidPayload) -> None:
        super().__init__(reason)
        self.reason = reason
        self.kind = kind


def encoder(field: Field, dialect: str, *, bounded: bool = True) -> Encoder:
    """A function from the wire's value to the column's. It raises `InvalidPayload`, `ValueTooLong`, `ValueOutOfRange`.

    bounded: whether the value has to fit into the column; otherwise it is only compared with it.
    """
    native = field.column.native if field.column is not None else None
    encode = _encoder(field, dialect, bounded=bounded) if native is None else _natives(native, field)

    def checked(value: Any) -> Any:
        if value is None:
            return None
        try:
            return encode(value)
        except UnfitError as unfit:
            raise error_of(field, value, unfit) from None

    return checked


def error_of(field: Field, value: Any, unfit: UnfitError) -> RequestError:
    """The typed error, which names field and value."""
    shown = shortened(value)
    reason = f"`{shown}` {unfit.reason}: `{field.collection}.{field.name}` is of the type `{field.type}`"
    if field.is_concealed:
        shown, reason = (
            CONCEALED,
            f"The value {unfit.reason}: `{field.collection}.{field.name}` is of the type `{field.type}`",
        )
    return unfit.kind(f"{reason}.", reason=reason, collection=field.collection, field=field.name, value=shown)


def shortened(value: Any) -> str:
    """For messages. What cannot be encoded is written as escapes."""
    text = value if isinstance(value, str) else as_json(value)
    text = text.encode(errors="backslashreplace").decode().replace("\0", "\\0")
    return text if len(text) <= 100 else f"{text[:97]}…"


def _encoder(field: Field, dialect: str, *, bounded: bool) -> Encoder:
    column = field.column
    assert column is not None
    length = column.max_length if bounded else None
    if field.type in _SIMPLE:
        return _SIMPLE[field.type]
    if field.type in {"integer", "bigInteger"}:
        return _integers(_bits(field, column, dialect) if bounded else 64)
    if field.type == "boolean":
        return _to_boolean if column.data_type == "boolean" and dialect != "sqlite" else _to_bit
    if field.type == "uuid" and (column.data_type == "uuid" or column.max_length == 36):
        return _to_uuid
    if field.type in _BY_DIALECT:
        digits = column.numeric_precision if bounded and field.type == "decimal" and dialect == "sqlite" else None
        return _BY_DIALECT[field.type](dialect) if digits is None else _digits(digits, column.numeric_scale or 0)
    return _texts(length, _to_csv if field.type == "csv" else _to_text)


def _bits(field: Field, column: Column, dialect: str) -> int:
    """SQLite's own integers all have 64: there the type counts, but for keys, and what refers to them."""
    if dialect != "sqlite":
        return INTEGER_BITS.get(column.data_type, 64)
    is_key = column.is_primary_key or column.foreign_key is not None
    return 64 if is_key or field.type == "bigInteger" or column.data_type == "int8" else 32


def _integers(bits: int) -> Encoder:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def encode(value: Any) -> int:
        number = _whole(value)
        if not low <= number <= high:
            raise UnfitError("is out of range", ValueOutOfRange)
        return number

    return encode


def _whole(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and len(value) <= 40:
        try:
            return int(value)
        except ValueError:
            pass
    raise UnfitError("is not an integer")


def _to_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and value in {0, 1}:
        return bool(value)
    if isinstance(value, str) and value.lower() in TRUTHS:
        return TRUTHS[value.lower()]
    raise UnfitError("is not true or false")


def _to_bit(value: Any) -> int:
    return int(_to_boolean(value))


def _to_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise UnfitError("is not a number")
    try:
        number = float(value) if not isinstance(value, str) or len(value) <= 400 else math.nan
    except OverflowError:
        raise UnfitError("is out of range", ValueOutOfRange) from None
    except ValueError:
        raise UnfitError("is not a number") from None
    if math.isnan(number):
        raise UnfitError("is not a number")
    if math.isinf(number):
        raise UnfitError("is out of range", ValueOutOfRange)
    return number


def _to_decimal(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        raise UnfitError("is not a number")
    text = str(value).strip()
    try:
        number = Decimal(text) if len(text) <= 400 else Decimal("NaN")
    except InvalidOperation:
        raise UnfitError("is not a number") from None
    if not number.is_finite():
        raise UnfitError("is not a number")
    if abs(number.adjusted()) > _MAX_DECIMAL_EXPONENT:
        raise UnfitError("is out of range", ValueOutOfRange)
    return text


def _to_number(value: Any) -> int | float:
    """SQLite has no decimals: what is whole and fits stays exact, the rest is a float."""
    text = _to_decimal(value)
    number = Decimal(text)
    if number == number.to_integral_value() and abs(number) < 2**63:
        return int(number)
    return _to_float(text)


def _digits(precision: int, scale: int) -> Encoder:
    """SQLite counts no digits: what would round to more of them is out of range here as elsewhere."""
    beyond = Decimal(10) ** (precision - scale) - Decimal(5).scaleb(-scale - 1)

    def encode(value: Any) -> int | float:
        if abs(Decimal(_to_decimal(value))) >= beyond:
            raise UnfitError("is out of range", ValueOutOfRange)
        return _to_number(value)

    return encode


def _to_text(value: Any) -> str:
    if isinstance(value, str):
        return _checked(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal | UUID):
        return str(value)
    if isinstance(value, date | time):
        return value.isoformat()
    raise UnfitError("is not a text")


def _checked(text: str) -> str:
    if "\0" in text:
        raise UnfitError("holds a NUL character")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UnfitError("is not valid Unicode") from None
    return text


def _texts(length: int | None, encode: Callable[[Any], str]) -> Encoder:
    if length is None:
        return encode

    def bounded(value: Any) -> str:
        text = encode(value)
        if len(text) > length:
            raise UnfitError(f"is longer than {length} characters", ValueTooLong)
        return text

    return bounded


def _to_csv(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(_to_text(entry) for entry in value)
    return _to_text(value)


def _to_json(value: Any) -> str:
    """A text that is JSON already is what it says."""
    if isinstance(value, str):
        with suppress(orjson.JSONDecodeError):
            value = orjson.loads(value)
    try:
        text = orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        raise UnfitError("is not valid JSON") from None
    if "\\u0000" in text:
        _refuse_nul(orjson.loads(text))
    return text


def _geometries(kind: str) -> Encoder:
    """GeoJSON, as an object or as its text, which is kept as it is. kind: empty = any."""
    return lambda value: _to_json(_shape(value, kind))


def _natives(native: NativeShape, field: Field) -> Encoder:
    """GeoJSON as the database takes it for a column of its own."""
    kind = field.type.partition(".")[2] if field.type in GEOMETRIES else ""

    def encode(value: Any) -> str:
        found = _shape(value, kind)
        if dimensions_of(found) > native.dimensions:
            raise UnfitError(
                f"has positions with more than {native.dimensions} numbers, which `{native.data_type}` drops"
            )
        return bare(found)

    return encode


def _shape(value: Any, kind: str) -> Mapping[str, Any]:
    try:
        return read(value, kind)
    except NoShapeError as error:
        raise UnfitError(str(error)) from None


def _refuse_nul(value: Any) -> None:
    if isinstance(value, str) and "\0" in value:
        raise UnfitError("holds a NUL character")
    if isinstance(value, Mapping):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list):
        for entry in value:
            _refuse_nul(entry)


def _to_uuid(value: Any) -> str:
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, str) and len(value) <= 45:
        try:
            return str(UUID(value))
        except ValueError:
            pass
    raise UnfitError("is not a UUID")


def _moment(value: Any) -> datetime:
    """Text in ISO 8601, a `datetime`, or milliseconds since 1970, as JavaScript has them."""
    try:
        if isinstance(value, datetime):
            return value
        if isinstance(value, date):
            return datetime.combine(value, time())
        if isinstance(value, str) and len(value) <= 40:
            return datetime.fromisoformat(value.strip())
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise UnfitError("is not a date and time, such as `2024-02-29T12:30:15`")


def _to_date(value: Any) -> str:
    if isinstance(value, int | float):
        raise UnfitError("is not a date, such as `2024-02-29`")
    try:
        return _moment(value).date().isoformat()
    except UnfitError:
        raise UnfitError("is not a date, such as `2024-02-29`") from None


def _to_time(value: Any) -> str:
    try:
        if isinstance(value, str) and len(value) <= 30:
            value = time.fromisoformat(value.strip())
        if isinstance(value, time):
            return value.replace(tzinfo=None).isoformat()
    except ValueError:
        pass
    raise UnfitError("is not a time of day, such as `12:30:15`")


def _to_local(value: Any) -> str:
    """Without a zone, as `2024-02-29 12:30:15`: what comes with one is kept as UTC."""
    return _without_zone(_moment(value)).isoformat(sep=" ")


def _without_zone(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo is not None else moment
    except OverflowError:
        raise UnfitError("is out of range", ValueOutOfRange) from None


def _timestamps(dialect: str) -> Encoder:
    """A moment in UTC; what comes without a zone is UTC. On SQLite as `Timestamp` columns hold it."""
    if dialect == "mariadb":
        return _to_local
    if dialect == "sqlite":
        return lambda value: _without_zone(_moment(value)).strftime("%Y-%m-%d %H:%M:%S.%f").rjust(26, "0")
    return lambda value: _without_zone(_moment(value)).isoformat(sep=" ") + "+00"


def _to_binary(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    try:
        return base64.b64decode(value, validate=True) if isinstance(value, str) else _not_binary()
    except ValueError:  # `binascii.Error` is one; a letter beyond ASCII is another
        return _not_binary()


def _not_binary() -> bytes:
    raise UnfitError("is not base64")


def _to_any(value: Any) -> Any:
    """For types that we do not know, the database decides."""
    if isinstance(value, str):
        return _checked(value)
    if isinstance(value, list | tuple | Mapping):
        return _to_json(value)
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        raise UnfitError("is out of range", ValueOutOfRange)
    return value if isinstance(value, bool | int | float | bytes) else _to_text(value)


_SIMPLE: Mapping[str, Encoder] = {
    "json": _to_json,
    "date": _to_date,
    "time": _to_time,
    "dateTime": _to_local,
    "binary": _to_binary,
    "unknown": _to_any,
    **{kind: _geometries(kind.partition(".")[2]) for kind in GEOMETRIES},
}
_DECIMALS: Mapping[str, Encoder] = {
    "sqlite": _to_number,
    "postgresql": _to_decimal,
    "mariadb": lambda value: Decimal(_to_decimal(value)),  # as a text it would be compared as a float
}
_BY_DIALECT: Mapping[str, Callable[[str], Encoder]] = {
    "float": lambda dialect: (lambda value: repr(_to_float(value))) if dialect == "postgresql" else _to_float,
    "decimal": lambda dialect: _DECIMALS[dialect],
    "timestamp": _timestamps,
}
