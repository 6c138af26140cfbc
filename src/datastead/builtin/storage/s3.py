"""The storage driver `s3`."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from datastead import Options, Storage, storage
from datastead.errors import ServiceUnavailable, StoredFileNotFound

if TYPE_CHECKING:
    from obstore.store import S3Store

T = TypeVar("T")

log = logging.getLogger(__name__)

PART = 8 * 1024 * 1024  # bytes: a part of a large upload; S3 takes 10,000 of them
AT_ONCE = 2  # parts of an upload on their way
BLOCK = 4 * 1024 * 1024  # bytes: what one request reads
PIECE = 256 * 1024  # bytes
LONGEST_NAME = 200


class S3Options(Options):
    """Which bucket, and who asks."""

    bucket: str = Field(min_length=1, description="The bucket. It has to be there.")
    key: SecretStr | None = Field(None, description="The access key's id; unset = what the machine itself may do.")
    secret: SecretStr | None = Field(None, description="The secret access key.")
    region: str = Field("us-east-1", description="The bucket's region.")
    endpoint: str | None = Field(None, description="Another service that speaks S3, such as `https://s3.example.com`.")
    root: str = Field("", description="A folder in the bucket; unset = its top.")
    force_path_style: bool = Field(False, description="The bucket in the path instead of the host name.")
    server_side_encryption: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = Field(
        None, description="How the service encrypts what it stores."
    )


@storage("s3", S3Options)
class S3Storage(Storage):
    """A bucket of Amazon S3, or of a service that speaks its protocol: MinIO, R2, Spaces, B2, Ceph …"""

    def __init__(self, options: S3Options, _: Path) -> None:
        self._options = options
        self._opened: S3Store | None = None

    async def write(self, name: str, pieces: AsyncIterator[bytes]) -> None:
        _check(name)
        blocks = _blocks(pieces)
        first = await anext(blocks, b"")
        second = await anext(blocks, None) if len(first) >= PART else None
        if second is None:
            await self._put(name, first)
        else:
            await self._put_parts(name, _chained(first, second, blocks))

    async def read(self, name: str, start: int = 0, size: int | None = None) -> AsyncIterator[bytes]:
        _check(name)
        if size == 0:
            await self.size(name)
            return
        block, total = await self._block(name, start, None if size is None else start + size)
        end = total if size is None else min(total, start + size)
        while block:
            for offset in range(0, len(block), PIECE):
                yield block[offset : offset + PIECE]
            start += len(block)
            block = (await self._block(name, start, end))[0] if start < end else b""

    async def size(self, name: str) -> int:
        import obstore

        _check(name)
        found = await _asked(obstore.head_async(self._store, name))
        return found["size"]

    async def delete(self, name: str) -> None:
        import obstore

        _check(name)
        with suppress(StoredFileNotFound):
            await _asked(obstore.delete_async(self._store, name))

    async def close(self) -> None:
        self._opened = None

    @property
    def _store(self) -> "S3Store":
        """Opened with the first request: what signs and sends them takes a while to load."""
        if self._opened is None:
            self._opened = _open(self._options)
        return self._opened

    async def _put(self, name: str, content: bytes) -> None:
        """In one request. A caller that is cancelled waits for its end, and takes it back."""
        import obstore

        putting = asyncio.ensure_future(_written(obstore.put_async(self._store, name, content, use_multipart=False)))
        try:
            await asyncio.shield(putting)
        except asyncio.CancelledError:
            await asyncio.gather(putting, return_exceptions=True)
            await self.delete(name)
            raise

    async def _put_parts(self, name: str, blocks: AsyncIterator[bytes]) -> None:
        """In parts, which the service puts together in the end. It is told when there is no end, so that none stay."""
        import obstore

        feed = _Feed()
        putting = asyncio.ensure_future(
            _written(
                obstore.put_async(
                    self._store, name, feed.taken(), use_multipart=True, chunk_size=PART, max_concurrency=AT_ONCE
                )
            )
        )
        try:
            async for block in blocks:
                await _either(putting, feed.give(block))
            await _either(putting, feed.give(None))
            await asyncio.shield(putting)
        except BaseException:
            feed.stop()
            await asyncio.gather(putting, return_exceptions=True)
            raise

    async def _block(self, name: str, start: int, end: int | None) -> tuple[bytes, int]:
        """Bytes from `start` on, and how many the whole has. None where it ends before."""
        import obstore

        until = start + BLOCK if end is None else min(end, start + BLOCK)
        try:
            found = await _asked(obstore.get_async(self._store, name, options={"range": (start, until)}))
            return bytes(await _asked(found.bytes_async())), found.meta["size"]
        except ServiceUnavailable:
            total = await self.size(name)  # a range that begins behind the end is refused: RFC 9110, 14
            if start < total:
                raise
            return b"", total


class _StoppedError(Exception):
    """There will be no more blocks."""


class _Feed:
    """Hands blocks to whoever sends them, one at a time, until there are none, or until it is stopped."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(1)
        self._stopped = asyncio.Event()

    async def give(self, block: bytes | None) -> None:
        await self._waiting.put(block)

    def stop(self) -> None:
        self._stopped.set()

    async def taken(self) -> AsyncIterator[bytes]:
        while (block := await self._next()) is not None:
            yield block

    async def _next(self) -> bytes | None:
        getting, stopped = asyncio.ensure_future(self._waiting.get()), asyncio.ensure_future(self._stopped.wait())
        await asyncio.wait({getting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        getting.cancel()
        stopped.cancel()
        if self._stopped.is_set():
            raise _StoppedError
        return getting.result()


def _open(options: S3Options) -> "S3Store":
    from obstore.store import S3Store

    endpoint, in_host = options.endpoint, not options.force_path_style
    config: dict[str, Any] = {"region": options.region, "virtual_hosted_style_request": in_host}
    config["disable_bulk_delete"] = True  # one file at a time goes, and some services know no other way
    if endpoint is not None:
        parts = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
        host = f"{options.bucket}.{parts.netloc}" if in_host else parts.netloc
        config["endpoint"] = f"{parts.scheme}://{host}{parts.path.rstrip('/')}"
    if options.key is not None and options.secret is not None:
        config["access_key_id"] = options.key.get_secret_value()
        config["secret_access_key"] = options.secret.get_secret_value()
    if options.server_side_encryption is not None:
        config["server_side_encryption"] = options.server_side_encryption
    return S3Store(
        options.bucket,
        prefix=options.root.strip("/") or None,
        config=config,  # type: ignore[arg-type]  # its keys are known above
        client_options={"allow_http": True, "timeout": timedelta(seconds=60)},
        retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=30)},
    )


