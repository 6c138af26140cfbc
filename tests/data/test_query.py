"""Query parameters, as the contract spells them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastead.data.query import Query
from datastead.errors import InvalidQuery
from datastead.settings import Settings


@pytest.mark.parametrize(
    ("parameters", "query"),
    [
        ({}, Query()),
        ({"fields": "a,b.c", "sort": "-a,b"}, Query(fields=("a", "b.c"), sort=("-a", "b"))),
        ({"fields": ["a", "b,c"]}, Query(fields=("a", "b", "c"))),
        ({"fields": '["a", "b"]'}, Query(fields=("a", "b"))),
        ({"filter": '{"a": {"_eq": 1}}'}, Query(filter={"a": {"_eq": 1}})),
        ({"filter": {"a": {"_eq": "1"}}}, Query(filter={"a": {"_eq": "1"}})),
        ({"limit": "-1", "offset": "5", "page": "2"}, Query(limit=-1, offset=5, page=2)),
        ({"limit": 0, "page": "0"}, Query(limit=0)),
        ({"search": "x", "meta": "*"}, Query(search="x", meta=("total_count", "filter_count"))),
        ({"meta": "total_count,nonsense"}, Query(meta=("total_count",))),
        ({"access_token": "x", "deep": {}, "aggregate": ""}, Query()),
    ],
)
def test_a_query_is_understood(parameters: dict[str, Any], query: Query) -> None:
    assert Query.parse(parameters, Settings()) == query


@pytest.mark.parametrize(
    "parameters",
    [
        {"limit": "abc"}, {"limit": "-2"}, {"limit": 1.5}, {"limit": True}, {"limit": "9" * 30}, {"offset": "-1"},
        {"page": "-1"}, {"page": "x"}, {"filter": "{bad"}, {"filter": "5"}, {"filter": [1]}, {"fields": 5}, {"fields": [5]},
        {"fields": "[bad"}, {"sort": {"a": 1}}, {"search": {"a": 1}}, {"search": "\0"}, {"fields": ["a"] * 501},
        {"deep": {"posts": {"_limit": "x"}}}, {"deep": {"posts": {"_backlink": "a"}}}, {"deep": "x"}, {"deep": {"posts": 5}},
        {"aggregate": {"total": "*"}}, {"aggregate": "x"}, {"groupBy": 5}, {"alias": {"a": "b.c"}}, {"alias": {"a*": "b"}},
        {"alias": "x"},
    ],
)  # fmt: skip
def test_a_query_that_makes_no_sense_is_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(InvalidQuery) as raised:
        Query.parse(parameters, Settings())
    assert next(iter(parameters)) in raised.value.message or "limit" in raised.value.message


def test_the_largest_limit_bounds_what_may_be_asked_for() -> None:
    settings = Settings(query_limit_max=50)
    assert Query.parse({"limit": "-1"}, settings).limit == 50
    with pytest.raises(InvalidQuery):
        Query.parse({"limit": "51"}, settings)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "fields",
                "filter",
                "sort",
                "limit",
                "offset",
                "page",
                "search",
                "meta",
                "deep",
                "alias",
                "aggregate",
                "groupBy",
            ]
        ),
        JSON,
    )
)
def test_whatever_comes_is_a_query_or_refused(parameters: dict[str, Any]) -> None:
    try:
        query = Query.parse(parameters, Settings())
    except InvalidQuery:
        return
    query.window(100)
