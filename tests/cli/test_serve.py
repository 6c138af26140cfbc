"""`datastead serve`, `user`, `init` and `version`, as they are called on a terminal."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import datastead

CANARY = "canary-8d21"
SAID = "said.txt"
"""What a server said on its terminal, in its folder."""


def command(folder: Path, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "datastead", *arguments],
        cwd=folder, env=environment(env), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def environment(own: dict[str, str]) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOST": "127.0.0.1", **own}


@contextmanager
def serving(folder: Path, *arguments: str, **env: str) -> Iterator[tuple[int, "subprocess.Popen[str]"]]:
    port = free_port()
    with (folder / SAID).open("w") as said:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "datastead", "serve", "--port", str(port), *arguments],
            cwd=folder, env=environment(env), stdout=subprocess.DEVNULL, stderr=said, text=True,
        )  # fmt: skip
    try:
        while process.poll() is None and not answers(port):
            time.sleep(0.02)
        yield port, process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    try:
        return bool(get(port, "/server/ping") == b"pong")
    except OSError:
        return False


def get(port: int, path: str, token: str | None = None, body: Any = None) -> bytes:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", content, headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return bytes(answer.read())


def test_a_first_start_makes_an_administrator_and_says_the_password_once(tmp_path: Path) -> None:
    with serving(tmp_path) as (port, process):
        assert answers(port)
    assert process.returncode == 0
    said = (tmp_path / SAID).read_text()
    found = re.search(r"The first administrator is (\S+), with the password (\S+)", said)
    assert found is not None
    assert f"http://127.0.0.1:{port}" in said
    with serving(tmp_path) as (port, _):
        session = json.loads(get(port, "/auth/login", body={"email": found[1], "password": found[2]}))["data"]
        assert json.loads(get(port, "/users/me?fields=email", session["access_token"])) == {"data": {"email": found[1]}}
    assert "password" not in (tmp_path / SAID).read_text()


def test_the_admin_token_of_the_environment_is_valid_after_each_start(tmp_path: Path) -> None:
    with serving(tmp_path, ADMIN_TOKEN="token-one", ADMIN_PASSWORD="x") as (port, _):
        assert get(port, "/users/me", "token-one")
    with serving(tmp_path, ADMIN_TOKEN="token-two") as (port, _):
        assert get(port, "/users/me", "token-two")
        with pytest.raises(urllib.error.HTTPError) as caught:
            get(port, "/users/me", "token-one")
        assert caught.value.code == 401
        caught.value.close()
    assert "token-two" not in (tmp_path / SAID).read_text()


def test_several_workers_share_a_secret_and_a_database(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2", ADMIN_PASSWORD="pw") as (port, process):
        body = {"email": "admin@example.com", "password": "pw"}
        token = json.loads(get(port, "/auth/login", body=body))["data"]["access_token"]
        for _ in range(10):
            assert get(port, "/users/me?fields=id", token)
    assert process.returncode == 0


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = command(tmp_path, "serve", "--port", str(taken.getsockname()[1]))
    assert ended.returncode == 1
    assert "in use" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "env",
    [
        {"PORT": "eighty", "AI_OPENAI_ENABLED": "maybe"},
        {"DATABASE_URL": f"mariadb://u:{CANARY}@127.0.0.1:1/n"},
        {"DATABASE_URL": "sqlite:////nowhere/at/all/x.db"},
        {"DATABASE_URL": f"postgresql://u:{CANARY}@127.0.0.1:1/n"},
        {"CONFIG_PATH": "missing.yaml"},
        {"AI_OPENAI_COMPATIBLE_MODELS": f"json:[{CANARY}"},
        {"HOST": "203.0.113.77"},
    ],
)
def test_a_start_that_cannot_be_is_a_line_for_each_problem_and_no_trace(tmp_path: Path, env: dict[str, str]) -> None:
    ended = (
        command(tmp_path, "serve", "--port", str(free_port()), **env)
        if "PORT" not in env
        else command(tmp_path, "serve", **env)
    )
    assert ended.returncode == 1
    lines = ended.stderr.strip().splitlines()
    assert len(lines) == (2 if "PORT" in env else 1), ended.stderr
    assert CANARY not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_list_of_commands_loads_none_of_them(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "datastead", "--help"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert "serve" in ended.stdout
    for heavy in ("sqlalchemy", "fastapi", "aiohttp", "datastead.settings"):
        assert heavy not in ended.stderr


@pytest.mark.parametrize("asked", ["version", "--version"])
def test_the_version_is_printed(tmp_path: Path, asked: str) -> None:
    assert command(tmp_path, asked).stdout.strip() == datastead.__version__


def test_a_user_is_added_and_given_a_token(tmp_path: Path) -> None:
    made = command(tmp_path, "user", "create", "ann@example.com", "--admin")
    assert made.returncode == 0, made.stderr
    token = command(tmp_path, "user", "token", "ann@example.com").stdout.strip()
    with serving(tmp_path, ADMIN_PASSWORD="x") as (port, _):
        assert json.loads(get(port, "/users/me?fields=email", token)) == {"data": {"email": "ann@example.com"}}
    again = command(tmp_path, "user", "create", "ann@example.com")
    assert (again.returncode, "Traceback" in again.stderr) == (1, False)


def test_init_writes_a_dotenv_that_serve_reads_and_does_not_write_it_again(tmp_path: Path) -> None:
    assert command(tmp_path, "init").returncode == 0
    content = (tmp_path / ".env").read_text()
    password = re.search(r"^ADMIN_PASSWORD=(\S+)", content, re.MULTILINE)
    assert password is not None
    with serving(tmp_path) as (port, _):
        assert get(port, "/auth/login", body={"email": "admin@example.com", "password": password[1]})
    assert command(tmp_path, "init").returncode == 1
    assert (tmp_path / ".env").read_text() == content
