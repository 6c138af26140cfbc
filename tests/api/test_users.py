"""`/users` and `/roles`: in the contract's shape; and what a change means for those who are signed in."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from datastead.data import system
from datastead.settings import Settings
from tests.databases import postgresql_database, sqlalchemy_url
from tests.mariadb import mariadb_database

from .conftest import ADMIN_TOKEN, PASSWORD, Answer, Server, serving

MASK = "**********"


def email() -> str:
    return f"{uuid4().hex[:12]}@example.com"


def made(server: Server, **fields: Any) -> dict[str, Any]:
    answer = server.post("/users", {"email": email(), "password": PASSWORD, **fields})
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.data
    return found


def patch(server: Server, path: str, body: Any) -> Answer:
    return server.send("PATCH", path, body)


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


@contextmanager
def own_database(kind: str, folder: Path) -> Iterator[str]:
    """A database of the test's own, of the same kind."""
    if kind.startswith("sqlite"):
        yield f"sqlite:///{folder / 'own.db'}"
    else:
        with mariadb_database() if kind.startswith("mariadb") else postgresql_database() as url:
            yield url


def within_a_second(is_so: Callable[[], bool]) -> bool:
    """A second, and some for a busy machine."""
    end = time.monotonic() + 3
    while not is_so() and time.monotonic() < end:
        time.sleep(0.05)
    return is_so()


@pytest.fixture
def admin_role(server: Server) -> str:
    return str(server.get("/users/me?fields=role").data["role"])


def test_a_new_user_has_the_contracts_shape(server: Server) -> None:
    user = made(server, first_name="Zoe", token=uuid4().hex)
    shape = {
        "id", "first_name", "last_name", "email", "password", "location", "title", "description", "tags", "avatar",
        "language", "tfa_secret", "status", "role", "token", "last_access", "last_page", "provider",
        "external_identifier", "auth_data", "email_notifications", "appearance", "theme_dark", "theme_light",
        "theme_light_overrides", "theme_dark_overrides", "text_direction", "policies",
    }  # fmt: skip
    assert set(user) == shape
    assert (user["password"], user["token"], user["status"], user["provider"]) == (MASK, MASK, "active", "default")
    assert (user["policies"], user["role"], user["tfa_secret"]) == ([], None, None)


def test_users_are_listed_read_changed_and_deleted(server: Server) -> None:
    user = made(server)
    path = f"/users/{user['id']}"
    assert server.get(f"{path}?fields=email").data == {"email": user["email"]}
    query = f"filter[email][_eq]={user['email']}&fields=id&meta=filter_count"
    listed = server.get(f"/users?{query}").json
    assert listed == {"meta": {"filter_count": 1}, "data": [{"id": user["id"]}]}
    assert patch(server, path, {"title": "Captain"}).data["title"] == "Captain"
    assert server.send("DELETE", path).status == 204
    assert refused(server.get(path)) == (403, "FORBIDDEN")


def test_several_users_are_created_changed_and_deleted_together(server: Server) -> None:
    users = server.post("/users", [{"email": email()}, {"email": email()}]).data
    keys = [user["id"] for user in users]
    assert [user["title"] for user in patch(server, "/users", {"keys": keys, "data": {"title": "a"}}).data] == [
        "a",
        "a",
    ]
    batch = [{"id": key, "title": str(number)} for number, key in enumerate(keys)]
    assert [user["title"] for user in patch(server, "/users", batch).data] == ["0", "1"]
    query = {"filter": {"id": {"_in": keys}}}
    assert patch(server, "/users", {"query": query, "data": {"title": "b"}}).data[1]["title"] == "b"
    assert server.send("DELETE", "/users", keys[:1]).status == 204
    assert server.send("DELETE", "/users", {"query": query}).status == 204
    assert server.get(f"/users?filter={json.dumps({'id': {'_in': keys}})}".replace(" ", "")).data == []


def test_an_email_is_taken_whatever_its_case(server: Server) -> None:
    user = made(server)
    for taken in (user["email"], user["email"].upper()):
        answer = server.post("/users", {"email": taken})
        assert refused(answer) == (400, "RECORD_NOT_UNIQUE")
        assert answer.json["errors"][0]["extensions"]["field"] == "email"
    assert patch(server, f"/users/{user['id']}", {"email": user["email"].upper()}).status == 200


