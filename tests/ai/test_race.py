"""A cap under real processes that race for it, and are killed: never over, and nearly all of it can be used."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from datastead import Settings
from datastead.data import system
from datastead.errors import BudgetExceeded
from datastead.testing.simulator import Simulator
from tests.ai.conftest import House, opened
from tests.ai.racing import CALL
from tests.flows.conftest import eventually

ROOT = Path(__file__).parents[2]
USD = 1_000_000_000
BOUND = 5_000_000
"""More than what one call can cost, in nano-USD: its prompt and 500 tokens of output."""


@dataclass(frozen=True)
class Size:
    """How many processes make how many calls each; the cap in nano-USD."""

    processes: int
    calls: int
    cap: int


@pytest.mark.parametrize("size", [
    Size(processes=2, calls=50, cap=USD // 8),
    pytest.param(Size(processes=4, calls=125, cap=USD), marks=pytest.mark.full),
])  # fmt: skip
async def test_processes_that_race_for_a_cap_and_are_killed_never_pass_it_and_can_use_it(
    database_url: str, settings: Callable[..., Settings], simulator: Simulator, size: Size
) -> None:
    cap = size.cap
    simulator.default({"delay_s": 1.0, "usage": {"input": 60, "output": 400}})
    async with opened(database_url, settings()) as house:
        await house.budget(limit_nano_usd=cap)
        await race(house, simulator, size)
    later = datetime.now(UTC) + timedelta(seconds=31)
    simulator.default({"usage": {"input": 60, "output": 400}})
    async with opened(database_url, settings(), clock=lambda: later) as house:
        states = Counter(row["state"] for row in await house.rows())
        assert states["held"] == 0
        assert states["in_doubt"] > 0
        in_doubt = sum(row["held_nano_usd"] for row in await house.rows(state="in_doubt"))
        await use_the_rest(house, cap)
        settled = sum(row["cost_nano_usd"] for row in await house.rows(state="settled"))
    assert settled + in_doubt <= cap
    assert settled + BOUND > cap - in_doubt  # what is left does not hold one call more
    assert cap < USD or settled >= 0.95 * (cap - in_doubt)


async def race(house: House, simulator: Simulator, size: Size) -> None:
    """Starts the processes, kills one in the middle of its calls, starts another, and looks at the sum meanwhile."""
    running = [start(house.url, simulator, size.calls) for _ in range(size.processes)]
    try:
        victim = await at_work(house, running, size.cap)
        victim.kill()
        victim.communicate()
        running = [process for process in running if process is not victim]
        running.append(start(house.url, simulator, size.calls))

        async def has_ended() -> bool | None:
            assert await promised(house) <= size.cap
            return True if all(process.poll() is not None for process in running) else None

        await eventually(has_ended, timeout_s=180)
        said = [line for process in running for line in process.communicate()[0].splitlines()]
    finally:
        for process in running:
            process.kill()
            process.wait()
    outcomes = Counter(said)
    assert set(outcomes) <= {"ready", "paid", "BUDGET_EXCEEDED"}, outcomes
    assert outcomes["ready"] == size.processes
    assert outcomes["paid"] + outcomes["BUDGET_EXCEEDED"] == size.processes * size.calls


async def at_work(house: House, running: "list[subprocess.Popen[str]]", cap: int) -> "subprocess.Popen[str]":
    """A process that has some calls under way, as soon as there is one."""

    async def found() -> "subprocess.Popen[str] | None":
        assert await promised(house) <= cap
        for process in running:
            if await held_by(house, process.pid) >= 5:
                return process
        return None

    process: subprocess.Popen[str] = await eventually(found, timeout_s=60)
    return process


def start(url: str, simulator: Simulator, calls: int) -> "subprocess.Popen[str]":
    given = {"url": url, "base_url": simulator.base_url("openai"), "calls": calls}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.ai.racing"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    process.stdin.write(json.dumps(given))
    process.stdin.close()
    process.stdin = None
    return process


async def promised(house: House) -> int:
    """What is settled, and what is held for calls that are not over."""
    calls = system.ai_calls.c
    open_call = calls.state.in_(("held", "in_doubt"))
    amount = sa.case((open_call, calls.held_nano_usd), else_=sa.func.coalesce(calls.cost_nano_usd, 0))
    return int(await value(house, sa.select(sa.func.coalesce(sa.func.sum(amount), 0))))


async def held_by(house: House, pid: int) -> int:
    calls = system.ai_calls.c
    held = sa.select(sa.func.count()).where(calls.state == "held", calls.owner.like(f"another-machine:{pid}:%"))
    return int(await value(house, held))


async def value(house: House, query: sa.Select[Any]) -> Any:
    return await house.database.read(lambda transaction: transaction.execute(query).scalar_one())


async def use_the_rest(house: House, cap: int) -> None:
    """Calls one after another until one is refused: which is when it would not fit, and not before."""
    while True:
        before = await promised(house)
        try:
            await house.ai.generate("Hello", **CALL)
        except BudgetExceeded as refusal:
            assert refusal.details["left"] == pytest.approx((cap - before) / USD)
            assert refusal.details["needed"] > refusal.details["left"]
            return
