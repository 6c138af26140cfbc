"""Logging in with cookies: the modes `cookie` and `session`."""

import time
from http.cookies import Morsel, SimpleCookie
from typing import Any
from uuid import uuid4

import jwt

from datastead.settings import Settings

from .conftest import PASSWORD, Answer, Server, serving
from .test_users import email, made, patch, within_a_second

EMAIL = "admin@example.com"
REFRESH, SESSION = "directus_refresh_token", "directus_session_token"


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


def log_in(server: Server, mode: str, address: str = EMAIL) -> Answer:
    answer = server.public.post("/auth/login", {"email": address, "password": PASSWORD, "mode": mode})
    assert answer.status == 200, answer.body
    return answer


def cookie(answer: Answer, name: str) -> Morsel[str]:
    return SimpleCookie(answer.headers["set-cookie"])[name]


def with_cookie(server: Server, route: str, name: str, value: str, body: Any = None) -> Answer:
    method, path = route.split()
    return server.public.send(method, path, body, headers={"Cookie": f"other=1; {name}={value}"})


def test_in_mode_cookie_the_refresh_token_is_a_cookie_that_scripts_cannot_read(server: Server) -> None:
    answer = log_in(server, "cookie")
    assert set(answer.data) == {"expires", "access_token"}
    found = cookie(answer, REFRESH)
    assert (found["httponly"], found["samesite"].lower(), found["path"], found["max-age"]) == (
        True,
        "lax",
        "/",
        "604800",
    )
    assert not found["secure"]
    assert server.acting_as(answer.data["access_token"]).get("/users/me?fields=email").data == {"email": EMAIL}


def test_the_refresh_cookie_is_good_once_and_logging_out_takes_it_away(server: Server) -> None:
    first = cookie(log_in(server, "cookie"), REFRESH).value
    answer = with_cookie(server, "POST /auth/refresh", REFRESH, first, {"mode": "cookie"})
    second = cookie(answer, REFRESH).value
    assert set(answer.data) == {"expires", "access_token"}
    assert refused(with_cookie(server, "POST /auth/refresh", REFRESH, first)) == (401, "INVALID_CREDENTIALS")
    gone = with_cookie(server, "POST /auth/logout", REFRESH, second, {"mode": "cookie"})
    assert (gone.status, cookie(gone, REFRESH).value, cookie(gone, REFRESH)["max-age"]) == (204, "", "0")
    assert refused(with_cookie(server, "POST /auth/refresh", REFRESH, second)) == (401, "INVALID_CREDENTIALS")


