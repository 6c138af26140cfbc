"""`conversion`: a stored value as a field of another type stores it. SQLite would make a 0 of what does not fit."""

from collections.abc import Callable
from typing import Any

import orjson

from datastead.data.schema import Field
from datastead.data.values import UnfitError, encoder, error_of
from datastead.data.wire import decoder

TEXTS = {"string", "text", "csv", "hash"}
MOMENTS = {"date", "dateTime", "timestamp", "time"}

Convert = Callable[[Any], Any]


def conversion(old: Field, new: Field) -> Convert:
    """A function from a value of a SQLite column, never None, to the new one. It raises `RequestError`."""
    encode, decode = encoder(new, "sqlite"), decoder(old, "sqlite")

    def convert(value: Any) -> Any:
        if new.type == "unknown":
            return value
        if new.type == "json" and isinstance(value, str):
            return _checked_json(new, value)
        if decode is not None and (new.type in MOMENTS or (new.type in TEXTS and not isinstance(value, str))):
            return encode(decode(value))
        return encode(value)

    return convert


def _checked_json(new: Field, text: str) -> str:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        raise error_of(new, text, UnfitError("is not valid JSON")) from None
    return text
