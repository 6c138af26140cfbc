"""The rows of uploads that come in several requests, and of the parts that have come of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from datastead.data import system
from datastead.data.engine import Connection, Database, Transaction
from datastead.files.leases import Stored

_uploads, _parts = system.uploads.c, system.upload_parts.c


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an upload is.

    file: the id that the file gets, or has where it `replaces` the bytes of one. size, received: bytes.
    parts: how many have come. fields, filename, type: what is said of the file. user: whose it is.
    """

    id: str
    file: str
    replaces: bool
    size: int
    received: int
    parts: int
    fields: Mapping[str, Any]
    filename: str
    type: str | None
    user: str | None
    is_finished: bool
    expires_at: datetime

    @property
    def is_complete(self) -> bool:
        """Whether all bytes are here."""
        return self.received == self.size


async def begin(database: Database, progress: Progress) -> None:
    """Writes its row."""
    row = {name: getattr(progress, name) for name in Progress.__dataclass_fields__}
    await database.write(lambda transaction: transaction.execute(sa.insert(system.uploads), row) and None)


async def find(database: Database, upload: str) -> Progress | None:
    """The upload as it is now."""
    statement = sa.select(system.uploads).where(_uploads.id == upload)
    row = await database.read(lambda transaction: transaction.execute(statement).first())
    if row is None:
        return None
    values = {name: getattr(row, name) for name in Progress.__dataclass_fields__}
    return Progress(**{**values, "fields": row.fields or {}})


async def advance(connection: Connection, before: Progress, stored: Stored, size: int, until: datetime) -> bool:
    """One more part of `size` bytes; False where somebody else has sent one meanwhile."""
    is_as_before = sa.and_(_uploads.id == before.id, _uploads.received == before.received)
    values = {"received": before.received + size, "parts": before.parts + 1, "expires_at": until}
    if not await _changed(connection, sa.update(system.uploads).where(is_as_before).values(values)):
        return False
    row = {"upload": before.id, "start": before.received, **stored._asdict(), "size": size}
    await connection.execute(sa.insert(system.upload_parts), row)
    return True


async def parts_of(database: Database, upload: str) -> list[Stored]:
    """Its parts, in their order."""
    statement = sa.select(_parts.location, _parts.name).where(_parts.upload == upload).order_by(_parts.start)
    return await database.read(
        lambda transaction: [Stored(row.location, row.name) for row in transaction.execute(statement)]
    )


async def finish(connection: Connection, upload: str, until: datetime) -> list[Stored] | None:
    """Notes that its file is there; the parts, which are for the caller to drop. None where it was finished before."""
    is_open = sa.and_(_uploads.id == upload, _uploads.is_finished.is_(False))
    values = {"is_finished": True, "expires_at": until}
    if not await _changed(connection, sa.update(system.uploads).where(is_open).values(values)):
        return None
    return await _take_parts(connection, upload)


async def remove(connection: Connection, upload: str) -> list[Stored]:
    """Removes its rows; the parts, which are for the caller to drop."""
    await connection.execute(sa.delete(system.uploads).where(_uploads.id == upload))
    return await _take_parts(connection, upload)


async def expired(database: Database, now: datetime) -> list[str]:
    """The uploads that have rested for too long."""
    statement = sa.select(_uploads.id).where(_uploads.expires_at < now)
    return await database.read(lambda transaction: [row.id for row in transaction.execute(statement)])


async def _take_parts(connection: Connection, upload: str) -> list[Stored]:
    theirs = _parts.upload == upload
    rows = await connection.execute(sa.select(_parts.location, _parts.name).where(theirs))
    await connection.execute(sa.delete(system.upload_parts).where(theirs))
    return [Stored(row.location, row.name) for row in rows]


async def _changed(connection: Connection, statement: sa.Update) -> bool:
    def run(transaction: Transaction) -> int:
        count: int = transaction.execute(statement).rowcount
        return count

    return await connection.run(run) > 0
