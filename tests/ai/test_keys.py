"""Calls with a key: one bill a key, whatever dies in between."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from datastead import Settings
from datastead.context import system_clock
from datastead.data import system
from datastead.data.engine import Database
from datastead.errors import AIError, CallInDoubt, InvalidRequest
from datastead.testing.simulator import Simulator
from tests.ai.conftest import KEY, House, opened

CHILD = """
import asyncio, sys
from datastead import AI, Registry, Settings
from datastead.data.engine import Database

async def main(url, base_url):
    settings = Settings(ai_openai_enabled=True, ai_openai_api_key="k", ai_openai_base_url=base_url)
    database = Database.open(url)
    await database.start()
    ai = AI(settings, database=database, registry=Registry(("datastead.builtin",)))
    await ai.generate("Hello", model="gpt-4.1", key="step-1")

asyncio.run(main(*sys.argv[1:]))
"""


async def test_the_same_key_gives_the_same_answer_and_one_bill(any_house: House, simulator: Simulator) -> None:
    first = await any_house.ai.generate("Hello", model="gpt-4.1", key="step-1")
    second = await any_house.ai.generate("Hello", model="gpt-4.1", key="step-1")
    assert (second, len(simulator.requests), len(await any_house.rows())) == (first, 1, 1)


async def test_a_stream_with_a_key_is_answered_from_the_ledger_too(any_house: House, simulator: Simulator) -> None:
    first = await any_house.ai.generate_stream("Hello", model="gpt-4.1", key="step-1").collect()
    stream = any_house.ai.generate_stream("Hello", model="gpt-4.1", key="step-1")
    said = "".join([event.content async for event in stream])
    assert (said, stream.result, len(simulator.requests)) == (first.content, first, 1)


async def test_tool_calls_and_reasoning_come_back_whole(
    database_url: str, settings: Callable[..., Settings], simulator: Simulator
) -> None:
    simulator.script({"reasoning": "Let me see.", "tool": "weather", "arguments": {"city": "Bern"}})
    async with opened(database_url, settings()) as house:
        first = await house.ai.generate("?", model="claude-opus-4-5", key="k", enable_reasoning=True)
        again = await house.ai.generate("?", model="claude-opus-4-5", key="k", enable_reasoning=True)
    assert first.reasoning_parts != ()
    assert again == first


async def test_two_that_ask_at_once_with_one_key_pay_once(any_house: House, simulator: Simulator) -> None:
    simulator.default({"delay_s": 0.1})
    results = await asyncio.gather(*(any_house.ai.generate("Hello", model="gpt-4.1", key="step-1") for _ in range(5)))
    assert len({result.call for result in results}) == 1
    assert len(simulator.requests) == 1


async def test_a_call_that_failed_is_made_again(any_house: House, simulator: Simulator) -> None:
    simulator.script({"kind": "bad-key"})
    with pytest.raises(AIError):
        await any_house.ai.generate("Hello", model="gpt-4.1", key="step-1")
    await any_house.ai.generate("Hello", model="gpt-4.1", key="step-1")
    rows = await any_house.rows()
    assert [(row["attempt"], row["state"]) for row in rows] == [(1, "failed"), (2, "settled")]


async def test_an_answer_is_let_go_in_the_transaction_that_saves_it(any_house: House) -> None:
    await any_house.ai.generate("Hello", model="gpt-4.1", key="step-1")
    transaction = any_house.database.transaction()
    await any_house.ai.release("step-1", await transaction.__aenter__())
    await transaction.__aexit__(InvalidRequest, InvalidRequest(), None)
    assert await answers(any_house.database) == ["step-1"]
    async with any_house.database.transaction() as connection:
        await any_house.ai.release("step-1", connection)
    assert await answers(any_house.database) == []


async def test_a_key_whose_answer_was_let_go_is_not_paid_again_without_leave(any_house: House) -> None:
    await any_house.ai.generate("Hello", model="gpt-4.1", key="step-1")
    await any_house.ai.release("step-1")
    with pytest.raises(CallInDoubt):
        await any_house.ai.generate("Hello", model="gpt-4.1", key="step-1", in_doubt="reject")


@pytest.mark.parametrize("policy", ["retry", "reject"])
async def test_a_call_whose_process_was_killed_is_in_doubt(
    database_url: str, settings: Callable[..., Settings], simulator: Simulator, policy: Any
) -> None:
    async with opened(database_url, settings()):
        pass  # makes the tables
    await kill_in_the_middle(database_url, simulator)
    async with opened(database_url, settings()) as house:
        (row,) = await house.rows()
        assert (row["state"], row["held_nano_usd"] > 0, row["cost_nano_usd"]) == ("in_doubt", True, None)
        if policy == "reject":
            with pytest.raises(CallInDoubt) as caught:
                await house.ai.generate("Hello", model="gpt-4.1", key="step-1", in_doubt=policy)
            assert caught.value.details["call"] == row["id"]
        else:
            await house.ai.generate("Hello", model="gpt-4.1", key="step-1", in_doubt=policy)
        states = [(each["attempt"], each["state"]) for each in await house.rows()]
    assert states == [(1, "in_doubt"), *([(2, "settled")] if policy == "retry" else [])]


async def test_a_killed_call_is_found_without_a_restart(
    sqlite_url: str, settings: Callable[..., Settings], simulator: Simulator
) -> None:
    async with opened(sqlite_url, settings()) as house:
        await kill_in_the_middle(sqlite_url, simulator)
        await house.ai.generate("Hello", model="gpt-4.1", key="step-1")
        states = [row["state"] for row in await house.rows()]
    assert states == ["in_doubt", "settled"]


async def test_what_another_machine_held_is_in_doubt_when_its_lease_has_passed(
    any_house: House, settings: Callable[..., Settings]
) -> None:
    await any_house.ai.generate("Hello", model="gpt-4.1")
    now = system_clock()
    held = sa.update(system.ai_calls).values(
        state="held", owner="another:1:abcd", lease_until=now + timedelta(seconds=30)
    )
    await any_house.database.write(lambda transaction: transaction.execute(held))
    async with opened(any_house.url, settings()):
        assert (await any_house.row())["state"] == "held"
    later = now + timedelta(seconds=31)
    async with opened(any_house.url, settings(), clock=lambda: later):
        assert (await any_house.row())["state"] == "in_doubt"


async def kill_in_the_middle(url: str, simulator: Simulator) -> None:
    """A process of its own makes a call with the key `step-1`, and is killed while it waits for the answer."""
    simulator.script({"delay_s": 30})
    seen = len(simulator.requests)
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, url, simulator.base_url("openai"), env={**os.environ, "KEY": KEY}
    )
    async with asyncio.timeout(20):
        while len(simulator.requests) == seen:  # noqa: ASYNC110  it changes in another thread
            await asyncio.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    await child.wait()


async def answers(database: Database) -> list[str]:
    query = sa.select(system.ai_answers.c.key)
    return await database.read(lambda transaction: list(transaction.execute(query).scalars()))
