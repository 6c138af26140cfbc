"""`/roles`, `/policies`, `/permissions`, `/access`: who may do what, over HTTP, and in every process."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from datastead.settings import Settings

from .conftest import Answer, Server, serving
from .test_users import email, made, within_a_second


@dataclass(frozen=True)
class Somebody:
    """A user with a role and a policy of the test's own."""

    server: Server
    user: str
    role: str
    policy: str
    access: str


@pytest.fixture
def somebody(server: Server) -> Somebody:
    role = created(server, "/roles", {"name": "doc role"})["id"]
    policy = created(server, "/policies", {"name": "doc policy"})["id"]
    access = created(server, "/access", {"role": role, "policy": policy})["id"]
    token = uuid4().hex
    return Somebody(server.acting_as(token), made(server, role=role, token=token)["id"], role, policy, access)


def created(server: Server, path: str, body: dict[str, Any]) -> Any:
    answer = server.post(path, body)
    assert answer.status == 200, answer.body
    return answer.data


def permit(server: Server, who: Somebody, collection: str, action: str = "read", **more: Any) -> Any:
    body = {"policy": who.policy, "collection": collection, "action": action, "fields": ["*"], **more}
    return created(server, "/permissions", body)


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


def test_a_public_policy_counts_only_from_its_addresses(server: Server, somebody: Somebody, articles: str) -> None:
    permit(server, somebody, articles)
    created(server, f"/items/{articles}", {"title": "One"})
    access = created(server, "/access", {"policy": somebody.policy})["id"]
    doors = (f"/items/{articles}?fields=title", f"/graphql?query={{{articles}{{title}}}}")
    for networks, statuses in ((["127.0.0.0/8"], [200, 200]), (["10.0.0.0/8"], [403, 400]), (None, [200, 200])):
        assert server.send("PATCH", f"/policies/{somebody.policy}", {"ip_access": networks}).status == 200
        assert [server.public.get(door).status for door in doors] == statuses, networks
    assert server.send("DELETE", f"/access/{access}").status == 204


def test_roles_policies_and_permissions_have_the_contracts_shape(
    server: Server, somebody: Somebody, articles: str
) -> None:
    role = server.get(f"/roles/{somebody.role}").data
    assert role == {
        "id": somebody.role, "name": "doc role", "icon": "supervised_user_circle", "description": None, "parent": None,
        "children": [], "policies": [somebody.access], "users": [somebody.user],
    }  # fmt: skip
    assert server.get(f"/policies/{somebody.policy}").data == {
        "id": somebody.policy, "name": "doc policy", "icon": "badge", "description": None, "ip_access": None,
        "enforce_tfa": False, "admin_access": False, "app_access": False, "permissions": [],
        "users": [somebody.access], "roles": [somebody.access],
    }  # fmt: skip
    permission = permit(server, somebody, articles, fields=["id", "title"], permissions={"title": {"_eq": "a"}})
    assert set(permission) == {"id", "collection", "action", "permissions", "validation", "presets", "fields", "policy"}
    assert isinstance(permission["id"], int)
    assert (permission["fields"], permission["validation"]) == (["id", "title"], None)
    assert server.get(f"/access/{somebody.access}").data == {
        "id": somebody.access, "role": somebody.role, "user": None, "policy": somebody.policy, "sort": None,
    }  # fmt: skip


def test_each_of_them_is_listed_searched_changed_and_deleted(server: Server) -> None:
    for path in ("/roles", "/policies"):
        keys = [entry["id"] for entry in server.post(path, [{"name": "a"}, {"name": "b"}]).data]
        query = {"filter": {"id": {"_in": keys}}, "sort": "-name", "fields": "name"}
        assert server.send("SEARCH", path, {"query": query}).data == [{"name": "b"}, {"name": "a"}]
        assert server.send("PATCH", path, {"keys": keys, "data": {"description": "x"}}).data[1]["description"] == "x"
        assert server.send("PATCH", f"{path}/{keys[0]}", {"name": "c"}).data["name"] == "c"
        assert server.send("DELETE", path, {"query": query}).status == 204
        assert refused(server.get(f"{path}/{keys[0]}")) == (403, "FORBIDDEN")


