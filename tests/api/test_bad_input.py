"""Bad input: each a typed error that names what is wrong, never a 500, nothing half-written."""

import json
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datastead.settings import Settings

from .conftest import ADMIN_TOKEN, Server, serving

fuzzed = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "raw", [b"{", b'{"title":', b"nope", b"\xff", b"[1,]", b'{"title": NaN}', b'{"title": "\\u0000"}']
)
def test_a_body_that_is_not_json_is_refused(server: Server, articles: str, raw: bytes) -> None:
    answer = server.send("POST", f"/items/{articles}", raw=raw, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.code) == (400, "INVALID_PAYLOAD")
    assert server.get(f"/items/{articles}").data == []


@pytest.mark.parametrize("body", ["text", 5, True, [1], [{"title": "good"}, "bad"], [None]])
def test_a_body_that_is_no_object_and_no_list_of_objects_is_refused(server: Server, articles: str, body: Any) -> None:
    answer = server.send(
        "POST", f"/items/{articles}", raw=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    assert (answer.status, answer.code) == (400, "INVALID_PAYLOAD")
    assert server.get(f"/items/{articles}").data == []


def test_no_body_is_refused_where_one_is_needed(server: Server, articles: str) -> None:
    for method, path in (("POST", ""), ("PATCH", ""), ("PATCH", "/1"), ("DELETE", ""), ("SEARCH", "")):
        answer = server.send(method, f"/items/{articles}{path}")
        assert (method, answer.status, answer.code) == (method, 400, "INVALID_PAYLOAD")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_another_content_type_is_refused(server: Server, articles: str, kind: str) -> None:
    answer = server.send("POST", f"/items/{articles}", raw=b'{"title": "x"}', headers={"Content-Type": kind})
    assert (answer.status, answer.code) == (415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("", {"data": {"views": 1}}),
        ("", {"keys": [1]}),
        ("", {"keys": "1", "data": {}}),
        ("", {"keys": [{}], "data": {}}),
        ("", {"query": [], "data": {"views": 1}}),
        ("", {"query": "x", "data": {}}),
        ("", [1]),
        ("/1", [1]),
        ("/1", "x"),
    ],
)
def test_an_update_of_another_shape_is_refused(server: Server, articles: str, path: str, body: Any) -> None:
    answer = server.send("PATCH", f"/items/{articles}{path}", body)
    assert (answer.status, answer.code) == (400, "INVALID_PAYLOAD")


@pytest.mark.parametrize("body", [{}, {"keys": 1}, {"keys": [[]]}, "x", {"query": 5}])
def test_a_delete_of_another_shape_is_refused(server: Server, articles: str, body: Any) -> None:
    answer = server.send("DELETE", f"/items/{articles}", body)
    assert (answer.status, answer.code) == (400, "INVALID_PAYLOAD")


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("limit=-5", 400, "INVALID_QUERY"),
        ("limit=abc", 400, "INVALID_QUERY"),
        ("offset=-1", 400, "INVALID_QUERY"),
        ("filter={bad", 400, "INVALID_QUERY"),
        ("filter=5", 400, "INVALID_QUERY"),
        ("filter[views][_foo]=1", 400, "INVALID_QUERY"),
        ("filter[nope][_eq]=1", 403, "FORBIDDEN"),
        ("fields=nope", 403, "FORBIDDEN"),
        ("sort=nope", 403, "FORBIDDEN"),
        ("fields=" + ".".join(["author"] * 30), 400, "INVALID_QUERY"),
        ("a=%FF", 400, "INVALID_QUERY"),
        ("search=%00", 400, "INVALID_QUERY"),
        ("filter=1&filter[a]=2", 400, "INVALID_QUERY"),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(
    server: Server, articles: str, query: str, status: int, code: str
) -> None:
    answer = server.get(f"/items/{articles}?{query}")
    assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize(
    "path",
    ["/items/nope", "/items/nope/1", "/items/directus_users", "/items/datastead_runs", "/items/%00", "/items/a%20b'--",
     "/collections/nope", "/fields/nope", "/fields/nope/x", "/flows/nope", "/operations/nope", "/flows/runs/nope"],
)  # fmt: skip
def test_what_does_not_exist_and_what_is_not_allowed_look_alike(server: Server, path: str) -> None:
    answer = server.get(path)
    assert (answer.status, answer.code) == (403, "FORBIDDEN")


