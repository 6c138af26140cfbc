"""Models behind real HTTP, and a real ledger: on SQLite, and on PostgreSQL where it can be reached."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from datastead import AI, Registry, Settings
from datastead.data import system
from datastead.data.engine import Database
from datastead.data.migrations import migrate
from datastead.testing.simulator import Simulator
from tests.databases import sqlite_ready

REGISTRY = Registry(("datastead.builtin",))
KEY = "canary-4f1c9a7be2d84"
LOCAL = {"id": "local", "cost": {"input": 1, "output": 2}}
WIRES = {
    "openai": "gpt-4.1",
    "openai-compatible": "local",
    "anthropic": "claude-haiku-4-5",
    "google": "gemini-2.5-flash",
}
"""A model of each wire format."""


@pytest.fixture(scope="session")
def running_simulator() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def simulator(running_simulator: Simulator) -> Simulator:
    running_simulator.reset()
    return running_simulator


@pytest.fixture
def settings(simulator: Simulator) -> Callable[..., Settings]:
    """Settings with every provider at the simulator, and what else is given."""

    def make(**own: Any) -> Settings:
        vendors = {
            f"ai_{name}_{setting}": value
            for name in ("openai", "anthropic", "google")
            for setting, value in (("enabled", True), ("api_key", KEY), ("base_url", simulator.base_url(name)))
        }
        compatible = {
            "ai_openai_compatible_enabled": True,
            "ai_openai_compatible_base_url": simulator.base_url("openai-compatible"),
            "ai_openai_compatible_models": [LOCAL],
        }
        return Settings(**{**vendors, **compatible, **own})

    return make


@dataclass(frozen=True)
class House:
    """A started `AI` and its ledger."""

    ai: AI
    database: Database
    url: str

    async def rows(self, **where: Any) -> list[dict[str, Any]]:
        """The ledger, in the order in which its rows were written."""
        return await ledger_rows(self.database, **where)

    async def row(self) -> dict[str, Any]:
        (row,) = await self.rows()
        return row

    async def budget(self, **values: Any) -> None:
        now = system_now()
        given = {"id": str(uuid4()), "scope": "all", "window": "total", "hard": True, "created_at": now, **values}
        await self.database.write(lambda transaction: transaction.execute(sa.insert(system.budgets).values(**given)))


def system_now() -> Any:
    from datastead.context import system_clock

    return system_clock()


async def ledger_rows(database: Database, **where: Any) -> list[dict[str, Any]]:
    table = system.ai_calls
    query = sa.select(table).order_by(table.c.created_at, table.c.attempt)
    query = query.where(*(table.c[name] == value for name, value in where.items()))
    return await database.read(lambda transaction: [dict(row) for row in transaction.execute(query).mappings()])


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return sqlite_ready(tmp_path / "ledger.db")


@asynccontextmanager
async def opened(url: str, settings: Settings, **own: Any) -> AsyncIterator[House]:
    """A house on a database, made ready if it is new."""
    async with AsyncExitStack() as stack:
        database = Database.open(url)
        await database.start()
        stack.push_async_callback(database.close)
        await migrate(database)
        ai = await stack.enter_async_context(AI(settings, database=database, **{"registry": REGISTRY, **own}))
        yield House(ai, database, url)


@pytest.fixture
async def house(sqlite_url: str, settings: Callable[..., Settings]) -> AsyncIterator[House]:
    async with opened(sqlite_url, settings()) as house:
        yield house


@pytest.fixture
async def any_house(database_url: str, settings: Callable[..., Settings]) -> AsyncIterator[House]:
    """A house on each kind of database."""
    async with opened(database_url, settings()) as house:
        yield house
