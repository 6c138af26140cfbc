"""Our own tables come; everybody else's stay as they are."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa

from datastead.data.engine import Database, Transaction
from datastead.data.migrations import migrate, names
from datastead.data.schema import Schemas
from tests.databases import postgresql_database
from tests.mariadb import mariadb_database

FOREIGN = (
    "CREATE TABLE customers (id INTEGER PRIMARY KEY, name VARCHAR(40) NOT NULL, born DATE, UNIQUE (name))",
    "CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customers (id) ON DELETE CASCADE)",
    "CREATE TABLE log (at TIMESTAMP, line TEXT)",
    "CREATE INDEX orders_customer ON orders (customer)",
    "CREATE TABLE directus_roles (id CHAR(36) PRIMARY KEY, name VARCHAR(100) NOT NULL, mine INTEGER)",
    "INSERT INTO customers (id, name) VALUES (1, 'Ann')",
    "INSERT INTO log (line) VALUES ('first'), ('second')",
)


def make_foreign(transaction: Transaction) -> None:
    for statement in FOREIGN:
        transaction.execute(sa.text(statement))


def dump(transaction: Transaction) -> dict[str, object]:
    """The tables that are not ours, down to types, keys, constraints and rows."""
    inspector = sa.inspect(transaction.connection)
    tables = ["customers", "orders", "log", "directus_roles"]
    described = {
        table: (
            str(inspector.get_columns(table)), inspector.get_pk_constraint(table), inspector.get_foreign_keys(table),
            inspector.get_unique_constraints(table), inspector.get_indexes(table),
            transaction.execute(sa.text(f"SELECT * FROM {table}")).all(),
        )
        for table in tables
    }  # fmt: skip
    if transaction.dialect == "sqlite":
        query = "SELECT name, sql FROM sqlite_master WHERE tbl_name IN ('customers', 'orders', 'log', 'directus_roles')"
        described["sql"] = transaction.execute(sa.text(query)).all()  # type: ignore[assignment]
    return dict(described)


def test_no_two_migrations_have_the_same_number() -> None:
    numbers = [name.partition("_")[0] for name in names()]
    assert numbers == sorted(set(numbers))


async def test_a_second_migration_has_nothing_to_do(database: Database) -> None:
    assert names()
    assert await migrate(database) == []


async def test_an_existing_database_is_left_as_it_is(empty_database_url: str) -> None:
    database = Database.open(empty_database_url)
    await database.start()
    await database.alter(make_foreign)
    before = await database.read(dump)
    assert await migrate(database) == names()
    await Schemas(database).get()
    assert await database.read(dump) == before
    await database.close()


async def test_only_tables_with_our_prefixes_are_added(empty_database_url: str) -> None:
    database = Database.open(empty_database_url)
    await database.start()
    await database.alter(make_foreign)
    before = set(await database.read(lambda transaction: sa.inspect(transaction.connection).get_table_names()))
    await migrate(database)
    after = set(await database.read(lambda transaction: sa.inspect(transaction.connection).get_table_names()))
    assert all(table.startswith(("directus_", "datastead_")) for table in after - before)
    await database.close()


SCRIPT = """
import asyncio, sys
from datastead.data.engine import Database
from datastead.data.migrations import migrate

async def main():
    database = Database.open(sys.argv[1])
    await database.start()
    print(len(await migrate(database)))
    await database.close()

asyncio.run(main())
"""


def run_migrations_at_once(url: str) -> list[str]:
    command = [sys.executable, "-c", SCRIPT, url]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    return sorted(process.communicate(timeout=60)[0].strip() for process in processes)


async def test_several_processes_may_start_at_once_on_sqlite(tmp_path: Path) -> None:
    answers = await asyncio.to_thread(run_migrations_at_once, f"sqlite:///{tmp_path / 'data.db'}")
    assert answers == ["0", "0", str(len(names()))]


async def test_several_processes_may_start_at_once_on_postgresql() -> None:
    with postgresql_database() as url:
        assert await asyncio.to_thread(run_migrations_at_once, url) == ["0", "0", str(len(names()))]


@pytest.mark.full
async def test_several_processes_may_start_at_once_on_mariadb() -> None:
    with mariadb_database() as url:
        assert await asyncio.to_thread(run_migrations_at_once, url) == ["0", "0", str(len(names()))]


async def test_a_ledger_from_before_gets_the_columns_that_it_lacks(database: Database) -> None:
    def make_old(transaction: Transaction) -> None:
        for column in ("kind", "request_id", "image_input_tokens"):
            transaction.execute(sa.text(f"ALTER TABLE datastead_ai_calls DROP COLUMN {column}"))
        values = {
            "id": str(uuid4()),
            "state": "settled",
            "provider": "p",
            "model": "m",
            "created_at": datetime.now(UTC),
        }
        transaction.execute(sa.insert(sa.table("datastead_ai_calls", *map(sa.column, values))), values)
        transaction.execute(sa.text("DELETE FROM datastead_migrations WHERE name > 'm0001_tables'"))

    await database.alter(make_old)
    await migrate(database)
    row = await database.read(
        lambda transaction: transaction.execute(
            sa.text("SELECT kind, image_input_tokens FROM datastead_ai_calls")
        ).one()
    )
    assert tuple(row) == ("generate", None)