@pytest.mark.parametrize("key", ["999", "abc", "1.5", "9" * 40, "%00", "-1", "1%20OR%201=1", "%F0%9F%8C%B1"])
def test_a_key_that_no_item_has_is_forbidden(server: Server, articles: str, key: str) -> None:
    answer = server.get(f"/items/{articles}/{key}")
    assert (answer.status, answer.code) == (403, "FORBIDDEN")


@pytest.mark.parametrize(
    ("payload", "codes"),
    [
        ({"title": None}, {"NOT_NULL_VIOLATION", "FAILED_VALIDATION"}),
        ({}, {"NOT_NULL_VIOLATION", "FAILED_VALIDATION"}),
        ({"title": "x" * 65}, {"VALUE_TOO_LONG"}),
        ({"title": "x", "views": "many"}, {"INVALID_PAYLOAD", "FAILED_VALIDATION"}),
        ({"title": "x", "views": 1 << 70}, {"VALUE_OUT_OF_RANGE", "INVALID_PAYLOAD", "FAILED_VALIDATION"}),
        ({"title": "x", "slug": "taken"}, {"RECORD_NOT_UNIQUE"}),
        ({"title": {"a": 1}}, {"INVALID_PAYLOAD", "FAILED_VALIDATION"}),
        ({"title": "x", "no_such_field": 1}, {"INVALID_PAYLOAD"}),
    ],
)
def test_a_value_that_the_field_cannot_hold_is_refused(
    server: Server, articles: str, payload: dict[str, Any], codes: set[str]
) -> None:
    server.post(f"/items/{articles}", {"title": "first", "slug": "taken"})
    answer = server.post(f"/items/{articles}", payload)
    assert answer.status == 400
    assert answer.code in codes
    many = server.post(f"/items/{articles}", [{"title": "good"}, payload])
    assert many.status == 400
    assert len(server.get(f"/items/{articles}").data) == 1


def test_a_body_that_is_too_large_is_refused(server: Server, articles: str) -> None:
    answer = server.post(f"/items/{articles}", {"title": "x" * 2_000_000})
    assert (answer.status, answer.code) == (400, "INVALID_PAYLOAD")
    assert "MAX_PAYLOAD_SIZE" in answer.body


def test_a_body_without_a_length_is_refused_before_it_has_all_come(server: Server, articles: str) -> None:
    """Sent in chunks that never end; the server answers while it comes."""
    head = (
        f"POST /items/{articles} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as client:
        client.sendall(head.encode())
        for _ in range(17):
            client.sendall(chunk)
        answer = b""
        while b"INVALID_PAYLOAD" not in answer and (piece := client.recv(65536)):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"INVALID_PAYLOAD" in answer


def test_a_body_that_is_nested_without_end_is_refused(server: Server, articles: str) -> None:
    raw = b'{"title": "x", "tags": ' + b"[" * 5000 + b"]" * 5000 + b"}"
    answer = server.send("POST", f"/items/{articles}", raw=raw, headers={"Content-Type": "application/json"})
    assert (answer.status, answer.code) == (400, "INVALID_PAYLOAD")


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/nope"), ("PUT", "/items/a/1"), ("POST", "/server/ping"), ("TRACE", "/items/a"),
     ("GET", "/items"), ("GET", "/items/a/b/c")],
)  # fmt: skip
def test_an_unknown_route_or_method_is_not_found(server: Server, method: str, path: str) -> None:
    answer = server.send(method, path)
    assert (answer.status, answer.code) == (404, "ROUTE_NOT_FOUND")
    assert answer.json["errors"][0]["extensions"]["path"] == path


