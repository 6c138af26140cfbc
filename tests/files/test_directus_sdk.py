"""Directus's own SDK, from npm, against a running server."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.conftest import ADMIN_TOKEN, serving

from .conftest import settings_for

PROJECT = Path(__file__).parents[1] / "clients/directus-sdk"
INSTALL_S = 120


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small Node.js project, with the SDK installed from its lock."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node.js and npm are not installed")
    folder = tmp_path_factory.mktemp("sdk") / "project"
    shutil.copytree(PROJECT, folder)
    command = ["npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    if done.returncode != 0:
        pytest.skip(f"The SDK cannot be installed from npm: {done.stderr.strip()[-300:]}")
    return folder


@pytest.fixture(scope="session")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    settings = settings_for(f"sqlite:///{folder / 'data.db'}", folder / "uploads", files_max_upload_size="1mb")
    with serving(settings) as port:
        yield f"http://127.0.0.1:{port}"


def test_the_sdk_uploads_changes_reads_and_deletes_a_file(project: Path, url: str) -> None:
    command = ["node", "files.mjs", url, ADMIN_TOKEN]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, env=os.environ, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "title": "From the SDK", "renamed": "Renamed", "tags": ["a"], "listed": ["image/png"], "size": [1, 1], "same": True,
        "gone": "FORBIDDEN", "large": "CONTENT_TOO_LARGE",
    }  # fmt: skip
