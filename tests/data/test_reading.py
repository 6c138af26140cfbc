"""The query language beyond filters: functions, other names, `deep`, sums, and items of several collections."""

from typing import Any

import pytest

from datastead.context import Context
from datastead.data.changes import Changes
from datastead.data.items import Items
from datastead.data.query import Query
from datastead.data.schema import Permission
from datastead.errors import Forbidden, InvalidQuery, RequestError
from tests.data.conftest import refusal
from tests.data.test_secrecy import told
from tests.data.test_secrecy_graphql import told as told_by_graphql


@pytest.fixture
async def library(blog: Context) -> Context:
    """The blog with four posts, moments, tags (m2m) and blocks (m2a)."""
    changes = Changes(blog)
    for name, kind in (("published_on", "dateTime"), ("seen", "timestamp"), ("day", "date"), ("labels", "json")):
        await changes.create_field("posts", {"field": name, "type": kind})
    await changes.create_collection(
        {"collection": "tags", "schema": {}, "fields": [{"field": "name", "type": "string"}]}
    )
    await changes.create_collection(
        {
            "collection": "posts_tags",
            "schema": {},
            "fields": [{"field": "post", "type": "integer"}, {"field": "tag", "type": "integer"}],
        }
    )
    await changes.create_field("posts", {"field": "tags", "type": "alias", "meta": {"special": ["m2m"]}})
    for field, related, meta in (
        ("post", "posts", {"one_field": "tags", "junction_field": "tag"}),
        ("tag", "tags", {"junction_field": "post"}),
    ):
        await changes.create_relation(
            {"collection": "posts_tags", "field": field, "related_collection": related, "meta": meta}
        )
    authors, posts, tags = Items(blog, "authors"), Items(blog, "posts"), Items(blog, "tags")
    await authors.create_many([{"name": "Ann", "age": 30}, {"name": "Bob", "age": 40}, {"name": "Cid"}])
    await tags.create_many([{"name": "red"}, {"name": "blue"}])
    await posts.create_many(
        [
            {"title": "First", "views": 10, "author": 1, "published_on": "2024-02-29T12:30:15", "labels": ["a", "b"]},
            {"title": "Second", "views": 20, "author": 1, "published_on": "2024-12-31T23:59:59", "labels": {"a": 1}},
            {"title": "Third", "views": None, "author": 2, "seen": "2024-12-31T23:30:00+02:00", "day": "2024-12-30"},
            {"title": "Fourth", "views": 5},
        ]
    )
    await Items(blog, "posts_tags").create_many([{"post": 1, "tag": 1}, {"post": 1, "tag": 2}, {"post": 2, "tag": 1}])
    return blog


async def read(ctx: Context, collection: str, **query: Any) -> list[dict[str, Any]]:
    return await Items(ctx, collection).read(Query.parse(query))


@pytest.mark.mariadb
async def test_parts_of_moments_are_fields(library: Context) -> None:
    fields = "year(published_on),month(published_on),week(published_on),day(published_on),weekday(published_on),hour(published_on),minute(published_on),second(published_on)"
    assert await read(library, "posts", fields=fields, limit=1) == [
        {
            "published_on_year": 2024, "published_on_month": 2, "published_on_week": 9, "published_on_day": 29,
            "published_on_weekday": 4, "published_on_hour": 12, "published_on_minute": 30, "published_on_second": 15,
        }
    ]  # fmt: skip


async def test_parts_of_a_timestamp_are_those_in_utc(library: Context) -> None:
    found = await read(library, "posts", fields="hour(seen),year(day),week(day)", filter={"id": 3})
    assert found == [{"seen_hour": 21, "day_year": 2024, "day_week": 1}]


async def test_related_items_and_lists_are_counted(library: Context) -> None:
    assert await read(library, "authors", fields="count(posts)") == [
        {"posts_count": 2}, {"posts_count": 1}, {"posts_count": 0}
    ]  # fmt: skip
    assert await read(library, "posts", fields="count(labels)") == [
        {"labels_count": 2}, {"labels_count": None}, {"labels_count": None}, {"labels_count": None}
    ]  # fmt: skip


