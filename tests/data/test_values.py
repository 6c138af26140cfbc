"""Whatever value comes for whatever field: it is stored, or refused by name."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datastead.data.changes import Changes
from datastead.data.engine import Database
from datastead.data.items import Items
from datastead.data.migrations import migrate
from datastead.data.query import Query
from datastead.data.schema import Column, Field
from datastead.data.wire import decoder
from datastead.errors import RequestError
from tests.data.conftest import make_context
from tests.data.test_filters import urls
from tests.data.test_items import TYPES
from tests.data.test_query import JSON
from tests.databases import KINDS

NEAR = st.sampled_from([
    "2024-02-29", "2024-02-29T12:30:15Z", "12:30", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "1e5", "-0",
    "99999999999", "1_000", " 5 ", "infinity", "NaN", "true", "{}", "[]", "null", "\\x00", "a,b", 2**31, -(2**63), 1e300,
    "0190a2b4-6bd7-72ad-a4fe-9513b2ea58cc", "{0190a2b4-6bd7-72ad-a4fe-9513b2ea58cc}", "aGVsbG8=", "now", "epoch", "BC", "1e-400",
])  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_any_value_for_any_field_is_stored_or_refused(tmp_path: Path, kind: str) -> None:
    with urls(tmp_path, kind) as url, asyncio.Runner() as runner:
        items = runner.run(prepared(url))

        @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.sampled_from(TYPES), JSON | NEAR)
        def check(name: str, value: Any) -> None:
            runner.run(store_and_find(items, f"a_{name}", value))

        check()
        runner.run(items._ctx.services.database.close())


async def prepared(url: str) -> Items:
    database = Database.open(url)
    await database.start()
    await migrate(database)
    ctx = make_context(database)
    fields = [{"field": f"a_{kind}", "type": kind} for kind in TYPES]
    await Changes(ctx).create_collection({"collection": "every_type", "schema": {}, "fields": fields})
    return Items(ctx, "every_type")


async def store_and_find(items: Items, field: str, value: Any) -> None:
    try:
        key = await items.create({field: value})
    except RequestError as error:
        assert error.details["field"] == field
        return
    item = await items.read_one(key)
    orjson.dumps(item)
    assert (item[field] is None) == (value is None)
    stored = item[field]
    again = await items.create({field: stored})
    assert (await items.read_one(again))[field] == stored
    try:
        await items.read(Query(filter={field: {"_eq": value}}, search=str(value)[:50]))
    except RequestError:
        return


@pytest.mark.parametrize(
    ("kind", "stored", "shown"),
    [
        ("timestamp", "2024-02-29 12:30:15", "2024-02-29T12:30:15.000Z"), ("timestamp", 1709209815123, "2024-02-29T12:30:15.123Z"),
        ("timestamp", "2024-02-29 12:30:15.5+02", "2024-02-29T10:30:15.500Z"), ("timestamp", "infinity", "infinity"),
        ("timestamp", "2024-02-29T12:30:15.123Z", "2024-02-29T12:30:15.123Z"), ("timestamp", b"\xff", "/w=="),
        ("dateTime", 1709209815123, "2024-02-29T12:30:15"), ("dateTime", "2024-02-29T12:30:15.000Z", "2024-02-29T12:30:15"),
        ("dateTime", "nonsense", "nonsense"), ("date", 1709209815123, "2024-02-29"), ("json", "not json", "not json"),
        ("json", b"\xff", "/w=="), ("boolean", "x", "x"), ("boolean", 2, True), ("csv", "", []), ("time", "12:30:15.5", "12:30:15"),
        ("timestamp", 10**30, 10**30),
    ],
)  # fmt: skip
def test_what_other_programs_have_stored_is_shown(kind: str, stored: Any, shown: Any) -> None:
    field = Field("things", "field", kind, column=Column("field", "things", ""))
    decode = decoder(field, "sqlite")
    assert decode is not None
    assert decode(stored) == shown
