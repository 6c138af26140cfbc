"""Nested writes: the items that a payload holds are written with it, wholly or not at all."""

from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from datastead.context import Context
from datastead.data.changes import Changes
from datastead.data.items import Items
from datastead.data.query import Query
from datastead.errors import (
    FailedValidation,
    Forbidden,
    InvalidForeignKey,
    InvalidPayload,
    RequestError,
)
from datastead.events import Event
from tests.data.test_permissions import actor_with


def collection(name: str, *fields: dict[str, Any]) -> dict[str, Any]:
    return {"collection": name, "schema": {}, "fields": list(fields)}


def field(name: str, kind: str = "integer", **more: Any) -> dict[str, Any]:
    return {"field": name, "type": kind, **more}


def alias(name: str, special: str) -> dict[str, Any]:
    return field(name, "alias", meta={"special": [special]})


def relation(many: str, name: str, one: str | None, **meta: Any) -> dict[str, Any]:
    return {"collection": many, "field": name, "related_collection": one, "meta": meta}


@pytest.fixture
async def site(ctx: Context) -> Context:
    """Authors with posts, which have tags (m2m, deleted when they go) in an order, and blocks (m2a)."""
    changes = Changes(ctx)
    rule = {"_and": [{"age": {"_gte": 0}}]}
    for new in (
        collection(
            "authors", field("name", "string"), field("age", meta={"validation": rule}),
            field("pin", "string", meta={"special": ["conceal"]}), alias("posts", "o2m"),
        ),
        collection("posts", field("title", "string", schema={"is_nullable": False}), field("views"), field("author"),
                   alias("tags", "m2m"), alias("blocks", "m2a")),
        collection("tags", field("name", "string", schema={"is_unique": True})),
        collection("posts_tags", field("post"), field("tag"), field("sort")),
        collection("headings", field("text", "string")),
        collection("pictures", field("text", "string")),
        collection("blocks", field("post"), field("item", "string"), field("kind", "string")),
    ):  # fmt: skip
        await changes.create_collection(new)
    for made in (
        relation("posts", "author", "authors", one_field="posts"),
        relation("posts_tags", "post", "posts", one_field="tags", junction_field="tag", sort_field="sort",
                 one_deselect_action="delete"),
        relation("posts_tags", "tag", "tags", junction_field="post"),
        relation("blocks", "post", "posts", one_field="blocks", junction_field="item"),
        relation("blocks", "item", None, one_collection_field="kind", junction_field="post",
                 one_allowed_collections=["headings", "pictures"]),
    ):  # fmt: skip
        await changes.create_relation(made)
    await Items(ctx, "authors").create_many([{"name": "Ann", "age": 30}, {"name": "Bob", "age": 40}])
    await Items(ctx, "posts").create_many(
        [{"title": "First", "author": 1}, {"title": "Second", "author": 1}, {"title": "Third", "author": 2}]
    )
    return ctx


TABLES = ("authors", "posts", "tags", "posts_tags", "headings", "pictures", "blocks")


async def read(ctx: Context, name: str, *fields: str, **query: Any) -> list[dict[str, Any]]:
    return await Items(ctx, name).read(Query.parse({"fields": list(fields), "limit": -1, **query}))


async def everything(ctx: Context) -> list[Any]:
    return [await read(ctx, name) for name in TABLES]


async def test_an_item_that_is_referred_to_is_created_changed_linked_and_let_go(site: Context) -> None:
    posts = Items(site, "posts")
    key = await posts.create({"title": "New", "author": {"name": "Dora"}})
    assert await read(site, "posts", "author.id", "author.name", filter={"id": key}) == [
        {"author": {"id": 3, "name": "Dora"}}
    ]
    await posts.update(key, {"author": {"id": 3, "name": "Dora II"}})
    await posts.update(1, {"author": {"id": "3"}})
    await posts.update(2, {"author": {"id": None, "name": "Eve"}})
    await posts.update(3, {"author": {"id": 77, "name": "Fay"}})
    assert await read(site, "posts", "author.id", "author.name") == [
        {"author": {"id": 3, "name": "Dora II"}}, {"author": {"id": 4, "name": "Eve"}},
        {"author": {"id": 77, "name": "Fay"}}, {"author": {"id": 3, "name": "Dora II"}},
    ]  # fmt: skip
    await posts.update_many([1, 2], {"author": None})
    assert [item["author"] for item in await read(site, "posts", "author")] == [None, None, 77, 3]


