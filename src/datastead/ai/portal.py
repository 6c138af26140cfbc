"""`Portal`: an event loop in a thread of its own, for scripts that have none."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import TypeVar

from datastead.errors import InvalidRequest

T = TypeVar("T")


class Portal:
    """Runs coroutines from code that is not asynchronous. Its thread ends with the process at the latest."""

    def __init__(self) -> None:
        _refuse_inside_a_loop()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="datastead-portal", daemon=True)
        self._thread.start()

    def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """The result of a coroutine. Ctrl-C cancels it."""
        _refuse_inside_a_loop()

        async def waited() -> T:
            return await work()

        future = asyncio.run_coroutine_threadsafe(waited(), self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def iterate(self, values: AsyncIterator[T], close: Callable[[], Awaitable[None]]) -> Generator[T, None, None]:
        """The values of an asynchronous iterator, which is closed when this one is left."""
        end = object()
        try:
            while (value := self.run(lambda: anext(values, end))) is not end:
                yield value  # type: ignore[misc]  # mypy cannot tell the sentinel apart
        finally:
            self.run(close)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


def _refuse_inside_a_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise InvalidRequest(
        "This thread runs an event loop, which a call that waits would block: use `await ai.generate(…)` or"
        " `async for … in ai.generate_stream(…)`."
    )
