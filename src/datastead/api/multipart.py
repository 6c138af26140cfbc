"""Multipart bodies as uploads, while they come: a file is never in memory as a whole."""

from collections import deque
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import orjson
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from datastead.api.body import invalid
from datastead.files.files import Upload, Uploads

MAX_TEXT = 65_536  # bytes of one text field
MAX_FIELDS = 100
JSON_FIELDS = {"tags", "metadata"}


class _Part(NamedTuple):
    """The head of a part. filename: None for a text field."""

    name: str
    filename: str | None
    type: str | None


_END = None  # of a part
_Event = _Part | bytes | None


def is_multipart(request: Request) -> bool:
    """Whether the body is a form with files."""
    kind, _, _ = request.headers.get("content-type", "").partition(";")
    return kind.strip().lower() == "multipart/form-data"


async def uploads_of(request: Request) -> Uploads:
    """The files of the body, each with the text fields before it; those behind the last are the last one's, too."""
    parts = _Parts(request)
    fields: dict[str, Any] = {}
    last: Upload | None = None
    count = 0
    while (part := await parts.next_part()) is not None:
        count += 1
        if count > MAX_FIELDS:
            raise invalid(f"The body has more than {MAX_FIELDS} parts.")
        if part.filename is None:
            fields[part.name] = field_value(part.name, await _text(part.name, parts.pieces()))
        elif not part.filename:
            raise invalid(f"The part `{part.name[:100]}` has no file name.")
        else:
            last, fields = Upload(part.filename, parts.pieces(), part.type, fields), {}
            yield last
    if last is not None:
        last.fields = fields | last.fields


class _Parts:
    """The parts of a body, one after the other, read as they are asked for."""

    def __init__(self, request: Request) -> None:
        self._receive = request.receive
        self._events: deque[_Event] = deque()
        self._is_complete = False
        self._is_closed = False
        self._in_part = False
        self._header: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._headers: dict[bytes, bytes] = {}
        self._parser = self._new_parser(request.headers["content-type"])

    async def next_part(self) -> _Part | None:
        """The next part's head, after what is left of the one before; None at the end."""
        while self._in_part:
            await self._piece()
        event = await self._next_event()
        self._in_part = isinstance(event, _Part)
        return event if isinstance(event, _Part) else None

    async def pieces(self) -> AsyncIterator[bytes]:
        """The bytes of the part that has begun."""
        while (piece := await self._piece()) is not None:
            yield piece

    async def _piece(self) -> bytes | None:
        event = await self._next_event() if self._in_part else _END
        if isinstance(event, bytes):
            return event
        self._in_part = False
        return None

    async def _next_event(self) -> _Event:
        while not self._events:
            if self._is_complete:
                return _END
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            self._is_complete = not message.get("more_body", False)
            self._feed(message.get("body", b""))
        return self._events.popleft()

    def _feed(self, body: bytes) -> None:
        try:
            if body and not self._is_closed:
                self._parser.write(body)
        except FormParserError as error:
            raise invalid(f"The body is not `multipart/form-data`: {error}.") from None
        if self._is_complete and not self._is_closed:
            raise invalid("The body ends before its last part does.")

    def _new_parser(self, content_type: str) -> MultipartParser:
        _, options = parse_options_header(content_type)
        try:
            return MultipartParser(
                options.get(b"boundary", b""),
                {
                    "on_part_begin": self._headers.clear,
                    "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": lambda data, start, end: self._events.append(bytes(data[start:end])),
                    "on_part_end": lambda: self._events.append(_END),
                    "on_end": self._on_end,
                },
            )
        except FormParserError:
            raise invalid("The content type has no `boundary` that can be used.") from None

    def _on_header_end(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        if b"name" not in options:
            raise invalid("A part has no `Content-Disposition` with a name.")
        filename = options.get(b"filename")
        kind = self._headers.get(b"content-type")
        self._events.append(
            _Part(
                _decoded(options[b"name"]),
                None if filename is None else _decoded(filename).replace("%22", '"'),
                None if kind is None else kind.decode("latin-1"),
            )
        )

    def _on_end(self) -> None:
        self._is_closed = True


async def _text(name: str, pieces: AsyncIterator[bytes]) -> str:
    found = bytearray()
    async for piece in pieces:
        found += piece
        if len(found) > MAX_TEXT:
            raise invalid(f"The field `{name[:100]}` is longer than {MAX_TEXT} bytes; a file needs a file name.")
    return _decoded(bytes(found))


def field_value(name: str, text: str) -> Any:
    """A form knows texts only: JSON where the field holds that, nothing for `null`, and for a folder that is empty."""
    if text.strip() == "null" or (name == "folder" and not text.strip()):
        return None
    if name not in JSON_FIELDS:
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        if name == "tags":
            return [tag.strip() for tag in text.split(",") if tag.strip()]
        raise invalid(f"The field `{name}` has to be JSON.") from None


def _decoded(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise invalid("The body holds text that is not UTF-8.") from None
    if "\0" in text:
        raise invalid("The body holds a NUL character.")
    return text
