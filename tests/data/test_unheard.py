"""Writes that nobody hears of before they are committed, with subscribers in this process, in others, or nowhere."""

import asyncio
from datetime import UTC, datetime

import pytest

from datastead.context import Context
from datastead.data.items import Items
from datastead.data.query import Query
from datastead.data.signals import Signals
from datastead.events import Event
from datastead.realtime.feed import Change, Feed
from datastead.realtime.hub import Realtime

EVENTS = [
    Event("filter", "authors.items.create", "items.create"),
    Event("action", "authors.items.create", "items.create"),
]


def now() -> datetime:
    return datetime.now(UTC)


class Ears:
    def __init__(self) -> None:
        self.heard: list[Change] = []

    def put(self, change: Change) -> None:
        self.heard.append(change)


@pytest.fixture
def hub(blog: Context) -> Realtime:
    return Realtime(blog.services.database, blog.services.bus, Signals(blog.services.database), now)


async def test_a_subscriber_here_is_told_of_writes_that_take_the_shorter_way(blog: Context, hub: Realtime) -> None:
    ears = Ears()
    await hub.subscribe(ears, "authors")
    assert not await blog.services.bus.is_heard(blog, EVENTS)
    key = await Items(blog, "authors").create({"name": "Ada"})
    await Items(blog, "authors").update(key, {"age": 36})
    await Items(blog, "authors").create({"name": "quiet"}, emit=False)
    assert ears.heard == [Change("authors", "create", (key,)), Change("authors", "update", (key,))]
    await hub.stop()


async def test_writes_take_the_longer_way_while_another_process_listens(blog: Context, hub: Realtime) -> None:
    await Feed(blog.services.database, Signals(blog.services.database), now).listen()
    assert await blog.services.bus.is_heard(blog, EVENTS)


async def test_what_was_written_for_a_caller_that_has_left_is_told(blog: Context, hub: Realtime) -> None:
    ears = Ears()
    await hub.subscribe(ears, "authors")
    calls = [asyncio.create_task(Items(blog, "authors").create({"name": f"n{number}"})) for number in range(20)]
    for number, call in enumerate(calls):
        await asyncio.sleep(0.002)
        if number % 2:
            call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    for _ in range(500):  # those that were left are written yet
        written = await Items(blog, "authors").keys(Query(limit=-1))
        if len(ears.heard) == len(written):
            break
        await asyncio.sleep(0.01)
    assert {key for change in ears.heard for key in change.keys} == set(written)
    await hub.stop()
