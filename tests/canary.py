"""What the canary test is made of: canaries, a provider that gives away what it is told, and where secrets could be."""

import asyncio
import base64
import json
import logging
import traceback
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4


class Canaries:
    """Secrets that are easy to find again. They look like no vendor's keys: no pattern can hide them by their looks."""

    def __init__(self) -> None:
        self._by_name: dict[str, str] = {}

    def new(self, name: str) -> str:
        """A secret of its own for each place where one can be configured."""
        secret = f"cnry{uuid4().hex[:16]}"
        self._by_name[name if name not in self._by_name else f"{name}, the next"] = secret
        return secret

    def in_text(self, text: str | bytes) -> list[str]:
        """The names of those that are in a text, as they are or encoded."""
        raw = text.encode(errors="surrogateescape") if isinstance(text, str) else text
        return [name for name, secret in self._by_name.items() if any(form in raw for form in _forms(secret))]

    def unseen(self, text: str) -> list[str]:
        """The names of those that are not in a text."""
        return [name for name, secret in self._by_name.items() if secret not in text]


def _forms(secret: str) -> Iterable[bytes]:
    raw = secret.encode()
    yield raw
    yield raw.hex().encode()
    for shift in range(3):  # base64 looks different for each place in a longer text
        encoded = base64.b64encode(b"x" * shift + raw)
        yield encoded[4 if shift else 0 : -4]


@dataclass
class Noted:
    """Texts that came out of the house, each with the door it came out of."""

    texts: list[tuple[str, str | bytes]] = field(default_factory=list)

    def note(self, door: str, text: str | bytes) -> None:
        self.texts.append((door, text))

    def note_error(self, door: str, error: BaseException) -> None:
        """All that a log, a debugger or a careless `print` could show of an error and of those that it came from."""
        self.note(door, "".join(traceback.format_exception(error)))
        seen: BaseException | None = error
        while seen is not None:
            self.note(door, f"{seen!r} {seen} {seen.args!r} {vars(seen)!r}")
            seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)

    def leaks(self, canaries: Canaries) -> dict[str, list[str]]:
        """The names of the canaries that came out, by door."""
        found: dict[str, list[str]] = {}
        for door, text in self.texts:
            for name in canaries.in_text(text):
                found.setdefault(door, []).append(name)
        return found


class Journal(logging.Handler):
    """Every log record, of every logger and level, as it would be written."""

    def __init__(self, noted: Noted) -> None:
        super().__init__(logging.NOTSET)
        self.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
        self._noted = noted

    def emit(self, record: logging.LogRecord) -> None:
        self._noted.note(f"log of {record.name}", f"{self.format(record)} {record.args!r} {record.msg!r}")


@dataclass
class Tattler:
    """A provider that repeats the secrets it is given wherever it can. heard: the heads of the requests that came.

    The first part of the path says how: see `_answer`.
    """

    port: int = 0
    heard: list[str] = field(default_factory=list)

    def base_url(self, how: str) -> str:
        return f"http://127.0.0.1:{self.port}/{how}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heard.append(head)
            await self._answer(head, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: str, writer: asyncio.StreamWriter) -> None:
        said = " ".join(line for line in head.split("\r\n")[1:] if line)
        how = head.split(" ")[1].split("/")[1]
        if how == "slow":
            await asyncio.sleep(2)
        elif how.startswith("status-"):
            writer.write(_http(f"{how[7:]} Nope", _error(said)))
        elif how.startswith("text-"):
            writer.write(_http(f"{how[5:]} Nope", f"<html>{said}</html>", "text/html"))
        else:
            writer.write(_odd(said)[how])
        await writer.drain()


def _error(said: str) -> str:
    """In every vendor's shape at once."""
    inner = {"message": f"Bad: {said}", "code": said, "type": said, "status": said, "param": said}
    return json.dumps({"type": "error", "error": inner})


def _odd(said: str) -> dict[str, bytes]:
    """Answers that are not as documented, by what is wrong with them."""
    stream = f"event: error\ndata: {_error(said)}\n\ndata: {said}\n\n"
    location = f"Location: http://127.0.0.1:1/?key={said.rsplit(maxsplit=1)[-1]}\r\n"
    head = b"HTTP/1.1 200 OK\r\n"
    return {
        "reason": _http(f"503 {said}", "{}"),
        "redirect": _http("302 Found", "", extra=location),
        "odd": _http("200 OK", json.dumps({"choices": {"echo": said}, "content": said, "candidates": said})),
        "no-json": _http("200 OK", said),
        "stream": _http("200 OK", stream, "text/event-stream"),
        "cut": head + b"Content-Type: application/json\r\nContent-Length: 9999\r\n\r\n" + said.encode(),
        "no-http": f"{said}\r\n\r\n".encode(),
        "bad-header": head + f"{said} \x00 no header\r\n\r\n".encode(),
    }


HOW = (
    "status-400", "status-401", "status-403", "status-404", "status-413", "status-422", "status-429", "status-500",
    "text-401", "text-502", "reason", "redirect", "odd", "no-json", "stream", "cut", "no-http", "bad-header", "slow",
)  # fmt: skip
"""Each way in which the tattler answers."""


def _http(status: str, body: str, kind: str = "application/json", extra: str = "") -> bytes:
    raw = body.encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(raw)}\r\n{extra}Connection: close\r\n\r\n"
    )
    return head.encode() + raw


@asynccontextmanager
async def tattling() -> AsyncIterator[Tattler]:
    """A tattler on a port of its own."""
    tattler = Tattler()
    server = await asyncio.start_server(tattler.serve, "127.0.0.1", 0, limit=1 << 20)
    tattler.port = server.sockets[0].getsockname()[1]
    try:
        yield tattler
    finally:
        server.close()