def test_options_says_which_methods_there_are(server: Server) -> None:
    answer = server.send("OPTIONS", "/server/ping")
    assert (answer.status, answer.headers["allow"]) == (204, "GET")


def test_a_page_of_an_allowed_origin_may_ask_first(server: Server) -> None:
    headers = {"Origin": "https://studio.example.com", "Access-Control-Request-Method": "PATCH"}
    answer = server.public.send("OPTIONS", "/items/a", headers=headers)
    assert answer.headers["access-control-allow-origin"] == "https://studio.example.com"
    other = server.public.send("OPTIONS", "/items/a", headers={**headers, "Origin": "https://evil.example.com"})
    assert "access-control-allow-origin" not in other.headers


@fuzzed
@given(body=json_values)
def test_no_json_body_breaks_the_server(server: Server, articles: str, body: Any) -> None:
    for method, path in (
        ("POST", f"/items/{articles}"),
        ("PATCH", f"/items/{articles}"),
        ("DELETE", f"/items/{articles}"),
        ("SEARCH", f"/items/{articles}"),
        ("PATCH", f"/items/{articles}/1"),
        ("POST", "/collections"),
        ("POST", f"/fields/{articles}"),
        ("POST", "/relations"),
        ("POST", "/flows"),
        ("POST", "/flows/apply"),
        ("POST", "/operations"),
        ("POST", "/auth/login"),
    ):
        answer = server.send(method, path, raw=json.dumps(body).encode(), headers={"Content-Type": "application/json"})
        assert answer.status < 500, (method, path, answer.body)


@fuzzed
@given(
    payload=st.fixed_dictionaries(
        {}, optional=dict.fromkeys(["id", "title", "views", "tags", "published", "slug"], json_values)
    )
)
def test_no_item_breaks_the_server(server: Server, articles: str, payload: dict[str, Any]) -> None:
    for method, path in (("POST", ""), ("PATCH", "/1")):
        assert server.send(method, f"/items/{articles}{path}", payload).status < 500


@fuzzed
@given(
    name=st.sampled_from(
        ["filter", "fields", "sort", "limit", "offset", "page", "search", "meta", "deep", "filter[views]"]
    ),
    value=json_values | st.text(alphabet='{}[]":_andoreqin,.-*$0123', max_size=30),
)
def test_no_query_breaks_the_server(server: Server, articles: str, name: str, value: Any) -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    answer = server.get(f"/items/{articles}?{name}={quote(text.encode(errors='replace'))}")
    assert answer.status < 500, answer.body
    searched = server.send("SEARCH", f"/items/{articles}", {"query": {name: value}})
    assert searched.status < 500, searched.body


def test_a_query_that_takes_too_long_is_ended_and_leaves_others_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/data.db"
    with serving(Settings(database_url=url, admin_token=ADMIN_TOKEN, query_timeout=0.3)) as port:
        server = Server(port)
        alias = {"field": "articles", "type": "alias", "meta": {"special": ["o2m"]}}
        assert server.post("/collections", {"collection": "authors", "schema": {}, "fields": [alias]}).status == 200
        fields = [{"field": "author", "type": "integer"}, {"field": "title", "type": "string"}]
        assert server.post("/collections", {"collection": "articles", "schema": {}, "fields": fields}).status == 200
        relation = {"collection": "articles", "field": "author", "related_collection": "authors"}
        assert server.post("/relations", {**relation, "meta": {"one_field": "articles"}}).status == 200
        assert server.post("/items/authors", {"articles": [{"title": "a"} for _ in range(150)]}).status == 200
        heavy: Any = {"title": "zz"}
        for _ in range(3):
            heavy = {"author": {"articles": heavy}}
        begun = time.monotonic()
        answer = server.send("SEARCH", "/items/articles", {"query": {"filter": heavy}})
        assert (answer.status, answer.code) == (400, "INVALID_QUERY")
        assert time.monotonic() - begun < 5
        assert len(server.get("/items/articles?fields=id").data) == 100
