"""Who is calling: static tokens, logging in, refreshing, logging out, and `/users/me`."""

import base64
import json
import time
from uuid import uuid4

import jwt
import pytest

from .conftest import ADMIN_TOKEN, PASSWORD, Answer, Server

EMAIL = "admin@example.com"


def logged_in(server: Server) -> dict[str, str]:
    found: dict[str, str] = server.public.post("/auth/login", {"email": EMAIL, "password": PASSWORD}).data
    return found


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


def test_a_static_token_is_taken_from_the_header_or_the_query(server: Server) -> None:
    assert server.get("/users/me?fields=email").data == {"email": EMAIL}
    assert server.public.get(f"/users/me?fields=email&access_token={ADMIN_TOKEN}").data == {"email": EMAIL}


def test_two_tokens_in_one_request_are_refused(server: Server) -> None:
    assert refused(server.get(f"/users/me?access_token={ADMIN_TOKEN}")) == (400, "INVALID_PAYLOAD")
    assert refused(server.public.get("/users/me?access_token=a&access_token=b")) == (400, "INVALID_PAYLOAD")


@pytest.mark.parametrize("token", ["no-such-token", "a.b.c", "%", "x" * 5000])
def test_an_unknown_token_is_refused(server: Server, token: str) -> None:
    assert refused(server.acting_as(token).get("/users/me")) == (401, "INVALID_CREDENTIALS")
    assert refused(server.acting_as(token).get("/server/info")) == (401, "INVALID_CREDENTIALS")


def test_without_a_token_nothing_is_given_away(server: Server, articles: str) -> None:
    assert refused(server.public.get("/users/me")) == (401, "INVALID_CREDENTIALS")
    for path in (f"/items/{articles}", f"/items/{articles}/1", "/flows", "/flows/runs", "/operations"):
        assert refused(server.public.get(path)) == (403, "FORBIDDEN")
    for method, path in (
        ("POST", "/collections"),
        ("POST", f"/fields/{articles}"),
        ("POST", "/relations"),
        ("POST", "/flows"),
    ):
        assert server.public.send(method, path, {"name": "x"}).status == 403


def test_secrets_of_a_user_are_concealed(server: Server) -> None:
    me = server.get("/users/me").data
    assert (me["password"], me["token"]) == ("**********", "**********")
    assert ADMIN_TOKEN not in json.dumps(me)
    assert "argon2" not in json.dumps(me)


def test_a_login_gives_tokens_that_work(server: Server) -> None:
    session = logged_in(server)
    assert set(session) == {"access_token", "refresh_token", "expires"}
    assert session["expires"] == 900_000
    me = server.acting_as(session["access_token"]).get("/users/me?fields=email")
    assert me.data == {"email": EMAIL}


def test_an_access_token_has_the_contracts_claims(server: Server) -> None:
    claims = jwt.decode(logged_in(server)["access_token"], options={"verify_signature": False})
    assert set(claims) == {"id", "role", "app_access", "admin_access", "iat", "exp", "iss"}
    assert (claims["iss"], claims["admin_access"], claims["exp"] - claims["iat"]) == ("directus", True, 900)


def test_a_refresh_token_is_good_once(server: Server) -> None:
    first = logged_in(server)
    second = server.public.post("/auth/refresh", {"refresh_token": first["refresh_token"], "mode": "json"}).data
    assert server.acting_as(second["access_token"]).get("/users/me").status == 200
    again = server.public.post("/auth/refresh", {"refresh_token": first["refresh_token"]})
    assert refused(again) == (401, "INVALID_CREDENTIALS")
    third = server.public.post("/auth/refresh", {"refresh_token": second["refresh_token"]})
    assert third.status == 200


def test_after_logging_out_the_refresh_token_is_of_no_use(server: Server) -> None:
    body = {"refresh_token": logged_in(server)["refresh_token"]}
    assert server.public.post("/auth/logout", body).status == 204
    assert refused(server.public.post("/auth/refresh", body)) == (401, "INVALID_CREDENTIALS")
    assert server.public.post("/auth/logout", body).status == 204


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"])
def test_a_wrong_password_and_an_unknown_user_look_alike(server: Server, email: str) -> None:
    answer = server.public.post("/auth/login", {"email": email, "password": "wrong"})
    assert refused(answer) == (401, "INVALID_CREDENTIALS")
    assert email not in answer.body


@pytest.mark.parametrize(
    "body",
    [{}, {"email": EMAIL}, {"password": "x"}, {"email": "not-an-email", "password": "x"}, {"email": 5, "password": "x"},
     {"email": EMAIL, "password": ["x"]}, {"email": EMAIL, "password": PASSWORD, "mode": "other"}],
)  # fmt: skip
def test_a_login_of_another_shape_is_refused(server: Server, body: dict[str, object]) -> None:
    assert refused(server.public.post("/auth/login", body)) == (400, "INVALID_PAYLOAD")


def test_a_refresh_without_a_token_is_refused(server: Server) -> None:
    assert refused(server.public.post("/auth/refresh", {"mode": "json"})) == (400, "INVALID_PAYLOAD")


def _forged(claims: dict[str, object], secret: str = "s" * 40, algorithm: str = "HS256") -> str:
    return jwt.encode(claims, secret, algorithm=algorithm)


def test_an_expired_access_token_is_named_as_such(server: Server) -> None:
    claims = {"id": str(uuid4()), "iss": "directus", "exp": int(time.time()) - 1}
    assert refused(server.acting_as(_forged(claims)).get("/users/me")) == (401, "TOKEN_EXPIRED")


def test_a_forged_access_token_is_refused(server: Server) -> None:
    own = jwt.decode(logged_in(server)["access_token"], options={"verify_signature": False})
    head = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
    body = base64.urlsafe_b64encode(json.dumps(own).encode()).rstrip(b"=").decode()
    for token in (_forged(own, "t" * 40), _forged(own, "s" * 64, "HS512"), f"{head}.{body}.", f"{head}.{body}.AAAA"):
        assert refused(server.acting_as(token).get("/users/me")) == (403, "INVALID_TOKEN")


def test_a_signed_token_for_nobody_is_refused(server: Server) -> None:
    for key in (str(uuid4()), "x", 5, None):
        token = _forged({"id": key, "iss": "directus", "exp": int(time.time()) + 60})
        assert server.acting_as(token).get("/users/me").status in {401, 403}


def test_other_ways_to_log_in_are_listed(server: Server) -> None:
    assert server.public.get("/auth").json == {"data": [], "disableDefault": False}
