"""Files beside a prompt: what callers name becomes bytes of a known type, before anything is held or sent.

A module of its own, because it is where `ai` meets files and addresses from outside.
"""

import asyncio
import binascii
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote_to_bytes, urlsplit

from datastead.ai.media import checked_type, is_text, normal
from datastead.ai.parameters import invalid
from datastead.errors import InvalidRequest
from datastead.messages import Attachment, Message, frozen

if TYPE_CHECKING:
    from datastead.context import Context
    from datastead.settings import Settings

MAX_BYTES = 20 * 1024 * 1024
"""The largest attachment: what all providers take inline, as base64 beside the rest of a request."""

MAX_TOTAL_BYTES = 100 * 1024 * 1024
"""All attachments of a call together."""

MOST = 100
"""How many attachments a call can have."""

FETCH_TIMEOUT_S = 30.0

_FORMS = (
    "a `Path`, an `Attachment`, `{type: 'file', fileId}`, `{type: 'url', url}`, `{type: 'data', data, mediaType}` or"
    " `{type: 'provider-file', id, mediaType}`"
)


class FileSource(Protocol):
    """Where the files of the platform are read: `files` provides it, `app` wires it."""

    async def read(self, ctx: "Context", file_id: str, *, max_bytes: int) -> Attachment:
        """The file as bytes, with its media type and file name, as the context's actor may see it.

        Raises `Forbidden` where it is not there or not allowed, which look alike, and `InvalidRequest` (with `size`
        and `allowed`, in bytes) where it is larger than `max_bytes`, before reading more than that.
        """
        ...


@frozen
class PlatformFile(Attachment):
    """A file of the platform that is still to be read: `file_id` is its own, and no provider's."""


@frozen
class LocalFile(Attachment):
    """A file of this machine that is still to be read: `file_id` is its path. Only Python names one, by a `Path`."""


def attachment_of(value: Any, where: str) -> Attachment:
    """An attachment as a caller writes it. Raises `InvalidRequest` that names the place.

    JSON: `{type: 'file', fileId}`, a file of the platform; `{type: 'url', url, mediaType?, filename?}`, fetched by us;
    `{type: 'data', data, mediaType?, filename?}`, base64 or a `data:` URL; `{type: 'provider-file', id, mediaType}`, a
    file that the provider has. And the AI SDK's `{type: 'file', mediaType, url, filename}`. From Python: a `Path`, too.
    """
    if isinstance(value, Attachment):
        return value
    if isinstance(value, Path):
        return LocalFile("", file_id=str(value), filename=value.name)
    if not isinstance(value, Mapping):
        raise invalid(where, value, _FORMS)
    match value.get("type"):
        case "file" if "fileId" in value:
            return PlatformFile(_text(value, "mediaType", where, ""), file_id=_text(value, "fileId", where))
        case "file" | "url" if "url" in value:
            return _from_url(_text(value, "url", where), value, where)
        case "data" | "file" if "data" in value:
            return _from_data(value, where)
        case "provider-file":
            return Attachment(_text(value, "mediaType", where), file_id=_text(value, "id", where))
    raise invalid(where, value, _FORMS)


def attachment_json(part: Attachment) -> dict[str, Any]:
    """The attachment as JSON that `attachment_of` reads."""
    from base64 import b64encode

    named = {"mediaType": part.media_type} | ({"filename": part.filename} if part.filename else {})
    if isinstance(part, PlatformFile):
        return {"type": "file", "fileId": part.file_id, **named}
    if part.url is not None:
        return {"type": "url", "url": part.url, **named}
    if part.file_id is not None:
        return {"type": "provider-file", "id": part.file_id, **named}
    return {"type": "data", "data": b64encode(part.data or b"").decode(), **named}


def attachments_in(messages: Iterable[Message]) -> list[Attachment]:
    """All attachments of a conversation."""
    return [part for message in messages for part in message.parts if isinstance(part, Attachment)]


