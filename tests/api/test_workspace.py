"""Bookmarks, notifications, comments, translations, dashboards and versions: items like others, each with its rules."""

import sqlite3
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from datastead.settings import Settings

from .conftest import ADMIN_TOKEN, Answer, Server, collection, serving
from .test_access import Somebody, created, permit, refused, somebody

__all__ = ["somebody"]


@pytest.fixture
def app_user(server: Server, somebody: Somebody) -> Somebody:
    """One with access to the app, and no permission."""
    assert server.send("PATCH", f"/policies/{somebody.policy}", {"app_access": True}).status == 200
    return somebody


@pytest.fixture
def drafted(server: Server) -> str:
    """A collection whose items have versions, with authors: one item, of an author Ann."""
    name, authors = f"posts_{uuid4().hex[:8]}", f"authors_{uuid4().hex[:8]}"
    text = {"field": "name", "type": "string"}
    server.post("/collections", {"collection": authors, "schema": {}, "meta": {}, "fields": [text]})
    created(server, "/collections", collection(name, meta={"versioning": True}))
    server.post(f"/fields/{name}", {"field": "author", "type": "integer"})
    alias = {"field": "posts", "type": "alias", "meta": {"special": ["o2m"]}, "schema": None}
    server.post(f"/fields/{authors}", alias)
    relation = {"collection": name, "field": "author", "related_collection": authors, "meta": {"one_field": "posts"}}
    created(server, "/relations", relation)
    created(server, f"/items/{name}", {"title": "First", "views": 1, "author": {"name": "Ann"}})
    created(server, f"/items/{authors}", {"name": "Bob"})
    return name


SHAPES: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    (
        "/presets",
        {"collection": "articles", "bookmark": "Mine", "layout_query": {"tabular": {"sort": ["-id"]}}},
        {
            "id": int, "bookmark": "Mine", "user": None, "role": None, "collection": "articles", "search": None,
            "layout": "tabular", "layout_query": {"tabular": {"sort": ["-id"]}}, "layout_options": None,
            "refresh_interval": None, "filter": None, "icon": "bookmark", "color": None,
        },
    ),
    (
        "/translations",
        {"key": "hello", "language": "en-US", "value": "Hello"},
        {"id": str, "language": "en-US", "key": "hello", "value": "Hello"},
    ),
    (
        "/dashboards",
        {"name": "Sales"},
        {
            "id": str, "name": "Sales", "icon": "dashboard", "note": None, "date_created": str, "user_created": str,
            "color": None, "panels": [],
        },
    ),
)  # fmt: skip


@pytest.mark.parametrize(("path", "body", "shape"), SHAPES, ids=[path for path, _, _ in SHAPES])
def test_each_has_the_contracts_shape_and_is_changed_and_deleted_in_every_way(
    server: Server, path: str, body: dict[str, Any], shape: dict[str, Any]
) -> None:
    made = created(server, path, body)
    seen = {name: type(value) if shape.get(name) in (int, str) else value for name, value in made.items()}
    assert seen == shape
    two = created(server, path, [body, body])
    keys = [entry["id"] for entry in two]
    named = next(name for name in ("bookmark", "value", "name") if name in body)
    batch = [{"id": keys[0], named: "x"}, {"id": keys[1], named: "y"}]
    assert [entry[named] for entry in server.send("PATCH", path, batch).data] == ["x", "y"]
    assert server.send("PATCH", path, {"keys": keys, "data": {named: "z"}}).data[1][named] == "z"
    assert server.send("SEARCH", path, {"query": {"filter": {"id": {"_in": keys}}}}).data[0][named] == "z"
    assert server.send("DELETE", path, keys).status == 204
    assert refused(server.get(f"{path}/{keys[0]}")) == (403, "FORBIDDEN")
    assert server.send("DELETE", f"{path}/{made['id']}").status == 204


def test_panels_come_with_their_dashboard_and_go_with_it(server: Server) -> None:
    place = {"type": "label", "position_x": 1, "position_y": 1, "width": 4, "height": 4}
    made = created(server, "/dashboards?fields=*,panels.*", {"name": "x", "panels": [place]})
    (panel,) = made["panels"]
    assert (panel["dashboard"], panel["show_header"], panel["options"]) == (made["id"], False, None)
    assert refused(server.post("/panels", place)) == (400, "FAILED_VALIDATION")
    assert server.send("DELETE", f"/dashboards/{made['id']}").status == 204
    assert refused(server.get(f"/panels/{panel['id']}")) == (403, "FORBIDDEN")


