"""The embedded dispatcher: takes runs that wait, has them carried out, and keeps hold of them meanwhile.

Any number of processes may dispatch from one database: a run is taken by an UPDATE, and held by a lease.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial

from datastead.ai.owner import is_dead, owner
from datastead.context import Services
from datastead.data.engine import Transaction
from datastead.flows import ending, journal
from datastead.flows.journal import LeaseLost, Run
from datastead.flows.outcome import rejection, returned
from datastead.flows.runner import Journalled, Outcome, Runner, Stopped
from datastead.flows.template import Templates
from datastead.flows.writer import Writer

log = logging.getLogger("datastead.flows")

POLL_S = 0.5
"""How long a run of another process waits at most before it is seen."""
STOP_S = 5.0
"""How long steps under way have to end when the process stops."""
RECOVER_S = 5.0
"""How often to look for runs of processes of this machine that are gone."""


class Dispatcher:
    """Carries out runs in this process. tick: called on every round, for schedules; gives seconds until the next."""

    def __init__(self, services: Services, templates: Templates, tick: Callable[[], Awaitable[float | None]]) -> None:
        self._services = services
        self._runner = Runner(services, templates, lambda: self._is_stopping)
        self._tick = tick
        self._held: dict[str, asyncio.Task[Outcome | None]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._is_stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = asyncio.Event()
        self._recovered_at = 0.0
        self._has_work = services.database.prepare(journal.has_work())
        self.writer = Writer(services.database)
        self._is_full = False

    @property
    def runner(self) -> Runner:
        return self._runner

    async def start(self, *, dispatch: bool) -> None:
        """Begins. dispatch: take runs that wait; else only those that this process starts itself are carried out."""
        self._loop = asyncio.get_running_loop()
        self._tasks.append(self._loop.create_task(self._keep_hold()))
        if dispatch:
            await self._recover()
            self._tasks.append(self._loop.create_task(self._dispatch()))

    async def stop(self) -> None:
        """Ends: steps under way have a moment to end, and the rest of their runs is left to whoever comes next."""
        self._is_stopping = True
        self.wake()
        running = list(self._held.values())
        if running:
            await asyncio.wait(running, timeout=STOP_S)
        for task in (*self._tasks, *running):
            task.cancel()
        await asyncio.gather(*self._tasks, *running, return_exceptions=True)

    def wake(self) -> None:
        """Something waits. May be called from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._woken.set)

    def hold(self, run: Run, return_path: str | None = None) -> "asyncio.Task[Outcome | None]":
        """Carries a run out that this process has taken, in a task of its own.

        return_path: what to keep as its result.
        """
        task = asyncio.get_running_loop().create_task(self._carry_out(run, return_path))
        self._held[run.id] = task
        task.add_done_callback(lambda _: self._let_go(run.id))
        return task

    def _let_go(self, run_id: str) -> None:
        self._held.pop(run_id, None)
        if self._is_full:
            self.wake()

    async def _carry_out(self, run: Run, return_path: str | None) -> Outcome | None:
        """The run's outcome; None where it goes on elsewhere."""
        try:
            outcome = await self._runner.carry_out(run, Journalled(self._services, run, self.writer))
            result = returned(outcome.chain, return_path) if return_path else None
            await self.writer.end(run, ending.ended(self._runner, run, outcome, result))
        except LeaseLost:
            log.warning("The run %s was taken over by another process.", run.id)
            return None
        except (Stopped, asyncio.CancelledError):
            await self._release([run.id])
            if not self._is_stopping:
                raise
            return None
        except Exception as error:
            log.exception("The run %s could not go on.", run.id)
            await self._note_failure(run, error)
            return None
        return outcome

    async def _note_failure(self, run: Run, error: Exception) -> None:
        """The run is tried again when its lease ends; one that has failed too often is rejected."""
        retries = self._services.settings.flows_retries

        def note(transaction: Transaction) -> int:
            failures = journal.count_failure(transaction, run)
            if failures > retries:
                ending.give_up(transaction, self._runner, run, rejection(error))
            return failures

        try:
            failures = await self._services.database.write(note)
        except LeaseLost:
            log.warning("The run %s was taken over by another process.", run.id)
        except Exception:
            log.exception("That the run %s failed could not be written; it is tried again when its lease ends.", run.id)
        else:
            end = "it is rejected" if failures > retries else "it is tried again when its lease ends"
            log.error("The run %s has failed %s times: %s.", run.id, failures, end)

    async def _release(self, runs: Sequence[str]) -> None:
        name = owner()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(
                self._services.database.write(lambda transaction: journal.release(transaction, name, runs))
            )

    async def _dispatch(self) -> None:
        while not self._is_stopping:
            wait_s: float | None = None
            try:
                self._woken.clear()
                wait_s = await self._tick()
                await self._recover_now_and_then()
                await self._take()
            except Exception:
                log.exception("The dispatcher failed; it goes on.")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(
                    self._woken.wait(), min(POLL_S, max(0.0, wait_s)) if wait_s is not None else POLL_S
                )

    async def _take(self) -> None:
        """Takes as many runs as there is room for."""
        settings, database = self._services.settings, self._services.database
        room = settings.flows_concurrency - len(self._held)
        now = self._services.clock()
        self._is_full = room <= 0
        if room <= 0 or not await database.fetch(self._has_work, {"now": database.timestamp(now)}):
            return
        name = owner()
        taken = await database.write(
            lambda transaction: journal.claim(transaction, name, now, settings.flows_lease_s, room)
        )
        self._is_full = len(taken) == room
        for run in taken:
            self.hold(run)

    async def _keep_hold(self) -> None:
        """Renews the leases of the runs under way."""
        lease_s = self._services.settings.flows_lease_s
        while True:
            await asyncio.sleep(lease_s / 3)
            if not self._held:
                continue
            renewing = partial(
                journal.renew, owner=owner(), held=list(self._held),
                until=self._services.clock() + timedelta(seconds=lease_s),
            )  # fmt: skip
            try:
                await self._services.database.write(renewing)
            except Exception:
                log.exception("The leases of the runs under way could not be renewed.")

    async def _recover_now_and_then(self) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._recovered_at > RECOVER_S:
            await self._recover()

    async def _recover(self) -> None:
        """Lets go of the runs of processes of this machine that are gone, so that they go on at once."""
        self._recovered_at = asyncio.get_running_loop().time()
        dead = [name for name in await self._services.database.read(journal.owners) if is_dead(name)]
        if dead:
            await self._services.database.write(lambda transaction: journal.release_all_of(transaction, dead))
