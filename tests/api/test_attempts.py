"""Too many failed attempts to log in; and policies that are for other addresses."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from datastead.settings import Settings

from .conftest import ADMIN_TOKEN, PASSWORD, Answer, Server, serving
from .test_users import email, made, own_database, patch, within_a_second


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


def log_in(server: Server, address: str, password: str = PASSWORD) -> Answer:
    return server.public.post("/auth/login", {"email": address, "password": password})


def status(server: Server, key: str) -> str:
    return str(server.get(f"/users/{key}?fields=status").data["status"])


def test_after_too_many_failures_in_any_process_the_user_is_suspended(
    settings: Settings, tmp_path: Path, database_url: str
) -> None:
    with own_database(database_url, tmp_path) as url:
        own = settings.model_copy(update={"database_url": type(settings)(database_url=url).database_url})
        with serving(own) as port, serving(own) as second:
            server, other = Server(port), Server(second)
            patch(server, "/settings", {"auth_login_attempts": 4})
            user = made(server, password=PASSWORD)
            for asked in (server, other, server):
                assert refused(log_in(asked, user["email"], "wrong")) == (401, "INVALID_CREDENTIALS")
            assert log_in(other, user["email"]).status == 200  # the count begins anew
            for asked in (server, other, server, other):
                assert refused(log_in(asked, user["email"], "wrong")) == (401, "INVALID_CREDENTIALS")
            assert status(server, user["id"]) == "active"
            # right, and too late: nobody can tell it from a wrong one
            assert refused(log_in(other, user["email"])) == (401, "INVALID_CREDENTIALS")
            assert status(server, user["id"]) == "suspended"
            assert patch(server, f"/users/{user['id']}", {"status": "active"}).status == 200
            assert log_in(other, user["email"]).status == 200

            many = made(server, password=PASSWORD)
            with ThreadPoolExecutor(12) as pool:
                answers = list(pool.map(lambda _: log_in(server, many["email"], "wrong"), range(12)))
            assert {refused(answer) for answer in answers} == {(401, "INVALID_CREDENTIALS")}
            assert status(server, many["id"]) == "suspended"

            for _ in range(6):  # the last administrator is locked out for a while, and stays one
                log_in(server, "admin@example.com", "wrong")
            assert refused(log_in(server, "admin@example.com")) == (401, "INVALID_CREDENTIALS")
            assert server.get("/users/me?fields=status").data == {"status": "active"}


@pytest.mark.parametrize("value", [0, -1])
def test_a_number_of_attempts_that_lets_nobody_in_is_refused(server: Server, value: int) -> None:
    assert refused(patch(server, "/settings", {"auth_login_attempts": value})) == (400, "INVALID_PAYLOAD")


def test_a_failed_login_takes_its_time_whatever_the_reason(tmp_path: Path) -> None:
    settings = Settings(
        database_url=f"sqlite:///{tmp_path / 'data.db'}", admin_token=ADMIN_TOKEN, admin_password=PASSWORD,
        secret="s" * 40, login_stall_time=400,
    )  # fmt: skip
    with serving(settings) as port:
        for address in ("admin@example.com", "nobody@example.com"):
            begun = time.monotonic()
            assert log_in(Server(port), address, "wrong").status == 401
            assert time.monotonic() - begun >= 0.39


def test_policies_that_are_all_for_other_addresses_let_nobody_in(server: Server) -> None:
    address = email()
    user = made(server, email=address, token=f"token-{address}")
    policy = server.post("/policies", {"name": "x", "ip_access": ["10.0.0.0/8"]}).data["id"]
    server.post("/access", {"policy": policy, "user": user["id"]})
    with_token = server.acting_as(f"token-{address}")
    assert within_a_second(lambda: with_token.get("/users/me").status == 401)
    assert refused(with_token.get("/users/me")) == (401, "INVALID_IP")
    assert refused(log_in(server, address)) == (401, "INVALID_IP")
    assert refused(log_in(server, address, "wrong")) == (401, "INVALID_CREDENTIALS")
    patch(server, f"/policies/{policy}", {"ip_access": ["10.0.0.0/8", "127.0.0.0/8"]})
    assert log_in(server, address).status == 200
    assert within_a_second(lambda: with_token.get("/users/me").status == 200)
