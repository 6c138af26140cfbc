"""Nothing that a policy hides has any effect on what an actor is told.

Two databases are alike in all that the actor may see, and differ in everything else. Whatever is asked, in fields,
filters, sorts, searches, sums and counts, the answers have to be the same; an error counts as an answer.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from datastead.context import Actor, Context
from datastead.data.engine import Database, Transaction
from datastead.data.items import Items
from datastead.data.migrations import migrate
from datastead.data.query import Query
from datastead.data.schema import Permission, Plans, Policies, Schema
from datastead.errors import DatasteadError
from tests.data.conftest import make_context

TABLES = (
    "CREATE TABLE authors (id INTEGER PRIMARY KEY, open INTEGER, name VARCHAR(20), age INTEGER, born DATE)",
    "CREATE TABLE posts (id INTEGER PRIMARY KEY, status VARCHAR(9), author INTEGER REFERENCES authors (id),"
    " title VARCHAR(20), views INTEGER, at DATETIME, labels JSON)",
)
RELATION = (
    "INSERT INTO directus_relations (many_collection, many_field, one_collection, one_field)"
    " VALUES ('posts', 'author', 'authors', 'posts')"
)
ALIAS = "INSERT INTO directus_fields (collection, field, special) VALUES ('authors', 'posts', 'o2m')"
FIELDS = {
    "authors": ["id", "open", "name", "age", "born", "posts"],
    "posts": ["id", "status", "author", "title", "views", "at", "labels"],
}
SECRETS = {"authors": ["name", "age", "born"], "posts": ["title", "views", "at", "labels"]}
SOME_FIELDS = {
    "authors": [frozenset({"id", "open", "posts"}), frozenset({"id", "name", "age", "posts"}), frozenset({"born"})],
    "posts": [frozenset({"id", "status", "author"}), frozenset({"id", "author", "views", "at"}), frozenset({"title"})],
}
RULES: dict[str, list[Any]] = {
    "authors": [None, {"open": {"_eq": 1}}, {"open": {"_neq": 1}}, {"posts": {"status": {"_eq": "out"}}}],
    "posts": [None, {"status": {"_eq": "out"}}, {"author": {"open": {"_eq": 1}}}, {"status": {"_in": ["in", "mid"]}}],
}
"""What rows a policy is about: only of what is the same in both databases."""


class _Fixed:
    """The schema with other policies, for one example."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    async def get(self) -> Schema:
        return self._schema


@dataclass(frozen=True)
class World:
    """Two databases with the same tables."""

    first: Context
    second: Context
    loop: asyncio.AbstractEventLoop

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    yield from worlds(["sqlite://", "sqlite://"])


def worlds(urls: list[str]) -> Iterator[World]:
    loop = asyncio.new_event_loop()
    databases = [Database.open(url) for url in urls]

    async def make(database: Database) -> Context:
        moment = "TIMESTAMP" if database.dialect == "postgresql" else "DATETIME"
        statements = [each.replace("DATETIME", moment) for each in (*TABLES, RELATION, ALIAS)]
        await database.start()
        await migrate(database)
        await database.alter(lambda transaction: [transaction.execute(sa.text(each)) for each in statements])
        return make_context(database)

    contexts = [loop.run_until_complete(make(database)) for database in databases]
    yield World(*contexts, loop)
    for database in databases:
        loop.run_until_complete(database.close())
    loop.close()


VALUES = {
    "name": st.sampled_from(["Ann", "Bob", "zoe", None]), "age": st.integers(0, 5) | st.none(),
    "born": st.sampled_from(["2024-01-01", "2023-12-31", None]), "title": st.sampled_from(["Ann", "x", "", None]),
    "views": st.integers(0, 5) | st.none(), "at": st.sampled_from(["2024-02-29 12:00:00", "2023-01-01 00:00:01", None]),
    "labels": st.sampled_from(['["a"]', "[]", '{"a": 1}', None]),
}  # fmt: skip


@st.composite
def rows(draw: Any) -> dict[str, list[dict[str, Any]]]:
    authors = [
        {"id": n, "open": draw(st.integers(0, 1)), **{name: draw(VALUES[name]) for name in SECRETS["authors"]}}
        for n in range(1, draw(st.integers(1, 3)) + 1)
    ]
    posts = [
        {
            "id": n, "status": draw(st.sampled_from(["in", "mid", "out"])),
            "author": draw(st.sampled_from([None, *[author["id"] for author in authors]])),
            **{name: draw(VALUES[name]) for name in SECRETS["posts"]},
        }
        for n in range(1, draw(st.integers(0, 5)) + 1)
    ]  # fmt: skip
    return {"authors": authors, "posts": posts}


@st.composite
def grants(draw: Any) -> list[Permission]:
    found = []
    for collection in FIELDS:
        for _ in range(draw(st.sampled_from([1, 1, 1, 2, 2, 0]))):
            names = draw(st.sampled_from([None, None, *SOME_FIELDS[collection]]))
            found.append(Permission("p", collection, "read", names, draw(st.sampled_from(RULES[collection]))))
    return found