class Reader:
    """Reads the attachments of one call, each once."""

    def __init__(
        self, settings: "Settings", files: FileSource | None, ctx: "Context | None", *, timeout_s: float
    ) -> None:
        self._settings = settings
        self._files = files
        self._ctx = ctx
        self._timeout_s = min(timeout_s, FETCH_TIMEOUT_S)

    async def resolved(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """The conversation with its files as bytes, or as ids of the provider's. Raises where one cannot be used."""
        parts = list(dict.fromkeys(attachments_in(messages)))
        if len(parts) > MOST:
            raise InvalidRequest(f"The call has {len(parts)} attachments, and {MOST} are the most.", allowed=MOST)
        # One after the other, so that no more than one call's worth of bytes is ever under way.
        read = {part: await self._read(part) for part in parts}
        size = sum(len(part.data or b"") for part in read.values())
        if size > MAX_TOTAL_BYTES:
            raise _too_large("All attachments together", size, MAX_TOTAL_BYTES)
        return tuple(
            replace(message, parts=tuple(read[p] if isinstance(p, Attachment) else p for p in message.parts))
            for message in messages
        )

    async def _read(self, part: Attachment) -> Attachment:
        if isinstance(part, PlatformFile):
            return await asyncio.to_thread(checked, await self._platform_file(part))
        if isinstance(part, LocalFile):
            return await asyncio.to_thread(_local_file, part)
        if part.url is not None:
            return await asyncio.to_thread(checked, await self._fetched(part))
        if part.file_id is not None:
            return replace(part, media_type=normal(part.media_type))
        return checked(part)

    async def _platform_file(self, part: Attachment) -> Attachment:
        if self._files is None or self._ctx is None:
            raise InvalidRequest(
                "A file of the platform can be read where the platform runs, and under a `context`: pass `context=`, or"
                " give the file as `{type: 'data'}`.", file=part.file_id,
            )  # fmt: skip
        self._refuse_in_transaction()
        found = await self._files.read(self._ctx, part.file_id or "", max_bytes=MAX_BYTES)
        return replace(found, media_type=part.media_type or found.media_type)

    async def _fetched(self, part: Attachment) -> Attachment:
        from datastead.outgoing import fetch

        self._refuse_in_transaction()
        url = part.url or ""
        answer = await fetch(self._settings, "GET", url, timeout_s=self._timeout_s, max_bytes=MAX_BYTES)
        site = urlsplit(url).hostname or "the address"
        if not 200 <= answer.status < 300:
            raise InvalidRequest(
                f"`{site}` answered {answer.status} where an attachment was to be fetched.", status=answer.status
            )
        said = part.media_type or _useful(normal(answer.headers.get("content-type", "")))
        name = part.filename or urlsplit(url).path.rpartition("/")[2] or None
        return Attachment(said, data=answer.body, filename=name)

    def _refuse_in_transaction(self) -> None:
        if self._ctx is not None and self._ctx.connection is not None:
            raise InvalidRequest("No attachment is read inside a transaction: call the model before or after it.")


def _local_file(part: LocalFile) -> Attachment:
    path = Path(part.file_id or "")
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise _too_large(f"`{path.name}`", size, MAX_BYTES)
        return checked(Attachment("", data=path.read_bytes(), filename=path.name))
    except OSError as error:
        raise InvalidRequest(f"`{path}` cannot be read: {error.strerror}.", attachment=path.name) from error


def checked(part: Attachment) -> Attachment:
    """The file with the type that its bytes have. Raises where it is empty, too large, or not what it says."""
    data, name = part.data or b"", part.filename or part.media_type or "the attachment"
    if not data:
        raise InvalidRequest(f"`{name}` is empty.", attachment=name)
    if len(data) > MAX_BYTES:
        raise _too_large(f"`{name}`", len(data), MAX_BYTES)
    return replace(part, media_type=checked_type(data, part.media_type, name))


def _useful(said: str) -> str:
    """What a server says of a file, where that is more than its bytes tell: servers guess images by their names."""
    return said if is_text(said) or said.startswith(("audio/", "video/")) else ""


def _from_url(url: str, value: Mapping[str, Any], where: str) -> Attachment:
    if url.startswith("data:"):
        return _from_data({**value, "data": url}, where)
    if not url.startswith(("http://", "https://")):
        raise invalid(f"{where}.url", url, "an `http://`, `https://` or `data:` URL")
    return Attachment(_text(value, "mediaType", where, ""), url=url, filename=_name(value, where))


def _from_data(value: Mapping[str, Any], where: str) -> Attachment:
    data, declared = value["data"], _text(value, "mediaType", where, "")
    if isinstance(data, bytes):
        return Attachment(declared, data=data, filename=_name(value, where))
    if not isinstance(data, str):
        raise invalid(f"{where}.data", data, "base64, or a `data:` URL")
    if data.startswith("data:"):
        head, _, data = data.removeprefix("data:").partition(",")
        said, _, encoding = head.rpartition(";")
        if encoding != "base64":
            return Attachment(declared or normal(head), data=unquote_to_bytes(data), filename=_name(value, where))
        declared = declared or normal(said)
    return Attachment(declared, data=_decoded(data, where), filename=_name(value, where))


def _decoded(text: str, where: str) -> bytes:
    if len(text) > MAX_BYTES * 4 // 3 + 4:
        raise _too_large(f"`{where}`", len(text) * 3 // 4, MAX_BYTES)
    try:
        return b64decode("".join(text.split()) if "\n" in text else text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(f"`{where}.data` is not base64: {error}.", parameter=f"{where}.data") from error


def _text(value: Mapping[str, Any], name: str, where: str, instead: str | None = None) -> str:
    found = value.get(name) if value.get(name) is not None else instead
    if not isinstance(found, str) or (instead is None and not found):
        raise invalid(f"{where}.{name}", found, "text")
    return found


def _name(value: Mapping[str, Any], where: str) -> str | None:
    return _text(value, "filename", where, "") or None


def _too_large(what: str, size: int, allowed: int) -> InvalidRequest:
    return InvalidRequest(f"{what} has {size} bytes, and {allowed} are the most.", size=size, allowed=allowed)
