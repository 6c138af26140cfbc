"""`/ai/usage` and `/ai/calls`: what was spent, by whom and on what; and calls in doubt."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from .conftest import Server
from .ledger_rows import NOW, USER, a_call, write_calls

MONDAY = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _clean(server: Server, database_url: str) -> None:
    write_calls(database_url, [], keep=False)


@pytest.fixture
def member(server: Server) -> Server:
    """Somebody who is no administrator, signed in with a token."""
    token = f"member-{uuid4()}"
    server.post("/users", {"email": f"{uuid4().hex[:8]}@example.com", "token": token})
    return server.acting_as(token)


def test_usage_is_grouped_by_several_dimensions_exactly(server: Server, database_url: str) -> None:
    write_calls(database_url, [
        a_call(user=USER, input_tokens=10, output_tokens=5, cost_nano_usd=1, latency_ms=100),
        a_call(user=USER, input_tokens=10, cache_read_tokens=3, cost_nano_usd=2, latency_ms=300,
               usage_source="estimated"),
        a_call(user=USER, state="in_doubt", held_nano_usd=7_000_000_000),
        a_call(state="cached", cost_nano_usd=0, saved_nano_usd=9),
        a_call(model="claude", cost_nano_usd=10**18, latency_ms=5),
    ])  # fmt: skip
    rows = server.get("/ai/usage?groupBy=model,user").data
    assert [(row["model"], row["user"]) for row in rows] == [("claude", None), ("gpt-5", USER), ("gpt-5", None)]
    claude, own, cached = rows
    assert claude["cost_usd"] == "1000000000"
    assert {name: own[name] for name in ("calls", "settled", "tokens", "cost_nano_usd", "cost_usd", "in_doubt",
                                         "in_doubt_usd", "estimated_share", "p50_ms", "p95_ms")} == {
        "calls": 3, "settled": 2, "tokens": 28, "cost_nano_usd": 3, "cost_usd": "0.000000003", "in_doubt": 1,
        "in_doubt_usd": "7", "estimated_share": 0.5, "p50_ms": 100, "p95_ms": 300,
    }  # fmt: skip
    assert (cached["cached"], cached["cost_nano_usd"], cached["saved_nano_usd"]) == (1, 0, 9)


@pytest.mark.parametrize(
    ("bucket", "expected"),
    [
        ("hour", ["2026-11-22T23:00:00Z", "2026-11-23T23:00:00Z", "2026-11-24T00:00:00Z"]),
        ("day", ["2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"]),
        ("week", ["2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"]),
        ("month", ["2026-11-01T00:00:00Z"]),
    ],
)
def test_usage_is_put_into_buckets_of_the_calendar(
    server: Server, database_url: str, bucket: str, expected: list[str]
) -> None:
    moments = (MONDAY - timedelta(days=1), MONDAY, MONDAY + timedelta(minutes=40))
    write_calls(database_url, [a_call(created_at=moment, cost_nano_usd=1) for moment in moments])
    rows = server.get(f"/ai/usage?bucket={bucket}").data
    assert [row["bucket"] for row in rows] == expected
    assert sum(row["cost_nano_usd"] for row in rows) == 3


def test_usage_of_nothing_is_one_row_of_zeros(server: Server) -> None:
    (row,) = server.get("/ai/usage").data
    assert (row["calls"], row["cost_usd"], row["p50_ms"]) == (0, "0", None)
    assert server.get("/ai/usage?groupBy=model").data == []


def test_usage_is_of_a_time_and_of_what_is_asked_for(server: Server, database_url: str) -> None:
    old, other = a_call(created_at=NOW - timedelta(days=40)), a_call(model="o3", flow=USER)
    write_calls(database_url, [old, other, a_call()])
    count = {query: server.get(f"/ai/usage?{query}").data[0]["calls"] for query in (
        "since=30d", "until=30d", "since=6w", "model=o3", "model=o3,gpt-5", "flow=null", f"flow={USER}", "flow=x",
        f"since={(NOW - timedelta(days=1)).date()}",
    )}  # fmt: skip
    assert list(count.values()) == [2, 1, 3, 1, 3, 2, 1, 0, 2]


def test_csv_is_safe_to_open_in_a_spreadsheet(server: Server, database_url: str) -> None:
    write_calls(database_url, [a_call(purpose='=HYPERLINK("http://evil.example")', cost_nano_usd=1)])
    answer = server.get("/ai/usage?groupBy=purpose&format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    (row,) = csv.DictReader(io.StringIO(answer.body))
    assert (row["purpose"], row["cost_usd"]) == ('\'=HYPERLINK("http://evil.example")', "0.000000001")


@pytest.mark.parametrize(
    "query", ["groupBy=colour", "bucket=year", "since=yesterday", "since=9999999d", "format=xml", "model=a&model=b",
              "colour=red", "filter[model]=x"],
)  # fmt: skip
def test_a_question_that_cannot_be_answered_is_refused(server: Server, query: str) -> None:
    answer = server.get(f"/ai/usage?{query}")
    assert (answer.status, answer.code) == (400, "INVALID_QUERY"), answer.body


def test_who_is_no_administrator_sees_own_calls_only(server: Server, member: Server, database_url: str) -> None:
    me = member.get("/users/me").data["id"]
    own, foreign = a_call(user=me, cost_nano_usd=5), a_call(user=USER, cost_nano_usd=7)
    write_calls(database_url, [own, foreign])
    assert [row["cost_nano_usd"] for row in member.get("/ai/usage?groupBy=user").data] == [5]
    assert [row["id"] for row in member.get("/ai/calls").data] == [own["id"]]
    assert member.get(f"/ai/calls?user={USER}").data == []
    assert member.get(f"/ai/calls/{foreign['id']}").code == "FORBIDDEN"
    assert member.get(f"/ai/calls/{own['id']}").data["cost_usd"] == "0.000000005"
    assert member.post(f"/ai/calls/{own['id']}/resolve", {"paid": True}).code == "FORBIDDEN"
    assert {server.public.get(path).status for path in ("/ai/usage", "/ai/calls")} == {401}


def test_calls_are_listed_newest_first_in_pages(server: Server, database_url: str) -> None:
    calls = [a_call(created_at=NOW - timedelta(minutes=n), prompt={"secret": 1}) for n in range(3)]
    write_calls(database_url, calls)
    answer = server.get("/ai/calls?limit=2&offset=1&meta=*").json
    assert [row["id"] for row in answer["data"]] == [calls[1]["id"], calls[2]["id"]]
    assert answer["meta"] == {"filter_count": 3}
    assert not {"prompt", "answer", "owner", "lease_until", "sequence"} & set(answer["data"][0])
    assert server.get(f"/ai/calls/{calls[0]['id']}").data["prompt"] == {"secret": 1}
    assert [server.get(f"/ai/calls?{query}").status for query in ("limit=x", "limit=5000", "offset=-1")] == [400] * 3
    assert {server.get(f"/ai/calls/{call}").code for call in ("nope", USER)} == {"FORBIDDEN"}


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"paid": True}, ("settled", "0.0000007", 50)),
        ({"paid": False}, ("failed", "0", 0)),
        ({"cost_usd": "0.0000001"}, ("settled", "0.0000001", 50)),
        ({"paid": True, "cost_usd": 0}, ("settled", "0", 50)),
    ],
)
def test_a_call_in_doubt_is_resolved_once(
    server: Server, database_url: str, body: Any, outcome: tuple[str, str, int]
) -> None:
    call = a_call(state="in_doubt", held_nano_usd=700, held_tokens=50)
    write_calls(database_url, [call])
    budget = server.post("/ai/budgets", {"limit": "1/month"}).data["id"]
    assert [row["id"] for row in server.get("/ai/calls?state=in_doubt").data] == [call["id"]]
    resolved = server.post(f"/ai/calls/{call['id']}/resolve", body).data
    spent = server.get(f"/ai/budgets/{budget}").data["spent"]
    assert (resolved["state"], resolved["cost_usd"], spent["tokens"]) == outcome
    assert spent["usd"] == resolved["cost_usd"]
    assert server.post(f"/ai/calls/{call['id']}/resolve", body).status == 422
    assert server.send("DELETE", f"/ai/budgets/{budget}").status == 204


@pytest.mark.parametrize(
    "body", [{}, {"paid": "yes"}, {"paid": False, "cost_usd": 1}, {"cost_usd": "x"}, {"cost_usd": -1}, {"cost": 1}]
)
def test_a_resolution_that_says_nothing_is_refused(server: Server, database_url: str, body: Any) -> None:
    call = a_call(state="in_doubt")
    write_calls(database_url, [call])
    assert server.post(f"/ai/calls/{call['id']}/resolve", body).status == 400
    assert server.get(f"/ai/calls/{call['id']}").data["state"] == "in_doubt"
