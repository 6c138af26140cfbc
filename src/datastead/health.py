"""`Health`: whether the database, the storages and the mail server are well."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from datastead.data.engine import Database
from datastead.files.store import FileStore
from datastead.mail import Mailer

Status = Literal["ok", "warn", "error"]
Part = Literal["database", "storage", "mail"]

DATABASE_THRESHOLD_MS, STORAGE_THRESHOLD_MS = 150, 750
TIMEOUT_S = 10
MAX_AGE_S = 10
"""How long is believed what was found outside: everybody may ask, and each time it writes to every storage."""


@dataclass(frozen=True, slots=True)
class Check:
    """How a part was when it was asked. name: the database's dialect, a storage's location; of mail nothing.

    threshold_ms: what takes longer is a `warn`; None = it may take its time.
    """

    part: Part
    name: str
    status: Status
    took_ms: float
    threshold_ms: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """status: the worst of the checks; a mail server that does not answer is a `warn`: all else goes on without it."""

    status: Status
    checks: tuple[Check, ...]


class Health:
    """Asks when somebody wants to know; of what is outside at most once in a while."""

    def __init__(self, database: Database, files: FileStore | None, mailer: Mailer) -> None:
        self._database = database
        self._files = files
        self._mailer = mailer
        self._outside: tuple[float, asyncio.Task[list[Check]]] | None = None

    async def report(self) -> Report:
        """How it is now."""
        checks = (await self._ask_database(), *await asyncio.shield(self._ask_outside()))
        found = {"warn" if (each.part, each.status) == ("mail", "error") else each.status for each in checks}
        worst: tuple[Status, ...] = ("error", "warn")
        return Report(next((status for status in worst if status in found), "ok"), checks)

    def _ask_outside(self) -> "asyncio.Task[list[Check]]":
        """What was found outside a moment ago, or what is being found now."""
        now = time.monotonic()
        if self._outside is None or now - self._outside[0] > MAX_AGE_S:
            self._outside = (now, asyncio.get_running_loop().create_task(self._look_outside()))
        return self._outside[1]

    async def _look_outside(self) -> list[Check]:
        locations = [] if self._files is None else list(self._files.locations)
        storages = (self._ask_storage(location) for location in locations)
        return await asyncio.gather(*storages, _timed("mail", "", None, self._mailer.check))

    async def _ask_database(self) -> Check:
        read, one = self._database.read, sa.select(1)
        return await _timed(
            "database", self._database.dialect, DATABASE_THRESHOLD_MS,
            lambda: read(lambda transaction: transaction.execute(one).first()),
        )  # fmt: skip

    async def _ask_storage(self, location: str) -> Check:
        assert self._files is not None
        check = self._files.check
        return await _timed("storage", location, STORAGE_THRESHOLD_MS, lambda: check(location))


async def _timed(part: Part, name: str, threshold_ms: int | None, ask: Callable[[], Awaitable[object]]) -> Check:
    begun = time.perf_counter()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await ask()
        status: Status = "ok"
    except Exception:  # noqa: BLE001  whatever it is, it is what this is there to say
        status = "error"
    took_ms = round((time.perf_counter() - begun) * 1000, 3)
    if status == "ok" and threshold_ms is not None and took_ms > threshold_ms:
        status = "warn"
    return Check(part, name, status, took_ms, threshold_ms)
