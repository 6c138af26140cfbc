"""What a policy permits: through `Items`, on every kind of database."""

from typing import Any
from uuid import uuid4

import pytest

from datastead.context import Actor, Context
from datastead.data.items import Items
from datastead.data.query import Query
from datastead.errors import FailedValidation, Forbidden, InvalidQuery


async def actor_with(ctx: Context, *permissions: dict[str, Any], user: str = "ann") -> Context:
    """A user with one policy for each of the permissions that are given as a list."""
    policies = []
    for group in permissions:
        policy = await Items(ctx, "directus_policies").create({"name": f"p{len(policies)}"})
        for permission in group if isinstance(group, list) else [group]:
            await Items(ctx, "directus_permissions").create({"policy": policy, **permission})
        policies.append(policy)
    return ctx.acting_as(Actor(user=user, policies=tuple(policies)))


READ_POSTS = {"collection": "posts", "action": "read"}


@pytest.fixture
async def posts(blog: Context) -> Context:
    authors, posts = Items(blog, "authors"), Items(blog, "posts")
    await authors.create_many([{"name": "Ann", "age": 30}, {"name": "Bob", "age": 40}])
    await posts.create_many(
        [
            {"title": "a", "views": 10, "author": 1},
            {"title": "b", "views": 20, "author": 1},
            {"title": "c", "views": 30, "author": 2},
        ]
    )
    return blog


async def read(ctx: Context, collection: str = "posts", **query: Any) -> Any:
    return await Items(ctx, collection).read(Query.parse(query))


async def test_without_a_permission_there_is_nothing(posts: Context) -> None:
    nobody = posts.acting_as(Actor(user="ann"))
    for query in ({}, {"limit": 0}, {"aggregate": {"count": "*"}}):
        with pytest.raises(Forbidden):
            await read(nobody, **query)
    for writing in (
        Items(nobody, "posts").create({"title": "x"}),
        Items(nobody, "posts").update(1, {"title": "x"}),
        Items(nobody, "posts").delete(1),
    ):
        with pytest.raises(Forbidden):
            await writing


async def test_only_the_rows_of_the_filter_are_there(posts: Context) -> None:
    ann = await actor_with(posts, {**READ_POSTS, "permissions": {"views": {"_gt": 15}}, "fields": ["*"]})
    assert [item["id"] for item in await read(ann)] == [2, 3]
    assert await read(ann, aggregate={"count": "*"}) == [{"count": 2}]
    assert await Items(ann, "posts").meta(Query(meta=("total_count", "filter_count"))) == {
        "total_count": 2,
        "filter_count": 2,
    }
    with pytest.raises(Forbidden):
        await Items(ann, "posts").read_one(1)


@pytest.mark.mariadb
async def test_a_hidden_field_cannot_be_asked_about_in_any_way(posts: Context) -> None:
    ann = await actor_with(posts, {**READ_POSTS, "fields": ["id", "title"]})
    assert await read(ann, limit=1) == [{"id": 1, "title": "a"}]
    for query in (
        {"fields": "views"}, {"filter": {"views": {"_gt": 1}}}, {"sort": "views"}, {"sort": "-views"},
        {"aggregate": {"max": "views"}}, {"groupBy": "views"}, {"fields": "x", "alias": {"x": "views"}},
        {"filter": {"_or": [{"id": 1}, {"views": 10}]}}, {"filter": {"author": {"name": "Ann"}}},
        {"sort": "author.name"}, {"filter": {"_and": [{"views": {"_null": True}}]}},
    ):  # fmt: skip
        with pytest.raises(Forbidden):
            await read(ann, **query)
    assert await read(ann, search="30") == []
    assert await read(ann, fields="id,author.name", limit=1) == [{"id": 1}]


async def test_a_field_that_is_visible_in_some_rows_is_null_in_the_others(posts: Context) -> None:
    ann = await actor_with(
        posts,
        {**READ_POSTS, "fields": ["id", "title"]},
        {**READ_POSTS, "fields": ["views"], "permissions": {"author": {"name": {"_eq": "Ann"}}}},
    )
    assert await read(ann, fields="id,views") == [
        {"id": 1, "views": 10},
        {"id": 2, "views": 20},
        {"id": 3, "views": None},
    ]
    assert await read(ann, fields="id", filter={"views": {"_gte": 20}}) == [{"id": 2}]
    assert await read(ann, aggregate={"sum": "views", "max": "views"}) == [{"sum": {"views": 30}, "max": {"views": 20}}]
    assert await read(ann, search="30", fields="id") == []