def test_a_token_is_taken_without_being_repeated(server: Server) -> None:
    token = f"canary-{uuid4().hex}"
    made(server, token=token)
    answer = server.post("/users", {"email": email(), "token": token})
    assert refused(answer) == (400, "RECORD_NOT_UNIQUE")
    assert token not in answer.body


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"email": "nobody"}, "FAILED_VALIDATION"),
        ({"email": 5}, "FAILED_VALIDATION"),
        ({"status": "asleep"}, "INVALID_PAYLOAD"),
        ({"status": None}, "INVALID_PAYLOAD"),
        ({"status": ["active"]}, "INVALID_PAYLOAD"),
        ({"role": str(uuid4())}, "INVALID_FOREIGN_KEY"),
        ({"role": "Administrator"}, "INVALID_FOREIGN_KEY"),
        ({"role": {"nickname": "x"}}, "INVALID_PAYLOAD"),
        ({"password": 5}, "INVALID_PAYLOAD"),
        ({"password": "x" * 2000}, "INVALID_PAYLOAD"),
        ({"tfa_secret": "JBSWY3DP"}, "INVALID_PAYLOAD"),
        ({"token": "t" * 300}, "VALUE_TOO_LONG"),
        ({"token": ["t"]}, "INVALID_PAYLOAD"),
        ({"nickname": "Zo"}, "INVALID_PAYLOAD"),
        ([1], "INVALID_PAYLOAD"),
    ],
)
def test_a_wrong_user_is_refused_by_name(server: Server, body: Any, code: str) -> None:
    assert refused(server.post("/users", body)) == (400, code)
    if isinstance(body, dict):
        user = made(server)
        assert refused(patch(server, f"/users/{user['id']}", body)) == (400, code)


@pytest.mark.parametrize("body", [None, {}, {"keys": 5}, {"query": []}, {"data": {}}, {"keys": [], "data": 1}, 7])
def test_a_change_of_several_that_names_nobody_is_refused(server: Server, body: Any) -> None:
    assert patch(server, "/users", body).code == "INVALID_PAYLOAD"
    if body is not None and "data" not in str(body):
        assert server.send("DELETE", "/users", body).code == "INVALID_PAYLOAD"


def test_only_administrators_manage_users(server: Server) -> None:
    token = uuid4().hex
    user = made(server, token=token)
    for other in (server.public, server.acting_as(token)):
        assert refused(other.get("/users")) == (403, "FORBIDDEN")
        assert refused(other.get(f"/users/{user['id']}")) == (403, "FORBIDDEN")
        assert refused(other.post("/users", {"email": email()})) == (403, "FORBIDDEN")
        assert refused(patch(other, f"/users/{user['id']}", {"title": "x"})) == (403, "FORBIDDEN")
        assert refused(other.send("DELETE", f"/users/{user['id']}")) == (403, "FORBIDDEN")
        assert refused(other.get("/roles")) == (403, "FORBIDDEN")
        assert refused(other.post("/roles", {"name": "x"})) == (403, "FORBIDDEN")


def test_writing_the_masks_back_keeps_password_and_token(server: Server) -> None:
    token = uuid4().hex
    user = made(server, token=token)
    patch(server, f"/users/{user['id']}", {"password": MASK, "token": MASK, "title": "x"})
    assert server.acting_as(token).get("/users/me").data == {"id": user["id"]}
    login = {"email": user["email"], "password": PASSWORD}
    assert server.public.post("/auth/login", login).status == 200


def test_a_new_password_works_and_ends_the_sessions_of_the_old_one(server: Server) -> None:
    user = made(server)
    login = {"email": user["email"], "password": PASSWORD}
    session = server.public.post("/auth/login", login).data
    patch(server, f"/users/{user['id']}", {"password": "another-long-one"})
    assert refused(server.public.post("/auth/login", login)) == (401, "INVALID_CREDENTIALS")
    refresh = {"refresh_token": session["refresh_token"]}
    assert refused(server.public.post("/auth/refresh", refresh)) == (401, "INVALID_CREDENTIALS")
    assert server.public.post("/auth/login", {**login, "password": "another-long-one"}).status == 200


def test_a_changed_token_a_suspended_and_a_deleted_user_count_everywhere_within_a_second(
    settings: Settings, server: Server
) -> None:
    token, new = uuid4().hex, uuid4().hex
    user = made(server, token=token)
    path = f"/users/{user['id']}"
    with serving(settings) as port:
        other = Server(port, token)
        assert other.get("/users/me").status == 200
        patch(server, path, {"token": new})
        assert within_a_second(lambda: other.get("/users/me").status == 401)
        other = other.acting_as(new)
        assert other.get("/users/me").status == 200
        patch(server, path, {"status": "suspended"})
        assert within_a_second(lambda: other.get("/users/me").status == 401)
        patch(server, path, {"status": "active"})
        assert within_a_second(lambda: other.get("/users/me").status == 200)
        server.send("DELETE", path)
        assert within_a_second(lambda: other.get("/users/me").status == 401)


