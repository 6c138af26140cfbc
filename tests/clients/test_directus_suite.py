"""Directus's own SDK, from npm, with every command for what there is, against `datastead serve`; on each database."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.files.test_directus_sdk import project

__all__ = ["project"]

ADMIN_TOKEN = "admin-token"
SUITE_S = 240
START_S = 60


@pytest.fixture
def url(database_url: str, tmp_path: Path) -> Iterator[str]:
    """A server of its own, as it is started on a terminal."""
    variables = {
        "PATH": os.environ["PATH"], "HOST": "127.0.0.1", "DATABASE_URL": database_url, "SECRET": "s" * 40,
        "ADMIN_TOKEN": ADMIN_TOKEN, "STORAGE_LOCAL_ROOT": str(tmp_path / "uploads"),
    }  # fmt: skip
    command = [sys.executable, "-m", "datastead", "serve", "--port", "0"]
    process = subprocess.Popen(command, cwd=tmp_path, env=variables, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        told = next(line for line in process.stderr if "runs at" in line)
        address = told.split("runs at ")[1].split(";")[0]
        wait_for(address)
        yield address
    finally:
        process.terminate()
        process.communicate(timeout=30)


def wait_for(address: str) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(f"{address}/server/ping", timeout=5).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("The server does not answer.")


def test_every_command_of_the_sdk_works(project: Path, url: str) -> None:
    command = ["node", "suite.mjs", url, ADMIN_TOKEN]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=SUITE_S, check=False)
    failed = [line for line in done.stdout.splitlines() if line.startswith("not ok")]
    assert (done.returncode, failed) == (0, []), done.stdout[-6000:]
    assert done.stdout.count("\nok ") >= 38
