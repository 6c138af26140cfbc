"""Connections, transactions and the group commit, on both databases."""

import asyncio
import os
import resource
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from datastead.data.ddl import create_table
from datastead.data.engine import Database, Transaction
from datastead.data.signals import Signals
from datastead.data.violations import violation_of
from datastead.errors import InvalidSettings, ServiceUnavailable

COUNTERS = sa.Table(
    "counters",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(50), unique=True),
)


@pytest.fixture
async def counters(database: Database) -> Database:
    await database.alter(lambda transaction: COUNTERS.create(transaction.connection))
    return database


def adding(number: int, name: str | None = None) -> Callable[[Transaction], int]:
    def work(transaction: Transaction) -> int:
        transaction.execute(sa.insert(COUNTERS), {"id": number, "name": name or f"n{number}"})
        return number

    return work


async def names(database: Database) -> set[str]:
    return await database.read(lambda transaction: set(transaction.execute(sa.select(COUNTERS.c.name)).scalars()))


async def test_many_writes_at_once_are_all_there(counters: Database) -> None:
    assert await asyncio.gather(*(counters.write(adding(number)) for number in range(100))) == list(range(100))
    assert await names(counters) == {f"n{number}" for number in range(100)}


async def test_a_failing_write_does_not_hurt_those_that_commit_with_it(counters: Database) -> None:
    writes = [counters.write(adding(number, "taken" if number in {3, 7} else None)) for number in range(10)]
    results = await asyncio.gather(*writes, return_exceptions=True)
    failed = [number for number, result in enumerate(results) if isinstance(result, sa.exc.IntegrityError)]
    assert failed in ([3], [7])
    assert await names(counters) == {"taken", *(f"n{number}" for number in range(10) if number not in {3, 7})}


