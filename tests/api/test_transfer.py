"""Items from files and to files: whole, or not at all; and what is wrong is told with its row."""

import json
from typing import Any

import pytest

from .conftest import Answer, Server
from .test_access import Somebody, created, permit, refused, somebody

__all__ = ["somebody"]

CSV, JSON = "text/csv", "application/json"


def send(server: Server, name: str, content: bytes | str, kind: str = CSV) -> Answer:
    raw = content.encode() if isinstance(content, str) else content
    head = f'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\nContent-Type: {kind}\r\n\r\n'
    body = head.encode() + raw + b"\r\n--x--\r\n"
    return server.send(
        "POST", f"/utils/import/{name}", raw=body, headers={"Content-Type": "multipart/form-data; boundary=x"}
    )


def rows(server: Server, name: str) -> list[tuple[Any, ...]]:
    return [(row["title"], row["views"]) for row in server.get(f"/items/{name}?sort=id&limit=-1").data]


def test_a_csv_file_makes_items_and_changes_those_whose_keys_it_has(server: Server, articles: str) -> None:
    text = '\ufefftitle,views,tags,published\nOne,1,"{""a"": [1]}",true\n"Two, ""quoted""",,,false\n'
    assert send(server, articles, text).status == 204
    assert rows(server, articles) == [("One", 1), ('Two, "quoted"', None)]
    assert [(row["tags"], row["published"]) for row in server.get(f"/items/{articles}").data] == [
        ({"a": [1]}, True),
        (None, False),
    ]
    assert send(server, articles, "id,views\n1,10\n").status == 204
    assert rows(server, articles)[0] == ("One", 10)


def test_a_json_file_is_read_item_by_item(server: Server, articles: str) -> None:
    items = [{"title": f"{number} " + "x" * 40, "views": number, "tags": ["é", "]", "}"]} for number in range(1500)]
    assert send(server, articles, json.dumps(items, ensure_ascii=False, indent=1), JSON).status == 204
    found = rows(server, articles)
    assert (len(found), found[0][1], found[-1][1]) == (1500, 0, 1499)


