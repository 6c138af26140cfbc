"""Who watches model calls is told of each attempt once, and cannot break one."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from datastead import Settings
from datastead.errors import BudgetExceeded
from datastead.testing import Simulator

from .conftest import opened


class Notes:
    """Writes down what it is told, in words."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def begun(self, attempt: Any) -> None:
        self.told.append(("begun", attempt.id))

    def ended(self, attempt: Any, settlement: Any) -> None:
        self.told.append((settlement.state, attempt.id))

    def refused(self, plan: Any, error: Any) -> None:
        self.told.append(("refused", error.code))

    def reused(self, target: Any, result: Any) -> None:
        self.told.append(("reused", result.call))


async def test_an_observer_is_told_of_each_attempt_and_of_its_end_once(
    sqlite_url: str, settings: Callable[..., Settings], simulator: Simulator
) -> None:
    notes = Notes()
    simulator.script({"kind": "unavailable", "retry_after_s": 0})
    async with opened(sqlite_url, settings(), observers=[notes]) as house:
        result = await house.ai.generate("Hello", model="gpt-4.1")
    (_, first), *_, (_, last) = notes.told
    assert notes.told == [("begun", first), ("failed", first), ("begun", last), ("settled", last)]
    assert last == result.call != first


async def test_an_observer_is_told_once_of_a_stream_that_is_left(
    sqlite_url: str, settings: Callable[..., Settings], simulator: Simulator
) -> None:
    notes = Notes()
    simulator.default({"text": "word " * 50, "chunk_delay_s": 0.01})
    async with (
        opened(sqlite_url, settings(), observers=[notes]) as house,
        house.ai.generate_stream("Hello", model="gpt-4.1") as stream,
    ):
        async for event in stream:
            if event.content:
                break
    call = stream.call
    assert notes.told == [("begun", call), ("settled", call)]


async def test_an_observer_is_told_of_refusals_and_of_answers_that_cost_nothing(
    sqlite_url: str, settings: Callable[..., Settings]
) -> None:
    notes = Notes()
    async with opened(sqlite_url, settings(), observers=[notes]) as house:
        paid = await house.ai.generate("Hello", model="gpt-4.1", key="once", max_tokens=50)
        await house.ai.generate("Hello", model="gpt-4.1", key="once", max_tokens=50)
        await house.budget(limit_nano_usd=1)
        with pytest.raises(BudgetExceeded):
            await house.ai.generate("Hello", model="gpt-4.1", max_tokens=50)
    assert notes.told[2:] == [("reused", paid.call), ("refused", "BUDGET_EXCEEDED")]


async def test_an_observer_that_fails_fails_no_call(
    sqlite_url: str, settings: Callable[..., Settings], caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Notes):
        def begun(self, attempt: Any) -> None:
            raise KeyError("broken")

    async with opened(sqlite_url, settings(), observers=[Broken(), notes := Notes()]) as house:
        with caplog.at_level(logging.ERROR):
            assert (await house.ai.generate("Hello", model="claude-haiku-4-5")).content
    assert [what for what, _ in notes.told] == ["begun", "settled"]
    assert "An observer of model calls failed." in caplog.text
