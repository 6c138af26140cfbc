"""`GenerationStream`: a model's answer as it comes."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from datastead.ai.portal import Portal
from datastead.errors import InvalidRequest
from datastead.messages import StreamEvent

if TYPE_CHECKING:
    from datastead.ai.results import GenerationResult


@dataclass(slots=True)
class StreamState:
    """What a stream leaves behind. It refers to nothing, so that a stream nobody holds is closed at once.

    call: id of the ledger's row of the attempt that is under way.
    """

    result: "GenerationResult | None" = None
    call: str | None = None


class GenerationStream:
    """`async for event in stream`: events, each with its `content` (text, or empty). `result` after the end.

    Leaving it early stops the provider, and what has arrived is settled: at once with `async with stream`, `aclose()`
    or a cancelled task; else when the stream is no longer referred to.
    """

    def __init__(self, events: AsyncGenerator[StreamEvent, None], state: StreamState) -> None:
        self._events = events
        self._state = state

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self._events

    async def __anext__(self) -> StreamEvent:
        return await anext(self._events)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stops the provider and settles what has arrived; does nothing after the end."""
        await self._events.aclose()

    async def collect(self) -> "GenerationResult":
        """The result, after reading what is left of the stream."""
        async for _ in self._events:
            pass
        return self.result

    @property
    def call(self) -> str | None:
        """Id of the ledger's row of the attempt that is under way, or was the last; None before the first event."""
        return self._state.result.call if self._state.result is not None else self._state.call

    @property
    def result(self) -> "GenerationResult":
        """The whole answer, once the stream has ended. Raises `InvalidRequest` before that."""
        if self._state.result is None:
            raise InvalidRequest("The stream has not come to its end: there is no result yet.")
        return self._state.result


class SyncStream:
    """`for event in stream`: a `GenerationStream` for code that is not asynchronous."""

    def __init__(self, stream: GenerationStream, portal: Portal) -> None:
        self._stream = stream
        self._events = portal.iterate(aiter(stream), stream.aclose)

    def __iter__(self) -> Iterator[StreamEvent]:
        return self._events

    def __next__(self) -> StreamEvent:
        return next(self._events)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stops the provider and settles what has arrived; does nothing after the end."""
        self._events.close()

    @property
    def result(self) -> "GenerationResult":
        """The whole answer, once the stream has ended."""
        return self._stream.result
