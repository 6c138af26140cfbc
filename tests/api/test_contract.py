"""Directus's contract, exchange by exchange: what is asked, and all of what the answer has that a client can rely on.

`ANY` is what differs from run to run; an error is its status and code, with the details that it must have. Numbers where
the contract has texts on PostgreSQL, and refusals where it ignores, are in docs/directus.md.
"""

from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import ANY
from uuid import uuid4

import pytest

from .conftest import Server, collection

KEY = {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}}
NOBODY = "00000000-0000-4000-8000-000000000000"
READER = "contract-reader"


@dataclass(frozen=True)
class Exchange:
    """What is sent, and what has to come back. data: of a success. details: of an error's extensions."""

    method: str
    path: str
    body: Any = None
    status: int = 200
    data: Any = None
    code: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    token: str | None = "admin-token"

    def difference(self, server: Server) -> Any:
        """None where the answer is what it has to be."""
        answer = server.acting_as(self.token).send(self.method, self.path, self.body)
        if answer.status != self.status:
            return self.method, self.path, self.body, answer.status, answer.body[:300]
        if self.code is not None:
            (error,) = answer.json["errors"]
            said, wanted = error["extensions"], {"code": self.code, **self.details}
            return (
                None
                if {name: said[name] for name in wanted if name in said} == wanted
                else (self.path, self.body, error)
            )
        if self.status == 204:
            return None if answer.body == "" else (self.path, answer.body)
        return None if answer.json == {"data": self.data} else (self.method, self.path, self.body, answer.json)


def get(path: str, data: Any) -> Exchange:
    return Exchange("GET", path, data=data)


def post(path: str, body: Any, data: Any) -> Exchange:
    return Exchange("POST", path, body, data=data)


def patch(path: str, body: Any, data: Any) -> Exchange:
    return Exchange("PATCH", path, body, data=data)


def refused(method: str, path: str, body: Any, status: int, code: str, /, **details: Any) -> Exchange:
    return Exchange(method, path, body, status, code=code, details=details)


FORBIDDEN = (403, "FORBIDDEN")
QUERY = (400, "INVALID_QUERY")
PAYLOAD = (400, "INVALID_PAYLOAD")


@pytest.fixture
def names(server: Server) -> dict[str, str]:
    """Books with an author and genres; a page of which there is one; a reader who may see what is out."""
    end = uuid4().hex[:6]
    b, w, g, j, page = (f"{name}_{end}" for name in ("books", "writers", "genres", "books_genres", "page"))
    plain = [("title", "string"), ("views", "integer"), ("out", "dateTime"), ("writer", "integer")]
    state = {"field": "state", "type": "string", "schema": {"default_value": "draft"}}
    alias = {"type": "alias", "schema": None}
    fields = {
        w: [
            KEY,
            {"field": "name", "type": "string"},
            {"field": "age", "type": "integer", "schema": {"default_value": 18}},
            {"field": "books", **alias, "meta": {"special": ["o2m"]}},
        ],
        b: [
            KEY,
            *({"field": name, "type": kind} for name, kind in plain),
            state,
            {"field": "genres", **alias, "meta": {"special": ["m2m"]}},
        ],
        g: [KEY, {"field": "name", "type": "string"}],
        j: [KEY, {"field": "book", "type": "integer"}, {"field": "genre", "type": "integer"}],
        page: [KEY, {"field": "title", "type": "string", "schema": {"default_value": "untitled"}}],
    }
    new = [
        {"collection": name, "schema": {}, "meta": {"singleton": name == page}, "fields": own}
        for name, own in fields.items()
    ]
    assert server.post("/collections", new).status == 200
    for many, one, meta, on_delete in (
        ((b, "writer"), w, {"one_field": "books"}, "SET NULL"),
        ((j, "book"), b, {"one_field": "genres", "junction_field": "genre"}, "CASCADE"),
        ((j, "genre"), g, {"junction_field": "book"}, "CASCADE"),
    ):
        relation = {"collection": many[0], "field": many[1], "related_collection": one, "meta": meta}
        assert server.post("/relations", {**relation, "schema": {"on_delete": on_delete}}).status == 200
    token = f"{READER}-{end}"
    role, policy = (server.post(path, {"name": end}).data["id"] for path in ("/roles", "/policies"))
    server.post("/access", {"role": role, "policy": policy})
    user = server.post("/users", {"email": f"{end}@example.com", "password": end, "role": role, "token": token}).data
    return {"b": b, "w": w, "g": g, "j": j, "page": page, "token": token, "role": role, "policy": policy} | {
        "user": user["id"]
    }


