"""`FileStore`: the storages of a process, by location, and what makes bytes come and go together with their rows."""

import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Hashable, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from uuid import uuid4

from pydantic import ValidationError

from datastead.context import Clock, Context
from datastead.data.engine import Connection, Database
from datastead.errors import DatasteadError, InvalidFlow, InvalidPayload, InvalidSettings, ServiceUnavailable
from datastead.extensions import Registry
from datastead.files import leases, parts, variants
from datastead.files.leases import Stored
from datastead.files.storage import Storage
from datastead.files.workshop import Workshop
from datastead.settings import Settings

T = TypeVar("T")

log = logging.getLogger(__name__)

TICK_S = 30.0
TIDY_TICKS = 10
"""Every how many ticks what nobody needs any more is looked for."""


class FileStore:
    """Opened with `start`, closed with `close`."""

    def __init__(self, settings: Settings, registry: Registry, database: Database, clock: Clock) -> None:
        self._storages = {name.lower(): _open(settings, registry, name.lower()) for name in settings.storage_locations}
        if not self._storages:
            raise InvalidSettings("`STORAGE_LOCATIONS` names no location: leave it out, or name one.")
        self.workshop = Workshop(settings)
        self._most_variants = settings.assets_transform_storage_size
        self._making: dict[Hashable, asyncio.Task[Any]] = {}
        self._database = database
        self._clock = clock
        self._held: set[Stored] = set()
        self._sweeping = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticker: asyncio.Task[None] | None = None

    @property
    def locations(self) -> Sequence[str]:
        """Every location; new files go to the first."""
        return list(self._storages)

    def storage(self, location: str) -> Storage:
        """The driver of a location. Raises `InvalidPayload` for one that is not configured."""
        found = self._storages.get(location)
        if found is None:
            known = ", ".join(f"`{name}`" for name in self._storages)
            reason = f"There is no storage `{location[:64]}`; `STORAGE_LOCATIONS` has {known}"
            raise InvalidPayload(f"{reason}.", reason=reason, field="storage")
        return found

    async def check(self, location: str) -> None:
        """Writes a few bytes, reads them and removes them. Raises what goes wrong."""
        storage, name = self.storage(location), f"health-{uuid4().hex}"
        try:
            await storage.write(name, _pieces(b"well"))
            if b"".join([piece async for piece in storage.read(name)]) != b"well":
                raise ServiceUnavailable(f"The storage `{location}` gives back other bytes.", service="storage")
        finally:
            await storage.delete(name)

    async def start(self) -> None:
        """Removes what processes have left that died, and does so from time to time."""
        await self.sweep()
        self._ticker = asyncio.create_task(self._tick())

    async def close(self) -> None:
        """Ends after what is under way."""
        if self._ticker is not None:
            self._ticker.cancel()
            with suppress(asyncio.CancelledError):
                await self._ticker
        await asyncio.gather(*self._making.values(), return_exceptions=True)
        await self.workshop.close()
        while self._tasks:
            await asyncio.gather(*self._tasks)
        for storage in self._storages.values():
            await storage.close()

    async def write(self, stored: Stored, pieces: AsyncIterator[bytes]) -> None:
        """Stores bytes, under a lease: `adopt` or `discard` has to follow, also when this raises."""
        self._held.add(stored)
        await leases.take(self._database, stored, self._clock())
        await self.storage(stored.location).write(stored.name, pieces)

    async def adopt(self, connection: Connection, stored: Stored) -> None:
        """In the transaction that writes their row: the bytes are that row's. When it fails, they go."""
        connection.after_commit(lambda: self._held.discard(stored))
        connection.after_rollback(lambda: self._soon(self.discard([stored])))
        await leases.end(connection, stored)

    async def drop(self, connection: Connection, stored: list[Stored]) -> None:
        """In the transaction that takes their row away: the bytes go when it has."""
        if stored:
            connection.after_commit(lambda: self._soon(self.sweep()))
            await leases.drop(connection, stored, self._clock())

    async def discard(self, stored: list[Stored]) -> None:
        """Bytes that get no row. Carried out also when the caller is cancelled."""
        if stored:
            await asyncio.shield(self._start(self._discard(stored)))

    async def settled(self) -> None:
        """Waits until what was dropped and discarded is gone."""
        await asyncio.gather(*self._tasks)

    async def sweep(self) -> None:
        """Removes the bytes that are dropped, and those that were held by processes that died."""
        async with self._sweeping:
            for stored in await leases.dropped(self._database, self._clock()):
                await self._remove(stored)

    async def once(self, key: Hashable, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `make` gives: for all who ask for the same at the same time it is done once, also when they leave."""
        task = self._making.get(key)
        if task is None:
            task = self._making[key] = asyncio.create_task(make())
            task.add_done_callback(lambda done: self._made(key, done))
        found: T = await asyncio.shield(task)
        return found

    async def tidy(self) -> None:
        """Drops uploads that have expired, images whose file is gone, and those that there is no room for."""
        for upload in await parts.expired(self._database, self._clock()):
            async with self._database.transaction() as connection:
                await self.drop(connection, await parts.remove(connection, upload))
        while surplus := await variants.surplus(self._database, self._most_variants):
            async with self._database.transaction() as connection:
                await variants.remove(connection, surplus)
                await self.drop(connection, surplus)

    def _made(self, key: Hashable, done: "asyncio.Task[Any]") -> None:
        del self._making[key]
        if not done.cancelled():
            done.exception()  # those who wait are told; where nobody waits any more, nobody has to be

    async def _discard(self, stored: list[Stored]) -> None:
        self._held.difference_update(stored)
        await leases.give_up(self._database, stored)
        await self.sweep()

    async def _remove(self, stored: Stored) -> None:
        """What cannot be removed now is tried again, and so is what is in a location that is not configured here."""
        storage = self._storages.get(stored.location)
        if storage is None:
            return
        try:
            await storage.delete(stored.name)
        except DatasteadError as error:
            log.warning("The storage `%s` could not remove `%s`: %s", stored.location, stored.name, error)
            return
        await leases.forget(self._database, [stored])

    async def _tick(self) -> None:
        for tick in itertools.count():
            await asyncio.sleep(TICK_S)
            if self._held:
                await _logged(leases.renew(self._database, list(self._held), self._clock()))
            if tick % TIDY_TICKS == 0:
                await _logged(self.tidy())
            await _logged(self.sweep())

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        self._start(work)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(_logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def store_of(ctx: Context) -> FileStore:
    """The process's store. Raises `ServiceUnavailable` where it has none."""
    if ctx.services.files is None:
        raise ServiceUnavailable("No storage for files is open here.", service="storage")
    return ctx.services.files


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _open(settings: Settings, registry: Registry, location: str) -> Storage:
    options = dict(settings.storage_options.get(location, {}))
    name = str(options.pop("driver", location))
    prefix = f"STORAGE_{location.upper()}_"
    try:
        driver = registry.storage(name)
        return driver.open(driver.options.model_validate(options), settings.folder)
    except InvalidFlow as error:
        raise InvalidSettings(f"`{prefix}DRIVER`: {error}") from None
    except ValidationError as error:
        names = ", ".join(f"`{prefix}{'_'.join(map(str, problem['loc'])).upper()}`" for problem in error.errors())
        raise InvalidSettings(f"{names}: not what the storage driver `{name}` takes, or missing.") from None


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    """Nobody waits for this: what goes wrong is logged, and tried again with the next sweep."""
    try:
        await work
    except Exception:
        log.exception("The storage could not be tidied up.")
