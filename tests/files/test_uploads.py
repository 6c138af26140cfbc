"""`/files`: what is stored, what is said of it, and that nothing is ever half there."""

import hashlib
import json
import socket
from typing import Any
from uuid import uuid4

import pytest

from .conftest import BOUNDARY, MAX_UPLOAD, MISSING, MULTIPART, File, FileServer, form, image


def test_an_uploaded_image_has_its_type_its_size_and_what_was_said_before_it(file_server: FileServer) -> None:
    content = image("PNG")
    answer = file_server.upload(("title", "Doc picture"), ("description", "d"), File(content, "pic.png", "image/png"))
    assert answer.status == 200, answer.body
    row = answer.data
    moments = [row.pop(name) for name in ("created_on", "modified_on", "uploaded_on")]
    assert all(moment.endswith("Z") and moment.startswith("20") for moment in moments)
    key, user = row.pop("id"), row.pop("uploaded_by")
    assert user == file_server.get("/users/me").data["id"]
    assert int(row.pop("filesize")) == len(content)
    assert row == {
        "storage": "local", "filename_disk": f"{key}.png", "filename_download": "pic.png", "title": "Doc picture",
        "type": "image/png", "folder": None, "modified_by": None, "charset": None, "width": 80, "height": 40,
        "duration": None, "embed": None, "description": "d", "location": None, "tags": None, "metadata": {},
        "focal_point_x": None, "focal_point_y": None, "tus_id": None, "tus_data": None,
    }  # fmt: skip
    assert (file_server.folder / f"{key}.png").read_bytes() == content


def test_a_file_without_a_title_is_called_after_its_name(file_server: FileServer) -> None:
    assert file_server.stored(b"text", "red_bread-01.txt")["title"] == "Red Bread 01"


def test_several_files_are_answered_as_a_list_each_with_the_fields_before_it(file_server: FileServer) -> None:
    answer = file_server.upload(
        ("title", "One"),
        File(b"1", "1.txt"),
        ("title", "Two"),
        ("tags", '["a", "b"]'),
        File(b"2", "2.txt"),
        path="/files?fields=id,title,tags",
    )
    assert [(row["title"], row["tags"]) for row in answer.data] == [("One", None), ("Two", ["a", "b"])]


def test_fields_behind_the_only_file_are_its_too(file_server: FileServer) -> None:
    answer = file_server.upload(
        File(b"1", "1.txt"), ("title", "Late"), ("tags", "a, b"), path="/files?fields=title,tags"
    )
    assert answer.data == {"title": "Late", "tags": ["a", "b"]}


def test_a_file_is_put_into_a_folder(file_server: FileServer, folder_id: str) -> None:
    assert file_server.stored(b"text", folder=folder_id)["folder"] == folder_id
    assert file_server.send("DELETE", f"/folders/{folder_id}").status == 204


def test_an_id_may_be_chosen_and_is_not_taken_twice(file_server: FileServer) -> None:
    chosen = str(uuid4())
    row = file_server.stored(b"first", "a.txt", id=chosen)
    assert row["id"] == chosen
    again = file_server.upload(("id", chosen), File(b"second", "a.txt"))
    assert (again.status, again.code) == (400, "RECORD_NOT_UNIQUE")
    assert file_server.fetch(f"/assets/{chosen}").body == b"first"


@pytest.mark.parametrize(
    ("name", "shown", "extension"),
    [
        ("../../etc/passwd", "passwd", ""), ("a\\b\\c.PDF", "c.PDF", ".pdf"), ("ünïcode 文.txt", "ünïcode 文.txt", ".txt"),
        ("line%0Abreak.txt", "line%0Abreak.txt", ".txt"), ("a\u202egnp.txt", "agnp.txt", ".txt"), ("..", "file", ".txt"),
        ("x" * 300 + ".txt", "x" * 251 + ".txt", ".txt"), (".htaccess", ".htaccess", ".htaccess"), ("%22q%22.txt", '"q".txt', ".txt"),
        ("a.b c d", "a.b c d", ".txt"), (";", ";", ".txt"),
    ],
)  # fmt: skip
def test_an_odd_name_is_shown_safely_and_never_used_as_a_path(
    file_server: FileServer, name: str, shown: str, extension: str
) -> None:
    row = file_server.stored(b"text", name)
    assert row["filename_download"] == shown
    assert row["filename_disk"] == row["id"] + (extension or ".txt")
    answer = file_server.fetch(f"/assets/{row['id']}?download")
    assert (answer.status, answer.body) == (200, b"text")
    assert answer.headers["content-disposition"].startswith("attachment; filename=")


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 8191, b"x" * 8192, b"x" * 8193, b"x" * MAX_UPLOAD])
def test_a_file_of_any_size_up_to_the_limit_comes_back_as_it_was(file_server: FileServer, content: bytes) -> None:
    row = file_server.stored(content)
    assert int(row["filesize"]) == len(content)
    answer = file_server.fetch(f"/assets/{row['id']}")
    assert answer.headers["content-length"] == str(len(content))
    assert answer.body == content


