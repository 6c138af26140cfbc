"""`/items`: the wire shapes of reading and writing, on every database."""

from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from .conftest import Server, collection


@pytest.fixture
def three(server: Server, articles: str) -> str:
    """Three articles: First (10 views), Second (20), Third (null)."""
    rows = [{"title": "First", "views": 10, "published": True}, {"title": "Second", "views": 20}, {"title": "Third"}]
    assert server.post(f"/items/{articles}", rows).status == 200
    return articles


def test_a_created_item_is_answered_as_it_is_now(server: Server, articles: str) -> None:
    answer = server.post(f"/items/{articles}", {"title": "First", "views": 3, "tags": ["a", {"b": 1}]})
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.json == {
        "data": {"id": 1, "title": "First", "views": 3, "tags": ["a", {"b": 1}], "published": None, "slug": None}
    }


def test_a_list_of_items_is_answered_as_a_list(server: Server, articles: str) -> None:
    answer = server.post(f"/items/{articles}?fields=id,title", [{"title": "One"}, {"title": "Two"}])
    assert answer.data == [{"id": 1, "title": "One"}, {"id": 2, "title": "Two"}]


def test_an_empty_list_creates_nothing(server: Server, articles: str) -> None:
    assert server.post(f"/items/{articles}", []).json == {"data": []}


def test_one_item_is_read_by_its_key(server: Server, three: str) -> None:
    assert server.get(f"/items/{three}/2?fields=id,title,views").data == {"id": 2, "title": "Second", "views": 20}


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("", [1, 2, 3]),
        ("limit=2", [1, 2]),
        ("limit=2&offset=1", [2, 3]),
        ("limit=2&page=2", [3]),
        ("limit=0", []),
        ("sort=-title", [3, 2, 1]),
        ("filter[views][_gt]=10", [2]),
        ('filter={"views":{"_null":true}}', [3]),
        ('filter={"_or":[{"title":{"_eq":"First"}},{"views":{"_eq":20}}]}', [1, 2]),
        ("filter[title][_in]=First,Third", [1, 3]),
        ("filter[title][_in][]=First", [1]),
        ("search=seco", [2]),
    ],
)
def test_a_list_is_filtered_sorted_and_cut(server: Server, three: str, query: str, keys: list[int]) -> None:
    answer = server.get(f"/items/{three}?fields[]=id&{quote(query, safe='=&[],')}")
    assert answer.data == [{"id": key} for key in keys]


def test_a_search_is_a_read_whose_query_is_in_the_body(server: Server, three: str) -> None:
    query = {"filter": {"views": {"_gt": 5}}, "fields": ["id"], "sort": ["-views"]}
    assert server.send("SEARCH", f"/items/{three}", {"query": query}).data == [{"id": 2}, {"id": 1}]


def test_a_search_by_keys_reads_these(server: Server, three: str) -> None:
    assert {item["id"] for item in server.send("SEARCH", f"/items/{three}", {"keys": [3, 1]}).data} == {1, 3}


def test_meta_counts_what_there_is_and_what_matches(server: Server, three: str) -> None:
    answer = server.get(f"/items/{three}?meta=*&limit=1&filter[views][_nnull]=true&fields=id")
    assert answer.json == {"meta": {"total_count": 3, "filter_count": 2}, "data": [{"id": 1}]}


def test_one_item_is_updated(server: Server, three: str) -> None:
    assert server.send("PATCH", f"/items/{three}/2?fields=id,views", {"views": 21}).data == {"id": 2, "views": 21}


def test_a_singleton_gets_no_second_item(server: Server) -> None:
    name = f"about_{uuid4().hex[:8]}"
    made = {
        "collection": name,
        "schema": {},
        "meta": {"singleton": True},
        "fields": [{"field": "title", "type": "string"}],
    }
    assert server.send("POST", "/collections", made).status == 200
    assert server.send("PATCH", f"/items/{name}", {"title": "Home"}).data["id"] == 1
    answer = server.send("POST", f"/items/{name}", {"title": "House"})
    assert (answer.status, answer.code) == (404, "ROUTE_NOT_FOUND")
    assert server.get(f"/items/{name}").data == {"id": 1, "title": "Home"}


def test_an_update_with_nothing_answers_the_item(server: Server, three: str) -> None:
    assert server.send("PATCH", f"/items/{three}/2?fields=id", {}).data == {"id": 2}