def test_a_permission_counts_at_once_and_no_longer_when_it_is_gone(
    server: Server, somebody: Somebody, articles: str
) -> None:
    server.post(f"/items/{articles}", [{"title": "a", "views": 1}, {"title": "b", "views": 2}])
    permission = permit(server, somebody, articles, fields=["title"], permissions={"views": {"_gt": 1}})
    assert somebody.server.get(f"/items/{articles}").data == [{"title": "b"}]
    server.send("PATCH", f"/permissions/{permission['id']}", {"permissions": None})
    assert len(somebody.server.get(f"/items/{articles}").data) == 2
    server.send("DELETE", f"/permissions/{permission['id']}")
    assert refused(somebody.server.get(f"/items/{articles}")) == (403, "FORBIDDEN")


def test_another_process_sees_a_changed_permission_within_a_second(
    server: Server, settings: Settings, somebody: Somebody, articles: str
) -> None:
    with serving(settings) as port:
        other = Server(port, somebody.server.token)
        assert refused(other.get(f"/items/{articles}")) == (403, "FORBIDDEN")
        permission = permit(server, somebody, articles)
        assert within_a_second(lambda: other.get(f"/items/{articles}").status == 200)
        server.send("DELETE", f"/permissions/{permission['id']}")
        assert within_a_second(lambda: other.get(f"/items/{articles}").status == 403)
        server.send("PATCH", f"/policies/{somebody.policy}", {"admin_access": True})
        assert within_a_second(lambda: other.get(f"/items/{articles}").status == 200)
        server.send("DELETE", f"/access/{somebody.access}")
        assert within_a_second(lambda: other.get(f"/items/{articles}").status == 403)


SENSELESS: list[tuple[dict[str, Any], str]] = [
    ({"action": "look"}, "look"), ({"action": None}, "action"), ({"action": ["read"]}, "read"),
    ({"collection": "nowhere"}, "nowhere"), ({"collection": 5}, "5"), ({"collection": None}, "collection"),
    ({"fields": ["nickname"]}, "nickname"), ({"fields": "title"}, "title"), ({"fields": [1]}, "1"),
    ({"fields": {"title": 1}}, "title"),
    ({"permissions": {"nickname": {"_eq": 1}}}, "nickname"), ({"permissions": {"views": {"_like": 1}}}, "_like"),
    ({"permissions": {"views": {"_gt": "many"}}}, "many"), ({"permissions": "all"}, "all"),
    ({"permissions": [1]}, "1"), ({"permissions": {"_and": 5}}, "5"), ({"permissions": {"views": {"_gt": None}}}, "_gt"),
    ({"permissions": {"title": {"_eq": "$CURRENT_USER.nickname"}}}, "nickname"),
    ({"permissions": {"title": {"_eq": "$CURRENT_USER.password"}}}, "password"),
    ({"permissions": {"title": {"_eq": "$CURRENT_MOOD"}}}, "$CURRENT_MOOD"),
    ({"validation": {"nickname": {"_eq": 1}}}, "nickname"), ({"validation": {"title": {"_like": 1}}}, "_like"),
    ({"validation": {"title": {"_regex": "("}}}, "("), ({"validation": {"views": {"_between": [1]}}}, "cannot take"),
    ({"validation": {"_or": {"title": 1}}}, "_or"), ({"validation": 5}, "5"), ({"validation": {"views": {"_in": 5}}}, "cannot take"),
    ({"presets": {"nickname": 1}}, "nickname"), ({"presets": ["title"]}, "title"),
]  # fmt: skip


def test_a_permission_that_makes_no_sense_is_refused_by_the_value(
    server: Server, somebody: Somebody, articles: str
) -> None:
    good = {"policy": somebody.policy, "collection": articles, "action": "update"}
    saved = created(server, "/permissions", good)
    for change, named in SENSELESS:
        answer = server.post("/permissions", {**good, **change})
        assert refused(answer) == (400, "INVALID_PAYLOAD"), change
        assert named in answer.json["errors"][0]["message"]
        assert refused(server.send("PATCH", f"/permissions/{saved['id']}", change)) == (400, "INVALID_PAYLOAD")
    assert server.get(f"/permissions/{saved['id']}").data == saved


