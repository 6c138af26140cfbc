"""`/assets`: bytes as browsers want them: parts, caches, names, and nothing that runs."""

from typing import Any
from urllib.parse import quote

import pytest

from .conftest import MISSING, File, FileServer, image

CONTENT = bytes(range(256)) * 2000  # larger than the pieces that are read


@pytest.fixture(scope="module")
def large(file_server: FileServer) -> str:
    limit = 300_000
    row = file_server.stored(CONTENT[:limit], "large.bin")
    return f"/assets/{row['id']}"


CONTENT = CONTENT[:300_000]


def test_an_asset_says_what_a_browser_needs_to_know(file_server: FileServer) -> None:
    content = image("PNG")
    row = file_server.stored(content, "pic.png")
    answer = file_server.fetch(f"/assets/{row['id']}")
    assert (answer.status, answer.body) == (200, content)
    headers = {
        name: answer.headers[name] for name in answer.headers if name not in {"date", "server", "etag", "last-modified"}
    }
    assert headers == {
        "content-type": "image/png", "content-length": str(len(content)), "accept-ranges": "bytes",
        "content-disposition": 'inline; filename="pic.png"', "cache-control": "private, max-age=2592000",
        "vary": "Authorization", "x-content-type-options": "nosniff", "content-security-policy": "default-src 'none'",
        "x-powered-by": "Datastead",
    }  # fmt: skip
    assert answer.headers["last-modified"].endswith(" GMT")


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-9", 0, 9), ("bytes=299990-", 299_990, 299_999), ("bytes=-10", 299_990, 299_999), ("bytes=5-5", 5, 5),
        ("bytes=100-9999999999", 100, 299_999), ("bytes=-9999999999", 0, 299_999), ("bytes=250000-299000", 250_000, 299_000),
        ("bytes=262143-262144", 262_143, 262_144), ("bytes=0-" + "9" * 400, 0, 299_999),
    ],
)  # fmt: skip
def test_a_range_is_answered_with_that_part(
    file_server: FileServer, large: str, asked: str, start: int, end: int
) -> None:
    answer = file_server.fetch(large, {"Range": asked})
    assert (answer.status, answer.headers["content-range"]) == (206, f"bytes {start}-{end}/300000")
    assert answer.headers["content-length"] == str(end - start + 1)
    assert answer.body == CONTENT[start : end + 1]


@pytest.mark.parametrize("asked", ["bytes=300000-", "bytes=-0", "bytes=400000-500000"])
def test_a_range_that_there_is_not_is_refused_with_the_size(file_server: FileServer, large: str, asked: str) -> None:
    answer = file_server.fetch(large, {"Range": asked})
    assert (answer.status, answer.code, answer.headers["content-range"]) == (
        416,
        "RANGE_NOT_SATISFIABLE",
        "bytes */300000",
    )


@pytest.mark.parametrize("asked", ["bytes=5-2", "lines=1-2", "bytes=a-b", "bytes=0-1,5-6", "bytes=-", "", "bytes"])
def test_a_range_of_another_kind_is_answered_with_everything(file_server: FileServer, large: str, asked: str) -> None:
    answer = file_server.fetch(large, {"Range": asked})
    assert (answer.status, answer.body) == (200, CONTENT)


