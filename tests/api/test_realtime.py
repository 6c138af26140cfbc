"""Subscribing to items over a WebSocket: who is told what, and when. Clients are Python's `websockets`."""

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from datastead.settings import Settings
from tests.databases import sqlalchemy_url

from .conftest import ADMIN_TOKEN, PASSWORD, Server, collection, serving

SECRET = "s" * 40


__all__ = ["Door", "reader", "settings_of"]


class Socket:
    """A connection, and messages as values. Pings of the server are answered, and not shown."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def say(self, **message: Any) -> "Socket":
        self._connection.send(json.dumps(message))
        return self

    def say_raw(self, text: str) -> "Socket":
        self._connection.send(text)
        return self

    def hear(self, timeout_s: float = 5) -> Any:
        message = json.loads(self._connection.recv(timeout_s))
        return self.hear(timeout_s) if message == {"type": "ping"} else message

    def ask(self, **message: Any) -> Any:
        return self.say(**message).hear()

    def raw(self) -> str | bytes:
        return self._connection.recv(5)

    def is_closed_after_reading(self) -> bool:
        """Whether, after what is there already, the connection ends before the last change."""
        try:
            while True:
                if "last" in str(self._connection.recv(30)):
                    return False
        except ConnectionClosed:
            return True

    def silence(self, timeout_s: float = 0.0) -> bool:
        """That nothing has come: a question is answered at once, and what came before it would be heard before."""
        time.sleep(timeout_s)
        return bool(self.ask(type="ping", uid="silence") == {"type": "pong", "uid": "silence"})

    def code(self) -> int:
        """With what the server closes."""
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                self._connection.recv(5)
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code


class Door:
    """A server with WebSockets; `to` opens one."""

    def __init__(self, port: int) -> None:
        self.http = Server(port)
        self.port = port
        self._open = ExitStack()

    def to(self, token: str | None = ADMIN_TOKEN, query: str = "", **headers: str) -> Socket:
        """token: shown in the first message; None = nothing is said."""
        url = f"ws://127.0.0.1:{self.port}/websocket{query}"
        connection = connect(url, additional_headers=headers, compression=None, proxy=None)
        socket = Socket(self._open.enter_context(connection))
        if token is not None:
            assert socket.ask(type="auth", access_token=token) == {"type": "auth", "status": "ok"}
        return socket

    def close(self) -> None:
        self._open.close()


def settings_of(url: str, folder: Path, **more: Any) -> Settings:
    own = {"websockets_enabled": True, "extensions_path": str(folder), "secret": SECRET, **more}
    return Settings(database_url=url, admin_token=ADMIN_TOKEN, admin_password=PASSWORD, **own)


@pytest.fixture(scope="module")
def place(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    settings = settings_of(database_url, tmp_path_factory.mktemp("realtime"))
    with serving(settings) as port:
        yield Door(port)


@pytest.fixture
def door(place: Door) -> Iterator[Door]:
    yield place
    place.close()


@pytest.fixture
def articles(place: Door) -> str:
    name = f"articles_{uuid4().hex[:8]}"
    assert place.http.post("/collections", collection(name)).status == 200
    return name


def reader(server: Server, articles: str, **permission: Any) -> tuple[str, str]:
    """A user who may read articles, as the permission says: the token, and the permission's id."""
    policy = server.post("/policies", {"name": "x"}).data["id"]
    token = uuid4().hex
    user = server.post("/users", {"email": f"{token}@example.com", "token": token}).data["id"]
    server.post("/access", {"policy": policy, "user": user})
    granted = {"policy": policy, "collection": articles, "action": "read", "fields": ["*"], **permission}
    return token, server.post("/permissions", granted).data["id"]