def test_bytes_that_look_like_the_boundary_come_back_as_they_were(file_server: FileServer) -> None:
    content = f"\r\n--{BOUNDARY[:-1]}\r\n--{BOUNDARY}x\r\n\r\n-\r".encode() * 3
    content = content.replace(f"--{BOUNDARY}x".encode(), b"--" + BOUNDARY[1:].encode())
    assert file_server.fetch(f"/assets/{file_server.stored(content)['id']}").body == content


def refused(server: FileServer, *parts: Any) -> tuple[int, str]:
    """What a refused upload is answered with; it leaves no row and no bytes."""
    before = server.on_disk(), len(server.get("/files?limit=-1&fields=id").data)
    answer = server.upload(*parts)
    assert (server.on_disk(), len(server.get("/files?limit=-1&fields=id").data)) == before
    return answer.status, answer.code


GOOD = File(b"good", "good.txt")


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((), (400, "INVALID_PAYLOAD")),
        ((("title", "only text"),), (400, "INVALID_PAYLOAD")),
        ((GOOD, File(b"no name", "")), (400, "INVALID_PAYLOAD")),
        ((GOOD, ("nope", "1"), GOOD), (400, "INVALID_PAYLOAD")),
        ((GOOD, ("nope", "1")), (400, "INVALID_PAYLOAD")),
        ((GOOD, ("folder", MISSING), GOOD), (400, "INVALID_FOREIGN_KEY")),
        ((GOOD, ("folder", "no uuid"), GOOD), (400, "INVALID_PAYLOAD")),
        ((GOOD, ("storage", "nowhere"), GOOD), (400, "INVALID_PAYLOAD")),
        ((GOOD, ("id", "../../x"), GOOD), (400, "INVALID_PAYLOAD")),
        ((GOOD, ("title", "x" * 300), GOOD), (400, "VALUE_TOO_LONG")),
        ((GOOD, ("metadata", "{"), GOOD), (400, "INVALID_PAYLOAD")),
        ((GOOD, ("focal_point_x", "many"), GOOD), (400, "INVALID_PAYLOAD")),
        ((GOOD, ("title", "a\0b"), GOOD), (400, "INVALID_PAYLOAD")),
        ((GOOD, ("description", "x" * 70_000), GOOD), (400, "INVALID_PAYLOAD")),
        ((GOOD, *[("title", "t")] * 101, GOOD), (400, "INVALID_PAYLOAD")),
        ((GOOD, File(b"x" * (MAX_UPLOAD + 1), "large.bin")), (413, "CONTENT_TOO_LARGE")),
    ],
)  # fmt: skip
def test_a_refused_upload_leaves_no_row_and_no_bytes_of_any_of_its_files(
    file_server: FileServer, parts: tuple[Any, ...], expected: tuple[int, str]
) -> None:
    if expected[1] == "VALUE_TOO_LONG" and not file_server.stored(b"", title="y" * 255):
        pytest.fail("a title of 255 characters fits")
    assert refused(file_server, *parts) == expected


@pytest.mark.parametrize("field", ["filename_disk", "filesize", "uploaded_on", "tus_id"])
def test_nobody_says_where_the_bytes_of_a_file_are(file_server: FileServer, field: str) -> None:
    victim = file_server.stored(b"secret", "victim.txt")
    row = file_server.stored(b"mine", "mine.txt")
    patched = file_server.send("PATCH", f"/files/{row['id']}", {field: victim["filename_disk"]})
    assert (patched.status, patched.code) == (400, "INVALID_PAYLOAD")
    described = file_server.post(
        "/files", {"type": "text/plain", "filename_download": "x", field: victim["filename_disk"]}
    )
    assert (described.status, described.code) == (400, "INVALID_PAYLOAD")
    uploaded = file_server.upload((field, victim["filename_disk"]), File(b"mine", "mine.txt"), path="/files?fields=id")
    assert uploaded.status in {200, 400}
    if uploaded.status == 200:
        assert file_server.fetch(f"/assets/{uploaded.data['id']}").body == b"mine"


