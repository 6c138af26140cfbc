"""`/ai/budgets`: made, changed, shown with what is left, removed; and what is refused, with the cure."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from .conftest import Server
from .ledger_rows import USER, a_call, write_calls


@pytest.fixture(autouse=True)
def _clean(server: Server, database_url: str) -> Iterator[None]:
    write_calls(database_url, [], keep=False)
    yield
    for budget in server.get("/ai/budgets").data:
        assert server.send("DELETE", f"/ai/budgets/{budget['id']}").status == 204


def test_a_budget_is_made_read_changed_and_removed(server: Server, database_url: str) -> None:
    write_calls(database_url, [a_call(cost_nano_usd=1_500_000_001), a_call(state="in_doubt", held_nano_usd=10**9)])
    made = server.post("/ai/budgets", {"name": "House", "limit": "50/month"}).data
    assert (made["scope"], made["window"], made["limit_usd"], made["hard"]) == ("all", "month", "50", True)
    assert made["spent"]["usd"] == "2.500000001"
    assert made["left"] == {"usd": "47.499999999"}
    assert made["resets_at"].endswith("-01T00:00:00+00:00")
    changed = server.send("PATCH", f"/ai/budgets/{made['id']}", {"hard": False, "limit_tokens": 10}).data
    assert (changed["hard"], changed["limit_tokens"], changed["name"]) == (False, 10, "House")
    assert [budget["id"] for budget in server.get("/ai/budgets").data] == [made["id"]]
    assert server.send("DELETE", f"/ai/budgets/{made['id']}").status == 204
    assert server.get(f"/ai/budgets/{made['id']}").code == "FORBIDDEN"


def test_a_user_and_a_role_are_named_as_people_call_them(server: Server) -> None:
    role = server.post("/roles", {"name": f"Budgeted {uuid4().hex}"}).data
    made = server.post("/ai/budgets", {"scope": "role", "scope_id": role["name"].upper(), "limit": "1/day"}).data
    assert (made["scope_id"], made["scope_name"]) == (role["id"], role["name"])
    me = server.get("/users/me").data
    made = server.post("/ai/budgets", {"scope": "user", "scope_id": me["email"], "limit": "200k tokens/week"}).data
    assert (made["scope_id"], made["limit_tokens"]) == (me["id"], 200_000)


def test_a_budget_for_each_has_no_one_sum(server: Server) -> None:
    made = server.post("/ai/budgets", {"scope": "user", "limit": "60 requests/minute"}).data
    assert (made["limit_requests"], made["rolling"], made["spent"], made["left"]) == (60, True, None, None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "limit"),
        ({"limit": "a lot"}, None),
        ({"limit": "5/fortnight"}, "window"),
        ({"limit": "1.5 tokens/day"}, "limit"),
        ({"limit": ["5"]}, "limit"),
        ({"limit_usd": -1}, "limit"),
        ({"limit_usd": "NaN"}, "limit_usd"),
        ({"limit_usd": "1e99999"}, "limit"),
        ({"limit_usd": True}, "limit_usd"),
        ({"limit_usd": "0.0000000001"}, "limit"),
        ({"limit_tokens": 1 << 70}, "limit"),
        ({"limit": "5/day", "scope": "team"}, "scope"),
        ({"limit": "5/day", "scope": ["user"]}, "scope"),
        ({"limit": "5/day", "scope_id": "x"}, "scope_id"),
        ({"limit": "5/day", "scope": "user", "scope_id": "nobody@example.com"}, "scope_id"),
        ({"limit": "5/day", "scope": "user", "scope_id": USER}, "scope_id"),
        ({"limit": "5/day", "scope": "model", "scope_id": "x" * 300}, "scope_id"),
        ({"limit": "5", "rolling": True}, "rolling"),
        ({"limit": "5/day", "hard": "yes"}, "hard"),
        ({"limit": "5/day", "name": ""}, "name"),
        ({"limit": "5/day", "window": 7}, "window"),
        ({"limit": "5/day", "colour": "red"}, "colour"),
    ],
)
def test_what_makes_no_budget_is_refused_and_names_the_field(server: Server, body: Any, field: str | None) -> None:
    answer = server.post("/ai/budgets", body)
    assert (answer.status, answer.code) == (400, "INVALID_PAYLOAD"), answer.body
    assert answer.json["errors"][0]["extensions"].get("field") == field
    assert server.get("/ai/budgets").data == []


def test_a_change_is_checked_as_a_whole(server: Server) -> None:
    made = server.post("/ai/budgets", {"limit": "5/day"}).data
    assert server.send("PATCH", f"/ai/budgets/{made['id']}", {"limit_usd": None}).status == 400
    assert server.send("PATCH", f"/ai/budgets/{made['id']}", {"window": "total", "rolling": True}).status == 400
    assert server.get(f"/ai/budgets/{made['id']}").data["limit_usd"] == "5"


@pytest.mark.parametrize("path", ["/ai/budgets/nope", f"/ai/budgets/{USER}"])
def test_a_budget_that_there_is_not_is_forbidden(server: Server, path: str) -> None:
    answers = [server.get(path), server.send("PATCH", path, {"hard": True}), server.send("DELETE", path)]
    assert {answer.code for answer in answers} == {"FORBIDDEN"}


def test_budgets_are_for_administrators(server: Server) -> None:
    public = server.public
    answers = [public.get("/ai/budgets"), public.post("/ai/budgets", {"limit": "5/day"})]
    assert {answer.code for answer in answers} == {"FORBIDDEN"}
