"""`Sweeps`: what dead processes held becomes `in_doubt` while this one lives, too; not only when one starts."""

import asyncio
import logging
from typing import TYPE_CHECKING

import sqlalchemy as sa

from datastead.errors import DatasteadError

if TYPE_CHECKING:
    from datastead.ai.ledger import Ledger

log = logging.getLogger(__name__)

SWEEP_EVERY_S = 15.0
"""Half a lease: the calls of a process that has died on another machine are in doubt within a lease and a half."""


class Sweeps:
    """A timer; there is no task between two sweeps that would have to be ended."""

    def __init__(self, ledger: "Ledger", every_s: float = SWEEP_EVERY_S) -> None:
        self._ledger = ledger
        self._every_s = every_s
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(every_s, self._begin)
        self._task: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        """Ends, after the sweep that is under way."""
        if self._task is not None:
            await asyncio.wait({self._task})
        self._timer.cancel()

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._sweep())

    async def _sweep(self) -> None:
        try:
            found = await self._ledger.doubt_the_dead()
            if found:
                log.warning("%s calls of processes that have died are in doubt: see `datastead ai doubt list`.", found)
        except (sa.exc.SQLAlchemyError, DatasteadError):
            log.exception("The calls of dead processes could not be looked for; it is tried again.")
        finally:
            self._timer = self._loop.call_later(self._every_s, self._begin)