def test_a_row_that_is_sent_back_as_it_is_may_say_where_its_bytes_are(file_server: FileServer) -> None:
    row = file_server.stored(b"text")
    row["title"] = "Renamed"
    changed = {name: row[name] for name in ("title", "storage", "filename_disk", "filesize", "uploaded_on", "tus_id")}
    answer = file_server.send("PATCH", f"/files/{row['id']}", changed)
    assert (answer.status, answer.data["title"]) == (200, "Renamed")


def test_what_is_said_of_a_file_is_changed_with_json(file_server: FileServer) -> None:
    row = file_server.stored(b"text")
    answer = file_server.send("PATCH", f"/files/{row['id']}", {"title": "Renamed", "tags": ["a", "b"]})
    assert (answer.data["title"], answer.data["tags"]) == ("Renamed", ["a", "b"])
    assert answer.data["modified_by"] == file_server.get("/users/me").data["id"]
    assert answer.data["modified_on"] >= row["modified_on"]
    assert file_server.fetch(f"/assets/{row['id']}").body == b"text"


def test_a_form_replaces_the_bytes_and_the_old_ones_are_gone(file_server: FileServer) -> None:
    row = file_server.stored(b"old", "a.txt")
    before = file_server.on_disk()
    answer = file_server.upload(
        ("description", "new"), File(image("PNG", 3, 5), "b.png"), path=f"/files/{row['id']}", method="PATCH"
    )
    new = answer.data
    assert (new["id"], new["type"], new["width"], new["height"]) == (row["id"], "image/png", 3, 5)
    assert (new["title"], new["filename_download"], new["description"]) == (row["title"], "a.txt", "new")
    assert new["filename_disk"] != row["filename_disk"]
    assert file_server.on_disk() == before - {row["filename_disk"]} | {new["filename_disk"]}
    assert file_server.fetch(f"/assets/{row['id']}").body == image("PNG", 3, 5)


@pytest.mark.parametrize("parts", [(GOOD, GOOD), (), (("nope", "1"), GOOD), (("folder", MISSING), GOOD)])
def test_a_replacement_that_is_refused_leaves_the_file_as_it_was(
    file_server: FileServer, parts: tuple[Any, ...]
) -> None:
    row = file_server.stored(b"old", "a.txt")
    before = file_server.on_disk()
    answer = file_server.upload(*parts, path=f"/files/{row['id']}", method="PATCH")
    assert answer.status == 400
    assert file_server.on_disk() == before
    assert file_server.get(f"/files/{row['id']}").data == row
    assert file_server.fetch(f"/assets/{row['id']}").body == b"old"


def test_a_replacement_of_what_there_is_not_is_forbidden(file_server: FileServer) -> None:
    before = file_server.on_disk()
    answer = file_server.upload(GOOD, path=f"/files/{MISSING}", method="PATCH")
    assert (answer.status, answer.code) == (403, "FORBIDDEN")
    assert file_server.on_disk() == before


@pytest.mark.parametrize("many", [False, True])
def test_deleted_files_are_gone_with_their_bytes(file_server: FileServer, many: bool) -> None:
    row = file_server.stored(b"text")
    path, body = ("/files", [row["id"]]) if many else (f"/files/{row['id']}", None)
    assert row["filename_disk"] in file_server.on_disk()
    assert file_server.send("DELETE", path, body).status == 204
    assert row["filename_disk"] not in file_server.on_disk()
    assert file_server.get(f"/files/{row['id']}").code == "FORBIDDEN"
    assert file_server.fetch(f"/assets/{row['id']}").status == 403
    assert file_server.send("DELETE", path, body).status == 204


def test_files_are_listed_filtered_and_searched(file_server: FileServer) -> None:
    mark = uuid4().hex
    row = file_server.stored(image("PNG"), f"{mark}.png")
    query = f"/files?filter[id][_eq]={row['id']}&fields=filename_disk,type,width,height"
    assert file_server.get(query).data == [
        {"filename_disk": f"{row['id']}.png", "type": "image/png", "width": 80, "height": 40}
    ]
    assert file_server.send("SEARCH", "/files", {"query": {"search": mark, "fields": ["id"]}}).data == [
        {"id": row["id"]}
    ]
    assert file_server.get(f"/files/{row['id']}?fields=uploaded_by.email").data == {
        "uploaded_by": {"email": "admin@example.com"}
    }


