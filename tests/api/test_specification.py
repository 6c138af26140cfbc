"""`/server/specs/oas` describes the caller's own collections, and what it says of items is so."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import jsonschema_rs
import pytest

from datastead.settings import Settings

from .conftest import ADMIN_TOKEN, Server, serving
from .test_access import Somebody, permit, somebody  # noqa: F401  a fixture

KINDS = (
    "string", "text", "integer", "bigInteger", "float", "decimal", "boolean", "uuid", "date", "time", "dateTime",
    "timestamp", "json", "csv", "binary", "geometry.Point",
)  # fmt: skip
ITEM = {
    "string": "a", "text": "b", "integer": 1, "bigInteger": 2**40, "float": 1.5, "decimal": 2.25, "boolean": True,
    "uuid": "5c8a7d3e-0d0e-4b3a-9d1c-0b1f6f7a0c11", "date": "2024-02-29", "time": "12:30:15",
    "dateTime": "2024-02-29T12:30:15", "timestamp": "2024-02-29T12:30:15Z", "json": {"a": [1]}, "csv": ["x", "y"],
    "binary": "AAE=", "geometry_Point": {"type": "Point", "coordinates": [1, 2]},
}  # fmt: skip


@pytest.fixture
def everything(server: Server) -> str:
    """A collection with a field of each type, one that refers to another collection, and that one's other side."""
    name = f"every_{uuid4().hex[:8]}"
    fields = [{"field": kind.replace(".", "_"), "type": kind, "schema": {}} for kind in KINDS]
    needed = {"field": "needed", "type": "string", "schema": {"is_nullable": False}, "meta": {"note": "Its name."}}
    for body in (
        {"collection": name, "schema": {}, "meta": {"note": "All sorts."}, "fields": [*fields, needed]},
        {"collection": f"{name}_notes", "schema": {}, "fields": [{"field": "of", "type": "integer", "schema": {}}]},
    ):
        assert server.post("/collections", body).status == 200
    alias = {"field": "notes", "type": "alias", "meta": {"special": ["o2m"]}}
    assert server.post(f"/fields/{name}", alias).status == 200
    relation = {"collection": f"{name}_notes", "field": "of", "related_collection": name}
    assert server.post("/relations", {**relation, "meta": {"one_field": "notes"}}).status == 200
    return name


def component(name: str) -> str:
    return "Items" + "".join(part.capitalize() for part in name.split("_"))


def described(server: Server) -> Any:
    return server.get("/server/specs/oas").json


@pytest.mark.mariadb
def test_items_are_what_the_description_says(server: Server, everything: str) -> None:
    for item in ({**ITEM, "needed": "x", "notes": [{}]}, {"needed": "y"}):
        assert server.post(f"/items/{everything}", item).status == 200
    found = described(server)
    assert {"name": component(everything), "x-collection": everything, "description": "All sorts."} in found["tags"]
    one = found["components"]["schemas"][component(everything)]
    assert one["properties"]["needed"] == {"type": "string", "maxLength": 255, "description": "Its name."}
    assert one["properties"]["id"]["readOnly"] is True
    assert set(one["properties"]) == {"id", "needed", "notes", *ITEM}
    schema = {
        **found["paths"][f"/items/{everything}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    }
    validator = jsonschema_rs.validator_for({**schema, "components": found["components"]})
    for fields in ("*", "*,notes.*,notes.of.*"):
        answer = server.get(f"/items/{everything}?fields={fields}").json
        assert [str(error) for error in validator.iter_errors(answer)] == []
    users = found["paths"]["/users"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    validator_of_users = jsonschema_rs.validator_for({**users, "components": found["components"]})
    assert [str(error) for error in validator_of_users.iter_errors(server.get("/users").json)] == []
    assert not validator_of_users.is_valid({"data": [{"email": 5}]})
    assert not validator.is_valid({"data": [{"integer": "no number", "csv": 5}]})


def test_methods_and_bodies_are_those_of_the_collection(server: Server, everything: str) -> None:
    paths = described(server)["paths"]
    assert set(paths[f"/items/{everything}"]) == {"get", "post", "patch", "delete"}
    assert set(paths[f"/items/{everything}/{{id}}"]) == {"parameters", "get", "patch", "delete"}
    new = paths[f"/items/{everything}"]["post"]["requestBody"]["content"]["application/json"]["schema"]["oneOf"][0]
    assert new["required"] == ["needed"]
    assert server.send("PATCH", f"/collections/{everything}", {"meta": {"singleton": True}}).status == 200
    paths = described(server)["paths"]
    assert set(paths[f"/items/{everything}"]) == {"get", "patch"}
    assert f"/items/{everything}/{{id}}" not in paths


def test_what_one_may_not_see_is_not_described(server: Server, somebody: Somebody, everything: str) -> None:  # noqa: F811
    permit(server, somebody, everything, fields=["id", "string", "notes"])
    permit(server, somebody, everything, "create", fields=["text"])
    found = described(somebody.server)
    one = found["components"]["schemas"][component(everything)]
    assert set(one["properties"]) == {"id", "string"}, "what `notes` leads to may not be read"
    assert set(found["paths"][f"/items/{everything}"]) == {"get", "post"}
    new = found["paths"][f"/items/{everything}"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert set(new["oneOf"][0]["properties"]) == {"text"}
    assert f"{everything}_notes" not in str(found)
    assert everything not in str(described(server.public))
    assert server.acting_as("wrong").get("/server/specs/oas").status == 401


def test_names_that_a_reference_cannot_have_are_written_another_way(tmp_path: Path) -> None:
    names = ("a__b", "a_b", "größe x")
    with closing(sqlite3.connect(tmp_path / "data.db")) as database:
        for name in names:
            database.execute(f'CREATE TABLE "{name}" (id INTEGER PRIMARY KEY)')
    with serving(Settings(database_url=f"sqlite:///{tmp_path}/data.db", admin_token=ADMIN_TOKEN)) as port:
        found = described(Server(port))
    tags = {entry["x-collection"]: entry["name"] for entry in found["tags"]}
    assert [tags[name] for name in names] == ["ItemsAB", "ItemsAB.2", "ItemsGr-f6--df-e-20-x"]
    assert {tags[name] for name in names} <= set(found["components"]["schemas"])
    assert "/items/gr%C3%B6%C3%9Fe%20x" in found["paths"]
