"""Moving items within their order, on every kind of database."""

import pytest

from datastead.context import Context
from datastead.data.changes import Changes
from datastead.data.items import Items
from datastead.data.sorting import move
from datastead.errors import Forbidden, InvalidPayload
from tests.data.test_nested import collection, field, read
from tests.data.test_permissions import actor_with


@pytest.fixture
async def steps(ctx: Context) -> Context:
    """Steps 1 to 5, of which the first two have no place."""
    new = collection("steps", field("place"), field("kind", "string"))
    await Changes(ctx).create_collection({**new, "meta": {"sort_field": "place"}})
    places = [None, None, 10, 20, 20]
    await Items(ctx, "steps").create_many([{"place": place, "kind": "a"} for place in places])
    return ctx


async def order(ctx: Context) -> list[int]:
    found = await read(ctx, "steps", "id", "place", sort="place")
    assert len({item["place"] for item in found}) == 5
    return [item["id"] for item in found]


async def test_an_item_takes_the_place_of_another(steps: Context) -> None:
    await move(steps, "steps", 3, 3)
    assert await order(steps) == [3, 4, 5, 1, 2]
    await move(steps, "steps", "2", 4)
    assert await order(steps) == [3, 2, 4, 5, 1]
    await move(steps, "steps", 3, 5)
    assert await order(steps) == [2, 4, 5, 3, 1]


async def test_only_who_may_change_the_place_of_both_moves_an_item(steps: Context) -> None:
    await Items(steps, "steps").update(5, {"kind": "b"})
    rule = {"collection": "steps", "action": "update", "permissions": {"kind": {"_eq": "a"}}}
    ann = await actor_with(steps, {**rule, "fields": ["place"]})
    bob = await actor_with(steps, {**rule, "fields": ["kind"]}, user="bob")
    await move(ann, "steps", 4, 3)
    before = await read(steps, "steps")
    for ctx, item, to in ((ann, 5, 1), (ann, 1, 5), (bob, 1, 2), (ann, 1, 99), (steps, 99, 1), (steps, "x", 1)):
        with pytest.raises(Forbidden):
            await move(ctx, "steps", item, to)
    assert await read(steps, "steps") == before
    assert await order(steps) == [4, 3, 5, 1, 2]


async def test_without_a_sort_field_there_is_no_order(blog: Context) -> None:
    for name in ("posts", "directus_roles"):
        with pytest.raises(InvalidPayload):
            await move(blog, name, 1, 2)
    with pytest.raises(Forbidden):
        await move(blog, "nothing", 1, 2)