async def test_a_list_is_the_whole_set(site: Context) -> None:
    authors = Items(site, "authors")
    await authors.update(1, {"posts": [2, {"id": 3, "views": 5}, {"title": "New"}, {"id": 50, "title": "With a key"}]})
    assert await read(site, "posts", "id", "title", "views", "author") == [
        {"id": 1, "title": "First", "views": None, "author": None},
        {"id": 2, "title": "Second", "views": None, "author": 1},
        {"id": 3, "title": "Third", "views": 5, "author": 1},
        {"id": 4, "title": "New", "views": None, "author": 1},
        {"id": 50, "title": "With a key", "views": None, "author": 1},
    ]
    await authors.update(1, {"name": "Anna", "posts": None})
    assert await read(site, "authors", "name", "posts") == [{"name": "Anna", "posts": []}, {"name": "Bob", "posts": []}]


async def test_a_delta_changes_some(site: Context) -> None:
    delta = {"create": [{"title": "New"}], "update": [{"id": 3, "title": "Third!"}], "delete": [2]}
    await Items(site, "authors").update("1", {"posts": delta})
    assert await read(site, "posts", "id", "title", "author") == [
        {"id": 1, "title": "First", "author": 1}, {"id": 2, "title": "Second", "author": None},
        {"id": 3, "title": "Third!", "author": 1}, {"id": 4, "title": "New", "author": 1},
    ]  # fmt: skip


@pytest.mark.mariadb
async def test_items_are_linked_through_a_junction_in_their_order(site: Context) -> None:
    posts = Items(site, "posts")
    tags = ["tags.id", "tags.sort", "tags.tag.name"]
    await posts.update(1, {"tags": [{"tag": {"name": "red"}}, {"tag": {"name": "blue"}}, {"tag": {"name": "green"}}]})
    await posts.update(1, {"tags": [3, 1, {"tag": 2}]})
    assert await read(site, "posts", *tags, filter={"id": 1}) == [
        {"tags": [{"id": 3, "sort": 1, "tag": {"name": "green"}}, {"id": 1, "sort": 2, "tag": {"name": "red"}},
                  {"id": 4, "sort": 3, "tag": {"name": "blue"}}]}
    ]  # fmt: skip
    assert len(await read(site, "posts_tags")) == 3  # what had to go has been deleted
    delta = {
        "create": [{"tag": {"name": "black"}}],
        "update": [{"id": 1, "tag": {"id": 1, "name": "RED"}}],
        "delete": [4],
    }
    await posts.update(1, {"tags": delta})
    assert await read(site, "posts", *tags[1:], filter={"id": 1}) == [
        {"tags": [{"sort": 1, "tag": {"name": "green"}}, {"sort": 2, "tag": {"name": "RED"}},
                  {"sort": 3, "tag": {"name": "black"}}]}
    ]  # fmt: skip


async def test_items_of_several_collections_are_written_through_one_field(site: Context) -> None:
    key = await Items(site, "posts").create(
        {"title": "x", "blocks": [{"kind": "headings", "item": {"text": "Hi"}}, {"kind": "pictures", "item": {"text": "A cat"}}]}
    )  # fmt: skip
    update = [{"id": 1, "item": {"id": 1, "text": "Ho"}}, {"id": 2, "kind": "headings", "item": {"text": "New"}}]
    await Items(site, "posts").update(key, {"blocks": {"update": update}})
    assert await read(site, "blocks", "post", "kind", "item") == [
        {"post": 4, "kind": "headings", "item": "1"}, {"post": 4, "kind": "headings", "item": "2"},
    ]  # fmt: skip
    assert await read(site, "headings", "text") == [{"text": "Ho"}, {"text": "New"}]
    for block in ({"kind": "authors", "item": {"name": "x"}}, {"item": {"text": "x"}}, {"kind": 5, "item": {}}):
        with pytest.raises(InvalidPayload):
            await Items(site, "posts").update(key, {"blocks": {"create": [block]}})


