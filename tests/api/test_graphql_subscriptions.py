"""GraphQL subscriptions over a WebSocket, by the protocol `graphql-transport-ws`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from .conftest import ADMIN_TOKEN
from .test_realtime import Door, reader
from .test_realtime_limits import opened

MUTATED = "subscription ($e: EventEnum) { articles_mutated(event: $e) { k: key event data { id called: title } } }"


@contextmanager
def spoken(door: Door, token: str | None = ADMIN_TOKEN) -> Iterator[ClientConnection]:
    """A connection; with a token, one that has begun."""
    protocols = [Subprotocol("graphql-transport-ws")]
    with connect(f"ws://127.0.0.1:{door.port}/graphql", subprotocols=protocols, proxy=None) as connection:
        if token is not None:
            assert ask(connection, type="connection_init", payload={"access_token": token}) == {
                "type": "connection_ack"
            }
        yield connection


def ask(connection: ClientConnection, **message: Any) -> Any:
    connection.send(json.dumps(message))
    return json.loads(connection.recv(5))


def hear(connection: ClientConnection) -> Any:
    return json.loads(connection.recv(5))["payload"]["data"]["articles_mutated"]


def begin(connection: ClientConnection, mark: str, query: str = MUTATED, **variables: Any) -> None:
    payload = {"query": query, "variables": variables}
    connection.send(json.dumps({"type": "subscribe", "id": mark, "payload": payload}))
    # what is asked next is answered once the subscription has begun
    assert ask(connection, type="ping") == {"type": "pong"}


def test_each_item_that_changes_is_told_as_it_is_selected(tmp_path: Path) -> None:
    with opened(tmp_path) as door, spoken(door) as connection:
        begin(connection, "1")
        door.http.post("/items/articles", [{"title": "a"}, {"title": "b"}])
        assert [hear(connection) for _ in range(2)] == [
            {"k": "1", "event": "create", "data": {"id": "1", "called": "a"}},
            {"k": "2", "event": "create", "data": {"id": "2", "called": "b"}},
        ]
        door.http.send("PATCH", "/items/articles/1", {"title": "A"})
        assert hear(connection) == {"k": "1", "event": "update", "data": {"id": "1", "called": "A"}}
        door.http.send("DELETE", "/items/articles/1")
        assert hear(connection) == {"k": "1", "event": "delete", "data": None}
        connection.send(json.dumps({"type": "complete", "id": "1"}))
        begin(connection, "2", e="update")
        door.http.post("/items/articles", {"title": "unheard"})
        assert ask(connection, type="ping") == {"type": "pong"}
        read = ask(connection, type="subscribe", id="q", payload={"query": "{ articles { title } }"})
        assert read == {
            "type": "next",
            "id": "q",
            "payload": {"data": {"articles": [{"title": "b"}, {"title": "unheard"}]}},
        }
        assert json.loads(connection.recv(5)) == {"type": "complete", "id": "q"}


def test_two_operations_of_one_document_are_told_apart(tmp_path: Path) -> None:
    both = "subscription A { articles_mutated { data { id } } } subscription B { articles_mutated { data { title } } }"
    with opened(tmp_path) as door, spoken(door) as connection:
        for name in "AB":
            payload = {"query": both, "operationName": name}
            connection.send(json.dumps({"type": "subscribe", "id": name, "payload": payload}))
        assert ask(connection, type="ping") == {"type": "pong"}
        door.http.post("/items/articles", {"title": "a"})
        assert [hear(connection)["data"] for _ in range(2)] == [{"id": "1"}, {"title": "a"}]


def test_a_user_is_told_only_of_what_it_may_read(tmp_path: Path) -> None:
    with opened(tmp_path) as door:
        token, permission = reader(door.http, "articles", permissions={"views": {"_gt": 3}}, fields=["id", "title"])
        with spoken(door, token) as connection:
            begin(connection, "1")
            door.http.post("/items/articles", [{"title": "hidden", "views": 1}, {"title": "open", "views": 5}])
            assert hear(connection) == {"k": "2", "event": "create", "data": {"id": "2", "called": "open"}}
            door.http.send("DELETE", "/items/articles/1")
            door.http.send("DELETE", "/items/articles/2")
            assert hear(connection) == {"k": "2", "event": "delete", "data": None}
            query = "subscription { articles_mutated { data { views } } }"
            refused = ask(connection, type="subscribe", id="2", payload={"query": query})
            assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "GRAPHQL_VALIDATION")
            door.http.send("DELETE", f"/permissions/{permission}")
            door.http.post("/items/articles", {"title": "open", "views": 5})
            assert ask(connection, type="ping") == {"type": "pong"}


def test_whoever_breaks_the_protocol_is_cut_off_with_its_code(tmp_path: Path) -> None:
    with opened(tmp_path, websockets_graphql_auth_timeout=0.5) as door:
        for messages, code in (
            ([{"type": "subscribe", "id": "1", "payload": {"query": MUTATED}}], 4401),
            ([{"type": "connection_init"}], 4403),
            ([{"type": "connection_init", "payload": {"access_token": "wrong"}}], 4403),
            ([{"type": "nothing"}], 4400),
            (
                [
                    {"type": "connection_init", "payload": {"access_token": ADMIN_TOKEN}},
                    {"type": "subscribe", "id": "x" * 256, "payload": {"query": MUTATED}},
                ],
                4400,
            ),
            ([{"type": "connection_init", "payload": {"access_token": ADMIN_TOKEN}}] * 2, 4429),
            ([], 4408),
        ):
            with spoken(door, None) as connection:
                for message in messages:
                    connection.send(json.dumps(message))
                with pytest.raises(ConnectionClosed) as closed:
                    while True:
                        connection.recv(5)
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == code
        with pytest.raises(InvalidStatus), connect(f"ws://127.0.0.1:{door.port}/graphql", proxy=None):
            pass


def test_whoever_does_not_answer_and_whoever_asks_too_often_is_not_served(tmp_path: Path) -> None:
    limits = {"rate_limiter_enabled": True, "rate_limiter_points": 4, "rate_limiter_duration": 60}
    with opened(tmp_path, websockets_heartbeat_period=0.4, **limits) as door, spoken(door) as connection:
        read = {"type": "subscribe", "payload": {"query": "{ articles { id } }"}}
        answers = []
        for mark in "123":
            connection.send(json.dumps({**read, "id": mark}))
            while not answers or answers[-1]["id"] != mark or answers[-1]["type"] == "next":
                answers += [each for each in [json.loads(connection.recv(5))] if each["type"] != "ping"]
        assert [each["type"] for each in answers] == ["next", "complete", "next", "complete", "error"]
        assert answers[-1]["payload"][0]["extensions"]["code"] == "REQUESTS_EXCEEDED"
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                connection.recv(5)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