def test_in_mode_session_the_cookie_alone_signs_in(server: Server) -> None:
    answer = log_in(server, "session")
    assert answer.data == {"expires": 86_400_000}
    found = cookie(answer, SESSION)
    assert (found["httponly"], found["samesite"].lower(), found["max-age"]) == (True, "lax", "86400")
    claims = jwt.decode(found.value, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 86_400
    assert with_cookie(server, "GET /users/me?fields=email", SESSION, found.value).data == {"email": EMAIL}
    assert server.acting_as(found.value).get("/users/me?fields=email").data == {"email": EMAIL}


def test_after_logging_out_the_sessions_cookie_is_of_no_use_in_any_process(server: Server, settings: Settings) -> None:
    token = cookie(log_in(server, "session"), SESSION).value
    with serving(settings) as port:
        other = Server(port)
        assert with_cookie(other, "GET /users/me", SESSION, token).status == 200
        answer = with_cookie(server, "POST /auth/logout", SESSION, token, {"mode": "session"})
        assert (answer.status, cookie(answer, SESSION).value) == (204, "")
        assert refused(with_cookie(server, "GET /users/me", SESSION, token)) == (401, "INVALID_CREDENTIALS")
        assert within_a_second(lambda: with_cookie(other, "GET /users/me", SESSION, token).status == 401)
    again = with_cookie(server, "POST /auth/logout", SESSION, token, {"mode": "session"})
    assert (again.status, cookie(again, SESSION).value) == (204, "")
    assert refused(with_cookie(server, "POST /auth/refresh", SESSION, token, {"mode": "session"})) == (
        401,
        "INVALID_CREDENTIALS",
    )


def test_a_refreshed_session_has_a_new_cookie_and_requests_under_way_go_on(server: Server) -> None:
    first = cookie(log_in(server, "session"), SESSION).value
    answers = [with_cookie(server, "POST /auth/refresh", SESSION, first, {"mode": "session"}) for _ in range(2)]
    claims = [
        jwt.decode(cookie(each, SESSION).value, options={"verify_signature": False})["session"] for each in answers
    ]
    assert claims[0] == claims[1] != jwt.decode(first, options={"verify_signature": False})["session"]
    second = cookie(answers[0], SESSION).value
    for token in (first, second):
        assert with_cookie(server, "GET /users/me", SESSION, token).status == 200
    with_cookie(server, "POST /auth/logout", SESSION, second, {"mode": "session"})
    for token in (first, second):
        assert within_a_second(lambda token=token: with_cookie(server, "GET /users/me", SESSION, token).status == 401)


def test_a_new_password_ends_sessions_with_cookies(server: Server) -> None:
    user = made(server, email=email())
    token = cookie(log_in(server, "session", user["email"]), SESSION).value
    assert with_cookie(server, "GET /users/me", SESSION, token).status == 200
    patch(server, f"/users/{user['id']}", {"password": "another-long-password"})
    assert within_a_second(lambda: with_cookie(server, "GET /users/me", SESSION, token).status == 401)


def test_a_forged_session_is_nobodys(server: Server) -> None:
    me = server.get("/users/me?fields=id").data["id"]
    claims = {"id": me, "iss": "directus", "exp": int(time.time()) + 60, "session": str(uuid4())}
    token = jwt.encode(claims, "s" * 40, algorithm="HS256")
    assert refused(with_cookie(server, "GET /users/me", SESSION, token)) == (401, "INVALID_CREDENTIALS")
    other = jwt.decode(cookie(log_in(server, "session"), SESSION).value, options={"verify_signature": False})
    stolen = jwt.encode({**claims, "id": made(server)["id"], "session": other["session"]}, "s" * 40, algorithm="HS256")
    assert refused(with_cookie(server, "GET /users/me", SESSION, stolen)) == (401, "INVALID_CREDENTIALS")


def test_a_header_goes_before_the_cookie_and_an_old_cookie_does_not_lock_out(server: Server) -> None:
    assert server.send("GET", "/users/me", headers={"Cookie": f"{SESSION}=old"}).status == 200
    assert refused(with_cookie(server, "GET /users/me", SESSION, "old")) == (401, "INVALID_CREDENTIALS")
    body = {"email": EMAIL, "password": PASSWORD, "mode": "session"}
    assert with_cookie(server, "POST /auth/login", SESSION, "old", body).status == 200


def test_without_a_cookie_there_is_nothing_to_refresh_or_to_end(server: Server) -> None:
    for mode in ("json", "cookie", "session"):
        for path in ("/auth/refresh", "/auth/logout"):
            assert refused(server.public.post(path, {"mode": mode})) == (400, "INVALID_PAYLOAD")
    assert refused(server.public.send("POST", "/auth/refresh")) == (400, "INVALID_PAYLOAD")
    token = log_in(server, "json").data["access_token"]
    assert refused(with_cookie(server, "POST /auth/refresh", SESSION, token, {"mode": "session"})) == (
        401,
        "INVALID_CREDENTIALS",
    )


def test_the_cookies_flags_are_settings(settings: Settings) -> None:
    flags = {
        "session_cookie_name": "mine", "session_cookie_secure": True, "session_cookie_same_site": "strict",
        "session_cookie_domain": "example.com", "session_cookie_ttl": 60.0, "refresh_token_cookie_name": "again",
        "refresh_token_cookie_secure": True, "refresh_token_cookie_same_site": "none",
    }  # fmt: skip
    with serving(settings.model_copy(update=flags)) as port:
        found = cookie(log_in(Server(port), "session"), "mine")
        assert (found["secure"], found["samesite"].lower(), found["domain"], found["max-age"]) == (
            True, "strict", "example.com", "60",
        )  # fmt: skip
        again = cookie(log_in(Server(port), "cookie"), "again")
        assert (again["secure"], again["samesite"].lower(), again["domain"]) == (True, "none", "")
