"""Reading and writing items, on both databases."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from datastead.context import PUBLIC, Actor, Context
from datastead.data import system
from datastead.data.changes import Changes
from datastead.data.items import Items
from datastead.data.query import Query
from datastead.data.workspace import install
from datastead.errors import (
    FailedValidation,
    Forbidden,
    InvalidForeignKey,
    InvalidPayload,
    InvalidQuery,
    RecordNotUnique,
    RequestError,
    UnprocessableContent,
    ValueOutOfRange,
    ValueTooLong,
)
from datastead.events import Event

TYPES = (
    "string", "text", "boolean", "integer", "bigInteger", "float", "decimal", "date", "time", "dateTime", "timestamp",
    "json", "csv", "uuid", "binary",
)  # fmt: skip
ID = "0190a2b4-6bd7-72ad-a4fe-9513b2ea58cc"


@pytest.fixture
async def posts(blog: Context) -> Items:
    """Three authors; five posts, of Ann (0, 2, 4) and Bob (1, 3)."""
    await Items(blog, "authors").create_many([{"name": "Ann", "age": 30}, {"name": "Bob", "age": 40}, {"name": "Cid"}])
    posts = Items(blog, "posts")
    await posts.create_many(
        [{"title": f"t{number}", "views": number * 10, "author": 1 + number % 2} for number in range(5)]
    )
    return posts


@pytest.fixture
async def every_type(ctx: Context) -> Items:
    fields = [{"field": f"a_{kind}", "type": kind} for kind in TYPES]
    await Changes(ctx).create_collection({"collection": "every_type", "schema": {}, "fields": fields})
    return Items(ctx, "every_type")


@pytest.mark.mariadb
async def test_items_come_back_as_they_were_written(every_type: Items) -> None:
    payload = {
        "a_string": "ä 'x' \" % _ \\ 日本", "a_text": "", "a_boolean": True, "a_integer": -5, "a_bigInteger": 2**53 + 1,
        "a_float": 1.5, "a_date": "2024-02-29", "a_time": "12:30:15", "a_dateTime": "2024-02-29T12:30:15",
        "a_timestamp": "2024-02-29T12:30:15.123Z", "a_json": {"a": [1, None, {"b": "c"}]}, "a_csv": ["x", "y"],
        "a_uuid": ID, "a_binary": "aGVsbG8=",
    }  # fmt: skip
    key = await every_type.create(payload)
    assert await every_type.read_one(key) == {"id": key, "a_decimal": None, **payload}


async def test_moments_are_kept_as_utc(every_type: Items) -> None:
    key = await every_type.create(
        {"a_timestamp": "2024-02-29T12:30:15+02:00", "a_dateTime": "2024-02-29T12:30:15.250Z"}
    )
    item = await every_type.read_one(key, Query(fields=("a_timestamp", "a_dateTime")))
    assert item == {"a_timestamp": "2024-02-29T10:30:15.000Z", "a_dateTime": "2024-02-29T12:30:15"}
    for field, value in (
        ("a_timestamp", "2024-02-29T10:30:15Z"),
        ("a_timestamp", datetime(2024, 2, 29, 10, 30, 15, tzinfo=UTC)),
    ):
        assert len(await every_type.read(Query(filter={field: {"_eq": value}}))) == 1


async def test_decimals_keep_their_value(every_type: Items) -> None:
    key = await every_type.create({"a_decimal": "12.25"})
    assert float((await every_type.read_one(key))["a_decimal"]) == 12.25


DOES_NOT_FIT: list[tuple[str, Any, type[RequestError]]] = [
    ("a_integer", "abc", InvalidPayload), ("a_integer", True, InvalidPayload), ("a_integer", 1.5, InvalidPayload),
    ("a_integer", 2**31, ValueOutOfRange), ("a_integer", str(-(2**31) - 1), ValueOutOfRange),
    ("a_integer", 2.0**31, ValueOutOfRange), ("a_bigInteger", -(2**63) - 1, ValueOutOfRange),
    ("a_integer", 2**70, ValueOutOfRange), ("a_bigInteger", 2**63, ValueOutOfRange), ("a_integer", [1], InvalidPayload),
    ("a_string", {"a": 1}, InvalidPayload), ("a_string", ["a"], InvalidPayload), ("a_string", "a\0b", InvalidPayload),
    ("a_string", "\ud800", InvalidPayload), ("a_string", "x" * 256, ValueTooLong), ("a_text", "\0", InvalidPayload),
    ("a_boolean", "maybe", InvalidPayload), ("a_boolean", 2, InvalidPayload), ("a_float", "x", InvalidPayload),
    ("a_float", float("nan"), InvalidPayload), ("a_float", "1e999", ValueOutOfRange), ("a_decimal", "1,5", InvalidPayload),
    ("a_decimal", "1e99999", ValueOutOfRange), ("a_date", "2024-02-30", InvalidPayload), ("a_date", "soon", InvalidPayload),
    ("a_time", "25:00:00", InvalidPayload), ("a_dateTime", "2024-13-01T00:00:00", InvalidPayload),
    ("a_timestamp", "yesterday", InvalidPayload), ("a_timestamp", 10**30, InvalidPayload), ("a_uuid", "abc", InvalidPayload),
    ("a_uuid", 5, InvalidPayload), ("a_json", {"a": "\0"}, InvalidPayload), ("a_json", {1, 2}, InvalidPayload),
    ("a_binary", "not base64!", InvalidPayload), ("a_csv", [{}], InvalidPayload), ("id", "abc", InvalidPayload),
]  # fmt: skip


async def test_a_value_that_does_not_fit_is_refused_by_name(every_type: Items) -> None:
    for field, value, error in DOES_NOT_FIT:
        with pytest.raises(RequestError) as raised:
            await every_type.create_many([{"a_integer": 1}, {field: value}])
        assert (type(raised.value), raised.value.details["field"]) == (error, field), (field, value)
        assert "value" in raised.value.details
        assert await every_type.read() == [], (field, value)


@pytest.mark.mariadb
async def test_a_number_beyond_a_fields_range_is_compared_with_all_the_same(every_type: Items) -> None:
    await every_type.create_many([{"a_integer": 2**31 - 1, "a_bigInteger": 2**63 - 1}, {"a_integer": -(2**31)}])
    every, beyond = [1, 2], 2**31
    for condition, found in (
        ({"_eq": beyond}, []), ({"_lt": beyond}, every), ({"_gt": -beyond - 1}, every), ({"_in": [beyond, -beyond]}, [2]),
        ({"_nin": [beyond]}, every), ({"_between": [0, 2**62]}, [1]), ({"_neq": beyond}, every),
    ):  # fmt: skip
        assert await every_type.keys(Query(filter={"a_integer": condition})) == found, condition
    assert await every_type.keys(Query(search=str(beyond))) == []
    for field in ("a_integer", "a_bigInteger"):
        with pytest.raises(InvalidQuery):
            await every_type.keys(Query(filter={field: {"_lt": 2**63}}))


async def test_a_number_may_be_given_as_text_and_a_text_as_a_number(every_type: Items) -> None:
    key = await every_type.create({"a_integer": "5", "a_string": 5, "a_boolean": "true", "a_float": "0.5"})
    item = await every_type.read_one(key)
    assert [item[name] for name in ("a_integer", "a_string", "a_boolean", "a_float")] == [5, "5", True, 0.5]


@pytest.mark.mariadb
async def test_more_digits_than_a_field_has_are_out_of_range_on_every_database(every_type: Items) -> None:
    for value in ("12345678901", 100000, -1e300, "99999.999995"):
        with pytest.raises(ValueOutOfRange) as raised:
            await every_type.create({"a_decimal": value})
        assert raised.value.details["field"] == "a_decimal", value
    for value in ("99999.99999", "-99999.999994", 0.000001):
        await every_type.create({"a_decimal": value})


async def test_one_item_is_read_by_its_key(posts: Items) -> None:
    assert await posts.read_one(2) == {"id": 2, "title": "t1", "views": 10, "author": 2}
    assert await posts.read_one("2") == await posts.read_one(2)


@pytest.mark.parametrize("key", [999, "abc", None, "", 2**80, {"a": 1}, "1; DROP TABLE posts", "\0"])
async def test_a_key_that_there_is_not_is_forbidden_whatever_it_is(posts: Items, key: Any) -> None:
    with pytest.raises(Forbidden):
        await posts.read_one(key)


async def test_items_are_read_in_the_order_of_the_keys(posts: Items) -> None:
    assert [item["id"] for item in await posts.read_many([3, 1, 99, 2])] == [3, 1, 2]


async def test_many_keys_are_read_in_parts(blog: Context) -> None:
    posts = Items(blog, "posts")
    keys = await posts.create_many([{"title": str(number)} for number in range(1300)])
    assert [item["id"] for item in await posts.read_many(keys)] == keys
    assert await posts.update_many(keys, {"views": 1}) == keys
    assert await posts.delete_many(keys) == keys


async def test_fields_follow_a_relation_to_one(posts: Items) -> None:
    query = Query(fields=("title", "author.name"), limit=1)
    assert await posts.read(query) == [{"title": "t0", "author": {"name": "Ann"}}]


async def test_a_star_after_a_star_is_one_level_more(posts: Items) -> None:
    (item,) = await posts.read(Query(fields=("*.*",), limit=1))
    assert item == {
        "id": 1, "title": "t0", "views": 0, "author": {"id": 1, "name": "Ann", "age": 30, "posts": [1, 3, 5]},
    }  # fmt: skip


async def test_a_relation_to_nothing_is_null(posts: Items) -> None:
    key = await posts.create({"title": "x"})
    assert await posts.read_one(key, Query(fields=("author.*",))) == {"author": None}


async def test_the_other_side_of_a_relation_is_a_list_of_keys_or_items(posts: Items, blog: Context) -> None:
    authors = Items(blog, "authors")
    assert [item["posts"] for item in await authors.read()] == [[1, 3, 5], [2, 4], []]
    nested = await authors.read_one(2, Query(fields=("name", "posts.title", "posts.author.name")))
    assert nested == {
        "name": "Bob", "posts": [{"title": title, "author": {"name": "Bob"}} for title in ("t1", "t3")],
    }  # fmt: skip


async def test_nested_lists_take_one_statement_a_level(posts: Items, blog: Context) -> None:
    database, statements = blog.services.database, list[str]()
    reading = database.reading

    async def counted(work: Any, shape: Any) -> Any:
        def noted(fetch: Any) -> Any:
            return work(lambda prepared, parameters: statements.append(prepared.sql) or fetch(prepared, parameters))

        return await reading(noted, shape)

    database.reading = counted  # type: ignore[method-assign]  what goes to the database is what is asked about here
    await Items(blog, "authors").read(Query(fields=("posts.author.posts.title",)))
    assert len(statements) == 3


async def test_nested_lists_are_bounded_for_each_item(blog: Context) -> None:
    authors, posts = Items(blog, "authors"), Items(blog, "posts")
    await authors.create_many([{"name": "Ann"}, {"name": "Bob"}])
    await posts.create_many([{"title": "x", "author": 1 + number % 2} for number in range(250)])
    assert [len(item["posts"]) for item in await authors.read()] == [100, 100]


@pytest.mark.parametrize("fields", [("nope",), ("author.nope",), ("title.x",), ("title; DROP TABLE posts",), ('"id"',)])
async def test_a_field_that_there_is_not_is_forbidden(posts: Items, fields: tuple[str, ...]) -> None:
    with pytest.raises(Forbidden):
        await posts.read(Query(fields=fields))


@pytest.mark.parametrize("path", ["nope", "-nope", "author.nope", "title; DROP TABLE posts", "-", ""])
async def test_a_sort_by_what_there_is_not_is_forbidden(posts: Items, path: str) -> None:
    with pytest.raises(Forbidden):
        await posts.read(Query(sort=(path,)))


async def test_relations_are_followed_ten_deep_and_no_deeper(posts: Items) -> None:
    await posts.read(Query(fields=(".".join(["author", "posts"] * 4 + ["author", "name"]),)))
    with pytest.raises(InvalidQuery):
        await posts.read(Query(fields=(".".join(["author", "posts"] * 5 + ["author", "name"]),)))
    deep: dict[str, Any] = {"name": {"_eq": "x"}}
    for name in ["author", "posts"] * 6:
        deep = {name: deep}
    with pytest.raises(InvalidQuery):
        await Items(posts._ctx, "authors").read(Query(filter={"posts": deep["posts"]}))


@pytest.mark.mariadb
async def test_sorting_puts_nulls_last_and_first_when_it_descends(posts: Items) -> None:
    await posts.create({"title": "null", "views": None})
    assert [item["views"] for item in await posts.read(Query(sort=("views",)))] == [0, 10, 20, 30, 40, None]
    assert [item["views"] for item in await posts.read(Query(sort=("-views",)))] == [None, 40, 30, 20, 10, 0]


async def test_sorting_follows_relations(posts: Items) -> None:
    query = Query(fields=("id",), sort=("-author.name", "-views"), limit=3)
    assert [item["id"] for item in await posts.read(query)] == [4, 2, 5]


async def test_limit_offset_and_page_cut_the_list(posts: Items) -> None:
    async def keys(**window: int) -> list[int]:
        return await posts.keys(Query(**window))  # type: ignore[arg-type]

    assert await keys(limit=2) == [1, 2]
    assert await keys(limit=2, offset=3) == [4, 5]
    assert await keys(limit=2, page=2, offset=1) == [3, 4]
    assert await keys(limit=-1, offset=4) == [5]
    assert await keys(limit=0) == []


async def test_the_default_limit_is_a_hundred(blog: Context) -> None:
    posts = Items(blog, "posts")
    await posts.create_many([{"title": "x"}] * 120)
    assert [len(await posts.read()), len(await posts.read(Query(limit=-1)))] == [100, 120]


async def test_a_search_looks_into_texts_and_numbers(posts: Items) -> None:
    await posts.create_many([{"title": "Größe"}, {"title": "100%"}])
    found = {term: len(await posts.read(Query(search=term))) for term in ("T3", "30", "GRÖSSE", "GRÖ", "%", "_", "zzz")}
    assert found == {"T3": 1, "30": 1, "GRÖSSE": 0, "GRÖ": 1, "%": 1, "_": 0, "zzz": 0}


async def test_counts_are_of_the_collection_and_of_the_query(posts: Items) -> None:
    query = Query(filter={"author": {"name": {"_eq": "Ann"}}}, meta=("total_count", "filter_count"), limit=1)
    assert await posts.meta(query) == {"total_count": 5, "filter_count": 3}


async def test_several_items_are_created_all_or_none(posts: Items) -> None:
    with pytest.raises(InvalidForeignKey):
        await posts.create_many([{"title": "a"}, {"title": "b", "author": 99}])
    assert len(await posts.read()) == 5


@pytest.mark.mariadb
async def test_the_constraints_of_the_database_are_typed_errors(posts: Items, blog: Context) -> None:
    authors = Items(blog, "authors")
    expected = {"collection": "authors", "field": "name", "value": "Ann", "primaryKey": False}
    with pytest.raises(RecordNotUnique) as not_unique:
        await authors.create({"name": "Ann"})
    assert not_unique.value.details == expected
    with pytest.raises(RecordNotUnique) as taken:
        await posts.create({"id": 1, "title": "x"})
    assert (taken.value.details["field"], taken.value.details["primaryKey"]) == ("id", True)
    with pytest.raises(InvalidForeignKey) as missing:
        await posts.update(1, {"author": 77})
    assert missing.value.details == {"collection": "posts", "field": "author", "value": 77}
    with pytest.raises(ValueTooLong):
        await authors.update(1, {"name": "x" * 21})


async def test_a_required_field_needs_a_value(posts: Items) -> None:
    with pytest.raises(FailedValidation) as required:
        await posts.create({})
    assert required.value.details["type"] == "required"
    for writing in (posts.create({"title": None}), posts.update(1, {"title": None})):
        with pytest.raises(FailedValidation) as nulled:
            await writing
        details = {name: nulled.value.details[name] for name in ("collection", "field", "type", "path")}
        assert details == {"collection": "posts", "field": "title", "type": "nnull", "path": []}


@pytest.mark.parametrize("rule", ["NO ACTION", "RESTRICT"])
async def test_an_item_that_others_refer_to_cannot_be_deleted(posts: Items, blog: Context, rule: str) -> None:
    await Changes(blog).update_relation("posts", "author", {"schema": {"on_delete": rule}})
    with pytest.raises(InvalidForeignKey):
        await Items(blog, "authors").delete(1)
    assert await Items(blog, "authors").delete(3) == 3


@pytest.mark.parametrize("payload", [{"nope": 1}, {"title": "x", "id; DROP TABLE posts": 1}, {"posts": []}])
async def test_an_unknown_field_is_refused_with_the_fields_that_there_are(
    posts: Items, payload: dict[str, Any]
) -> None:
    with pytest.raises(InvalidPayload) as raised:
        await posts.create(payload)
    assert "`title`" in raised.value.message
    assert len(await posts.read()) == 5


@pytest.mark.parametrize("payload", [None, "x", 5, [1], [["title", "x"]]])
async def test_an_item_has_to_be_an_object(posts: Items, payload: Any) -> None:
    with pytest.raises(InvalidPayload):
        await posts.create(payload)
    with pytest.raises(InvalidPayload):
        await posts.update(1, payload)


@pytest.mark.mariadb
async def test_items_are_updated_by_key_by_query_and_each_for_itself(posts: Items) -> None:
    assert await posts.update(1, {"views": 1}) == 1
    assert await posts.update(99, {"views": 1}) is None
    assert await posts.update_many([2, 99, 1], {"views": 2}) == [2, 1]
    assert await posts.update_by_query(Query(filter={"views": {"_gte": 30}}), {"views": 3}) == [4, 5]
    assert await posts.update_batch([{"id": 1, "views": 7}, {"id": 3, "title": "new"}]) == [1, 3]
    assert [item["views"] for item in await posts.read()] == [7, 2, 20, 3, 3]


async def test_a_batch_of_updates_is_whole_or_not_there(posts: Items) -> None:
    with pytest.raises(InvalidForeignKey):
        await posts.update_batch([{"id": 1, "views": 99}, {"id": 2, "author": 99}])
    with pytest.raises(InvalidPayload):
        await posts.update_batch([{"id": 1, "views": 99}, {"views": 2}])
    assert (await posts.read_one(1))["views"] == 0


async def test_an_update_without_anything_in_it_changes_nothing(posts: Items) -> None:
    assert await posts.update_many([1, 99], {}) == [1]


async def test_items_are_deleted_by_key_and_by_query(posts: Items) -> None:
    assert await posts.delete(1) == 1
    assert await posts.delete_many([1, 2]) == [2]
    assert await posts.delete_by_query(Query(filter={"views": {"_gt": 25}})) == [4, 5]
    assert await posts.keys(Query()) == [3]


async def test_a_table_without_a_key_can_only_be_read(ctx: Context) -> None:
    await ctx.services.database.alter(
        lambda transaction: transaction.execute(sa.text("CREATE TABLE bare (a INTEGER)")) and None
    )
    ctx.services.schemas.forget()
    bare = Items(ctx, "bare")
    for writing in (bare.create({"a": 1}), bare.update(1, {"a": 1}), bare.delete(1), bare.read_one(1)):
        with pytest.raises(UnprocessableContent):
            await writing


async def test_who_is_no_administrator_may_do_nothing(posts: Items, blog: Context) -> None:
    for actor in (PUBLIC, Actor(user=ID)):
        theirs = Items(blog.acting_as(actor), "posts")
        for doing in (
            theirs.read(), theirs.read_one(1), theirs.meta(Query(meta=("total_count",))), theirs.create({"title": "x"}),
            theirs.update(1, {"title": "x"}), theirs.delete(1), theirs.update_by_query(Query(), {"title": "x"}),
            theirs.delete_by_query(Query()), theirs.update_batch([{"id": 1}]),
        ):  # fmt: skip
            with pytest.raises(Forbidden):
                await doing
    assert len(await posts.read()) == 5


async def test_a_folder_has_no_items(ctx: Context) -> None:
    await Changes(ctx).create_collection({"collection": "folder", "schema": None})
    with pytest.raises(Forbidden):
        await Items(ctx, "folder").read()


async def test_special_fields_fill_themselves_in(ctx: Context) -> None:
    specials = ("date-created", "date-updated", "user-created", "user-updated")
    fields = [{"field": "id", "type": "uuid", "meta": {"special": ["uuid"]}, "schema": {"is_primary_key": True}}]
    fields += [
        {
            "field": name.replace("-", "_"),
            "type": "timestamp" if name.startswith("date") else "uuid",
            "meta": {"special": [name]},
        }
        for name in specials
    ]
    await Changes(ctx).create_collection({"collection": "notes", "schema": {}, "fields": fields})
    now = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    services = replace(ctx.services, clock=lambda: now)
    notes = Items(replace(ctx, services=services, actor=Actor(user=ID, is_admin=True)), "notes")
    key = await notes.create({})
    assert len(key) == 36
    at = "2026-01-02T03:04:05.678Z"
    created = {"id": key, "date_created": at, "user_created": ID, "date_updated": None, "user_updated": None}
    assert await notes.read_one(key) == created
    await notes.update(key, {"date_updated": None})
    assert await notes.read_one(key) == {**created, "date_updated": at, "user_updated": ID}


async def test_passwords_are_hashed_and_never_shown(ctx: Context) -> None:
    async def hashed(password: str) -> str:
        return f"hash of {password}"

    users = Items(replace(ctx, services=replace(ctx.services, hash_password=hashed)), "directus_users")
    key = await users.create({"email": "a@example.com", "password": "secret", "token": "a-token"})
    shown = await users.read_one(key, Query(fields=("password", "token", "tfa_secret")))
    assert shown == {"password": "**********", "token": "**********", "tfa_secret": None}
    await users.update(key, {"password": "**********", "first_name": "Ann"})
    select = sa.select(system.users.c.password, system.users.c.token)
    assert await ctx.services.database.read(lambda transaction: transaction.execute(select).one()) == (
        "hash of secret",
        "a-token",
    )


async def test_a_concealed_field_can_be_neither_filtered_nor_sorted_by_nor_searched(ctx: Context) -> None:
    users = Items(ctx, "directus_users")
    await users.create({"email": "a@example.com", "token": "a-token"})
    for query in (
        Query(filter={"token": {"_starts_with": "a"}}),
        Query(sort=("token",)),
        Query(filter={"token": "a-token"}),
    ):
        with pytest.raises(InvalidQuery):
            await users.read(query)
    assert await users.read(Query(search="a-token")) == []
    assert len(await users.read(Query(filter={"token": {"_nnull": True}}))) == 1


async def test_flows_and_operations_are_items_too(ctx: Context) -> None:
    flow = await Items(ctx, "directus_flows").create({"name": "f", "options": {"cron": "* * * * *"}})
    step = {"flow": flow, "key": "k", "type": "log", "position_x": 1, "position_y": 1, "options": {"message": "x"}}
    operation = await Items(ctx, "directus_operations").create(step)
    item = await Items(ctx, "directus_flows").read_one(flow, Query(fields=("*", "operations.key")))
    assert (item["operations"], item["options"], item["status"]) == ([{"key": "k"}], {"cron": "* * * * *"}, "active")
    assert item["date_created"].endswith("Z")
    assert len(operation) == 36


async def test_filters_may_replace_the_payload_and_actions_hear_what_was_done(blog: Context) -> None:
    heard: list[Event] = []

    async def upper(_: Context, event: Event) -> Any:
        return (
            {**event.payload, "title": event.payload["title"].upper()}
            if isinstance(event.payload, dict)
            else event.payload
        )

    async def hear(ctx: Context, events: Any) -> None:
        assert ctx.connection is not None
        heard.extend(events)

    blog.services.bus.on_filter(upper)
    blog.services.bus.on_action(hear)
    posts = Items(blog, "posts")
    (key,) = await posts.create_many([{"title": "a"}])
    await posts.update(key, {"title": "b"})
    await posts.delete(key)
    await posts.create({"title": "quiet"}, emit=False)
    assert [(event.name, event.scope, event.collection, event.payload, event.keys) for event in heard] == [
        ("posts.items.create", "items.create", "posts", {"title": "A"}, (key,)),
        ("posts.items.update", "items.update", "posts", {"title": "B"}, (key,)),
        ("posts.items.delete", "items.delete", "posts", [key], (key,)),
    ]


async def test_what_an_action_raises_undoes_the_change(blog: Context) -> None:
    async def refuse(_: Context, __: Any) -> None:
        raise InvalidPayload

    blog.services.bus.on_action(refuse)
    with pytest.raises(InvalidPayload):
        await Items(blog, "posts").create({"title": "a"})
    assert await Items(blog, "posts").read() == []


async def test_items_take_part_in_the_open_transaction(blog: Context) -> None:
    with pytest.raises(KeyError):
        async with blog.transaction() as inside:
            key = await Items(inside, "posts").create({"title": "a"})
            assert (await Items(inside, "posts").read_one(key))["title"] == "a"
            raise KeyError
    assert await Items(blog, "posts").read() == []


async def test_many_creates_at_once_are_all_there(blog: Context) -> None:
    posts = Items(blog, "posts")
    keys = await asyncio.gather(*(posts.create({"title": str(number)}) for number in range(60)))
    assert sorted(keys) == await posts.keys(Query(limit=-1))


async def test_a_singleton_is_made_with_its_first_change(ctx: Context) -> None:
    fields = [{"field": "title", "type": "string", "schema": {"default_value": "untitled"}}]
    await Changes(ctx).create_collection(
        {"collection": "about", "schema": {}, "meta": {"singleton": True}, "fields": fields}
    )
    about = Items(ctx, "about")
    assert await about.read_singleton() == {"id": None, "title": "untitled"}
    await about.write_singleton({"title": "Home"})
    await about.write_singleton({"title": "House"})
    assert await about.read_singleton() == {"id": 1, "title": "House"}


@pytest.mark.parametrize("count", [1, 2, 3, 7])
async def test_items_without_any_value_are_as_many_as_were_sent(blog: Context, count: int) -> None:
    authors = Items(blog, "authors")
    keys = await authors.create_many([{} for _ in range(count)])
    assert len(set(keys)) == count
    assert len(await authors.read(Query(limit=-1))) == count


async def test_what_belongs_to_an_item_goes_with_it_also_when_nobody_is_told(blog: Context) -> None:
    install(blog.services.bus)
    posts = Items(blog, "posts")
    await posts.create_many([{"title": "a"}, {"title": "b"}])
    rows = [{"id": str(uuid4()), "key": "draft", "collection": "posts", "item": item} for item in ("1", "2")]
    versions = system.item_versions
    await blog.services.database.write(lambda transaction: transaction.execute(versions.insert(), rows))
    await posts.delete(1, emit=False)
    found = await blog.services.database.read(lambda inside: list(inside.execute(sa.select(versions.c.item)).scalars()))
    assert found == ["2"]
