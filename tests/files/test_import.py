"""`/files/import`: files that are fetched from elsewhere, from a real server of the tests' own."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.api.conftest import serving

from .conftest import FileServer, image, settings_for

PNG = image("PNG", 9, 7)
LIMIT = 50_000  # bytes


class Elsewhere(BaseHTTPRequestHandler):
    """A server that has files, and does what servers do."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/away":
            self._answer(302, b"", Location="http://127.0.0.2:9/pic.png")
        elif path == "/here":
            self._answer(302, b"", Location="/files/red_bread%20%C3%BC.png?x=1")
        elif path == "/named":
            self._answer(200, b"text", **{"Content-Disposition": 'attachment; filename="../report.txt"'})
        elif path == "/large":
            self._answer(200, b"x" * (LIMIT + 1))
        elif path == "/cut":
            self._answer(200, b"x" * 20_000, **{"Content-Length": "40000"})
        elif path == "/slow":
            self._answer(200, b"x", **{"Content-Length": "40000"})
            self.server.stop.wait(20)  # type: ignore[attr-defined]
        elif path == "/missing":
            self._answer(404, b"nothing")
        else:
            self._answer(200, PNG, **{"Content-Type": "image/png"})

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Silent."""


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    server.stop = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.stop.set()  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def importer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FileServer]:
    folder = tmp_path_factory.mktemp("import")
    settings = settings_for(
        f"sqlite:///{folder / 'data.db'}", folder / "uploads", import_ip_allow_list=["127.0.0.1"],
        files_max_upload_size=LIMIT, import_timeout=1.0, files_mime_type_allow_list=["image/*", "text/plain"],
    )  # fmt: skip
    with serving(settings) as port:
        yield FileServer(port, folder=folder / "uploads")


def test_a_file_is_fetched_and_called_after_its_address(importer: FileServer, elsewhere: str) -> None:
    answer = importer.post("/files/import", {"url": f"{elsewhere}/here", "data": {"description": "d", "tags": ["a"]}})
    assert answer.status == 200, answer.body
    row = answer.data
    assert (row["filename_download"], row["title"], row["description"], row["tags"]) == (
        "red_bread ü.png", "Red Bread Ü", "d", ["a"],
    )  # fmt: skip
    assert (row["type"], row["width"], row["height"], int(row["filesize"])) == ("image/png", 9, 7, len(PNG))
    assert importer.fetch(f"/assets/{row['id']}").body == PNG


def test_a_file_is_fetched_by_graphql_by_the_same_rules(importer: FileServer, elsewhere: str) -> None:
    text = """mutation ($u: String!, $d: create_directus_files_input) { import_file(url: $u, data: $d) {
        description type width } }"""

    def ask(path: str) -> Any:
        variables = {"u": elsewhere + path, "d": {"description": "d"}}
        return importer.post("/graphql/system", {"query": text, "variables": variables}).json

    assert ask("/here") == {"data": {"import_file": {"description": "d", "type": "image/png", "width": 9}}}
    assert ask("/away")["errors"][0]["extensions"]["code"] == "REQUEST_REFUSED"
    public = importer.public.post("/graphql/system", {"query": text})
    assert public.code == "GRAPHQL_VALIDATION"


def test_a_name_that_the_server_gives_or_the_caller_goes_before(importer: FileServer, elsewhere: str) -> None:
    named = importer.post("/files/import", {"url": f"{elsewhere}/named"})
    assert named.data["filename_download"] == "report.txt"
    mine = importer.post("/files/import", {"url": f"{elsewhere}/named", "data": {"filename_download": "mine.txt"}})
    assert mine.data["filename_download"] == "mine.txt"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/away", 422, "REQUEST_REFUSED"), ("/large", 413, "CONTENT_TOO_LARGE"), ("/cut", 503, "SERVICE_UNAVAILABLE"),
        ("/slow", 503, "SERVICE_UNAVAILABLE"), ("/missing", 503, "SERVICE_UNAVAILABLE"),
    ],
)  # fmt: skip
def test_what_cannot_be_fetched_leaves_no_row_and_no_bytes(
    importer: FileServer, elsewhere: str, path: str, status: int, code: str
) -> None:
    before = importer.on_disk(), len(importer.get("/files?limit=-1&fields=id").data)
    answer = importer.post("/files/import", {"url": elsewhere + path})
    assert (answer.status, answer.code) == (status, code)
    assert (importer.on_disk(), len(importer.get("/files?limit=-1&fields=id").data)) == before


@pytest.mark.parametrize(
    "fields", [{"nope": 1}, {"folder": "00000000-0000-4000-8000-000000000000"}, {"title": {"a": 1}}]
)
def test_fields_that_a_file_cannot_have_are_refused(
    importer: FileServer, elsewhere: str, fields: dict[str, Any]
) -> None:
    before = importer.on_disk()
    answer = importer.post("/files/import", {"url": f"{elsewhere}/pic.png", "data": fields})
    assert answer.status == 400, answer.body
    assert importer.on_disk() == before


@pytest.mark.parametrize(
    "body",
    [{}, {"url": 5}, {"url": "file:///etc/passwd"}, {"url": "nonsense"}, {"url": "http://[::1"}, {"url": None}, [],
     {"url": "http://example.com/a", "data": []}, {"url": "http://example.com/a", "data": "x"},
     {"url": "http://127.0.0.1:1/a", "data": {"filename_download": 5}, "x": 1}],
)  # fmt: skip
def test_a_body_that_makes_no_sense_is_refused(importer: FileServer, body: Any) -> None:
    answer = importer.send(
        "POST", "/files/import", raw=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    assert (answer.status, answer.code) in {(400, "INVALID_PAYLOAD"), (503, "SERVICE_UNAVAILABLE")}


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/",
        "http://localhost:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
        "http://169.254.169.254/",
    ],
)
def test_an_address_that_is_not_public_is_refused_and_leaves_nothing(
    tmp_path: Path, elsewhere: str, url: str, file_server: FileServer
) -> None:
    before = file_server.on_disk()
    answer = file_server.post("/files/import", {"url": url.format(port=elsewhere.rpartition(":")[2])})
    assert (answer.status, answer.code) == (422, "REQUEST_REFUSED")
    assert file_server.on_disk() == before


def test_who_may_not_create_files_reaches_nobody(importer: FileServer, elsewhere: str) -> None:
    answer = importer.public.post("/files/import", {"url": f"{elsewhere}/pic.png"})
    assert (answer.status, answer.code) == (403, "FORBIDDEN")
