"""Several files as one ZIP, which is made while it is sent: never more than a piece of it is in memory."""

import zipfile
from collections.abc import AsyncIterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from datastead.context import Context
from datastead.data.items import Items
from datastead.data.query import Query
from datastead.errors import Forbidden, InvalidPayload
from datastead.files.files import Files
from datastead.files.guard import COLLECTION
from datastead.files.types import safe_name

FOLDERS = "directus_folders"
MOST = 10_000
"""How many files and folders one archive holds."""


async def of_files(ctx: Context, keys: Sequence[Any]) -> dict[str, Any]:
    """The files' keys by their names in the archive. Raises `Forbidden` where the actor may not see one of them."""
    _check_count(len(keys))
    rows = await Items(ctx, COLLECTION).read_many(list(dict.fromkeys(keys)), _query("filename_download"))
    if len(rows) < len(set(keys)):
        raise Forbidden
    return _named((_plain(row), row["id"]) for row in rows)


async def of_folder(ctx: Context, folder: str) -> tuple[str, dict[str, Any]]:
    """A folder's name, and the keys of the files in it and in those below, as far as the actor may see them."""
    top = await Items(ctx, FOLDERS).read_one(folder, _query("name"))
    paths, level = {top["id"]: ""}, [top["id"]]
    while level:
        below = await Items(ctx, FOLDERS).read(_query("name", "parent", filter={"parent": {"_in": level}}))
        new = [row for row in below if row["id"] not in paths]
        paths |= {row["id"]: f"{paths[row['parent']]}{safe_name(row['name'])}/" for row in new}
        level = [row["id"] for row in new]
        _check_count(len(paths))
    inside = _query("filename_download", "folder", filter={"folder": {"_in": list(paths)}})
    rows = await Items(ctx, COLLECTION).read(inside)
    _check_count(len(rows))
    return safe_name(top["name"]), _named((paths[row["folder"]] + _plain(row), row["id"]) for row in rows)


async def zipped(ctx: Context, files: dict[str, Any]) -> AsyncIterator[bytes]:
    """The archive. What is in it is not packed any tighter: most files are already."""
    out = _Out()
    reading = Files(ctx)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, key in files.items():
            file = await reading.open(key)
            moment = file.modified.timetuple()[:6]
            entry = zipfile.ZipInfo(name, (max(moment[0], 1980), *moment[1:]))
            with archive.open(entry, "w", force_zip64=True) as written:
                async for piece in reading.read(file):
                    written.write(piece)
                    yield out.taken()
    yield out.taken()


class _Out:
    """Keeps what is written until it is sent."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def write(self, piece: bytes) -> int:
        self._waiting += piece
        return len(piece)

    def flush(self) -> None:
        """It is sent by whoever takes it."""

    def close(self) -> None:
        """As above."""

    def taken(self) -> bytes:
        found = bytes(self._waiting)
        self._waiting.clear()
        return found


def _query(*fields: str, **more: Any) -> Query:
    return Query(fields=("id", *fields), limit=-1, **more)


def _plain(row: dict[str, Any]) -> str:
    return safe_name(str(row["filename_download"]))


def _named(files: Any) -> dict[str, Any]:
    """Keys by name, with a number where two files have the same."""
    found: dict[str, Any] = {}
    for path, key in files:
        name, count = path, 1
        while name in found:
            count += 1
            given = PurePosixPath(path)
            name = str(given.with_name(f"{given.stem} ({count}){given.suffix}"))
        found[name] = key
    return found


def _check_count(count: int) -> None:
    if count > MOST:
        reason = f"An archive may hold {MOST} files and folders: take fewer at a time"
        raise InvalidPayload(f"{reason}.", reason=reason, limit=MOST)