WRONG: tuple[tuple[str, str, bytes, int | None], ...] = (
    ("a value", CSV, b"title,views\n" + b"ok,1\n" * 700 + b"bad,many\n" + b"ok,1\n", 701),
    ("no title", CSV, b"title,views\nok,1\n,2\n", 2),
    ("an unknown field", CSV, b"title,nope\nok,1\n", 1),
    ("a cell too many", CSV, b"title,views\nok,1\nok,1,2\n", 2),
    ("a field twice", CSV, b"title,title\na,b\n", None),
    ("no names", CSV, b"", None),
    ("an open quote", CSV, b'title,views\n"open,1\n', None),
    ("not UTF-8", CSV, b"title\n\xff\xfe\n", None),
    ("a NUL character", CSV, b"title\na\x00b\n", 1),
    ("a key of another type", CSV, b"id,title\nabc,x\n", 1),
    ("JSON: a value", JSON, b'[{"title": "a"}, {"title": "b", "views": []}]', 2),
    ("JSON: no list", JSON, b'{"title": "a"}', None),
    ("JSON: no objects", JSON, b'[{"title": "a"}, 5]', 2),
    ("JSON: cut off", JSON, b'[{"title": "a"}, {"title": ', 2),
    ("JSON: no comma", JSON, b'[{"title": "a"} {"title": "b"}]', 2),
    ("JSON: a comma too many", JSON, b'[{"title": "a"},]', 2),
    ("JSON: no end", JSON, b'[{"title": "a"}', 2),
    ("JSON: NaN", JSON, b'[{"title": NaN}]', 1),
    ("JSON: deep", JSON, b'[{"title": "a", "tags": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]", 1),
)


@pytest.mark.parametrize(("kind", "raw", "row"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_a_file_with_something_wrong_changes_nothing(
    server: Server, articles: str, kind: str, raw: bytes, row: int | None
) -> None:
    answer = send(server, articles, raw, kind)
    assert answer.status == 400, answer.body
    assert answer.code in {"INVALID_PAYLOAD", "FAILED_VALIDATION"}
    assert answer.json["errors"][0]["extensions"].get("row") == row
    assert rows(server, articles) == []


def test_a_value_that_has_to_be_unique_is_told_with_its_row(server: Server, articles: str) -> None:
    answer = send(server, articles, "title,slug\na,x\nb,y\nc,x\n")
    assert (answer.code, answer.json["errors"][0]["extensions"]["row"]) == ("RECORD_NOT_UNIQUE", 3)
    assert rows(server, articles) == []


def test_only_forms_with_csv_or_json_are_imported_and_no_collection_of_the_platform(
    server: Server, articles: str
) -> None:
    assert refused(send(server, articles, "x", "image/png")) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert refused(server.post(f"/utils/import/{articles}", {"title": "x"})) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert refused(send(server, "directus_users", "email\na@b.c\n")) == (403, "FORBIDDEN")
    assert refused(send(server, "nowhere", "a\nb\n")) == (403, "FORBIDDEN")
    empty = server.send(
        "POST",
        f"/utils/import/{articles}",
        raw=b"--x--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=x"},
    )
    assert refused(empty) == (400, "INVALID_PAYLOAD")


def test_an_import_takes_the_permissions_of_its_writes(server: Server, somebody: Somebody, articles: str) -> None:
    mine = somebody.server
    assert refused(send(mine, articles, "title\na\n")) == (403, "FORBIDDEN")
    permit(server, somebody, articles, "create", fields=["title"])
    assert send(mine, articles, "title\na\n").status == 204
    assert refused(send(mine, articles, "title,views\na,1\n")) == (403, "FORBIDDEN")
    assert refused(send(mine, articles, "id,title\n1,changed\n")) == (403, "FORBIDDEN")
    assert rows(server, articles) == [("a", None)]


@pytest.mark.parametrize(
    ("form", "expected"),
    [("csv", '"title","views"\n"a",1\n'), ("json", [{"title": "a", "views": 1}]), ("yaml", "- title: a\n  views: 1\n")],
)
def test_an_export_is_a_file_and_its_owner_hears_of_it(server: Server, articles: str, form: str, expected: Any) -> None:
    created(server, f"/items/{articles}", [{"title": "a", "views": 1}, {"title": "b", "views": 2}])
    query = {"fields": ["title", "views"], "filter": {"views": {"_lt": 2}}}
    body = {"format": form, "query": query, "file": {"title": f"of {articles}"}}
    assert server.post(f"/utils/export/{articles}", body).status == 204
    (file,) = server.get(f"/files?filter[title][_eq]=of%20{articles}").data
    content = server.get(f"/assets/{file['id']}")
    assert (content.json if form == "json" else content.body) == expected
    told = server.get(f"/notifications?filter[item][_eq]={file['id']}").data
    assert [(entry["recipient"], entry["collection"]) for entry in told] == [(file["uploaded_by"], "directus_files")]


def test_an_export_takes_a_form_that_there_is_and_what_its_caller_may_read(
    server: Server, somebody: Somebody, articles: str
) -> None:
    path = f"/utils/export/{articles}"
    assert refused(server.post(path, {"format": "pdf"})) == (400, "INVALID_PAYLOAD")
    assert refused(server.post(path, {"format": "csv", "query": "x"})) == (400, "INVALID_PAYLOAD")
    assert refused(server.post(path, {"format": "csv", "query": {"fields": ["nope"]}})) == (403, "FORBIDDEN")
    assert refused(somebody.server.post(path, {"format": "csv"})) == (403, "FORBIDDEN")
    permit(server, somebody, articles)
    assert refused(somebody.server.post(path, {"format": "csv"})) == (403, "FORBIDDEN")
