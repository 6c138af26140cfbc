"""How often something may be done within a time, counted in the database: for all processes together."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from datastead.context import Context
from datastead.data import system, upserts
from datastead.data.engine import Transaction

MAX_KEY = 128  # characters


async def is_exceeded(ctx: Context, key: str, points: int, duration_s: float) -> bool:
    """Counts one more; whether that is too many."""
    return (await seconds_left(ctx, key, points, duration_s)) is not None


async def seconds_left(ctx: Context, key: str, points: int, duration_s: float) -> int | None:
    """Counts one more; None while there are few enough, or else in how many seconds the count begins anew."""
    now = ctx.now()

    def count(transaction: Transaction) -> tuple[int, datetime]:
        table = system.limits
        transaction.execute(table.delete().where(table.c.until <= now))
        first = {"key": key[:MAX_KEY], "used": 1, "until": now + timedelta(seconds=duration_s)}
        upsert(transaction, table, first, {"used": table.c.used + 1})
        row = transaction.execute(sa.select(table.c.used, table.c.until).where(table.c.key == first["key"])).one()
        return row.used, row.until

    used, until = (
        await ctx.connection.run(count) if ctx.connection is not None else await ctx.services.database.write(count)
    )
    return max(math.ceil((until - now).total_seconds()), 1) if used > points else None


async def forget(ctx: Context, key: str) -> None:
    """Begins the count anew, in the transaction."""
    assert ctx.connection is not None
    await ctx.connection.execute(system.limits.delete().where(system.limits.c.key == key[:MAX_KEY]))


def upsert(transaction: Transaction, table: sa.Table, row: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    """Inserts the row; where there is one with its primary key, makes the changes to that."""
    transaction.execute(upserts.upsert(transaction.dialect, table, lambda _: changes), row)
