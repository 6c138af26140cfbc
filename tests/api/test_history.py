"""`/activity`, `/revisions` and `/utils/revert`: what was done, what came of it, and how it is undone."""

from typing import Any
from uuid import uuid4

import pytest

from .conftest import PASSWORD, Answer, Server, collection


def of(server: Server, kind: str, name: str, **more: Any) -> list[dict[str, Any]]:
    """The activities or revisions of a collection, oldest first."""
    conditions = "".join(f"&filter[{field}][_eq]={value}" for field, value in more.items())
    found: list[dict[str, Any]] = server.get(f"/{kind}?sort=id&filter[collection][_eq]={name}{conditions}").data
    return found


def newest(server: Server, name: str) -> dict[str, Any]:
    return of(server, "revisions", name)[-1]


@pytest.fixture
def reader(server: Server) -> tuple[Server, str]:
    """A user with a policy of its own: the user's requests, and the policy."""
    policy = server.post("/policies", {"name": "p"}).data["id"]
    token = uuid4().hex
    user = server.post("/users", {"email": f"{token}@example.com", "token": token}).data["id"]
    server.post("/access", {"policy": policy, "user": user})
    return server.acting_as(token), policy


def permit(server: Server, policy: str, name: str, action: str = "read", **rule: Any) -> None:
    body = {"policy": policy, "collection": name, "action": action, "fields": ["*"], **rule}
    assert server.post("/permissions", body).status == 200


def test_an_activity_tells_who_did_what_and_from_where(server: Server, articles: str) -> None:
    headers = {"User-Agent": "a browser", "Origin": "https://site.example.com"}
    key = server.send("POST", f"/items/{articles}", {"title": "One"}, headers=headers).data["id"]
    me = server.get("/users/me").data["id"]
    (found,) = of(server, "activity", articles)
    assert found == {
        "id": found["id"], "action": "create", "user": me, "timestamp": found["timestamp"], "ip": "127.0.0.1",
        "user_agent": "a browser", "origin": "https://site.example.com", "collection": articles, "item": str(key),
        "revisions": found["revisions"],
    }  # fmt: skip
    assert len(found["revisions"]) == 1
    assert found["timestamp"].endswith("Z")
    assert server.get(f"/activity/{found['id']}").data == found


def test_a_revision_holds_the_item_and_what_was_written(server: Server, articles: str) -> None:
    key = server.post(f"/items/{articles}", {"title": "One", "tags": ["a"]}).data["id"]
    server.send("PATCH", f"/items/{articles}/{key}", {"views": 3})
    first, second = of(server, "revisions", articles, item=key)
    item = {"id": key, "title": "One", "views": None, "tags": ["a"], "published": None, "slug": None}
    assert (first["data"], first["delta"]) == (item, item)
    assert second == {
        "id": second["id"], "activity": second["activity"], "collection": articles, "item": str(key),
        "data": item | {"views": 3}, "delta": {"views": 3}, "parent": None, "version": None,
    }  # fmt: skip
    assert server.get(f"/activity/{second['activity']}?fields=action").data == {"action": "update"}


def test_many_items_have_an_activity_and_a_revision_each(server: Server, articles: str) -> None:
    new = [{"title": f"n{number}", "views": number} for number in range(100)]
    keys = [item["id"] for item in server.post(f"/items/{articles}?limit=-1", new).data]
    server.send("PATCH", f"/items/{articles}", {"keys": keys[:7], "data": {"views": -1}})
    server.send("DELETE", f"/items/{articles}", keys[:3])
    activities = server.get(f"/activity?limit=-1&sort=id&filter[collection][_eq]={articles}").data
    done = [(one["action"], one["item"]) for one in activities]
    assert done == [
        *(("create", str(key)) for key in keys),
        *(("update", str(key)) for key in keys[:7]),
        *(("delete", str(key)) for key in keys[:3]),
    ]
    revisions = server.get(f"/revisions?limit=-1&sort=id&filter[collection][_eq]={articles}").data
    assert [(one["item"], one["data"]["title"]) for one in revisions[:100]] == [
        (str(key), f"n{number}") for number, key in enumerate(keys)
    ]
    assert [one["activity"] for one in revisions] == [one["id"] for one in activities[:107]]


