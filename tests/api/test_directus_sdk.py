"""Directus's own SDK, from npm: a user whom policies limit logs in, reads, refreshes and logs out."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from datastead.settings import Settings
from tests.files.test_directus_sdk import project

from .conftest import ADMIN_TOKEN, Server, collection, serving

__all__ = ["project"]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("sdk-access")
    settings = Settings(
        database_url=f"sqlite:///{folder / 'data.db'}", admin_token=ADMIN_TOKEN, secret="s" * 40,
        extensions_path=str(folder),
    )  # fmt: skip
    with serving(settings) as port:
        yield Server(port)


def test_the_sdk_logs_a_limited_user_in_with_tokens_and_with_cookies(project: Path, own: Server) -> None:
    assert own.post("/collections", collection("articles")).status == 200
    command = ["node", "access.mjs", f"http://127.0.0.1:{own.port}", ADMIN_TOKEN, "articles"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, env=os.environ, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    titles = [{"title": "open"}]
    assert json.loads(done.stdout) == {
        "before": "FORBIDDEN", "items": ["open"], "shape": ["id", "title"], "asked": "FORBIDDEN", "users": "FORBIDDEN",
        "me": 1, "roles": [True], "globals": {"app_access": False, "admin_access": False, "enforce_tfa": False},
        "access": {"access": "partial", "fields": ["id", "title"]}, "item": {"access": False}, "rotated": True,
        "again": titles, "after": "INVALID_PAYLOAD", "byCookie": titles, "refreshed": titles, "gone": True,
        "ended": "INVALID_CREDENTIALS",
    }  # fmt: skip
