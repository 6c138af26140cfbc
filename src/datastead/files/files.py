"""`Files`: bytes and their rows, for one actor: upload, replace, read. The rest is `Items`'s, as elsewhere."""

import hashlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from secrets import token_hex
from typing import Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from datastead.context import SYSTEM, Context
from datastead.data import system
from datastead.data.items import Items, Key
from datastead.data.permissions import Action, require
from datastead.data.project import COLLECTION as PROJECT
from datastead.data.project import ProjectSettings
from datastead.data.query import Query
from datastead.errors import Forbidden, InvalidPayload, StoredFileNotFound
from datastead.events import Event
from datastead.files import types
from datastead.files.guard import COLLECTION, MANAGED, drop_bytes
from datastead.files.leases import Stored
from datastead.files.receiving import Incoming, Limits
from datastead.files.storage import Storage
from datastead.files.store import FileStore, store_of

log = logging.getLogger(__name__)

READ = Query(
    fields=(
        "id", "storage", "filename_disk", "filename_download", "type", "charset", "filesize", "modified_on", "width",
        "height", "focal_point_x", "focal_point_y",
    )
)  # fmt: skip
PUBLIC_FILES = ("project_logo", "public_foreground", "public_background", "public_favicon")
"""The fields of the settings whose files everybody sees."""

_OWN = {*MANAGED, "id", "type", "charset", "width", "height", "metadata"}
"""What an upload finds out itself, whatever is said of it."""


@dataclass(slots=True)
class Upload:
    """A file that comes in. type: what the sender says that it is. fields: what is said of it, such as `title`."""

    filename: str
    pieces: AsyncIterator[bytes]
    type: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)