def test_a_subscriber_is_told_of_each_change_with_the_fields_it_asked_for(door: Door, articles: str) -> None:
    door.http.post(f"/items/{articles}", {"title": "first"})
    socket = door.to()
    query = {"fields": ["id", "title"], "limit": 2}
    first = socket.ask(type="subscribe", collection=articles, uid="1", query=query)
    assert first == {"type": "subscription", "event": "init", "data": [{"id": 1, "title": "first"}], "uid": "1"}
    door.http.post(f"/items/{articles}", [{"title": "second"}, {"title": "third"}])
    created = [{"id": 2, "title": "second"}, {"id": 3, "title": "third"}]
    assert socket.hear() == {"type": "subscription", "event": "create", "data": created, "uid": "1"}
    door.http.send("PATCH", f"/items/{articles}/2", {"title": "2nd"})
    assert socket.hear() == {
        "type": "subscription", "event": "update", "data": [{"id": 2, "title": "2nd"}], "uid": "1"
    }  # fmt: skip
    door.http.send("DELETE", f"/items/{articles}/2")
    assert socket.hear() == {"type": "subscription", "event": "delete", "data": ["2"], "uid": "1"}
    assert socket.ask(type="unsubscribe", uid="1") == {"type": "subscription", "event": "unsubscribe", "uid": "1"}
    door.http.post(f"/items/{articles}", {"title": "unheard"})
    assert socket.silence()


def test_one_event_and_one_item_can_be_subscribed_to(door: Door, articles: str) -> None:
    door.http.post(f"/items/{articles}", [{"title": "a"}, {"title": "b"}])
    socket = door.to()
    fields = {"fields": ["title"]}
    first = socket.ask(type="subscribe", collection=articles, event="update", uid="u", query=fields)
    assert first == {"type": "subscription", "event": "init", "uid": "u"}
    second = socket.ask(type="subscribe", collection=articles, item=2, uid="i", query=fields)
    assert second["data"] == [{"title": "b"}]
    door.http.post(f"/items/{articles}", {"title": "c"})
    door.http.send("PATCH", f"/items/{articles}/1", {"title": "A"})
    assert socket.hear() == {"type": "subscription", "event": "update", "data": [{"title": "A"}], "uid": "u"}
    door.http.send("DELETE", f"/items/{articles}/2")
    assert socket.hear() == {"type": "subscription", "event": "delete", "data": ["2"], "uid": "i"}


def test_what_is_undone_is_not_told(door: Door, articles: str) -> None:
    socket = door.to()
    socket.ask(type="subscribe", collection=articles, uid="1")
    refused = door.http.post(f"/items/{articles}", [{"title": "a", "slug": "x"}, {"title": "b", "slug": "x"}])
    assert refused.status == 400
    assert socket.silence()


def test_a_row_that_does_not_match_the_filter_any_more_is_not_told(door: Door, articles: str) -> None:
    door.http.post(f"/items/{articles}", {"title": "a", "views": 5})
    socket = door.to()
    asked = {"fields": ["id"], "filter": {"views": {"_gt": 3}}, "search": "a"}
    assert socket.ask(type="subscribe", collection=articles, uid="1", query=asked)["data"] == [{"id": 1}]
    door.http.send("PATCH", f"/items/{articles}/1", {"views": 1})
    door.http.post(f"/items/{articles}", {"title": "z", "views": 9})
    assert socket.silence()
    door.http.send("PATCH", f"/items/{articles}/1", {"views": 6})
    assert socket.hear()["data"] == [{"id": 1}]


def test_a_user_is_told_only_of_rows_and_fields_that_it_may_read(door: Door, articles: str) -> None:
    token, _ = reader(door.http, articles, permissions={"views": {"_gt": 3}}, fields=["id", "title"])
    door.http.post(f"/items/{articles}", [{"title": "open", "views": 5}, {"title": "hidden", "views": 1}])
    socket = door.to(token)
    first = socket.ask(type="subscribe", collection=articles, uid="1")
    assert first["data"] == [{"id": 1, "title": "open"}]
    door.http.send("PATCH", f"/items/{articles}/2", {"title": "still hidden"})
    door.http.send("DELETE", f"/items/{articles}/2")
    assert socket.silence()
    door.http.send("PATCH", f"/items/{articles}/1", {"title": "seen"})
    assert socket.hear()["data"] == [{"id": 1, "title": "seen"}]
    door.http.send("DELETE", f"/items/{articles}/1")
    assert socket.hear() == {"type": "subscription", "event": "delete", "data": ["1"], "uid": "1"}


