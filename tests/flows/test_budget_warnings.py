"""Flows that react when a budget that only warns is passed."""

from uuid import uuid4

import sqlalchemy as sa

from datastead.data import system
from tests.flows.conftest import House

FLOW = {
    "name": "Tell finance",
    "trigger": "event",
    "options": {"type": "action", "scope": ["ai.budget.warning"]},
    "operations": [{"id": "say", "operation": "transform", "options": {"json": "{{ $trigger.payload.message }}"}}],
}


async def test_a_flow_runs_once_when_a_budget_is_passed_and_the_calls_go_on(house: House) -> None:
    await house.apply(FLOW)
    budget = {"id": str(uuid4()), "name": "team", "scope": "all", "window": "total", "limit_tokens": 1, "hard": False,
              "created_at": house.services.clock()}  # fmt: skip
    await house.services.database.write(lambda transaction: transaction.execute(sa.insert(system.budgets), budget))
    for _ in range(3):
        result = await house.services.ai.generate("Hello", model="gpt-4.1", max_tokens=20)
        assert result.warnings
    (run,) = await house.ended(1)
    assert run["status"] == "resolved"
    assert run["trigger_data"]["payload"]["name"] == "team"
    await house.services.ai.generate("Hello", model="gpt-4.1", max_tokens=20)
    assert len(await house.runs()) == 1
