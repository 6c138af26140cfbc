"""How long activities and revisions are kept."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from datastead.context import Context, system_clock
from datastead.data import system
from datastead.data.items import Items
from datastead.data.query import Query
from datastead.data.retention import delete_old
from datastead.data.saves import add_save, saved
from datastead.settings import Settings

DAY_S = 86_400.0


async def left(ctx: Context, name: str) -> list[str]:
    return [row["item"] for row in await Items(ctx, name).read(Query(sort=("id",), limit=-1))]


async def test_what_is_older_than_it_is_kept_goes_in_small_parts(blog: Context) -> None:
    items = Items(blog, "posts")
    for number in range(5):
        await items.create({"title": f"Old {number}", "author": {"name": f"a{number}"}})
    settings = Settings(retention_batch=2, revisions_retention=DAY_S, activity_retention=3 * DAY_S)
    later = {days: system_clock() + timedelta(days=days) for days in (2, 4)}
    services = replace(blog.services, settings=settings, clock=lambda: later[2])
    new = await Items(replace(blog, services=services), "posts").create({"title": "New"})
    posts = Query(filter={"collection": {"_eq": "posts"}}, fields=("item",), limit=-1)
    await delete_old(services)
    assert await Items(blog, "directus_revisions").read(posts) == [{"item": str(new)}]
    assert len(await Items(blog, "directus_activity").read(posts)) == 6
    await delete_old(replace(services, clock=lambda: later[4] - timedelta(hours=1)))
    assert await left(blog, "directus_revisions") == []
    assert await Items(blog, "directus_activity").read(posts) == [{"item": str(new)}]
    assert await delete_old(services) == 0


async def test_what_a_version_was_saved_as_is_kept_while_there_is_the_version(blog: Context) -> None:
    post = await Items(blog, "posts").create({"title": "First"})
    about = {"collection": "posts", "item": str(post)}
    settings = Settings(revisions_retention=DAY_S, activity_retention=DAY_S)
    later = replace(blog.services, settings=settings, clock=lambda: system_clock() + timedelta(days=2))
    async with blog.services.database.transaction() as connection:
        values = {"id": (version := str(uuid4())), "key": "draft", **about}
        await connection.execute(system.item_versions.insert().values(values))
        await add_save(replace(blog, connection=connection), values, {"title": "Draft"})
    await delete_old(later)
    assert await saved(blog, version) == {"title": "Draft"}
    await blog.services.database.write(lambda transaction: transaction.execute(system.item_versions.delete()).rowcount)
    await delete_old(later)
    assert await saved(blog, version) == {}


async def test_runs_that_ended_long_ago_go_with_their_steps(blog: Context) -> None:
    now, day = system_clock(), timedelta(days=1)
    ages = {
        "old": ("resolved", 5, 5),
        "failed": ("rejected", 5, 4),
        "late": ("resolved", 5, 1),
        "open": ("running", 5, None),
    }
    made, ids = list[dict[str, Any]](), {name: str(uuid4()) for name in ages}
    for name, (status, began, ended) in ages.items():
        moments = {"created_at": now - began * day, "finished_at": None if ended is None else now - ended * day}
        made.append(
            {"id": ids[name], "flow": str(uuid4()), "status": status, "trigger": "event", "depth": 1, **moments}
        )
    about = {"position": 0, "key": "x", "type": "log", "status": "resolve", "started_at": now}
    async with blog.services.database.transaction() as connection:
        await connection.execute(system.runs.insert().values(made))
        await connection.execute(system.steps.insert().values([{"run": run, **about} for run in ids.values()]))
    settings = Settings(retention_batch=1, flow_logs_retention=2 * DAY_S)
    assert await delete_old(replace(blog.services, settings=settings)) == 2
    for column in (system.runs.c.id, system.steps.c.run):
        kept = await blog.services.database.read(
            lambda t, of=column: {str(key) for key in t.execute(sa.select(of)).scalars()}
        )
        assert kept == {ids["late"], ids["open"]}