async def test_functions_are_filtered_and_sorted_by(library: Context) -> None:
    found = await read(
        library, "posts", fields="id", filter={"year(published_on)": {"_eq": 2024}}, sort="-month(published_on)"
    )
    assert found == [{"id": 2}, {"id": 1}]
    found = await read(
        library,
        "authors",
        fields="name",
        filter={"count(posts)": {"_or": [{"_eq": 0}, {"_gt": 1}]}},
        sort="-count(posts)",
    )
    assert found == [{"name": "Ann"}, {"name": "Cid"}]
    found = await read(
        library, "posts", fields="id,author.count(posts)", filter={"author": {"count(posts)": {"_gte": 2}}}
    )
    assert found == [{"id": 1, "author": {"posts_count": 2}}, {"id": 2, "author": {"posts_count": 2}}]


NOT_TO_BE_ASKED: list[tuple[dict[str, Any], type[RequestError] | None]] = [
    ({"fields": "year(title)"}, InvalidQuery), ({"fields": "years(seen)"}, InvalidQuery),
    ({"fields": "count(views)"}, InvalidQuery), ({"fields": "year(nope)"}, Forbidden), ({"fields": "hour(day)"}, InvalidQuery),
    ({"fields": "year(seen"}, InvalidQuery), ({"filter": {"year(seen)": {"_contains": "2"}}}, InvalidQuery),
    ({"filter": {"year(seen)": {"x": {"_eq": 1}}}}, InvalidQuery), ({"sort": "year(title)"}, InvalidQuery),
    ({"fields": "*", "alias": {"x": "nope"}}, None), ({"fields": "x", "alias": {"x": "nope"}}, Forbidden),
    ({"aggregate": {"sum": "title"}}, InvalidQuery), ({"aggregate": {"sum": "nope"}}, Forbidden),
    ({"aggregate": {"sum": "*"}}, InvalidQuery), ({"groupBy": "labels"}, InvalidQuery), ({"groupBy": "tags"}, InvalidQuery),
    ({"aggregate": {"count": "*"}, "sort": "title"}, InvalidQuery), ({"groupBy": "nope"}, Forbidden),
    ({"deep": {"author": {"_limit": 1}}, "fields": "author.name"}, None), ({"fields": "views:x"}, Forbidden),
    ({"deep": {"author": {"_filter": {"nope": 1}}}, "fields": "author.name"}, Forbidden),
    ({"deep": {"author": {"_filter": {"age": "x"}}}, "fields": "author.name"}, InvalidQuery),
    ({"deep": {"author": {"_filter": {"age": {"_nope": 1}}}}, "fields": "author.name"}, InvalidQuery),
    ({"deep": {"nope": {"_filter": {"nope": 1}}, "title": {"_limit": 1}, "tags": {"_limit": 1}}, "fields": "id"}, None),
    ({"deep": {"tags": {"_filter": {"nope": 1}}}, "fields": "tags.id"}, Forbidden),
]  # fmt: skip
"""What is refused, and how. None: nothing is wrong with it."""


async def test_what_a_field_cannot_be_asked_is_refused(library: Context) -> None:
    found = [(query, await refusal(read(library, "posts", **query))) for query, _ in NOT_TO_BE_ASKED]
    assert found == NOT_TO_BE_ASKED


async def test_a_relation_is_asked_for_twice_under_two_names(library: Context) -> None:
    found = await read(
        library, "authors", filter={"id": 1}, alias={"old": "posts", "new": "posts", "called": "name"},
        fields="called,old.title,new.title",
        deep={"old": {"_filter": {"views": {"_lt": 15}}}, "new": {"_filter": {"views": {"_gte": 15}}}},
    )  # fmt: skip
    assert found == [{"called": "Ann", "old": [{"title": "First"}], "new": [{"title": "Second"}]}]


