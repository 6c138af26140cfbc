"""`BriefReads`: SQLite read on the event loop's own thread, for as long as it is short.

A hop to a thread and back costs more than most reads do, and the threads and the loop wait for one another. What takes
longer than `BRIEF_S` is given up, is done by a thread, and goes there at once for a while.
"""

import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import sqlalchemy as sa

from datastead.data.links import Fetch, Link

T = TypeVar("T")

BRIEF_S = 0.004
"""The longest that a read may work while everybody else waits."""
LONGEST_S = 0.025
"""With the time that it waits itself, for the disk or for a core."""
SLOW_FOR_S = 10.0
MOST_SLOW = 1000
OPERATIONS = 1000
"""Of SQLite's machine, between two looks at the clock: some 20 microseconds."""
RAISED = "user-defined function raised exception"
GIVEN_UP = frozenset({"SQLITE_INTERRUPT", "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_BUSY_SNAPSHOT", "SQLITE_SCHEMA"})


def too_long(*_: Any) -> None:
    """In the place of a function of SQLite's that cannot be interrupted: whoever calls it is sent to a thread."""
    raise InterruptedError


class BriefReads:
    """One connection of its own. open: makes it, with the first read; it does not wait for locks."""

    def __init__(self, open_link: Callable[[Callable[[], bool]], Link]) -> None:
        self._open = open_link
        self._link: Link | None = None
        self._lock = threading.Lock()
        self._began, self._worked = 0.0, 0.0
        self._slow: dict[Hashable, float] = {}

    def attempt(self, work: Callable[[Fetch], T], shape: Hashable) -> tuple[T] | None:
        """What the work gives; None where a thread has to do it."""
        now = time.monotonic()
        if self._slow and self._slow.get(shape, 0.0) > now:
            return None
        if not self._lock.acquire(blocking=False):  # another loop's thread reads
            return None
        try:
            link = self._link = self._link or self._open(self._is_over)
            self._began, self._worked = now, time.thread_time()
            return (work(link.fetch),)
        except sa.exc.DBAPIError as error:
            name = getattr(error.orig, "sqlite_errorname", "")
            is_too_long = name == "SQLITE_INTERRUPT" or str(error.orig) == RAISED
            if not is_too_long and name not in GIVEN_UP:
                raise
            if is_too_long:
                self._note(shape, now)
            return None
        finally:
            self._lock.release()

    def close(self) -> None:
        with self._lock:
            if self._link is not None:
                self._link.close()
            self._link = None

    def _is_over(self) -> bool:
        took = time.monotonic() - self._began
        return took > BRIEF_S and (took > LONGEST_S or time.thread_time() - self._worked > BRIEF_S)

    def _note(self, shape: Hashable, now: float) -> None:
        if len(self._slow) >= MOST_SLOW:
            self._slow.clear()
        self._slow[shape] = now + SLOW_FOR_S