def test_what_is_refused_leaves_no_trace(server: Server, articles: str) -> None:
    bad = [{"title": "a", "slug": "same"}, {"title": "b"}, {"title": "c", "slug": "same"}]
    answer = server.post(f"/items/{articles}", bad)
    assert (answer.status, answer.code) == (400, "RECORD_NOT_UNIQUE")
    assert answer.json["errors"][0]["extensions"]["value"] == "same"
    assert of(server, "activity", articles) == []
    assert server.get(f"/items/{articles}").data == []


@pytest.mark.parametrize(("kept", "expected"), [("all", (1, 1)), ("activity", (1, 0)), (None, (0, 0))])
def test_a_collection_says_what_is_kept(server: Server, kept: str | None, expected: tuple[int, int]) -> None:
    name = f"kept_{uuid4().hex[:8]}"
    server.post("/collections", collection(name, meta={"accountability": kept}))
    server.post(f"/items/{name}", {"title": "One"})
    assert (len(of(server, "activity", name)), len(of(server, "revisions", name))) == expected


def test_nested_items_have_the_outer_ones_revision_as_their_parent(server: Server, articles: str) -> None:
    name = f"notes_{uuid4().hex[:8]}"
    server.post("/collections", {"collection": name, "schema": {}, "fields": [
        {"field": "text", "type": "string"}, {"field": "article", "type": "integer"},
    ]})  # fmt: skip
    server.post(f"/fields/{articles}", {"field": "notes", "type": "alias", "meta": {"special": ["o2m"]}})
    relation = {"collection": name, "field": "article", "related_collection": articles, "meta": {"one_field": "notes"}}
    assert server.post("/relations", relation).status == 200
    server.post(f"/items/{articles}", [{"title": t, "notes": [{"text": t}, {"text": "x"}]} for t in ("a", "b")])
    outer, inner = of(server, "revisions", articles), of(server, "revisions", name)
    assert [one["parent"] for one in outer] == [None, None]
    assert [one["parent"] for one in inner] == [outer[0]["id"]] * 2 + [outer[1]["id"]] * 2
    server.post(f"/items/{name}", {"text": "up", "article": {"title": "new"}})
    assert newest(server, articles)["parent"] == newest(server, name)["id"]


def test_secrets_are_in_no_revision(server: Server) -> None:
    token, email = uuid4().hex, f"{uuid4().hex}@example.com"
    user = server.post("/users", {"email": email, "password": "a-secret-word", "token": token}).data["id"]
    server.send("PATCH", f"/users/{user}", {"password": "another-secret-word", "title": "Dr"})
    raw = server.get(f"/revisions?filter[item][_eq]={user}").body
    assert not {secret for secret in ("a-secret-word", "another-secret-word", token, "$argon2id$") if secret in raw}
    last = of(server, "revisions", "directus_users", item=user)[-1]
    assert last["delta"] == {"password": "**********", "title": "Dr"}


def test_a_login_is_an_activity(server: Server) -> None:
    answer = server.public.post("/auth/login", {"email": "admin@example.com", "password": PASSWORD})
    assert answer.status == 200
    last = server.get("/activity?sort=-id&limit=1&filter[action][_eq]=login").data[0]
    me = server.get("/users/me").data["id"]
    assert (last["collection"], last["item"], last["user"], last["ip"]) == ("directus_users", me, me, "127.0.0.1")
    assert last["revisions"] == []


