"""Fallback across providers: on what, before what, and to whom. Peers: Dify 4976, 6921, 7026."""

from collections.abc import Callable
from typing import Any

import pytest

from datastead import Settings
from datastead.errors import AIError, InvalidRequest, ModelNotFound, ProviderUnavailable
from datastead.messages import Attachment
from datastead.testing.simulator import Simulator
from tests.ai.conftest import House, opened

HAIKU = {"model": "claude-haiku-4-5", "provider": "anthropic"}
DOWN = {"model": "gpt-4.1", "kind": "unavailable", "retry_after_s": 0, "times": 0}
PNG = Attachment("image/png", data=b"\x89PNG\r\n\x1a\n")


async def ask(house: House, stream: bool = False, **options: Any) -> Any:
    given = {"model": "gpt-4.1", "fallbacks": [HAIKU], **options}
    return await (house.ai.generate_stream("Hi", **given).collect() if stream else house.ai.generate("Hi", **given))


async def failure(house: House, stream: bool = False, **options: Any) -> AIError:
    with pytest.raises(AIError) as caught:
        await ask(house, stream, **options)
    return caught.value


@pytest.mark.parametrize("stream", [False, True])
async def test_the_next_provider_answers_and_each_attempt_is_priced_for_its_own_model(
    any_house: House, simulator: Simulator, stream: bool
) -> None:
    simulator.script([DOWN, {"model": "claude-haiku-4-5", "text": "Hello.", "usage": {"input": 1000, "output": 10}}])
    result = await ask(any_house, stream)
    rows = await any_house.rows()
    assert (result.content, result.provider, result.model) == ("Hello.", "anthropic", "claude-haiku-4-5")
    assert [(row["provider"], row["state"], row["attempt"]) for row in rows] == [
        ("openai", "failed", 1), ("openai", "failed", 2), ("openai", "failed", 3), ("anthropic", "settled", 4),
    ]  # fmt: skip
    assert [tuple(made) for made in result.attempts] == [
        *(("openai", "gpt-4.1", "PROVIDER_UNAVAILABLE", row["id"]) for row in rows[:3]),
        ("anthropic", "claude-haiku-4-5", None, rows[3]["id"]),
    ]
    assert (result.cost_nano_usd, rows[3]["cost_nano_usd"]) == (1000 * 1000 + 10 * 5000,) * 2


@pytest.mark.parametrize("kind", ["bad-key", "quota"])
async def test_an_account_that_is_no_good_is_not_asked_twice(house: House, simulator: Simulator, kind: str) -> None:
    simulator.script({"model": "gpt-4.1", "kind": kind, "times": 0})
    result = await ask(house)
    assert [made.provider for made in result.attempts] == ["openai", "anthropic"]


@pytest.mark.parametrize("kind", ["context-length", "model-not-found"])
async def test_what_is_wrong_with_the_call_is_not_paid_elsewhere(house: House, simulator: Simulator, kind: str) -> None:
    simulator.script({"model": "gpt-4.1", "kind": kind, "times": 0})
    await failure(house)
    assert {row["provider"] for row in await house.rows()} == {"openai"}


async def test_nothing_is_asked_again_after_the_first_token(house: House, simulator: Simulator) -> None:
    simulator.script({"model": "gpt-4.1", "kind": "cut", "text": "one two three four", "chunks": 4, "after_chunks": 2})
    error = await failure(house, stream=True)
    assert error.code == "PROVIDER_UNAVAILABLE"
    assert [row["provider"] for row in await house.rows()] == ["openai"]


async def test_a_model_that_cannot_take_the_call_is_passed_over_and_said_so(
    sqlite_url: str, settings: Callable[..., Settings], simulator: Simulator
) -> None:
    models = [
        {"id": "blind", "attachment": False, "cost": {"input": 0, "output": 0}},
        {"id": "small", "context": 2000, "output": 100, "attachment": True, "cost": {"input": 0, "output": 0}},
    ]
    simulator.script(DOWN)
    async with opened(sqlite_url, settings(ai_openai_compatible_models=models)) as house:
        options = {"attachments": [PNG], "system": "word " * 30_000, "model": "gpt-4.1"}
        result = await ask(house, **options, fallbacks=["blind", "small", HAIKU])
        error = await failure(house, **options, fallbacks=["blind", "small"])
    passed_over = [("blind", "UNSUPPORTED_CAPABILITY"), ("small", "CONTEXT_LENGTH_EXCEEDED")]
    assert result.model == "claude-haiku-4-5"
    assert [(made.model, made.code) for made in result.attempts if made.call is None] == passed_over
    assert [(each["model"], each["code"]) for each in error.details["skipped"]] == passed_over
    assert error.code == "PROVIDER_UNAVAILABLE"
    assert "takes no attachments" in error.message


