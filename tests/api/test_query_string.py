"""The query string, as nested values."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastead.api.query_string import parse_query_string
from datastead.errors import InvalidQuery


@pytest.mark.parametrize(
    ("raw", "parsed"),
    [
        (b"", {}),
        (b"fields=id,title", {"fields": "id,title"}),
        (b"fields[]=id&fields[]=title", {"fields": ["id", "title"]}),
        (b"fields=id&fields=title", {"fields": ["id", "title"]}),
        (b"fields[1]=title&fields[0]=id", {"fields": ["id", "title"]}),
        (b"filter[views][_gt]=5", {"filter": {"views": {"_gt": "5"}}}),
        (b"filter%5Bviews%5D%5B_in%5D%5B%5D=5", {"filter": {"views": {"_in": ["5"]}}}),
        (b"filter[_or][0][a][_eq]=1&filter[_or][1][b][_eq]=2",
         {"filter": {"_or": [{"a": {"_eq": "1"}}, {"b": {"_eq": "2"}}]}}),
        (b"filter[year(published_on)][_eq]=2024", {"filter": {"year(published_on)": {"_eq": "2024"}}}),
        (b"filter=%7B%22a%22%3A1%7D", {"filter": '{"a":1}'}),
        (b"search=a+b%2Bc", {"search": "a b+c"}),
        (b"sort", {"sort": ""}),
        (b"&&a=1&", {"a": "1"}),
        (b"a[b=1", {"a[b": "1"}),
        (b"search=%F0%9F%8C%B1", {"search": "\N{SEEDLING}"}),
    ],
)  # fmt: skip
def test_each_spelling_has_one_meaning(raw: bytes, parsed: dict[str, Any]) -> None:
    assert parse_query_string(raw) == parsed


@pytest.mark.parametrize(
    "raw",
    [b"a=1&a[b]=2", b"a[b]=1&a[b][c]=2", b"a=%FF", b"a=%00", b"a" + b"[b]" * 30 + b"=1", b"a=1&" * 2000,
     b"a=" + b"b" * 70_000],
)  # fmt: skip
def test_what_cannot_be_read_or_has_no_end_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidQuery):
        parse_query_string(raw)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    with suppress(InvalidQuery):
        assert isinstance(parse_query_string(raw), dict)


@given(st.text(alphabet="ab[]0=&,.%+", max_size=60))
def test_any_brackets_are_read_or_refused(text: str) -> None:
    with suppress(InvalidQuery):
        assert isinstance(parse_query_string(text.encode()), dict)