def differences(server: Server, exchanges: list[Exchange]) -> list[Any]:
    return [found for exchange in exchanges if (found := exchange.difference(server)) is not None]


def book(key: int, title: str, state: str = "draft", **more: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {"views": None, "out": None, "writer": None, "genres": []}
    return {"id": key, "title": title, "state": state, **empty, **more}


def items(b: str, w: str) -> list[Exchange]:
    """Writing and reading, one by one and many at once."""
    first = book(1, "First", "out", views=10, out="2024-02-29T12:30:15", writer=1)
    second = book(2, "Second", views=20, out="2024-12-31T23:59:59", writer=1)
    third = book(3, "Third", "out", writer=2)
    sent = [{name: value for name, value in each.items() if name not in {"id", "genres"}} for each in (first, second)]
    return [
        post(f"/items/{w}", {"name": "Ann", "age": 30}, {"id": 1, "name": "Ann", "age": 30, "books": []}),
        post(
            f"/items/{w}?fields=id,age", [{"name": "Bob", "age": 40}, {"name": "Cid"}],
            [{"id": 2, "age": 40}, {"id": 3, "age": 18}],
        ),
        post(f"/items/{b}", [*sent, {"title": "Third", "state": "out", "writer": 2}], [first, second, third]),
        get(f"/items/{b}", [first, second, third]),
        get(f"/items/{b}/1", first),
        refused("GET", f"/items/{b}/999", None, *FORBIDDEN),
        refused("GET", f"/items/{b}/abc", None, *FORBIDDEN),
        patch(f"/items/{b}/2", {"views": 21}, {**second, "views": 21}),
        patch(f"/items/{b}/2", {}, {**second, "views": 21}),
        patch(
            f"/items/{b}?fields=id,views", {"keys": [1, 2], "data": {"views": 5}},
            [{"id": 1, "views": 5}, {"id": 2, "views": 5}],
        ),
        patch(
            f"/items/{b}?fields=id,state",
            {"query": {"filter": {"title": {"_eq": "Third"}}}, "data": {"state": "gone"}}, [{"id": 3, "state": "gone"}],
        ),
        patch(
            f"/items/{b}?fields=id,views", [{"id": 1, "views": 10}, {"id": 2, "views": 20}],
            [{"id": 1, "views": 10}, {"id": 2, "views": 20}],
        ),
        Exchange("PATCH", f"/items/{b}/999", {"views": 1}, 204),
        Exchange("DELETE", f"/items/{w}/999", None, 204),
        Exchange("DELETE", f"/items/{b}", [], 204),
        post(f"/items/{b}", [], []),
        refused(
            "POST", f"/items/{b}", {"title": "x", "writer": 999}, 400, "INVALID_FOREIGN_KEY",
            collection=b, field="writer", value=999,
        ),
        refused("POST", f"/items/{b}", {"title": "x", "nowhere": 1}, *PAYLOAD, reason=ANY),
        refused("GET", f"/items/{b}?fields=nowhere", None, *FORBIDDEN, reason=ANY),
        refused("GET", f"/items/{b}?limit=-5", None, *QUERY, reason=ANY),
        refused("PUT", f"/items/{b}/1", {"title": "x"}, 404, "ROUTE_NOT_FOUND", path=f"/items/{b}/1"),
        refused("GET", "/items/directus_users", None, *FORBIDDEN),
    ]  # fmt: skip


def queries(b: str, w: str) -> list[Exchange]:
    """The query language, over what `items` has left: two books of Ann's, and a third of Bob's that is gone."""
    either = '{"_or":[{"views":{"_gt":15}},{"writer":{"name":{"_eq":"Bob"}}}]}'
    deep = '{"books":{"_limit":1,"_sort":["-views"],"_filter":{"views":{"_gt":1}}}}'
    alias = "alias[new]=books&alias[old]=books&fields=new.title,old.title"
    apart = "deep[new][_filter][state][_eq]=out&deep[old][_filter][state][_neq]=out"
    return [
        get(f"/items/{b}/1?fields=id,writer.name", {"id": 1, "writer": {"name": "Ann"}}),
        get(f"/items/{w}/1?fields=name,books.id", {"name": "Ann", "books": [{"id": 1}, {"id": 2}]}),
        get(
            f"/items/{b}/3?fields=*.*",
            book(3, "Third", "gone", writer={"id": 2, "name": "Bob", "age": 40, "books": [3]}),
        ),
        get(f"/items/{b}?fields=year(out),hour(out)&limit=1", [{"out_year": 2024, "out_hour": 12}]),
        get(f"/items/{w}?fields=id,count(books)&limit=2", [{"id": 1, "books_count": 2}, {"id": 2, "books_count": 1}]),
        get(f"/items/{b}?filter={either}&fields=id".replace('"', "%22"), [{"id": 2}, {"id": 3}]),
        get(
            f"/items/{b}?filter[writer][name][_in]=Ann,Cid&filter[views][_between][]=5&filter[views][_between][]=15"
            "&fields=id",
            [{"id": 1}],
        ),
        get(f"/items/{w}?filter[books][_none][state][_eq]=out&fields=id", [{"id": 2}, {"id": 3}]),
        get(f"/items/{b}?filter[year(out)][_eq]=2024&fields=id", [{"id": 1}, {"id": 2}]),
        get(f"/items/{b}?filter[out][_null]=false&fields=id", [{"id": 1}, {"id": 2}]),
        refused("GET", f"/items/{b}?filter[views][_foo]=1", None, *QUERY, reason=ANY),
        refused("GET", f"/items/{b}?filter[title][_regex]=a", None, *QUERY),
        refused("GET", f"/items/{b}?filter[views][_contains]=1", None, *QUERY),
        refused("GET", f"/items/{b}?filter[nowhere][_eq]=1", None, *FORBIDDEN),
        refused("GET", f"/items/{b}?filter=%7Bbad", None, *QUERY, reason=ANY),
        refused("GET", f"/items/{b}?fields=" + ".".join(["writer.books"] * 6), None, *QUERY),
        refused("GET", f"/items/{b}?sort=nowhere", None, *FORBIDDEN),
        get(f"/items/{b}?sort=-writer.name,-views&fields=id&limit=2&page=1", [{"id": 3}, {"id": 2}]),
        get(f"/items/{b}?sort=id&fields=id&limit=1&page=2&offset=0", [{"id": 2}]),
        get(f"/items/{b}?search=fir&fields=id", [{"id": 1}]),
        get(f"/items/{b}?limit=0", []),
        get(f"/items/{w}/1?fields=name,books.title&deep={deep}".replace('"', "%22"),
            {"name": "Ann", "books": [{"title": "Second"}]}),
        get(f"/items/{w}/1?{alias}&{apart}", {"new": [{"title": "First"}], "old": [{"title": "Second"}]}),
        get(f"/items/{b}?aggregate[count]=*", [{"count": 3}]),
        get(f"/items/{b}?aggregate[count]=id,views&aggregate[max]=views", [
            {"count": {"id": 3, "views": 2}, "max": {"views": 20}},
        ]),
        get(f"/items/{b}?aggregate[sum]=views&groupBy[]=state&sort=state", [
            {"state": "draft", "sum": {"views": 20}}, {"state": "gone", "sum": {"views": None}},
            {"state": "out", "sum": {"views": 10}},
        ]),
        Exchange("SEARCH", f"/items/{b}", {"query": {"filter": {"views": {"_gt": 5}}, "fields": ["id"], "sort": ["-views"]}},
                 data=[{"id": 2}, {"id": 1}]),
        Exchange("SEARCH", f"/items/{b}", {"keys": [3], "query": {"fields": ["id"]}}, data=[{"id": 3}]),
    ]  # fmt: skip


def nested(b: str, w: str, page: str) -> list[Exchange]:
    """Writes of items within items; and the item of which there is one."""
    delta = {"create": [{"title": "Made"}], "update": [{"id": 1, "title": "First!"}], "delete": [2]}
    tagged = {"title": "Tagged", "genres": [{"genre": {"name": "red"}}, {"genre": {"name": "blue"}}]}
    changed = {
        "create": [{"genre": {"name": "green"}}], "update": [{"id": 1, "genre": {"id": 1, "name": "RED"}}], "delete": [2],
    }  # fmt: skip
    new = "?fields=title,writer.name,writer.books"
    return [
        post(f"/items/{b}{new}", {"title": "New", "writer": {"name": "Dora"}},
             {"title": "New", "writer": {"name": "Dora", "books": [ANY]}}),
        patch(f"/items/{w}/1?fields=books.title", {"books": delta}, {"books": [{"title": "First!"}, {"title": "Made"}]}),
        get(f"/items/{b}/2?fields=writer", {"writer": None}),
        patch(f"/items/{w}/1?fields=books.title", {"books": [1, {"title": "Only"}]},
              {"books": [{"title": "First!"}, {"title": "Only"}]}),
        post(f"/items/{b}?fields=title,genres.id,genres.genre", tagged,
             {"title": "Tagged", "genres": [{"id": 1, "genre": 1}, {"id": 2, "genre": 2}]}),
        patch(f"/items/{b}?fields=genres.id,genres.genre.name",
              {"query": {"filter": {"title": {"_eq": "Tagged"}}}, "data": {"genres": changed}},
              [{"genres": [{"id": 1, "genre": {"name": "RED"}}, {"id": 3, "genre": {"name": "green"}}]}]),
        get(f"/items/{page}", {"id": None, "title": "untitled"}),
        patch(f"/items/{page}", {"title": "Home"}, {"id": 1, "title": "Home"}),
        get(f"/items/{page}", {"id": 1, "title": "Home"}),
    ]  # fmt: skip


def rules(names: dict[str, str]) -> list[Exchange]:
    """What a policy lets see and write."""
    b, w, token, policy = names["b"], names["w"], names["token"], names["policy"]
    reading: dict[str, Any] = {"fields": ["id", "title", "state"], "permissions": {"state": {"_eq": "out"}}}
    creating: dict[str, Any] = {
        "fields": ["*"], "permissions": {}, "presets": {"state": "draft"},
        "validation": {"title": {"_nempty": True}, "views": {"_gt": 10}},
    }  # fmt: skip
    unset: dict[str, Any] = {"id": ANY, "policy": policy, "collection": b, "validation": None, "presets": None}

    def asked(method: str, path: str, body: Any = None, status: int = 200, **more: Any) -> Exchange:
        return Exchange(method, path, body, status, **more, token=token)

    return [
        post("/permissions", {"policy": policy, "collection": b, "action": "read", **reading},
             {**unset, "action": "read", **reading}),
        asked("GET", f"/items/{b}", data=[{"id": 1, "title": "First!", "state": "out"}]),
        asked("GET", f"/items/{b}?fields=views", None, 403, code="FORBIDDEN"),
        asked("GET", f"/items/{b}?filter[views][_gt]=1", None, 403, code="FORBIDDEN"),
        asked("GET", f"/items/{b}/2", None, 403, code="FORBIDDEN"),
        asked("GET", f"/items/{w}", None, 403, code="FORBIDDEN"),
        asked("POST", f"/items/{b}", {"title": "no"}, 403, code="FORBIDDEN"),
        post("/permissions", {"policy": policy, "collection": b, "action": "create", **creating},
             {**unset, "action": "create", **creating}),
        asked("POST", f"/items/{b}", {"title": "ok", "views": 3}, 400, code="FAILED_VALIDATION",
              details={"field": "views", "type": "gt", "valid": 10, "path": []}),
        asked("POST", f"/items/{b}", {"title": "ok", "views": 30}, 204),
        asked("GET", "/permissions/me", data={b: {
            "read": {"access": "partial", "fields": ANY}, "create": {"access": "full", "fields": ["*"], "presets": ANY},
            **{action: {"access": "none"} for action in ("update", "delete", "share")},
        }}),
        asked("GET", f"/permissions/me/{b}/1",
              data={action: {"access": False} for action in ("update", "delete", "share")}),
        asked("GET", "/policies/me/globals", data={"app_access": False, "admin_access": False, "enforce_tfa": False}),
        asked("GET", "/roles/me?fields=id,name", data=[{"id": names["role"]}]),
        asked("GET", "/users/me?fields=id,email", data={"id": names["user"]}),
        asked("GET", "/users", None, 403, code="FORBIDDEN"),
        asked("POST", "/collections", {"collection": "x"}, 403, code="FORBIDDEN"),
    ]  # fmt: skip


def test_items_are_written_and_asked_for_as_the_contract_says(server: Server, names: dict[str, str]) -> None:
    b, w = names["b"], names["w"]
    exchanges = [*items(b, w), *queries(b, w), *nested(b, w, names["page"]), *rules(names)]
    assert differences(server, exchanges) == []


def test_the_schema_is_refused_as_the_contract_says(server: Server, articles: str) -> None:
    b = articles
    exchanges = [
        refused("POST", "/collections", {"collection": b, "schema": {}}, *PAYLOAD, reason=ANY),
        refused("POST", "/collections", {"collection": "directus_x", "schema": {}}, *PAYLOAD, reason=ANY),
        refused("GET", "/collections/nowhere", None, *FORBIDDEN),
        refused("POST", f"/fields/{b}", {"field": "views", "type": "integer"}, *PAYLOAD, reason=ANY),
        refused("GET", f"/fields/{b}/nowhere", None, *FORBIDDEN),
        refused("GET", f"/relations/{b}/views", None, *FORBIDDEN),
        refused("POST", f"/utils/sort/{b}", {"item": 1, "to": 2}, *PAYLOAD, reason=ANY),
        refused("POST", "/schema/apply", {"hash": "wrong", "diff": {"collections": [], "fields": [], "relations": []}},
                *PAYLOAD, reason=ANY),
    ]  # fmt: skip
    assert differences(server, exchanges) == []


def test_who_is_not_let_in_hears_what_the_contract_says(server: Server) -> None:
    def asked(method: str, path: str, body: Any, status: int, code: str) -> Exchange:
        return Exchange(method, path, body, status, code=code, token=None)

    token = f"{READER}-{uuid4().hex[:6]}"
    user = server.post("/users", {"email": f"{token}@example.com", "password": token, "token": token}).data["id"]
    credentials, me = (401, "INVALID_CREDENTIALS"), f"/users/me?access_token={token}"
    exchanges = [
        Exchange("GET", me, data={"id": user}, token=None),
        refused("GET", me, None, *PAYLOAD, reason=ANY),
        asked("GET", "/users/me", None, *credentials),
        replace(asked("GET", "/users/me", None, *credentials), token="no-such-token"),
        asked("POST", "/auth/login", {"email": "nobody@example.com", "password": "x"}, *credentials),
        asked("POST", "/auth/login", {"email": "nobody@example.com"}, *PAYLOAD),
        refused("POST", "/auth/login", {"email": "nobody", "password": "x"}, *PAYLOAD, reason=ANY),
        asked("POST", "/auth/refresh", {"refresh_token": "unknown", "mode": "json"}, *credentials),
        asked("POST", "/auth/refresh", {"mode": "json"}, *PAYLOAD),
        asked("POST", "/auth/password/reset", {"token": "bad", "password": "x"}, 403, "INVALID_TOKEN"),
        Exchange("POST", "/auth/password/request", {"email": "nobody@example.com"}, 204, token=None),
        Exchange("GET", f"/flows/trigger/{NOBODY}", None, 403, code="FORBIDDEN", token=None),
        refused("GET", f"/assets/{NOBODY}", None, *FORBIDDEN),
        refused("GET", "/users/not-a-uuid", None, *FORBIDDEN),
        refused("GET", "/activity/999999999", None, *FORBIDDEN),
        refused("GET", "/nowhere", None, 404, "ROUTE_NOT_FOUND", path="/nowhere"),
    ]
    assert differences(server, exchanges) == []


def test_a_version_is_saved_compared_and_promoted_as_the_contract_says(server: Server) -> None:
    name = f"drafts_{uuid4().hex[:6]}"
    assert server.post("/collections", collection(name, meta={"versioning": True})).status == 200
    server.post(f"/items/{name}", {"title": "First"})
    made = server.post("/versions", {"key": "draft", "name": "Draft", "collection": name, "item": "1"}).data
    assert made == {
        "id": ANY, "key": "draft", "name": "Draft", "collection": name, "item": "1", "hash": ANY, "date_created": ANY,
        "date_updated": ANY, "user_created": ANY, "user_updated": None, "delta": None,
    }  # fmt: skip
    path = f"/versions/{made['id']}"
    item = {"id": 1, "title": "First", "views": None, "tags": None, "published": None, "slug": None}
    compared = {"outdated": False, "mainHash": made["hash"], "current": {"id": "1", "title": "New"}, "main": item}
    exchanges = [
        post(f"{path}/save", {"title": "New"}, {**item, "title": "New", "_user": ANY, "_date": ANY}),
        get(f"/items/{name}/1?version=draft&fields=id,title", {"id": 1, "title": "New"}),
        get(f"{path}/compare", compared),
        post(f"{path}/promote", {"mainHash": made["hash"]}, "1"),
        get(f"/items/{name}/1?fields=title", {"title": "New"}),
    ]
    assert made["hash"] is not None
    assert differences(server, exchanges) == []
