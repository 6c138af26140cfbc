"""What holds for every write in `directus_files`, whoever writes: rows and bytes stay together."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from datastead.context import SYSTEM, Context
from datastead.data import system
from datastead.data.items import Items
from datastead.data.query import Query
from datastead.errors import InvalidPayload
from datastead.events import Event
from datastead.files import variants
from datastead.files.leases import Stored
from datastead.files.store import store_of

COLLECTION = "directus_files"
MANAGED = ("storage", "filename_disk", "filesize", "uploaded_on", "tus_id", "tus_data")
"""What says where bytes are, and which: never a caller's to say. A row that is sent back as it is may hold them."""

_columns = system.files.c


async def guard(ctx: Context, event: Event) -> None:
    """Refuses rows that point at bytes of others, and drops bytes with their rows. In the write's transaction."""
    if event.scope == "items.create":
        _check_new(ctx, event.payload)
    elif event.scope == "items.update":
        await _check_change(ctx, event)
    else:
        await drop_bytes(ctx, event.keys)


async def drop_bytes(ctx: Context, keys: Sequence[Any]) -> None:
    """The bytes of these files go with the commit, unless another file has the same; so do images made of them."""
    assert ctx.connection is not None
    stored = await _stored(ctx, keys)
    names = [one.name for one in stored]
    others = sa.select(_columns.storage, _columns.filename_disk).where(
        _columns.filename_disk.in_(names), _columns.id.not_in([str(key) for key in keys])
    )
    shared = {Stored._make(row) for row in await ctx.connection.execute(others)} if names else set()
    made = await variants.take_of(ctx.connection, keys)
    await store_of(ctx).drop(ctx.connection, [*made, *(one for one in stored if one not in shared)])


async def _stored(ctx: Context, keys: Sequence[Any]) -> list[Stored]:
    rows = await Items(ctx.acting_as(SYSTEM), COLLECTION).read_many(
        keys, Query(limit=-1, fields=("storage", "filename_disk"))
    )
    return list({Stored(row["storage"], row["filename_disk"]) for row in rows if row["filename_disk"]})


def _check_new(ctx: Context, payload: dict[str, Any]) -> None:
    for name in MANAGED[1:]:
        if payload.get(name) is not None:
            raise _managed(name)
    store_of(ctx).storage(str(payload.get("storage")))


async def _check_change(ctx: Context, event: Event) -> None:
    given = {name: event.payload[name] for name in MANAGED if name in event.payload}
    if not given:
        return
    rows = await Items(ctx.acting_as(SYSTEM), COLLECTION).read_many(event.keys, Query(limit=-1, fields=tuple(given)))
    for name, value in given.items():
        if any(not _is_same(row[name], value) for row in rows):
            raise _managed(name)


def _is_same(one: Any, other: Any) -> bool:
    """`filesize` is a number or a text, as the database's driver has it."""
    return one == other or (one is not None and other is not None and str(one) == str(other))


def _managed(name: str) -> InvalidPayload:
    reason = f"`{name}` says where the bytes are, and is changed by uploading only"
    return InvalidPayload(f"{reason}.", reason=reason, collection=COLLECTION, field=name)
