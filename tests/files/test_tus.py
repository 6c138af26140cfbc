"""`/files/tus`: files in several requests, by the protocol, and with the client that most use."""

import base64
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from datastead.context import SYSTEM, Context
from datastead.errors import ContentTooLarge, UploadNotFound
from datastead.files.files import Files
from datastead.files.resumable import ResumableUploads, _Source
from datastead.services import open_services
from datastead.testing.storage import pieces_of
from tests.api.conftest import ADMIN_TOKEN, Answer, serving

from .conftest import MAX_UPLOAD, MISSING, FileServer, image, settings_for
from .s3 import new_bucket, s3_server

TUS = {"Tus-Resumable": "1.0.0"}
OCTETS = {**TUS, "Content-Type": "application/offset+octet-stream"}


def told(**metadata: str) -> str:
    return ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in metadata.items())


def begun(server: FileServer, size: int, **metadata: str) -> Answer:
    headers = {**TUS, "Upload-Length": str(size), "Upload-Metadata": told(**metadata)}
    return server.send("POST", "/files/tus", raw=b"", headers=headers)


def begin(server: FileServer, size: int, **metadata: str) -> str:
    answer = begun(server, size, **metadata)
    assert answer.status == 201, answer.body
    assert answer.headers["tus-resumable"] == "1.0.0"
    return answer.headers["location"]


def send(server: FileServer, path: str, offset: int, content: bytes) -> Answer:
    return server.send("PATCH", path, raw=content, headers={**OCTETS, "Upload-Offset": str(offset)})


def offset_of(server: FileServer, path: str) -> int:
    answer = server.send("HEAD", path, headers=TUS)
    assert (answer.status, answer.headers["cache-control"]) == (200, "no-store"), answer.status
    return int(answer.headers["upload-offset"])


def test_a_file_that_comes_in_parts_is_a_file_like_others(file_server: FileServer, folder_id: str) -> None:
    content, before = image("PNG") + b"x" * 1000, file_server.on_disk()
    path = begin(
        file_server,
        len(content),
        filename_download="pic.png",
        type="image/png",
        title="Mine",
        folder=folder_id,
        tags='["a"]',
    )
    assert send(file_server, path, 0, content[:50]).headers["upload-offset"] == "50"
    assert offset_of(file_server, path) == 50
    assert send(file_server, path, 50, b"").status == 204
    last = send(file_server, path, 50, content[50:])
    assert (last.status, last.headers["upload-offset"]) == (204, str(len(content)))
    row = file_server.get(f"/files/{last.headers['directus-file-id']}").data
    assert (row["title"], row["folder"], row["tags"], row["type"]) == ("Mine", folder_id, ["a"], "image/png")
    assert (row["filename_download"], row["width"], int(row["filesize"])) == ("pic.png", 80, len(content))
    assert (row["uploaded_by"], row["tus_id"]) == (file_server.get("/users/me").data["id"], None)
    assert file_server.fetch(f"/assets/{row['id']}").body == content
    assert file_server.on_disk() == before | {row["filename_disk"]}
    assert offset_of(file_server, path) == len(content)  # for one who has not had the last answer


def test_bytes_may_come_with_the_beginning_and_there_may_be_none(file_server: FileServer) -> None:
    headers = {**OCTETS, "Upload-Length": "5", "Upload-Metadata": told(filename="a.txt", filetype="text/plain")}
    answer = file_server.send("POST", "/files/tus", raw=b"hello", headers=headers)
    assert (answer.status, answer.headers["upload-offset"]) == (201, "5")
    assert file_server.fetch(f"/assets/{answer.headers['directus-file-id']}").body == b"hello"
    empty = begun(file_server, 0, filename="empty.txt")
    assert file_server.fetch(f"/assets/{empty.headers['directus-file-id']}").body == b""


