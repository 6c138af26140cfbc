"""A server with a storage of its own, on each database; forms as browsers send them, and answers as bytes."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from PIL import Image

from datastead.settings import Settings
from tests.api.conftest import ADMIN_TOKEN, PASSWORD, Server, database_url, serving

__all__ = ["database_url"]

BOUNDARY = "----boundary"
MISSING = "00000000-0000-4000-8000-000000000000"
MAX_UPLOAD = 300_000  # bytes


@dataclass(frozen=True)
class Bytes:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        code: str = json.loads(self.body)["errors"][0]["extensions"]["code"]
        return code


@dataclass(frozen=True)
class FileServer(Server):
    """A server, and the folder that its files are in."""

    folder: Path = Path()

    def upload(self, *parts: "Part", path: str = "/files", method: str = "POST") -> Any:
        return self.send(method, path, raw=form(*parts), headers=MULTIPART)

    def stored(self, content: bytes, name: str = "notes.txt", **fields: str) -> dict[str, Any]:
        """A new file's row."""
        answer = self.upload(*fields.items(), File(content, name))
        assert answer.status == 200, answer.body
        row: dict[str, Any] = answer.data
        return row

    def fetch(self, path: str, headers: dict[str, str] | None = None, method: str = "GET") -> Bytes:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        own = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            connection.request(method, path, headers={**own, **(headers or {})})
            answer = connection.getresponse()
            return Bytes(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def on_disk(self) -> set[str]:
        return {file.name for file in self.folder.iterdir()} if self.folder.exists() else set()


@dataclass(frozen=True)
class File:
    """A part of a form that is a file."""

    content: bytes
    name: str
    type: str | None = None


Part = File | tuple[str, str]
MULTIPART = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


def form(*parts: Part) -> bytes:
    """A form's body. A pair is a text field."""
    return (
        b"".join(f"--{BOUNDARY}\r\n".encode() + _part(part) + b"\r\n" for part in parts)
        + f"--{BOUNDARY}--\r\n".encode()
    )


def _part(part: Part) -> bytes:
    if isinstance(part, tuple):
        return f'Content-Disposition: form-data; name="{part[0]}"\r\n\r\n{part[1]}'.encode()
    kind = f"Content-Type: {part.type}\r\n" if part.type else ""
    head = f'Content-Disposition: form-data; name="file"; filename="{part.name}"\r\n{kind}\r\n'
    return head.encode() + part.content


def image(kind: str, width: int = 80, height: int = 40, **options: Any) -> bytes:
    """An image in a format of Pillow's."""
    found = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(found, kind, **options)
    return found.getvalue()


def settings_for(database_url: str, folder: Path, **more: Any) -> Settings:
    return Settings(
        database_url=database_url,
        admin_token=ADMIN_TOKEN,
        admin_password=PASSWORD,
        secret="s" * 40,
        storage_options={"local": {"root": str(folder)}},
        **more,
    )


@pytest.fixture(scope="session")
def file_server(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    folder = tmp_path_factory.mktemp("files") / "uploads"
    with serving(settings_for(database_url, folder, files_max_upload_size=MAX_UPLOAD)) as port:
        yield FileServer(port, folder=folder)


@pytest.fixture
def folder_id(file_server: FileServer) -> str:
    key: str = file_server.post("/folders", {"name": f"folder {uuid4()}"}).data["id"]
    return key
