"""The schema as a document: what one database has, another gets, whole or not at all."""

import copy
from typing import Any

import pytest

from datastead.context import PUBLIC, Context
from datastead.data.changes import Changes
from datastead.data.items import Items
from datastead.data.snapshot import Snapshots
from datastead.errors import Forbidden, InvalidPayload, RequestError


@pytest.fixture
async def managed(blog: Context) -> Context:
    """The blog, with fields that are managed, a folder, and an unmanaged field."""
    changes = Changes(blog)
    await changes.create_collection({"collection": "press", "schema": None, "meta": {"note": "a folder"}})
    for collection, field in (
        ("authors", "id"),
        ("authors", "name"),
        ("posts", "id"),
        ("posts", "title"),
        ("posts", "author"),
    ):
        await changes.update_field(collection, field, {"meta": {"note": field}})
    await changes.create_field(
        "posts", {"field": "rating", "type": "decimal", "meta": {"note": "1 to 5"}, "schema": {"default_value": 3}}
    )
    await changes.create_field("posts", {"field": "wild", "type": "string"})
    await changes.update_collection("authors", {"meta": {"group": "press"}})
    await changes.update_field("posts", "author", {"meta": {"group": "title"}})
    return blog


async def test_a_snapshot_lists_what_is_managed(managed: Context) -> None:
    snapshot = await Snapshots(managed).take()
    assert [entry["collection"] for entry in snapshot["collections"]] == ["authors", "posts", "press"]
    names = [(entry["collection"], entry["field"]) for entry in snapshot["fields"]]
    assert ("posts", "rating") in names
    assert ("posts", "wild") not in names
    assert [(entry["collection"], entry["field"]) for entry in snapshot["relations"]] == [("posts", "author")]
    assert "id" not in snapshot["fields"][0]["meta"]
    assert not [entry for entry in snapshot["collections"] if entry["collection"].startswith("directus_")]


async def test_the_same_schema_has_no_diff(managed: Context) -> None:
    snapshots = Snapshots(managed)
    assert await snapshots.diff(await snapshots.take()) is None


async def test_changes_are_named_and_undone(managed: Context) -> None:
    snapshots, changes = Snapshots(managed), Changes(managed)
    before = await snapshots.take()
    await changes.update_collection("press", {"meta": {"note": "changed"}})
    await changes.delete_field("posts", "rating")
    await changes.create_field("authors", {"field": "more", "type": "text", "meta": {}})
    await changes.create_collection({"collection": "extra", "schema": {}, "meta": {}})
    await changes.update_relation(
        "posts", "author", {"schema": {"on_delete": "SET NULL"}, "meta": {"sort_field": "views"}}
    )
    found = await snapshots.diff(before)
    assert found is not None
    kinds = {
        part: {(entry["collection"], entry["diff"][0]["kind"]) for entry in found["diff"][part]}
        for part in ("collections", "fields", "relations")
    }
    assert kinds == {
        "collections": {("press", "E"), ("extra", "D")},
        "fields": {("posts", "N"), ("authors", "D"), ("extra", "D")},
        "relations": {("posts", "E")},
    }
    (note,) = [entry["diff"] for entry in found["diff"]["collections"] if entry["collection"] == "press"]
    assert note == [{"kind": "E", "path": ["meta", "note"], "lhs": "changed", "rhs": "a folder"}]
    await snapshots.apply(found)
    assert await snapshots.diff(before) is None
    assert await snapshots.take() == before


async def test_columns_are_edited_where_that_is_possible(managed: Context) -> None:
    snapshots = Snapshots(managed)
    wanted = await snapshots.take()
    (name,) = [entry for entry in wanted["fields"] if entry["field"] == "name"]
    name["schema"] |= {"max_length": 77, "is_nullable": False, "default_value": "x", "is_unique": False}
    found = await snapshots.diff(wanted)
    assert found is not None
    await snapshots.apply(found)
    assert await snapshots.diff(wanted) is None
    (key,) = [entry for entry in wanted["fields"] if (entry["collection"], entry["field"]) == ("posts", "id")]
    key["schema"]["has_auto_increment"] = False
    impossible = await snapshots.diff(wanted)
    assert impossible is not None
    with pytest.raises(InvalidPayload) as refused:
        await snapshots.apply(impossible)
    assert "posts.id.schema.has_auto_increment" in refused.value.message


