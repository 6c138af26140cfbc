"""One-time passwords: setting them up, logging in with them, and policies that ask for them."""

import base64
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from datastead.data import system
from tests.databases import sqlalchemy_url

from .conftest import PASSWORD, Answer, Server
from .test_users import email, made, patch, within_a_second


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


def code(secret: str, steps: int = 0) -> str:
    """The one-time password of so many steps from now; of this one for at least five seconds more."""
    if time.time() % 30 > 25:
        time.sleep(30.1 - time.time() % 30)
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    return TOTP(key, 6, SHA1(), 30, enforce_key_length=False).generate(int(time.time()) + 30 * steps).decode()


def log_in(server: Server, address: str, otp: str | None = None, password: str = PASSWORD) -> Answer:
    body = {"email": address, "password": password} | ({"otp": otp} if otp is not None else {})
    return server.public.post("/auth/login", body)


def signed_in(server: Server, address: str, otp: str | None = None) -> Server:
    answer = log_in(server, address, otp)
    assert answer.status == 200, answer.body
    return server.acting_as(answer.data["access_token"])


def stored(database_url: str, address: str) -> Any:
    users = system.users
    engine = sa.create_engine(sqlalchemy_url(database_url))
    with engine.begin() as connection:
        found = connection.execute(sa.select(users.c.tfa_secret).where(users.c.email == address)).scalar()
    engine.dispose()
    return found


def store(database_url: str, address: str, secret: str) -> None:
    users = system.users
    engine = sa.create_engine(sqlalchemy_url(database_url))
    with engine.begin() as connection:
        connection.execute(users.update().where(users.c.email == address).values(tfa_secret=secret))
    engine.dispose()


@pytest.fixture
def user(server: Server) -> str:
    address = email()
    made(server, email=address, password=PASSWORD)
    return address


def enabled(server: Server, address: str) -> str:
    """The secret of a user who has set it up, with the code of the step before."""
    own = signed_in(server, address)
    secret = own.post("/users/me/tfa/generate", {"password": PASSWORD}).data["secret"]
    answer = own.post("/users/me/tfa/enable", {"secret": secret, "otp": code(secret, -1)})
    assert answer.status == 204, answer.body
    return str(secret)


def test_a_second_factor_is_generated_enabled_asked_for_and_disabled(server: Server, user: str) -> None:
    own = signed_in(server, user)
    generated = own.post("/users/me/tfa/generate", {"password": PASSWORD}).data
    assert set(generated) == {"secret", "otpauth_url"}
    assert generated["otpauth_url"].startswith("otpauth://totp/")
    assert f"secret={generated['secret']}" in generated["otpauth_url"]
    assert log_in(server, user).status == 200  # nothing is stored yet
    secret = generated["secret"]
    assert own.post("/users/me/tfa/enable", {"secret": secret, "otp": code(secret, -1)}).status == 204
    assert refused(log_in(server, user)) == (401, "INVALID_OTP")
    assert refused(log_in(server, user, "000000x")) == (401, "INVALID_OTP")
    assert refused(log_in(server, user, code(secret), "wrong")) == (401, "INVALID_CREDENTIALS")
    assert log_in(server, user, code(secret)).status == 200
    assert own.post("/users/me/tfa/disable", {"otp": code(secret, 1)}).status == 204
    assert log_in(server, user).status == 200


def test_a_one_time_password_is_good_once_also_for_many_at_once(server: Server, user: str) -> None:
    secret = enabled(server, user)
    otp = code(secret)
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: log_in(server, user, otp), range(6)))
    assert sorted(answer.status for answer in answers) == [200] + [401] * 5
    assert refused(log_in(server, user, otp)) == (401, "INVALID_OTP")
    assert refused(log_in(server, user, code(secret, -1))) == (401, "INVALID_OTP")  # older than the last
    assert refused(log_in(server, user, code(secret, 4))) == (401, "INVALID_OTP")


def test_the_secret_is_shown_nowhere_and_sealed_at_rest(server: Server, user: str, database_url: str) -> None:
    secret = enabled(server, user)
    at_rest = stored(database_url, user)
    assert at_rest.startswith("datastead:1:")
    answer = server.get(f"/users?filter[email][_eq]={user}")
    assert answer.data[0]["tfa_secret"] == "**********"
    for value in (secret, at_rest):
        assert value not in answer.body
    guess = server.get(f"/users?filter[tfa_secret][_starts_with]=datastead&filter[email][_eq]={user}&fields=id")
    assert refused(guess) == (400, "INVALID_QUERY")


