"""`Inbox`: the changes that wait for one client, so many at most."""

import asyncio
from collections import deque
from collections.abc import Callable

from datastead.realtime.feed import Change

MAX_WAITING = 1000
"""Changes that may wait for a client; one that falls behind further is cut off, and has to begin anew."""


class Inbox:
    """on_full: called when there is no room for one more."""

    def __init__(self, on_full: Callable[[], None]) -> None:
        self._waiting: deque[Change] = deque()
        self._has_some = asyncio.Event()
        self._on_full = on_full

    def put(self, change: Change) -> None:
        """One more."""
        if len(self._waiting) >= MAX_WAITING:
            self.clear()
            self._on_full()
            return
        self._waiting.append(change)
        self._has_some.set()

    def clear(self) -> None:
        """Forgets those that wait."""
        self._waiting.clear()

    async def wait(self) -> None:
        """Until there is one."""
        await self._has_some.wait()

    def take(self) -> Change | None:
        """The next, if it is still there."""
        change = self._waiting.popleft() if self._waiting else None
        if not self._waiting:
            self._has_some.clear()
        return change
