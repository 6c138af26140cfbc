"""Reads the articles that a demo imports, from JSON or CSV."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from datastead.errors import InvalidPayload

OWN_FIELDS = ("id", "title", "content", "meta_description")


@dataclass(frozen=True, slots=True)
class DemoInput:
    """rows: one object an article. fields: their columns beside `OWN_FIELDS`, each with its type on the wire."""

    rows: list[dict[str, Any]]
    fields: dict[str, str]


def read_articles(file: Path) -> DemoInput:
    """The file's articles. Raises `InvalidPayload` naming the file, the row and the cure."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InvalidPayload(f"`{file}` cannot be read: {error.strerror}.") from error
    rows = _from_csv(file, content) if file.suffix.lower() == ".csv" else _from_json(file, content)
    if not rows:
        raise InvalidPayload(f"`{file}` has no articles.")
    for number, row in enumerate(rows, start=1):
        _check(file, number, row)
    return DemoInput([_without_id(row) for row in rows], _other_fields(rows))


def _from_json(file: Path, content: bytes) -> list[Any]:
    try:
        rows = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise InvalidPayload(
            f"`{file}` is not JSON: {error}. A file of comma-separated rows ends in `.csv`."
        ) from error
    if not isinstance(rows, list):
        raise InvalidPayload(f'`{file}` has to be a list of articles: [{{"title": …, "content": …}}, …].')
    return rows


def _from_csv(file: Path, content: bytes) -> list[Any]:
    try:
        lines = content.decode("utf-8-sig").splitlines(keepends=True)
        return [dict(row) for row in csv.DictReader(lines, strict=True)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidPayload(f"`{file}` is not CSV in UTF-8 with a header line: {error}.") from error


def _check(file: Path, number: int, row: Any) -> None:
    if not isinstance(row, dict) or None in row:
        raise InvalidPayload(f"Row {number} of `{file}` is not an object with one value a column.")
    for field in ("title", "content"):
        if not isinstance(row.get(field), str) or not row[field].strip():
            raise InvalidPayload(f"Row {number} of `{file}` has no `{field}`: every article needs a title and content.")


def _without_id(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "id"}


def _other_fields(rows: list[dict[str, Any]]) -> dict[str, str]:
    names = dict.fromkeys(name for row in rows for name in row if name not in OWN_FIELDS)
    return {name: _type_of([row.get(name) for row in rows]) for name in names}


def _type_of(values: list[Any]) -> str:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {str}:
        return "text"
    if kinds <= {int}:
        return "integer"
    if kinds <= {int, float}:
        return "float"
    return "boolean" if kinds <= {bool} else "json"
