"""Short writes that wait for one another anyway, carried to the database together: one hop and one commit for all.

The hop between the event loop and a database's thread costs more than the statements of a hold or a settlement: so
there is no task here, and as few turns of the loop as it can be.
"""

import asyncio
from collections.abc import Callable
from itertools import chain
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from datastead.errors import AIError

if TYPE_CHECKING:
    from datastead.data.engine import Database, Transaction

T = TypeVar("T")
Outcome = tuple[Any, AIError | None]
LARGEST = 64
TURNS = 4
"""So many turns of the loop a batch waits at most, while it grows."""


class _Write(NamedTuple):
    """Work that waits. until: by the loop's clock; then its caller is told that it is late."""

    work: "Callable[[Transaction], Any]"
    future: "asyncio.Future[Any]"
    until: float


class Batches:
    """The writes of one event loop. Work that raises an `AIError` has written nothing before that."""

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._loop = asyncio.get_running_loop()
        self._waiting: list[_Write] = []
        self._sent: list[list[_Write]] = []
        self._alarm: asyncio.TimerHandle | None = None

    def write(self, work: "Callable[[Transaction], T]", until: float = inf) -> "asyncio.Future[T]":
        """What the work gave, once it is committed. It may run again, and is done also when the caller is cancelled.

        until: by the loop's clock; raises `TimeoutError` then, and the work is done all the same.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        self._waiting.append(_Write(work, future, until))
        if len(self._waiting) == 1 and not self._sent:
            self._loop.call_soon(self._gather, TURNS, 0)
        if until < inf:
            self._watch(until)
        return future

    def _gather(self, turns: int, had: int) -> None:
        """Lets what is ready to run now come along, as long as each turn of the loop brings more: a commit costs most.

        A loop that has nothing else to do turns once, in microseconds.
        """
        have = len(self._waiting)
        if turns and have > had:
            self._loop.call_soon(self._gather, turns - 1, have)
            return
        batch, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
        self._send(batch)

    def _send(self, batch: list[_Write]) -> None:
        self._sent.append(batch)
        self._database.send(
            lambda transaction: [_tried(write.work, transaction) for write in batch],
            lambda outcomes, error: self._written(batch, outcomes, error),
        )

    def _written(self, batch: list[_Write], outcomes: list[Outcome] | None, error: BaseException | None) -> None:
        """Tells those who wait. Of a batch that could not be written who is to blame fails, the others are written."""
        self._sent.remove(batch)
        if outcomes is not None:
            for write, (result, refusal) in zip(batch, outcomes, strict=True):
                _tell(write.future, result, refusal)
        elif len(batch) == 1:
            _tell(batch[0].future, None, error)
        else:
            for write in batch:
                self._send([write])
        if self._waiting and not self._sent:
            self._loop.call_soon(self._gather, TURNS, 0)

    def _watch(self, until: float) -> None:
        """One alarm for all, which is hardly ever heard: nearly every write is done long before."""
        if self._alarm is None or until < self._alarm.when():
            if self._alarm is not None:
                self._alarm.cancel()
            self._alarm = self._loop.call_at(until, self._look)

    def _look(self) -> None:
        """Tells those who are late, and looks again when the next one may be."""
        self._alarm = None
        now = self._loop.time()
        for write in chain(self._waiting, *self._sent):
            if write.until <= now:
                _tell(write.future, None, TimeoutError())
            elif write.until < inf and not write.future.done():
                self._watch(write.until)


def _tried(work: "Callable[[Transaction], Any]", transaction: "Transaction") -> Outcome:
    try:
        return work(transaction), None
    except AIError as refusal:
        return None, refusal


def _tell(future: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