@pytest.mark.mariadb
async def test_deep_filters_sorts_and_cuts_the_items_of_each_owner(library: Context) -> None:
    deep = {"posts": {"_limit": 1, "_sort": ["-views"]}}
    found = await read(library, "authors", fields="posts.title", deep=deep)
    assert found == [{"posts": [{"title": "Second"}]}, {"posts": [{"title": "Third"}]}, {"posts": []}]
    deep = {"posts": {"_limit": 1, "_page": 2, "_sort": "id"}}
    assert (await read(library, "authors", fields="posts.id", deep=deep))[0] == {"posts": [{"id": 2}]}
    deep = {"posts": {"_search": "fir"}}
    assert (await read(library, "authors", fields="posts.id", deep=deep))[0] == {"posts": [{"id": 1}]}


async def test_deep_sums_up_the_items_of_each_owner(library: Context) -> None:
    deep: dict[str, Any] = {"posts": {"_aggregate": {"count": "*", "max": "views"}}}
    found = await read(library, "authors", fields="name,posts.id", deep=deep)
    assert [item["posts"] for item in found] == [
        [{"count": 2, "max": {"views": 20}}], [{"count": 1, "max": {"views": None}}], [],
    ]  # fmt: skip
    deep = {"posts": {"_aggregate": {"count": "*"}, "_group": ["title"], "_sort": "-title", "_limit": 1}}
    found = await read(library, "authors", fields="posts", deep=deep)
    assert found[0] == {"posts": [{"title": "Second", "count": 1}]}
    deep = {"author": {"posts": {"_aggregate": {"sum": "views"}, "_filter": {"views": {"_gt": 10}}}}}
    found = await read(library, "posts", filter={"id": 1}, fields="author.posts.id", deep=deep)
    assert found == [{"author": {"posts": [{"sum": {"views": 20}}]}}]


async def test_deep_reaches_through_every_kind_of_relation(library: Context) -> None:
    deep = {"author": {"posts": {"_sort": "-id", "tags": {"_filter": {"tag": {"name": "red"}}}}}}
    found = await read(library, "posts", filter={"id": 1}, fields="author.posts.tags.tag.name", deep=deep)
    assert found == [
        {"author": {"posts": [{"tags": [{"tag": {"name": "red"}}]}, {"tags": [{"tag": {"name": "red"}}]}]}}
    ]


@pytest.mark.mariadb
async def test_deep_hides_a_single_item_that_it_does_not_let_through(library: Context) -> None:
    old = {"author": {"_filter": {"age": {"_gt": 35}}}}
    found = await read(library, "posts", fields="id,author.name", deep=old, sort="author.name", limit=3)
    assert found == [
        {"id": 1, "author": None}, {"id": 2, "author": None}, {"id": 3, "author": {"name": "Bob"}},
    ]  # fmt: skip
    found = await read(library, "posts", fields="author.name", deep=old, filter={"id": 1, "author": {"name": "Ann"}})
    assert found == [{"author": None}]
    assert await read(library, "posts", fields="author", deep=old, filter={"id": 1}) == [{"author": 1}]
    searched = {"author": {"_search": "bob", "_sort": "-id", "_limit": 0, "_page": 7}}
    found = await read(library, "posts", fields="author.name", deep=searched, search="ir", sort="id")
    assert found == [{"author": None}, {"author": {"name": "Bob"}}]
    related = {"author": {"_filter": {"posts": {"title": {"_in": ["Second", "x"]}}}, "posts": {"_limit": 1}}}
    found = await read(library, "posts", fields="author.posts.title", deep=related, filter={"id": {"_neq": 4}})
    assert found == [
        {"author": {"posts": [{"title": "First"}]}}, {"author": {"posts": [{"title": "First"}]}}, {"author": None},
    ]  # fmt: skip


