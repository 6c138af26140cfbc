"""Leases on bytes that no row of `directus_files` answers for: a crash leaves some, and they are found.

Before bytes are written a lease is taken, which the transaction that writes their row ends. Bytes whose row goes, go
the other way: the same transaction drops them, and they are removed after it. What a process held that has died is
dropped when its lease runs out.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

import sqlalchemy as sa

from datastead.data import system
from datastead.data.engine import Connection, Database, Transaction
from datastead.errors import ServiceUnavailable

LEASE = timedelta(minutes=2)
HELD, DROPPED = "held", "dropped"

_table = system.file_leases
_columns = _table.c


class Stored(NamedTuple):
    """Bytes in a storage. location: of `STORAGE_LOCATIONS`. name: as `filename_disk` has it."""

    location: str
    name: str


async def take(database: Database, stored: Stored, now: datetime) -> None:
    """Before the first byte."""
    row = {"location": stored.location, "name": stored.name, "state": HELD, "lease_until": now + LEASE}
    await database.write(lambda transaction: transaction.execute(sa.insert(_table), row) and None)


async def renew(database: Database, held: list[Stored], now: datetime) -> None:
    """Says that this process is alive, and still at it."""
    statement = sa.update(_table).where(_is_one_of(held), _columns.state == HELD).values(lease_until=now + LEASE)
    await database.write(lambda transaction: transaction.execute(statement) and None)


async def end(connection: Connection, stored: Stored) -> None:
    """The bytes have a row, with the commit of this transaction. Raises `ServiceUnavailable` where they are lost."""
    statement = sa.delete(_table).where(_is_one_of([stored]), _columns.state == HELD)
    count = await connection.run(lambda transaction: transaction.execute(statement).rowcount)
    if count == 0:
        raise ServiceUnavailable("The upload was interrupted for too long: send the file again.", service="storage")


async def give_up(database: Database, stored: list[Stored]) -> None:
    """The bytes will have no row after all. Those that have one by now keep it."""
    statement = sa.update(_table).where(_is_one_of(stored), _columns.state == HELD).values(state=DROPPED)
    await database.write(lambda transaction: transaction.execute(statement) and None)


async def drop(connection: Connection, stored: list[Stored], now: datetime) -> None:
    """The bytes have no row any more, with the commit of this transaction."""
    rows = [{**one._asdict(), "state": DROPPED, "lease_until": now} for one in stored]
    await connection.execute(sa.insert(_table), rows)


async def dropped(database: Database, now: datetime) -> list[Stored]:
    """What is to be removed: what was dropped, and from now on what dead processes held."""
    is_over = sa.and_(_columns.state == HELD, _columns.lease_until < now)
    over = await database.read(lambda transaction: transaction.execute(sa.select(sa.exists().where(is_over))).scalar())
    if over:
        statement = sa.update(_table).where(is_over).values(state=DROPPED)
        await database.write(lambda transaction: transaction.execute(statement) and None)
    return await database.read(_dropped)


async def forget(database: Database, removed: list[Stored]) -> None:
    """The bytes are gone."""
    statement = sa.delete(_table).where(_is_one_of(removed))
    await database.write(lambda transaction: transaction.execute(statement) and None)


def _dropped(transaction: Transaction) -> list[Stored]:
    statement = sa.select(_columns.location, _columns.name).where(_columns.state == DROPPED)
    return [Stored._make(row) for row in transaction.execute(statement)]


def _is_one_of(stored: list[Stored]) -> sa.ColumnElement[bool]:
    return sa.or_(*(sa.and_(_columns.location == one.location, _columns.name == one.name) for one in stored))