def test_the_bytes_of_a_file_are_replaced_by_its_id(file_server: FileServer) -> None:
    row = file_server.stored(b"old", "a.txt", title="Kept")
    path = begin(file_server, 3, id=row["id"])
    assert file_server.fetch(f"/assets/{row['id']}").body == b"old"
    assert send(file_server, path, 0, b"new").headers["directus-file-id"] == row["id"]
    assert file_server.fetch(f"/assets/{row['id']}").body == b"new"
    new = file_server.get(f"/files/{row['id']}").data
    assert (new["title"], new["filename_download"]) == ("Kept", "a.txt")
    assert row["filename_disk"] not in file_server.on_disk()


def test_a_line_that_breaks_loses_nothing_of_what_has_come(file_server: FileServer) -> None:
    content = os.urandom(200_000)
    path = begin(file_server, len(content), filename="a.bin")
    head = (
        f"PATCH {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {file_server.token}\r\nTus-Resumable: 1.0.0\r\n"
        f"Content-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", file_server.port), timeout=20) as client:
        client.sendall(head.encode() + content[:120_000])
        while not any(name.endswith(".partial") for name in file_server.on_disk()):
            pass  # until the server has begun to store it
    while (offset := offset_of(file_server, path)) == 0:
        pass  # the server notices that nobody is there
    assert 0 < offset <= 120_000
    last = send(file_server, path, offset, content[offset:])
    assert file_server.fetch(f"/assets/{last.headers['directus-file-id']}").body == content


def test_two_who_send_the_same_part_at_once_do_not_mix(file_server: FileServer) -> None:
    path, before = begin(file_server, 100_000, filename="a.bin"), file_server.on_disk()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda letter: send(file_server, path, 0, letter * 50_000), [b"a", b"b", b"c", b"d"]))
    assert sorted(answer.status for answer in answers) == [204, 409, 409, 409]
    assert len(file_server.on_disk() - before) == 1
    assert file_server.send("DELETE", path, headers=TUS).status == 204


def test_an_upload_that_is_given_up_leaves_nothing(file_server: FileServer) -> None:
    before = file_server.on_disk()
    path = begin(file_server, 100, filename="a.bin")
    send(file_server, path, 0, b"x" * 50)
    assert len(file_server.on_disk() - before) == 1
    assert file_server.send("DELETE", path, headers=TUS).status == 204
    assert file_server.on_disk() == before
    assert file_server.send("HEAD", path, headers=TUS).status == 404


@pytest.mark.parametrize(
    ("size", "metadata", "status", "code"),
    [
        ("x", {}, 400, "INVALID_PAYLOAD"), ("-1", {}, 400, "INVALID_PAYLOAD"), (str(MAX_UPLOAD + 1), {}, 413, "CONTENT_TOO_LARGE"),
        ("9" * 30, {}, 413, "CONTENT_TOO_LARGE"), ("9" * 40, {}, 400, "INVALID_PAYLOAD"), ("5", {"nope": "1"}, 400, "INVALID_PAYLOAD"), ("5", {"id": "../x"}, 400, "INVALID_PAYLOAD"),
        ("5", {"storage": "nowhere"}, 400, "INVALID_PAYLOAD"), ("5", {"type": "no type"}, 400, "INVALID_PAYLOAD"), ("5", {"title": "a\0b"}, 400, "INVALID_PAYLOAD"),
    ],
)  # fmt: skip
def test_an_upload_that_could_not_end_well_is_not_begun(
    file_server: FileServer, size: str, metadata: dict[str, str], status: int, code: str
) -> None:
    headers = {**TUS, "Upload-Length": size, "Upload-Metadata": told(**metadata)}
    answer = file_server.send("POST", "/files/tus", raw=b"", headers=headers)
    assert (answer.status, answer.code) == (status, code)