async def test_the_filters_of_one_select_are_bounded_together(library: Context) -> None:
    names = [f"a{number}" for number in range(3)]
    deep = {name: {"_filter": {"age": {"_in": list(range(2000))}}} for name in names}
    asked = {"alias": dict.fromkeys(names, "author"), "deep": deep}
    with pytest.raises(InvalidQuery):
        await read(library, "posts", fields="a0.name", **asked)
    deep = {name: {"_filter": {"_or": [{"age": 30}] * 200}} for name in names}
    with pytest.raises(InvalidQuery):
        await read(library, "posts", fields="a0.name", **asked | {"deep": deep})


async def test_deep_filters_single_items_by_their_names_and_at_every_level(library: Context) -> None:
    found = await read(
        library, "posts", filter={"id": {"_lte": 3}}, alias={"old": "author", "young": "author"},
        fields="old.called,young.name", deep={
            "old": {"_filter": {"age": {"_gt": 35}}, "_alias": {"called": "name"}},
            "young": {"_filter": {"age": {"_lte": 35}}},
        },
    )  # fmt: skip
    assert found == [
        {"old": None, "young": {"name": "Ann"}}, {"old": None, "young": {"name": "Ann"}},
        {"old": {"called": "Bob"}, "young": None},
    ]  # fmt: skip
    deep = {"tags": {"_filter": {"tag": {"_nnull": True}}, "tag": {"_filter": {"name": "red"}}, "_sort": "id"}}
    found = await read(library, "posts", filter={"id": 1}, fields="tags.tag.name", deep=deep)
    assert found == [{"tags": [{"tag": {"name": "red"}}, {"tag": None}]}]


@pytest.mark.mariadb
async def test_the_other_side_of_a_relation_is_there_by_name_without_a_field_for_it(library: Context) -> None:
    await Changes(library).update_relation("posts_tags", "tag", {"meta": {"one_field": "used_in"}})
    assert await read(library, "tags", fields="*", limit=1) == [{"id": 1, "name": "red"}]
    assert await read(library, "tags", fields="*.*", limit=1) == [{"id": 1, "name": "red"}]
    deep = {"used_in": {"_filter": {"post": {"views": {"_gt": 10}}}}}
    found = await read(library, "tags", fields="name,used_in.post.title,count(used_in)", deep=deep)
    assert found == [
        {"name": "red", "used_in": [{"post": {"title": "Second"}}], "used_in_count": 2},
        {"name": "blue", "used_in": [], "used_in_count": 1},
    ]
    condition = {"used_in": {"_some": {"post": {"title": "Second"}}}}
    assert await read(library, "tags", fields="used_in", filter=condition) == [{"used_in": [1, 3]}]
    found = await read(library, "posts_tags", fields="id", filter={"tag": {"used_in": {"post": 2}}})
    assert found == [{"id": 1}, {"id": 3}]
    await Items(library, "tags").update(2, {"used_in": {"create": [{"post": 3}], "delete": [2]}})
    assert await read(library, "tags", fields="used_in.post", filter={"id": 2}) == [{"used_in": [{"post": 3}]}]


async def test_such_a_side_is_seen_by_whom_a_policy_shows_it(library: Context) -> None:
    await Changes(library).update_relation("posts_tags", "tag", {"meta": {"one_field": "used_in"}})
    schema = await library.services.schemas.get()
    both = [Permission("p", "posts_tags", "read"), Permission("p", "tags", "read", frozenset({"id", "used_in"}))]
    asked = ("tags", {"fields": "used_in.post", "filter": {"used_in": {"_some": {"post": 2}}}})
    items, _ = await told(library, schema, both, asked)
    assert items == [{"used_in": [{"post": 1}, {"post": 2}]}]
    for permissions in (both[1:], [both[0], Permission("p", "tags", "read", frozenset({"id"}))]):
        assert await told(library, schema, permissions, asked) == "FORBIDDEN"
    _, answer = await told_by_graphql(library, schema, both, ["{ tags { used_in(limit: 1) { post } } }"])
    assert answer["data"] == {"tags": [{"used_in": [{"post": 1}]}, {"used_in": [{"post": 1}]}]}


