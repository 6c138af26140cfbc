"""Items as a file: CSV, JSON, XML or YAML, for `?export=`. In pieces, so that a long list is never held at once."""

import codecs
import csv
import io
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import Any
from xml.sax.saxutils import escape

import orjson
from starlette.responses import Response, StreamingResponse

from datastead.api.answers import POWERED_BY

Items = Sequence[Mapping[str, Any]]
Batches = AsyncIterator[Items]
Pieces = AsyncIterator[bytes]

IN_MEMORY = 1 << 20  # bytes; what is larger waits on the disk
PIECE = 1000  # lines


async def exported(batches: Batches, form: str, collection: str, now: datetime) -> Response:
    """The items as a file to be kept, named after the collection and the time. form: one of `FORMS`.

    Raises what goes wrong with the first batch.
    """
    media_type, write = FORMS[form]
    name = f"{_plain(collection)} {now:%Y%m%d-%H%M%S}.{form.partition('_')[0]}"
    answer = StreamingResponse(await begun(write(batches)), media_type=media_type)
    answer.headers["content-disposition"] = f'attachment; filename="{name}"'
    answer.raw_headers.append(POWERED_BY)
    return answer


async def begun(pieces: Pieces) -> Pieces:
    """The same pieces, the first of which is there."""
    first = await anext(pieces, b"")

    async def all_of() -> Pieces:
        yield first
        async for piece in pieces:
            yield piece

    return all_of()


def _plain(name: str) -> str:
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "_-") else "_" for letter in name)


async def to_csv(batches: Batches) -> Pieces:
    """A line an item; what is inside an item has a column for each path, such as `author.name`.

    Which columns there are is known after the last item: until then the rows wait in a file.
    """
    columns: dict[str, None] = {}
    with SpooledTemporaryFile(IN_MEMORY) as waiting:
        async for items in batches:
            for row in map(_flat, items):
                columns |= dict.fromkeys(row)
                waiting.write(orjson.dumps(row, default=str, option=orjson.OPT_APPEND_NEWLINE))
        if columns:
            yield _lines([list(columns)])
        waiting.seek(0)
        while lines := list(islice(waiting, PIECE)):
            rows = [orjson.loads(line) for line in lines]
            yield _lines([[_cell(row.get(name)) for name in columns] for row in rows])


def _lines(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


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


async def to_marked_csv(batches: Batches) -> Pieces:
    """The same, with the mark by which a spreadsheet knows UTF-8."""
    mark = codecs.BOM_UTF8
    async for piece in to_csv(batches):
        yield mark + piece
        mark = b""


async def to_json(batches: Batches) -> Pieces:
    """A list of objects."""
    is_first = True
    async for items in batches:
        if items:
            inside = orjson.dumps(items, default=str, option=orjson.OPT_INDENT_2).removesuffix(b"\n]")
            yield inside if is_first else b"," + inside[1:]
            is_first = False
    yield b"[]" if is_first else b"\n]"


async def to_yaml(batches: Batches) -> Pieces:
    """A list of mappings."""
    import yaml

    is_empty = True
    async for items in batches:
        if items:
            is_empty = False
            simple = orjson.loads(orjson.dumps(items, default=str))
            yield yaml.safe_dump(simple, sort_keys=False, allow_unicode=True).encode()
    if is_empty:
        yield b"[]\n"


async def to_xml(batches: Batches) -> Pieces:
    """`<data>` with one `<data>` an item; a list is its element several times."""
    begin = "<?xml version='1.0'?>\n<data>\n"
    async for items in batches:
        yield (begin + "".join(_element("data", item, 1) for item in items)).encode()
        begin = ""
    yield f"{begin}</data>\n".encode()


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


FORMS: Mapping[str, tuple[str, Callable[[Batches], Pieces]]] = {
    "csv": ("text/csv; charset=utf-8", to_csv),
    "csv_utf8": ("text/csv; charset=utf-8", to_marked_csv),
    "json": ("application/json; charset=utf-8", to_json),
    "xml": ("text/xml; charset=utf-8", to_xml),
    "yaml": ("text/yaml; charset=utf-8", to_yaml),
}