def test_the_last_active_administrator_stays(server: Server, admin_role: str) -> None:
    me = server.get("/users/me?fields=id").data["id"]
    for other in server.get(f"/users?filter[role][_eq]={admin_role}&fields=id&limit=-1").data:
        if other["id"] != me:
            assert server.send("DELETE", f"/users/{other['id']}").status == 204
    for answer in (
        server.send("DELETE", f"/users/{me}"),
        server.send("DELETE", "/users", {"query": {}}),
        patch(server, f"/users/{me}", {"status": "suspended"}),
        patch(server, f"/users/{me}", {"role": None}),
        patch(server, "/users/me", {"status": "archived"}),
    ):
        assert refused(answer) == (422, "UNPROCESSABLE_CONTENT")
    second = made(server, role=admin_role)
    assert patch(server, f"/users/{second['id']}", {"status": "suspended"}).status == 200
    assert refused(server.send("DELETE", f"/users/{me}")) == (422, "UNPROCESSABLE_CONTENT")  # a suspended one is none
    assert server.send("DELETE", f"/users/{second['id']}").status == 204


def test_of_two_administrators_who_delete_each_other_one_stays(database_url: str, tmp_path: Path) -> None:
    with own_database(database_url, tmp_path) as url:
        settings = Settings(
            database_url=url, admin_token=ADMIN_TOKEN, admin_password=PASSWORD, secret="s" * 40,
            extensions_path=str(tmp_path),
        )  # fmt: skip
        with serving(settings) as port:
            first = Server(port)
            me = first.get("/users/me?fields=id,role").data
            second = made(first, role=me["role"], token=uuid4().hex)
            other = first.acting_as(second["id"])
            patch(first, f"/users/{second['id']}", {"token": second["id"]})
            assert within_a_second(lambda: other.get("/users/me").status == 200)
            with ThreadPoolExecutor(2) as pool:
                deleting = [
                    pool.submit(first.send, "DELETE", f"/users/{second['id']}"),
                    pool.submit(other.send, "DELETE", f"/users/{me['id']}"),
                ]
            statuses = sorted(each.result().status for each in deleting)
            assert statuses[0] == 204
            assert statuses[1] in {401, 422}
            time.sleep(0.6)  # what the tokens stood for is believed for half a second
            assert sorted([first.get("/users").status, other.get("/users").status]) == [200, 401]


def test_an_administrator_by_an_inherited_role_counts_as_one(server: Server, admin_role: str) -> None:
    child = server.post("/roles", {"name": "Deputy", "parent": admin_role}).data
    assert (child["name"], child["parent"], child["users"], child["policies"]) == ("Deputy", admin_role, [], [])
    deputy = made(server, role=child["id"], token=uuid4().hex)
    me = server.get("/users/me?fields=id,role").data
    assert patch(server, f"/users/{me['id']}", {"role": child["id"]}).status == 200
    assert within_a_second(lambda: server.get("/users").status == 200)
    assert patch(server, f"/users/{me['id']}", {"role": me["role"]}).status == 200
    assert server.send("DELETE", f"/users/{deputy['id']}").status == 204


def give_app_access(settings: Settings, user: str) -> None:
    """A policy of the user's own: there is no API for policies yet."""
    policy = str(uuid4())
    engine = sa.create_engine(sqlalchemy_url(settings.database))
    with engine.begin() as connection:
        connection.execute(system.policies.insert().values(id=policy, name="App", app_access=True))
        connection.execute(system.access.insert().values(id=str(uuid4()), user=user, policy=policy))
    engine.dispose()


def test_people_change_their_own_look_and_password_and_no_more(server: Server, settings: Settings) -> None:
    token = uuid4().hex
    user = made(server, token=token)
    me = server.acting_as(token)
    # without access to the app there is nothing to change
    assert refused(patch(me, "/users/me", {"first_name": "Zoe"})) == (403, "FORBIDDEN")
    give_app_access(settings, user["id"])
    assert within_a_second(lambda: patch(me, "/users/me", {"first_name": "Zoe"}).status == 200)
    assert server.get(f"/users/{user['id']}?fields=first_name").data == {"first_name": "Zoe"}
    for field in ("role", "status", "token", "email", "id", "provider", "policies"):
        assert refused(patch(me, "/users/me", {field: user["id"]})) == (403, "FORBIDDEN")
    assert refused(patch(server.public, "/users/me", {"first_name": "Zoe"})) == (401, "INVALID_CREDENTIALS")
    assert patch(server, "/users/me", {"first_name": "Ada"}).data["first_name"] == "Ada"
    assert server.get(f"/users/{user['id']}?fields=first_name").data == {"first_name": "Zoe"}