async def test_a_fallback_has_to_be_covered_by_the_budget_of_its_own_model(
    any_house: House, simulator: Simulator
) -> None:
    await any_house.budget(scope="model", scope_id="claude-haiku-4-5", limit_nano_usd=1)
    simulator.script(DOWN)
    error = await failure(any_house, max_tokens=50)
    result = await ask(any_house, max_tokens=50, fallbacks=[HAIKU, "gemini-2.5-flash"])
    assert (error.code, error.details["provider"]) == ("PROVIDER_UNAVAILABLE", "openai")
    assert [each["code"] for each in error.details["skipped"]] == ["BUDGET_EXCEEDED"]
    assert result.provider == "google"


async def test_where_all_fail_the_error_is_that_of_the_model_asked_for_with_all_attempts(
    house: House, simulator: Simulator
) -> None:
    simulator.script([{**DOWN, "kind": "rate-limit"}, {"model": "claude-haiku-4-5", "kind": "bad-key", "times": 0}])
    error = await failure(house)
    assert error.code == "RATE_LIMIT_EXCEEDED"
    codes = [(each["provider"], each["code"]) for each in error.details["attempts"]]
    assert codes == [("openai", "RATE_LIMIT_EXCEEDED")] * 3 + [("anthropic", "INVALID_API_KEY")]


async def test_nobody_waits_long_for_a_provider_where_another_could_answer(house: House, simulator: Simulator) -> None:
    simulator.script({"model": "gpt-4.1", "kind": "rate-limit", "retry_after_s": 45, "times": 0})
    result = await ask(house, timeout_s=100)
    assert [made.provider for made in result.attempts] == ["openai", "anthropic"]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_that_hangs_leaves_time_for_the_next(house: House, simulator: Simulator, stream: bool) -> None:
    simulator.script({"model": "gpt-4.1", "delay_s": 30})
    result = await ask(house, stream, timeout_s=3)
    assert [(made.provider, made.code) for made in result.attempts] == [("openai", "TIMEOUT"), ("anthropic", None)]


async def test_a_stream_that_has_begun_has_all_the_time(house: House, simulator: Simulator) -> None:
    simulator.script({"model": "gpt-4.1", "text": "a b c d", "chunks": 4, "chunk_delay_s": 0.4})
    result = await ask(house, stream=True, timeout_s=4)
    assert [made.provider for made in result.attempts] == ["openai"]


async def test_what_may_have_been_paid_is_not_paid_elsewhere_where_that_is_the_policy(
    house: House, simulator: Simulator
) -> None:
    simulator.script({"model": "gpt-4.1", "delay_s": 30})
    error = await failure(house, timeout_s=2, in_doubt="reject")
    assert (error.code, [row["state"] for row in await house.rows()]) == ("TIMEOUT", ["in_doubt"])


async def test_a_wrong_name_is_found_out_before_the_day_it_is_needed(house: House, simulator: Simulator) -> None:
    with pytest.raises(ModelNotFound):
        await ask(house, fallbacks=[{"model": "gtp-9", "provider": "openai"}])
    with pytest.raises(InvalidRequest):
        await ask(house, fallbacks=[{"model": "claude-haiku-4-5", "provider": "antropic"}])
    assert not simulator.requests


async def test_a_fallback_that_is_not_configured_here_is_passed_over(
    sqlite_url: str, settings: Callable[..., Settings], simulator: Simulator
) -> None:
    simulator.script(DOWN)
    async with opened(sqlite_url, settings(ai_anthropic_enabled=False)) as house:
        result = await ask(house, fallbacks=[HAIKU, "gemini-2.5-flash"])
    assert ("claude-haiku-4-5", "PROVIDER_NOT_CONFIGURED") in [(made.model, made.code) for made in result.attempts]
    assert result.provider == "google"


async def test_a_keyed_call_is_answered_by_its_fallback_once(any_house: House, simulator: Simulator) -> None:
    simulator.script(DOWN)
    first = await ask(any_house, key="k")
    again = await ask(any_house, key="k")
    assert (again.call, again.provider, again.attempts) == (first.call, "anthropic", first.attempts)
    assert len(await any_house.rows()) == 4


async def test_without_fallbacks_the_error_is_the_last_one(house: House, simulator: Simulator) -> None:
    simulator.script(DOWN)
    with pytest.raises(ProviderUnavailable) as caught:
        await house.ai.generate("Hi", model="gpt-4.1")
    assert len(caught.value.details["attempts"]) == 3
