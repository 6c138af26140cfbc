"""What every storage driver has to do. A driver's own tests subclass `StorageConformance` and make the storage.

class TestMyStorage(StorageConformance):
    @pytest.fixture
    def storage(self, tmp_path): return MyStorage(MyOptions(…), tmp_path)
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from datastead.errors import StoredFileNotFound
from datastead.files.storage import Storage

CONTENT = bytes(range(256)) * 4096  # 1 MiB: more than a piece of any driver


async def pieces_of(content: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    """The content as it comes from a network."""
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def read(storage: Storage, name: str, start: int = 0, size: int | None = None) -> bytes:
    """All that is asked for."""
    return b"".join([piece async for piece in storage.read(name, start, size)])


async def has(storage: Storage, name: str) -> bool:
    """Whether there are bytes by this name, for any way to look."""
    found = []
    for looking in (storage.size(name), read(storage, name)):
        try:
            await looking
            found.append(True)
        except StoredFileNotFound:
            found.append(False)
    assert len(set(found)) == 1, "`size` and `read` do not agree."
    return found[0]


class StorageConformance:
    """The tests. Needs pytest with pytest-asyncio, and a fixture `storage`."""

    async def test_what_is_written_is_read(self, storage: Storage) -> None:
        await storage.write("a.bin", pieces_of(CONTENT))
        assert await read(storage, "a.bin") == CONTENT
        assert await storage.size("a.bin") == len(CONTENT)

    async def test_nothing_at_all_can_be_stored(self, storage: Storage) -> None:
        await storage.write("empty", pieces_of(b""))
        assert (await read(storage, "empty"), await storage.size("empty")) == (b"", 0)

    async def test_a_part_is_read_alone(self, storage: Storage) -> None:
        await storage.write("a.bin", pieces_of(CONTENT))
        for start, size in ((0, 1), (5, 10), (262_143, 2), (len(CONTENT) - 3, None), (len(CONTENT) - 3, 99), (7, 0)):
            end = None if size is None else start + size
            assert await read(storage, "a.bin", start, size) == CONTENT[start:end]
        assert await read(storage, "a.bin", len(CONTENT)) == b""

    async def test_it_is_read_in_pieces_of_a_bounded_size(self, storage: Storage) -> None:
        await storage.write("a.bin", pieces_of(CONTENT, len(CONTENT)))
        sizes = [len(piece) async for piece in storage.read("a.bin")]
        assert max(sizes) < len(CONTENT)

    async def test_a_second_write_takes_the_place_of_the_first(self, storage: Storage) -> None:
        await storage.write("a.bin", pieces_of(CONTENT))
        await storage.write("a.bin", pieces_of(b"new"))
        assert await read(storage, "a.bin") == b"new"

    async def test_nobody_sees_what_is_not_all_there(self, storage: Storage) -> None:
        seen = []

        async def watched() -> AsyncIterator[bytes]:
            async for piece in pieces_of(CONTENT):
                yield piece
                seen.append(await has(storage, "a.bin"))

        await storage.write("a.bin", watched())
        assert not any(seen)
        assert await has(storage, "a.bin")

    async def test_a_write_that_fails_leaves_what_was_there(self, storage: Storage) -> None:
        await storage.write("old", pieces_of(b"old"))
        for name in ("old", "new"):
            with suppress(ConnectionError):
                await storage.write(name, _broken())
        assert await read(storage, "old") == b"old"
        assert not await has(storage, "new")

    async def test_a_write_that_is_cancelled_leaves_nothing(self, storage: Storage) -> None:
        begun = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield CONTENT
                begun.set()
                await asyncio.sleep(0)

        writing = asyncio.create_task(storage.write("a.bin", endless()))
        await begun.wait()
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
        assert writing.cancelled()
        assert not await has(storage, "a.bin")

    async def test_a_reader_may_stop_in_the_middle(self, storage: Storage) -> None:
        await storage.write("a.bin", pieces_of(CONTENT))
        reading = storage.read("a.bin")
        assert await anext(reading)
        await reading.aclose()  # type: ignore[attr-defined]  # an async generator's, which drivers return
        await storage.delete("a.bin")
        assert not await has(storage, "a.bin")

    async def test_what_is_deleted_is_gone_and_may_be_deleted_again(self, storage: Storage) -> None:
        await storage.write("a.bin", pieces_of(b"a"))
        await storage.write("b.bin", pieces_of(b"b"))
        for _ in range(2):
            await storage.delete("a.bin")
        assert not await has(storage, "a.bin")
        assert await read(storage, "b.bin") == b"b"

    async def test_what_is_not_there_is_not_found(self, storage: Storage) -> None:
        assert not await has(storage, "nope")

    async def test_a_name_leads_nowhere_else(self, storage: Storage) -> None:
        for name in ("", ".", "..", "../a", "a/b", "/etc/passwd", "a\\b", "a\0b", "x" * 1000, "a/../../b"):
            assert not await has(storage, name)
            with suppress(StoredFileNotFound):
                await storage.write(name, pieces_of(b"x"))
                raise AssertionError(f"`{name!a}` was written.")

    async def test_many_are_written_and_read_at_once(self, storage: Storage) -> None:
        contents = {f"{number}.bin": str(number).encode() * 50_000 for number in range(20)}
        await asyncio.gather(*(storage.write(name, pieces_of(content)) for name, content in contents.items()))
        found = await asyncio.gather(*(read(storage, name) for name in contents))
        assert list(found) == list(contents.values())


async def _broken() -> AsyncIterator[bytes]:
    yield CONTENT
    raise ConnectionError("The client has gone.")