async def test_items_are_summed_up(library: Context) -> None:
    aggregate = {"count": "*,views", "sum": "views", "min": "views", "max": "title", "countDistinct": "author"}
    assert await read(library, "posts", aggregate=aggregate) == [
        {
            "count": {"*": 4, "views": 3}, "sum": {"views": 35}, "min": {"views": 5}, "max": {"title": "Third"},
            "countDistinct": {"author": 2},
        }
    ]  # fmt: skip
    assert await read(library, "posts", aggregate={"count": "*"}) == [{"count": 4}]


@pytest.mark.mariadb
async def test_items_are_summed_up_by_group(library: Context) -> None:
    found = await read(
        library, "posts", aggregate={"count": "*", "sum": "views"}, groupBy="author", sort="-count,author"
    )
    assert found == [
        {"author": 1, "count": 2, "sum": {"views": 30}}, {"author": 2, "count": 1, "sum": {"views": None}},
        {"author": None, "count": 1, "sum": {"views": 5}},
    ]  # fmt: skip
    wanted = {"author": {"_nnull": True}}
    found = await read(library, "posts", aggregate={"count": "*"}, groupBy="year(published_on)", filter=wanted)
    assert found == [{"published_on_year": 2024, "count": 2}, {"published_on_year": None, "count": 1}]


async def test_the_items_of_several_collections_are_read_through_one_field(library: Context) -> None:
    changes = Changes(library)
    for name in ("headings", "pictures"):
        await changes.create_collection(
            {"collection": name, "schema": {}, "fields": [{"field": "text", "type": "string"}]}
        )
    await changes.create_collection(
        {
            "collection": "blocks",
            "schema": {},
            "fields": [
                {"field": "post", "type": "integer"},
                {"field": "item", "type": "string"},
                {"field": "kind", "type": "string"},
            ],
        }
    )
    await changes.create_field("posts", {"field": "blocks", "type": "alias", "meta": {"special": ["m2a"]}})
    await changes.create_relation(
        {"collection": "blocks", "field": "post", "related_collection": "posts",
         "meta": {"one_field": "blocks", "junction_field": "item"}}
    )  # fmt: skip
    await changes.create_relation(
        {"collection": "blocks", "field": "item", "related_collection": None,
         "meta": {"one_collection_field": "kind", "one_allowed_collections": ["headings", "pictures"],
                  "junction_field": "post"}}
    )  # fmt: skip
    await Items(library, "headings").create({"text": "Hello"})
    await Items(library, "pictures").create({"text": "A cat"})
    await Items(library, "blocks").create_many(
        [{"post": 1, "item": "1", "kind": "headings"}, {"post": 1, "item": "1", "kind": "pictures"}]
    )
    found = await read(
        library, "posts", filter={"id": 1}, fields="blocks.kind,blocks.item:headings.text,blocks.item:pictures.id"
    )
    assert found == [
        {"blocks": [{"kind": "headings", "item": {"text": "Hello"}}, {"kind": "pictures", "item": {"id": 1}}]}
    ]
    found = await read(library, "posts", filter={"id": 1}, fields="blocks.item.text")
    assert found == [{"blocks": [{"item": {"text": "Hello"}}, {"item": {"text": "A cat"}}]}]
    deep = {"blocks": {"item:headings": {"_filter": {"text": "A cat"}}, "item:nope": {"_filter": {"text": "A cat"}}}}
    found = await read(library, "posts", filter={"id": 1}, fields="blocks.kind,blocks.item.text", deep=deep)
    assert found == [{"blocks": [{"kind": "headings", "item": None}, {"kind": "pictures", "item": {"text": "A cat"}}]}]
    found = await read(
        library, "posts", fields="id", filter={"blocks": {"item:pictures": {"text": {"_contains": "cat"}}}}
    )
    assert found == [{"id": 1}]
    assert await read(library, "posts", fields="id", filter={"blocks": {"item:headings": {"text": "A cat"}}}) == []
    with pytest.raises(InvalidQuery):
        await read(library, "blocks", fields="item:authors.name")
