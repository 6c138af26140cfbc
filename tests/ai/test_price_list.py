"""The price list: which entry holds when, who sees it, and that no old bill changes."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from datastead import AI, Settings
from datastead.ai.price_entries import refresh
from datastead.ai.price_list import POLL_S, PriceList
from datastead.data import system
from datastead.errors import InvalidRequest, ModelNotFound
from tests.ai.conftest import REGISTRY, House, opened

DEAR = {"model": "gpt-4.1", "input": 100, "output": 200}


@dataclass
class Watch:
    """A clock that is set by hand."""

    now: datetime = datetime(2026, 11, 26, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


async def ask(ai: AI, model: str = "gpt-4.1", **options: Any) -> int | None:
    """What a call costs, in nano-USD a token: the simulator's usage divided out."""
    result = await ai.generate("Hello", model=model, max_tokens=20, **options)
    assert result.usage.total > 0
    return result.cost_nano_usd


def cost_of(ai: AI, model: str, provider: str = "openai") -> Any:
    return next(found.cost for found in ai.models(all=True) if (found.provider, found.model) == (provider, model))


async def test_a_price_that_was_set_is_billed_from_then_on_and_old_bills_stay(any_house: House) -> None:
    before = await ask(any_house.ai)
    await any_house.ai.set_price(DEAR)
    after = await ask(any_house.ai)
    assert before is not None
    assert after is not None
    assert after > before
    rows = await any_house.rows()
    assert [row["cost_nano_usd"] for row in rows] == [before, after]
    assert "built-in 2026-11-23" in rows[0]["price"]
    assert "price list" in rows[1]["price"]


async def test_a_change_of_a_price_is_another_entry(any_house: House) -> None:
    await any_house.ai.set_price(DEAR)
    await any_house.ai.set_price({**DEAR, "input": 1})
    count = await any_house.database.read(
        lambda transaction: transaction.execute(sa.select(sa.func.count()).select_from(system.ai_prices)).scalar()
    )
    listed = await any_house.ai.price_list()
    assert count == 2
    assert [(entry["rates"]["input"], entry["current"]) for entry in listed] == [(100, False), (1, True)]


async def test_another_process_sees_a_price_within_a_second(
    any_house: House, settings: Callable[..., Settings]
) -> None:
    async with opened(any_house.url, settings()) as elsewhere:
        before = await ask(elsewhere.ai)
        await any_house.ai.set_price(DEAR)
        async with asyncio.timeout(1):
            while await ask(elsewhere.ai) == before:
                pass


async def test_a_price_of_the_future_holds_from_its_moment_on(
    sqlite_url: str, settings: Callable[..., Settings]
) -> None:
    watch = Watch()
    async with opened(sqlite_url, settings(), clock=watch) as house:
        before = await ask(house.ai)
        await house.ai.set_price({**DEAR, "valid_from": "2026-12-01"})
        assert await ask(house.ai) == before
        watch.now = datetime(2026, 12, 1, tzinfo=UTC)
        after = await ask(house.ai)
    assert before is not None
    assert after is not None
    assert after > before


async def test_a_price_that_genai_prices_dates_changes_on_its_day(settings: Callable[..., Settings]) -> None:
    watch = Watch()
    ai = AI(settings(), registry=REGISTRY, clock=watch)
    before = cost_of(ai, "gemini-4-argon", "google")
    watch.now = before.valid_until
    after = cost_of(ai, "gemini-4-argon", "google")
    assert (after.valid_from, after.input > before.input) == (before.valid_until, True)


async def test_the_database_goes_before_the_settings_and_these_before_what_is_built_in(
    sqlite_url: str, settings: Callable[..., Settings]
) -> None:
    declared = [{"provider": "openai", "model": "gpt-4.1", "input": 3, "output": 4}]
    async with opened(sqlite_url, settings(ai_prices=declared)) as house:
        assert cost_of(house.ai, "gpt-4.1").source == "AI_PRICES"
        await house.ai.set_price(DEAR)
        assert cost_of(house.ai, "gpt-4.1").input == 100


async def test_the_latest_of_the_valid_entries_wins_wherever_it_stands(settings: Callable[..., Settings]) -> None:
    entries = [
        {"provider": "openai", "model": "gpt-5", "input": number, "output": 1, "valid_from": day}
        for number, day in ((1, "2026-11-01"), (3, "2026-12-01"), (2, "2026-11-15"))
    ]
    assert cost_of(AI(settings(ai_prices=entries), registry=REGISTRY, clock=Watch()), "gpt-5").input == 2


