"""Calls of processes that die while this one lives."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import sqlalchemy as sa

from datastead.ai.ledger import Ledger
from datastead.ai.sweeps import Sweeps
from datastead.data import system
from tests.ai.conftest import House
from tests.flows.conftest import eventually


async def test_what_a_process_of_another_machine_held_is_in_doubt_when_its_lease_is_over(any_house: House) -> None:
    now = datetime.now(UTC)
    ends = {"gone": now - timedelta(seconds=1), "alive": now + timedelta(seconds=60)}
    for name, lease in ends.items():
        row = {"id": str(uuid4()), "state": "held", "provider": "p", "model": name, "owner": f"other:1:{name}",
               "lease_until": lease, "created_at": now}  # fmt: skip
        await any_house.database.write(
            lambda transaction, row=row: transaction.execute(sa.insert(system.ai_calls).values(**row))
        )
    sweeps = Sweeps(Ledger(any_house.database, lambda: datetime.now(UTC)), answers_ttl_s=60, every_s=0.02)

    async def in_doubt() -> list[str] | None:
        return [row["model"] for row in await any_house.rows(state="in_doubt")] or None

    assert await eventually(in_doubt) == ["gone"]
    await sweeps.stop()
    assert [row["model"] for row in await any_house.rows(state="held")] == ["alive"]


async def test_the_answers_kept_for_callers_over_http_go_after_their_time_and_those_of_steps_stay(
    any_house: House,
) -> None:
    now = datetime.now(UTC)
    ages = {"http:anna:old": 61, "http:anna:new": 1, "run:1": 61, "HTTP:2": 61}
    for key, age_s in ages.items():
        row = {"key": key, "call": str(uuid4()), "answer": {}, "created_at": now - timedelta(seconds=age_s)}
        await any_house.database.write(
            lambda transaction, row=row: transaction.execute(sa.insert(system.ai_answers).values(**row))
        )
    sweeps = Sweeps(Ledger(any_house.database, lambda: datetime.now(UTC)), answers_ttl_s=60, every_s=0.02)
    query = sa.select(system.ai_answers.c.key)

    async def kept() -> set[str] | None:
        rows = await any_house.database.read(lambda transaction: transaction.execute(query).scalars().all())
        return None if len(rows) == len(ages) else set(rows)

    assert await eventually(kept) == {"http:anna:new", "run:1", "HTTP:2"}
    await sweeps.stop()