def test_a_secret_that_directus_has_stored_is_good(server: Server, user: str, database_url: str) -> None:
    secret = "JBSWY3DPEHPK3PXP"
    store(database_url, user, secret)
    assert refused(log_in(server, user)) == (401, "INVALID_OTP")
    assert log_in(server, user, code(secret)).status == 200


def test_a_secret_sealed_with_a_lost_key_says_what_to_do(server: Server, user: str, database_url: str) -> None:
    store(database_url, user, "datastead:1:00000000:AAAA")
    answer = log_in(server, user, "123456")
    assert refused(answer) == (503, "SERVICE_UNAVAILABLE")
    key = server.get(f"/users?filter[email][_eq]={user}&fields=id").data[0]["id"]
    assert patch(server, f"/users/{key}", {"tfa_secret": None}).status == 200
    assert log_in(server, user).status == 200


def test_what_is_wrong_in_setting_up_is_refused(server: Server, user: str) -> None:
    own = signed_in(server, user)
    assert refused(own.post("/users/me/tfa/generate", {"password": "wrong"})) == (401, "INVALID_CREDENTIALS")
    assert refused(own.post("/users/me/tfa/generate", {})) == (400, "INVALID_PAYLOAD")
    secret = own.post("/users/me/tfa/generate", {"password": PASSWORD}).data["secret"]
    for body in ({"secret": secret, "otp": "000000"}, {"secret": secret}, {"secret": "A", "otp": "000000"}, {},
                 {"secret": "0" * 32, "otp": "1"}, {"secret": secret, "otp": 5}, {"secret": "A" * 17, "otp": "000000"}):  # fmt: skip
        assert refused(own.post("/users/me/tfa/enable", body)) == (400, "INVALID_PAYLOAD")
    assert refused(own.post("/users/me/tfa/disable", {"otp": "000000"})) == (400, "INVALID_PAYLOAD")
    for part in ("generate", "enable", "disable"):
        body = {"password": "x", "secret": secret, "otp": "000000"}
        assert refused(server.public.post(f"/users/me/tfa/{part}", body)) == (401, "INVALID_CREDENTIALS")
    assert own.post("/users/me/tfa/enable", {"secret": secret, "otp": code(secret)}).status == 204
    again = {"secret": secret, "otp": code(secret, 1)}
    assert refused(own.post("/users/me/tfa/enable", again)) == (400, "INVALID_PAYLOAD")
    assert refused(own.post("/users/me/tfa/generate", {"password": PASSWORD})) == (400, "INVALID_PAYLOAD")
    assert refused(own.post("/users/me/tfa/disable", {"otp": "000000"})) == (400, "INVALID_PAYLOAD")


def test_who_needs_a_second_factor_sets_it_up_before_anything_else(server: Server, user: str) -> None:
    policy = server.post("/policies", {"name": "x", "enforce_tfa": True, "app_access": True}).data["id"]
    server.post("/permissions", {"policy": policy, "collection": "directus_roles", "action": "read", "fields": ["*"]})
    key = server.get(f"/users?filter[email][_eq]={user}&fields=id").data[0]["id"]
    token = uuid4().hex
    patch(server, f"/users/{key}", {"token": token})
    server.post("/access", {"policy": policy, "user": key})
    own = signed_in(server, user)
    for path in ("/roles", "/items/x", "/ai/models", "/users", "/flows"):
        answer = own.get(path)
        assert (refused(answer), "second factor" in answer.body) == ((403, "FORBIDDEN"), True)
    assert own.get("/users/me").data == {"id": key}
    assert own.get("/policies/me/globals").data == {"app_access": False, "admin_access": False, "enforce_tfa": True}
    assert server.acting_as(token).get("/roles").status == 200  # a program has no second factor
    graphql = [
        own.post("/graphql/system", {"query": text})
        for text in ("{ roles { id } }", "mutation { utils_random_string }")
    ]
    assert [answer.code for answer in graphql] == ["GRAPHQL_VALIDATION"] * 2
    assert refused(own.post("/graphql", {"query": "{ __typename }"})) == (403, "FORBIDDEN")
    generate = f'mutation {{ users_me_tfa_generate(password: "{PASSWORD}") {{ secret }} }}'
    secret = own.post("/graphql/system", {"query": generate}).data["users_me_tfa_generate"]["secret"]
    assert own.post("/users/me/tfa/enable", {"secret": secret, "otp": code(secret)}).status == 204
    assert within_a_second(lambda: own.get("/roles").status == 200)
    assert own.post("/graphql/system", {"query": "{ roles(limit: 1) { id } }"}).status == 200
