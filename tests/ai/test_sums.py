"""What was spent: the memo gives what a sum over every row gives, whatever happens at the same time."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from datastead.ai.attempts import new_id
from datastead.ai.budgets import Need
from datastead.ai.entries import Hold, Settlement
from datastead.ai.ledger import Ledger
from datastead.ai.requests import WHO
from datastead.ai.sums import Amounts, Key, Sums, share_writing
from datastead.ai.windows import window_start
from datastead.data import system
from datastead.data.engine import Database, Transaction
from datastead.data.migrations import migrate
from datastead.messages import Usage

USERS = tuple(f"00000000-0000-4000-8000-00000000000{n}" for n in (1, 2))
KEYS = (
    Key("all", None, "total"), Key("all", None, "hour"), Key("user", USERS[0], "day"), Key("model", "m1", "month"),
    Key("user", USERS[1], "minute", True), Key("all", None, "hour", True), Key("provider", "p", "day", True),
)  # fmt: skip


class Process:
    """A ledger and sums of its own on a database that others use, too."""

    def __init__(self, database: Database, now: list[datetime]) -> None:
        self.database = database
        self.ledger = Ledger(database, lambda: now[0])
        self.sums = Sums(database)
        self.now = now

    async def hold(self, luck: random.Random) -> str:
        hold = a_hold(luck)
        await self.ledger.hold(hold)
        return hold.id

    async def settle(self, call: str, luck: random.Random) -> None:
        usage = Usage(input=luck.randrange(50), output=luck.randrange(50))
        state: Any = luck.choice(["settled", "settled", "failed", "in_doubt"])
        cost = None if state == "in_doubt" else luck.randrange(1000)
        await self.ledger.settle(Settlement(call, state, usage, "provider", cost, 1))

    def since(self, key: Key) -> datetime:
        return window_start(key.window, self.now[0], rolling=key.rolling)

    async def both(self, key: Key) -> tuple[Amounts, Amounts]:
        def work(transaction: Transaction) -> tuple[Amounts, Amounts]:
            since = self.since(key)
            return self.sums.of(transaction, key, since), self.sums.plain(transaction, key, since)

        return await self.database.write(work)


def a_hold(luck: random.Random) -> Hold:
    who: dict[str, str | None] = dict.fromkeys(WHO)
    who["user"] = luck.choice([*USERS, None])
    model = luck.choice(["m1", "m2"])
    need = Need(
        luck.randrange(1000), luck.randrange(100), {**who, "model": model, "provider": "p", "purpose": None}, True
    )
    return Hold(new_id(), "p", model, who, need, "known", "1")


@pytest.fixture
async def processes(database_url: str) -> AsyncIterator[tuple[Process, Process]]:
    now = [datetime(2026, 11, 26, 11, 58, 50, tzinfo=UTC)]
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(2):
            database = Database.open(database_url)
            await database.start()
            stack.push_async_callback(database.close)
            await migrate(database)
            opened.append(Process(database, now))
        yield opened[0], opened[1]


@pytest.mark.parametrize("seed", range(3))
async def test_a_memo_gives_the_plain_sum_after_any_interleaving_of_two_processes(
    processes: tuple[Process, Process], seed: int
) -> None:
    luck = random.Random(seed)
    under_way: list[str] = []
    for _ in range(120):
        process, clock = luck.choice(processes), processes[0].now
        step = luck.choice(["hold", "hold", "hold", "settle", "settle", "fold", "fold", "compare", "wait"])
        if step == "hold":
            under_way.append(await process.hold(luck))
        elif step == "settle" and under_way:
            await process.settle(under_way.pop(luck.randrange(len(under_way))), luck)
        elif step == "fold":
            key = luck.choice(KEYS)
            await process.sums.fold(key, process.since(key))
        elif step == "wait":
            clock[0] += timedelta(seconds=luck.choice([0.3, 2, 20, 70]))
        else:
            for key in KEYS:
                memoised, plain = await process.both(key)
                assert memoised == plain, (key, seed)
    for process in processes:
        for key in KEYS:
            memoised, plain = await process.both(key)
            assert memoised == plain, (key, seed)


@pytest.mark.mariadb
async def test_a_call_that_is_written_before_a_cut_and_committed_after_it_counts(
    processes: tuple[Process, Process],
) -> None:
    process, other = processes
    if process.database.dialect == "sqlite":
        pytest.skip("SQLite has one writer: rows are committed in the order in which they are written.")
    key, luck = KEYS[0], random.Random(1)
    await process.hold(luck)
    async with other.database.transaction() as connection:
        late = {"id": str(uuid4()), "state": "held", "provider": "p", "model": "m1", "held_nano_usd": 77,
                "held_tokens": 7, "created_at": process.now[0]}  # fmt: skip
        await connection.run(share_writing)
        await connection.execute(sa.insert(system.ai_calls).values(**late))
        await process.hold(luck)
        folding = asyncio.create_task(process.sums.fold(key, process.since(key)))
        if process.database.dialect != "mariadb":  # which waits until the row is committed
            await folding
        before, _ = await process.both(key)
    await folding
    after, plain = await process.both(key)
    assert after == plain == before.plus(Amounts(77, 7, 1))


async def test_a_fold_reads_nothing_that_is_rolled_back_later(processes: tuple[Process, Process]) -> None:
    process, key, luck = processes[0], KEYS[0], random.Random(2)
    await process.hold(luck)
    with pytest.raises(ZeroDivisionError):
        async with process.database.transaction() as connection:
            await connection.run(lambda transaction: transaction.raw(process.ledger._insert, _row(process, luck)))
            await process.sums.fold(key, process.since(key))
            raise ZeroDivisionError
    memoised, plain = await process.both(key)
    assert memoised == plain
    assert memoised.requests == 1


async def test_rows_that_are_deleted_and_numbered_anew_are_noticed(processes: tuple[Process, Process]) -> None:
    process, key, luck = processes[0], KEYS[0], random.Random(3)
    if process.database.dialect != "sqlite":
        pytest.skip("Only SQLite numbers its rows anew.")
    calls = [await process.hold(luck) for _ in range(6)]
    for call in calls:
        await process.settle(call, luck)
    await process.sums.fold(key, process.since(key))
    gone = system.ai_calls.c.id.in_(calls[:3])
    await process.database.write(lambda transaction: transaction.execute(sa.delete(system.ai_calls).where(gone)))
    await process.database.alter(_vacuumed)
    await process.hold(luck)
    memoised, plain = await process.both(key)
    assert memoised == plain
    assert memoised.requests == 4


async def test_a_ledger_that_was_made_before_its_rows_had_an_order_is_summed_as_it_is(
    processes: tuple[Process, Process],
) -> None:
    process, key, luck = processes[0], KEYS[0], random.Random(4)
    if process.database.dialect == "mariadb":
        pytest.skip("There are no ledgers on MariaDB from before.")
    for _ in range(3):
        await process.hold(luck)
    await process.database.alter(_without_order)
    assert await migrate(process.database) == ["m0004_budgets"]
    await process.hold(luck)
    await process.sums.fold(key, process.since(key))
    memoised, plain = await process.both(key)
    assert memoised == plain
    assert memoised.requests == 4


async def test_a_sum_reads_the_rows_of_one_user_by_the_index(processes: tuple[Process, Process]) -> None:
    process = processes[0]
    if process.database.dialect != "sqlite":
        pytest.skip("PostgreSQL plans by what is in the table.")
    statements = process.sums.statements
    plans = {scope: await _plan(process.database, statements(scope).tail) for scope in ("all", "user", "token")}
    assert "USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)" in plans["all"]
    assert "datastead_ai_calls_user (user=? AND sequence=? AND rowid>? AND rowid<?)" in plans["user"]
    assert "datastead_ai_calls_token (token=? AND sequence=? AND rowid>? AND rowid<?)" in plans["token"]


def _row(process: Process, luck: random.Random) -> dict[str, Any]:
    return process.ledger._held(a_hold(luck), process.now[0])


def _without_order(transaction: Transaction) -> None:
    """The ledger and the budgets as they were before migration 4."""
    run = transaction.connection.exec_driver_sql
    for name in ("user", "token", "flow", "doubt"):
        run(f"DROP INDEX datastead_ai_calls_{name}")
    run("ALTER TABLE datastead_ai_calls DROP COLUMN sequence")
    for name in ("name", "rolling", "limit_requests"):
        run(f"ALTER TABLE datastead_budgets DROP COLUMN {name}")
    run("DELETE FROM datastead_migrations WHERE name = 'm0004_budgets'")


def _vacuumed(transaction: Transaction) -> None:
    """What VACUUM may do to a table whose key is not its row number."""
    for number, (place,) in enumerate(
        transaction.connection.exec_driver_sql("SELECT rowid FROM datastead_ai_calls ORDER BY rowid").all(), start=1
    ):
        transaction.connection.exec_driver_sql(f"UPDATE datastead_ai_calls SET rowid = {number} WHERE rowid = {place}")


async def _plan(database: Database, prepared: Any) -> str:
    def work(transaction: Transaction) -> str:
        rows = transaction.connection.exec_driver_sql(
            f"EXPLAIN QUERY PLAN {prepared.sql}", tuple(None for _ in prepared.names)
        ).all()
        return "\n".join(str(row[3]) for row in rows)

    return await database.read(work)
