"""Directus's own SDK, from npm: `realtime()` against a running server."""

import json
import os
import re
import subprocess
from pathlib import Path

from tests.files.test_directus_sdk import project

from .conftest import ADMIN_TOKEN
from .test_realtime_limits import opened

__all__ = ["project"]


def test_the_sdk_subscribes_and_hears_of_every_change(project: Path, tmp_path: Path) -> None:
    with opened(tmp_path) as door:
        url = f"http://127.0.0.1:{door.port}"
        command = ["node", "--experimental-websocket", "realtime.mjs", url, ADMIN_TOKEN, "articles"]
        done = subprocess.run(
            command, cwd=project, capture_output=True, text=True, env=os.environ, timeout=60, check=False
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "heard": [
            ["init", [{"id": 1, "title": "first"}]],
            ["create", [{"id": 2, "title": "second"}]],
            ["update", [{"id": 2, "title": "2nd"}]],
            ["delete", ["2"]],
        ],
        "answer": [{"title": "first"}],
        "told": ["items"],
    }


def test_the_conversation_of_the_page_goes_as_it_is_written(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/realtime.md").read_text()
    shown = re.search(r"```text\n(.*?)```", text, flags=re.DOTALL)
    assert shown is not None
    with opened(tmp_path) as door:
        socket = door.to(None)
        for block in re.findall(r"-> (.*)\n((?:<- .*\n)*)", shown[1]):
            expected = [line.removeprefix("<- ") for line in block[1].splitlines()]
            socket.say_raw(block[0].replace("$TOKEN", ADMIN_TOKEN))
            heard = [socket.hear() for _ in expected]
            assert sorted(map(str, heard)) == sorted(str(json.loads(line)) for line in expected)
