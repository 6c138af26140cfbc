"""`datastead user`, as a process of its own."""

import json
import os
from pathlib import Path
from subprocess import CompletedProcess

from tests.cli.terminal import typed


def datastead(folder: Path, *arguments: str) -> CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "DATABASE_URL": f"sqlite:///{folder / 'data.db'}"}
    return typed(folder, env, "user", *arguments)


def test_users_are_added_given_tokens_and_listed_without_them(tmp_path: Path) -> None:
    assert "The password is " in datastead(tmp_path, "create", "ada@example.com", "--admin").stdout
    token = datastead(tmp_path, "token", "ada@example.com").stdout.strip()
    assert datastead(
        tmp_path, "create", "zoe@example.com", "--password", "a-long-one", "--role", "Administrator"
    ).stdout
    listed = datastead(tmp_path, "list", "--json").stdout
    assert [(user["email"], user["role"], user["status"], user["has_token"]) for user in json.loads(listed)] == [
        ("ada@example.com", "Administrator", "active", True),
        ("zoe@example.com", "Administrator", "active", False),
    ]
    assert token not in listed


def test_a_wrong_role_is_a_line_without_a_trace(tmp_path: Path) -> None:
    refused = datastead(tmp_path, "create", "b@example.com", "--role", "Nobodies")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert len(refused.stderr.splitlines()) == 1
    assert "`Nobodies`" in refused.stderr