def test_those_with_access_to_the_app_have_their_own_bookmarks_and_no_others(
    server: Server, app_user: Somebody
) -> None:
    mine, user = app_user.server, app_user.user
    own = created(mine, "/presets", {"collection": "articles", "user": user})
    other = created(server, "/presets", {"collection": "articles", "user": server.get("/users/me").data["id"]})
    for_all = created(server, "/presets", {"collection": "articles", "bookmark": "All"})
    seen = {entry["id"] for entry in mine.get("/presets?limit=-1").data}
    assert (own["id"] in seen, other["id"] in seen, for_all["id"] in seen) == (True, False, True)
    for whose in (other["user"], None):
        answer = mine.post("/presets", {"collection": "articles", "user": whose})
        assert refused(answer) == (400, "FAILED_VALIDATION")
    assert created(mine, "/presets", {"collection": "articles"})["user"] == user
    assert refused(mine.send("PATCH", f"/presets/{for_all['id']}", {"bookmark": "x"})) == (403, "FORBIDDEN")
    assert mine.send("DELETE", f"/presets/{own['id']}").status == 204


def test_a_notification_is_its_recipients(server: Server, app_user: Somebody) -> None:
    sent = created(server, "/notifications", {"recipient": app_user.user, "subject": "Hi", "message": "There"})
    assert (sent["status"], sent["sender"]) == ("inbox", server.get("/users/me").data["id"])
    created(server, "/notifications", {"recipient": sent["sender"], "subject": "Not yours"})
    assert [entry["subject"] for entry in app_user.server.get("/notifications").data] == ["Hi"]
    assert app_user.server.send("PATCH", f"/notifications/{sent['id']}", {"status": "archived"}).status == 200
    assert refused(app_user.server.send("PATCH", f"/notifications/{sent['id']}", {"subject": "x"}))[0] == 403
    assert (
        refused(server.post("/notifications", {"recipient": str(uuid4()), "subject": "x"}))[1] == "INVALID_FOREIGN_KEY"
    )
    server.send("DELETE", f"/users/{app_user.user}")
    assert refused(server.get(f"/notifications/{sent['id']}")) == (403, "FORBIDDEN")


def test_a_comment_is_about_an_item_that_its_author_may_see(server: Server, app_user: Somebody, articles: str) -> None:
    created(server, f"/items/{articles}", [{"title": "seen", "views": 2}, {"title": "hidden", "views": 1}])
    permit(server, app_user, articles, permissions={"views": {"_gt": 1}})
    about: dict[str, Any] = {"collection": articles, "item": "1", "comment": "hi"}
    mine = app_user.server
    made = created(mine, "/comments", about)
    assert set(made) == {
        "id", "collection", "item", "comment", "date_created", "date_updated", "user_created", "user_updated",
    }  # fmt: skip
    assert (made["user_created"], made["user_updated"], made["item"]) == (app_user.user, None, "1")
    assert refused(mine.post("/comments", {**about, "item": "2"})) == (403, "FORBIDDEN")
    assert refused(mine.post("/comments", {**about, "collection": "nowhere"})) == (403, "FORBIDDEN")
    assert refused(mine.post("/comments", {**about, "collection": ["x"]})) == (400, "INVALID_PAYLOAD")
    assert mine.send("PATCH", f"/comments/{made['id']}", {"comment": "ho"}).data["comment"] == "ho"
    assert refused(mine.send("PATCH", f"/comments/{made['id']}", {"item": "2"})) == (400, "INVALID_PAYLOAD")
    other = created(server, "/comments", about)
    assert refused(mine.send("PATCH", f"/comments/{other['id']}", {"comment": "x"})) == (403, "FORBIDDEN")
    assert refused(mine.send("PATCH", f"/comments/{made['id']}", {"user_created": other["user_created"]}))[0] == 403


def version_of(server: Server, name: str, **more: Any) -> Any:
    return created(server, "/versions", {"key": "draft", "name": "Draft", "collection": name, "item": "1", **more})


