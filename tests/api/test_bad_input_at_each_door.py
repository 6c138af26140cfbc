"""What makes no sense, sent to REST, GraphQL and the WebSocket alike: the contract's codes, and nothing is left behind.

A collection of nodes whose `parent` is a node, so that what is written can lead back to where it began.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from .conftest import Server, serving
from .test_realtime import Door, door, place, settings_of

__all__ = ["door", "place"]

TEXT = {"max_length": 64, "is_nullable": False}
INJECTION = 'id"; DROP TABLE x; --'
NOT_OF_ITS_TYPE = {"GRAPHQL_VALIDATION", "INVALID_PAYLOAD"}
"""How GraphQL refuses what its schema has no place for."""


def nested(times: int, value: Any, name: str = "parent") -> Any:
    """The value within objects, each the field of the one around it."""
    for _ in range(times):
        value = {"title": "x", name: [value] if name == "children" else value}
    return value


def within(times: int, name: str, value: Any) -> Any:
    for _ in range(times):
        value = {name: [value]} if name.startswith("_") else {name: value}
    return value


@pytest.fixture(scope="module")
def nodes(place: Door) -> str:
    name = f"nodes_{uuid4().hex[:8]}"
    key = {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}}
    fields = [
        key, {"field": "title", "type": "string", "schema": TEXT}, {"field": "views", "type": "integer"},
        {"field": "slug", "type": "string", "schema": {"is_unique": True}}, {"field": "parent", "type": "integer"},
        {"field": "out", "type": "dateTime"}, {"field": "owner", "type": "uuid"},
        {"field": "children", "type": "alias", "schema": None, "meta": {"special": ["o2m"]}},
    ]  # fmt: skip
    assert place.http.post("/collections", {"collection": name, "schema": {}, "fields": fields}).status == 200
    relation = {"collection": name, "field": "parent", "related_collection": name, "meta": {"one_field": "children"}}
    assert place.http.post("/relations", relation).status == 200
    new = [{"title": "first", "slug": "taken"}, {"title": "second", "parent": 1}]
    assert place.http.post(f"/items/{name}", new).status == 200
    return name


def codes_of_a_write(door: Door, nodes: str, new: list[Any]) -> dict[str, str]:
    """What each door says to items that are to be created."""
    mutation = f"mutation ($new: [create_{nodes}_input!]) {{ create_{nodes}_items(data: $new) {{ id }} }}"
    answers = {
        "rest": door.http.post(f"/items/{nodes}", new).json,
        "graphql": door.http.post("/graphql", {"query": mutation, "variables": {"new": new}}).json,
        "websocket": door.to().ask(type="items", action="create", collection=nodes, data=new, uid="1"),
    }
    return {name: _code(answer) for name, answer in answers.items()}


def codes_of_a_read(door: Door, nodes: str, query: dict[str, Any]) -> dict[str, str]:
    return {
        "rest": _code(door.http.send("SEARCH", f"/items/{nodes}", {"query": query}).json),
        "websocket": _code(door.to().ask(type="items", action="read", collection=nodes, query=query, uid="1")),
    }


def _code(answer: Any) -> str:
    found = answer["errors"][0]["extensions"] if "errors" in answer else answer.get("error", {})
    return str(found.get("code", f"accepted: {json.dumps(answer)[:200]}"))


GOOD = {"title": "good"}
WRITES: dict[str, tuple[list[Any], str]] = {
    "text for a number": ([{"title": "x", "views": "many"}], "INVALID_PAYLOAD"),
    "a list for a text": ([{"title": ["x"]}], "INVALID_PAYLOAD"),
    "no date": ([{"title": "x", "out": "tomorrow"}], "INVALID_PAYLOAD"),
    "no uuid": ([{"title": "x", "owner": "nobody"}], "INVALID_PAYLOAD"),
    "nothing where something is needed": ([{"title": None}], "FAILED_VALIDATION"),
    "a text that is too long": ([{"title": "x" * 65}], "VALUE_TOO_LONG"),
    "a number that is too large": ([{"title": "x", "views": 1 << 63}], "VALUE_OUT_OF_RANGE"),
    "a NUL character": ([{"title": "a\0b"}], "INVALID_PAYLOAD"),
    "SQL for a name": ([{"title": "x", INJECTION: 1}], "INVALID_PAYLOAD"),
    "a value that is taken": ([{"title": "x", "slug": "taken"}], "RECORD_NOT_UNIQUE"),
    "a value twice": ([{"title": "x", "slug": "a"}, {"title": "y", "slug": "a"}], "RECORD_NOT_UNIQUE"),
    "a key twice": ([{"title": "x", "id": 70}, {"title": "y", "id": 70}], "RECORD_NOT_UNIQUE"),
    "no such parent": ([{"title": "x", "parent": 999}], "INVALID_FOREIGN_KEY"),
    "parents without end": ([nested(40, {"title": "x"})], "INVALID_PAYLOAD"),
    "children without end": ([nested(40, {"title": "x"}, "children")], "INVALID_PAYLOAD"),
    "a bad item deep inside": ([nested(3, {"title": "x" * 65}, "children")], "VALUE_TOO_LONG"),
    "a child for a number": ([{"title": "x", "children": 5}], "INVALID_PAYLOAD"),
}
READS: dict[str, tuple[dict[str, Any], str]] = {
    "an operator that there is not": ({"filter": {"views": {"_foo": 1}}}, "INVALID_QUERY"),
    "an operator of another type": ({"filter": {"views": {"_contains": "1"}}}, "INVALID_QUERY"),
    "a filter that is too deep": ({"filter": within(40, "_and", {"views": 1})}, "INVALID_QUERY"),
    "relations without end": ({"filter": within(20, "parent", {"views": 1})}, "INVALID_QUERY"),
    "too many conditions": ({"filter": {"_or": [{"views": 1}] * 501}}, "INVALID_QUERY"),
    "too many values": ({"filter": {"id": {"_in": list(range(5001))}}}, "INVALID_QUERY"),
    "too many names": ({"fields": ["id"] * 501}, "INVALID_QUERY"),
    "fields without end": ({"fields": [".".join(["parent"] * 12)]}, "INVALID_QUERY"),
    "a negative limit": ({"limit": -5}, "INVALID_QUERY"),
    "a text for a limit": ({"limit": "all"}, "INVALID_QUERY"),
    "SQL for a field": ({"fields": [INJECTION]}, "FORBIDDEN"),
    "SQL to sort by": ({"sort": [INJECTION]}, "FORBIDDEN"),
    "SQL to filter on": ({"filter": {INJECTION: {"_eq": 1}}}, "FORBIDDEN"),
    "SQL to group by": ({"groupBy": [INJECTION], "aggregate": {"count": "*"}}, "FORBIDDEN"),
    "SQL for a function": ({"aggregate": {INJECTION: "id"}}, "INVALID_QUERY"),
    "SQL in a function": ({"fields": [f"year({INJECTION})"]}, "FORBIDDEN"),
}


@pytest.mark.parametrize("what", WRITES)
def test_a_write_that_makes_no_sense_is_refused_at_each_door_and_leaves_nothing(
    door: Door, nodes: str, what: str
) -> None:
    new, code = WRITES[what]
    before = door.http.get(f"/items/{nodes}?limit=-1").body
    history = door.http.get(f"/activity?filter[collection][_eq]={nodes}&aggregate[count]=*").data
    found = codes_of_a_write(door, nodes, [GOOD, *new])
    assert (found["rest"], found["websocket"]) == (code, code)
    assert found["graphql"] in {code, *NOT_OF_ITS_TYPE}
    assert door.http.get(f"/items/{nodes}?limit=-1").body == before
    assert door.http.get(f"/activity?filter[collection][_eq]={nodes}&aggregate[count]=*").data == history


@pytest.mark.parametrize("what", READS)
def test_a_query_that_makes_no_sense_is_refused_at_each_door(door: Door, nodes: str, what: str) -> None:
    query, code = READS[what]
    assert codes_of_a_read(door, nodes, query) == {"rest": code, "websocket": code}


def test_what_is_written_may_lead_back_to_where_it_began(door: Door, nodes: str) -> None:
    path = f"/items/{nodes}"
    one, two = (door.http.post(path, {"title": title}).data["id"] for title in ("one", "two"))
    circle = {"parent": {"id": two, "title": "2", "parent": {"id": one, "title": "1"}}}
    assert door.http.send("PATCH", f"{path}/{one}", circle).status == 200
    own = {"children": [{"id": two, "children": [{"id": one, "children": [two]}]}]}
    assert door.http.send("PATCH", f"{path}/{one}", own).status == 200
    chain = door.http.get(f"{path}/{one}?fields=title,parent.title,parent.parent.title,parent.parent.parent.title").data
    assert chain["parent"]["parent"]["title"] == chain["title"] == "1"
    assert door.http.send("DELETE", path, [one, two, one]).status == 204


def test_a_key_that_is_named_twice_counts_once_and_a_name_twice_its_last_value(door: Door, nodes: str) -> None:
    path, json_headers = f"/items/{nodes}", {"Content-Type": "application/json"}
    made = door.http.send("POST", path, raw=b'{"title": "one", "title": "two"}', headers=json_headers).data
    assert made["title"] == "two"
    twice = door.http.send("PATCH", f"{path}?fields=id", {"keys": [made["id"]] * 2, "data": {"views": 1}})
    assert twice.data == [{"id": made["id"]}]
    each = door.http.send("PATCH", path, [{"id": made["id"], "views": 1}, {"id": made["id"], "views": 2}])
    assert [item["views"] for item in each.data] == [2]
    door.http.send("DELETE", f"{path}/{made['id']}")


@pytest.mark.parametrize(
    "path", ["/graphql", "/graphql/system", "/collections", "/auth/login", "/utils/sort/x", "/users"]
)
def test_a_body_of_another_type_is_refused(door: Door, path: str) -> None:
    answer = door.http.send("POST", path, raw=b"a=b", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert (answer.status, answer.code) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that takes little."""
    folder: Path = tmp_path_factory.mktemp("narrow")
    little = {
        "max_payload_size": 400, "max_batch_mutation": 2, "max_relational_depth": 2, "query_fields_max": 2,
        "query_filter_max_depth": 2, "query_filter_max_conditions": 2, "query_filter_max_values": 2, "query_limit_max": 2,
        "query_sort_max": 2, "query_alias_max": 2, "query_deep_max": 2, "query_deep_max_depth": 1, "query_relations_max": 1,
        "query_string_max_size": 100, "query_string_max_parameters": 3, "query_string_max_depth": 3,
    }  # fmt: skip
    with serving(settings_of(f"sqlite:///{folder / 'data.db'}", folder, **little)) as port:
        server = Server(port)
        assert server.post("/collections", {"collection": "notes", "schema": {}}).status == 200
        assert server.post("/fields/notes", {"field": "note", "type": "string"}).status == 200
        for name in ("before", "after"):
            assert server.post("/fields/notes", {"field": name, "type": "integer"}).status == 200
            relation = {"collection": "notes", "field": name, "related_collection": "notes"}
            assert server.post("/relations", relation).status == 200
        yield server