async def test_an_empty_database_becomes_the_same(managed: Context) -> None:
    snapshots, changes = Snapshots(managed), Changes(managed)
    await changes.delete_field("posts", "views")
    await changes.delete_field("posts", "wild")
    await changes.delete_field("authors", "age")
    wanted = await snapshots.take()
    for name in ("posts", "authors", "press"):
        await changes.delete_collection(name)
    found = await snapshots.diff(wanted)
    assert found is not None
    await snapshots.apply(found)
    assert await snapshots.diff(wanted) is None
    author = await Items(managed, "authors").create({"name": "Ann"})
    post = await Items(managed, "posts").create({"title": "x", "author": author})
    assert float((await Items(managed, "posts").read_one(post))["rating"]) == 3


async def test_a_diff_that_fails_changes_nothing(managed: Context) -> None:
    snapshots = Snapshots(managed)
    before = await snapshots.take()
    wanted = copy.deepcopy(before)
    wanted["collections"] = [entry for entry in wanted["collections"] if entry["collection"] != "press"]
    (rating,) = [entry for entry in wanted["fields"] if entry["field"] == "rating"]
    wanted["fields"].append({**rating, "collection": "nowhere"})
    wanted["fields"].append({**rating, "field": "stars", "type": "nonsense"})
    found = await snapshots.diff(wanted)
    assert found is not None
    with pytest.raises(RequestError):
        await snapshots.apply(found)
    assert await snapshots.take() == before


async def test_a_diff_of_an_older_schema_is_refused(managed: Context) -> None:
    snapshots = Snapshots(managed)
    wanted = await snapshots.take()
    wanted["collections"][0]["meta"]["note"] = "new"
    found = await snapshots.diff(wanted)
    assert found is not None
    await Changes(managed).create_field("authors", {"field": "late", "type": "string", "meta": {}})
    with pytest.raises(InvalidPayload):
        await snapshots.apply(found)
    await snapshots.apply(found, force=True)
    assert (await snapshots.take())["collections"][0]["meta"]["note"] == "new"


@pytest.mark.parametrize(
    "snapshot",
    [None, [], {}, {"collections": []}, {"collections": [1], "fields": [], "relations": []},
     {"version": 9, "vendor": "sqlite", "collections": [], "fields": [], "relations": []},
     {"version": 1, "vendor": "oracle", "collections": [], "fields": [], "relations": []},
     {"version": 1, "collections": [{"collection": 5}], "fields": [], "relations": []}],
)  # fmt: skip
async def test_what_is_no_snapshot_is_refused(ctx: Context, snapshot: Any) -> None:
    with pytest.raises(InvalidPayload):
        await Snapshots(ctx).diff(snapshot)


@pytest.mark.parametrize(
    "diff",
    [None, {}, {"hash": "x"}, {"hash": "x", "diff": {"fields": [{"collection": "a"}]}},
     {"hash": "x", "diff": {"collections": [{"collection": "a", "diff": [{"kind": "Z"}]}]}},
     {"hash": "x", "diff": {"collections": [{"collection": "a", "diff": [{"kind": "E", "rhs": 1}]}]}}],
)  # fmt: skip
async def test_what_is_no_diff_is_refused(ctx: Context, diff: Any) -> None:
    with pytest.raises(InvalidPayload):
        await Snapshots(ctx).apply(diff)


async def test_only_an_administrator_sees_and_changes_the_schema(ctx: Context) -> None:
    with pytest.raises(Forbidden):
        Snapshots(ctx.acting_as(PUBLIC))
