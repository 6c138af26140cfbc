"""What only MariaDB does: tables of its own kinds, changes of tables that have to be undone, deadlocks."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from datastead.context import Context
from datastead.data.changes import Changes
from datastead.data.engine import Database, Transaction
from datastead.data.items import Items
from datastead.data.query import Query
from datastead.data.schema import load
from datastead.data.snapshot import Snapshots
from datastead.errors import RequestError, ServiceUnavailable
from tests.data.conftest import make_context
from tests.mariadb import mariadb_ready

FOREIGN = """
CREATE TABLE things (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, kind ENUM('a', 'b') NOT NULL DEFAULT 'a',
    tags SET('x', 'y'), flag TINYINT(1) DEFAULT 1, bits BIT(1), wide BIT(12), made YEAR, big BIGINT UNSIGNED,
    price DECIMAL(8, 2), ratio FLOAT, note VARCHAR(40) CHARACTER SET latin1, body TEXT, settings JSON, spot POINT,
    bytes VARBINARY(8), own UUID, key36 CHAR(36), seen DATETIME, stamped TIMESTAMP NULL DEFAULT CURRENT_TIMESTAMP,
    total DECIMAL(9, 2) AS (price * 2) STORED, code VARCHAR(9) COLLATE utf8mb4_general_ci UNIQUE,
    CONSTRAINT priced CHECK (price >= 0)
) DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_general_ci;
CREATE TABLE parts (
    id INT PRIMARY KEY, thing INT UNSIGNED,
    CONSTRAINT part_of FOREIGN KEY (thing) REFERENCES things (id) ON DELETE CASCADE
);
CREATE VIEW seen_things AS SELECT id FROM things
"""
TYPES = {
    "id": "integer", "kind": "string", "tags": "string", "flag": "boolean", "bits": "boolean", "wide": "unknown",
    "made": "integer", "big": "bigInteger", "price": "decimal", "ratio": "float", "note": "string", "body": "text",
    "settings": "json", "spot": "geometry.Point", "bytes": "binary", "own": "uuid", "key36": "uuid", "seen": "dateTime",
    "stamped": "timestamp", "total": "decimal", "code": "string",
}  # fmt: skip


@pytest.fixture
def url() -> Iterator[str]:
    with mariadb_ready() as url:
        yield url


@pytest.fixture
async def ctx(url: str) -> AsyncIterator[Context]:
    database = Database.open(url)
    await database.start()
    yield make_context(database)
    await database.close()


async def run(ctx: Context, *statements: str) -> None:
    def work(transaction: Transaction) -> None:
        for statement in statements:
            transaction.execute(sa.text(statement))

    await ctx.services.database.alter(work)
    ctx.services.schemas.forget()


async def rows(ctx: Context, sql: str) -> list[Any]:
    return await ctx.services.database.read(lambda transaction: [*map(tuple, transaction.execute(sa.text(sql)))])


async def left(ctx: Context) -> list[Any]:
    """What changes have left behind: steps that are not settled, and what was set aside."""
    aside = "SELECT table_name FROM information_schema.columns WHERE table_schema = DATABASE() AND"
    return [
        *await rows(ctx, "SELECT undoing FROM datastead_alterations"),
        *await rows(
            ctx, f"{aside} (table_name LIKE 'datastead\\_dropped%' OR column_name LIKE 'datastead\\_dropped%')"
        ),
    ]


async def test_every_kind_of_column_is_a_field(ctx: Context) -> None:
    await run(ctx, *FOREIGN.split(";\n"))
    schema = await ctx.services.schemas.get()
    assert {name: item.type for name, item in schema.collection("things").fields.items()} == TYPES
    assert "seen_things" not in schema.collections
    relation = schema.relation("parts", "thing")
    assert relation is not None
    assert relation.related == "things"
    assert relation.column is not None
    assert relation.column.foreign_key is not None
    assert relation.column.foreign_key.on_delete == "CASCADE"
    total = schema.collection("things").fields["total"].column
    assert total is not None
    assert total.is_generated


async def test_the_schema_is_read_without_a_look_into_other_databases(ctx: Context) -> None:
    asked: list[tuple[str, Any]] = []

    def work(transaction: Transaction) -> list[str]:
        sa.event.listen(transaction.connection, "before_cursor_execute", lambda *each: asked.append((each[2], each[3])))
        load(transaction)
        statements = [each for each in asked if "information_schema" in each[0]]
        assert len(statements) > 4
        explained = [transaction.connection.exec_driver_sql(f"EXPLAIN {sql}", values) for sql, values in statements]
        return [row[-1] for result in explained for row in result]

    assert [extra for extra in await ctx.services.database.read(work) if "all databases" in extra] == []


async def test_values_of_every_kind_come_back_as_they_were(ctx: Context) -> None:
    await run(ctx, *FOREIGN.split(";\n"))
    things = Items(ctx, "things")
    given = {
        "kind": "b", "tags": "x,y", "flag": False, "bits": True, "made": 2024, "big": 2**63 - 1, "price": "1.50",
        "ratio": 0.5, "note": "é", "body": "\N{PILE OF POO} % %s \\ '", "settings": {"a": [1, None]}, "bytes": "AAEC",
        "own": "0190a2b4-6bd7-72ad-a4fe-9513b2ea58cc", "seen": "2024-02-29T12:30:15",
        "stamped": "2024-02-29T12:30:15.000Z", "code": "Ab",
    }  # fmt: skip
    key = await things.create(given)
    (found,) = await things.read()
    assert {name: found[name] for name in given} == given
    assert found["total"] == "3.00"
    assert await things.keys(
        Query(filter={"settings": {"_nnull": True}, "price": {"_eq": "1.5"}, "flag": {"_eq": 0}})
    ) == [key]


async def test_text_is_compared_as_its_column_says_and_searched_character_by_character(ctx: Context) -> None:
    await run(ctx, *FOREIGN.split(";\n"))
    things = Items(ctx, "things")
    key = await things.create({"code": "Ab", "note": "É"})
    assert await things.keys(Query(filter={"code": {"_eq": "aB"}})) == [key]  # the column does not tell cases apart
    assert await things.keys(Query(filter={"code": {"_contains": "A"}})) == [key]
    assert await things.keys(Query(filter={"code": {"_contains": "a"}})) == []
    assert await things.keys(Query(filter={"note": {"_icontains": "é"}})) == [key]
    assert await things.keys(Query(filter={"note": {"_starts_with": "e"}})) == []


REFUSED: list[tuple[dict[str, Any], str, str | None]] = [
    ({"kind": "c"}, "INVALID_PAYLOAD", "kind"), ({"price": -1}, "FAILED_VALIDATION", None),
    ({"price": "12345678"}, "VALUE_OUT_OF_RANGE", "price"), ({"made": 3000}, "VALUE_OUT_OF_RANGE", "made"),
    ({"bytes": "AAECAwQFBgcICQ=="}, "VALUE_TOO_LONG", "bytes"), ({"code": "taken"}, "RECORD_NOT_UNIQUE", "code"),
    ({"stamped": "2050-01-01T00:00:00Z"}, "INVALID_PAYLOAD", "stamped"), ({"spot": "here"}, "INVALID_PAYLOAD", "spot"),
    ({"note": "\N{PILE OF POO}"}, "INVALID_PAYLOAD", "note"), ({"total": 1}, "INVALID_PAYLOAD", "total"),
    ({"code": "raise"}, "FAILED_VALIDATION", None), ({"big": -1}, "VALUE_OUT_OF_RANGE", "big"),
]  # fmt: skip


async def test_what_the_database_refuses_is_a_typed_error(ctx: Context) -> None:
    trigger = (
        "CREATE TRIGGER refusing BEFORE INSERT ON things FOR EACH ROW BEGIN"
        " IF NEW.code = 'raise' THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'; END IF; END"
    )
    await run(ctx, *FOREIGN.split(";\n"), trigger)
    await Items(ctx, "things").create({"code": "taken"})
    for payload, code, field in REFUSED:
        with pytest.raises(RequestError) as raised:
            await Items(ctx, "things").create(payload)
        assert (raised.value.code, raised.value.details.get("field")) == (code, field), payload


async def house(ctx: Context) -> Changes:
    """Rooms with a name, a size and a floor that they refer to."""
    changes = Changes(ctx)
    await changes.create_collection({"collection": "floors", "schema": {}, "meta": {}, "fields": []})
    fields = [
        {"field": "name", "type": "string", "meta": {}, "schema": {"is_nullable": False, "is_indexed": True}},
        {"field": "size", "type": "float", "meta": {}}, {"field": "floor", "type": "integer", "meta": {}},
    ]  # fmt: skip
    await changes.create_collection({"collection": "rooms", "schema": {}, "meta": {}, "fields": fields})
    await changes.create_relation({"collection": "rooms", "field": "floor", "related_collection": "floors", "meta": {}})
    await Items(ctx, "floors").create_many([{}, {}])
    await Items(ctx, "rooms").create_many(
        [{"name": "a", "size": 1.4, "floor": 1}, {"name": "b", "size": 1.25, "floor": 2}]
    )
    return changes


async def made(ctx: Context, table: str) -> list[str]:
    """How the table was made, line by line. The order of its indexes has no meaning."""
    ((_, sql),) = await rows(ctx, f"SHOW CREATE TABLE {table}")
    return sorted(line.rstrip(",") for line in sql.splitlines())


async def everything(ctx: Context) -> Any:
    names = ("rooms", "floors")
    ctx.services.schemas.forget()
    return (
        await Snapshots(ctx).take(),
        [await rows(ctx, f"SELECT * FROM {name}") for name in names],
        [await made(ctx, name) for name in names],
    )


async def test_a_change_that_fails_in_the_middle_is_undone_with_all_that_it_has_done(ctx: Context) -> None:
    changes = await house(ctx)
    before = await everything(ctx)
    with pytest.raises(RequestError):  # 1.4 and 1.25 become 1 and 1, which are not unique
        await changes.update_field("rooms", "size", {"type": "integer", "schema": {"is_unique": True}})
    assert await everything(ctx) == before
    assert await left(ctx) == []


async def test_a_diff_of_which_the_last_part_fails_changes_nothing(ctx: Context) -> None:
    changes = await house(ctx)
    wanted = await Snapshots(ctx).take()
    await changes.create_collection({"collection": "new", "schema": {}, "meta": {}, "fields": []})
    await changes.create_field(
        "rooms", {"field": "extra", "type": "string", "meta": {}, "schema": {"is_nullable": False, "default_value": ""}}
    )
    await changes.create_field("rooms", {"field": "unlike", "type": "integer", "meta": {}})
    await Items(ctx, "rooms").create({"name": "c", "size": 1.4, "extra": "kept"})
    before = (await everything(ctx), await made(ctx, "new"))
    for item in wanted["fields"]:
        if item["field"] == "size":
            item["schema"]["is_unique"] = True  # which it is not
        if item["field"] == "name":
            item["schema"]["is_indexed"] = False
    wanted["relations"] = []
    change = await Snapshots(ctx).diff(wanted)
    with pytest.raises(RequestError):
        await Snapshots(ctx).apply(change)
    after = (await everything(ctx), await made(ctx, "new"))
    assert after == before
    assert await left(ctx) == []


async def test_what_a_change_drops_is_gone_when_it_is_done(ctx: Context) -> None:
    changes = await house(ctx)
    await changes.delete_field("rooms", "name")
    await changes.delete_field("rooms", "floor")
    await changes.delete_collection("floors")
    assert await left(ctx) == []
    assert (await Items(ctx, "rooms").read())[0] == {"id": 1, "size": 1.4}
    assert "floors" not in (await ctx.services.schemas.get()).collections


async def test_a_field_refers_to_a_table_whose_texts_are_compared_in_another_way(ctx: Context) -> None:
    await run(
        ctx, "CREATE TABLE countries (code CHAR(2) PRIMARY KEY) DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_general_ci"
    )
    changes = Changes(ctx)
    fields = [{"field": "country", "type": "string", "schema": {"max_length": 2}}]
    await changes.create_collection({"collection": "towns", "schema": {}, "fields": fields})
    await changes.create_relation({"collection": "towns", "field": "country", "related_collection": "countries"})
    await Items(ctx, "countries").create({"code": "it"})
    key = await Items(ctx, "towns").create({"country": "it"})
    assert await Items(ctx, "towns").keys(Query(filter={"country": {"code": {"_eq": "it"}}})) == [key]


DYING = """
import asyncio, os, sys
import sqlalchemy as sa
from datastead.data import ddl, system
from datastead.data.engine import Database
from datastead.data.schema import Column
from datastead.data.undo import UndoLog

