"""The schema is what the database says, in every process."""

import asyncio
import sys
import time

import pytest
import sqlalchemy as sa

from datastead.context import Context
from datastead.data.changes import Changes
from datastead.data.ddl import quoted
from datastead.data.engine import Transaction
from datastead.data.items import Items
from datastead.data.query import Query
from datastead.data.schema import bump

KEY = {
    "sqlite": "INTEGER PRIMARY KEY",
    "postgresql": "SERIAL PRIMARY KEY",
    "mariadb": "INTEGER AUTO_INCREMENT PRIMARY KEY",
}


def foreign_tables(transaction: Transaction) -> None:
    table, key, text, word = (quoted(transaction.dialect, name) for name in ('odd "name%s', "a b", "100%s", 'se"lect'))
    for statement in (
        f"CREATE TABLE customers (id {KEY[transaction.dialect]}, name VARCHAR(40) NOT NULL UNIQUE, born DATE, ok BOOLEAN)",
        "CREATE TABLE orders (id BIGINT PRIMARY KEY, customer INTEGER REFERENCES customers (id), price DECIMAL(8, 2))",
        "CREATE TABLE log (line TEXT, at TIMESTAMP)",
        "CREATE TABLE pairs (a INTEGER, b INTEGER, PRIMARY KEY (a, b))",
        f"CREATE TABLE {table} ({key} INTEGER PRIMARY KEY, {text} TEXT, {word} TEXT)",
        "INSERT INTO log (line) VALUES ('first'), ('second')",
        "INSERT INTO customers (name, ok) VALUES ('Ann', TRUE)",
        "INSERT INTO orders (id, customer, price) VALUES (7, 1, 1.5)",
        "INSERT INTO pairs VALUES (1, 2)",
    ):
        transaction.execute(sa.text(statement))
    bump(transaction)


async def test_the_tables_of_an_existing_database_are_collections_at_once(ctx: Context) -> None:
    await ctx.services.database.alter(foreign_tables)
    ctx.services.schemas.forget()
    schema = await ctx.services.schemas.get()
    types = {name: field.type for name, field in schema.collection("customers").fields.items()}
    assert types == {"id": "integer", "name": "string", "born": "date", "ok": "boolean"}
    assert await Items(ctx, "customers").read() == [{"id": 1, "name": "Ann", "born": None, "ok": True}]
    (order,) = await Items(ctx, "orders").read(Query(fields=("id", "customer.name")))
    assert order == {"id": 7, "customer": {"name": "Ann"}}


async def test_tables_without_a_single_key_can_be_read(ctx: Context) -> None:
    await ctx.services.database.alter(foreign_tables)
    ctx.services.schemas.forget()
    assert [row["line"] for row in await Items(ctx, "log").read()] == ["first", "second"]
    assert await Items(ctx, "pairs").read() == [{"a": 1, "b": 2}]
    assert (await Items(ctx, "log").meta(Query(meta=("total_count",)))) == {"total_count": 2}


@pytest.mark.mariadb
async def test_names_that_need_quotes_work(ctx: Context) -> None:
    await ctx.services.database.alter(foreign_tables)
    ctx.services.schemas.forget()
    name = next(name for name in (await ctx.services.schemas.get()).collections if name.startswith("odd"))
    items = Items(ctx, name)
    column = next(name for name in (await ctx.services.schemas.get()).collection(name).fields if name.startswith("100"))
    key = await items.create({"a b": 1, column: "x", 'se"lect': "y"})
    assert await items.read(Query(filter={column: {"_contains": "x"}}, sort=('-se"lect',))) == [
        {"a b": key, column: "x", 'se"lect': "y"}
    ]
    assert await items.update(1, {column: "z"}) == 1
    assert await items.delete_many([1]) == [1]


async def test_our_own_tables_beyond_the_contract_are_no_collections(ctx: Context) -> None:
    schema = await ctx.services.schemas.get()
    assert not [name for name in schema.collections if name.startswith("datastead_")]
    assert {"directus_flows", "directus_operations", "directus_users"} <= set(schema.collections)


OTHER_PROCESS = """
import asyncio, sys
from datastead.data.engine import Database
from datastead.data.changes import Changes
from datastead.data.ddl import quoted
from tests.data.conftest import make_context

async def main():
    database = Database.open(sys.argv[1])
    await database.start()
    await Changes(make_context(database)).create_collection({"collection": "seen", "schema": {}})
    await database.close()

asyncio.run(main())
"""


@pytest.mark.mariadb
async def test_a_change_in_another_process_is_seen_within_a_second(ctx: Context, database_url: str) -> None:
    await ctx.services.schemas.get()
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", OTHER_PROCESS, database_url)
    assert await process.wait() == 0
    deadline = time.monotonic() + 1
    while "seen" not in (await ctx.services.schemas.get()).collections:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_what_another_program_does_to_the_tables_is_seen_on_sqlite(ctx: Context) -> None:
    database = ctx.services.database
    if database.dialect != "sqlite":
        return
    await ctx.services.schemas.get()
    await database.alter(lambda transaction: transaction.execute(sa.text("CREATE TABLE other (id INTEGER)")) and None)
    deadline = time.monotonic() + 1
    while "other" not in (await ctx.services.schemas.get()).collections:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_a_read_with_a_stale_schema_is_done_again(blog: Context) -> None:
    await Items(blog, "posts").read()

    def rename(transaction: Transaction) -> None:
        transaction.execute(sa.text("ALTER TABLE posts RENAME COLUMN views TO seen"))

    await blog.services.database.alter(rename)
    await Items(blog, "posts").create_many([])
    assert await Items(blog, "posts").read() == []
    assert "seen" in (await blog.services.schemas.get()).collection("posts").fields


async def test_the_schema_is_read_once_for_all_who_ask_at_once(ctx: Context) -> None:
    schemas = ctx.services.schemas
    found = await asyncio.gather(*(schemas.get() for _ in range(20)))
    assert len({id(schema) for schema in found}) == 1


async def test_a_change_is_seen_at_once_in_its_own_process(ctx: Context) -> None:
    async def create(number: int) -> None:
        await Changes(ctx).create_collection({"collection": f"c{number}", "schema": {}})
        assert await Items(ctx, f"c{number}").read() == []

    await asyncio.gather(*(create(number) for number in range(5)))
