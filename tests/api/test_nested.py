"""Nested writes over HTTP: the contract's own examples, in their order, and bodies that no client should send."""

import json
from typing import Any
from uuid import uuid4

import pytest

from datastead.settings import Settings

from .conftest import Server, serving


@pytest.fixture
def names(server: Server) -> dict[str, str]:
    """Collections of their own: authors, posts (m2o `author`, m2m `tags`), tags, posts_tags."""
    ending = uuid4().hex[:8]
    names = {name: f"{name}_{ending}" for name in ("authors", "posts", "tags", "posts_tags")}
    fields: dict[str, list[dict[str, Any]]] = {
        "authors": [
            {"field": "name", "type": "string"}, {"field": "age", "type": "integer", "schema": {"default_value": 18}},
            {"field": "bio", "type": "text"}, {"field": "posts", "type": "alias", "meta": {"special": ["o2m"]}},
        ],
        "posts": [
            {"field": "title", "type": "string"}, {"field": "author", "type": "integer"},
            {"field": "tags", "type": "alias", "meta": {"special": ["m2m"]}},
        ],
        "tags": [{"field": "name", "type": "string"}],
        "posts_tags": [{"field": "post_id", "type": "integer"}, {"field": "tag_id", "type": "integer"}],
    }  # fmt: skip
    for name, own in fields.items():
        assert server.post("/collections", {"collection": names[name], "schema": {}, "fields": own}).status == 200
    for many, field, one, meta in (
        ("posts", "author", "authors", {"one_field": "posts"}),
        ("posts_tags", "post_id", "posts", {"one_field": "tags", "junction_field": "tag_id"}),
        ("posts_tags", "tag_id", "tags", {"junction_field": "post_id"}),
    ):
        relation = {"collection": names[many], "field": field, "related_collection": names[one], "meta": meta}
        assert server.post("/relations", relation).status == 200
    server.post(f"/items/{names['authors']}", [{"name": "Ann", "age": 30}, {"name": "Bob"}])
    server.post(
        f"/items/{names['posts']}",
        [{"title": "First", "author": 1}, {"title": "Second", "author": 1}, {"title": "Third", "author": 2}],
    )
    return names


def test_the_contracts_examples_of_nested_writes_answer_as_it_says(server: Server, names: dict[str, str]) -> None:
    authors, posts = f"/items/{names['authors']}", f"/items/{names['posts']}"
    made = server.post(
        f"{posts}?fields=title,author.*", {"title": "With author", "author": {"name": "Dora", "age": 25}}
    )
    assert made.data == {
        "title": "With author",
        "author": {"id": 3, "name": "Dora", "age": 25, "bio": None, "posts": [4]},
    }

    def changed(path: str, body: Any) -> Any:
        answer = server.send("PATCH", path, body)
        assert answer.status == 200, answer.body
        return answer.data

    delta = {"create": [{"title": "Made by delta"}], "update": [{"id": 1, "title": "First!"}], "delete": [2]}
    assert changed(f"{authors}/1?fields=name,posts.id,posts.title", {"posts": delta}) == {
        "name": "Ann", "posts": [{"id": 1, "title": "First!"}, {"id": 5, "title": "Made by delta"}],
    }  # fmt: skip
    assert server.get(f"{posts}?fields=id,title,author&limit=3").data == [
        {"id": 1, "title": "First!", "author": 1}, {"id": 2, "title": "Second", "author": None},
        {"id": 3, "title": "Third", "author": 2},
    ]  # fmt: skip
    whole = {"posts": [1, {"title": "Only this and 1"}]}
    assert changed(f"{authors}/1?fields=posts.id,posts.title", whole) == {
        "posts": [{"id": 1, "title": "First!"}, {"id": 6, "title": "Only this and 1"}]
    }
    tagged = {"title": "Tagged", "tags": [{"tag_id": {"name": "red"}}, {"tag_id": {"name": "blue"}}]}
    assert server.post(f"{posts}?fields=id,title,tags.*", tagged).data == {
        "id": 7, "title": "Tagged", "tags": [{"id": 1, "post_id": 7, "tag_id": 1}, {"id": 2, "post_id": 7, "tag_id": 2}],
    }  # fmt: skip
    assert server.get(f"{posts}/7?fields=title,tags,tags.tag_id.name").data == {
        "title": "Tagged", "tags": [{"tag_id": {"name": "red"}}, {"tag_id": {"name": "blue"}}],
    }  # fmt: skip
    delta = {
        "create": [{"tag_id": {"name": "green"}}],
        "update": [{"id": 1, "tag_id": {"id": 1, "name": "RED"}}],
        "delete": [2],
    }
    assert changed(f"{posts}/7?fields=title,tags.id,tags.tag_id.name", {"tags": delta}) == {
        "title": "Tagged", "tags": [{"id": 1, "tag_id": {"name": "RED"}}, {"id": 3, "tag_id": {"name": "green"}}],
    }  # fmt: skip