@pytest.mark.parametrize(
    ("method", "change", "status"),
    [
        ("PATCH", {"Tus-Resumable": "0.2.2"}, 412), ("PATCH", {"Content-Type": "text/plain"}, 415), ("PATCH", {"Upload-Offset": "3"}, 409),
        ("PATCH", {"Upload-Offset": "x"}, 400), ("GET", {}, 404), ("POST", {}, 404), ("HEAD", {"Tus-Resumable": "2"}, 412),
    ],
)  # fmt: skip
def test_what_the_protocol_does_not_know_is_refused(
    file_server: FileServer, method: str, change: dict[str, str], status: int
) -> None:
    path = begin(file_server, 10, filename="a.bin")
    answer = file_server.send(method, path, raw=b"12345", headers={**OCTETS, "Upload-Offset": "0", **change})
    assert answer.status == status, answer.body
    assert status != 412 or answer.headers["tus-version"] == "1.0.0"
    assert offset_of(file_server, path) == 0


def test_more_bytes_than_were_announced_are_refused(file_server: FileServer) -> None:
    path = begin(file_server, 5, filename="a.txt")
    assert send(file_server, path, 0, b"123456").status == 413
    assert offset_of(file_server, path) == 5


def test_an_upload_that_cannot_become_a_file_is_removed(file_server: FileServer) -> None:
    before = file_server.on_disk()
    path = begin(file_server, 5, filename="a.txt", folder=MISSING)
    answer = send(file_server, path, 0, b"12345")
    assert (answer.status, answer.code) == (400, "INVALID_FOREIGN_KEY")
    assert file_server.send("HEAD", path, headers=TUS).status == 404
    file_server.send("DELETE", "/files", [MISSING])  # answers when what was dropped is gone
    assert file_server.on_disk() == before


def test_an_upload_is_the_one_who_began_its_own(file_server: FileServer) -> None:
    token, path = uuid4().hex, begin(file_server, 10, filename="a.bin")
    file_server.post("/users", {"email": f"{token}@example.com", "token": token})
    row = file_server.stored(b"old")
    for other in (FileServer(file_server.port, token), FileServer(file_server.port, None)):
        assert begun(other, 5, filename="x").code == "FORBIDDEN"
        assert begun(other, 5, id=row["id"]).code == "FORBIDDEN"
        assert send(other, path, 0, b"12345").code == "UPLOAD_NOT_FOUND"
        assert other.send("HEAD", path, headers=TUS).status == 404
        assert other.send("DELETE", path, headers=TUS).status == 404
    assert offset_of(file_server, path) == 0


def test_what_is_understood_can_be_asked(file_server: FileServer) -> None:
    answer = file_server.send("OPTIONS", "/files/tus")
    assert (answer.status, answer.headers["tus-version"], answer.headers["tus-max-size"]) == (
        204,
        "1.0.0",
        str(MAX_UPLOAD),
    )
    assert answer.headers["tus-extension"] == "checksum,creation,creation-with-upload,expiration,termination"
    assert file_server.get("/server/info").data["uploads"] == {"chunkSize": 8 << 20}


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    with serving(settings_for(f"sqlite:///{tmp_path / 'data.db'}", tmp_path / "uploads", tus_enabled=False)) as port:
        server = FileServer(port)
        assert begun(server, 5).code == "ROUTE_NOT_FOUND"
        assert "uploads" not in server.get("/server/info").data


async def test_an_upload_that_rests_too_long_is_removed_and_one_that_was_whole_is_finished(tmp_path: Path) -> None:
    """Also in a process that has not begun it."""
    moment, folder = datetime(2026, 11, 26, 12, tzinfo=UTC), tmp_path / "uploads"
    settings = settings_for(f"sqlite:///{tmp_path / 'data.db'}", folder, tus_chunk_size=1000)
    async with open_services(settings, clock=lambda: moment, dispatch=False) as (services, _):
        resumable = ResumableUploads(Context(services, SYSTEM))
        with pytest.raises(ContentTooLarge, match="TUS_CHUNK_SIZE"):
            await resumable.begin(10_000 * 1000 + 1, {"filename": "endless.bin"})
        half = await resumable.begin(9_000, {"filename": "half.bin"})
        assert (await resumable.append(half.id, 0, pieces_of(b"x" * 4_500))).received == 4_500
        whole, source = await resumable.begin(500, {"filename": "whole.bin"}), _Source(pieces_of(b"y" * 500))
        await resumable._append_part(whole, source)  # and the process dies before it is a file
        assert len(list(folder.iterdir())) == 6
    moment += timedelta(minutes=9)
    async with open_services(settings, clock=lambda: moment, dispatch=False) as (services, _):
        ctx = Context(services, SYSTEM)
        resumable = ResumableUploads(ctx)
        assert (await resumable.progress(half.id)).received == 4_500
        assert (await resumable.progress(whole.id)).is_finished
        file = await Files(ctx).open(whole.file)
        assert b"".join([piece async for piece in Files(ctx).read(file)]) == b"y" * 500
        moment += timedelta(minutes=11)
        with pytest.raises(UploadNotFound):
            await resumable.progress(half.id)
        assert services.files is not None
        await services.files.tidy()
        await services.files.settled()
        assert {path.name for path in folder.iterdir()} == {file.stored.name}


