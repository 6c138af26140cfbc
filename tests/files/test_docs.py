"""The commands in `docs/files.md` do what the page says, one after the other, in one shell."""

import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from datastead.extensions import Registry
from datastead.settings import load_settings
from tests.api.conftest import serving

from .conftest import FileServer, image, settings_for

PAGE = Path(__file__).parents[2] / "docs/files.md"
PICTURE = image("PNG")


class Elsewhere(BaseHTTPRequestHandler):
    """Where `https://example.com` is in this test."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(PICTURE)))
        self.end_headers()
        self.wfile.write(PICTURE)

    def log_message(self, *_: Any) -> None:
        """Silent."""


@pytest.fixture
def elsewhere() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="there is no curl, or no jq")
def test_the_commands_of_the_page_do_what_it_says(elsewhere: str, tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_text("Hello\n")
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    script = "".join(blocks).replace("https://example.com", elsewhere).replace("curl ", "curl -gsSf ")
    settings = settings_for(
        f"sqlite:///{tmp_path / 'data.db'}", tmp_path / "uploads", import_ip_allow_list=["127.0.0.1"]
    )
    with serving(settings) as port:
        server = FileServer(port)
        environ = {**os.environ, "URL": f"http://127.0.0.1:{port}", "TOKEN": str(server.token)}
        command = ["sh", "-ec", script]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environ, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        rows = server.get("/files?sort=created_on").data
        assert [(row["title"], row["type"]) for row in rows] == [
            ("Hello", "text/plain"), ("From elsewhere", "image/png"), ("Film", "text/plain"),
        ]  # fmt: skip
        assert server.fetch(f"/assets/{rows[0]['id']}").body == b"Hello\n"
        assert server.fetch(f"/assets/{rows[2]['id']}").body == b"helloworld"
    shown = {
        name: Image.open(BytesIO((tmp_path / name).read_bytes()))
        for name in ("small.webp", "grey.png", "thumbnail.png")
    }
    assert [(one.format, one.size) for one in shown.values()] == [
        ("WEBP", (40, 40)), ("PNG", (20, 10)), ("PNG", (64, 64)),
    ]  # fmt: skip


def test_the_settings_of_the_page_open_a_storage(tmp_path: Path) -> None:
    for block in re.findall(r"```ini\n(.*?)```", PAGE.read_text(), flags=re.DOTALL):
        (tmp_path / ".env").write_text(block)
        settings = load_settings({}, cwd=tmp_path)
        driver = Registry.discover().storage(str(settings.storage_options["cloud"]["driver"]))
        options = {name: value for name, value in settings.storage_options["cloud"].items() if name != "driver"}
        driver.open(driver.options.model_validate(options), tmp_path)
