"""Text of a stream, put together as far as it has arrived together."""

from types import TracebackType
from typing import Self

from datastead.messages import StreamEvent, TextDelta


class Pieces(list[str]):
    """Pieces of text that follow one another: one event, put behind the others when something else comes, or nothing.

    Whoever reads a stream could not see them any sooner one by one, and pays for each event.
    """

    __slots__ = ("_events",)

    def __init__(self, events: list[StreamEvent]) -> None:
        super().__init__()
        self._events = events

    def join(self) -> None:
        """Makes an event of the pieces so far."""
        text = "".join(self)
        if text:
            self._events.append(TextDelta(text))
        self.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.join()
