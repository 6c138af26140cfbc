"""The operations, through a flow."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from datastead.outgoing import Guard
from tests.flows.conftest import House, open_house, settings


async def outcome(house: House, operation: str, options: dict[str, Any], body: Any = None) -> Any:
    """What an operation gives: `{"resolve": …}` or `{"reject": …}`."""
    branches = [
        {"id": "resolve", "operation": "transform", "options": {"json": {"resolve": "{{ x }}"}}},
        {"id": "reject", "operation": "transform", "options": {"json": {"reject": "{{ x }}"}}},
    ]
    first = {"id": "x", "operation": operation, "options": options, "resolve": "resolve", "reject": "reject"}
    hook = {"name": "o", "trigger": "webhook", "options": {"method": "POST"}, "operations": [first, *branches]}
    return await house.call(await house.apply(hook), body)


async def articles(house: House) -> list[dict[str, Any]]:
    return [{"id": item["id"], "title": item["title"]} for item in await house.items("articles").read()]


async def test_items_are_created(house: House) -> None:
    options = {"collection": "articles", "payload": {"title": "{{ $trigger.body.t }}"}}
    assert await outcome(house, "item-create", options, {"t": 'a"b\n'}) == {"resolve": [1]}
    options = {"collection": "articles", "payload": "{{ $trigger.body }}"}
    assert await outcome(house, "item-create", options, [{"title": "c"}, {"title": "d"}]) == {"resolve": [2, 3]}
    assert await outcome(house, "item-create", {"collection": "articles", "payload": '{"title": "e"}'}) == {
        "resolve": [4]
    }
    assert await outcome(house, "item-create", {"collection": "articles"}) == {"resolve": None}
    assert [found["title"] for found in await articles(house)] == ['a"b\n', "c", "d", "e"]


async def test_items_are_read(house: House) -> None:
    await house.items("articles").create_many([{"title": "a"}, {"title": "b"}])
    fields = {"fields": ["id"]}
    assert await outcome(house, "item-read", {"collection": "articles", "key": 1, "query": fields}) == {
        "resolve": {"id": 1}
    }
    found = await outcome(house, "item-read", {"collection": "articles", "key": "[1, 2]", "query": fields})
    assert found == {"resolve": [{"id": 1}, {"id": 2}]}
    query = '{"filter": {"title": {"_eq": "b"}}, "fields": ["title"]}'
    assert await outcome(house, "item-read", {"collection": "articles", "query": query}) == {
        "resolve": [{"title": "b"}]
    }
    assert (await outcome(house, "item-read", {"collection": "articles", "key": 9}))["reject"]["code"] == "FORBIDDEN"
    assert (await outcome(house, "item-read", {"collection": "nowhere"}))["reject"]["code"] == "FORBIDDEN"


async def test_items_are_updated(house: House) -> None:
    await house.items("articles").create_many([{"title": "a"}, {"title": "b"}, {"title": "c"}])
    change = {"collection": "articles", "payload": {"title": "x"}}
    assert await outcome(house, "item-update", {**change, "key": 1}) == {"resolve": 1}
    assert await outcome(house, "item-update", {**change, "key": [1, 2]}) == {"resolve": [1, 2]}
    by_query = {**change, "query": {"filter": {"id": {"_eq": 3}}}}
    assert await outcome(house, "item-update", by_query) == {"resolve": [3]}
    batch = {"collection": "articles", "payload": [{"id": 1, "title": "p"}, {"id": 2, "title": "q"}]}
    assert await outcome(house, "item-update", batch) == {"resolve": [1, 2]}
    assert [found["title"] for found in await articles(house)] == ["p", "q", "x"]
    for nothing in (change, {**change, "key": None}, {"collection": "articles", "key": 1}):
        assert await outcome(house, "item-update", nothing) == {"resolve": None}


async def test_items_are_deleted(house: House) -> None:
    await house.items("articles").create_many([{"title": letter} for letter in "abcd"])
    assert await outcome(house, "item-delete", {"collection": "articles", "key": 1}) == {"resolve": 1}
    assert await outcome(house, "item-delete", {"collection": "articles", "key": [2, 3]}) == {"resolve": [2, 3]}
    assert await outcome(house, "item-delete", {"collection": "articles"}) == {"resolve": None}
    query = {"filter": {"title": {"_eq": "d"}}}
    assert await outcome(house, "item-delete", {"collection": "articles", "query": query}) == {"resolve": [4]}
    assert await articles(house) == []


@pytest.mark.parametrize(
    ("operation", "options", "code"),
    [
        ("item-update", {"key": 1, "query": {}, "payload": {"title": "x"}}, "INVALID_PAYLOAD"),
        ("item-update", {"key": 1, "payload": [{"id": 1}]}, "INVALID_PAYLOAD"),
        ("item-update", {"key": 99, "payload": {"title": "x"}}, "FORBIDDEN"),
        ("item-update", {"key": 1, "payload": {"nothing": "x"}}, "INVALID_PAYLOAD"),
        ("item-delete", {"key": 1, "query": {}}, "INVALID_PAYLOAD"),
        ("item-delete", {"key": 99}, "FORBIDDEN"),
        ("item-create", {"payload": {"content": "no title"}}, "FAILED_VALIDATION"),
        ("item-create", {"payload": "{{ $trigger.body }}"}, "INVALID_PAYLOAD"),
    ],
)
async def test_what_an_item_operation_cannot_do_rejects_by_its_code(
    house: House, operation: str, options: dict[str, Any], code: str
) -> None:
    await house.items("articles").create({"title": "a"})
    found = await outcome(house, operation, {"collection": "articles", **options}, "not an item")
    assert found["reject"]["code"] == code
    assert await articles(house) == [{"id": 1, "title": "a"}]


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ({"$trigger": {"body": {"n": {"_eq": 3}}}}, True),
        ({"$trigger": {"body": {"n": {"_eq": "3"}}}}, True),
        ({"$trigger": {"body": {"n": {"_gt": 3}}}}, False),
        ({"$trigger": {"body": {"n": {"_between": [1, 3]}, "s": {"_contains": "ea"}}}}, True),
        ({"$trigger": {"body": {"n": {"_in": [1, 2]}}}}, False),
        ({"$trigger": {"body": {"n": {"_nin": [1, 2]}}}}, True),
        ({"$trigger": {"body": {"gone": {"_eq": 1}}}}, False),
        ({"$trigger": {"body": {"gone": {"_null": True}}}}, True),
        ({"$trigger": {"body": {"n": {"_nnull": True}, "s": {"_nempty": True}}}}, True),
        ({"$trigger": {"body": {"s": {"_istarts_with": "TE"}}}}, True),
        ({"$trigger": {"body": {"s": {"_starts_with": "TE"}}}}, False),
        ({"$trigger": {"body": {"s": {"_regex": "^t.a$"}}}}, True),
        ({"$trigger": {"body": {"day": {"_lt": "$NOW"}}}}, True),
        ({"$trigger": {"body": {"day": {"_gt": "$NOW(-1 year)"}}}}, False),
        ({"_or": [{"$trigger": {"body": {"n": {"_eq": 1}}}}, {"$trigger": {"body": {"s": {"_eq": "tea"}}}}]}, True),
        ({"_and": [{"$trigger": {"body": {"n": {"_eq": 3}}}}, {"$trigger": {"body": {"s": {"_neq": "tea"}}}}]}, False),
        ({"$trigger": {"body": {"list": {"1": {"_eq": "b"}}}}}, True),
        ({"$accountability": {"admin": {"_eq": True}, "user": {"_eq": "$CURRENT_USER"}}}, True),
        ({}, True),
    ],
)
async def test_a_condition_takes_the_branch(house: House, rule: dict[str, Any], holds: bool) -> None:
    body = {"n": 3, "s": "tea", "day": "2020-01-02", "list": ["a", "b"]}
    found = await outcome(house, "condition", {"filter": rule}, body)
    assert list(found) == ["resolve" if holds else "reject"]


async def test_a_condition_that_fails_says_what_does_not_hold(house: House) -> None:
    found = await outcome(house, "condition", {"filter": {"$trigger": {"body": {"n": {"_gt": 3}}}}}, {"n": 1})
    assert found == {"reject": [{"path": "$trigger.body.n", "type": "gt", "expected": 3, "actual": 1}]}


async def test_an_operator_that_does_not_exist_rejects(house: House) -> None:
    found = await outcome(house, "condition", {"filter": {"$last": {"_like": 1}}})
    assert found["reject"]["code"] == "OPERATION_REJECTED"


async def test_options_that_do_not_fit_once_they_are_rendered_reject(house: House) -> None:
    found = await outcome(house, "sleep", {"milliseconds": "{{ $trigger.body.ms }}"}, {"ms": "soon"})
    assert found["reject"]["code"] == "INVALID_PAYLOAD"
    assert "milliseconds" in found["reject"]["message"]


class Answers(BaseHTTPRequestHandler):
    """Answers what the path asks for, and remembers what came."""

    seen: list[tuple[str, str, dict[str, str], bytes]] = []  # noqa: RUF012  emptied by the fixture

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.seen.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "http://127.0.0.2:1/inside")
            self.end_headers()
            return
        content = b"x" * 11_000_000 if self.path == "/large" else b'{"ok": true}'
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture
def site() -> Iterator[str]:
    Answers.seen.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


async def test_a_request_gives_status_headers_and_data(tables: str, site: str) -> None:
    options = {
        "url": f"{site}/path?q={{{{ $trigger.body.q }}}}", "method": "POST",
        "headers": [{"header": "X-One", "value": "1"}], "body": {"a": "{{ $trigger.body.q }}"},
    }  # fmt: skip
    async with open_house(tables, import_ip_allow_list=["127.0.0.1"]) as house:
        found = (await outcome(house, "request", options, {"q": 5}))["resolve"]
    assert (found["status"], found["statusText"], found["data"]) == (200, "OK", {"ok": True})
    assert found["headers"]["content-type"] == "application/json"
    (method, path, headers, body) = Answers.seen[0]
    assert (method, path, headers["x-one"], body) == ("POST", "/path?q=5", "1", b'{"a":5}')
    assert headers["content-type"] == "application/json"


async def test_an_answer_that_is_not_2xx_rejects_with_it(tables: str, site: str) -> None:
    async with open_house(tables, import_ip_allow_list=["127.0.0.1"]) as house:
        found = (await outcome(house, "request", {"url": f"{site}/missing"}))["reject"]
    assert (found["status"], found["data"]) == (404, {"ok": True})


async def test_an_answer_that_is_too_large_rejects(tables: str, site: str) -> None:
    async with open_house(tables, import_ip_allow_list=["127.0.0.1"]) as house:
        found = (await outcome(house, "request", {"url": f"{site}/large"}))["reject"]
    assert found["code"] == "REQUEST_REFUSED"


async def test_private_addresses_are_refused_also_after_a_redirect(tables: str, site: str) -> None:
    async with open_house(tables) as house:
        port = site.rpartition(":")[2]
        for url in (
            site,
            f"http://localhost:{port}",
            f"http://[::ffff:127.0.0.1]:{port}",
            "http://169.254.169.254/latest",
        ):
            assert (await outcome(house, "request", {"url": url}))["reject"]["code"] == "REQUEST_REFUSED"
        for url in ("file:///etc/passwd", "ftp://example.com", "nonsense", "http://"):
            assert (await outcome(house, "request", {"url": url}))["reject"]["code"] == "INVALID_PAYLOAD"
    assert Answers.seen == []
    async with open_house(tables, import_ip_allow_list=["127.0.0.1/32"]) as house:
        found = await outcome(house, "request", {"url": f"{site}/redirect"})
    assert found["reject"]["code"] == "REQUEST_REFUSED"


NOT_PUBLIC = (
    "127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
    "::1", "::", "fe80::1%eth0", "fc00::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::",
)  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_the_guard_refuses_addresses_that_are_not_public(address: str) -> None:
    assert not Guard().allows(address)


def test_the_guard_allows_public_addresses_and_what_the_settings_say() -> None:
    assert Guard().allows("1.1.1.1")
    assert Guard().allows("2606:4700:4700::1111")
    given = settings("sqlite://", import_ip_allow_list=["10.0.0.0/8"], import_ip_deny_list=["10.0.0.1", "1.1.1.1"])
    found = [Guard.of(given).allows(address) for address in ("10.2.2.2", "10.0.0.1", "1.1.1.1", "8.8.8.8")]
    assert found == [True, False, False, True]


EMPTIED: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("throw-error", {"code": None, "status": None, "message": None}, "INTERNAL_SERVER_ERROR"),
    ("throw-error", {"code": "TEAPOT", "status": "418", "message": "No"}, "TEAPOT"),
    ("request", {"url": "http://127.0.0.1:1", "method": None, "headers": None, "timeout": None}, "REQUEST_REFUSED"),
    ("request", {"url": "http://127.0.0.1:1", "method": "post"}, "REQUEST_REFUSED"),
    ("sleep", {"milliseconds": "{{ $trigger.body.gone }}"}, "INVALID_PAYLOAD"),
    (
        "item-create",
        {"collection": "gone", "payload": {"a": 1}, "emitEvents": None, "permissions": None},
        "FORBIDDEN",
    ),
)


async def test_an_option_that_a_studio_left_empty_is_not_given(house: House) -> None:
    for operation, options, code in EMPTIED:
        found = await outcome(house, operation, options, {})
        assert found["reject"]["code"] == code, (operation, options)


async def test_null_is_the_default_of_every_mode(house: House) -> None:
    called = {
        "name": "called", "trigger": "operation", "options": {"return": None},
        "operations": [{"operation": "transform", "options": {"json": "{{ $trigger.n }}"}}],
    }  # fmt: skip
    options = {
        "flow": await house.apply(called),
        "payload": [{"n": 1}, {"n": 2}],
        "iterationMode": None,
        "batchSize": None,
    }
    assert await outcome(house, "trigger", options) == {"resolve": [1, 2]}
