"""On SQLite a table is read once for each text that it has had."""

from pathlib import Path

import sqlalchemy as sa

from datastead.data.engine import Database, Transaction
from datastead.data.tables import columns_of
from tests.data.test_violations import make


async def test_what_a_foreign_key_refers_to_is_read_anew_where_its_text_does_not_say_it(tmp_path: Path) -> None:
    read = []
    for name, key in (("one", "id"), ("two", "code")):
        database = Database.open(f"sqlite:///{tmp_path / name}.db")
        await database.start()
        parts = f"CREATE TABLE parts ({key} INTEGER PRIMARY KEY)"
        await database.alter(make(parts, "CREATE TABLE orders (id INTEGER PRIMARY KEY, part INTEGER REFERENCES parts)"))
        read.append(await database.read(part_of))
        await database.close()
    assert read == ["id", "code"]


async def test_a_changed_table_is_read_anew(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'data.db'}")
    await database.start()
    await database.alter(make("CREATE TABLE parts (id INTEGER PRIMARY KEY, name TEXT)"))
    before = await database.read(lambda transaction: columns_of(transaction, "parts"))
    await database.alter(
        make("CREATE UNIQUE INDEX one_name ON parts (name)", "ALTER TABLE parts ADD COLUMN size INTEGER")
    )
    after = await database.read(lambda transaction: columns_of(transaction, "parts"))
    await database.close()
    assert set(after) - set(before) == {"size"}
    assert (before["name"].is_unique, after["name"].is_unique) == (False, True)


def part_of(transaction: Transaction) -> str:
    foreign = columns_of(transaction, "orders")["part"].foreign_key
    assert foreign is not None
    assert sa.inspect(transaction.connection).has_table(foreign.table)
    return foreign.column