def test_what_is_not_there_cannot_be_referred_to(server: Server, somebody: Somebody, articles: str) -> None:
    nowhere = str(uuid4())
    permission = {"collection": articles, "action": "read"}
    for path, body in (
        ("/permissions", {**permission, "policy": nowhere}), ("/permissions", permission),
        ("/access", {"policy": nowhere}), ("/access", {"policy": somebody.policy, "role": nowhere}),
        ("/access", {"policy": somebody.policy, "user": "x"}), ("/roles", {"name": "x", "parent": nowhere}),
        ("/users", {"email": email(), "role": nowhere}),
    ):  # fmt: skip
        assert refused(server.post(path, body)) == (400, "INVALID_FOREIGN_KEY"), body
    assert refused(server.post("/permissions", {**permission, "policy": {"a": 1}})) == (400, "INVALID_PAYLOAD")
    assert refused(server.post("/policies", {"name": "x", "ip_access": ["10.0.0.0/99"]})) == (400, "INVALID_PAYLOAD")


def test_a_role_has_what_its_ancestors_have_and_is_none_of_them(
    server: Server, somebody: Somebody, articles: str
) -> None:
    grand = created(server, "/roles", {"name": "grand"})["id"]
    parent = created(server, "/roles", {"name": "parent", "parent": grand})["id"]
    assert server.send("PATCH", f"/roles/{somebody.role}", {"parent": parent}).status == 200
    for child, ancestor in ((grand, grand), (grand, parent), (grand, somebody.role)):
        answer = server.send("PATCH", f"/roles/{child}", {"parent": ancestor})
        assert refused(answer) == (400, "INVALID_PAYLOAD")
    server.send("DELETE", f"/access/{somebody.access}")
    created(server, "/access", {"role": grand, "policy": somebody.policy})
    permit(server, somebody, articles)
    assert within_a_second(lambda: somebody.server.get(f"/items/{articles}").status == 200)
    assert somebody.server.get("/roles/me").data == [{"id": somebody.role}, {"id": parent}, {"id": grand}]
    assert server.send("DELETE", f"/roles/{parent}").status == 204
    assert server.get(f"/roles/{somebody.role}?fields=parent").data == {"parent": None}
    assert within_a_second(lambda: somebody.server.get(f"/items/{articles}").status == 403)


def test_a_deleted_policy_takes_its_permissions_and_assignments_along(
    server: Server, somebody: Somebody, articles: str
) -> None:
    permission = permit(server, somebody, articles)
    assert server.send("DELETE", f"/policies/{somebody.policy}").status == 204
    for path in (f"/permissions/{permission['id']}", f"/access/{somebody.access}"):
        assert refused(server.get(path)) == (403, "FORBIDDEN")


def test_the_last_administrator_stays_in_every_way(server: Server) -> None:
    me = server.get("/users/me?fields=id,role").data
    access = server.get(f"/access?filter[role][_eq]={me['role']}").data[0]
    for method, path, body in (
        ("DELETE", f"/access/{access['id']}", None), ("DELETE", f"/policies/{access['policy']}", None),
        ("PATCH", f"/policies/{access['policy']}", {"admin_access": False}), ("DELETE", f"/roles/{me['role']}", None),
        ("PATCH", f"/access/{access['id']}", {"role": None}), ("DELETE", f"/users/{me['id']}", None),
    ):  # fmt: skip
        assert refused(server.send(method, path, body)) == (422, "UNPROCESSABLE_CONTENT"), path
    assert server.get("/users/me?fields=id,role").data == me


