"""The storage driver `local`."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import ParamSpec, TypeVar

from pydantic import Field

from datastead import Options, Storage, storage
from datastead.errors import ServiceUnavailable, StoredFileNotFound

P = ParamSpec("P")
T = TypeVar("T")

PIECE = 256 * 1024  # bytes
LONGEST_NAME = 200


class LocalOptions(Options):
    """Which folder."""

    root: str = Field("./uploads", description="The folder. It is made with the first file.")


@storage("local", LocalOptions)
class LocalStorage(Storage):
    """A folder on this machine, or one that is mounted on it. A file appears there whole, and survives a power cut."""

    def __init__(self, options: LocalOptions, folder: Path) -> None:
        self._root = folder / Path(options.root).expanduser()

    async def write(self, name: str, pieces: AsyncIterator[bytes]) -> None:
        path, partial = self._paths(name)
        file = await _in_thread(self._create, partial)
        try:
            async for piece in _gathered(pieces):
                await _in_thread(_write_all, file, piece)
            await _in_thread(self._publish, file, partial, path)
        except BaseException:
            await _in_thread(_discard, file, partial)
            raise

    async def read(self, name: str, start: int = 0, size: int | None = None) -> AsyncIterator[bytes]:
        path, _ = self._paths(name)
        left = size
        file, piece = await _in_thread(_open_at, path, start, _next_size(left))
        try:
            while piece:
                yield piece
                left = None if left is None else left - len(piece)
                piece = b"" if left == 0 else await _in_thread(file.read, _next_size(left)) or b""
        finally:
            file.close()

    async def size(self, name: str) -> int:
        path, _ = self._paths(name)
        return await _in_thread(_size, path)

    async def delete(self, name: str) -> None:
        for path in self._paths(name):
            await _in_thread(_remove, path)

    async def close(self) -> None:
        """There is nothing to let go of."""

    def _paths(self, name: str) -> tuple[Path, Path]:
        """Where the file is, and where it is while it is written. No name leads out of the folder."""
        if (
            not name
            or len(name.encode()) > LONGEST_NAME
            or name.startswith(".")
            or any(sign in name for sign in "/\\\0")
        ):
            raise StoredFileNotFound(f"`{name[:100]!a}` is not a name of a stored file.")
        return self._root / name, self._root / f".{name}.partial"

    def _create(self, partial: Path) -> FileIO:
        self._root.mkdir(parents=True, exist_ok=True)
        return partial.open("wb", buffering=0)

    def _publish(self, file: FileIO, partial: Path, path: Path) -> None:
        os.fsync(file.fileno())
        file.close()
        partial.replace(path)
        folder = os.open(self._root, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


async def _in_thread(work: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Does it in a thread. A caller that is cancelled waits until it is done: nobody else may touch the file before."""
    doing = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait({doing})
        raise
    except FileNotFoundError:
        raise StoredFileNotFound from None
    except OSError as error:
        raise ServiceUnavailable(f"The storage failed: {error.strerror}.", service="storage") from error


async def _gathered(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Small pieces together: a thread has more to do at a time."""
    waiting = bytearray()
    async for piece in pieces:
        waiting += piece
        if len(waiting) >= PIECE:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


def _write_all(file: FileIO, piece: bytes) -> None:
    view = memoryview(piece)
    while view:
        view = view[file.write(view) :]


def _open_at(path: Path, start: int, size: int) -> tuple[FileIO, bytes]:
    """The file, and its first piece."""
    if not path.is_file():
        raise StoredFileNotFound
    file = path.open("rb", buffering=0)
    try:
        file.seek(start)
        return file, file.read(size) if size else b""
    except BaseException:
        file.close()
        raise


def _next_size(left: int | None) -> int:
    return PIECE if left is None else min(PIECE, left)


def _size(path: Path) -> int:
    if not path.is_file():
        raise StoredFileNotFound
    return path.stat().st_size


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _discard(file: FileIO, partial: Path) -> None:
    file.close()
    with suppress(OSError):  # the error that led here is the one to be told
        partial.unlink(missing_ok=True)
