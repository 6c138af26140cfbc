"""As in `test_secrecy`, asked by GraphQL: nothing that a policy hides has any effect on what an actor is told."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from datastead.api.doors import Doors
from datastead.api.graphql.service import Graphql
from datastead.context import Actor, Context
from datastead.data.schema import Permission, Plans, Policies, Schema
from datastead.errors import DatasteadError

from .test_secrecy import World, _Fixed, fill, grants, others, rows, world

__all__ = ["world"]

PARTS = {
    "authors": ["id", "name", "age", "born", "born_func { year }", "posts { title views }", "posts_func { count }", "open",
                'posts(filter: {views: {_gt: 2}}, sort: ["-title"], limit: 1) { id title }', 'a: posts(search: "Ann") { id }'],
    "posts": ["id", "title", "views", "status", "labels", "labels_func { count }", "at_func { hour }", "author { name age }",
              "author { id posts { views title } }", "author { posts_func { count } born_func { month } }", "author { __typename }",
              "author(filter: {age: {_gt: 2}}) { id }", 'b: author(search: "Ann") { posts(limit: 1) { id } }'],
}  # fmt: skip
FILTERS = {
    "authors": ["{age: {_gt: 2}}", '{name: {_contains: "n"}}', '{posts: {_some: {title: {_eq: "Ann"}}}}',
                "{posts: {_none: {views: {_gt: 2}}}}", "{posts_func: {count: {_gt: 0}}}", "{born_func: {year: {_eq: 2024}}}"],
    "posts": ["{views: {_gt: 2}}", "{title: {_null: true}}", "{author: {age: {_lt: 3}}}", "{at_func: {hour: {_gt: 5}}}",
              '{author: {posts: {_some: {title: {_eq: "x"}}}}}', "{labels_func: {count: {_gt: 0}}}"],
}  # fmt: skip
SORTS = {
    "authors": ["name", "-age", "year(born)", "count(posts)"],
    "posts": ["title", "-views", "author.name", "author.age", "hour(at)"],
}
SUMS = [
    "countAll",
    "count { id }",
    "sum { age views }",
    "max { views }",
    "max { age }",
    "countDistinct { title }",
    "count { name }",
]


@st.composite
def requests(draw: Any) -> str:
    name = draw(st.sampled_from(sorted(PARTS)))
    condition = " ".join(draw(st.lists(st.sampled_from(FILTERS[name]), min_size=1, max_size=2)))
    wanted = [f"limit: {draw(st.sampled_from([-1, 1]))}"]
    wanted += [f"filter: {{_{draw(st.sampled_from(['and', 'or']))}: [{condition}]}}"] if draw(st.booleans()) else []
    wanted += [f'sort: ["{draw(st.sampled_from(SORTS[name]))}"]'] if draw(st.booleans()) else []
    wanted += [f'search: "{draw(st.sampled_from(["Ann", "1", "n"]))}"'] if draw(st.integers(0, 3)) == 0 else []
    parts = " ".join(draw(st.lists(st.sampled_from(PARTS[name]), min_size=1, max_size=3, unique=True)))
    sums = " ".join(draw(st.lists(st.sampled_from(SUMS), min_size=1, max_size=2, unique=True)))
    return draw(
        st.sampled_from(
            [
                f"{{ {name}({', '.join(wanted)}) {{ {parts} }} }}",
                f"{{ {name}({', '.join(wanted)}) {{ {parts} }} }}",
                f"{{ {name}_by_id(id: {draw(st.integers(1, 3))}) {{ {parts} }} }}",
                f"{{ {name}_aggregated(filter: {draw(st.sampled_from(FILTERS[name]))}) {{ {sums} }} }}",
                f'{{ {name}_aggregated(groupBy: ["{draw(st.sampled_from(SORTS[name])).strip("-")}"]) {{ group {sums} }} }}',
            ]
        )
    )


async def told(ctx: Context, schema: Schema, permissions: Sequence[Permission], asked: Sequence[str]) -> list[Any]:
    """All that the actor is told: what exists for it, and the answer to each request."""
    policies = Policies({str(n): (replace(each, policy=str(n)),) for n, each in enumerate(permissions)})
    services = replace(ctx.services, schemas=_Fixed(replace(schema, policies=policies, plans=Plans())))  # type: ignore[arg-type]
    actor = Context(services, Actor(user="u", policies=tuple(policies.permissions)))
    graphql = Graphql(Doors(Starlette()))
    answers: list[Any] = [await graphql.sdl(actor, "items")]
    for text in asked:
        try:
            answers.append(await graphql.answer(actor, "items", {"query": text}))
        except DatasteadError as error:
            answers.append((error.code, error.details))
    return answers


def check(world: World, data: st.DataObject) -> None:
    known, permissions = data.draw(rows()), data.draw(grants())
    other = data.draw(others(known, permissions))
    asked = data.draw(st.lists(requests(), min_size=6, max_size=6))
    world.run(fill(world.first, known))
    world.run(fill(world.second, other))
    contexts = (world.first, world.second)
    answers = [world.run(told(ctx, world.run(ctx.services.schemas.get()), permissions, asked)) for ctx in contexts]
    assert answers[0] == answers[1], asked


@settings(max_examples=15)
@given(data=st.data())
def test_what_is_hidden_changes_no_answer_of_graphql(world: World, data: st.DataObject) -> None:
    check(world, data)


@pytest.mark.full
@settings(max_examples=800)
@given(data=st.data())
def test_what_is_hidden_changes_no_answer_of_graphql_at_length(world: World, data: st.DataObject) -> None:
    check(world, data)


def test_the_requests_are_answered_where_nothing_is_hidden(world: World) -> None:
    everything = [Permission("p", name, "read") for name in PARTS]
    rows_of = {"authors": [{"id": 1, "open": 1, "name": "Ann", "age": 3, "born": "2024-01-01"}], "posts": []}
    world.run(fill(world.first, rows_of))
    asked = [f"{{ {name} {{ {part} }} }}" for name, parts in PARTS.items() for part in parts]
    asked += [f"{{ {name}(filter: {each}) {{ id }} }}" for name, all_of in FILTERS.items() for each in all_of]
    schema = world.run(world.first.services.schemas.get())
    _, *answers = world.run(told(world.first, schema, everything, asked))
    assert [
        each for each, text in zip(answers, asked, strict=True) if isinstance(each, tuple) or "errors" in each
    ] == []
