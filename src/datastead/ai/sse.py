"""Server-sent events, read cheaply: bytes in, parsed `data` objects out.

Source: html.spec.whatwg.org, "Server-sent events", 2026-11. Names and ids of events are left out: every provider's
JSON says itself what it is.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from datastead.errors import ProviderUnavailable

DONE = b"[DONE]"
LONGEST_EVENT_BYTES = 64 << 20

SLICE_BYTES = 8192
"""So much is parsed at once: thousands of objects that live at the same time keep the garbage collector busy."""

_BETWEEN = re.compile(rb"\n\n(?:event: ?[^\n]*\n)?data:")
"""What is between the data of two events as all providers write them."""

_BEFORE = re.compile(rb"(?:event: ?[^\n]*\n)?data:")
_LAST = b"\n\ndata: [DONE]"


class SseParser:
    """One stream's parser. `done`: the provider has said `[DONE]`."""

    __slots__ = ("_between", "_rest", "done")

    def __init__(self) -> None:
        self.done = False
        self._between = b"\n\ndata:"
        self._rest = b""

    def objects(self, received: bytes) -> Iterator[Iterable[dict[str, Any]]]:
        """The objects of the events that are complete with what was received, several at a time; nothing = the end.

        Raises `ProviderUnavailable` over data that is not JSON, after the objects before it.
        """
        text = self._rest + (received or b"\n\n") if self._rest or not received else received
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n")
        start = 0
        while (end := self._slice(text, start)) >= 0:
            yield self._together(text[start:end])
            start = end + 2
        if len(text) - start > LONGEST_EVENT_BYTES:
            raise ProviderUnavailable("The provider sends an event without an end.")
        self._rest = text[start:]

    @staticmethod
    def _slice(text: bytes, start: int) -> int:
        """Where the events end that are parsed next; -1 where none is complete."""
        end = text.rfind(b"\n\n", start, start + SLICE_BYTES)
        return end if end >= 0 else text.find(b"\n\n", start)

    def _together(self, events: bytes) -> Iterable[dict[str, Any]]:
        """Several events, parsed as one JSON array: at half the cost of one by one.

        JSON has no line break inside a text, so that what is between two events cannot be in one.
        """
        done = events.endswith(_LAST)
        start = _BEFORE.match(events)
        if start is not None:
            joined, count = self._joined(events[start.end() : len(events) - len(_LAST) * done])
            try:
                found: list[Any] = orjson.loads(b"[" + joined + b"]")
            except orjson.JSONDecodeError:
                found = []  # the end mark alone, a comment, or data over several lines
            if len(found) == count + 1:
                self.done = self.done or done
                return [event for event in found if event.__class__ is dict]
        return self._one_by_one(events)

    def _joined(self, events: bytes) -> tuple[bytes, int]:
        """The data with commas between, and how many. What is between two is nearly always what was there before."""
        between = self._between
        joined = events.replace(between, b",")
        count = (len(events) - len(joined)) // (len(between) - 1)
        other = _BETWEEN.search(joined) if b"\n" in joined else None
        if other is None:
            return joined, count
        self._between = other[0]
        joined, more = _BETWEEN.subn(b",", joined)
        return joined, count + more

    def _one_by_one(self, events: bytes) -> Iterator[dict[str, Any]]:
        for block in events.split(b"\n\n"):
            event = self.parse(block)
            if event is not None:
                yield event

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
