"""Items as a file: CSV, JSON, XML or YAML, for `?export=`."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

import orjson
from starlette.responses import Response

from datastead.api.answers import POWERED_BY

Items = Sequence[Mapping[str, Any]]


def exported(items: Items, form: str, collection: str, now: datetime) -> Response:
    """The items as a file to be kept, named after the collection and the time. form: one of `FORMS`."""
    media_type, write = FORMS[form]
    answer = Response(write(items), media_type=media_type)
    name = f"{_plain(collection)} {now:%Y%m%d-%H%M%S}.{form}"
    answer.headers["content-disposition"] = f'attachment; filename="{name}"'
    answer.raw_headers.append(POWERED_BY)
    return answer


def _plain(name: str) -> str:
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "_" for letter in name)


def to_csv(items: Items) -> bytes:
    """A line an item; what is inside an item has a column for each path, such as `author.name`."""
    rows = [_flat(item) for item in items]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in columns])
    return text.getvalue().encode() if columns else b""


class _Empty(float):
    """Nothing, which stands in a line without quotes."""

    def __str__(self) -> str:
        return ""

    __repr__ = __str__


_NOTHING = _Empty()


def _cell(value: Any) -> Any:
    if value is None:
        return _NOTHING
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, int | float | str) else orjson.dumps(value, default=str).decode()


def _flat(item: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in item.items():
        if isinstance(value, Mapping) and value:
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def to_json(items: Items) -> bytes:
    """A list of objects."""
    return orjson.dumps(items, default=str, option=orjson.OPT_INDENT_2)


def to_yaml(items: Items) -> bytes:
    """A list of mappings."""
    simple = orjson.loads(orjson.dumps(items, default=str))
    import yaml

    return yaml.safe_dump(simple, sort_keys=False, allow_unicode=True).encode()


def to_xml(items: Items) -> bytes:
    """`<data>` with one `<data>` an item; a list is its element several times."""
    inside = "".join(_element("data", item, 1) for item in items)
    return f"<?xml version='1.0'?>\n<data>\n{inside}</data>\n".encode()


def _element(name: str, value: Any, depth: int) -> str:
    space, tag = "    " * depth, _tag(name)
    if isinstance(value, Mapping):
        inside = "".join(_element(key, entry, depth + 1) for key, entry in value.items())
        return f"{space}<{tag}>\n{inside}{space}</{tag}>\n"
    if isinstance(value, list | tuple):
        return "".join(_element(name, entry, depth) for entry in value)
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else escape(_printable(str(value)))
    return f"{space}<{tag}>{text}</{tag}>\n"


def _tag(name: str) -> str:
    """A name that an element may have."""
    plain = _plain(name)
    return plain if plain[:1].isalpha() or plain[:1] == "_" else f"_{plain}"


def _printable(text: str) -> str:
    """Without the characters that XML has no place for."""
    return "".join(letter for letter in text if letter in "\t\n\r" or letter >= " ")


FORMS: Mapping[str, tuple[str, Callable[[Items], bytes]]] = {
    "csv": ("text/csv; charset=utf-8", to_csv),
    "json": ("application/json; charset=utf-8", to_json),
    "xml": ("text/xml; charset=utf-8", to_xml),
    "yaml": ("text/yaml; charset=utf-8", to_yaml),
}