def test_nested_bodies_that_no_client_should_send_are_refused(server: Server, names: dict[str, str]) -> None:
    path = f"/items/{names['authors']}"
    before = [server.get(f"/items/{name}?limit=-1").data for name in names.values()]
    deep: Any = []
    for _ in range(60):
        deep = [{"title": "x", "author": {"name": "x", "posts": deep}}]
    for value in (
        1, "x", True, {}, [[]], {"create": "x"}, {"title": "x"}, {"update": [{}]}, {"delete": [{}]}, [{"id": {"a": 1}}], [999],
        ["x"], ["\u0000"], [{"author": [], "title": {}}], [{"tags": [{"tag_id": [1]}]}], [2**70], [{"id": -(2**70)}], deep,
    ):  # fmt: skip
        answer = server.send("PATCH", f"{path}/1", {"name": "changed", "posts": value})
        if value == {}:
            assert answer.status == 200
            server.send("PATCH", f"{path}/1", {"name": "Ann"})
        else:
            assert answer.status in {400, 403}, (json.dumps(value)[:100], answer.body)
            assert answer.code in {"INVALID_PAYLOAD", "FORBIDDEN"}
    assert [server.get(f"/items/{name}?limit=-1").data for name in names.values()] == before


def test_who_may_change_a_picture_of_their_own_may_not_write_files(server: Server) -> None:
    policy = server.post("/policies", {"name": f"app {uuid4().hex}", "app_access": True}).data["id"]
    token = uuid4().hex
    user = {"email": f"{uuid4().hex}@example.com", "token": token, "policies": [{"policy": policy}]}
    assert server.post("/users", user).status == 200
    me = server.acting_as(token)
    assert me.send("PATCH", "/users/me", {"first_name": "Ann"}).status in {200, 204}
    before = server.get("/files?limit=-1").data
    for avatar in (
        {"id": str(uuid4()), "title": "x"},
        {"title": "x"},
        {"title": "x", "filename_download": "x", "storage": "local"},
    ):
        assert me.send("PATCH", "/users/me", {"avatar": avatar}).code == "FORBIDDEN"
    assert server.get("/files?limit=-1").data == before


def test_unknown_fields_are_left_out_where_the_settings_say_so(settings: Settings, names: dict[str, str]) -> None:
    with serving(settings.model_copy(update={"ignore_unknown_fields": True})) as port:
        server, posts = Server(port), f"/items/{names['posts']}"
        new = {
            "titel": 1,
            "title": "A",
            "author": {"name": "Eve", "nick": {"deep": [1]}},
            "tags": [{"tag_id": 1, "x": 2}],
        }
        assert server.post(f"/items/{names['tags']}", {"name": "t", "": 1}).status == 200
        made = server.post(f"{posts}?fields=id,title,author.name,tags.tag_id", new)
        assert (made.status, made.data["author"], made.data["tags"]) == (200, {"name": "Eve"}, [{"tag_id": 1}]), (
            made.body
        )
        key = made.data["id"]
        assert server.send("PATCH", f"{posts}/{key}", {"titel": 2}).data["title"] == "A"
        assert server.send("PATCH", posts, {"keys": [key], "data": {"x": 1, "title": "B"}}).data[0]["title"] == "B"
        assert server.post(posts, 5).status == 400
