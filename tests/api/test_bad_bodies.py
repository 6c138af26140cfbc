"""Bodies that make no sense, at every door that takes one: the contract's codes, never a 500."""

import json
from typing import Any
from uuid import uuid4

import pytest

from datastead.data.workspace import RESOURCES

from .conftest import Server, collection
from .test_access import created

KNOWN = {
    "INVALID_PAYLOAD", "INVALID_QUERY", "FAILED_VALIDATION", "FORBIDDEN", "INVALID_FOREIGN_KEY", "NOT_NULL_VIOLATION",
    "VALUE_TOO_LONG", "VALUE_OUT_OF_RANGE", "RECORD_NOT_UNIQUE", "UNSUPPORTED_MEDIA_TYPE", "UNPROCESSABLE_CONTENT",
    "INVALID_CREDENTIALS", "INVALID_FLOW", "CONTAINS_NULL_VALUES",
}  # fmt: skip
NOBODY = "00000000-0000-4000-8000-000000000000"
HUGE = 10**30
BODIES: tuple[bytes, ...] = (
    b"", b"{", b"5", b'"x"', b"null", b"[5]", b"[[]]", b'{"a": "\\u0000"}', b'{"a": "\\ud800"}', b"[" * 300 + b"]" * 300,
    json.dumps({"keys": 5, "data": {}}).encode(), json.dumps({"keys": [{}], "data": {"id": 1}}).encode(),
    json.dumps({"query": {"filter": {"id": {"_nope": 1}}}, "data": {"id": 1}}).encode(),
    json.dumps([{"id": {"a": 1}}, {"id": HUGE}]).encode(), b'{"id": 1, "id": 2}',
    json.dumps(
        {name: [{}] for name in ["collection", "item", "key", "share", "user", "recipient", "role", "dashboard", "flow", "field"]}
    ).encode(),
    json.dumps(
        dict.fromkeys(["collection", "item", "key", "name", "field", "type", "format", "password"], "'; DROP TABLE x; --")
    ).encode(),
    json.dumps(dict.fromkeys(["collection", "key", "language", "value", "name", "subject", "comment"], "x" * 70_000)).encode(),
    json.dumps({"meta": [], "schema": 5, "fields": [{}], "collection": "x", "position_x": HUGE, "filter": {"_and": 1}}).encode(),
)  # fmt: skip
DOORS: tuple[tuple[str, str], ...] = (
    *(("POST", resource.path) for resource in RESOURCES), *(("PATCH", resource.path) for resource in RESOURCES),
    ("DELETE", "/presets"), ("SEARCH", "/comments"), ("PATCH", f"/shares/{NOBODY}"), ("PATCH", "/presets/5"),
    ("POST", "/versions/{version}/save"), ("POST", "/versions/{version}/promote"), ("POST", "/shares/auth"),
    ("POST", "/shares/invite"), ("PATCH", "/collections"), ("PATCH", "/fields/{name}"), ("PATCH", "/relations/{name}/id"),
    ("POST", "/flows"), ("PATCH", "/flows"), ("DELETE", "/flows"), ("POST", "/operations"), ("PATCH", "/operations"),
    ("POST", "/utils/export/{name}"), ("POST", "/utils/import/{name}"), ("POST", "/utils/sort/{name}"),
)  # fmt: skip


@pytest.fixture
def places(server: Server) -> dict[str, str]:
    name = f"bad_{uuid4().hex[:8]}"
    created(server, "/collections", collection(name, meta={"versioning": True}))
    created(server, f"/items/{name}", {"title": "x"})
    return {"name": name, "version": created(server, "/versions", {"key": "a", "collection": name, "item": "1"})["id"]}


def test_no_body_breaks_a_door_and_each_refusal_has_a_code_of_the_contract(
    server: Server, places: dict[str, str]
) -> None:
    wrong: list[Any] = []
    for method, path in DOORS:
        for body in BODIES:
            answer = server.send(method, path.format(**places), raw=body, headers={"Content-Type": "application/json"})
            if answer.status >= 400 and (answer.status >= 500 or answer.code not in KNOWN):
                wrong.append((method, path, body[:80], answer.status, answer.body[:200]))
    assert wrong == []
    assert server.get(f"/items/{places['name']}").data[0]["title"] == "x"
    assert server.get(f"/versions/{places['version']}").data["delta"] in ({}, None)


def test_a_list_with_one_bad_entry_writes_nothing(server: Server, places: dict[str, str]) -> None:
    for path, good, bad in (
        ("/presets", {"bookmark": places["name"]}, {"user": NOBODY}),
        ("/translations", {"key": places["name"], "language": "en", "value": "v"}, {"key": "x"}),
        (
            "/comments",
            {"collection": places["name"], "item": "1", "comment": "x"},
            {"collection": "nowhere", "item": "1"},
        ),
        (
            "/versions",
            {"collection": places["name"], "item": "1", "key": "b"},
            {"collection": places["name"], "key": "c"},
        ),
        ("/shares", {"collection": places["name"], "item": "1"}, {"collection": places["name"], "item": "9"}),
        ("/flows", {"name": places["name"], "trigger": "manual"}, {"trigger": 5}),
    ):
        before = server.get(f"{path}?limit=-1").body
        assert server.post(path, [good, bad]).status >= 400, path
        assert server.get(f"{path}?limit=-1").body == before, path
