"""What processes of one PostgreSQL tell one another at once."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from datastead.data.changes import Changes
from datastead.data.engine import Database
from datastead.data.signals import Signals, notify
from datastead.realtime.feed import Change
from tests.databases import postgresql_ready
from tests.flows.conftest import open_house

HOOK: dict[str, Any] = {"name": "hook", "trigger": "webhook", "operations": [{"operation": "log"}]}
LOSE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'datastead signals' AND datname = current_database()"
TOPICS = ("changes", "flows", "schema")


class Process:
    """One that listens, and what it has heard, in turn."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.signals = Signals(database, retry_s=0.05)
        self._heard: asyncio.Queue[str] = asyncio.Queue()
        for topic in TOPICS:
            self.signals.on(topic, partial(self._heard.put_nowait, topic))

    async def heard(self, count: int = 1) -> list[str]:
        return [await asyncio.wait_for(self._heard.get(), 20) for _ in range(count)]


@pytest.fixture
def url() -> Iterator[str]:
    with postgresql_ready() as url:
        yield url


@asynccontextmanager
async def process(url: str) -> AsyncIterator[Process]:
    database = Database.open(url)
    await database.start()
    found = Process(database)
    found.signals.start()
    assert sorted(await found.heard(3)) == sorted(TOPICS)  # something may have been missed before
    assert found.signals.is_live
    yield found
    await found.signals.stop()
    await database.close()


async def test_what_one_process_sends_another_hears_and_it_itself_does_not(url: str) -> None:
    async with process(url) as one, process(url) as two:
        for _ in range(100):
            one.signals.send("changes")
        assert await two.heard() == ["changes"]
        two.signals.send("flows")
        assert await one.heard() == ["flows"]


async def test_a_signal_of_a_transaction_comes_with_its_commit_only(url: str) -> None:
    async with process(url) as one, process(url) as two:
        with pytest.raises(RuntimeError):
            async with one.database.transaction() as connection:
                await connection.run(lambda transaction: notify(transaction, "schema"))
                raise RuntimeError
        await one.database.write(lambda transaction: notify(transaction, "flows"))
        assert await two.heard() == ["flows"]


async def test_a_lost_connection_is_known_and_made_anew(url: str) -> None:
    async with process(url) as one, process(url) as two:
        await one.database.write(lambda transaction: transaction.execute(sa.text(LOSE)).all() and None)
        for each in (one, two):  # that it is lost, and that it is there again; on a busy machine more than once
            assert set(await each.heard(6)) == set(TOPICS)
            while not each.signals.is_live:
                assert set(await each.heard(3)) == set(TOPICS)
        one.signals.send("changes")
        while await two.heard() != ["changes"]:
            assert two.signals.is_live


async def test_other_databases_carry_nothing() -> None:
    database = Database.open("sqlite://")
    await database.start()
    signals = Signals(database)
    signals.start()
    signals.send("changes")
    assert not signals.is_live
    await signals.stop()
    await database.close()


async def test_flows_the_schema_and_items_are_signalled(url: str) -> None:
    async with (
        open_house(url, dispatch=False) as here,
        open_house(url, websockets_enabled=True) as there,
        process(url) as listener,
    ):
        assert await there.services.flows.overview(there.ctx) == []
        await here.apply(HOOK)
        assert await listener.heard() == ["flows"]
        there.services.flows.look_again()
        assert [flow["name"] for flow in await there.services.flows.overview(there.ctx)] == ["hook"]
        new = {"collection": "things", "schema": {}, "fields": [{"field": "name", "type": "string"}]}
        await Changes(here.ctx).create_collection(new)
        assert await listener.heard() == ["schema"]
        there.services.schemas.look_again()
        assert "things" in (await there.services.schemas.get()).collections


@pytest.mark.parametrize("is_server", [False, True])  # a command of the CLI listens to nothing
async def test_a_change_is_signalled_while_another_process_has_subscribers(url: str, is_server: bool) -> None:
    async with (
        open_house(url, websockets_enabled=True, dispatch=is_server) as here,
        open_house(url, websockets_enabled=True) as there,
        process(url) as listener,
    ):
        await Changes(here.ctx).create_collection({"collection": "things", "schema": {}, "fields": []})
        assert await listener.heard() == ["schema"]
        assert there.services.realtime is not None
        told: asyncio.Queue[Change] = asyncio.Queue()
        subscriber: Any = type("Subscriber", (), {"put": lambda _, change: told.put_nowait(change)})()
        await there.services.realtime.subscribe(subscriber, "things")
        key = await here.items("things").create({})
        assert await asyncio.wait_for(told.get(), 20) == Change("things", "create", (key,))
        heard = asyncio.create_task(listener.heard())
        while not heard.done():  # a server that has begun just now sends nothing yet
            await here.items("things").create({})
            await asyncio.wait({heard}, timeout=1)
        assert await heard == ["changes"]
