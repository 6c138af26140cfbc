"""What `docs/gateway.md` shows runs as it stands, but for the server's address."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import TOKEN, Gateway

PAGE = (Path(__file__).parents[2] / "docs" / "gateway.md").read_text()


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


def _run(command: list[str], gateway: Gateway, block: str) -> str:
    code = block.replace("localhost:8055", f"127.0.0.1:{gateway.port}")
    environ = {**os.environ, "DATASTEAD_TOKEN": TOKEN}
    done = subprocess.run([*command, code], capture_output=True, text=True, env=environ, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_pages_curl_examples_run(gateway: Gateway) -> None:
    chat, generate = (json.loads(_run(["sh", "-c"], gateway, block)) for block in _blocks("sh"))
    assert chat["choices"][0]["message"]["content"]
    assert generate["data"]["content"]


def test_the_pages_python_examples_run(gateway: Gateway) -> None:
    for block in _blocks("python"):
        assert len(_run([sys.executable, "-c"], gateway, block)) > 20