def test_a_file_without_bytes_is_described_with_json(file_server: FileServer) -> None:
    answer = file_server.post(
        "/files", {"type": "video/x", "filename_download": "clip", "embed": "https://example.com/1"}
    )
    assert (answer.status, answer.data["filename_disk"], answer.data["storage"]) == (200, None, "local")
    assert file_server.fetch(f"/assets/{answer.data['id']}").status == 403


@pytest.mark.parametrize(
    ("content_type", "raw", "status"),
    [
        ("application/json", b"{}", 400), ("application/json", b"[]", 400), ("application/json", b'{"type": 5, "filename_download": "x"}', 400),
        ("application/json", b"", 400), ("image/png", b"\x89PNG", 415), ("text/plain", b"x", 415),
        ("multipart/form-data", b"x", 400), ("multipart/form-data; boundary=", b"x", 400),
        (f"multipart/form-data; boundary={'b' * 300}", b"x", 400), (MULTIPART["Content-Type"], b"", 400),
        (MULTIPART["Content-Type"], b"no form at all", 400), (MULTIPART["Content-Type"], form(GOOD)[:-20], 400),
        (MULTIPART["Content-Type"], form(GOOD).replace(b'name="file"; ', b""), 400),
        (MULTIPART["Content-Type"], form(GOOD).replace(b"Content-Disposition", b"X"), 400),
        (MULTIPART["Content-Type"], form(GOOD).replace(b"good.txt", b"\xff\xfe.txt"), 400),
        (MULTIPART["Content-Type"], form(GOOD).replace(b"good.txt", b"x" * 9000), 400),
        (MULTIPART["Content-Type"], form(("title", "t"), GOOD).replace(b"\r\n\r\nt\r\n", b"\r\n\r\n\xff\r\n"), 400),
    ],
)  # fmt: skip
def test_a_body_that_is_no_form_and_no_json_is_refused(
    file_server: FileServer, content_type: str, raw: bytes, status: int
) -> None:
    before = file_server.on_disk()
    answer = file_server.send("POST", "/files", raw=raw, headers={"Content-Type": content_type})
    assert answer.status == status, answer.body
    assert answer.code in {"INVALID_PAYLOAD", "UNSUPPORTED_MEDIA_TYPE"}
    assert file_server.on_disk() == before


@pytest.mark.parametrize("token", [None, "wrong"])
def test_who_may_not_upload_is_told_before_the_bytes_are_stored(file_server: FileServer, token: str | None) -> None:
    before = file_server.on_disk()
    outsider = FileServer(file_server.port, token, file_server.folder)
    assert outsider.upload(GOOD).status == (403 if token is None else 401)
    row = file_server.stored(b"text")
    assert outsider.fetch(f"/assets/{row['id']}").status == (403 if token is None else 401)
    assert outsider.send("DELETE", f"/files/{row['id']}").status == (403 if token is None else 401)
    assert file_server.on_disk() == before | {row["filename_disk"]}


def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind(file_server: FileServer) -> None:
    before, rows = file_server.on_disk(), len(file_server.get("/files?limit=-1&fields=id").data)
    body = form(GOOD, File(b"x" * 200_000, "half.bin"))
    head = (
        f"POST /files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {file_server.token}\r\n"
        f"Content-Type: {MULTIPART['Content-Type']}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", file_server.port), timeout=20) as client:
        client.sendall(head.encode() + body[:100_000])
        while not any(name.endswith(".partial") for name in file_server.on_disk()):
            pass  # until the server has begun to store it
    while file_server.on_disk() != before:
        pass  # the server notices that nobody is there; the test's time limit is the suite's
    assert len(file_server.get("/files?limit=-1&fields=id").data) == rows


def test_twenty_uploads_at_once_are_twenty_files(file_server: FileServer) -> None:
    from concurrent.futures import ThreadPoolExecutor

    contents = [f"content {number} ".encode() * 5000 for number in range(20)]
    with ThreadPoolExecutor(10) as pool:
        rows = list(pool.map(file_server.stored, contents))
    assert len({row["id"] for row in rows}) == 20
    for row, content in zip(rows, contents, strict=True):
        assert (
            hashlib.sha256(file_server.fetch(f"/assets/{row['id']}").body).digest() == hashlib.sha256(content).digest()
        )


def test_the_reference_names_the_routes_of_files(file_server: FileServer) -> None:
    paths = json.loads(file_server.get("/openapi.json").body)["paths"]
    assert "multipart/form-data" in paths["/files"]["post"]["requestBody"]["content"]
    assert {"/files/{id}", "/assets/{id}", "/folders", "/folders/{id}"} <= set(paths)
