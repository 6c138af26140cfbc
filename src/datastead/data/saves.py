"""What versions change, in databases that have no column for it (`delta` of `directus_versions`, which is not altered).

Each save is a revision there, with the version's key; what was saved last counts.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from datastead.context import Context
from datastead.data import system
from datastead.data.engine import Transaction
from datastead.data.history import actor_columns

ACTION = "version_save"


async def saved(ctx: Context, version: Any) -> dict[str, Any]:
    """All that was saved for a version, put together."""
    revisions = system.revisions
    asked = sa.select(revisions.c.delta).where(revisions.c.version == version).order_by(revisions.c.id)

    def read(transaction: Transaction) -> dict[str, Any]:
        deltas = [row.delta for row in transaction.execute(asked)]
        return {name: value for delta in deltas if isinstance(delta, Mapping) for name, value in delta.items()}

    return await (ctx.services.database.read(read) if ctx.connection is None else ctx.connection.run(read))


async def add_save(ctx: Context, row: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """One more save. row: of the version. In a transaction."""
    assert ctx.connection is not None
    about = {"collection": row["collection"], "item": row["item"]}
    activity = {**actor_columns(ctx), "timestamp": ctx.now(), "action": ACTION, **about}
    revision = {**about, "data": dict(changes), "delta": dict(changes), "version": row["id"]}

    def write(transaction: Transaction) -> None:
        made = transaction.execute(system.activity.insert(), activity).inserted_primary_key
        assert made is not None
        transaction.execute(system.revisions.insert(), {**revision, "activity": made[0]})

    await ctx.connection.run(write)