def test_what_the_caller_may_do_is_told(server: Server, somebody: Somebody, articles: str) -> None:
    permit(server, somebody, articles, fields=["id", "title"], permissions={"title": {"_eq": "a"}})
    permit(server, somebody, articles, "create", fields=["*"], presets={"title": "draft"})
    permit(server, somebody, articles, "update", fields=["title"], permissions={"views": {"_lt": 5}})
    none = {"access": "none"}
    assert somebody.server.get("/permissions/me").data == {
        articles: {
            "read": {"access": "partial", "fields": ["id", "title"]},
            "create": {"access": "full", "fields": ["*"], "presets": {"title": "draft"}},
            "update": {"access": "partial", "fields": ["title"]}, "delete": none, "share": none,
        }
    }  # fmt: skip
    few, many = (
        item["id"] for item in server.post(f"/items/{articles}", [{"title": "a", "views": n} for n in (1, 9)]).data
    )
    no = {"access": False}
    assert somebody.server.get(f"/permissions/me/{articles}/{few}").data == {
        "update": {"access": True},
        "delete": no,
        "share": no,
    }
    assert somebody.server.get(f"/permissions/me/{articles}/{many}").data == {"update": no, "delete": no, "share": no}
    assert somebody.server.get(f"/permissions/me/{articles}").data["update"] == {"access": True}
    assert refused(somebody.server.get("/permissions/me/nowhere")) == (403, "FORBIDDEN")
    globals_ = {"app_access": False, "admin_access": False, "enforce_tfa": False}
    assert somebody.server.get("/policies/me/globals").data == globals_
    assert server.public.get("/policies/me/globals").data == globals_
    assert server.get("/permissions/me").data[articles]["share"] == {"access": "full", "fields": ["*"]}
    assert server.get(f"/permissions/me/{articles}/{few}").data["delete"] == {"access": True}


def test_users_see_of_themselves_what_policies_let_them(server: Server, somebody: Somebody) -> None:
    assert somebody.server.get("/users/me?fields=id,email,role.name").data == {"id": somebody.user}
    permit(server, somebody, "directus_users", fields=["title", "email"], permissions={"id": {"_eq": "$CURRENT_USER"}})
    assert set(somebody.server.get("/users/me?fields=email,token").data) == {"email"}
    assert len(somebody.server.get("/users").data) == 1
    assert refused(somebody.server.send("PATCH", "/users/me", {"title": "Captain"})) == (403, "FORBIDDEN")
    permit(server, somebody, "directus_users", "update", fields=["title"], permissions={"id": {"_eq": "$CURRENT_USER"}})
    assert somebody.server.send("PATCH", "/users/me", {"title": "Captain"}).data["title"] == "Captain"
    other = made(server)["id"]
    assert refused(somebody.server.send("PATCH", f"/users/{other}", {"title": "x"})) == (403, "FORBIDDEN")
    assert refused(somebody.server.send("PATCH", "/users/me", {"email": "admin@example.com"})) == (403, "FORBIDDEN")


def test_nobody_makes_an_administrator_but_an_administrator(server: Server, somebody: Somebody) -> None:
    me = server.get("/users/me?fields=id,role").data
    admin = server.get(f"/access?filter[role][_eq]={me['role']}&fields=policy").data[0]["policy"]
    for name in ("users", "roles", "policies", "access", "permissions"):
        for action in ("create", "read", "update", "delete"):
            permit(server, somebody, f"directus_{name}", action)
    who = somebody.server
    for method, path, body in (
        ("PATCH", f"/users/{somebody.user}", {"role": me["role"]}), ("POST", "/users", {"email": email(), "role": me["role"]}),
        ("PATCH", f"/users/{me['id']}", {"password": "taken-over"}), ("DELETE", f"/users/{me['id']}", None),
        ("PATCH", f"/policies/{somebody.policy}", {"admin_access": True}), ("POST", "/policies", {"name": "x", "admin_access": True}),
        ("POST", "/access", {"user": somebody.user, "policy": admin}), ("PATCH", f"/access/{somebody.access}", {"policy": admin}),
        ("PATCH", f"/roles/{somebody.role}", {"parent": me["role"]}), ("PATCH", f"/policies/{admin}", {"name": "x"}),
        ("PATCH", f"/policies/{admin.upper()}", {"name": "x"}), ("DELETE", f"/users/{me['id'].upper()}", None),
        ("POST", "/access", {"user": somebody.user, "policy": admin.upper()}),
    ):  # fmt: skip
        assert refused(who.send(method, path, body)) == (403, "FORBIDDEN"), (path, body)
    assert who.post("/roles", {"name": "of my own"}).status == 200
    assert who.post("/access", {"policy": {"a": 1}}).status == 400