async def test_related_items_are_hidden_by_their_own_rules(posts: Context) -> None:
    ann = await actor_with(
        posts,
        [
            {**READ_POSTS, "fields": ["*"], "permissions": {"views": {"_lt": 25}}},
            {
                "collection": "authors",
                "action": "read",
                "fields": ["id", "name", "posts"],
                "permissions": {"age": {"_gt": 35}},
            },
        ],
    )
    assert await read(ann, fields="id,author.name") == [{"id": 1, "author": None}, {"id": 2, "author": None}]
    assert await read(ann, "authors", fields="name,posts.id,count(posts)") == [
        {"name": "Bob", "posts": [], "posts_count": 0}
    ]
    assert await read(ann, filter={"author": {"name": {"_eq": "Ann"}}}) == []
    assert await read(ann, "authors", filter={"posts": {"_some": {"views": 30}}}) == []
    with pytest.raises(Forbidden):
        await read(ann, filter={"author": {"age": {"_gt": 1}}})
    assert set((await read(ann, "authors"))[0]) == {"id", "name", "posts"}


async def test_stars_show_what_may_be_seen_and_leave_out_the_rest(posts: Context) -> None:
    ann = await actor_with(posts, {**READ_POSTS, "fields": ["*"]})
    assert (await read(ann, fields="*.*", limit=1))[0]["author"] == 1
    assert (await read(ann, fields="id,author.name", limit=1)) == [{"id": 1}]


async def test_values_that_stand_for_the_user_are_the_users(posts: Context) -> None:
    await Items(posts, "posts").update(3, {"title": "ann"})
    mine = {**READ_POSTS, "fields": ["id"], "permissions": {"title": {"_eq": "$CURRENT_USER"}}}
    ann = await actor_with(posts, mine)
    bob = ann.acting_as(Actor(user="bob", policies=ann.actor.policies))
    nobody = ann.acting_as(Actor(policies=ann.actor.policies))
    assert await read(ann) == [{"id": 3}]
    assert await read(bob) == []
    assert await read(nobody) == []


async def test_the_publics_policies_are_everybodys(posts: Context) -> None:
    public = await Items(posts, "directus_policies").create({"name": "public"})
    await Items(posts, "directus_access").create({"policy": public})
    await Items(posts, "directus_permissions").create({"policy": public, **READ_POSTS, "fields": ["title"]})
    assert await read(posts.acting_as(Actor()), limit=1) == [{"title": "a"}]
    await Items(posts, "directus_permissions").delete_by_query(Query())
    with pytest.raises(Forbidden):
        await read(posts.acting_as(Actor()))


async def test_a_filter_that_cannot_be_understood_permits_nothing(posts: Context) -> None:
    ann = await actor_with(posts, {**READ_POSTS, "fields": ["*"], "permissions": {"id": {"_like": "x"}}})
    with pytest.raises(Forbidden):
        await read(ann)


async def test_a_new_item_has_the_presets_and_the_permitted_values(posts: Context) -> None:
    rule = {"collection": "posts", "action": "create", "fields": ["title", "views"],
            "validation": {"views": {"_lt": 100}}, "presets": {"views": 7, "author": 2}}  # fmt: skip
    ann = await actor_with(posts, rule)
    key = await Items(ann, "posts").create({"title": "new"})
    assert await Items(posts, "posts").read_one(key) == {"id": key, "title": "new", "views": 7, "author": 2}
    with pytest.raises(Forbidden):
        await Items(ann, "posts").create({"title": "new", "author": 1})
    with pytest.raises(FailedValidation) as refused:
        await Items(ann, "posts").create_many([{"title": "ok"}, {"title": "new", "views": 100}])
    assert refused.value.details["field"] == "views"
    assert len(await read(posts)) == 4


@pytest.mark.mariadb
async def test_only_permitted_rows_and_fields_are_changed(posts: Context) -> None:
    rule = {"collection": "posts", "action": "update", "fields": ["title"], "permissions": {"author": {"_eq": 1}}}
    ann = await actor_with(posts, [rule, {**READ_POSTS, "fields": ["*"]}])
    assert await Items(ann, "posts").update(1, {"title": "changed"}) == 1
    for keys, payload in (([3], {"title": "x"}), ([1, 3], {"title": "x"}), ([1], {"views": 1}), ([99], {"title": "x"})):
        with pytest.raises(Forbidden):
            await Items(ann, "posts").update_many(keys, payload)
    assert [item["title"] for item in await read(posts)] == ["changed", "b", "c"]
    assert [item["views"] for item in await read(posts)] == [10, 20, 30]


async def test_only_permitted_rows_are_deleted(posts: Context) -> None:
    ann = await actor_with(posts, {"collection": "posts", "action": "delete", "permissions": {"views": {"_gt": 15}}})
    with pytest.raises(Forbidden):
        await Items(ann, "posts").delete_many([1, 2])
    assert await Items(ann, "posts").delete(2) == 2
    assert [item["id"] for item in await read(posts)] == [1, 3]


async def test_a_bad_query_of_a_user_is_refused_as_an_administrators_is(posts: Context) -> None:
    ann = await actor_with(posts, {**READ_POSTS, "fields": ["*"]})
    with pytest.raises(InvalidQuery):
        await read(ann, filter={"views": {"_contains": "x"}})
    with pytest.raises(Forbidden):
        await read(ann, "directus_users")
    with pytest.raises(Forbidden):
        await Items(ann, "directus_permissions").create({"policy": str(uuid4()), **READ_POSTS})
