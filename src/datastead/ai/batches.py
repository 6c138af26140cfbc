"""Short writes that wait for one another anyway, carried to the database together: one hop and one commit for all.

The hop between the event loop and a database's thread costs more than the statements of a hold or a settlement.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from datastead.errors import AIError

if TYPE_CHECKING:
    from datastead.data.engine import Database, Transaction

T = TypeVar("T")
Work = Callable[["Transaction"], Any]
LARGEST = 64
TURNS = 4
"""So many turns of the loop a batch waits at most, while it grows."""


class Batches:
    """The writes of one event loop. Work that raises an `AIError` has written nothing before that."""

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._waiting: list[tuple[Work, asyncio.Future[Any]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def write(self, work: "Callable[[Transaction], T]", until: float | None = None) -> T:
        """What the work gave, once it is committed. It may run again, and is done also when the caller is cancelled.

        until: by the loop's clock; raises `TimeoutError` then, and the work is done all the same.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.append((work, future))
        if self._writing is None:
            self._writing = loop.create_task(self._write_all())
        if until is None:
            return await future
        alarm = loop.call_at(until, _tell, future, None, TimeoutError())
        try:
            return await future
        finally:
            alarm.cancel()

    async def _write_all(self) -> None:
        """Writes until nobody waits. What comes in meanwhile goes with the next batch."""
        try:
            while self._waiting:
                await self._gather()
                batch, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
                await self._write_batch(batch)
        finally:
            self._writing = None
            for _, future in self._waiting:
                future.cancel()
            self._waiting.clear()

    async def _gather(self) -> None:
        """Lets what is ready to run now come along, as long as each turn of the loop brings more: a commit costs most.

        A loop that has nothing else to do turns once, in microseconds.
        """
        for _ in range(TURNS):
            have = len(self._waiting)
            await asyncio.sleep(0)
            if len(self._waiting) == have:
                return

    async def _write_batch(self, batch: list[tuple[Work, "asyncio.Future[Any]"]]) -> None:
        try:
            outcomes = await self._database.write(lambda transaction: [_tried(work, transaction) for work, _ in batch])
        except Exception as error:  # noqa: BLE001  it is raised where the work was asked for
            await self._write_each(batch, error)
            return
        for (_, future), (result, refusal) in zip(batch, outcomes, strict=True):
            _tell(future, result, refusal)

    async def _write_each(self, batch: list[tuple[Work, "asyncio.Future[Any]"]], error: Exception) -> None:
        """After a batch that could not be written: who is to blame fails, the others are written."""
        if len(batch) == 1:
            _tell(batch[0][1], None, error)
            return
        for each in batch:
            await self._write_batch([each])


def _tried(work: Work, transaction: "Transaction") -> tuple[Any, AIError | None]:
    try:
        return work(transaction), None
    except AIError as refusal:
        return None, refusal


def _tell(future: "asyncio.Future[Any]", result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
