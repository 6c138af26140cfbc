"""What a column's default is, from the database's own words for it."""

import re
from typing import Any

import orjson

from datastead.data.schema import Column

_QUOTED = re.compile(r"^'((?:[^']|'')*)'(?:::[\w\s\[\]\"().]+)?$")
_NUMBER = re.compile(r"^\(?'?(-?\d+(?:\.\d+)?)'?\)?(?:::[\w\s()]+)?$")
_NUMBERS = {"integer", "bigInteger", "float", "decimal"}


def default_of(column: Column | None) -> Any:
    """The value, where it is one; text as the database has it, where it is worked out (`CURRENT_TIMESTAMP`).

    None of a column of geometry, of which the database says bytes.
    """
    text = column.default if column is not None else None
    if column is None or not isinstance(text, str):
        return text
    if (
        column.native is not None
        or column.has_auto_increment
        or text.upper() == "NULL"
        or text.upper().startswith("NULL::")
    ):
        return None
    if column.type == "boolean":
        return text.strip("'").lower() in {"true", "1", "t"}
    number = _NUMBER.match(text)
    if number and column.type in _NUMBERS:
        return float(number[1]) if "." in number[1] else int(number[1])
    quoted = _QUOTED.match(text)
    return _of_type(column, quoted[1].replace("''", "'")) if quoted else text


def literal_of(column: Column | None) -> Any:
    """The default where it is a value; None where there is none, or the database works it out."""
    text = column.default if column is not None else None
    is_worked_out = isinstance(text, str) and not (_QUOTED.match(text) or _NUMBER.match(text))
    if column is None or (is_worked_out and column.type != "boolean"):
        return None
    return default_of(column)


def _of_type(column: Column, text: str) -> Any:
    if column.type != "json":
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
