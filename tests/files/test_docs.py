"""The command in `docs/files.md` does what the page says."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import FileServer

PAGE = Path(__file__).parents[2] / "docs/files.md"


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_command_of_the_page_uploads_a_file(file_server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_text("Hello\n")
    (command,) = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    environ = {**os.environ, "URL": f"http://127.0.0.1:{file_server.port}", "TOKEN": str(file_server.token)}
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=tmp_path, env=environ, check=True)
    row = json.loads(done.stdout)["data"]
    assert (row["title"], row["type"], int(row["filesize"])) == ("Hello", "text/plain", 6)
    assert file_server.fetch(f"/assets/{row['id']}").body == b"Hello\n"
