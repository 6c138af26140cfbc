"""How long activities and revisions are kept."""

from dataclasses import replace
from datetime import timedelta

from datastead.context import Context, system_clock
from datastead.data.items import Items
from datastead.data.query import Query
from datastead.data.retention import delete_old
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
