"""The rows of images that were made of files: found again, dropped with their file, bounded in size."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa

from datastead.data import system
from datastead.data.engine import Connection, Database, Transaction
from datastead.files.leases import Stored

SEEN_AGAIN = timedelta(days=1)
"""How much later than before a use is noted: a row is not written with every look at it."""

AT_A_TIME = 500

_table, _files = system.file_variants, system.files
_columns = _table.c


class Which(NamedTuple):
    """Of which file, by which recipe, and made of which bytes: the file's `filename_disk`."""

    file: str
    key: str
    source: str


@dataclass(frozen=True, slots=True)
class Variant:
    """An image that was made. size: bytes."""

    stored: Stored
    type: str
    size: int


async def find(database: Database, which: Which, now: datetime) -> Variant | None:
    """The variant of a file as it is now. Notes that it was used."""
    statement = sa.select(_columns.location, _columns.name, _columns.type, _columns.size, _columns.used_at).where(
        _columns.file == which.file, _columns.key == which.key, _columns.source == which.source
    )
    row = await database.read(lambda transaction: transaction.execute(statement).first())
    if row is None:
        return None
    if row.used_at < now - SEEN_AGAIN:
        used = sa.update(_table).where(_columns.name == row.name).values(used_at=now)
        await database.write(lambda transaction: transaction.execute(used) and None)
    return Variant(Stored(row.location, row.name), row.type, row.size)


async def add(connection: Connection, which: Which, made: Variant, now: datetime) -> bool:
    """Writes its row; False where the file has gone, or has other bytes by now."""
    same = sa.select(_files.c.id).where(_files.c.id == which.file, _files.c.filename_disk == which.source)
    if not await connection.execute(same):
        return False
    row = {**which._asdict(), **made.stored._asdict(), "type": made.type, "size": made.size}
    await connection.execute(sa.insert(_table), {**row, "created_at": now, "used_at": now})
    return True


async def take_of(connection: Connection, files: Sequence[Any]) -> list[Stored]:
    """Removes the rows of these files' variants; their bytes are for the caller to drop."""
    are_theirs = _columns.file.in_([str(key) for key in files])
    found = [Stored._make(row) for row in await connection.execute(_stored().where(are_theirs))]
    if found:
        await connection.execute(sa.delete(_table).where(are_theirs))
    return found


async def surplus(database: Database, most: int) -> list[Stored]:
    """Some of what is not needed: of files that are gone, and above `most` bytes what was not used for longest."""
    gone = ~sa.exists().where(_files.c.id == _columns.file, _files.c.filename_disk == _columns.source)
    return await database.read(
        lambda transaction: [
            *(Stored._make(row) for row in transaction.execute(_stored().where(gone).limit(AT_A_TIME))),
            *_longest_unused(transaction, most),
        ]
    )


async def remove(connection: Connection, stored: Sequence[Stored]) -> None:
    """Removes their rows."""
    for one in stored:
        await connection.execute(sa.delete(_table).where(_columns.location == one.location, _columns.name == one.name))


def _longest_unused(transaction: Transaction, most: int) -> list[Stored]:
    total = int(transaction.execute(sa.select(sa.func.sum(_columns.size))).scalar() or 0)
    found = []
    if total > most:
        oldest = sa.select(_columns.location, _columns.name, _columns.size).order_by(_columns.used_at).limit(AT_A_TIME)
        for row in transaction.execute(oldest):
            if total <= most:
                break
            total -= row.size
            found.append(Stored(row.location, row.name))
    return found


def _stored() -> sa.Select[tuple[str, str]]:
    return sa.select(_columns.location, _columns.name)