def test_an_update_of_an_item_that_does_not_exist_does_nothing(server: Server, three: str) -> None:
    answer = server.send("PATCH", f"/items/{three}/999", {"views": 1})
    assert (answer.status, answer.body) == (204, "")
    assert len(server.get(f"/items/{three}").data) == 3


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        ({"keys": [1, 2], "data": {"views": 5}}, [{"id": 1, "views": 5}, {"id": 2, "views": 5}]),
        ({"query": {"filter": {"title": {"_eq": "Third"}}}, "data": {"views": 7}}, [{"id": 3, "views": 7}]),
        ([{"id": 1, "views": 1}, {"id": 2, "views": 2}], [{"id": 1, "views": 1}, {"id": 2, "views": 2}]),
    ],
)
def test_many_items_are_updated(server: Server, three: str, body: Any, changed: list[dict[str, Any]]) -> None:
    assert server.send("PATCH", f"/items/{three}?fields=id,views", body).data == changed


@pytest.mark.parametrize(
    ("path", "body"),
    [("/2", None), ("", [2]), ("", {"keys": [2]}), ("", {"query": {"filter": {"title": {"_eq": "Second"}}}})],
)
def test_items_are_deleted(server: Server, three: str, path: str, body: Any) -> None:
    answer = server.send("DELETE", f"/items/{three}{path}", body)
    assert (answer.status, answer.body) == (204, "")
    assert [item["id"] for item in server.get(f"/items/{three}").data] == [1, 3]


def test_deleting_nothing_is_done_at_once(server: Server, three: str) -> None:
    assert server.send("DELETE", f"/items/{three}", []).status == 204
    assert server.send("DELETE", f"/items/{three}/999").status == 204


def test_a_relation_is_read_through(server: Server, articles: str) -> None:
    people = f"people_{articles}"
    server.post("/collections", {"collection": people, "schema": {}, "meta": {}, "fields": [
        {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}},
        {"field": "name", "type": "string"},
    ]})  # fmt: skip
    server.post(f"/fields/{articles}", {"field": "author", "type": "integer"})
    relation = {"collection": articles, "field": "author", "related_collection": people}
    assert server.post("/relations", relation).status == 200
    server.post(f"/items/{people}", {"name": "Ann"})
    item = server.post(f"/items/{articles}?fields=title,author.name", {"title": "x", "author": 1})
    assert item.data == {"title": "x", "author": {"name": "Ann"}}
    missing = server.post(f"/items/{articles}", {"title": "x", "author": 99})
    assert (missing.status, missing.code) == (400, "INVALID_FOREIGN_KEY")


def test_a_head_request_is_a_get_without_the_body(server: Server, three: str) -> None:
    answer = server.send("HEAD", f"/items/{three}")
    assert (answer.status, answer.body) == (200, "")
    assert int(answer.headers["content-length"]) > 50


def test_a_slash_at_the_end_makes_no_difference(server: Server, three: str) -> None:
    assert server.get(f"/items/{three}/").data == server.get(f"/items/{three}").data


def test_uuid_keys_are_made_by_the_server(server: Server, articles: str) -> None:
    key = {"field": "id", "type": "uuid", "meta": {"special": ["uuid"]}, "schema": {"is_primary_key": True}}
    name = f"uuids_{articles}"
    server.post("/collections", {**collection(name), "fields": [key, {"field": "title", "type": "string"}]})
    made = server.post(f"/items/{name}", {"title": "x"}).data
    assert len(made["id"]) == 36
    assert server.get(f"/items/{name}/{made['id']}").data == made


def test_an_item_that_is_known_already_is_not_sent_again(server: Server, articles: str) -> None:
    key = server.post(f"/items/{articles}", {"title": "first"}).data["id"]
    first = server.get(f"/items/{articles}/{key}")
    assert first.headers["cache-control"] == "no-cache"
    assert {"Origin", "Cache-Control"} <= set(first.headers["vary"].split(", "))
    tag = first.headers["etag"]
    again = server.send("GET", f"/items/{articles}/{key}", headers={"If-None-Match": f'"other", {tag}'})
    assert (again.status, again.body, again.headers["etag"]) == (304, "", tag)
    server.send("PATCH", f"/items/{articles}/{key}", {"title": "second"})
    changed = server.send("GET", f"/items/{articles}/{key}", headers={"If-None-Match": tag})
    assert (changed.status, changed.data["title"]) == (200, "second")
    assert "etag" not in server.get(f"/items/{articles}/999").headers
