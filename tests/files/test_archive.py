"""Several files, or a folder, as one ZIP."""

import io
import json
import zipfile
from typing import Any
from uuid import uuid4

import pytest

from .conftest import MISSING, Bytes, FileServer


def post(server: FileServer, path: str, body: Any = None) -> Bytes:
    from http.client import HTTPConnection

    connection = HTTPConnection("127.0.0.1", server.port, timeout=20)
    own = {"Authorization": f"Bearer {server.token}"} if server.token else {}
    try:
        connection.request("POST", path, json.dumps(body).encode(), {**own, "Content-Type": "application/json"})
        answer = connection.getresponse()
        return Bytes(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def contents(answer: Bytes) -> dict[str, bytes]:
    assert answer.status == 200, answer.body
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_several_files_come_as_one_with_names_of_their_own(file_server: FileServer) -> None:
    large = bytes(range(256)) * 1100
    stored = [("a.txt", b"one"), ("a.txt", b"two"), ("../ü.bin", large)]
    ids = [file_server.stored(content, name)["id"] for name, content in stored]
    answer = post(file_server, "/assets/files/", {"ids": ids})
    assert contents(answer) == {"a.txt": b"one", "a (2).txt": b"two", "ü.bin": large}
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == 'attachment; filename="files.zip"'


def test_a_folder_comes_with_those_below_it(file_server: FileServer) -> None:
    top = file_server.post("/folders", {"name": f"Top {uuid4()}"}).data
    below = file_server.post("/folders", {"name": "Be/low", "parent": top["id"]}).data
    file_server.stored(b"one", "1.txt", folder=top["id"])
    file_server.stored(b"two", "2.txt", folder=below["id"])
    file_server.stored(b"other", "3.txt")
    for answer in (file_server.fetch(f"/assets/folder/{top['id']}"), post(file_server, f"/assets/folder/{top['id']}")):
        assert contents(answer) == {"1.txt": b"one", "low/2.txt": b"two"}
        assert answer.headers["content-disposition"] == f'attachment; filename="{top["name"]}.zip"'


def test_what_one_may_not_read_is_in_no_archive(file_server: FileServer, folder_id: str) -> None:
    token, row = uuid4().hex, file_server.stored(b"secret", folder=folder_id, title="hidden")
    shown = file_server.stored(b"shown", "shown.txt", folder=folder_id, title="shown")
    policy = file_server.post("/policies", {"name": "x"}).data["id"]
    read = {"policy": policy, "action": "read", "fields": ["*"]}
    file_server.post(
        "/permissions", {**read, "collection": "directus_files", "permissions": {"title": {"_eq": "shown"}}}
    )
    file_server.post("/permissions", {**read, "collection": "directus_folders"})
    user = file_server.post("/users", {"email": f"{token}@example.com", "token": token}).data["id"]
    file_server.post("/access", {"policy": policy, "user": user})
    someone = FileServer(file_server.port, token)
    assert contents(someone.fetch(f"/assets/folder/{folder_id}")) == {"shown.txt": b"shown"}
    assert contents(post(someone, "/assets/files", {"ids": [shown["id"]]})) == {"shown.txt": b"shown"}
    assert post(someone, "/assets/files", {"ids": [shown["id"], row["id"]]}).code == "FORBIDDEN"
    assert FileServer(file_server.port, None).fetch(f"/assets/folder/{folder_id}").code == "FORBIDDEN"


@pytest.mark.parametrize(
    ("body", "code"),
    [({}, "INVALID_PAYLOAD"), ([], "INVALID_PAYLOAD"), ({"ids": "x"}, "INVALID_PAYLOAD"), ({"ids": [{}]}, "INVALID_PAYLOAD"),
     ({"ids": ["nope"]}, "FORBIDDEN"), ({"ids": [MISSING]}, "FORBIDDEN"), ({"ids": [MISSING] * 10_001}, "INVALID_PAYLOAD")],
)  # fmt: skip
def test_a_body_that_names_no_files_is_refused(file_server: FileServer, body: Any, code: str) -> None:
    assert post(file_server, "/assets/files", body).code == code