async def test_writes_that_wait_together_share_a_commit(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'data.db'}")
    await database.start()
    await database.alter(lambda transaction: COUNTERS.create(transaction.connection))
    gate, commits = threading.Event(), list[int]()

    def first(transaction: Transaction) -> None:
        transaction.connection.connection.driver_connection.set_trace_callback(  # type: ignore[union-attr]
            lambda sql: commits.append(1) if sql == "COMMIT" else None
        )
        gate.wait(5)

    waiting = asyncio.ensure_future(database.write(first))
    others = [asyncio.ensure_future(database.write(adding(number))) for number in range(20)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(waiting, *others)
    assert len(commits) <= 2
    await database.close()


async def test_the_result_of_a_write_comes_after_its_commit(counters: Database) -> None:
    async def write_and_look(number: int) -> bool:
        await counters.write(adding(number))
        return f"n{number}" in await names(counters)

    assert all(await asyncio.gather(*(write_and_look(number) for number in range(30))))


async def test_a_transaction_commits_when_its_block_ends(counters: Database) -> None:
    heard: list[str] = []
    async with counters.transaction() as connection:
        connection.after_commit(lambda: heard.append("commit"))
        connection.after_rollback(lambda: heard.append("rollback"))
        await connection.run(adding(1))
        assert await connection.execute(sa.select(COUNTERS.c.name)) == [("n1",)]
    assert (await names(counters), heard) == ({"n1"}, ["commit"])


async def test_a_transaction_is_undone_when_its_block_raises(counters: Database) -> None:
    heard: list[str] = []
    with pytest.raises(KeyError):
        async with counters.transaction() as connection:
            connection.after_commit(lambda: heard.append("commit"))
            connection.after_rollback(lambda: heard.append("rollback"))
            await connection.run(adding(1))
            raise KeyError
    assert (await names(counters), heard) == (set(), ["rollback"])


async def test_nobody_sees_what_is_not_committed(counters: Database) -> None:
    async with counters.transaction() as connection:
        await connection.run(adding(1))
        assert await names(counters) == set()
    assert await names(counters) == {"n1"}


async def test_a_part_of_a_transaction_can_fail_alone(counters: Database) -> None:
    async with counters.transaction() as connection:
        await connection.run(adding(1))
        with pytest.raises(sa.exc.IntegrityError):
            async with connection.savepoint():
                await connection.run(adding(1))
        await connection.run(adding(2))
    assert await names(counters) == {"n1", "n2"}


async def test_a_cancelled_transaction_is_undone_and_lets_others_write(counters: Database) -> None:
    inside = asyncio.Event()

    async def hold() -> None:
        async with counters.transaction() as connection:
            await connection.run(adding(1))
            inside.set()
            await asyncio.Event().wait()

    holding = asyncio.ensure_future(hold())
    await inside.wait()
    holding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await holding
    await counters.write(adding(2))
    assert await names(counters) == {"n2"}


async def test_a_transaction_cancelled_while_it_waits_for_its_turn_leaves_no_trace(counters: Database) -> None:
    async def add(number: int) -> None:
        async with counters.transaction() as connection:
            await connection.run(adding(number))

    async with counters.transaction() as connection:
        await connection.run(adding(1))
        waiting = [asyncio.ensure_future(add(1)) for _ in range(5)]
        await asyncio.sleep(0.01)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    await asyncio.wait_for(add(2), 10)
    assert await names(counters) == {"n1", "n2"}


async def test_a_write_cancelled_while_it_waits_is_whole_or_not_there(counters: Database) -> None:
    tasks = [asyncio.ensure_future(counters.write(adding(number))) for number in range(50)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await counters.write(adding(1000))
    assert {f"n{number}" for number in range(1, 50, 2)} | {"n1000"} <= await names(counters)


async def test_callbacks_after_a_commit_are_called_also_when_the_caller_is_cancelled_meanwhile(
    counters: Database,
) -> None:
    heard, inside = asyncio.Event(), asyncio.Event()

    async def commit_and_be_cancelled() -> None:
        async with counters.transaction() as connection:
            connection.after_commit(heard.set)
            await connection.run(adding(1))
            inside.set()

    task = asyncio.ensure_future(commit_and_be_cancelled())
    await inside.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await asyncio.wait_for(heard.wait(), 10)
    assert await names(counters) == {"n1"}


async def test_reading_cannot_write(counters: Database) -> None:
    with pytest.raises(sa.exc.DBAPIError):
        await counters.read(adding(1))
    assert await names(counters) == set()


async def test_prepared_statements_run_on_the_driver(counters: Database) -> None:
    insert = counters.prepare(sa.insert(COUNTERS), ["id", "name"])
    select = counters.prepare(sa.select(COUNTERS.c.name).where(COUNTERS.c.id == sa.bindparam("number")))
    await counters.write(lambda transaction: transaction.raw(insert, {"id": 5, "name": "100% 'five'"}))
    assert await counters.fetch(select, {"number": 5}) == [("100% 'five'",)]


async def test_an_error_of_prepared_sql_is_the_same_kind_as_any_other(counters: Database) -> None:
    insert = counters.prepare(sa.insert(COUNTERS), ["id", "name"])
    await counters.write(adding(1))
    with pytest.raises(sa.exc.IntegrityError):
        await counters.write(lambda transaction: transaction.raw(insert, {"id": 1, "name": "x"}))


async def test_a_refused_change_of_the_schema_leaves_nothing(counters: Database) -> None:
    def work(transaction: Transaction) -> None:
        create_table(transaction, "half", [sa.Column("id", sa.Integer, primary_key=True)])
        raise KeyError

    with pytest.raises(KeyError):
        await counters.alter(work)
    tables = await counters.read(lambda transaction: sa.inspect(transaction.connection).get_table_names())
    assert "half" not in tables


async def test_a_database_serves_several_event_loops(counters: Database) -> None:
    def other_loop() -> Any:
        return asyncio.run(counters.write(adding(1)))

    assert await asyncio.to_thread(other_loop) == 1
    assert await names(counters) == {"n1"}


async def test_a_database_in_memory_reads_while_a_transaction_is_open() -> None:
    database = Database.open("sqlite://")
    await database.start()
    await database.alter(lambda transaction: COUNTERS.create(transaction.connection))
    async with database.transaction() as connection:
        await connection.run(adding(1))
        await asyncio.wait_for(names(database), 10)
    assert await names(database) == {"n1"}
    await database.close()


async def test_two_processes_worth_of_writers_wait_for_each_other(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'data.db'}"
    first, second = Database.open(url), Database.open(url)
    await asyncio.gather(first.start(), second.start())
    await first.alter(lambda transaction: COUNTERS.create(transaction.connection))
    await asyncio.gather(*((first if number % 2 else second).write(adding(number)) for number in range(200)))
    assert len(await names(first)) == 200
    await asyncio.gather(first.close(), second.close())


@pytest.mark.parametrize("url", ["oracle://root@localhost/x", "nonsense", "sqlite:////no/such/folder/data.db"])
async def test_a_database_that_cannot_be_opened_says_so(url: str) -> None:
    with pytest.raises(InvalidSettings):
        await Database.open(url).start()


async def test_a_server_that_is_not_there_is_a_typed_error_without_the_password() -> None:
    with pytest.raises(ServiceUnavailable) as raised:
        await Database.open("postgresql://someone:secret-word@127.0.0.1:1/x").start()
    assert "secret-word" not in str(raised.value)


def cut_all_others(transaction: Transaction) -> None:
    if transaction.dialect == "postgresql":
        transaction.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
        )
        return
    others = "SELECT id FROM information_schema.processlist WHERE id <> connection_id() AND db = database()"
    for (other,) in transaction.execute(sa.text(others)).all():
        transaction.execute(sa.text(f"KILL {other}"))


async def test_a_link_that_the_server_has_cut_is_made_anew(counters: Database) -> None:
    if counters.dialect == "sqlite":
        pytest.skip("SQLite has no server")
    select = counters.prepare(sa.select(sa.func.count()).select_from(COUNTERS))
    await asyncio.gather(*(counters.fetch(select, {}) for _ in range(20)))
    await counters.write(cut_all_others)
    assert await asyncio.gather(*(counters.fetch(select, {}) for _ in range(20))) == [[(0,)]] * 20


@pytest.mark.mariadb
async def test_a_process_with_many_open_sockets_reads_and_writes(empty_database_url: str) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], min(limits[1], 4096)), limits[1]))
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        for _ in range(1100):
            stack.callback(os.close, os.dup(0))
        database = Database.open(empty_database_url)
        await database.start()
        signals = Signals(database, retry_s=0.1)
        signals.start()
        try:
            await database.alter(lambda transaction: COUNTERS.create(transaction.connection))
            for number in (1, 2):  # the second on a connection that is looked at before it is used again
                await database.write(adding(number))
            assert await names(database) == {"n1", "n2"}
            for _ in range(1000 if database.dialect == "postgresql" else 0):
                if signals.is_live:
                    break
                await asyncio.sleep(0.01)
            assert signals.is_live == (database.dialect == "postgresql")
        finally:
            await signals.stop()
            await database.close()


@pytest.mark.mariadb
async def test_a_read_that_takes_too_long_is_ended(empty_database_url: str) -> None:
    counting = (
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 100000000) SELECT count(*) FROM n"
    )
    database = Database.open(empty_database_url, read_timeout_s=0.2)
    await database.start()
    try:
        long = {"sqlite": counting, "postgresql": "SELECT pg_sleep(20)", "mariadb": "SELECT sleep(20)"}[
            database.dialect
        ]
        with pytest.raises(sa.exc.DBAPIError) as ended:
            await database.fetch(database.prepare(sa.text(long)), {})
        assert violation_of(ended.value).kind == "slow"
        assert await database.fetch(database.prepare(sa.text("SELECT 1")), {}) == [(1,)]
    finally:
        await database.close()
