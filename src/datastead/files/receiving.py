"""Bytes on their way into a storage: looked at, counted and bounded as they pass, never all in memory."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from datastead.errors import ContentTooLarge, InvalidPayload
from datastead.files import images, types
from datastead.files.images import Size
from datastead.files.leases import Stored
from datastead.files.notes import Notes, notes_of
from datastead.files.store import FileStore
from datastead.settings import Settings


@dataclass(frozen=True, slots=True)
class Limits:
    """What may come, and what is kept of an image's metadata. largest: bytes; None = no bound."""

    largest: int | None
    allowed: list[str]
    metadata: list[str]

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        allowed, metadata = settings.files_mime_type_allow_list, settings.file_metadata_allow_list
        return cls(settings.files_max_upload_size, allowed, metadata)


class Incoming:
    """One file that comes in. Its type is known before its first byte is stored."""

    def __init__(self, pieces: AsyncIterator[bytes], limits: Limits) -> None:
        self._pieces = pieces
        self._limits = limits
        self._prefix = b""
        self._header = bytearray()
        self._size = 0
        self.kind = types.OCTETS
        self.noted: Mapping[str, Any] = {}
        """Fields that the file itself has a word for, such as its title."""

    async def look(self, name: str, declared: str | None) -> None:
        """Reads the first bytes. Raises `InvalidPayload` for a type that may not be uploaded."""
        while len(self._prefix) < types.PREFIX:
            piece = await anext(self._pieces, None)
            if piece is None:
                break
            self._prefix += piece
        self.kind = types.type_of(self._prefix[: types.PREFIX], name, declared)
        if not types.is_allowed(self.kind, self._limits.allowed):
            reason = f"Files of the type `{self.kind}` may not be uploaded (`FILES_MIME_TYPE_ALLOW_LIST`)"
            raise InvalidPayload(f"{reason}.", reason=reason, type=self.kind)

    async def store(self, store: FileStore, stored: Stored) -> dict[str, Any]:
        """Stores the bytes; what was found out about them, as fields. Raises `ContentTooLarge`."""
        await store.write(stored, self._counted())
        found: dict[str, Any] = {"type": self.kind, "filesize": self._size}
        if self.kind.startswith("image/"):
            size, notes = await asyncio.to_thread(_look_at, bytes(self._header), self.kind, self._limits.metadata)
            self.noted = notes.fields
            return found | {"width": size and size.width, "height": size and size.height, "metadata": notes.metadata}
        is_text = self._size > 0 and types.is_text(self._prefix[: types.PREFIX])
        return found | {"charset": "utf-8" if is_text else None, "width": None, "height": None, "metadata": None}

    async def _counted(self) -> AsyncIterator[bytes]:
        if self._prefix:
            yield self._count(self._prefix)
        async for piece in self._pieces:
            yield self._count(piece)

    def _count(self, piece: bytes) -> bytes:
        self._size += len(piece)
        largest = self._limits.largest
        if largest is not None and self._size > largest:
            reason = f"The file is larger than {largest} bytes (`FILES_MAX_UPLOAD_SIZE`)"
            raise ContentTooLarge(f"{reason}.", reason=reason, limit=largest)
        if self.kind.startswith("image/") and len(self._header) < images.HEADER:
            self._header += piece[: images.HEADER - len(self._header)]
        return piece


def _look_at(header: bytes, kind: str, allowed: list[str]) -> tuple[Size | None, Notes]:
    return images.size_of(header, kind), notes_of(header, kind, allowed)