WRONG = [
    {"posts": 1}, {"posts": "1"}, {"posts": [[1]]}, {"posts": [None]}, {"posts": [1.5]}, {"posts": [True]},
    {"posts": {"title": "one"}}, {"posts": {"create": [], "title": "x"}}, {"posts": {"create": {"title": "x"}}},
    {"posts": {"create": [1]}}, {"posts": {"update": [{"title": "x"}]}}, {"posts": {"update": [1]}},
    {"posts": {"delete": [{"id": 1}]}}, {"posts": {"delete": 1}}, {"posts": {"update": [{"id": 1}], "delete": ["1"]}},
    {"posts": [{"title": "ok"}, 999]}, {"posts": [{"title": "ok"}, "abc"]}, {"posts": [{"title": "ok"}, {"id": [1]}]},
    {"posts": [{"title": "ok"}, {"title": None}]}, {"posts": [{"title": "ok"}, {"nope": 1}]}, {"posts": [{"title": "ok"}, {}]},
    {"posts": [{"title": "ok", "tags": [{"tag": {"name": "twice"}}, {"tag": {"name": "twice"}}]}]},
    {"posts": [{"title": "ok", "tags": [{"tag": 999}]}]}, {"posts": [{"title": "ok", "tags": [{"tag": [1]}]}]},
    {"posts": [{"title": "ok", "blocks": [{"kind": "headings", "item": {"id": {}}}]}]},
    {"name": "x", "posts": [{"title": "ok"}], "age": "abc"}, {"posts": [{"id": 9, "title": "a"}, {"id": 9, "title": "b"}]},
]  # fmt: skip


async def test_what_cannot_be_is_refused_and_nothing_is_half_written(site: Context) -> None:
    before = await everything(site)
    for payload in WRONG:
        for write in (Items(site, "authors").update(1, payload), Items(site, "authors").create(payload)):
            with pytest.raises(RequestError) as refused:
                await write
            assert refused.value.status in {400, 403}, payload
    for payload in ({"author": [1]}, {"author": {"nope": 1}}, {"author": {"id": True}}, {"author": {"id": "abc"}}):
        with pytest.raises(RequestError):
            await Items(site, "posts").create({"title": "x", **payload})
    assert await Items(site, "posts").update(999, {"author": {"name": "Nobody's"}}) is None
    assert await everything(site) == before


def deep(levels: int) -> dict[str, Any]:
    return {"name": "x", "posts": [{"title": "x", "tags": [], "author": deep(levels - 1)}]} if levels else {}


def random_entry(random: Random) -> Any:
    key = random.choice([1, 2, 3, -1, -2, -3, 999])
    title = random.choice(["a", "b", "c", "d", "e", None if random.random() < 0.8 else "f"])
    return random.choice([key, {"id": key, "title": title}, {"title": title}])


def random_value(random: Random) -> Any:
    """A list, or a delta, of posts; one in three cannot be carried out."""
    entries = [random_entry(random) for _ in range(random.randrange(4))]
    if random.random() < 0.5:
        return entries
    return {
        "create": [entry for entry in entries if isinstance(entry, dict) and "id" not in entry],
        "update": [entry for entry in entries if isinstance(entry, dict) and "id" in entry],
        "delete": [entry for entry in entries if isinstance(entry, int)],
    }