def test_changes_of_the_schema_are_recorded(server: Server, articles: str) -> None:
    server.post(f"/fields/{articles}", {"field": "color", "type": "string", "meta": {"note": "Red"}})
    created = of(server, "activity", "directus_collections", item=articles)
    assert [one["action"] for one in created] == ["create"]
    assert newest(server, "directus_fields")["data"]["field"] == "color"
    server.send("DELETE", f"/collections/{articles}")
    assert of(server, "activity", "directus_collections", item=articles)[-1]["action"] == "delete"


def test_changes_of_flows_are_recorded(server: Server) -> None:
    flow = server.post("/flows", {"name": "A flow", "trigger": "manual", "options": {}, "status": "inactive"}).data[
        "id"
    ]
    server.send("PATCH", f"/flows/{flow}", {"description": "What it does"})
    operation = {"flow": flow, "key": "one", "type": "transform", "options": {"json": "{}"}}
    key = server.post("/operations", {**operation, "position_x": 1, "position_y": 1}).data["id"]
    server.send("DELETE", f"/flows/{flow}")
    done = [one["action"] for one in of(server, "activity", "directus_flows", item=flow)]
    assert (done[:2], done[-1]) == (["create", "update"], "delete")
    assert of(server, "revisions", "directus_flows", item=flow)[1]["delta"] == {"description": "What it does"}
    assert of(server, "revisions", "directus_operations", item=key)[0]["data"]["key"] == "one"


def test_activities_and_revisions_are_not_changed(server: Server, articles: str) -> None:
    key = server.post(f"/items/{articles}", {"title": "One"}).data["id"]
    (activity,) = of(server, "activity", articles, item=key)
    for method in ("PATCH", "DELETE"):
        assert server.send(method, f"/activity/{activity['id']}", {"action": "x"}).status in {404, 405}
    assert server.post("/activity", {"action": "x"}).status in {404, 405}
    assert server.send("SEARCH", "/activity", {"query": {"filter": {"id": {"_eq": activity["id"]}}}}).data == [activity]
    assert server.get("/revisions/999999999").code == "FORBIDDEN"


def test_an_item_gets_its_former_values_back(server: Server, articles: str) -> None:
    key = server.post(f"/items/{articles}", {"title": "One", "views": 1, "tags": ["a"], "published": True}).data["id"]
    before = server.get(f"/items/{articles}/{key}").data
    first = newest(server, articles)
    server.send("PATCH", f"/items/{articles}/{key}", {"title": "Two", "views": None, "tags": [], "published": False})
    answer = server.send("POST", f"/utils/revert/{first['id']}")
    assert answer.status == 204, answer.body
    assert server.get(f"/items/{articles}/{key}").data == before
    last = newest(server, articles)
    assert last["delta"] == {"title": "One", "views": 1, "tags": ["a"], "published": True}
    assert server.send("POST", f"/utils/revert/{first['id']}").status == 204
    assert newest(server, articles) == last


def test_fields_that_came_and_went_do_not_stand_in_the_way(server: Server, articles: str) -> None:
    key = server.post(f"/items/{articles}", {"title": "One", "slug": "s"}).data["id"]
    first = newest(server, articles)
    server.send("DELETE", f"/fields/{articles}/slug")
    server.post(f"/fields/{articles}", {"field": "later", "type": "string"})
    server.send("PATCH", f"/items/{articles}/{key}", {"title": "Two", "later": "x"})
    assert server.send("POST", f"/utils/revert/{first['id']}").status == 204
    item = server.get(f"/items/{articles}/{key}").data
    assert (item["title"], item["later"]) == ("One", "x")


def test_what_is_gone_cannot_be_reverted(server: Server, articles: str) -> None:
    key = server.post(f"/items/{articles}", {"title": "One"}).data["id"]
    first = newest(server, articles)
    server.send("DELETE", f"/items/{articles}/{key}")
    assert server.send("POST", f"/utils/revert/{first['id']}").code == "FORBIDDEN"
    assert server.send("POST", "/utils/revert/999999999").code == "FORBIDDEN"
    assert server.send("POST", "/utils/revert/x").code == "FORBIDDEN"
    fields = of(server, "revisions", "directus_collections")[-1]
    assert server.send("POST", f"/utils/revert/{fields['id']}").code == "UNPROCESSABLE_CONTENT"