Uploads = AsyncGenerator[Upload, None]
Also = Callable[[Context], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that can be read. size: bytes. modified: aware UTC, of the row or of the bytes.

    largest_side: of an image, in pixels; 0 where it is not known. focus: what matters in it. recipe: by which it is
    shown. source: the name in the storage of what was uploaded.
    """

    id: str
    stored: Stored
    name: str
    type: str
    charset: str | None
    size: int
    modified: datetime
    largest_side: int = 0
    focus: tuple[int, int] | None = None
    recipe: str = ""
    source: str = ""

    @property
    def version(self) -> str:
        """Changes with what is answered for it."""
        size = "" if self.recipe else self.size
        seen = f"{self.source}/{size}/{self.type}/{self.charset}/{self.modified.isoformat()}{self.recipe}"
        return hashlib.sha256(seen.encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class _Received:
    """Bytes in the storage that have no row yet.

    found: what they are, as fields. noted: what was written into them of the same, where the sender says nothing.
    """

    upload: Upload
    stored: Stored
    key: Key
    found: Mapping[str, Any]
    noted: Mapping[str, Any]

    @property
    def said(self) -> dict[str, Any]:
        """What the sender says of it."""
        return {name: value for name, value in self.upload.fields.items() if name not in _OWN}


class Files:
    """The files, for one actor. Nothing is half there: a row has its bytes, and bytes have their row."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._items = Items(ctx, COLLECTION)

    @property
    def _store(self) -> FileStore:
        return store_of(self._ctx)

    async def upload(self, uploads: Uploads, also: Also | None = None) -> list[Key]:
        """Stores what comes, all or none; the new files' keys. also: what is to happen in the same transaction.

        An upload's `pieces` are read before the next upload is asked for, and its `fields` when all have come.
        Raises `Forbidden`, `InvalidPayload`, `ContentTooLarge`.
        """
        await self.require("create")
        received = await self._receive(uploads)
        async with self._adopting(received) as ctx:
            for one in received:
                await _create(ctx, one)
            if also is not None:
                await also(ctx)
            await ctx.services.bus.action(ctx, [_uploaded(one) for one in received])
        return [one.key for one in received]

    async def replace(self, key: Key, uploads: Uploads, also: Also | None = None) -> Key:
        """New bytes for a file, and what is said of it; its key. The old ones stay until the new ones are safe."""
        await self.require("update")
        old = await self._items.read_one(key, Query(fields=("id",)))
        received = await self._receive(uploads, old["id"])
        async with self._adopting(received) as ctx:
            if len(received) != 1:
                raise _invalid("A file is replaced by one file")
            await _replace(ctx, received[0])
            if also is not None:
                await also(ctx)
            await ctx.services.bus.action(ctx, [_uploaded(received[0])])
        return received[0].key

    async def describe(self, payload: Mapping[str, Any]) -> Key:
        """A file without bytes of ours, such as one that is embedded from elsewhere; its key."""
        if not types.is_type(payload.get("type")):
            raise _invalid("A file that is described and not uploaded needs a `type` such as `video/mp4`", "type")
        return await self._items.create({"storage": self._store.locations[0], **payload})

    async def open(self, key: Key) -> StoredFile:
        """What is needed to read the bytes. Raises `Forbidden` for what there is not, or the actor may not see."""
        if not self._ctx.actor.is_admin:
            await self._check_read(key)
        row = await Items(self._ctx.acting_as(SYSTEM), COLLECTION).read_one(key, READ)
        if not row["filename_disk"]:
            raise Forbidden
        stored = Stored(row["storage"], row["filename_disk"])
        size, focus = row["filesize"], (row["focal_point_x"], row["focal_point_y"])
        return StoredFile(
            id=str(row["id"]),
            stored=stored,
            name=row["filename_download"],
            type=row["type"] if types.is_type(row["type"]) else types.OCTETS,
            charset=row["charset"] if types.is_charset(row["charset"]) else None,
            size=await self._size(stored) if size is None else int(size),
            modified=datetime.fromisoformat(row["modified_on"]),
            largest_side=max(row["width"] or 0, row["height"] or 0),
            focus=None if None in focus else focus,
            source=row["filename_disk"],
        )

    async def _check_read(self, key: Key) -> None:
        """Raises `Forbidden` where the actor may not see the file."""
        try:
            await self._items.read_one(key, Query(fields=("id",)))
        except Forbidden:
            if not await self._is_of_the_project(key):
                raise

    async def _is_of_the_project(self, key: Key) -> bool:
        """Whether it is the project's logo or the like, which is shown to those who have not signed in yet."""
        known = (await self._ctx.services.schemas.get()).collection(PROJECT).columns
        query = Query(fields=tuple(name for name in PUBLIC_FILES if name in known))
        row = await ProjectSettings(self._ctx.acting_as(SYSTEM)).read(query) if query.fields else {}
        return str(key).lower() in {str(value) for value in row.values() if value}

    async def read(self, file: StoredFile, start: int = 0, size: int | None = None) -> AsyncIterator[bytes]:
        """Its bytes, in pieces. Raises `Forbidden` with the first where they are gone."""
        try:
            async for piece in self._storage(file.stored).read(file.stored.name, start, size):
                yield piece
        except StoredFileNotFound:
            raise _lost(file.stored) from None

    async def check(self, file: StoredFile) -> None:
        """Raises `Forbidden` where its bytes are gone."""
        await self._size(file.stored)

    async def _size(self, stored: Stored) -> int:
        try:
            return await self._storage(stored).size(stored.name)
        except StoredFileNotFound:
            raise _lost(stored) from None

    def _storage(self, stored: Stored) -> Storage:
        try:
            return self._store.storage(stored.location)
        except InvalidPayload:
            raise _lost(stored) from None

    async def require(self, action: Action) -> None:
        """Before the first byte is read."""
        schema = await self._ctx.services.schemas.get()
        require(schema, self._ctx.actor, action, schema.collection(COLLECTION))

    async def _receive(self, uploads: Uploads, key: Key | None = None) -> list[_Received]:
        """Stores the bytes of all uploads. key: of the file that they replace."""
        limits = Limits.of(self._ctx.services.settings)
        received: list[_Received] = []
        begun: list[Stored] = []
        try:
            async with aclosing(uploads):
                async for upload in uploads:
                    await self.check_fields(upload.fields)
                    incoming = Incoming(upload.pieces, limits)
                    await incoming.look(upload.filename, upload.type)
                    new_key = key or _key_of(upload.fields)
                    name = _disk_name(new_key, types.extension_of(upload.filename, incoming.kind), upload.fields, key)
                    begun.append(Stored(self._location(upload.fields), name))
                    found = await incoming.store(self._store, begun[-1])
                    received.append(_Received(upload, begun[-1], new_key, found, incoming.noted))
        except BaseException:
            await self._store.discard(begun)
            raise
        if not received:
            raise _invalid("There is no file in the body: it needs a part with a file name")
        return received

    async def check_fields(self, fields: Mapping[str, Any]) -> None:
        """Refuses before the bytes come what would be refused when they are there."""
        known = (await self._ctx.services.schemas.get()).collection(COLLECTION).columns
        for name in fields:
            if name not in known:
                raise _invalid(f"`{name[:100]}` is not a field of a file", name[:100])

    def _location(self, fields: Mapping[str, Any]) -> str:
        location = str(fields.get("storage") or self._store.locations[0])
        self._store.storage(location)
        return location

    @asynccontextmanager
    async def _adopting(self, received: list[_Received]) -> AsyncIterator[Context]:
        """A transaction at whose end all that was received has its row, or is gone."""
        try:
            async with self._ctx.transaction() as ctx:
                assert ctx.connection is not None
                for one in received:
                    await self._store.adopt(ctx.connection, one.stored)
                yield ctx
        finally:
            await self._store.settled()


async def _create(ctx: Context, one: _Received) -> None:
    name = types.safe_name(str(one.said.get("filename_download") or one.upload.filename))
    said = {**one.noted, **{field: value for field, value in one.said.items() if value is not None}}
    title = said.get("title") or types.title_of(name)[:255]
    row = {**one.said, **said, **_known_of(one), "id": one.key, "filename_download": name, "title": title}
    row |= {"storage": one.stored.location, "modified_on": _wire(ctx)}
    await Items(ctx, COLLECTION).create(await _existing(ctx, row), emit=False)
    await _point(ctx, one)


async def _replace(ctx: Context, one: _Received) -> None:
    row = {**one.said, **_known_of(one)}
    if "filename_download" in row:
        row["filename_download"] = types.safe_name(str(row["filename_download"]))
    await Items(ctx, COLLECTION).update(one.key, await _existing(ctx, row), emit=False)
    await drop_bytes(ctx, [one.key])
    await _point(ctx, one)


def _known_of(one: _Received) -> dict[str, Any]:
    return {name: value for name, value in one.found.items() if name not in MANAGED}


async def _existing(ctx: Context, row: Mapping[str, Any]) -> dict[str, Any]:
    """Without what this database's version of the table has no column for, and nobody has said."""
    known = (await ctx.services.schemas.get()).collection(COLLECTION).columns
    return {name: value for name, value in row.items() if name in known or value is not None}


async def _point(ctx: Context, one: _Received) -> None:
    """Says in the row where its bytes are, which no caller can."""
    assert ctx.connection is not None
    values = {
        "storage": one.stored.location,
        "filename_disk": one.stored.name,
        "filesize": one.found["filesize"],
        "uploaded_on": ctx.now(),
    }
    known = (await ctx.services.schemas.get()).collection(COLLECTION).columns
    files = system.files
    statement = sa.update(files).where(files.c.id == str(one.key))
    await ctx.connection.execute(statement.values({name: value for name, value in values.items() if name in known}))


def _uploaded(one: _Received) -> Event:
    payload = {**one.said, **one.found, "storage": one.stored.location, "filename_disk": one.stored.name}
    return Event("action", "files.upload", "files.upload", COLLECTION, payload, (one.key,))


def _key_of(fields: Mapping[str, Any]) -> str:
    given = fields.get("id")
    if given is None:
        return str(uuid4())
    try:
        return str(UUID(str(given)))
    except ValueError:
        raise _invalid("`id` has to be a UUID", "id") from None


def _disk_name(key: Key, extension: str, fields: Mapping[str, Any], replaced: Key | None) -> str:
    """`<id>.png`. Never a name that may be in use: that of a replaced file, or of an id that the caller has chosen."""
    is_new = replaced is None and fields.get("id") is None
    return f"{key}{extension}" if is_new else f"{key}-{token_hex(6)}{extension}"


def _wire(ctx: Context) -> str:
    return ctx.now().isoformat(timespec="milliseconds")


def _lost(stored: Stored) -> Forbidden:
    """To a caller a file without its bytes is no file; whoever runs the server is told."""
    log.error("The storage `%s` has no `%s`, which a file refers to.", stored.location, stored.name)
    return Forbidden()


def _invalid(reason: str, field_name: str | None = None) -> InvalidPayload:
    return InvalidPayload(f"{reason}.", reason=reason, collection=COLLECTION, field=field_name)