def expected(posts: dict[int, tuple[str, int | None]], owner: int, value: Any) -> Counter[Any] | None:
    """The titles and authors that there are afterwards, new posts without a key; None where it cannot be carried out."""
    after, new = dict(posts), []
    if isinstance(value, list):
        kept = {entry if isinstance(entry, int) else entry.get("id") for entry in value}
        after = {
            key: (title, None if author == owner and key not in kept else author)
            for key, (title, author) in after.items()
        }
        changes, may_create = [entry if isinstance(entry, dict) else {"id": entry} for entry in value], True
    else:
        if {entry["id"] for entry in value["update"]} & set(value["delete"]):
            return None
        own = {key for key, (_, author) in posts.items() if author == owner}
        after |= {key: (posts[key][0], None) for key in own.intersection(value["delete"])}
        changes, may_create = [*value["update"], *value["create"]], False
    for change in changes:
        key, present = change.get("id"), posts.get(change.get("id"))
        if key is not None and present is None and not may_create:
            continue
        if "title" in change and change["title"] is None:
            return None
        if key is not None and present is None and (key in after or "title" not in change):
            return None
        if key is None:
            new.append((None, change["title"], owner))
        else:
            after[key] = (change.get("title", after.get(key, ("",))[0]), owner)
    return Counter([*((key, title, author) for key, (title, author) in after.items()), *new])


async def test_random_nested_writes_are_done_as_they_say_or_not_at_all(site: Context) -> None:
    random, done = Random(4), Counter[bool]()
    for _ in range(120):
        posts = {item["id"]: (item["title"], item["author"]) for item in await read(site, "posts")}
        owner, value = random.choice([1, 2]), random_value(random)
        wanted = expected(posts, owner, value)
        try:
            await Items(site, "authors").update(owner, {"name": "x", "posts": value})
            assert wanted is not None, (posts, owner, value)
        except RequestError:
            assert wanted is None, (posts, owner, value)
            wanted = Counter((key, *rest) for key, rest in posts.items())
            done[False] += 1
        found = await read(site, "posts")
        mentioned = {key for key, _, _ in wanted}
        assert wanted == Counter(
            (item["id"] if item["id"] in mentioned else None, item["title"], item["author"]) for item in found
        ), (posts, owner, value)
        done[True] += 1
    assert done[True] > done[False] > 10


async def test_deep_cyclic_and_too_many_items_are_refused(site: Context) -> None:
    before = await everything(site)
    cyclic: dict[str, Any] = {"title": "x"}
    cyclic["author"] = {"name": "x", "posts": [cyclic]}
    for payload in (cyclic, {"title": "x", "author": deep(40)}):
        with pytest.raises(InvalidPayload):
            await Items(site, "posts").create(payload)
    with pytest.raises(InvalidPayload):
        await Items(site, "authors").create({"posts": [{"title": "x"}] * 10_001})
    with pytest.raises(InvalidPayload):
        await Items(site, "authors").update_many([1, 2], {"posts": list(range(5001))})
    assert await everything(site) == before


async def test_a_nested_write_needs_the_permission_of_a_direct_one(site: Context) -> None:
    every = {"fields": ["*"], "permissions": {}}
    ann = await actor_with(
        site,
        [
            {"collection": "authors", "action": "create", **every},
            {"collection": "authors", "action": "update", **every, "validation": {"posts": {"_nnull": True}}},
            {"collection": "posts", "action": "read", "fields": ["*"], "permissions": {"title": {"_neq": "Second"}}},
            {"collection": "posts", "action": "create", "fields": ["title", "author"], "presets": {"views": 7}},
            {"collection": "posts", "action": "update", "fields": ["title", "author"],
             "permissions": {"title": {"_neq": "Second"}}, "validation": {"author": {"_neq": 2}}},
        ],
    )  # fmt: skip
    authors = Items(ann, "authors")
    before = await everything(site)
    for payload in (
        {"posts": [2]}, {"posts": [{"id": 2, "title": "x"}]}, {"posts": {"update": [{"id": 2}]}},
        {"posts": {"update": [{"id": 999, "title": "x"}]}},
        {"posts": [{"title": "x", "views": 1}]}, {"posts": [{"title": "x", "tags": []}]},
    ):  # fmt: skip
        with pytest.raises(Forbidden):
            await authors.update(1, payload)
    for linked in (2, {"id": 2}, {"id": "2", "name": "x"}):
        with pytest.raises(FailedValidation):
            await Items(ann, "posts").update(1, {"author": linked})
    await authors.update(1, {"posts": {"delete": [2, 999]}})  # one that is hidden, and one that is none
    assert await everything(site) == before
    await authors.update(1, {"posts": [{"title": "Mine"}]})  # what Ann cannot see stays
    assert await read(site, "posts", "id", "views", filter={"author": 1}) == [
        {"id": 2, "views": None},
        {"id": 4, "views": 7},
    ]
    nobody = await actor_with(site, {"collection": "posts", "action": "create", "fields": ["*"]}, user="bob")
    for author in ({"name": "x"}, {"id": 1, "name": "x"}, {"id": 99}):
        with pytest.raises(Forbidden):
            await Items(nobody, "posts").create({"title": "x", "author": author})


