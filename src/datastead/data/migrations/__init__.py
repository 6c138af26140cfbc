"""Migrations: numbered modules, each applied once, in the order of their names.

A module has `upgrade(transaction)`. It creates what is missing, and never changes a `directus_*` table that we did
not create.
"""

import importlib
import pkgutil
from datetime import UTC, datetime

import sqlalchemy as sa

from datastead.data import system
from datastead.data.directus import refuse_older
from datastead.data.engine import Database, Transaction

PG_LOCK = 7_261_845_103  # any number, as long as every version of this program takes the same


async def migrate(database: Database) -> list[str]:
    """Applies what has not been, in one transaction; the names of what was. Safe in several processes at once.

    Raises `InvalidSettings` for a database of a Directus that is too old.
    """
    return await database.alter(_migrate)


def names() -> list[str]:
    """Every migration that this version knows."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name.startswith("m"))


def add_missing_columns(transaction: Transaction, table: sa.Table) -> None:
    """Adds the columns (nullable, or with a default) that one of our own tables does not have yet."""
    from alembic.operations import Operations  # only where something is missing: it takes long to load
    from alembic.runtime.migration import MigrationContext

    connection = transaction.connection
    have = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
    operations = Operations(MigrationContext.configure(connection))
    for column in table.columns:
        if column.name not in have:
            operations.add_column(table.name, column._copy())  # noqa: SLF001  there is no public way to copy one


def _migrate(transaction: Transaction) -> list[str]:
    if transaction.dialect == "postgresql":  # on MariaDB an alteration is the only one anyway
        transaction.execute(sa.select(sa.func.pg_advisory_xact_lock(PG_LOCK)))
    refuse_older(transaction)
    table = system.migrations
    table.create(transaction.connection, checkfirst=True)
    applied = set(transaction.execute(sa.select(table.c.name)).scalars())
    missing = [name for name in names() if name not in applied]
    for name in missing:
        importlib.import_module(f"{__name__}.{name}").upgrade(transaction)
        transaction.execute(sa.insert(table), {"name": name, "applied_at": datetime.now(UTC)})
    return missing