def test_a_user_is_reverted_by_the_rules_of_users(server: Server) -> None:
    email = f"{uuid4().hex}@example.com"
    user = server.post("/users", {"email": email, "title": "Dr"}).data["id"]
    first = of(server, "revisions", "directus_users", item=user)[-1]
    server.send("PATCH", f"/users/{user}", {"title": "Prof", "email": f"x{email}"})
    assert server.send("POST", f"/utils/revert/{first['id']}").status == 204
    assert server.get(f"/users/{user}?fields=email,title").data == {"email": email, "title": "Dr"}


def test_reverting_takes_the_permission_to_change(server: Server, articles: str, reader: tuple[Server, str]) -> None:
    user, policy = reader
    key = server.post(f"/items/{articles}", {"title": "One", "views": 1}).data["id"]
    first = newest(server, articles)
    server.send("PATCH", f"/items/{articles}/{key}", {"title": "Two"})
    revert = f"/utils/revert/{first['id']}"
    assert user.send("POST", revert).code == "FORBIDDEN"
    permit(server, policy, "directus_revisions")
    permit(server, policy, articles)
    assert user.send("POST", revert).code == "FORBIDDEN"
    permit(server, policy, articles, "update", fields=["views"])
    assert user.send("POST", revert).code == "FORBIDDEN"
    permit(server, policy, articles, "update", fields=["title"])
    assert user.send("POST", revert).status == 204
    assert server.get(f"/items/{articles}/{key}?fields=title").data == {"title": "One"}


def seen(answer: Answer) -> list[Any]:
    assert answer.status == 200, answer.body
    return [(one["item"], one["data"] is None) for one in answer.data]


def test_a_revision_shows_no_more_than_its_item_does(server: Server, articles: str, reader: tuple[Server, str]) -> None:
    user, policy = reader
    key = server.post(f"/items/{articles}", {"title": "One", "views": 7}).data["id"]
    where = f"filter[collection][_eq]={articles}"
    assert user.get(f"/revisions?{where}").code == "FORBIDDEN"
    permit(server, policy, "directus_revisions")
    permit(server, policy, "directus_activity")
    assert seen(user.get(f"/revisions?{where}")) == []
    permit(server, policy, articles, fields=["id", "title"])
    assert seen(user.get(f"/revisions?{where}")) == [(str(key), True)]
    assert user.get(f"/revisions?{where}&filter[data][_contains]=One").status in {200, 400}
    assert user.get(f"/revisions?{where}&search=One").data == []
    assert user.get(f"/activity?{where}&fields=revisions.data").data == [{"revisions": [{"data": None}]}]
    permit(server, policy, articles, fields=["views", "tags", "published", "slug"])
    assert seen(user.get(f"/revisions?{where}")) == [(str(key), False)]


def test_of_items_that_are_partly_hidden_one_sees_what_one_did_oneself(
    server: Server, articles: str, reader: tuple[Server, str]
) -> None:
    user, policy = reader
    server.post(f"/items/{articles}", {"title": "Hidden"})
    permit(server, policy, "directus_revisions")
    permit(server, policy, "directus_activity")
    permit(server, policy, articles, permissions={"title": {"_eq": "Mine"}})
    permit(server, policy, articles, "create")
    mine = user.post(f"/items/{articles}", {"title": "Mine"}).data["id"]
    where = f"filter[collection][_eq]={articles}"
    assert [one["item"] for one in user.get(f"/activity?{where}").data] == [str(mine)]
    assert user.get(f"/activity?{where}&aggregate[count]=*").json["data"][0]["count"] in {1, "1"}
    assert user.get(f"/revisions?{where}").data == []
    assert user.get("/activity?filter[collection][_eq]=directus_users").data == []