@pytest.mark.parametrize(
    ("query", "setting"),
    [
        ({"fields": ["id", "note", "id"]}, "QUERY_FIELDS_MAX"),
        ({"sort": ["id", "note", "id"]}, "QUERY_SORT_MAX"),
        ({"aggregate": {"count": "id,note,id"}}, "QUERY_SORT_MAX"),
        ({"groupBy": "id,note,id"}, "QUERY_SORT_MAX"),
        ({"meta": "a,b,c"}, "QUERY_SORT_MAX"),
        ({"alias": {"a": "id", "b": "id", "c": "id"}}, "QUERY_ALIAS_MAX"),
        ({"deep": {"a": {}, "b": {"c": {}}}}, "QUERY_DEEP_MAX"),
        ({"deep": {"a": {"b": {"c": {}}}}}, "QUERY_DEEP_MAX_DEPTH"),
        ({"fields": ["before.id", "after.id"]}, "QUERY_RELATIONS_MAX"),
        ({"filter": within(3, "_and", {"id": 1})}, "QUERY_FILTER_MAX_DEPTH"),
        ({"filter": {"_or": [{"id": 1}, {"id": 2}, {"id": 3}]}}, "QUERY_FILTER_MAX_CONDITIONS"),
        ({"filter": {"id": {"_in": [1, 2, 3]}}}, "QUERY_FILTER_MAX_VALUES"),
        ({"limit": 3}, None),
    ],
)
def test_how_large_a_query_may_be_is_a_setting(narrow: Server, query: dict[str, Any], setting: str | None) -> None:
    answer = narrow.send("SEARCH", "/items/notes", {"query": query})
    assert (answer.status, answer.code) == (400, "INVALID_QUERY")
    assert setting is None or setting in answer.body


@pytest.mark.parametrize(
    ("query", "setting"),
    [
        (f"search={'x' * 100}", "QUERY_STRING_MAX_SIZE"),
        ("a=1&b=1&c=1&d=1", "QUERY_STRING_MAX_PARAMETERS"),
        ("filter[a][b][_eq]=1", "QUERY_STRING_MAX_DEPTH"),
    ],
)
def test_how_large_a_query_string_may_be_is_a_setting(narrow: Server, query: str, setting: str) -> None:
    answer = narrow.get(f"/items/notes?{query}")
    assert (answer.status, answer.code) == (400, "INVALID_QUERY")
    assert setting in answer.body


def test_how_large_a_write_may_be_is_a_setting(narrow: Server) -> None:
    for body in ([{"note": "x"}] * 3, {"note": "x" * 400}):
        answer = narrow.post("/items/notes", body)
        assert (answer.status, answer.code) == (400, "INVALID_PAYLOAD")
    assert narrow.get("/items/notes").data == []