def holds(rule: Any, collection: str, row: dict[str, Any], world: dict[str, list[dict[str, Any]]]) -> bool:
    """The oracle: the few rules above, over rows in memory."""
    if rule is None:
        return True
    ((field, condition),) = rule.items()
    if (collection, field) == ("authors", "posts"):
        return any(post["author"] == row["id"] and post["status"] == "out" for post in world["posts"])
    if (collection, field) == ("posts", "author"):
        return any(author["id"] == row["author"] and author["open"] == 1 for author in world["authors"])
    ((operator, value),) = condition.items()
    return {"_eq": row[field] == value, "_neq": row[field] != value, "_in": operator == "_in" and row[field] in value}[
        operator
    ]


def seen_fields(permissions: list[Permission], collection: str, row: dict[str, Any], world: Any) -> set[str] | None:
    """The fields of a row that are visible; None = not even the row is."""
    of = [
        each
        for each in permissions
        if each.collection == collection and holds(each.permissions, collection, row, world)
    ]
    if not of:
        return None
    return {name for each in of for name in (FIELDS[collection] if each.fields is None else each.fields)}


@st.composite
def others(draw: Any, world: Any, permissions: list[Permission]) -> Any:
    """The same world to the actor: with other values in what it may not see, and other hidden rows.

    A post that is `out` stays: rules may ask for it.
    """
    changed: dict[str, list[dict[str, Any]]] = {}
    for collection, known in world.items():
        changed[collection] = []
        for row in known:
            visible = seen_fields(permissions, collection, row, world)
            if visible is None and collection == "posts" and row["status"] != "out" and draw(st.booleans()):
                continue
            hidden = [name for name in SECRETS[collection] if name not in (visible or ())]
            replaced = {name: draw(VALUES[name].filter(lambda value, old=row[name]: value != old)) for name in hidden}
            changed[collection].append({**row, **replaced})
    more = {
        "id": 90,
        "status": "mid",
        "author": draw(st.sampled_from([None, 1])),
        "title": "Ann",
        "views": 2,
        "at": None,
        "labels": "[]",
    }
    if seen_fields(permissions, "posts", more, world) is None and draw(st.booleans()):
        changed["posts"].append(more)
    return changed


LEAVES = {
    "authors": ["id", "name", "age", "born", "posts", "year(born)", "count(posts)", "*", "*.*", "posts.title", "posts.views", "posts.*"],
    "posts": ["id", "title", "views", "author", "labels", "hour(at)", "count(labels)", "*", "*.*", "author.name", "author.age",
              "author.*", "author.posts.views", "author.count(posts)"],
}  # fmt: skip
CONDITIONS = st.sampled_from(
    [{"_eq": 1}, {"_gt": 2}, {"_null": True}, {"_nnull": True}, {"_neq": 3}, {"_in": [1, 2]}, {"_contains": "n"}, {"_empty": True},
     {"_nin": [0]}, {"_between": [1, 3]}, {"_lt": "Bob"}]
)  # fmt: skip


def filters(collection: str, depth: int = 2) -> st.SearchStrategy[Any]:
    own = st.sampled_from([*SECRETS[collection], "id", "year(born)" if collection == "authors" else "year(at)"])
    leaf: st.SearchStrategy[Any] = st.builds(lambda name, condition: {name: condition}, own, CONDITIONS)
    if depth == 0:
        return leaf
    if collection == "posts":
        deeper = st.builds(lambda inner: {"author": inner}, filters("authors", depth - 1))
    else:
        inner = filters("posts", depth - 1)
        deeper = st.builds(
            lambda word, inner: {"posts": {word: inner}}, st.sampled_from(["_some", "_none"]), inner
        ) | st.builds(lambda condition: {"count(posts)": condition}, CONDITIONS)
    grouped = st.builds(
        lambda word, parts: {word: parts}, st.sampled_from(["_and", "_or"]), st.lists(leaf | deeper, max_size=2)
    )
    return leaf | deeper | grouped


@st.composite
def queries(draw: Any) -> tuple[str, dict[str, Any]]:
    collection = draw(st.sampled_from(["authors", "posts"]))
    leaves = [name for name in LEAVES[collection] if "*" not in name]
    query: dict[str, Any] = {"limit": draw(st.sampled_from([-1, 1, 2]))}
    if draw(st.booleans()):
        query["filter"] = draw(filters(collection))
    if draw(st.booleans()):
        query["search"] = draw(st.sampled_from(["Ann", "1", "n", "x"]))
    if draw(st.integers(0, 3)) == 0:
        function = draw(st.sampled_from(["count", "sum", "avg", "min", "max", "countDistinct"]))
        query["aggregate"] = {function: draw(st.sampled_from(["*", "age", "views", "name", "title"]))}
        if draw(st.booleans()):
            query["groupBy"] = [draw(st.sampled_from([name for name in leaves if "." not in name]))]
        return collection, query
    query["fields"] = draw(st.lists(st.sampled_from(LEAVES[collection]), min_size=1, max_size=3))
    if draw(st.booleans()):
        query["sort"] = draw(st.sampled_from([sign + name for name in leaves for sign in ("", "-")]))
    if draw(st.booleans()):
        deep = {"posts": draw(deep_queries())} if collection == "authors" else {"author": draw(deep_of_one())}
        query["deep"] = deep
    return collection, query