def test_values_of_the_user_and_the_role_limit_rows(server: Server, somebody: Somebody, articles: str) -> None:
    server.post(f"/items/{articles}", [{"title": title} for title in ("red", "doc role", "blue", "green")])
    variables = ["$CURRENT_USER.title", "$CURRENT_ROLE.name", "$CURRENT_USER.tags"]
    permit(server, somebody, articles, fields=["title"], permissions={"title": {"_in": variables}})
    titles = lambda: [item["title"] for item in somebody.server.get(f"/items/{articles}?sort=title").data]  # noqa: E731
    assert titles() == ["doc role"]
    server.send("PATCH", f"/users/{somebody.user}", {"title": "red", "tags": ["blue"]})
    assert within_a_second(lambda: titles() == ["blue", "doc role", "red"])
    query = f"/items/{articles}?filter[title][_eq]=$CURRENT_USER.title"
    assert refused(somebody.server.get(query)) == (400, "INVALID_QUERY")


def test_a_value_that_a_user_does_not_have_lets_nothing_through(
    server: Server, somebody: Somebody, articles: str
) -> None:
    server.post(f"/items/{articles}", [{"title": "a"}])
    for condition in (
        {"_neq": "$CURRENT_USER.title"},
        {"_nin": ["$CURRENT_USER.title"]},
        {"_eq": "$CURRENT_USER.title"},
    ):
        permission = permit(server, somebody, articles, permissions={"title": condition})
        assert somebody.server.get(f"/items/{articles}").data == []
        server.send("DELETE", f"/permissions/{permission['id']}")
    permit(server, somebody, articles, "create", validation={"title": {"_neq": "$CURRENT_USER.title"}})
    assert refused(somebody.server.post(f"/items/{articles}", {"title": "b"})) == (403, "FORBIDDEN")


def test_policies_by_their_ids_limit_rows(server: Server, somebody: Somebody, articles: str) -> None:
    server.post(f"/items/{articles}", [{"title": somebody.policy}, {"title": "a"}])
    permit(server, somebody, articles, fields=["title"], permissions={"title": {"_in": ["$CURRENT_POLICIES"]}})
    assert somebody.server.get(f"/items/{articles}").data == [{"title": somebody.policy}]


def test_a_flow_that_acts_as_a_role_may_do_what_its_policies_permit(
    server: Server, somebody: Somebody, articles: str
) -> None:
    parent = created(server, "/roles", {"name": "writers"})["id"]
    server.send("PATCH", f"/roles/{somebody.role}", {"parent": parent})
    server.send("DELETE", f"/access/{somebody.access}")
    created(server, "/access", {"role": parent, "policy": somebody.policy})
    flow = created(server, "/flows", {
        "name": "f", "status": "active", "trigger": "webhook", "options": {"method": "POST", "return": "$last"},
    })  # fmt: skip
    operation = created(server, "/operations", {
        "flow": flow["id"], "key": "write", "type": "item-create", "position_x": 1, "position_y": 1,
        "options": {"collection": articles, "payload": {"title": "by a flow"}, "permissions": somebody.role},
    })  # fmt: skip
    server.send("PATCH", f"/flows/{flow['id']}", {"operation": operation["id"]})
    assert "FORBIDDEN" in server.public.post(f"/flows/trigger/{flow['id']}", {}).body
    permit(server, somebody, articles, "create", presets={"slug": "set"})
    assert server.public.post(f"/flows/trigger/{flow['id']}", {}).status == 200
    assert server.get(f"/items/{articles}?fields=title,slug").data == [{"title": "by a flow", "slug": "set"}]
