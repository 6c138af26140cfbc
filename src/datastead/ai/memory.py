"""The in-memory ledger: the same tables and code, on a SQLite database that lives as long as the process."""

from typing import TYPE_CHECKING

from sqlalchemy.schema import CreateIndex, CreateTable

from datastead.data import system

if TYPE_CHECKING:
    from datastead.data.engine import Database, Transaction

TABLES = (system.ai_calls, system.ai_answers, system.ai_cache, system.budgets)


async def open_in_memory() -> "Database":
    """A started database with the ledger's tables, and nothing else."""
    from datastead.data.engine import Database

    database = Database.open("sqlite://")
    await database.start()
    await database.write(_create)
    return database


def _create(transaction: "Transaction") -> None:
    for table in TABLES:
        transaction.execute(CreateTable(table))
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            transaction.execute(CreateIndex(index))
