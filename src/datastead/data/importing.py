"""Items from a file: CSV or JSON, read row by row, and written in one transaction: all of them, or none.

A row with the key of an item changes that item; any other makes a new one. What is wrong is told with the row's number.
"""

import csv
import io
import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from itertools import islice
from typing import IO, Any, NoReturn

from datastead.context import SYSTEM, Context
from datastead.data.items import Items
from datastead.data.nesting import links_of
from datastead.data.query import Query
from datastead.data.schema import Collection, Schema
from datastead.errors import Forbidden, InvalidPayload, RequestError, UnsupportedMediaType

Row = tuple[int, dict[str, Any]]
ROWS_AT_ONCE = 500
PIECE = 65_536  # characters
CSV_TYPES = ("text/csv", "application/csv", "application/vnd.ms-excel")
JSON_TYPES = ("application/json", "text/json")


async def import_items(ctx: Context, collection: str, file: IO[bytes], kind: str) -> int:
    """Writes the items of a file; how many. kind: its media type. Raises typed errors with the `row`."""
    if collection.startswith(("directus_", "datastead_")):
        raise Forbidden
    importer = _Importer(ctx, collection, file, kind)
    try:
        return await importer.run()
    except RequestError as error:
        if importer.begun is None or "row" in error.details:
            raise
    # once more, and row by row where it went wrong, to find which one it was
    return await importer.run(careful=importer.begun)


class _Importer:
    """One file on its way in. begun: the first row of the batch that is being written."""

    def __init__(self, ctx: Context, collection: str, file: IO[bytes], kind: str) -> None:
        self._ctx = ctx
        self._name = collection
        self._file = file
        self._kind = kind.partition(";")[0].strip().lower()
        self.begun: int | None = None

    async def run(self, careful: int | None = None) -> int:
        """careful: the first row of the batch that is written row by row."""
        count, self.begun = 0, None
        schema = await self._ctx.services.schemas.get()
        rows = self._rows(schema, schema.collection(self._name))
        with closing(rows):
            async with self._ctx.transaction() as ctx:
                items = Items(ctx, self._name)
                while batch := list(islice(rows, ROWS_AT_ONCE)):
                    self.begun = batch[0][0]
                    await self._batch(items, batch, one_by_one=self.begun == careful)
                    count += len(batch)
        return count

    async def _batch(self, items: Items, batch: list[Row], *, one_by_one: bool) -> None:
        if not one_by_one:
            await self._write(items, batch)
            return
        for row in batch:
            await self._one(items, row)

    async def _one(self, items: Items, row: Row) -> None:
        try:
            await self._write(items, [row])
        except RequestError as error:
            error.message = f"Row {row[0]}: {error.message}"
            error.details["row"] = row[0]
            raise

    async def _write(self, items: Items, batch: list[Row]) -> None:
        payloads = [payload for _, payload in batch]
        known = await self._known(payloads)
        changed = [payload for payload in payloads if str(payload.get(self._primary)) in known]
        new = [payload for payload in payloads if str(payload.get(self._primary)) not in known]
        if changed:
            await items.update_batch(changed)
        if new:
            await items.create_many(new)

    async def _known(self, payloads: list[dict[str, Any]]) -> set[str]:
        """The keys among those of the payloads that there are items for, whoever may see them."""
        keys = [payload[self._primary] for payload in payloads if payload.get(self._primary) is not None]
        if not keys:
            return set()
        admin = Items(self._ctx.acting_as(SYSTEM), self._name)
        try:
            return {str(key) for key in await admin.keys(Query(filter={self._primary: {"_in": keys}}, limit=-1))}
        except RequestError as error:
            raise InvalidPayload(error.message, **error.details) from error

    def _rows(self, schema: Schema, collection: Collection) -> Generator[Row]:
        if not collection.has_table or collection.primary is None:
            raise Forbidden
        self._primary = collection.primary.name
        self._file.seek(0)
        text = io.TextIOWrapper(self._file, encoding="utf-8-sig", newline="")
        try:
            if self._kind in CSV_TYPES:
                yield from _csv_rows(text, _Cells(schema, collection))
            elif self._kind in JSON_TYPES:
                yield from _json_rows(text, self._ctx.services.settings.max_payload_size)
            else:
                raise UnsupportedMediaType(
                    f"A file to import is `text/csv` or `application/json`, not `{self._kind[:100]}`."
                )
        except UnicodeDecodeError:
            _refuse("The file is not UTF-8")
        finally:
            text.detach()