def test_a_row_that_was_hidden_before_it_was_deleted_is_not_told(door: Door, articles: str) -> None:
    token, _ = reader(door.http, articles, permissions={"views": {"_gt": 3}})
    door.http.post(f"/items/{articles}", {"title": "open", "views": 5})
    socket = door.to(token)
    assert len(socket.ask(type="subscribe", collection=articles, uid="1")["data"]) == 1
    door.http.send("PATCH", f"/items/{articles}/1", {"views": 1})
    door.http.send("DELETE", f"/items/{articles}/1")
    assert socket.silence()


def test_a_right_that_is_taken_away_counts_for_the_next_change(door: Door, articles: str) -> None:
    token, permission = reader(door.http, articles)
    socket = door.to(token)
    socket.ask(type="subscribe", collection=articles, uid="1", query={"fields": ["title"]})
    door.http.post(f"/items/{articles}", {"title": "a"})
    assert socket.hear()["data"] == [{"title": "a"}]
    door.http.send("PATCH", f"/permissions/{permission}", {"fields": ["id"]})
    door.http.post(f"/items/{articles}", {"title": "b"})
    assert socket.silence()
    door.http.send("DELETE", f"/permissions/{permission}")
    door.http.post(f"/items/{articles}", {"title": "c"})
    door.http.send("DELETE", f"/items/{articles}/1")
    assert socket.silence()


def test_collections_that_there_are_not_and_that_are_hidden_look_alike(door: Door, articles: str) -> None:
    token, _ = reader(door.http, articles)
    socket = door.to(token)
    other = f"other_{uuid4().hex[:8]}"
    assert door.http.post("/collections", collection(other)).status == 200
    refused = [
        socket.ask(type="subscribe", collection=name, uid="1")
        for name in (other, "nothing", "directus_sessions", "datastead_runs", "directus_users")
    ]
    assert {json.dumps(answer) for answer in refused} == {json.dumps(refused[0])}
    assert refused[0]["status"] == "error"
    assert refused[0]["error"]["code"] == "INVALID_COLLECTION"


def test_what_a_subscription_cannot_be_is_refused_with_its_uid(door: Door, articles: str) -> None:
    socket = door.to()
    for query, code in (
        ({"aggregate": {"count": "*"}}, "INVALID_QUERY"), ({"fields": ["nothing"]}, "FORBIDDEN"), ("x", "INVALID_PAYLOAD"),
        ({"filter": {"views": {"_nothing": 1}}}, "INVALID_QUERY"), ({"filter": {"views": {"_intersects": "x"}}}, "INVALID_QUERY"),
    ):  # fmt: skip
        for event in ({}, {"event": "create"}):
            answer = socket.ask(type="subscribe", collection=articles, uid="7", query=query, **event)
            assert (answer["error"]["code"], answer["uid"], answer["type"]) == (code, "7", "subscribe")
    for event in ("nothing", ["create"], {}, 5):
        refused = socket.ask(type="subscribe", collection=articles, uid="7", event=event)
        assert refused["error"]["code"] == "INVALID_PAYLOAD"
    assert socket.say_raw("not json").hear() == {
        "type": "server", "status": "error",
        "error": {"code": "INVALID_PAYLOAD", "message": "Unable to parse the incoming message."},
    }  # fmt: skip
    assert socket.ask(type="nothing")["error"]["code"] == "INVALID_PAYLOAD"
    assert socket.ask(type="ping", uid="p") == {"type": "pong", "uid": "p"}


