"""A write by itself and one inside a transaction go different ways: they write and answer the same."""

from typing import Any

import orjson
import pytest
import sqlalchemy as sa

from datastead.context import Context
from datastead.data import system
from datastead.data.at_once import at_once
from datastead.data.changes import Changes
from datastead.data.items import Items, Written
from datastead.data.query import Query

TYPES = (
    "string", "text", "integer", "bigInteger", "boolean", "uuid", "json", "timestamp", "dateTime", "date", "time",
    "decimal", "float", "csv",
)  # fmt: skip
ROWS: tuple[dict[str, Any], ...] = (
    {
        "string": "a 'quoted' \"name\"", "text": "line\nline ü", "integer": -5, "bigInteger": 2**53 + 1, "boolean": True,
        "uuid": "0b0f5a0e-6f0c-4c2e-9d6c-0123456789ab", "json": {"b": [1, None, "x"], "a": 1.5},
        "timestamp": "2024-02-29T12:30:15.123456+02:00", "dateTime": "2024-02-29T12:30:15.987", "date": "0987-02-03",
        "time": "23:59:59.75", "decimal": "12345.678", "float": 0.1, "csv": ["a", "b c", ""],
    },
    {
        "string": "", "text": "", "integer": 0, "bigInteger": -(2**63), "boolean": False, "json": None, "csv": [],
        "timestamp": "1971-01-01T00:00:00Z", "dateTime": "9999-12-31T23:59:59.999999", "date": "9999-12-31",
        "time": "00:00:00", "decimal": "-0.5", "float": -1.5e-300, "uuid": "0B0F5A0E6F0C4C2E9D6C0123456789AB",
    },
    {"decimal": 7, "float": 1e20, "timestamp": 1709209815123, "csv": "a,b"},
    dict.fromkeys(TYPES),
)  # fmt: skip


@pytest.fixture
async def samples(ctx: Context) -> Context:
    fields = [{"field": kind, "type": kind} for kind in TYPES]
    await Changes(ctx).create_collection({"collection": "samples", "schema": {}, "fields": fields})
    return ctx


async def kept(ctx: Context, written: Written) -> list[Any]:
    """The answer, the rows, and the last revisions of the items, without their keys."""
    answer = await Items(ctx, "samples").read_written(written, Query())
    read = await Items(ctx, "samples").read_many(written.keys)
    assert answer == read
    table = system.revisions
    revisions = sa.select(table.c.item, table.c.data, table.c.delta).order_by(table.c.id)
    rows = await ctx.services.database.read(lambda transaction: transaction.execute(revisions).all())
    columns = sa.select(*(sa.column(kind) for kind in TYPES), sa.column("id")).select_from(sa.table("samples"))
    raw = await ctx.services.database.read(lambda transaction: transaction.execute(columns).all())
    last = {row.item: [_parsed(row.data), _parsed(row.delta)] for row in rows}
    for item in (*answer, *(part for parts in last.values() for part in parts)):
        item.pop("id", None)
    return [answer, [last[str(key)] for key in written.keys], [row[:-1] for row in raw if row.id in written.keys]]


def _parsed(value: Any) -> Any:
    return orjson.loads(value) if isinstance(value, str | bytes) else value


async def test_new_items_are_the_same_whichever_way_they_are_written(samples: Context) -> None:
    for rows in (ROWS[:1] * 3, *([row] for row in ROWS)):
        alone = await kept(samples, await Items(samples, "samples").create_rows(rows))
        async with samples.transaction() as inner:
            written = await Items(inner, "samples").create_rows(rows)
        assert alone == await kept(samples, written)


async def test_changed_items_are_the_same_whichever_way_they_are_written(samples: Context) -> None:
    first, second = await Items(samples, "samples").create_many([{}, {}])
    for row in (*ROWS, {"string": "only this"}):
        alone = await kept(samples, await Items(samples, "samples").update_rows([first], row))
        async with samples.transaction() as inner:
            written = await Items(inner, "samples").update_rows([second], row)
        assert alone == await kept(samples, written)


async def test_postgresql_writes_values_of_most_types_in_one_statement(samples: Context) -> None:
    schema = await samples.services.schemas.get()
    found = at_once(samples, schema, schema.collection("samples"))
    assert (found is not None) == (samples.services.database.dialect == "postgresql")
