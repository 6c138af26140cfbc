"""What an `AI` is made of, and how it opens and closes: settings, endpoints, ledger, connections."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from datastead.ai.alarms import Alarms, Subscriber
from datastead.ai.breaker import Breakers, BreakerState
from datastead.ai.endpoints import Endpoints
from datastead.ai.observers import Observer, Observers
from datastead.ai.portal import Portal
from datastead.ai.preparation import Preparer, repair_key
from datastead.ai.price_list import PriceList
from datastead.ai.targets import Targets
from datastead.context import Clock, system_clock
from datastead.errors import InvalidRequest
from datastead.extensions import Registry
from datastead.settings import Settings, load_settings

if TYPE_CHECKING:
    from datastead.ai.attachments import FileSource
    from datastead.ai.call import Caller
    from datastead.ai.ledger import Ledger
    from datastead.ai.sweeps import Sweeps
    from datastead.data.engine import Connection, Database

log = logging.getLogger(__name__)


class Opened:
    """An `AI` without its calls: it opens with the first of them, and belongs to the event loop it was opened in."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        database: "Database | None" = None,
        registry: Registry | None = None,
        files: "FileSource | None" = None,
        clock: Clock = system_clock,
        observers: Sequence[Observer] = (),
    ) -> None:
        """observers: are told of each attempt at a call, such as metrics and traces."""
        self._settings = settings or load_settings()
        self._observers = Observers(observers) if observers else None
        self._registry = registry or Registry.discover()
        self._endpoints = Endpoints(self._settings)
        self._clock = clock
        self._prices = PriceList(self._endpoints.priced(self._settings.ai_prices))
        self._targets = Targets(self._endpoints, self._registry, self._prices, clock)
        self._preparer = Preparer(self._settings, files, set())
        self._given_database = database
        self._own_database: Database | None = None
        self._breakers = Breakers(clock)
        self._ledger: Ledger | None = None
        self._caller: Caller | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._starting: asyncio.Task[None] | None = None
        self._portal: Portal | None = None
        self._sweeps: Sweeps | None = None
        self._alarms = Alarms()
        self._announcements: set[asyncio.Task[None]] = set()
        self._on_budget_warning: Subscriber | None = None

    async def start(self) -> None:
        """Opens the ledger. What processes held that have died since becomes `in_doubt`."""
        await self._opened()

    async def close(self) -> None:
        """Settles what is under way, and closes the connections."""
        caller, self._caller, ledger, self._ledger, self._starting = self._caller, None, self._ledger, None, None
        if caller is not None:
            await caller.close()
        if self._sweeps is not None:
            await self._sweeps.stop()
            self._sweeps = None
        if ledger is not None:
            await ledger.close()
        if self._own_database is not None:
            await self._own_database.close()
            self._own_database = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def release(self, key: str, connection: "Connection | None" = None) -> None:
        """Lets go of the answer that is kept for a key: whoever asked for it has saved it, in the same transaction."""
        ledger = await self._opened()
        await ledger.release(key, connection)
        await ledger.release(repair_key(key), connection)

    def reconfigure(self, settings: Settings, problems: Mapping[str, str] | None = None) -> None:
        """Other providers, from the next call on; calls under way go on with what they had.

        problems: why a provider cannot be called, by its name.
        """
        endpoints = Endpoints(settings, problems)
        self._preparer.words_only.clear()  # another endpoint may take schemas
        self._endpoints, self._targets = endpoints, Targets(endpoints, self._registry, self._prices, self._clock)

    def on_budget_warning(self, subscriber: Subscriber) -> None:
        """`await subscriber(warning)` when a budget that only warns is passed, once per window; see `alarms`."""
        self._on_budget_warning = subscriber

    def breakers(self) -> "dict[str, BreakerState]":
        """The providers that are left alone for now, as they have failed again and again: `open` or `half-open`."""
        return self._breakers.states()

    async def _look_at_prices(self) -> None:
        """Sees what other processes have added to the price list."""
        if self._given_database is None:
            return
        from datastead.ai.price_entries import refresh

        if await refresh(self._prices, self._given_database, time.monotonic()):
            self._targets.forget()

    def _warned(self, warning: "Mapping[str, Any]") -> None:
        if self._alarms.is_new(warning) and self._on_budget_warning is not None:
            task = asyncio.ensure_future(self._announce(self._on_budget_warning, warning))
            self._announcements.add(task)
            task.add_done_callback(self._announcements.discard)

    @staticmethod
    async def _announce(subscriber: Subscriber, warning: "Mapping[str, Any]") -> None:
        """A warning that cannot be told does not fail the call; it is in the log, and in the call's result."""
        try:
            await subscriber(warning)
        except Exception:
            log.exception("The event of a budget's warning failed.")

    async def _started(self) -> "Caller":
        """The caller of this loop, made with the first call: what it does HTTP with takes a while to load."""
        if self._caller is not None and self._is_current():
            return self._caller
        ledger = await self._opened()
        if self._caller is None:
            from datastead.ai.cache import ResponseCache
            from datastead.ai.call import Caller

            database = self._given_database or self._own_database
            assert database is not None
            self._caller = Caller(
                ledger,
                cache=ResponseCache(database, ledger, self._clock),
                breakers=self._breakers,
                record=self._settings.ai_record_io,
                max_tokens_default=self._settings.ai_max_tokens_default,
                observers=self._observers,
            )
        return self._caller

    def _is_current(self) -> bool:
        """Whether it is open in this loop, and need not look at what other processes have priced."""
        if self._ledger is None or asyncio.get_running_loop() is not self._loop:
            return False
        return self._given_database is None or not self._prices.is_stale(time.monotonic())

    async def _opened(self) -> "Ledger":
        if self._ledger is not None and self._is_current():
            return self._ledger
        loop = asyncio.get_running_loop()
        if self._ledger is not None and loop is self._loop:
            await self._look_at_prices()
            return self._ledger
        if self._loop not in {None, loop} and (self._ledger is not None or self._starting is not None):
            raise InvalidRequest("This `AI` was started in another event loop: close it there, or make another one.")
        if self._starting is None:
            self._loop, self._starting = loop, loop.create_task(self._start())
        try:
            await asyncio.shield(self._starting)
        except BaseException:
            if self._starting is not None and self._starting.done():
                self._starting = None  # the next call tries again
            raise
        assert self._ledger is not None
        return self._ledger

    async def _start(self) -> None:
        from datastead.ai.ledger import Ledger

        database = self._given_database
        if database is None:
            from datastead.ai.memory import open_in_memory

            database = self._own_database = await open_in_memory()
        await self._look_at_prices()
        ledger = Ledger(database, self._clock, self._warned)
        await ledger.doubt_the_dead()
        if self._own_database is None:
            from datastead.ai.sweeps import Sweeps

            self._sweeps = Sweeps(ledger, answers_ttl_s=self._settings.ai_http_answers_ttl)
        self._ledger = ledger