async def test_everybody_hears_of_nested_writes_as_of_others_and_of_no_secret(site: Context) -> None:
    heard: list[tuple[str, Any, tuple[Any, ...]]] = []

    async def listen(_: Context, events: Sequence[Event]) -> None:
        heard.extend((event.name, event.payload, event.keys) for event in events)

    async def change(_: Context, event: Event) -> Any:
        if event.scope == "items.create" and event.collection == "posts":
            author = event.payload["author"]
            author = {**author, "age": 5} if isinstance(author, dict) else author
            return {**event.payload, "title": event.payload["title"].upper(), "author": author}
        if event.scope == "items.update" and "posts" in event.payload:
            created = event.payload["posts"]["create"]
            assert created[0]["author"]["pin"] != "1234"
            return {**event.payload, "posts": {"create": [{**created[0], "views": 3}]}}
        return event.payload

    site.services.bus.on_action(listen)
    site.services.bus.on_filter(change)
    await Items(site, "posts").create({"title": "x", "author": {"name": "Eve", "pin": "1234"}})
    assert heard == [
        ("authors.items.create", {"name": "Eve", "pin": "**********", "age": 5}, (3,)),
        ("posts.items.create", {"title": "X", "author": {"name": "Eve", "pin": "**********", "age": 5}}, (4,)),
    ]
    heard.clear()
    await Items(site, "authors").update(1, {"posts": {"create": [{"title": "y", "author": {"pin": "1234"}}]}})
    assert [name for name, _, _ in heard] == ["posts.items.create", "authors.items.update"]
    assert await read(site, "posts", "title", "views", "author", filter={"id": 5}) == [
        {"title": "Y", "views": 3, "author": 1}
    ]
    await Items(site, "authors").update(1, {"posts": []}, emit=False)
    assert len(heard) == 2
    stored = await site.services.database.read(
        lambda transaction: (
            transaction.connection.exec_driver_sql("SELECT pin FROM authors WHERE id >= 3 ORDER BY id").scalars().all()
        )
    )
    assert stored == ["1234"]


async def test_a_value_that_its_field_does_not_allow_is_refused_to_everybody(site: Context) -> None:
    for write in (
        Items(site, "authors").create({"age": -1}),
        Items(site, "authors").update(1, {"age": -1}),
        Items(site, "posts").create({"title": "x", "author": {"age": -1}}),
    ):
        with pytest.raises(FailedValidation) as refused:
            await write
        assert (refused.value.details["field"], refused.value.details["type"]) == ("age", "gte")
    assert await Items(site, "authors").update(1, {"name": "x"})


async def test_system_items_with_rules_of_their_own_are_not_written_from_others(site: Context) -> None:
    changes = Changes(site)
    await changes.create_field("posts", field("user", "uuid"))
    await changes.create_relation(relation("posts", "user", "directus_users"))
    with pytest.raises(InvalidPayload):
        await Items(site, "posts").create({"title": "x", "user": {"email": "x@example.com"}})
    with pytest.raises(InvalidForeignKey):
        await Items(site, "posts").create({"title": "x", "user": "00000000-0000-4000-8000-000000000000"})
    policy = await Items(site, "directus_policies").create(
        {"name": "p", "permissions": [{"collection": "posts", "action": "read"}]}
    )
    assert await read(site, "directus_permissions", "policy", "collection") == [
        {"policy": policy, "collection": "posts"}
    ]
