"""A house to run flows in: every service, on a database with articles; once for each kind of database."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from datastead.context import SYSTEM, Actor, Clock, Context, Services, system_clock
from datastead.data.engine import Database
from datastead.data.items import Items
from datastead.extensions import Registry, TriggerRequest
from datastead.services import open_services
from datastead.settings import Settings
from datastead.testing.simulator import Simulator

REGISTRY = Registry(("datastead.builtin",))
ARTICLES = sa.Table(
    "articles",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("title", sa.String(255), nullable=False),
    sa.Column("content", sa.Text),
    sa.Column("meta_description", sa.Text),
)
NOTES = sa.Table(
    "notes",
    ARTICLES.metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("text", sa.Text),
    sa.Column("article", sa.Integer),
)
ADMIN = Actor(user=str(uuid4()), role=str(uuid4()), is_admin=True, has_app_access=True)


class Undone(Exception):
    """A transaction is to be rolled back."""


@dataclass(frozen=True)
class House:
    """Open services, and short ways to what tests do with them."""

    services: Services
    url: str

    @property
    def ctx(self) -> Context:
        return Context(self.services, ADMIN)

    def items(self, collection: str) -> Items:
        return Items(self.ctx, collection)

    async def apply(self, document: Mapping[str, Any]) -> str:
        return await self.services.flows.apply(self.ctx, document)

    async def call(self, flow: str, body: Any = None, *, ctx: Context | None = None, method: str = "POST") -> Any:
        request = TriggerRequest(method, f"/trigger/{flow}", {}, {"host": "test"}, {} if body is None else body)
        return await self.services.flows.trigger(ctx or self.ctx, flow, request)

    async def create_and_undo(self, collection: str, payload: Mapping[str, Any]) -> None:
        """Creates an item in a transaction that is rolled back. Raises `Undone`."""
        async with self.ctx.transaction() as inside:
            await Items(inside, collection).create(payload)
            raise Undone

    async def runs(self, **options: Any) -> list[dict[str, Any]]:
        return await self.services.flows.runs(self.ctx, **options)

    async def ended(self, count: int = 1, **options: Any) -> list[dict[str, Any]]:
        """The runs, with their steps, once so many have ended."""

        async def found() -> list[dict[str, Any]] | None:
            runs = await self.runs(steps=True, **options)
            return runs if sum(run["status"] in ("resolved", "rejected") for run in runs) >= count else None

        return await eventually(found)

    async def rows(self, table: sa.Table) -> list[Any]:
        return await self.services.database.read(
            lambda t: list(t.execute(sa.select(table).order_by(*table.primary_key)))
        )


async def eventually(check: Callable[[], Awaitable[Any]], timeout_s: float = 20) -> Any:
    """What `check` gives, once it is not None."""
    async with asyncio.timeout(timeout_s):
        while (found := await check()) is None:  # noqa: ASYNC110  what is waited for is in a database
            await asyncio.sleep(0.02)
        return found


@pytest.fixture
async def tables(database_url: str) -> str:
    """The same database, with articles and notes in it before we come."""
    database = Database.open(database_url)
    await database.start()
    await database.alter(lambda transaction: ARTICLES.metadata.create_all(transaction.connection))
    await database.close()
    return database_url


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


def settings(url: str, simulator: Simulator | None = None, **changes: Any) -> Settings:
    """Settings of a test: nothing from the environment but what it says."""
    ai: dict[str, Any] = {}
    if simulator is not None:
        ai = {
            "ai_openai_enabled": True, "ai_openai_api_key": "key", "ai_openai_base_url": simulator.base_url("openai"),
        }  # fmt: skip
    values = {"database_url": url, "secret": "s" * 40, "admin_password": "a-long-password", **ai, **changes}
    return Settings(**values)


@asynccontextmanager
async def open_house(
    url: str, simulator: Simulator | None = None, *, clock: Clock = system_clock, registry: Registry = REGISTRY,
    dispatch: bool = True, **changes: Any,
) -> AsyncIterator[House]:  # fmt: skip
    """A process of its own on a database."""
    found = settings(url, simulator, **changes)
    async with open_services(found, clock=clock, registry=registry, dispatch=dispatch) as (services, _):
        yield House(services, url)


@pytest.fixture
async def house(tables: str, simulator: Simulator) -> AsyncIterator[House]:
    async with open_house(tables, simulator) as house:
        yield house


__all__ = ["ADMIN", "SYSTEM", "House", "Undone", "eventually", "open_house"]