def test_what_the_browser_has_already_is_not_sent_again(file_server: FileServer, large: str) -> None:
    first = file_server.fetch(large)
    tag, date = first.headers["etag"], first.headers["last-modified"]
    for headers in (
        {"If-None-Match": tag},
        {"If-None-Match": f'"x", W/{tag}'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": date},
    ):
        answer = file_server.fetch(large, headers)
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
    for headers in (
        {"If-None-Match": '"x"'}, {"If-Modified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"}, {"If-Modified-Since": "nonsense"},
        {"If-None-Match": '"x"', "If-Modified-Since": date},
    ):  # fmt: skip
        assert file_server.fetch(large, headers).status == 200


def test_a_part_of_another_version_is_not_mixed_in(file_server: FileServer) -> None:
    row = file_server.stored(b"old content")
    path = f"/assets/{row['id']}"
    tag = file_server.fetch(path).headers["etag"]
    assert file_server.fetch(path, {"Range": "bytes=0-2", "If-Range": tag}).body == b"old"
    file_server.upload(File(b"new content", "a.txt"), path=f"/files/{row['id']}", method="PATCH")
    answer = file_server.fetch(path, {"Range": "bytes=0-2", "If-Range": tag})
    assert (answer.status, answer.body) == (200, b"new content")
    assert answer.headers["etag"] != tag


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-9"}])
def test_head_answers_as_get_does_without_the_bytes(
    file_server: FileServer, large: str, headers: dict[str, str]
) -> None:
    get, head = file_server.fetch(large, headers), file_server.fetch(large, headers, method="HEAD")
    assert (head.status, head.body) == (get.status, b"")
    assert {**head.headers, "date": ""} == {**get.headers, "date": ""}


@pytest.mark.parametrize(
    ("name", "plain", "encoded"),
    [
        ("pic.png", "pic.png", None), ("größe €.txt", "gr__e _.txt", "gr%C3%B6%C3%9Fe%20%E2%82%AC.txt"),
        ('"q".txt', "_q_.txt", "%22q%22.txt"), ("100%.txt", "100_.txt", "100%25.txt"), ("a;b.txt", "a;b.txt", None),
    ],
)  # fmt: skip
def test_a_download_has_its_name_in_both_forms(
    file_server: FileServer, name: str, plain: str, encoded: str | None
) -> None:
    row = file_server.stored(b"text", "a.txt", filename_download=name)
    for path in (f"/assets/{row['id']}?download", f"/assets/{row['id']}/any/{quote(name)}?download="):
        more = f"; filename*=UTF-8''{encoded}" if encoded else ""
        assert file_server.fetch(path).headers["content-disposition"] == f'attachment; filename="{plain}"{more}'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.svg", b'<?xml version="1.0"?><!-- c --><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'),
        ("a.png", b"<html><script>alert(1)</script></html>"), ("a.xml", b"<?xml version='1.0'?><x/>"),
    ],
)  # fmt: skip
def test_what_a_browser_would_run_runs_nothing(file_server: FileServer, name: str, content: bytes) -> None:
    row = file_server.stored(content, name)
    answer = file_server.fetch(f"/assets/{row['id']}")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    assert "allow-scripts" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_type_that_a_row_claims_cannot_add_a_header(file_server: FileServer) -> None:
    row = file_server.stored(b"text")
    file_server.send("PATCH", f"/files/{row['id']}", {"type": "text/html\r\nX-Evil: 1", "charset": "x\r\nX-Evil: 2"})
    answer = file_server.fetch(f"/assets/{row['id']}")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/octet-stream"
    assert "x-evil" not in answer.headers


def test_other_files_ignore_what_only_images_have(file_server: FileServer) -> None:
    row = file_server.stored(b"text")
    assert file_server.fetch(f"/assets/{row['id']}?width=20&key=nope").body == b"text"


@pytest.mark.parametrize("key", [MISSING, "nope", "..%2f..%2fetc%2fpasswd", "%00", "1", "%F0%9F%8C%B1", "a" * 300])
def test_an_id_that_no_file_has_is_forbidden(file_server: FileServer, key: str) -> None:
    for answer in (file_server.fetch(f"/assets/{key}"), file_server.fetch(f"/files/{key}")):
        assert (answer.status, answer.code) in {(403, "FORBIDDEN"), (404, "ROUTE_NOT_FOUND")}


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_file_whose_bytes_are_gone_is_forbidden_and_logged(
    file_server: FileServer, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    row = file_server.stored(b"text")
    (file_server.folder / row["filename_disk"]).unlink()
    assert file_server.fetch(f"/assets/{row['id']}", method=method).status == 403
    assert row["filename_disk"] in caplog.text
    assert file_server.send("DELETE", f"/files/{row['id']}").status == 204


def test_a_file_that_is_replaced_or_deleted_while_it_is_read_comes_whole(file_server: FileServer) -> None:
    import socket

    row = file_server.stored(CONTENT, "large.bin")
    request = f"GET /assets/{row['id']} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {file_server.token}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", file_server.port), timeout=20) as client:
        client.sendall(request.encode())
        received = client.recv(1000)
        assert file_server.send("DELETE", f"/files/{row['id']}").status == 204
        while piece := client.recv(65536):
            received += piece
    assert received.partition(b"\r\n\r\n")[2] == CONTENT


def test_a_public_page_may_not_read_assets(file_server: FileServer) -> None:
    row: dict[str, Any] = file_server.stored(b"text")
    answer = FileServer(file_server.port, None, file_server.folder).fetch(f"/assets/{row['id']}")
    assert (answer.status, answer.code) == (403, "FORBIDDEN")


def test_the_token_may_stand_in_the_address(file_server: FileServer) -> None:
    row = file_server.stored(b"text")
    public = FileServer(file_server.port, None, file_server.folder)
    assert public.fetch(f"/assets/{row['id']}?access_token={file_server.token}").body == b"text"