class _Cells:
    """What the texts in a CSV file are, by the fields that they are of."""

    def __init__(self, schema: Schema, collection: Collection) -> None:
        links = links_of(schema, collection)
        kinds = {name for name, item in collection.fields.items() if item.type == "json"}
        self._written_as_json = kinds | {*links.many, *links.one}

    def payload(self, names: list[str], cells: list[str]) -> dict[str, Any]:
        """An empty cell is no value. `author.name` is a field of the item in `author`."""
        found: dict[str, Any] = {}
        for name, cell in zip(names, cells, strict=True):
            if cell == "":
                continue
            *steps, last = name.split(".")
            place = found
            for step in steps:
                place = place.setdefault(step, {})
            place[last] = self._value(name, cell)
        return found

    def _value(self, name: str, cell: str) -> Any:
        if name not in self._written_as_json:
            return cell
        try:
            return json.loads(cell)
        except (ValueError, RecursionError):
            return cell


def _csv_rows(text: IO[str], cells: _Cells) -> Iterator[Row]:
    """Rows are counted from 1, without the one that names the fields."""
    lines = csv.reader(text, strict=True)
    try:
        names = [name.strip() for name in next(lines, [])]
        if not names or len(set(names)) < len(names) or "" in names:
            _refuse("The first row has to name the fields, each once")
        for row, line in enumerate((line for line in lines if line), 1):
            if len(line) != len(names):
                _refuse(f"There are {len(line)} values, and {len(names)} fields", row)
            try:
                yield row, cells.payload(names, line)
            except (AttributeError, TypeError):
                _refuse("A field is given as a value and as an item", row)
    except csv.Error as error:
        _refuse(f"The file is not CSV: {error}")


def _json_rows(text: IO[str], max_size: int) -> Iterator[Row]:
    """The objects of a list, one after the other: one of them, and a piece of the file, is in memory."""
    source, row = _Text(text, max_size), 0
    if source.take() != "[":
        _refuse("The file has to hold a list of objects")
    sign = source.take("]")
    while sign != "]":
        row += 1
        try:
            item = source.item()
        except (json.JSONDecodeError, RecursionError):
            _refuse("The file is not JSON", row)
        if not isinstance(item, Mapping):
            _refuse("The file has to hold a list of objects", row)
        yield row, dict(item)
        sign = source.take("],")
        if not sign:
            _refuse("The file is not JSON", row + 1)


class _Text:
    """JSON, read as far as is needed. max_size: of one item, in characters."""

    def __init__(self, text: IO[str], max_size: int) -> None:
        self._text = text
        self._max_size = max_size
        self._waiting = ""
        self._decode = json.JSONDecoder(parse_constant=_no_number).raw_decode

    def take(self, signs: str = "[") -> str:
        """The next sign, where it is one of these; else nothing, and it stays."""
        self._waiting = self._waiting.lstrip()
        while not self._waiting and (piece := self._text.read(PIECE)):
            self._waiting = piece.lstrip()
        sign = self._waiting[:1]
        if not sign or sign not in signs:
            return ""
        self._waiting = self._waiting[1:]
        return sign

    def item(self) -> Any:
        """The next value. Raises `JSONDecodeError`, also for one that is too large."""
        self.take("")
        while True:
            try:
                item, end = self._decode(self._waiting)
            except json.JSONDecodeError:
                piece = self._text.read(PIECE) if len(self._waiting) <= self._max_size else ""
                if not piece:
                    raise
                self._waiting += piece
            else:
                self._waiting = self._waiting[end:]
                return item


def _no_number(name: str) -> NoReturn:
    raise json.JSONDecodeError(f"`{name}` is not a number", name, 0)


def _refuse(reason: str, row: int | None = None) -> NoReturn:
    told = reason if row is None else f"Row {row}: {reason}"
    raise InvalidPayload(f"{told}.", reason=reason, **({} if row is None else {"row": row}))
