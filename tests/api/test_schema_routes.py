"""`/collections`, `/fields`, `/relations`: the schema, changed at run time."""

from uuid import uuid4

import pytest

from .conftest import Server, collection


def test_a_collection_is_created_read_changed_and_dropped(server: Server) -> None:
    name = f"things_{uuid4().hex[:8]}"
    created = server.post("/collections", collection(name, meta={"note": "Things"}))
    assert created.status == 200
    assert created.data["collection"] == name
    assert created.data["meta"]["note"] == "Things"
    assert created.data["schema"]["name"] == name
    assert name in {entry["collection"] for entry in server.get("/collections").data}
    changed = server.send("PATCH", f"/collections/{name}", {"meta": {"note": "All things"}})
    assert changed.data["meta"]["note"] == "All things"
    assert server.send("DELETE", f"/collections/{name}").status == 204
    gone = server.get(f"/collections/{name}")
    assert (gone.status, gone.code) == (403, "FORBIDDEN")


def test_a_collection_without_fields_has_a_key(server: Server) -> None:
    name = f"plain_{uuid4().hex[:8]}"
    server.post("/collections", {"collection": name, "schema": {}, "meta": {}})
    assert server.post(f"/items/{name}", {}).data == {"id": 1}


@pytest.mark.parametrize("name", ["directus_x", "", "a b", "x" * 200, 'a"b', None])
def test_a_name_that_no_collection_can_have_is_refused(server: Server, name: str | None) -> None:
    answer = server.post("/collections", {"collection": name, "schema": {}, "meta": {}})
    assert (answer.status, answer.code) == (400, "INVALID_PAYLOAD")


def test_a_collection_that_exists_is_not_created_again(server: Server, articles: str) -> None:
    answer = server.post("/collections", collection(articles))
    assert (answer.status, answer.code) == (400, "INVALID_PAYLOAD")


def test_a_collection_with_one_wrong_field_is_not_created_at_all(server: Server) -> None:
    name = f"half_{uuid4().hex[:8]}"
    answer = server.post(
        "/collections", collection(name, fields=[{"field": "ok", "type": "string"}, {"field": "x", "type": "nope"}])
    )
    assert (answer.status, answer.code) == (400, "INVALID_PAYLOAD")
    assert server.get(f"/collections/{name}").status == 403


def test_a_field_is_added_changed_and_dropped(server: Server, articles: str) -> None:
    server.post(f"/items/{articles}", {"title": "kept"})
    created = server.post(f"/fields/{articles}", {"field": "note", "type": "text", "meta": {"note": "A note"}})
    assert (created.data["collection"], created.data["field"], created.data["type"]) == (articles, "note", "text")
    assert created.data["schema"]["is_nullable"] is True
    assert server.send("PATCH", f"/items/{articles}/1?fields=note", {"note": "n"}).data == {"note": "n"}
    changed = server.send("PATCH", f"/fields/{articles}/note", {"meta": {"note": "Another"}})
    assert changed.data["meta"]["note"] == "Another"
    assert server.send("DELETE", f"/fields/{articles}/note").status == 204
    assert "note" not in server.get(f"/items/{articles}/1").data
    assert server.get(f"/items/{articles}/1?fields=title").data == {"title": "kept"}


def test_a_field_that_exists_is_not_added_again(server: Server, articles: str) -> None:
    answer = server.post(f"/fields/{articles}", {"field": "title", "type": "string"})
    assert (answer.status, answer.code) == (400, "INVALID_PAYLOAD")


def test_a_relation_is_made_read_and_removed(server: Server, articles: str) -> None:
    people = f"people_{uuid4().hex[:8]}"
    server.post("/collections", {"collection": people, "schema": {}, "meta": {}})
    server.post(f"/fields/{articles}", {"field": "author", "type": "integer"})
    body = {
        "collection": articles,
        "field": "author",
        "related_collection": people,
        "schema": {"on_delete": "SET NULL"},
    }
    made = server.post("/relations", body).data
    assert (made["collection"], made["field"], made["related_collection"]) == (articles, "author", people)
    assert made["schema"]["on_delete"] == "SET NULL"
    assert server.get(f"/relations/{articles}/author").data == made
    assert server.get(f"/relations/{articles}").data == [made]
    assert made in server.get("/relations").data
    assert server.send("DELETE", f"/relations/{articles}/author").status == 204
    assert server.get(f"/relations/{articles}/author").status == 403
