"""Reads on the loop's own thread, and those that are too long for it."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from datastead.context import Context
from datastead.data.engine import Database
from datastead.data.geojson import shape_of
from datastead.data.items import Items
from datastead.data.migrations import migrate
from datastead.events import Event

POINT = '{"type": "Point", "coordinates": [8.5, 47.4]}'
COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {0}) SELECT max(i) FROM n"


def counting(database: Database, most: int, threads: list[int]) -> Callable[[Any], Any]:
    prepared = database.prepare(sa.text(COUNT.format(most)))

    def work(fetch: Any) -> Any:
        threads.append(threading.get_ident())
        return fetch(prepared, {})[0][0]

    return work


async def test_a_long_read_is_given_up_by_the_loop_and_done_by_a_thread(tmp_path: Path) -> None:
    database, here, threads = Database.open(f"sqlite:///{tmp_path / 'data.db'}"), threading.get_ident(), list[int]()
    await database.start()
    await migrate(database)
    try:
        assert await database.reading(counting(database, 10, threads), "short") == 10
        assert threads == [here]
        assert await database.reading(counting(database, 2_000_000, threads), "long") == 2_000_000
        assert threads[1] == here
        assert threads[2] != here
        assert await database.reading(counting(database, 10, threads), "long") == 10
        assert threads[3] != here
        assert await database.reading(counting(database, 10, threads), "short") == 10
        assert threads[4] == here
    finally:
        await database.close()


async def test_shapes_are_compared_by_a_thread(tmp_path: Path) -> None:
    database, shape, threads = Database.open(f"sqlite:///{tmp_path / 'data.db'}"), shape_of(POINT), list[int]()
    await database.start()
    prepared = database.prepare(sa.text("SELECT shapes_meet(:stored, :number)"))

    def work(fetch: Any) -> Any:
        threads.append(threading.get_ident())
        return fetch(prepared, {"stored": POINT, "number": shape.number})

    try:
        assert await database.reading(work, "shapes") == [(1,)]
    finally:
        await database.close()
    assert [thread == threading.get_ident() for thread in threads] == [True, False]


async def test_who_hears_of_a_write_is_in_its_transaction(blog: Context) -> None:
    items, seen = Items(blog, "posts"), list[tuple[str, bool]]()

    async def hears(_: Context, event: Event) -> bool:
        return event.scope == "items.update"

    async def on_action(ctx: Context, events: Any) -> None:
        seen.extend((event.scope, ctx.connection is not None) for event in events)

    blog.services.bus.on_action(on_action, hears)
    key = await items.create({"title": "Alone"})
    assert seen == []
    await items.update(key, {"title": "Heard"})
    assert seen == [("items.update", True)]
