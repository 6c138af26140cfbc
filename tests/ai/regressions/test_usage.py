"""Tokens and cost per run, user and step: what users of peers asked for again and again, one test each."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from datastead.ai.usage import UsageQuery, usage
from datastead.testing.simulator import Simulator
from tests.flows.conftest import ADMIN, House, open_house

FLOW = {
    "name": "Two calls",
    "trigger": "manual",
    "options": {"collections": ["directus_users"], "requireSelection": False},
    "operations": [
        {
            "id": "first", "operation": "ai-generate", "resolve": "second",
            "options": {"provider": "openai", "model": "gpt-4.1", "prompt": "One", "maxTokens": 50},
        },
        {
            "id": "second", "operation": "ai-generate", "resolve": "bill",
            "options": {"provider": "openai", "model": "gpt-4.1-mini", "prompt": "Two", "maxTokens": 50},
        },
        {"id": "bill", "operation": "transform", "options": {"json": {"first": "{{ first }}", "last": "{{ $last }}"}}},
    ],
}  # fmt: skip


async def billed(house: House, *group_by: str, **filters: str) -> list[dict[str, Any]]:
    return await usage(house.ctx, UsageQuery(group_by=group_by, filters=filters))


@pytest.fixture
async def house(database_url: str, simulator: Simulator) -> AsyncIterator[House]:
    async with open_house(database_url, simulator) as house:
        yield house


@pytest.fixture
async def bill(house: House) -> dict[str, Any]:
    """What the flow's last operation saw of the two calls before it."""
    flow = await house.apply(FLOW)
    await house.call(flow, {"collection": "directus_users", "keys": []})
    (run,) = await house.ended(1)
    found: dict[str, Any] = run["steps"][-1]["output"]
    return found


async def test_an_operation_gives_its_tokens_and_its_cost(bill: dict[str, Any]) -> None:
    """n8n PR 22260, Dify 6293: the next node could not see what the last one had used."""
    for step in (bill["first"], bill["last"]):
        assert step["usage"]["total"] > 0
        assert step["cost"] > 0


async def test_a_run_has_one_bill_that_is_the_sum_of_its_steps(house: House, bill: dict[str, Any]) -> None:
    """n8n 26301, Dify 12515: what one execution had cost was nowhere to be found."""
    (run,) = await house.runs()
    (whole,) = await billed(house, "run")
    steps = await billed(house, "step", run=run["id"])
    assert (whole["run"], whole["calls"]) == (run["id"], 2)
    assert sorted(step["calls"] for step in steps) == [1, 1]
    assert whole["cost_nano_usd"] == sum(step["cost_nano_usd"] for step in steps)
    assert whole["cost_nano_usd"] / 1e9 == pytest.approx(bill["first"]["cost"] + bill["last"]["cost"])


async def test_what_a_user_a_flow_and_a_model_have_cost_is_one_question_each(
    house: House,
    bill: dict[str, Any],
) -> None:
    """Dify 8873, 16870: usage was shown by app alone, and not by who had asked."""
    (user,) = await billed(house, "user")
    (flow,) = await billed(house, "flow")
    models = await billed(house, "model")
    assert (user["user"], user["calls"], flow["calls"]) == (ADMIN.user, 2, 2)
    assert {row["model"] for row in models} == {"gpt-4.1", "gpt-4.1-mini"}
    assert user["cost_nano_usd"] == flow["cost_nano_usd"] == sum(row["cost_nano_usd"] for row in models)