def test_items_are_created_read_updated_and_deleted(door: Door, articles: str) -> None:
    socket = door.to()

    def ask(action: str, **more: Any) -> Any:
        return socket.ask(type="items", action=action, collection=articles, uid="3", **more)

    query = {"fields": ["id", "title"]}
    assert ask("create", data={"title": "a"}, query=query) == {
        "type": "items", "data": {"id": 1, "title": "a"}, "uid": "3"
    }  # fmt: skip
    assert ask("create", data=[{"title": "b"}, {"title": "c"}], query={"fields": ["id"]})["data"] == [
        {"id": 2},
        {"id": 3},
    ]
    assert ask("read", query={"fields": ["title"], "sort": ["-id"], "limit": 1, "meta": "total_count"}) == {
        "type": "items", "data": [{"title": "c"}], "meta": {"total_count": 3}, "uid": "3"
    }  # fmt: skip
    assert ask("read", id=2, query=query)["data"] == {"id": 2, "title": "b"}
    assert ask("read", ids=[3, 1], query={"fields": ["id"]})["data"] == [{"id": 3}, {"id": 1}]
    assert ask("update", id=1, data={"title": "A"}, query=query)["data"] == {"id": 1, "title": "A"}
    assert ask("update", ids=[2, 3], data={"views": 9}, query={"fields": ["views"]})["data"] == [{"views": 9}] * 2
    by_query = ask("update", data={"views": 1}, query={"filter": {"id": {"_gt": 2}}, "fields": ["id"]})
    assert by_query["data"] == [{"id": 3}]
    assert ask("update", data=[{"id": 1, "views": 4}], query={"fields": ["views"]})["data"] == [{"views": 4}]
    assert ask("delete", id=1)["data"] == 1
    assert ask("delete", ids=[2, 3])["data"] == [2, 3]
    assert ask("read")["data"] == []
    assert ask("read", id=99)["error"]["code"] == "FORBIDDEN"
    assert ask("create", data={"views": 1})["error"]["code"] == "FAILED_VALIDATION"
    assert ask("delete")["error"]["code"] == "INVALID_PAYLOAD"
    assert ask("explode")["error"]["code"] == "INVALID_PAYLOAD"


def test_users_are_written_by_their_own_rules_and_sessions_are_not_shown(door: Door) -> None:
    socket = door.to()
    email = f"{uuid4().hex}@example.com"
    socket.ask(
        type="subscribe", collection="directus_users", event="create", uid="u", query={"fields": ["email", "password"]}
    )
    made = socket.say(
        type="items", action="create", collection="directus_users", data={"email": email, "password": "p" * 9}
    )
    answers = {answer["type"]: answer for answer in (made.hear(), made.hear())}
    assert answers["subscription"]["data"] == [{"email": email, "password": "**********"}]
    refused = socket.ask(type="items", action="create", collection="directus_users", data={"email": "no address"})
    assert refused["error"]["code"] == "FAILED_VALIDATION"
    for name in ("directus_sessions", "datastead_steps", "datastead_ai_calls", "datastead_listeners"):
        assert socket.ask(type="items", action="read", collection=name)["error"]["code"] == "INVALID_COLLECTION"
    settings = {"type": "items", "collection": "directus_settings"}
    wrong = {"ai_openai_compatible_base_url": "ftp://x"}
    for named in ({}, {"id": 1}, {"ids": [1]}):
        assert socket.ask(**settings, action="update", data=wrong, **named)["error"]["code"] == "INVALID_PAYLOAD"
        assert socket.ask(**settings, action="delete", **named)["error"]["code"] in {"FORBIDDEN", "INVALID_PAYLOAD"}
    assert socket.ask(**settings, action="read", query={"fields": ["id"]})["data"] == {"id": 1}
    written = socket.ask(type="items", action="create", collection="directus_flows", data={"name": "x", "trigger": 5})
    assert written["error"]["code"] in {"INVALID_PAYLOAD", "INVALID_FLOW"}
    flow = socket.ask(type="items", action="create", collection="directus_flows", data={"name": "x"})["data"]["id"]
    socket.ask(type="items", action="delete", collection="directus_flows", id=flow)
    assert door.http.get(f"/flows/{flow}").status == 403


