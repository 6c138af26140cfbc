"""An endpoint that fails again and again is left alone for a while."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from datastead import Settings
from datastead.ai.breaker import FAILURES, PAUSE
from datastead.context import system_clock
from datastead.errors import AIError
from datastead.testing.simulator import Simulator
from tests.ai.conftest import House, opened

DOWN = {"model": "gpt-4.1", "kind": "unavailable", "retry_after_s": 0, "times": FAILURES}


class Watch:
    """A clock that can be put forward."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return system_clock() + self.ahead


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
async def house(sqlite_url: str, settings: Callable[..., Settings], watch: Watch) -> AsyncIterator[House]:
    async with opened(sqlite_url, settings(), clock=watch) as house:
        yield house


async def failure(house: House, **options: Any) -> AIError:
    with pytest.raises(AIError) as caught:
        await house.ai.generate("Hello", model="gpt-4.1", **options)
    return caught.value


async def broken(house: House, simulator: Simulator) -> None:
    simulator.script(DOWN)
    await failure(house)
    await failure(house)
    assert len(simulator.requests) == FAILURES


async def test_after_some_failures_in_a_row_nothing_is_sent_and_the_wait_is_told(
    house: House, simulator: Simulator
) -> None:
    await broken(house, simulator)
    error = await failure(house)
    assert (error.code, error.details["breaker"]) == ("PROVIDER_UNAVAILABLE", "open")
    assert 0 < (error.retry_after_s or 0) <= PAUSE.total_seconds()
    assert len(simulator.requests) == FAILURES
    assert len(await house.rows()) == FAILURES
    assert house.ai.breakers() == {"openai": "open"}


async def test_an_open_breaker_goes_to_the_fallback_at_once(house: House, simulator: Simulator) -> None:
    await broken(house, simulator)
    result = await house.ai.generate("Hello", model="gpt-4.1", fallbacks=["claude-haiku-4-5"])
    made = [(each.provider, each.code, each.call is None) for each in result.attempts]
    assert made == [("openai", "PROVIDER_UNAVAILABLE", True), ("anthropic", None, False)]


async def test_other_endpoints_are_not_touched(house: House, simulator: Simulator) -> None:
    await broken(house, simulator)
    assert (await house.ai.generate("Hello", model="gemini-2.5-flash")).content


@pytest.mark.parametrize("stream", [False, True])
async def test_after_the_pause_one_call_is_let_through_and_closes_it(
    house: House, simulator: Simulator, watch: Watch, stream: bool
) -> None:
    await broken(house, simulator)
    watch.ahead += PAUSE
    assert house.ai.breakers() == {"openai": "half-open"}
    simulator.script({"text": "Back again.", "delay_s": 0.2})
    if stream:
        await house.ai.generate_stream("Hello", model="gpt-4.1").collect()
    else:
        probe = asyncio.create_task(house.ai.generate("Hello", model="gpt-4.1"))
        await until(lambda: len(simulator.requests) > FAILURES)
        assert (await failure(house)).details["breaker"] == "open"
        await probe
    assert house.ai.breakers() == {}
    assert (await house.ai.generate("Hello", model="gpt-4.1")).content


async def test_a_probe_that_fails_opens_it_again(house: House, simulator: Simulator, watch: Watch) -> None:
    await broken(house, simulator)
    watch.ahead += PAUSE
    simulator.script(DOWN)
    await failure(house)
    assert len(simulator.requests) == FAILURES + 1
    assert house.ai.breakers() == {"openai": "open"}


async def test_a_probe_that_is_never_heard_of_makes_way_for_another(
    house: House, simulator: Simulator, watch: Watch
) -> None:
    await broken(house, simulator)
    watch.ahead += PAUSE
    simulator.script({"delay_s": 30})
    probe = asyncio.create_task(house.ai.generate("Hello", model="gpt-4.1"))
    await until(lambda: len(simulator.requests) > FAILURES)
    probe.cancel()
    watch.ahead += PAUSE
    assert (await house.ai.generate("Hello", model="gpt-4.1")).content


@pytest.mark.parametrize("kind", ["bad-key", "rate-limit", "context-length", "quota"])
async def test_refusals_do_not_open_it(house: House, simulator: Simulator, kind: str) -> None:
    simulator.script({"kind": kind, "times": 0, "retry_after_s": 1000})
    for _ in range(FAILURES + 1):
        await failure(house)
    assert house.ai.breakers() == {}


async def test_a_success_between_starts_the_count_anew(house: House, simulator: Simulator) -> None:
    for _ in range(2):
        simulator.script({**DOWN, "times": 3})
        await failure(house)
        await house.ai.generate("Hello", model="gpt-4.1")
    assert house.ai.breakers() == {}


async def test_impatient_callers_do_not_open_it(house: House, simulator: Simulator) -> None:
    simulator.script({"delay_s": 5, "times": FAILURES + 1})
    errors = await asyncio.gather(*(failure(house, timeout_s=0.2) for _ in range(FAILURES + 1)))
    assert {error.code for error in errors} == {"TIMEOUT"}
    assert house.ai.breakers() == {}


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  it changes in another thread
            await asyncio.sleep(0.01)
