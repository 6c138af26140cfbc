"""What a database of somebody else's refuses in its own ways is a typed error, too."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from datastead.context import Context
from datastead.data.engine import Database, Transaction
from datastead.data.items import Items
from datastead.data.migrations import migrate
from datastead.errors import FailedValidation, InvalidForeignKey, RequestError
from tests.data.conftest import make_context
from tests.databases import postgresql_ready

DEFERRED = (
    "CREATE TABLE makers (id INTEGER PRIMARY KEY)",
    "CREATE TABLE parts (id INTEGER PRIMARY KEY, maker INTEGER REFERENCES makers (id) DEFERRABLE INITIALLY DEFERRED)",
)


def make(*statements: str) -> Callable[[Transaction], None]:
    def work(transaction: Transaction) -> None:
        for statement in statements:
            transaction.execute(sa.text(statement))

    return work


async def test_a_deferred_foreign_key_is_refused_at_the_commit_by_name(ctx: Context, database: Database) -> None:
    if database.dialect == "mariadb":
        pytest.skip("MariaDB defers no foreign keys")
    await database.alter(make(*DEFERRED))
    with pytest.raises(InvalidForeignKey):
        await Items(ctx, "parts").create({"id": 1, "maker": 99})
    assert await Items(ctx, "parts").read() == []


RAISING = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'no parts on Sundays' {using}; END $$
"""


@pytest.mark.parametrize("using", ["", "USING ERRCODE = '44000'", "USING ERRCODE = '54000'", "USING ERRCODE = 'ZX001'"])
async def test_what_a_trigger_of_the_users_own_refuses_is_no_fault_of_the_server(using: str) -> None:
    with postgresql_ready() as url:
        database = Database.open(url)
        await database.start()
        await migrate(database)
        await database.alter(
            make(
                "CREATE TABLE parts (id INTEGER PRIMARY KEY)",
                RAISING.format(using=using),
                "CREATE TRIGGER t BEFORE INSERT ON parts FOR EACH ROW EXECUTE FUNCTION refuse()",
            )
        )
        with pytest.raises(RequestError) as raised:
            await Items(make_context(database), "parts").create({"id": 1})
        await database.close()
    assert isinstance(raised.value, FailedValidation)
    assert "no parts on Sundays" in raised.value.message


async def test_a_key_that_only_the_database_makes_is_refused_by_name() -> None:
    with postgresql_ready() as url:
        database = Database.open(url)
        await database.start()
        await migrate(database)
        await database.alter(
            make("CREATE TABLE parts (id INTEGER GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name VARCHAR(9))")
        )
        with pytest.raises(RequestError):
            await Items(make_context(database), "parts").create({"id": 1, "name": "bolt"})
        await database.close()