@st.composite
def deep_of_one(draw: Any) -> dict[str, Any]:
    """What is asked of the author of each post."""
    query: dict[str, Any] = {"_filter": draw(filters("authors", 1))} if draw(st.booleans()) else {}
    if draw(st.booleans()):
        query["_search"] = draw(st.sampled_from(["Ann", "1", "n"]))
    if draw(st.booleans()):
        query["posts"] = draw(deep_queries())
    return query


@st.composite
def deep_queries(draw: Any) -> dict[str, Any]:
    """What is asked of the posts of each author: some of them, or sums."""
    if draw(st.booleans()):
        return {
            "_filter": draw(filters("posts", 1)),
            "_sort": draw(st.sampled_from(["views", "-title"])),
            "_limit": 1,
        }
    function = draw(st.sampled_from(["count", "sum", "max", "countDistinct"]))
    query: dict[str, Any] = {"_aggregate": {function: draw(st.sampled_from(["*", "views", "title"]))}}
    if draw(st.booleans()):
        query["_group"] = [draw(st.sampled_from(["id", "title", "views", "hour(at)"]))]
    return query


async def fill(ctx: Context, world: dict[str, list[dict[str, Any]]]) -> None:
    def work(transaction: Transaction) -> None:
        for table in ("posts", "authors"):
            transaction.execute(sa.text(f"DELETE FROM {table}"))
        for table in ("authors", "posts"):
            for row in world[table]:
                names = ", ".join(row)
                values = ", ".join(f":{name}" for name in row)
                transaction.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)

    await ctx.services.database.write(work)


async def told(ctx: Context, schema: Schema, permissions: list[Permission], asked: tuple[str, dict[str, Any]]) -> Any:
    """All that the actor is told: items and counts, or the error's code."""
    collection, query = asked
    policies = Policies({str(n): (replace(each, policy=str(n)),) for n, each in enumerate(permissions)})
    services = replace(ctx.services, schemas=_Fixed(replace(schema, policies=policies, plans=Plans())))  # type: ignore[arg-type]
    actor = Actor(user="u", policies=tuple(policies.permissions))
    items = Items(Context(services, actor), collection)
    try:
        parsed = Query.parse({**query, "meta": "*"})
        return await items.read(parsed), await items.meta(parsed)
    except DatasteadError as error:
        return error.code


def check(world: World, data: st.DataObject) -> None:
    known, permissions = data.draw(rows()), data.draw(grants())
    other = data.draw(others(known, permissions))
    world.run(fill(world.first, known))
    world.run(fill(world.second, other))
    schemas = [world.run(ctx.services.schemas.get()) for ctx in (world.first, world.second)]
    for _ in range(4):
        asked = data.draw(queries())
        answers = [
            world.run(told(ctx, schema, permissions, asked))
            for ctx, schema in zip((world.first, world.second), schemas, strict=True)
        ]
        assert answers[0] == answers[1], asked


@settings(max_examples=150)
@given(data=st.data())
def test_what_is_hidden_changes_no_answer(world: World, data: st.DataObject) -> None:
    check(world, data)


@pytest.mark.full
@settings(max_examples=1200)
@given(data=st.data())
def test_what_is_hidden_changes_no_answer_at_length(world: World, data: st.DataObject) -> None:
    check(world, data)


@settings(max_examples=40)
@given(data=st.data())
def test_exactly_what_is_permitted_is_seen(world: World, data: st.DataObject) -> None:
    known, permissions = data.draw(rows()), data.draw(grants())
    world.run(fill(world.first, known))
    schema = world.run(world.first.services.schemas.get())
    for collection, names in SECRETS.items():
        found = world.run(told(world.first, schema, permissions, (collection, {"fields": ["id", *names], "limit": -1})))
        if found == "FORBIDDEN":
            granted = {
                name
                for each in permissions
                if each.collection == collection
                for name in (each.fields or FIELDS[collection])
            }
            assert not {"id", *names} <= granted
            continue
        visible = {row["id"]: fields for row in known[collection]
                   if (fields := seen_fields(permissions, collection, row, known)) is not None}  # fmt: skip
        assert len(found[0]) == len(visible)
        by_id = {item["id"]: item for item in found[0] if item["id"] is not None}
        for key, item in by_id.items():
            row = next(row for row in known[collection] if row["id"] == key)
            for name in names:
                assert (item[name] is None) == (name not in visible[key] or row[name] is None)
