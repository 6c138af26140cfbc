"""`Sweeps`: what dead processes held becomes `in_doubt` while this one lives, too; not only when one starts.

And the answers go that are kept for callers over HTTP, who do not say when they have saved them.
"""

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import sqlalchemy as sa

from datastead.ai.requests import HTTP_KEY
from datastead.errors import DatasteadError

if TYPE_CHECKING:
    from datastead.ai.ledger import Ledger

log = logging.getLogger(__name__)

SWEEP_EVERY_S = 15.0
"""Half a lease: the calls of a process that has died on another machine are in doubt within a lease and a half."""


class Sweeps:
    """A timer; there is no task between two sweeps that would have to be ended."""

    def __init__(self, ledger: "Ledger", *, answers_ttl_s: float, every_s: float = SWEEP_EVERY_S) -> None:
        self._ledger = ledger
        self._answers_ttl = timedelta(seconds=answers_ttl_s)
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
            await self._ledger.forget_answers(HTTP_KEY, self._answers_ttl)
        except (sa.exc.SQLAlchemyError, DatasteadError):
            log.exception("The ledger could not be swept; it is tried again.")
        finally:
            self._timer = self._loop.call_later(self._every_s, self._begin)
