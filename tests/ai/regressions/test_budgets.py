"""A budget that really stops: the bugs that peers had, one test each."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from datastead import Settings
from datastead.ai.results import GenerationResult
from datastead.errors import AIError, BudgetExceeded, UnpricedModel
from datastead.testing.simulator import Simulator
from tests.ai.conftest import House, opened

CALL: dict[str, Any] = {"model": "gpt-4.1", "max_tokens": 100}
BOUND = 1_300_000
"""More than what one call holds, and less than two, in nano-USD."""
COST = 10 * 2000 + 100 * 8000


@pytest.fixture(autouse=True)
def _usage(simulator: Simulator) -> None:
    simulator.default({"usage": {"input": 10, "output": 100}})


async def test_the_first_requests_do_not_slip_past_an_empty_counter(any_house: House) -> None:
    """LiteLLM 40095: the first eight were let through, as nothing was counted yet."""
    await any_house.budget(limit_nano_usd=BOUND)
    outcomes = await asyncio.gather(*(any_house.ai.generate("Hi", **CALL) for _ in range(8)), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["BudgetExceeded"] * 7 + ["GenerationResult"]


async def test_what_failed_leaves_no_phantom_spend(any_house: House, simulator: Simulator) -> None:
    """LiteLLM 27639: holds of failed calls were never given back."""
    await any_house.budget(limit_nano_usd=BOUND)
    simulator.script({"kind": "bad-key", "times": 5})
    for _ in range(5):
        with pytest.raises(AIError) as caught:
            await any_house.ai.generate("Hi", **CALL)
        assert caught.value.code == "INVALID_API_KEY"
    assert isinstance(await any_house.ai.generate("Hi", **CALL), GenerationResult)


async def test_what_was_spent_is_not_lost_by_a_restart(
    database_url: str, settings: Callable[..., Settings], simulator: Simulator
) -> None:
    """LiteLLM 35570: the counter was seeded anew with less than was spent."""
    async with opened(database_url, settings()) as first:
        await first.budget(limit_nano_usd=BOUND)
        await first.ai.generate("Hi", **CALL)
    async with opened(database_url, settings()) as second:
        with pytest.raises(BudgetExceeded) as caught:
            await second.ai.generate("Hi", **CALL)
    assert caught.value.details["left"] == pytest.approx((BOUND - COST) / 1e9)


async def test_what_is_enforced_is_what_is_billed(any_house: House) -> None:
    """LiteLLM 40050: 111 dollars were enforced, and 55 spent."""
    await any_house.budget(limit_nano_usd=3 * BOUND)
    with pytest.raises(BudgetExceeded) as caught:
        for _ in range(9):
            await any_house.ai.generate("Hi", **CALL)
    billed = sum(row["cost_nano_usd"] for row in await any_house.rows())
    assert billed > 0
    assert caught.value.details["left"] == pytest.approx((3 * BOUND - billed) / 1e9)


async def test_a_stream_that_is_left_gives_its_hold_back(any_house: House, simulator: Simulator) -> None:
    """LiteLLM PR 38111: a route never released what it had reserved."""
    await any_house.budget(limit_nano_usd=BOUND)
    simulator.script({"text": "word " * 50, "chunks": 50, "chunk_delay_s": 0.02})
    async with any_house.ai.generate_stream("Hi", **CALL) as stream:
        async for event in stream:
            if event.content:
                break
    row = await any_house.row()
    assert (row["state"], row["usage_source"]) == ("settled", "estimated")
    assert row["cost_nano_usd"] < COST
    assert await any_house.ai.generate("Hi", model="gpt-4.1", max_tokens=20)


async def test_a_hold_is_refused_and_never_made_smaller_to_fit(any_house: House, simulator: Simulator) -> None:
    """LiteLLM PR 26845: what did not fit was reserved in part, and let through."""
    await any_house.budget(limit_nano_usd=BOUND // 2)
    with pytest.raises(BudgetExceeded):
        await any_house.ai.generate("Hi", **CALL)
    assert (simulator.requests, await any_house.rows()) == ([], [])


async def test_no_budget_in_usd_measures_a_meter_that_never_moves(
    database_url: str, settings: Callable[..., Settings], simulator: Simulator
) -> None:
    """open-bank-oss 3298, LiteLLM PR 36561: a model without a price passed under three budgets as free."""
    async with opened(database_url, settings(ai_openai_compatible_models=[{"id": "unpriced"}])) as house:
        for scope in ("all", "model", "provider"):
            await house.budget(scope=scope, limit_nano_usd=10**12)
        with pytest.raises(UnpricedModel) as caught:
            await house.ai.generate("Hi", model="unpriced", max_tokens=10)
    assert (caught.value.status, simulator.requests) == (402, [])


async def test_a_budget_that_warns_says_that_a_model_has_no_price(
    sqlite_url: str, settings: Callable[..., Settings]
) -> None:
    """LiteLLM PR 35914: 1.16 dollars were logged, and about 185 spent, without a word."""
    async with opened(sqlite_url, settings(ai_openai_compatible_models=[{"id": "unpriced"}])) as house:
        await house.budget(limit_nano_usd=10**12, hard=False)
        result = await house.ai.generate("Hi", model="unpriced", max_tokens=20)
        row = await house.row()
    assert [warning["code"] for warning in result.warnings] == ["UNPRICED_MODEL"]
    assert (result.cost, row["cost_nano_usd"], row["price_state"]) == (None, None, "unknown")
