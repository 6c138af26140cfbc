"""The filter language, against what it means in plain Python, on both databases."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from datastead.context import PUBLIC, Actor, Context
from datastead.data.changes import Changes
from datastead.data.engine import Database
from datastead.data.filters import STANDARD, parse_filter
from datastead.data.items import Items
from datastead.data.migrations import migrate
from datastead.data.query import Query
from datastead.errors import Forbidden, InvalidQuery
from tests.data.conftest import make_context, refusal
from tests.databases import KINDS, postgresql_database
from tests.mariadb import mariadb_database

Row = dict[str, Any]
NOW = datetime(2026, 3, 31, 12, 0, tzinfo=UTC)

TEXTS = st.text(st.sampled_from("aAbB%_\\ 'äÄ"), max_size=4)
INTEGERS = st.integers(-3, 3)
MOMENTS = st.sampled_from([f"2024-02-2{day}T00:00:0{second}" for day in (1, 2) for second in (0, 1)])
ROWS = st.fixed_dictionaries(
    {
        "text": st.none() | TEXTS,
        "number": st.none() | INTEGERS,
        "ratio": st.none() | st.sampled_from([-1.5, 0.0, 0.25, 2.0]),
        "flag": st.none() | st.booleans(),
        "moment": st.none() | MOMENTS,
        "parent": st.none() | st.integers(0, 2),
    }
)
COMPARISONS = {
    "_eq": lambda a, b: a == b, "_neq": lambda a, b: a != b, "_lt": lambda a, b: a < b, "_lte": lambda a, b: a <= b,
    "_gt": lambda a, b: a > b, "_gte": lambda a, b: a >= b,
}  # fmt: skip
TEXT_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "_contains": lambda a, b: b in a, "_ncontains": lambda a, b: b not in a,
    "_starts_with": lambda a, b: a.startswith(b), "_nstarts_with": lambda a, b: not a.startswith(b),
    "_ends_with": lambda a, b: a.endswith(b), "_nends_with": lambda a, b: not a.endswith(b),
    "_icontains": lambda a, b: b.lower() in a.lower(), "_istarts_with": lambda a, b: a.lower().startswith(b.lower()),
    "_nistarts_with": lambda a, b: not a.lower().startswith(b.lower()),
    "_iends_with": lambda a, b: a.lower().endswith(b.lower()),
    "_niends_with": lambda a, b: not a.lower().endswith(b.lower()),
}  # fmt: skip


def conditions(field: str, values: st.SearchStrategy[Any], *, compares: bool = True) -> st.SearchStrategy[Any]:
    """Conditions on a field that fit its type."""
    flags = st.dictionaries(
        st.sampled_from(["_null", "_nnull", "_empty", "_nempty"]), st.booleans(), min_size=1, max_size=1
    )
    lists = st.dictionaries(st.sampled_from(["_in", "_nin"]), st.lists(values, max_size=4), min_size=1, max_size=1)
    choices = [flags, lists, values, st.dictionaries(st.sampled_from(["_eq", "_neq"]), st.none() | values, min_size=1)]
    if compares:
        choices.append(st.dictionaries(st.sampled_from(sorted(COMPARISONS)), values, min_size=1, max_size=2))
        choices.append(
            st.dictionaries(st.sampled_from(["_between", "_nbetween"]), st.tuples(values, values).map(list), min_size=1)
        )
    if field == "text":
        choices.append(st.dictionaries(st.sampled_from(sorted(TEXT_OPERATORS)), values, min_size=1, max_size=2))
    return st.one_of(choices).map(lambda condition: {field: condition})


LEAVES = st.one_of(
    conditions("text", TEXTS), conditions("number", INTEGERS), conditions("ratio", st.sampled_from([-1.5, 0.25, 1])),
    conditions("flag", st.booleans(), compares=False), conditions("moment", MOMENTS),
)  # fmt: skip
NESTED = LEAVES.map(lambda leaf: {"parent": leaf})
CHILDREN = st.tuples(st.sampled_from(["_some", "_none"]), LEAVES).map(lambda pair: {"children": {pair[0]: pair[1]}})
FILTERS = st.recursive(
    LEAVES | NESTED | CHILDREN | CHILDREN.map(lambda inner: {"parent": inner}),
    lambda inner: (
        st.dictionaries(st.sampled_from(["_and", "_or"]), st.lists(inner, max_size=3), min_size=1)
        | st.tuples(inner, inner).map(lambda pair: {**pair[0], **pair[1]})
    ),
    max_leaves=6,
)


def holds(condition: Any, row: Row | None, rows: list[Row]) -> bool | None:
    """Whether a filter is true of a row; None = unknown, as SQL has it. row: None = a relation that leads nowhere."""
    return _all(_entry(key, value, row, rows) for key, value in condition.items())


def _entry(key: str, value: Any, row: Row | None, rows: list[Row]) -> bool | None:
    if key == "_and":
        return _all(holds(entry, row, rows) for entry in value)
    if key == "_or":
        said = [entry for entry in value if not _is_hollow(entry)]
        return _any(holds(entry, row, rows) for entry in said) if said else True
    if key == "parent":
        found = None if row is None or row["parent"] is None else rows[row["parent"]]
        return holds(value, found, rows)
    if key == "children":
        ((kind, inner),) = value.items()
        place = None if row is None else row["place"]
        some = any(
            holds(inner, child, rows) is True for child in rows if place is not None and child["parent"] == place
        )
        return some if kind == "_some" else not some
    actual = None if row is None else row[key]
    if not isinstance(value, Mapping):
        value = {"_eq": value}
    return _all(_operator(operator, actual, operand) for operator, operand in value.items())


def _is_hollow(entry: Any) -> bool:
    """Whether there are groups in it only, and nothing in those."""
    if not entry or not entry.keys() <= {"_and", "_or"}:
        return False
    return all(_is_hollow(one) for group in entry.values() for one in group)


def _operator(operator: str, actual: Any, operand: Any) -> bool | None:
    if operator in {"_null", "_nnull"} or (operand is None and operator in {"_eq", "_neq"}):
        return (actual is None) == (
            operand if operator == "_null" else operator == "_eq" if operand is None else not operand
        )
    if operator in {"_empty", "_nempty"}:
        return (actual is None or actual == "") == (operand if operator == "_empty" else not operand)
    if operator == "_nin" and not operand:
        return True
    if operator == "_in" and not operand:
        return False
    if actual is None:
        return None
    if operator in {"_in", "_nin"}:
        return (actual in operand) == (operator == "_in")
    if operator in {"_between", "_nbetween"}:
        return (operand[0] <= actual <= operand[1]) == (operator == "_between")
    return bool({**COMPARISONS, **TEXT_OPERATORS}[operator](actual, operand))


def _all(results: Iterator[bool | None]) -> bool | None:
    found = list(results)
    return False if False in found else None if None in found else True


def _any(results: Iterator[bool | None]) -> bool | None:
    found = list(results)
    return True if True in found else None if None in found else False


@contextmanager
def urls(tmp_path: Path, kind: str) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'data.db'}"
    elif kind == "mariadb":
        with mariadb_database() as url:
            yield url
    else:
        with postgresql_database() as url:
            yield url


async def prepared(url: str) -> Items:
    database = Database.open(url)
    await database.start()
    await migrate(database)
    ctx = make_context(database)
    kinds = {
        "text": "string",
        "number": "integer",
        "ratio": "float",
        "flag": "boolean",
        "moment": "dateTime",
        "parent": "integer",
    }
    fields: list[dict[str, Any]] = [{"field": name, "type": kind} for name, kind in kinds.items()]
    fields.append({"field": "children", "type": "alias", "meta": {"special": ["o2m"]}})
    await Changes(ctx).create_collection({"collection": "rows", "schema": {}, "fields": fields})
    relation = {
        "collection": "rows",
        "field": "parent",
        "related_collection": "rows",
        "meta": {"one_field": "children"},
    }
    await Changes(ctx).create_relation(relation)
    return Items(ctx, "rows")


async def refill(items: Items, rows: list[Row]) -> None:
    await items.update_by_query(Query(), {"parent": None})
    await items.delete_by_query(Query())
    await items.create_many([{**row, "id": place, "parent": None} for place, row in enumerate(rows)])
    await items.update_batch([{"id": place, "parent": row["parent"]} for place, row in enumerate(rows)])


@pytest.mark.parametrize("kind", KINDS)
def test_a_filter_means_the_same_in_sql_as_in_python(tmp_path: Path, kind: str) -> None:
    with urls(tmp_path, kind) as url, asyncio.Runner() as runner:
        items = runner.run(prepared(url))

        @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(ROWS, min_size=3, max_size=6), st.lists(FILTERS, min_size=8, max_size=8))
        @example(
            [dict.fromkeys(("text", "number", "ratio", "flag", "moment", "parent"))], [{"text": {"_ends_with": ""}}]
        )
        def check(rows: list[Row], filters: list[Any]) -> None:
            placed = [{**row, "place": place} for place, row in enumerate(rows)]
            runner.run(refill(items, rows))
            for condition in filters:
                expected = [row["place"] for row in placed if holds(condition, row, placed) is True]
                assert runner.run(items.keys(Query(filter=condition, limit=-1))) == expected, condition

        check()
        runner.run(items._ctx.services.database.close())


@pytest.fixture
async def posts(blog: Context) -> Items:
    await Items(blog, "authors").create_many([{"name": "Ann"}, {"name": "Bob"}])
    posts = Items(blog, "posts")
    await posts.create_many([{"title": "a,b", "views": 1, "author": 1}, {"title": "c", "views": 15, "author": 2}])
    return posts


SPELLINGS: list[tuple[dict[str, Any], list[int]]] = [
    ({"views": {"_gt": "5"}}, [2]), ({"views": {"_in": "1,2,3"}}, [1]), ({"views": {"_between": "0,5"}}, [1]),
    ({"views": {"_null": "false"}}, [1, 2]), ({"author": {"_eq": 1}}, [1]), ({"author": {"name": {"_in": "Ann,Cid"}}}, [1]),
    ({"author": {"_and": [{"name": {"_eq": "Ann"}}, {"_eq": 1}]}}, [1]), ({"title": "c"}, [2]), ({}, [1, 2]),
    ({"_or": []}, [1, 2]), ({"views": {"_in": []}}, []), ({"views": {"_nin": []}}, [1, 2]),
    ({"author": {"posts": {"title": {"_eq": "c"}}}}, [2]), ({"author": {"posts": {"_eq": 1}}}, [1]),
    ({"author": {"posts": {"_null": True}}}, []), ({"title": {"_eq": "x' OR '1'='1"}}, []), ({"views": {"_gt": 2**40}}, []),
    ({"title": {"_eq": "x" * 1000}}, []),
]  # fmt: skip
"""Filters, and the keys that they find."""


async def test_a_filter_may_be_spelled_in_several_ways(posts: Items) -> None:
    assert [(condition, await posts.keys(Query(filter=condition))) for condition, _ in SPELLINGS] == SPELLINGS


SENSELESS: list[dict[str, Any]] = [
    {"views": {"_foo": 1}}, {"views": {"_contains": "1"}}, {"views": {"_gt": "abc"}}, {"views": {"_gt": None}},
    {"views": {"_gt": [1]}}, {"views": {"_between": [1]}}, {"views": {"_between": "1,2,3"}},
    {"views": {"_in": [{"a": 1}]}}, {"views": {"_eq": {"a": 1}}}, {"views": {"_null": "perhaps"}}, {"_and": {"views": 1}},
    {"_or": [5]}, {"title": {"_regex": "x"}}, {"title": {"_contains": None}}, {"title": {"_contains": "\0"}},
    {"title": {"_eq": "\0"}}, {"title": {"_contains": "\ud800"}}, {"views": {"_gt": 2**64}}, {"views": {"_eq": "$CURRENT_POLICIES"}},
    {"title": {"x": {"_eq": 1}}}, {"views": {"_eq": "$NOW(banana)"}},
]  # fmt: skip


async def test_a_filter_that_makes_no_sense_is_refused(posts: Items) -> None:
    found = [(condition, await refusal(posts.read(Query(filter=condition)))) for condition in SENSELESS]
    assert found == [(condition, InvalidQuery) for condition in SENSELESS]


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ({"views": {"_eq": {"a": [True, None, "\ud800"]}}}, r'`{"a": [true, null, "\ud800"]}`'),
        ({"title": {"_intersects": {"type": "Point", "coordinates": [1, 2]}}}, "which has no operator `_intersects`"),
    ],
)
async def test_a_refused_filter_is_shown_as_it_was_sent(posts: Items, condition: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidQuery) as raised:
        await posts.read(Query(filter=condition))
    assert reason in raised.value.message


NOT_THERE: list[dict[str, Any]] = [
    {"nope": {"_eq": 1}}, {"author": {"nope": {"_eq": 1}}}, {'title" = 1; --': {"_eq": 1}}, {"_eq": {"_eq": 1}}, {"_eq": 1},
    {"_foo": [1]}, {"": 1},
]  # fmt: skip


async def test_a_filter_on_what_there_is_not_is_forbidden(posts: Items) -> None:
    found = [(condition, await refusal(posts.read(Query(filter=condition)))) for condition in NOT_THERE]
    assert [condition for condition, error in found if error not in {Forbidden, InvalidQuery}] == []


async def test_filters_have_limits(posts: Items) -> None:
    deep: dict[str, Any] = {"views": 1}
    for _ in range(STANDARD.depth + 1):
        deep = {"_and": [deep]}
    many = {"_or": [{"views": 1}] * (STANDARD.conditions + 1)}
    for condition in (deep, many, {"views": {"_in": [1] * (STANDARD.values + 1)}}):
        with pytest.raises(InvalidQuery):
            await posts.read(Query(filter=condition))
    assert await posts.keys(Query(filter={"_or": [{"views": 1}] * STANDARD.conditions})) == [1]
    assert await posts.keys(Query(filter={"views": {"_in": list(range(2000))}})) == [1, 2]


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("$NOW", NOW), ("$NOW(-1 day)", datetime(2026, 3, 30, 12, tzinfo=UTC)),
        ("$NOW(+2 hours)", datetime(2026, 3, 31, 14, tzinfo=UTC)), ("$NOW(-1 month)", datetime(2026, 2, 28, 12, tzinfo=UTC)),
        ("$NOW(1 year)", datetime(2027, 3, 31, 12, tzinfo=UTC)),
    ],
)  # fmt: skip
def test_moments_may_be_given_from_now(value: str, moment: datetime) -> None:
    assert parse_filter({"at": {"_lt": value}}, PUBLIC, lambda: NOW).values == [moment]


def test_nobody_is_the_user_of_rows_without_one() -> None:
    found = parse_filter({"owner": {"_eq": "$CURRENT_USER"}}, PUBLIC, lambda: NOW)
    assert (found.node.node.operator, found.values) == ("_never", [])  # type: ignore[union-attr]
    ann = Actor(user="ann", roles=("a", "b"))
    assert parse_filter({"owner": {"_eq": "$CURRENT_USER"}}, ann, lambda: NOW).values == ["ann"]
    assert parse_filter({"role": {"_in": ["$CURRENT_ROLES"]}}, ann, lambda: NOW).values == ["a", "b"]


def test_a_quantifier_without_a_filter_is_told_what_it_lacks() -> None:
    with pytest.raises(InvalidQuery) as refused:
        parse_filter({"posts": {"_some": 5}}, PUBLIC, lambda: NOW)
    assert refused.value.details["reason"].startswith("`_some` of `posts` needs a filter")


async def test_one_shape_of_query_is_compiled_once(posts: Items) -> None:
    schema = await posts._ctx.services.schemas.get()
    await posts.read(Query(filter={"views": {"_in": [1, 2, 3]}}, limit=5))
    kept = len(schema.plans)
    for number in range(20):
        await posts.read(Query(filter={"views": {"_in": [number, 5, 6, 7]}}, limit=number + 1))
    assert len(schema.plans) == kept