async def _asked(asking: Awaitable[T]) -> T:
    """The answer. Raises `StoredFileNotFound`, `ServiceUnavailable`."""
    from obstore.exceptions import BaseError

    try:
        return await asking
    except FileNotFoundError:
        raise StoredFileNotFound from None
    except (BaseError, OSError, ValueError) as error:
        raise _failure(error) from error


async def _written(writing: Awaitable[object]) -> None:
    """What is not found when something is written is the bucket."""
    try:
        await _asked(writing)
    except StoredFileNotFound as error:
        log.error("The bucket of a storage is not there.")  # noqa: TRY400  the trace says no more
        raise ServiceUnavailable("The storage failed: it has no such bucket.", service="storage") from error


def _failure(error: Exception) -> ServiceUnavailable:
    """What the service says is for whoever runs the server: it names hosts and paths."""
    log.warning("The storage failed: %s", str(error).partition("\n")[0][:500])
    return ServiceUnavailable("The storage failed.", service="storage")


def _check(name: str) -> None:
    """No name leads out of the folder."""
    if not name or len(name.encode()) > LONGEST_NAME or name.startswith(".") or any(sign in name for sign in "/\\\0"):
        raise StoredFileNotFound(f"`{name[:100]!a}` is not a name of a stored file.")


async def _blocks(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Pieces together, as parts have to be."""
    waiting = bytearray()
    async for piece in pieces:
        waiting += piece
        if len(waiting) >= PART:
            yield bytes(waiting)
            waiting.clear()
    if waiting:
        yield bytes(waiting)


async def _chained(first: bytes, second: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    yield second
    async for block in rest:
        yield block


async def _either(putting: "asyncio.Future[None]", giving: Awaitable[None]) -> None:
    """Gives a block, unless sending fails first."""
    given = asyncio.ensure_future(giving)
    try:
        await asyncio.wait({putting, given}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        given.cancel()
    if putting.done():
        putting.result()
