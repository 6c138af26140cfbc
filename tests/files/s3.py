"""A real S3 server, as a process of its own, and buckets on it."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from tests.cli.test_serve import free_port

KEY, SECRET = "test-key-id", "test-secret-access-key"


@dataclass(frozen=True)
class Bucket:
    """A bucket of its own. url: where its server is."""

    url: str
    name: str

    @property
    def options(self) -> dict[str, Any]:
        """As `STORAGE_<LOCATION>_*` have them."""
        return {
            "driver": "s3", "bucket": self.name, "key": KEY, "secret": SECRET, "endpoint": self.url,
            "force_path_style": True, "root": "in/a/folder",
        }  # fmt: skip

    def names(self) -> set[str]:
        """What is in it."""
        text = _ask("GET", f"{self.url}/{self.name}?list-type=2")
        return {part.partition("</Key>")[0].removeprefix("in/a/folder/") for part in text.split("<Key>")[1:]}

    def unfinished(self) -> int:
        """How many uploads in parts have begun and not ended."""
        return _ask("GET", f"{self.url}/{self.name}?uploads").count("<Upload>")


@contextmanager
def s3_server() -> Iterator[str]:
    """Its URL."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}"
        while not _is_there(url):
            assert process.poll() is None, "The S3 server did not start."
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait()


def new_bucket(url: str) -> Bucket:
    name = f"bucket-{uuid4().hex[:12]}"
    _ask("PUT", f"{url}/{name}")
    return Bucket(url, name)


def _is_there(url: str) -> bool:
    try:
        _ask("GET", f"{url}/moto-api/")
    except OSError:
        return False
    return True


def _ask(method: str, url: str) -> str:
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=20) as answer:
        text: str = answer.read().decode()
        return text