async def test_a_price_counts_for_the_dated_ids_of_its_model_unless_they_have_their_own(
    sqlite_url: str, settings: Callable[..., Settings]
) -> None:
    async with opened(sqlite_url, settings()) as house:
        await house.ai.set_price({**DEAR, "model": "gpt-5"})
        await house.ai.set_price({**DEAR, "model": "openai:gpt-5-2025-08-07", "input": 7})
        dated = [await house.ai.price_list(f"openai:gpt-5-{day}") for day in ("2025-08-07", "2026-01-01")]
    assert [entries[-1]["rates"]["input"] for entries in dated] == [7, 100]


async def test_limits_can_come_with_a_price(house: House) -> None:
    await house.ai.set_price({**DEAR, "limits": {"output": 5}})
    with pytest.raises(InvalidRequest):
        await ask(house.ai)


async def test_the_history_says_where_each_price_is_from_and_which_one_holds(house: House) -> None:
    await house.ai.set_price({**DEAR, "cache_read": 5, "tiers": {"batch": 0.5}}, user=None)
    built_in, own = await house.ai.price_list("gpt-4.1")
    assert (built_in["source"], built_in["current"], built_in["id"]) == ("built-in 2026-11-23", False, None)
    assert (own["current"], own["rates"]) == (True, {"input": 100, "output": 200, "cache_read": 5})
    assert own["tiers"] == {"batch": {"input": 50, "output": 100, "cache_read": 2.5}}


async def test_a_new_fine_tune_gets_a_price_where_its_provider_is_named(house: House) -> None:
    with pytest.raises(ModelNotFound):
        await house.ai.set_price({"model": "ft-of-ours", "input": 1, "output": 2})
    entry = await house.ai.set_price({"model": "ft-of-ours", "provider": "openai", "input": 1, "output": 2})
    assert (entry["provider"], entry["model"], entry["state"]) == ("openai", "ft-of-ours", "known")


@pytest.mark.parametrize(
    "wrong",
    [{}, {"output": 1}, {"input": -1, "output": 1}, {"input": float("nan"), "output": 1}, {"input": 1e300, "output": 1},
     {"input": 1, "output": 1, "valid_from": "soon"}, {"input": 1, "output": 1, "valid_from": "0001-01-01T00:00+14:00"},
     {"input": 1, "output": 1, "tiers": {"overnight": 0.5}}, {"input": 1, "output": 1, "long": {"above": 0}},
     {"input": 1, "output": 1, "limits": {"output": 10**12}}, {"input": 1, "output": 1, "colour": "red"},
     {"model": 5}, {"model": "gpt-5", "provider": "nobody", "input": 1, "output": 1}, {"provider": ["openai"]}],
)  # fmt: skip
async def test_a_price_that_is_wrong_is_refused(house: House, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        await house.ai.set_price({"model": "gpt-5", **wrong})
    assert await house.ai.price_list() == []


async def test_a_list_of_prices_needs_a_database(settings: Callable[..., Settings]) -> None:
    async with AI(settings(), registry=REGISTRY) as ai:
        with pytest.raises(InvalidRequest):
            await ai.set_price(DEAR)


async def test_no_more_than_two_calls_a_second_look_whether_a_price_has_changed(house: House) -> None:
    prices = PriceList(())
    assert prices.is_stale(10.0)
    await refresh(prices, house.database, 10.0)
    assert not prices.is_stale(10.0 + POLL_S)
    assert prices.is_stale(10.01 + POLL_S)


def test_neither_a_built_in_model_nor_one_with_a_date_loads_genai_prices() -> None:
    code = (
        "import sys; from datastead import AI, Settings;"
        "ai = AI(Settings(ai_openai_enabled=True, ai_openai_api_key='k'));"
        "ai.models(); ai._targets.find('gpt-5', None); ai._targets.find('gpt-5-2025-08-07', 'openai');"
        "sys.exit('genai_prices' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_moment_without_an_offset_is_meant_in_utc(settings: Callable[..., Settings]) -> None:
    entry = {"provider": "openai", "model": "gpt-5", "input": 1, "output": 1, "valid_from": "2026-12-01T01:00:00+02:00"}
    (price,) = settings(ai_prices=[entry]).ai_prices
    assert price.valid_from == datetime(2026, 12, 1, tzinfo=UTC) - timedelta(hours=1)


def test_a_price_of_the_settings_may_name_an_endpoint_as_it_is_shown(settings: Callable[..., Settings]) -> None:
    declared = [{"provider": "ours", "model": "local", "input": 9, "output": 9}]
    ai = AI(settings(ai_openai_compatible_name="ours", ai_prices=declared), registry=REGISTRY)
    assert cost_of(ai, "local", "openai-compatible").input == 9
