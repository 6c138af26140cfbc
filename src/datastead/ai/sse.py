"""Server-sent events, read cheaply: bytes in, parsed `data` objects out.

Source: html.spec.whatwg.org, "Server-sent events", 2026-11. Names and ids of events are left out: every provider's
JSON says itself what it is.
"""

from typing import Any

import orjson

from datastead.errors import ProviderUnavailable

DONE = b"[DONE]"
LONGEST_EVENT_BYTES = 64 << 20


class SseParser:
    """One stream's parser. `done`: the provider has said `[DONE]`."""

    __slots__ = ("_rest", "done")

    def __init__(self) -> None:
        self.done = False
        self._rest = b""

    def feed(self, received: bytes) -> list[bytes]:
        """The events that are complete with what was received, each to be given to `parse`."""
        text = self._rest + received if self._rest else received
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n")
        blocks = text.split(b"\n\n")
        self._rest = blocks.pop()
        if len(self._rest) > LONGEST_EVENT_BYTES:
            raise ProviderUnavailable("The provider sends an event without an end.")
        return blocks

    def end(self) -> list[bytes]:
        """The last event, where the stream ended without the empty line after it."""
        return self.feed(b"\n\n")

    def parse(self, block: bytes) -> dict[str, Any] | None:
        """An event's object; None where it has none. Raises `ProviderUnavailable` over data that is not JSON.

        Nearly all have their data in one line, the last: that is the short way.
        """
        start = block.find(b"data:")
        try:
            event = orjson.loads(block[start + 5 :] if start == block.rfind(b"\n") + 1 else _data_lines(block))
        except orjson.JSONDecodeError as error:
            # The end mark, or an event without data, such as a comment that keeps the stream alive.
            data = _data_lines(block).strip()
            if data and data != DONE:
                raise ProviderUnavailable("The provider sent an event that is not JSON.") from error
            self.done = self.done or data == DONE
            return None
        return event if event.__class__ is dict else None


def _data_lines(block: bytes) -> bytes:
    lines = block.split(b"\n")
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines if line[:5] == b"data:")
