"""A client that leaves: noticed while a model is at work, so that the provider is stopped."""

import asyncio
from types import TracebackType
from typing import Self

from starlette.types import Receive

PATIENCE_S = 0.25
"""Nobody watches before that: what is answered sooner is answered for nobody, and costs no task."""


class Leaving:
    """`with Leaving(receive):` cancels the block when the client leaves, and swallows that. The body is read before."""

    __slots__ = ("_receive", "_task", "_timer", "_watcher", "gone")

    def __init__(self, receive: Receive) -> None:
        self.gone = False
        self._receive = receive
        self._watcher: asyncio.Task[None] | None = None

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._timer = asyncio.get_running_loop().call_later(PATIENCE_S, self._begin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        self.stop()
        if self.gone and kind is asyncio.CancelledError:
            self._task.uncancel()
            return True
        return False

    def stop(self) -> None:
        """Stops watching. Before the last byte of an answer: a server says that the client left at its end, too."""
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()

    def _begin(self) -> None:
        self._watcher = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self._task.cancel()
