"""How WebSockets are bounded: who is let in, for how long a token counts, and what one connection may ask for."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
from websockets.exceptions import InvalidStatus

from .conftest import ADMIN_TOKEN, collection, serving
from .test_realtime import SECRET, Door, settings_of


@contextmanager
def opened(folder: Path, **settings: Any) -> Iterator[Door]:
    with serving(settings_of(f"sqlite:///{folder / 'data.db'}", folder, **settings)) as port:
        door = Door(port)
        assert door.http.post("/collections", collection("articles")).status == 200
        yield door
        door.close()


def test_a_strict_server_lets_nobody_in_without_a_token(tmp_path: Path) -> None:
    with opened(tmp_path, websockets_rest_auth="strict", websockets_rest_conn_limit=1) as door:
        for query, code in (("", "INVALID_CREDENTIALS"), ("?access_token=wrong", "INVALID_CREDENTIALS")):
            with pytest.raises(InvalidStatus) as refused:
                door.to(None, query)
            assert refused.value.response.status_code == 401
            assert json.loads(refused.value.response.body or b"")["errors"][0]["extensions"]["code"] == code
        inside = door.to(None, f"?access_token={ADMIN_TOKEN}")
        assert inside.ask(type="subscribe", collection="articles")["event"] == "init"
        with pytest.raises(InvalidStatus) as full:
            door.to(None, f"?access_token={ADMIN_TOKEN}")
        assert full.value.response.status_code == 503
        info = door.http.get("/server/info").data["websocket"]
        assert info["rest"] == {"authentication": "strict", "path": "/websocket"}


def test_a_public_server_lets_anybody_in_as_nobody(tmp_path: Path) -> None:
    with opened(
        tmp_path, websockets_rest_auth="public", websockets_max_subscriptions=2, max_payload_size="2kb"
    ) as door:
        socket = door.to(None)
        assert socket.ask(type="subscribe", collection="articles")["error"]["code"] == "INVALID_COLLECTION"
        wrong = socket.ask(type="auth", access_token="wrong")
        assert wrong["error"] == {"code": "AUTH_FAILED", "message": "Authentication failed."}
        assert socket.ask(type="auth", access_token=ADMIN_TOKEN)["status"] == "ok"
        for uid in "122":
            assert socket.ask(type="subscribe", collection="articles", uid=uid)["event"] == "init"
        refused = socket.ask(type="subscribe", collection="articles", uid="3")
        assert (refused["uid"], refused["error"]["code"]) == ("3", "UNPROCESSABLE_CONTENT")
        door.http.post("/items/articles", {"title": "a"})
        assert {socket.hear()["uid"], socket.hear()["uid"]} == {"1", "2"}
        assert socket.say(type="ping", uid="x" * 250, more="y" * 4000).code() == 1009


def token_for(door: Door, left_s: float) -> str:
    """An administrator's, that is good for so long."""
    claims = {"id": door.http.get("/users/me").data["id"], "iss": "directus", "exp": time.time() + left_s}
    return jwt.encode(claims, SECRET, algorithm="HS256")


def test_nothing_is_told_from_when_a_token_expires_until_a_new_one_is_shown(tmp_path: Path) -> None:
    with opened(tmp_path, websockets_rest_auth_timeout=1.5) as door:
        socket = door.to(None)
        assert socket.ask(type="auth", access_token=token_for(door, 2))["status"] == "ok"
        assert socket.ask(type="subscribe", collection="articles", uid="1")["event"] == "init"
        expired = {"code": "TOKEN_EXPIRED", "message": "The token has expired."}
        assert socket.hear() == {"type": "auth", "status": "error", "error": expired}
        door.http.post("/items/articles", {"title": "unheard"})
        assert socket.ask(type="items", action="read", collection="articles")["error"]["code"] == "AUTH_FAILED"
        assert socket.ask(type="auth", access_token=token_for(door, 2))["status"] == "ok"
        door.http.post("/items/articles", {"title": "heard"})
        assert [item["title"] for item in socket.hear()["data"]] == ["heard"]
        assert socket.hear()["error"]["code"] == "TOKEN_EXPIRED"
        assert socket.hear()["error"]["code"] == "AUTH_TIMEOUT"
        assert socket.code() == 1008


def test_whoever_says_nothing_is_cut_off(tmp_path: Path) -> None:
    with opened(tmp_path, websockets_rest_auth_timeout=0.3, websockets_heartbeat_period=0.4) as door:
        late = door.to(None)
        assert late.hear()["error"]["code"] == "AUTH_TIMEOUT"
        assert late.code() == 1008
        quiet = door.to()
        assert json.loads(quiet.raw()) == {"type": "ping"}
        assert quiet.code() == 1001
        lively = door.to()
        for _ in range(4):
            assert json.loads(lively.raw()) == {"type": "ping"}
            lively.say(type="pong")


def test_messages_count_as_requests_do(tmp_path: Path) -> None:
    limits = {"rate_limiter_enabled": True, "rate_limiter_points": 8, "rate_limiter_duration": 60}
    with opened(tmp_path, websockets_rest_auth="public", **limits) as door:  # 2 so far: `opened` and the handshake
        socket = door.to(None)
        wrong = {"type": "auth", "email": "admin@example.com", "password": "wrong", "uid": "1"}
        for code in ("AUTH_FAILED", "AUTH_FAILED"):
            assert socket.ask(**wrong)["error"]["code"] == code
        assert socket.ask(type="auth", access_token=ADMIN_TOKEN)["status"] == "ok"
        assert socket.ask(type="subscribe", collection="articles")["event"] == "init"
        codes = [socket.ask(type="items", action="read", collection="articles", uid="2").get("error") for _ in range(3)]
        assert [code and code["code"] for code in codes] == [None, None, "REQUESTS_EXCEEDED"]
        assert socket.ask(**wrong)["error"]["code"] == "REQUESTS_EXCEEDED"
        assert socket.ask(type="ping") == {"type": "pong"}  # costs nothing
        assert door.http.get("/items/articles").code == "REQUESTS_EXCEEDED"


def test_there_are_no_websockets_unless_they_are_switched_on(tmp_path: Path) -> None:
    with opened(tmp_path, websockets_enabled=False) as door, pytest.raises(InvalidStatus):
        door.to(None)


@pytest.mark.full
def test_a_client_that_does_not_read_is_cut_off_and_others_are_told(tmp_path: Path) -> None:
    with opened(tmp_path) as door:
        slow, fast = door.to(), door.to()
        slow.ask(type="subscribe", collection="articles", uid="1")
        fast.ask(type="subscribe", collection="articles", uid="1", query={"fields": ["id"]})
        large = ["x" * 1000] * 400
        for number in range(1, 101):  # more than the buffers between the two can hold
            assert door.http.post("/items/articles", {"title": "a", "tags": large}).status == 200
            assert fast.hear()["data"] == [{"id": number}]
        time.sleep(11)  # what a client may take to read
        door.http.post("/items/articles", {"title": "last"})
        assert fast.hear()["data"] == [{"id": 101}]
        assert slow.is_closed_after_reading()