def work(transaction):
    ddl.create_table(transaction, "half", [sa.Column("id", sa.Integer, primary_key=True)])
    ddl.drop_column(transaction, "rooms", Column("name", "rooms", "varchar"))
    ddl.alter_column(transaction, "rooms", "size", type_=sa.Integer())
    ddl.drop_foreign_key(transaction, "rooms", COLUMN)
    transaction.execute(sa.delete(system.fields).where(system.fields.c.field == "name"))
    if sys.argv[2] == "before":
        os._exit(9)
    UndoLog.settle = lambda self: os._exit(9)

async def main():
    database = Database.open(sys.argv[1])
    await database.start()
    from datastead.data.schema import load
    global COLUMN
    COLUMN = (await database.read(load)).collection("rooms").fields["floor"].column
    await database.alter(work)

asyncio.run(main())
"""


async def die(url: str, when: str) -> None:
    process = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", DYING, url, when], check=False)
    assert process.returncode == 9


@pytest.mark.full
async def test_what_a_process_that_died_has_not_finished_is_undone_by_the_next(ctx: Context, url: str) -> None:
    await house(ctx)
    before = await everything(ctx)
    await die(url, "before")
    assert await left(ctx) != []
    await ctx.services.database.alter(lambda _: None)
    assert await everything(ctx) == before
    assert await left(ctx) == []
    assert await rows(ctx, "SHOW TABLES LIKE 'half'") == []


@pytest.mark.full
async def test_what_a_process_that_died_has_finished_stays(ctx: Context, url: str) -> None:
    await house(ctx)
    await die(url, "after")
    await ctx.services.database.alter(lambda _: None)
    ctx.services.schemas.forget()
    assert await left(ctx) == []
    assert await Items(ctx, "half").read() == []
    assert await Items(ctx, "rooms").read(Query(limit=1)) == [{"id": 1, "size": 1, "floor": 1}]


async def test_short_writes_that_stand_in_each_others_way_are_both_done(ctx: Context) -> None:
    await house(ctx)
    database, meeting = ctx.services.database, threading.Barrier(2, timeout=20)

    async def swap(first: int, second: int) -> None:
        attempts: list[int] = []

        def work(transaction: Transaction) -> None:
            attempts.append(1)
            for room in (first, second):
                transaction.execute(sa.text("UPDATE rooms SET size = size + 1 WHERE id = :room"), {"room": room})
                if room == first and len(attempts) == 1:
                    meeting.wait()

        await database.write(work)

    await asyncio.gather(swap(1, 2), swap(2, 1))
    assert [size for (size,) in await rows(ctx, "SELECT size FROM rooms ORDER BY id")] == [3.4, 3.25]


async def test_a_transaction_that_a_deadlock_has_undone_writes_nothing_more(ctx: Context) -> None:
    await house(ctx)
    database = ctx.services.database
    await Items(ctx, "rooms").create_many([{"name": "more"}] * 30)
    more = sa.text("UPDATE rooms SET size = 99 WHERE id = :room")
    lost = 0
    async with database.transaction() as winner:
        await winner.execute(sa.text("UPDATE rooms SET size = 0 WHERE id > 1"))  # the one that has done less is undone
        with pytest.raises((sa.exc.DBAPIError, ServiceUnavailable)):
            async with database.transaction() as loser:
                await loser.execute(more, {"room": 1})
                waiting = asyncio.create_task(winner.execute(sa.text("UPDATE rooms SET size = 5 WHERE id = 1")))
                try:
                    await loser.execute(more, {"room": 2})
                except sa.exc.OperationalError:
                    lost = 1
                await loser.execute(sa.text("INSERT INTO rooms (name) VALUES ('after')"))
        await waiting
    assert lost == 1
    assert await rows(ctx, "SELECT DISTINCT size FROM rooms ORDER BY size") == [(0,), (5,)]