def test_a_version_is_saved_compared_read_and_promoted(server: Server, drafted: str) -> None:
    made = version_of(server, drafted)
    assert (made["delta"], made["item"], len(made["hash"])) == (None, "1", 40)
    saved = server.post(f"/versions/{made['id']}/save", {"title": "Drafted"}).data
    assert (saved["title"], saved["views"], saved["_user"]) == ("Drafted", 1, made["user_created"])
    server.post(f"/versions/{made['id']}/save", {"views": 2})
    fields = "fields=id,title,views"
    assert server.get(f"/items/{drafted}/1?{fields}").data == {"id": 1, "title": "First", "views": 1}
    assert server.get(f"/items/{drafted}/1?{fields}&version=main").data == {"id": 1, "title": "First", "views": 1}
    assert server.get(f"/items/{drafted}/1?{fields}&version=draft").data == {"id": 1, "title": "Drafted", "views": 2}
    compared = server.get(f"/versions/{made['id']}/compare").data
    assert (compared["outdated"], compared["mainHash"]) == (False, made["hash"])
    assert compared["current"] == {"id": "1", "title": "Drafted", "views": 2}
    assert compared["main"]["title"] == "First"
    body = {"mainHash": compared["mainHash"], "fields": ["title"]}
    assert server.post(f"/versions/{made['id']}/promote", body).data == "1"
    assert server.get(f"/items/{drafted}/1?{fields}").data == {"id": 1, "title": "Drafted", "views": 1}
    assert server.get(f"/versions/{made['id']}/compare").data["outdated"] is False


def test_a_version_of_an_item_that_has_changed_is_outdated_and_not_promoted(server: Server, drafted: str) -> None:
    made = version_of(server, drafted)
    server.post(f"/versions/{made['id']}/save", {"title": "Drafted"})
    server.send("PATCH", f"/items/{drafted}/1", {"views": 9})
    assert server.get(f"/versions/{made['id']}/compare").data["outdated"] is True
    promoted = server.post(f"/versions/{made['id']}/promote", {"mainHash": made["hash"]})
    assert refused(promoted) == (422, "UNPROCESSABLE_CONTENT")
    assert refused(server.post(f"/versions/{made['id']}/promote", {})) == (400, "INVALID_PAYLOAD")


def test_related_items_are_shown_as_of_the_version_and_none_is_written(server: Server, drafted: str) -> None:
    made = version_of(server, drafted)
    read = f"/items/{drafted}/1?fields=author.name&version=draft"
    for changes, seen in (
        ({"author": 2}, {"name": "Bob"}),
        ({"author": {"id": 2, "name": "Bobby"}}, {"name": "Bobby"}),
        ({"author": {"name": "New"}}, {"name": "New"}),
        ({"author": None}, None),
    ):
        assert server.post(f"/versions/{made['id']}/save", changes).status == 200
        assert server.get(read).data == {"author": seen}
    authors = server.get(f"/relations/{drafted}/author").data["related_collection"]
    assert [row["name"] for row in server.get(f"/items/{authors}").data] == ["Ann", "Bob"]
    server.send("PATCH", f"/collections/{authors}", {"meta": {"versioning": True}})
    own = version_of(server, authors)
    for entries, titles in (
        ({"create": [{"title": "More"}], "update": [{"id": 1, "title": "1st"}]}, ["1st", "More"]),
        ([{"title": "Only"}], ["Only"]),
        ({"delete": [1]}, []),
        ([1], ["First"]),
    ):
        assert server.post(f"/versions/{own['id']}/save", {"posts": entries}).status == 200
        shown = server.get(f"/items/{authors}/1?fields=posts.title&version=draft").data
        assert shown == {"posts": [{"title": title} for title in titles]}
    assert server.get(f"/items/{authors}/1?version=draft").data["posts"] == [1]


REFUSED_VERSIONS: tuple[tuple[dict[str, Any], int, str], ...] = (
    ({"key": "main"}, 400, "INVALID_PAYLOAD"),
    ({"key": ""}, 400, "INVALID_PAYLOAD"),
    ({"key": 5}, 400, "INVALID_PAYLOAD"),
    ({"key": "draft"}, 422, "UNPROCESSABLE_CONTENT"),
    ({"key": "k" * 65}, 400, "VALUE_TOO_LONG"),
    ({"key": "k", "item": "99"}, 403, "FORBIDDEN"),
    ({"key": "k", "item": None}, 400, "INVALID_PAYLOAD"),
    ({"key": "k", "item": {}}, 400, "INVALID_PAYLOAD"),
    ({"key": "k", "collection": "nowhere"}, 403, "FORBIDDEN"),
    ({"key": "k", "collection": []}, 400, "INVALID_PAYLOAD"),
    ({"key": "k", "collection": "directus_users"}, 403, "FORBIDDEN"),
)


@pytest.mark.parametrize(("more", "status", "code"), REFUSED_VERSIONS)
def test_what_cannot_be_a_version_is_refused(
    server: Server, drafted: str, more: dict[str, Any], status: int, code: str
) -> None:
    version_of(server, drafted)
    body = {"key": "draft", "collection": drafted, "item": "1", **more}
    assert refused(server.post("/versions", body)) == (status, code)
    assert len(server.get(f"/versions?filter[collection][_eq]={drafted}").data) == 1


