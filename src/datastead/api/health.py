"""`Health`: whether the database, the storages and the mail server are well, for `/server/health`."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from datastead.context import Services

DATABASE_THRESHOLD_MS, STORAGE_THRESHOLD_MS = 150, 750
TIMEOUT_S = 10
MAX_AGE_S = 10
"""How long is believed what was found outside: everybody may ask, and each time it writes to every storage."""

CLIENTS = {"postgresql": "pg", "sqlite": "sqlite3", "mariadb": "mysql"}
"""What the contract calls a database."""

Check = dict[str, Any]
Checks = dict[str, list[Check]]


@dataclass(frozen=True, slots=True)
class Report:
    """status: `ok`, `warn` or `error`. checks: by name, as the contract shows them."""

    status: str
    checks: Checks


class Health:
    """Asks when somebody wants to know; of what is outside at most once in a while."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._outside: tuple[float, asyncio.Task[Checks]] | None = None

    async def report(self) -> Report:
        """How it is now. A mail server that does not answer is a warning: all else goes on without it."""
        database = f"{CLIENTS[self._services.database.dialect]}:responseTime"
        checks = {database: [await self._database()], **await asyncio.shield(self._checks())}
        found = {
            "warn" if name.startswith("email:") and check["status"] == "error" else check["status"]
            for name, several in checks.items()
            for check in several
        }
        return Report(next((status for status in ("error", "warn") if status in found), "ok"), checks)

    def _checks(self) -> "asyncio.Task[Checks]":
        """What was found outside a moment ago, or what is being found now."""
        now = time.monotonic()
        if self._outside is None or now - self._outside[0] > MAX_AGE_S:
            self._outside = (now, asyncio.get_running_loop().create_task(self._ask_outside()))
        return self._outside[1]

    async def _ask_outside(self) -> Checks:
        storages = [] if self._services.files is None else list(self._services.files.locations)
        names = [*(f"storage:{location}:responseTime" for location in storages), "email:connection"]
        found = await asyncio.gather(*(self._storage(location) for location in storages), self._mail())
        return {name: [check] for name, check in zip(names, found, strict=True)}

    async def _database(self) -> Check:
        read = self._services.database.read
        return await _timed(
            "datastore",
            DATABASE_THRESHOLD_MS,
            lambda: read(lambda transaction: transaction.execute(sa.select(1)).first()),
        )

    async def _storage(self, location: str) -> Check:
        assert self._services.files is not None
        check = self._services.files.check
        return await _timed("objectstore", STORAGE_THRESHOLD_MS, lambda: check(location))

    async def _mail(self) -> Check:
        check = self._services.mailer.check
        return {"status": (await _timed("email", float("inf"), check))["status"], "componentType": "email"}


async def _timed(component: str, threshold_ms: float, ask: Callable[[], Awaitable[object]]) -> Check:
    begun = time.perf_counter()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await ask()
        status = "ok"
    except Exception:  # noqa: BLE001  whatever it is, it is what this is there to say
        status = "error"
    took_ms = round((time.perf_counter() - begun) * 1000, 3)
    if status == "ok" and took_ms > threshold_ms:
        status = "warn"
    return {
        "status": status, "componentType": component, "observedUnit": "ms", "observedValue": took_ms,
        "threshold": threshold_ms,
    }  # fmt: skip