def test_whoever_does_not_say_who_it_is_is_refused(door: Door) -> None:
    for message in (
        {"type": "auth", "access_token": "wrong"}, {"type": "auth"}, {"type": "auth", "access_token": 5},
        {"type": "subscribe", "collection": "x"}, {"type": "auth", "email": "admin@example.com", "password": "wrong"},
        {"type": "auth", "refresh_token": "wrong"},
    ):  # fmt: skip
        socket = door.to(None)
        answer = socket.ask(**message)
        assert answer["type"] == "auth"
        assert answer["error"] == {"code": "AUTH_FAILED", "message": "Authentication handshake failed."}
        assert socket.code() == 1008


def test_one_signs_in_by_password_and_by_refresh_token(door: Door, articles: str) -> None:
    answer = door.to(None).ask(type="auth", email="admin@example.com", password=PASSWORD, uid="a")
    assert (answer["status"], answer["uid"]) == ("ok", "a")
    socket = door.to(None)
    again = socket.ask(type="auth", refresh_token=answer["refresh_token"])
    assert again["refresh_token"] != answer["refresh_token"]
    assert socket.ask(type="subscribe", collection=articles, uid="1")["event"] == "init"


def test_a_token_in_the_url_and_a_cookie_sign_in(door: Door, articles: str) -> None:
    assert door.to(None, f"?access_token={ADMIN_TOKEN}").ask(type="subscribe", collection=articles)["event"] == "init"
    session = door.http.public.post(
        "/auth/login", {"email": "admin@example.com", "password": PASSWORD, "mode": "session"}
    )
    cookie = session.headers["set-cookie"].partition(";")[0]
    assert door.to(None, "", Cookie=cookie).ask(type="subscribe", collection=articles)["event"] == "init"
    foreign = door.to(None, "", Cookie=cookie, Origin="https://evil.example.com")
    assert foreign.ask(type="subscribe", collection=articles)["error"]["code"] == "AUTH_FAILED"


def test_a_user_who_is_suspended_is_told_nothing_more(door: Door, articles: str) -> None:
    token, _ = reader(door.http, articles)
    socket = door.to(token)
    user = door.http.acting_as(token).get("/users/me").data["id"]
    socket.ask(type="subscribe", collection=articles, uid="1")
    door.http.send("PATCH", f"/users/{user}", {"status": "suspended"})
    time.sleep(0.6)  # within a second
    door.http.post(f"/items/{articles}", {"title": "a"})
    assert socket.hear()["error"]["code"] == "AUTH_FAILED"
    assert socket.silence()


def listeners(url: str) -> int:
    """How many processes have said that they listen."""
    engine = sa.create_engine(sqlalchemy_url(url), poolclass=NullPool)
    with engine.connect() as connection:
        return int(connection.execute(sa.text("SELECT count(*) FROM datastead_listeners")).scalar() or 0)


def test_a_change_by_another_process_is_told_within_a_second(
    door: Door, articles: str, database_url: str, tmp_path: Path
) -> None:
    with serving(settings_of(database_url, tmp_path)) as port:
        other = Server(port)
        door.http.post(f"/items/{articles}", {"title": "before"})
        socket = door.to()
        assert socket.ask(type="subscribe", collection=articles, uid="1", query={"fields": ["title"]})["data"]
        assert listeners(database_url) == 1
        other.post(f"/items/{articles}", {"title": "elsewhere"})
        assert socket.hear(1) == {
            "type": "subscription", "event": "create", "data": [{"title": "elsewhere"}], "uid": "1"
        }  # fmt: skip
        other.send("DELETE", f"/items/{articles}/1")
        assert socket.hear(1)["data"] == ["1"]
        assert socket.silence(0.6)  # each is told once