def test_a_collection_without_versioning_has_no_versions(server: Server, articles: str) -> None:
    created(server, f"/items/{articles}", {"title": "x"})
    answer = server.post("/versions", {"key": "a", "collection": articles, "item": "1"})
    assert refused(answer) == (422, "UNPROCESSABLE_CONTENT")


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"nope": 1}, "INVALID_PAYLOAD"), ({"views": "many"}, "INVALID_PAYLOAD"), ({"title": "x" * 65}, "VALUE_TOO_LONG"),
     ({"author": {"nope": 1}}, "INVALID_PAYLOAD"), ([], "INVALID_PAYLOAD")],
)  # fmt: skip
def test_what_an_item_cannot_be_is_not_saved(server: Server, drafted: str, changes: Any, code: str) -> None:
    made = version_of(server, drafted)
    assert refused(server.post(f"/versions/{made['id']}/save", changes)) == (400, code)
    assert server.get(f"/versions/{made['id']}").data["delta"] is None


def test_a_version_shows_and_changes_only_what_its_reader_may(server: Server, somebody: Somebody, drafted: str) -> None:
    authors = server.get(f"/relations/{drafted}/author").data["related_collection"]
    permit(server, somebody, drafted, fields=["id", "title", "author"])
    permit(server, somebody, authors, permissions={"name": {"_eq": "Ann"}})
    for action in ("create", "read", "update"):
        permit(server, somebody, "directus_versions", action)
    mine = somebody.server
    made = version_of(mine, drafted)
    assert refused(mine.send("PATCH", f"/versions/{made['id']}", {"delta": {"views": 1}})) == (403, "FORBIDDEN")
    # a draft in which a hidden author would be visible shows that author no more than the rows do
    mine.post(f"/versions/{made['id']}/save", {"author": {"id": 2, "name": "Ann"}, "views": 7})
    assert mine.get(f"/items/{drafted}/1?version=draft&fields=author.name,title").data["author"] is None
    assert refused(mine.get(f"/items/{drafted}/1?version=draft&fields=views")) == (403, "FORBIDDEN")
    assert "views" not in mine.get(f"/versions/{made['id']}/compare").data["current"]
    compared = mine.get(f"/versions/{made['id']}/compare").data
    promoted = mine.post(f"/versions/{made['id']}/promote", {"mainHash": compared["mainHash"]})
    assert refused(promoted) == (403, "FORBIDDEN")
    assert refused(mine.get(f"/items/{drafted}/1?version=nope")) == (403, "FORBIDDEN")


def test_versions_go_with_their_item_and_with_their_collection(server: Server, drafted: str) -> None:
    def versions() -> Answer:
        return server.get(f"/versions?filter[collection][_eq]={drafted}")

    created(server, f"/items/{drafted}", {"title": "Second"})
    version_of(server, drafted)
    version_of(server, drafted, item="2")
    server.send("DELETE", f"/items/{drafted}/1")
    assert [entry["item"] for entry in versions().data] == ["2"]
    server.send("DELETE", f"/collections/{drafted}")
    assert versions().data == []


def test_versions_are_kept_in_revisions_where_their_table_has_no_place_for_changes(tmp_path: Path) -> None:
    path = tmp_path / "data.db"
    settings = Settings(
        database_url=f"sqlite:///{path}", admin_token=ADMIN_TOKEN, admin_password="x", secret="s" * 40,
        storage_options={"local": {"root": str(tmp_path / "uploads")}},
    )  # fmt: skip
    with serving(settings) as port:
        server = Server(port)
        assert server.post("/collections", collection("notes", meta={"versioning": True})).status == 200
        server.post("/items/notes", {"title": "First"})
    with sqlite3.connect(path) as database:
        database.execute("ALTER TABLE directus_versions DROP COLUMN delta")
    with serving(settings) as port:
        server = Server(port)
        made = server.post("/versions", {"key": "draft", "collection": "notes", "item": "1"}).data
        for changes in ({"title": "Second", "views": 1}, {"title": "Third"}):
            saved = server.post(f"/versions/{made['id']}/save", changes)
            assert (saved.status, saved.data["title"]) == (200, changes["title"])
        assert server.get("/items/notes/1?version=draft&fields=title,views").data == {"title": "Third", "views": 1}
        assert server.get("/items/notes/1?fields=title").data == {"title": "First"}
        compared = server.get(f"/versions/{made['id']}/compare").data
        assert compared["current"] == {"id": "1", "title": "Third", "views": 1}
        promoted = server.post(f"/versions/{made['id']}/promote", {"mainHash": compared["mainHash"]})
        assert promoted.status == 200, promoted.body
        assert server.get("/items/notes/1?fields=title,views").data == {"title": "Third", "views": 1}
