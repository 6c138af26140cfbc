"""`ResumableUploads`: files that come in several requests, for one actor. It goes on after a broken line or a restart.

What comes is kept in parts in the storage, each with its row, so that any process can take the next one. When all are
there they are put together, and the file is stored as any other upload is: same checks, same permissions.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from secrets import token_hex
from typing import Any
from uuid import UUID, uuid4

from datastead.context import SYSTEM, Context
from datastead.data.items import Items
from datastead.data.query import Query
from datastead.errors import (
    ContentTooLarge,
    Forbidden,
    InvalidPayload,
    RequestError,
    UploadNotFound,
    UploadOffsetConflict,
)
from datastead.files import parts, types
from datastead.files.checksums import Checksum
from datastead.files.files import Files, Upload, Uploads
from datastead.files.guard import COLLECTION
from datastead.files.leases import Stored
from datastead.files.parts import Progress
from datastead.files.store import FileStore, store_of
from datastead.settings import Settings

MOST_PARTS = 10_000
NAMES = ("filename_download", "filename", "name")
TYPES = ("type", "filetype")
LONGEST_TYPE = 255
NOT_FIELDS = {*NAMES, *TYPES, "id", "filesize", "relativePath", "lastModified"}
"""What clients say beside the fields of a file."""


class _FinishedByAnotherError(Exception):
    """Somebody else has put it together first."""


def largest(settings: Settings) -> int:
    """How many bytes may be announced: as many as a file may have, and as go into the parts that there may be."""
    in_parts = MOST_PARTS * settings.tus_chunk_size
    most = settings.files_max_upload_size
    return in_parts if most is None else min(most, in_parts)


class ResumableUploads:
    """Uploads are seen by those who began them, and by administrators."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._settings = ctx.services.settings
        self._database = ctx.services.database

    async def begin(self, size: int, metadata: Mapping[str, Any]) -> Progress:
        """A new upload. metadata: what is said of the file; `id` names one whose bytes are replaced.

        Raises what storing the file would raise, as far as it can be known before the bytes come.
        """
        most = largest(self._settings)
        if size > most:
            setting = "FILES_MAX_UPLOAD_SIZE" if most == self._settings.files_max_upload_size else "TUS_CHUNK_SIZE"
            reason = f"The file is larger than {most} bytes (`{setting}`)"
            raise ContentTooLarge(f"{reason}.", reason=reason, limit=most)
        file, replaces = await self._file(metadata.get("id"))
        fields = {name: value for name, value in metadata.items() if name not in NOT_FIELDS}
        await Files(self._ctx).check_fields(fields)
        kind = _first(metadata, TYPES)
        self._check_type(kind)
        store_of(self._ctx).storage(self._location(fields))
        name = types.safe_name(_first(metadata, NAMES) or "file")
        progress = Progress(
            id=str(uuid4()), file=file, replaces=replaces, size=size, received=0, parts=0, fields=fields, filename=name,
            type=kind, user=self._ctx.actor.user, is_finished=False, expires_at=self._until,
        )  # fmt: skip
        await parts.begin(self._database, progress)
        return progress if size else await self._finished(progress)

    async def progress(self, upload: str) -> Progress:
        """How far it is. One that is complete is finished, where that failed before."""
        found = await self._find(upload)
        return await self._finished(found) if found.is_complete else found

    async def append(
        self, upload: str, offset: int, pieces: AsyncIterator[bytes], checksum: Checksum | None = None
    ) -> Progress:
        """The bytes from `offset` on. When `pieces` end early, what has come by then is kept.

        checksum: of all of them, which are kept together or not at all.
        Raises `UploadNotFound`, `UploadOffsetConflict`, `UploadChecksumMismatch`, and what storing the file raises.
        """
        progress = await self._find(upload)
        if offset != progress.received:
            raise UploadOffsetConflict(offset=offset, expected=progress.received)
        source = _Source(pieces if checksum is None else checksum.over(pieces))
        while await source.has_more():
            progress = await self._append_part(progress, source, checksum)
        return await self._finished(progress) if progress.is_complete else progress

    async def end(self, upload: str) -> None:
        """Removes an upload and what has come of it. A file that it has become stays."""
        await self._remove(await self._find(upload))
        await self._store.settled()

    @property
    def _store(self) -> FileStore:
        return store_of(self._ctx)

    @property
    def _until(self) -> datetime:
        return self._ctx.now() + timedelta(seconds=self._settings.tus_upload_expiration)

    def _location(self, fields: Mapping[str, Any]) -> str:
        return str(fields.get("storage") or self._store.locations[0])

    def _check_type(self, kind: str | None) -> None:
        if kind is None:
            return
        allowed = self._settings.files_mime_type_allow_list
        if not types.is_type(kind) or len(kind) > LONGEST_TYPE or not types.is_allowed(kind, allowed):
            reason = f"Files of the type `{kind[:100]}` may not be uploaded (`FILES_MIME_TYPE_ALLOW_LIST`)"
            raise InvalidPayload(f"{reason}.", reason=reason, type=kind[:100])

    async def _file(self, given: str | None) -> tuple[str, bool]:
        """The id that the file gets, and whether there is a file by it already, whose bytes are replaced."""
        files = Files(self._ctx)
        try:
            key = str(UUID(given)) if given else str(uuid4())
        except ValueError:
            raise InvalidPayload("`id` has to be a UUID.", field="id") from None
        if not given or not await self._is_there(key):
            await files.require("create")
            return key, False
        await files.require("update")
        await Items(self._ctx, COLLECTION).read_one(key, Query(fields=("id",)))
        return key, True

    async def _is_there(self, key: str) -> bool:
        try:
            await Items(self._ctx.acting_as(SYSTEM), COLLECTION).read_one(key, Query(fields=("id",)))
        except Forbidden:
            return False
        return True

    async def _find(self, upload: str) -> Progress:
        """An upload that is the actor's. One of another does not exist for them."""
        try:
            found = await parts.find(self._database, str(UUID(upload)))
        except ValueError:
            found = None
        actor = self._ctx.actor
        if found is None or found.expires_at < self._ctx.now() or not (actor.is_admin or actor.user == found.user):
            raise UploadNotFound
        return found

    async def _append_part(self, progress: Progress, source: "_Source", checksum: Checksum | None = None) -> Progress:
        if progress.is_complete:
            raise ContentTooLarge(f"The upload has more bytes than the {progress.size} that were announced.")
        if progress.parts >= MOST_PARTS:
            reason = f"An upload may have {MOST_PARTS} parts: send larger ones"
            raise InvalidPayload(f"{reason}.", reason=reason)
        stored = Stored(self._location(progress.fields), f"upload-{progress.id}-{progress.parts}-{token_hex(4)}")
        most = progress.size - progress.received
        if checksum is None:
            most = min(self._settings.tus_chunk_size, most)
        try:
            await self._store.write(stored, source.take(most))
            if checksum is not None:
                checksum.check()
            return await self._keep(progress, stored, source.taken)
        except BaseException:
            await self._store.discard([stored])
            raise

    async def _keep(self, progress: Progress, stored: Stored, size: int) -> Progress:
        """The part has its row. Raises `UploadOffsetConflict` where another has come first."""
        until = self._until
        async with self._database.transaction() as connection:
            await self._store.adopt(connection, stored)
            if not await parts.advance(connection, progress, stored, size, until):
                raise UploadOffsetConflict(offset=progress.received)
        return replace(progress, received=progress.received + size, parts=progress.parts + 1, expires_at=until)

    async def _finished(self, progress: Progress) -> Progress:
        """Makes the file of what has come, once. An upload that cannot become a file is removed."""
        if not progress.is_finished:
            await self._store.once(("upload", progress.id), lambda: self._finish(progress))
        return await self._find(progress.id)

    async def _finish(self, progress: Progress) -> None:
        files = Files(self._ctx)

        async def note(ctx: Context) -> None:
            assert ctx.connection is not None
            left = await parts.finish(ctx.connection, progress.id, self._until)
            if left is None:
                raise _FinishedByAnotherError
            await self._store.drop(ctx.connection, left)

        try:
            if progress.replaces:
                await files.replace(progress.file, self._joined(progress), note)
            else:
                await files.upload(self._joined(progress), note)
        except RequestError:
            current = await parts.find(self._database, progress.id)
            if current is not None and not current.is_finished:
                await self._remove(progress)
                raise
        except _FinishedByAnotherError:
            return

    async def _joined(self, progress: Progress) -> Uploads:
        """The file, as an upload in one piece."""
        fields = dict(progress.fields) if progress.replaces else {**progress.fields, "id": progress.file}
        stored = await parts.parts_of(self._database, progress.id)
        yield Upload(progress.filename, self._read(stored), progress.type, fields)

    async def _read(self, stored: list[Stored]) -> AsyncIterator[bytes]:
        for one in stored:
            async for piece in self._store.storage(one.location).read(one.name):
                yield piece

    async def _remove(self, progress: Progress) -> None:
        async with self._database.transaction() as connection:
            await self._store.drop(connection, await parts.remove(connection, progress.id))


class _Source:
    """Pieces, a bounded number of bytes at a time. taken: how many there were the last time."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._left = b""
        self.taken = 0

    async def has_more(self) -> bool:
        while not self._left:
            piece = await anext(self._pieces, None)
            if piece is None:
                return False
            self._left = piece
        return True

    async def take(self, most: int) -> AsyncIterator[bytes]:
        self.taken = 0
        while self.taken < most and await self.has_more():
            piece, self._left = self._left[: most - self.taken], self._left[most - self.taken :]
            self.taken += len(piece)
            yield piece


def _first(metadata: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    return next((str(metadata[name]) for name in names if metadata.get(name)), None)
