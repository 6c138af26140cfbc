"""Budgets: a hard one holds under any concurrency, and what it refuses says why."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from datastead import Actor, Context, Settings
from datastead.ai.attempts import new_id
from datastead.ai.entries import Settlement
from datastead.ai.ledger import Ledger
from datastead.ai.results import GenerationResult
from datastead.ai.windows import window_end, window_start
from datastead.data import system
from datastead.errors import AIError, BudgetExceeded, RateLimitExceeded, UnpricedModel
from datastead.messages import Usage
from datastead.testing.simulator import Simulator
from tests.ai.conftest import WIRES, House, opened

USER = "00000000-0000-4000-8000-000000000001"
OTHER = "00000000-0000-4000-8000-000000000002"
CENT = 10_000_000  # nano-USD


async def ask(house: House, user: str | None = None, token: str | None = None, **options: Any) -> GenerationResult:
    services: Any = None
    context = Context(services, Actor(user=user, token=token)) if user or token else None
    return await house.ai.generate("Hello", **{"model": "gpt-4.1", "max_tokens": 100, "context": context, **options})


@pytest.mark.parametrize("houses", [1, 2])
async def test_fifty_calls_at_once_never_pass_a_small_cap(
    database_url: str, settings: Callable[..., Settings], simulator: Simulator, houses: int
) -> None:
    simulator.default({"delay_s": 0.05, "usage": {"input": 10, "output": 100}})
    cap = 5 * (10 * 2000 + 100 * 8000)
    async with opened(database_url, settings()) as first, opened(database_url, settings()) as second:
        await first.budget(limit_nano_usd=cap)
        both = [first, second][:houses]
        outcomes = await asyncio.gather(*(ask(both[n % houses]) for n in range(50)), return_exceptions=True)
        rows = await first.rows()
        for _ in range(5):
            await asyncio.gather(ask(first), return_exceptions=True)
        settled = [row for row in await first.rows() if row["state"] == "settled"]
    assert all(isinstance(outcome, GenerationResult | BudgetExceeded) for outcome in outcomes)
    assert {row["state"] for row in rows} == {"settled"}
    assert 0 < sum(row["cost_nano_usd"] for row in settled) <= cap
    assert len(settled) >= 4  # what a hold kept free while it lasted can be used afterwards


async def test_what_is_in_doubt_keeps_its_hold(any_house: House, simulator: Simulator) -> None:
    await any_house.budget(limit_nano_usd=2_000_000)
    simulator.script({"delay_s": 30})
    with pytest.raises(AIError):
        await ask(any_house, timeout_s=1)
    with pytest.raises(BudgetExceeded):
        await ask(any_house)


async def test_what_failed_holds_nothing(any_house: House, simulator: Simulator) -> None:
    await any_house.budget(limit_nano_usd=2_000_000)
    simulator.script({"kind": "bad-key", "times": 3})
    for _ in range(3):
        with pytest.raises(AIError):
            await ask(any_house)
    await ask(any_house)


async def test_a_refusal_says_which_budget_how_much_is_left_and_until_when(
    database_url: str, settings: Callable[..., Settings], simulator: Simulator
) -> None:
    noon = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
    async with opened(database_url, settings(), clock=lambda: noon) as house:
        await house.budget(scope="user", scope_id=USER, window="day", limit_nano_usd=CENT // 100)
        with pytest.raises(BudgetExceeded) as caught:
            await ask(house, USER)
        rows = await house.rows()
    details = caught.value.details
    assert {name: details[name] for name in ("scope", "scope_id", "window", "unit", "limit", "left", "resets_at")} == {
        "scope": "user", "scope_id": USER, "window": "day", "unit": "usd", "limit": 0.0001, "left": 0.0001,
        "resets_at": "2026-11-24T00:00:00+00:00",
    }  # fmt: skip
    assert (caught.value.status, simulator.requests, rows) == (402, [], [])


@pytest.mark.parametrize(
    ("scope", "scope_id", "hit", "missed"),
    [
        ("user", USER, {"user": USER}, {"user": OTHER}),
        ("user", USER, {"user": USER}, {}),
        ("user", None, {"user": USER}, {}),
        ("model", "gpt-4.1", {}, {"model": "gpt-5"}),
        ("provider", "openai", {}, {"model": "claude-haiku-4-5"}),
        ("purpose", "test", {"purpose": "test"}, {"purpose": "other"}),
        ("token", "t-1", {"token": "t-1"}, {"token": "t-2"}),
        ("token", None, {"token": "t-1"}, {}),
    ],
)
async def test_a_budget_is_about_its_scope_and_nothing_else(
    any_house: House, scope: str, scope_id: str | None, hit: dict[str, Any], missed: dict[str, Any]
) -> None:
    await any_house.budget(scope=scope, scope_id=scope_id, limit_nano_usd=0)
    await ask(any_house, **missed)
    with pytest.raises(BudgetExceeded):
        await ask(any_house, **hit)


async def test_a_budget_for_each_user_counts_each_by_itself(any_house: House) -> None:
    await any_house.budget(scope="user", scope_id=None, limit_nano_usd=1_500_000)
    await ask(any_house, USER)
    await ask(any_house, OTHER)
    with pytest.raises(BudgetExceeded):
        await ask(any_house, USER, max_tokens=140)


async def test_a_window_that_is_over_is_forgotten(
    database_url: str, settings: Callable[..., Settings], simulator: Simulator
) -> None:
    now = [datetime(2026, 11, 30, 23, 50, tzinfo=UTC)]
    simulator.default({"usage": {"input": 10, "output": 100}})
    async with opened(database_url, settings(), clock=lambda: now[0]) as house:
        await house.budget(window="month", limit_nano_usd=1_500_000)
        await ask(house)
        with pytest.raises(BudgetExceeded):
            await ask(house)
        now[0] = datetime(2026, 12, 1, tzinfo=UTC)
        await ask(house)


async def test_a_budget_in_tokens_holds_too(any_house: House) -> None:
    await any_house.budget(limit_tokens=300)
    with pytest.raises(BudgetExceeded) as caught:
        await ask(any_house, max_tokens=200)
    assert (caught.value.details["unit"], caught.value.details["left"]) == ("tokens", 300)


async def test_a_model_without_a_price_is_refused_under_a_budget_in_usd(
    database_url: str, settings: Callable[..., Settings], simulator: Simulator
) -> None:
    async with opened(database_url, settings(ai_openai_compatible_models=[{"id": "unpriced"}])) as house:
        await house.budget(limit_nano_usd=10**12)
        with pytest.raises(UnpricedModel):
            await ask(house, model="unpriced")
    assert simulator.requests == []


async def test_a_model_that_is_declared_free_passes_under_any_budget(
    database_url: str, settings: Callable[..., Settings]
) -> None:
    free = [{"id": "free", "cost": {"input": 0, "output": 0}}]
    async with opened(database_url, settings(ai_openai_compatible_models=free)) as house:
        await house.budget(limit_nano_usd=0)
        await ask(house, model="free")


async def test_under_a_hard_budget_a_call_without_a_cap_is_sent_with_one(
    any_house: House, simulator: Simulator
) -> None:
    await any_house.budget(limit_nano_usd=10**12)
    for wire, model in WIRES.items():
        await ask(any_house, model=model, provider=wire, max_tokens=None)
    openai, compatible, anthropic, google = (request["json"] for request in simulator.requests)
    assert openai["max_output_tokens"] == compatible["max_tokens"] == anthropic["max_tokens"] == 4096
    assert google["generationConfig"]["maxOutputTokens"] == 4096


async def test_a_soft_budget_stops_nothing(any_house: House) -> None:
    await any_house.budget(limit_nano_usd=0, hard=False)
    await any_house.budget(limit_tokens=10**9, hard=False)
    result = await ask(any_house)
    (warning,) = result.warnings
    assert (warning["code"], warning["limit"], warning["unit"]) == ("BUDGET_EXCEEDED", 0.0, "usd")
    assert result.to_dict()["warnings"] == [warning]


@pytest.mark.parametrize(
    ("window", "start", "end"),
    [
        ("minute", "2026-11-25T13:14", "2026-11-25T13:15"),
        ("hour", "2026-11-25T13:00", "2026-11-25T14:00"),
        ("day", "2026-11-25T00:00", "2026-11-26T00:00"),
        ("week", "2026-11-23T00:00", "2026-11-30T00:00"),
        ("month", "2026-11-01T00:00", "2026-12-01T00:00"),
        ("total", "1970-01-01T00:00", None),
    ],
)
def test_windows_are_of_the_calendar_in_utc(window: str, start: str, end: str | None) -> None:
    now = datetime(2026, 11, 25, 13, 14, 15, tzinfo=UTC)
    found = window_end(window, now)
    assert window_start(window, now).isoformat().startswith(start)
    assert (found is None and end is None) or (found is not None and found.isoformat().startswith(end or "?"))


async def test_a_budget_made_meanwhile_counts_what_was_spent_before(any_house: House, simulator: Simulator) -> None:
    simulator.default({"usage": {"input": 10, "output": 100}})
    await ask(any_house)
    await any_house.budget(limit_nano_usd=1_000_000)
    with pytest.raises(BudgetExceeded) as caught:
        await ask(any_house)
    spent = sa.select(sa.func.sum(system.ai_calls.c.cost_nano_usd))
    total = await any_house.database.read(lambda transaction: transaction.execute(spent).scalar_one())
    assert caught.value.details["left"] == (1_000_000 - int(total)) / 1e9


@pytest.mark.mariadb
async def test_nested_budgets_hold_together_or_not_at_all(any_house: House) -> None:
    await any_house.budget(limit_nano_usd=10**12)
    await any_house.budget(scope="user", scope_id=USER, limit_tokens=10)
    await any_house.budget(scope="provider", scope_id="openai", window="day", limit_nano_usd=10**12)
    with pytest.raises(BudgetExceeded) as caught:
        await ask(any_house, USER)
    assert (caught.value.details["scope"], await any_house.rows()) == ("user", [])
    await ask(any_house, OTHER)


async def test_a_rate_limit_of_requests_says_when_to_come_again(
    database_url: str, settings: Callable[..., Settings]
) -> None:
    now = [datetime(2026, 11, 26, 12, 0, 30, 500_000, tzinfo=UTC)]
    async with opened(database_url, settings(), clock=lambda: now[0]) as house:
        await house.budget(window="minute", rolling=True, limit_requests=2)
        await ask(house)
        now[0] += timedelta(seconds=20)
        await ask(house, max_tokens=None)
        with pytest.raises(RateLimitExceeded) as caught:
            await ask(house)
        assert (caught.value.status, caught.value.retry_after_s) == (429, 40.5)
        now[0] += timedelta(seconds=40.4)
        with pytest.raises(RateLimitExceeded):
            await ask(house)
        now[0] += timedelta(seconds=0.1)
        await ask(house)


async def test_a_limit_of_requests_alone_does_not_cap_an_answer(any_house: House, simulator: Simulator) -> None:
    await any_house.budget(window="minute", rolling=True, limit_requests=100)
    await ask(any_house, max_tokens=None)
    assert "max_output_tokens" not in simulator.requests[0]["json"]


async def test_a_rate_limit_of_tokens_is_shared_by_processes(
    database_url: str, settings: Callable[..., Settings], simulator: Simulator
) -> None:
    simulator.default({"usage": {"input": 100, "output": 100}})
    async with opened(database_url, settings()) as first, opened(database_url, settings()) as second:
        await first.budget(window="minute", rolling=True, limit_tokens=450)
        await ask(first)
        with pytest.raises(RateLimitExceeded) as caught:
            await ask(second)
    assert (caught.value.details["unit"], caught.value.details["left"]) == ("tokens", 250)


async def test_a_rolling_window_lets_go_of_each_call_by_itself(
    database_url: str, settings: Callable[..., Settings], simulator: Simulator
) -> None:
    simulator.default({"usage": {"input": 10, "output": 100}})
    now = [datetime(2026, 11, 30, 23, 0, tzinfo=UTC)]
    async with opened(database_url, settings(), clock=lambda: now[0]) as house:
        await house.budget(window="hour", rolling=True, limit_nano_usd=2_500_000)
        await ask(house)
        now[0] += timedelta(minutes=30)
        await ask(house)
        with pytest.raises(BudgetExceeded) as caught:
            await ask(house)
        assert caught.value.details["resets_at"] == "2026-12-01T00:01:00+00:00"
        now[0] += timedelta(minutes=31)
        await ask(house)
        with pytest.raises(BudgetExceeded):
            await ask(house)


async def test_an_answer_from_the_cache_counts_against_nothing(any_house: House) -> None:
    await any_house.budget(limit_requests=1, limit_tokens=1000, limit_nano_usd=CENT)
    now = datetime.now(UTC)
    cached = {"id": new_id(), "state": "cached", "provider": "openai", "model": "gpt-4.1", "cost_nano_usd": 0,
              "saved_nano_usd": CENT, "output_tokens": 10**6, "created_at": now, "settled_at": now}  # fmt: skip
    await any_house.database.write(lambda transaction: transaction.execute(sa.insert(system.ai_calls).values(**cached)))
    await ask(any_house)


async def test_a_bill_that_is_closed_does_not_change(any_house: House) -> None:
    result = await ask(any_house)
    before = await any_house.row()
    late = Settlement(result.call, "settled", Usage(input=10**6), "provider", 10**12, 1)
    await Ledger(any_house.database, lambda: datetime.now(UTC)).settle(late)
    assert await any_house.row() == before


WINDOWS = [("total", False)] + [
    (window, rolling) for window in ("minute", "hour", "day", "week", "month") for rolling in (False, True)
]


@pytest.mark.parametrize("scope", ["all", "user", "role", "flow", "model", "provider", "purpose", "token"])
async def test_each_scope_holds_in_each_window_and_is_whole_again_after_it(
    sqlite_url: str, settings: Callable[..., Settings], simulator: Simulator, scope: str
) -> None:
    """A call may take 296 tokens and takes 160, of 400: the next does not fit until the window is over."""
    now = [datetime(2026, 1, 1, 12, 30, 30, tzinfo=UTC)]
    simulator.default({"usage": {"input": 60, "output": 100}})
    services: Any = None
    context = Context(services, Actor(user=USER, role=OTHER, token="t-1"), flow="f-1")
    ids = {"user": USER, "role": OTHER, "flow": "f-1", "model": "gpt-4.1", "provider": "openai", "purpose": "p-1",
           "token": "t-1"}  # fmt: skip
    asked: dict[str, Any] = {"model": "gpt-4.1", "max_tokens": 100, "context": context, "purpose": "p-1"}
    async with opened(sqlite_url, settings(), clock=lambda: now[0]) as house:
        for window, rolling in WINDOWS:
            given = {"window": window, "rolling": rolling, "limit_tokens": 400}
            await house.budget(scope=scope, scope_id=ids.get(scope), **given)
            await house.ai.generate("Hello", **asked)
            with pytest.raises(AIError) as caught:
                await house.ai.generate("Hello", **asked)
            refused = caught.value
            assert refused.code == ("RATE_LIMIT_EXCEEDED" if window == "minute" else "BUDGET_EXCEEDED")
            assert (refused.details["scope"], refused.details["window"]) == (scope, window)
            if window == "total":
                assert refused.details["resets_at"] is None
            else:
                now[0] = datetime.fromisoformat(refused.details["resets_at"])
                await house.ai.generate("Hello", **asked)
            await house.database.write(lambda transaction: transaction.execute(sa.delete(system.budgets)))
            now[0] += timedelta(days=100)