PROJECT = Path(__file__).parents[1] / "clients/tus"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small Node.js project, with the client installed from its lock."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("Node.js and npm are not installed")
    folder = tmp_path_factory.mktemp("tus") / "project"
    shutil.copytree(PROJECT, folder)
    command = ["npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        pytest.skip(f"The client cannot be installed from npm: {done.stderr.strip()[-300:]}")
    return folder


def run(project: Path, port: int, file: Path, *arguments: str) -> Any:
    command = ["node", "upload.mjs", f"http://127.0.0.1:{port}", ADMIN_TOKEN, str(file), *arguments]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.full)])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Where the files are."""
    if request.param == "local":
        yield {"driver": "local", "root": str(tmp_path / "uploads")}
    else:
        with s3_server() as url:
            yield new_bucket(url).options


def test_tus_js_client_goes_on_after_an_interruption_and_a_restart(
    project: Path, storage: dict[str, Any], tmp_path: Path
) -> None:
    content, file = os.urandom(4_500_000), tmp_path / "large.bin"
    file.write_bytes(content)
    settings = settings_for(f"sqlite:///{tmp_path / 'data.db'}", tmp_path).model_copy(
        update={"storage_locations": ["place"], "storage_options": {"place": storage}}
    )
    with serving(settings) as port:
        first = run(project, port, file, "begin")
        assert first["how"] == "stopped"
        again = run(project, port, file, "begin")  # another upload, which is resumed in the same process
        assert run(project, port, file, "resume", again["path"])["how"] == "done"
    with serving(settings) as port:
        last, server = run(project, port, file, "resume", first["path"]), FileServer(port)
        assert (last["how"], last["offsets"][-1]) == ("done", len(content))
        assert last["offsets"][0] > first["offsets"][-1]
        for upload in (again, last):
            found = server.fetch(f"/assets/{upload['fileId']}").body
            assert sha256(found).digest() == sha256(content).digest()
        assert [row["title"] for row in server.get("/files?fields=title").data] == ["In parts", "In parts"]


def test_bytes_that_come_otherwise_than_they_were_sent_are_not_kept(file_server: FileServer) -> None:
    path, content = begin(file_server, 6), b"abcdef"

    def checked(offset: int, part: bytes, checksum: str) -> Answer:
        headers = {**OCTETS, "Upload-Offset": str(offset), "Upload-Checksum": checksum}
        return file_server.send("PATCH", path, raw=part, headers=headers)

    def of(part: bytes) -> str:
        return f"sha256 {base64.b64encode(sha256(part).digest()).decode()}"

    broken = checked(0, b"abx", of(b"abc"))
    assert (broken.status, broken.code) == (460, "UPLOAD_CHECKSUM_MISMATCH")
    for wrong in ("crc32 AAAA", "sha1", "sha1 ?", ""):
        assert checked(0, b"abc", wrong).status in {400, 460}
    assert offset_of(file_server, path) == 0
    assert checked(0, content[:3], of(content[:3])).status == 204
    assert checked(3, content[3:], of(content[3:])).status == 204
    described = file_server.send("OPTIONS", "/files/tus").headers
    assert "checksum" in described["tus-extension"].split(",")
    assert "sha1" in described["tus-checksum-algorithm"].split(",")
