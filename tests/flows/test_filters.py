"""Template filters over odd values: none of them fails on a value that a row or a model can have."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datastead import count_tokens
from datastead.extensions import FilterType
from datastead.flows.template import Templates
from tests.flows.conftest import REGISTRY

FILTERS = {name: found.apply for name, found in REGISTRY.all(FilterType).items()}
TEMPLATES = Templates(REGISTRY)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "truncate": (5,),
    "truncate_tokens": (5,),
    "replace": ("a", "b"),
    "default": (1,),
    "join": (", ",),
}


def test_every_filter_of_the_guide_is_there() -> None:
    assert FILTERS.keys() >= {
        "truncate", "truncate_tokens", "striptags", "json", "default", "join", "upper", "lower", "trim", "replace", "date",
        "slugify", "length", "first", "last",
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(FILTERS.keys() - {"date"}))
@given(value=ODD)
@settings(max_examples=40, deadline=None)
def test_a_filter_takes_any_value(name: str, value: Any) -> None:
    FILTERS[name](value, *ARGUMENTS.get(name, ()))


@given(value=st.text(max_size=300), tokens=st.integers(0, 50))
@settings(max_examples=100, deadline=None)
def test_truncated_tokens_are_never_more_and_always_the_beginning(value: str, tokens: int) -> None:
    found = FILTERS["truncate_tokens"](value, tokens)
    assert count_tokens(found) <= tokens
    assert value.startswith(found)
    assert found == value or count_tokens(value) > tokens


@given(value=st.text())
@settings(deadline=None)
def test_a_slug_is_one_word_and_its_own_slug(value: str) -> None:
    slug = FILTERS["slugify"](value)
    assert not any(character.isspace() for character in slug)
    assert FILTERS["slugify"](slug) == slug


@pytest.mark.parametrize(
    ("template", "value", "expected"),
    [
        ("{{ $trigger | slugify }}", "Crème  brûlée & Straße!", "creme-brulee-strasse"),
        ("{{ $trigger | slugify }}", "Acme℠ ⅣK", "acmesm-ivk"),
        ("{{ $trigger | slugify }}", "我们 今天", "我们-今天"),
        ("{{ $trigger | slugify }}", "हिन्दी में", "हिन्दी-में"),
        ("{{ $trigger | slugify('_') }}", "a b", "a_b"),
        ("{{ $trigger | date }}", "2026-11-26T23:30:00Z", "2026-11-26"),
        ("{{ $trigger | date('%d.%m.%Y %H:%M', 'Europe/Zurich') }}", "2026-11-26T23:30:00Z", "27.11.2026 00:30"),
        ("{{ $trigger | date('%Y') }}", 0, "1970"),
        ("{{ $trigger | date }}", None, ""),
        ("{{ $trigger | truncate_tokens(2) }}", "one two three", "one two"),
        ("{{ $trigger | truncate_tokens(1, 'gpt-4.1') }}", "one two three", "one"),
        ("{{ $trigger | striptags | truncate(4) }}", "<p>Salt &amp; pepper</p>", "Salt"),
    ],
)
def test_a_filter_gives_what_its_docs_say(template: str, value: Any, expected: str) -> None:
    assert TEMPLATES.render(template, {"$trigger": value}).value == expected


@pytest.mark.parametrize("value", ["soon", True, [1], 1e300])
def test_what_is_no_time_is_a_template_error_and_no_crash(value: Any) -> None:
    from datastead.errors import TemplateError

    with pytest.raises(TemplateError):
        TEMPLATES.render("{{ $trigger | date }}", {"$trigger": value})
