"""Conversations and options over the four wire formats: the simulator refuses what the vendor would refuse."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from datastead import Settings
from datastead.messages import Message, ToolDefinition, ToolResult, user
from datastead.testing.simulator import Simulator
from tests.ai.conftest import House, opened

TOOL = ToolDefinition("tide_table", "Tides of a port.", {"type": "object", "properties": {"port": {"type": "string"}}})
THINKERS = [
    ("openai", "gpt-5", "'encrypted_content': 'encrypted-"),
    ("openai-compatible", "thinker", "'reasoning_content': 'I need the tables.'"),
    ("anthropic", "claude-opus-4-5", "'signature': 'signature-"),
    ("anthropic", "claude-opus-4-7", "'signature': 'signature-"),
    ("google", "gemini-2.5-pro", "'thoughtSignature': 'signature-"),
    ("google", "gemini-3-pro-preview", "'thoughtSignature': 'signature-"),
]
"""Models that reason, and what of it they want back on the next turn."""

PLAIN = [
    ("openai", "gpt-4.1"),
    ("openai-compatible", "thinker"),
    ("anthropic", "claude-haiku-4-5"),
    ("google", "gemini-2.5-flash"),
]
by_way = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@pytest.fixture
async def house(sqlite_url: str, settings: Callable[..., Settings]) -> AsyncIterator[House]:
    thinker = {"id": "thinker", "reasoning": True, "cost": {"input": 1, "output": 2}}
    async with opened(sqlite_url, settings(ai_openai_compatible_models=[thinker])) as house:
        yield house


async def ask(house: House, *, stream: bool, **options: Any) -> Any:
    return await (house.ai.generate_stream(**options).collect() if stream else house.ai.generate(**options))


@pytest.mark.parametrize("thinker", THINKERS, ids=lambda each: each[1])
@by_way
async def test_a_conversation_with_reasoning_and_parallel_tools_goes_on(
    house: House, simulator: Simulator, thinker: tuple[str, str, str], stream: bool
) -> None:
    provider, model, kept = thinker
    wanted = [{"name": "tide_table", "arguments": {"port": port}} for port in ("Oban", "Leith")]
    simulator.script([{"reasoning": "I need the tables.", "tool_calls": wanted}, {"text": "At noon."}])
    asked: dict[str, Any] = {"model": model, "provider": provider, "tools": [TOOL], "enable_reasoning": True}
    first = await ask(house, stream=stream, messages=[user("When?")], **asked)
    results = Message(
        "tool", tuple(ToolResult(call.id, call.name, '{"high": 1}') for call in reversed(first.tool_calls))
    )
    second = await ask(house, stream=stream, messages=[user("When?"), first.message, results], **asked)
    assert (first.reasoning, first.content, first.finish_reason) == ("I need the tables.", "", "tool-calls")
    assert [call.arguments for call in first.tool_calls] == [{"port": "Oban"}, {"port": "Leith"}]
    assert second.content == "At noon."
    assert kept in str(simulator.requests[-1]["json"])


@pytest.mark.parametrize(("provider", "model"), PLAIN)
@by_way
async def test_a_tool_can_be_forced_forbidden_and_named(
    house: House, simulator: Simulator, provider: str, model: str, stream: bool
) -> None:
    asked: dict[str, Any] = {"prompt": "When?", "model": model, "provider": provider, "tools": [TOOL]}
    for choice, finish in (
        ("required", "tool-calls"),
        ("tide_table", "tool-calls"),
        ("none", "stop"),
        ("auto", "stop"),
    ):
        result = await ask(house, stream=stream, tool_choice=choice, **asked)
        assert result.finish_reason == finish
    assert {request["status"] for request in simulator.requests} == {200}


@pytest.mark.parametrize(("provider", "model"), PLAIN)
@pytest.mark.parametrize("prompt_cache", ["5m", "1h"])
async def test_every_wire_takes_a_call_that_asks_for_its_prompt_to_be_kept(
    house: House, simulator: Simulator, provider: str, model: str, prompt_cache: str
) -> None:
    turns = [user("One"), Message("assistant", user("Two").parts), user("Three"), Message("assistant", user("4").parts)]
    asked: dict[str, Any] = {"system": "Be brief.", "tools": [TOOL], "messages": turns, "prompt_cache": prompt_cache}
    await house.ai.generate("Five", model=model, provider=provider, **asked)
    assert simulator.requests[-1]["status"] == 200


@pytest.mark.parametrize(
    ("provider", "model", "tier"),
    [
        *((*each, tier) for each in PLAIN if each[0] != "anthropic" for tier in ("flex", "priority")),
    ],
)
@by_way
async def test_the_tier_that_was_served_stands_in_the_ledger(
    house: House, provider: str, model: str, tier: str, stream: bool
) -> None:
    result = await ask(house, stream=stream, prompt="Hi", model=model, provider=provider, service_tier=tier)
    assert result.usage.tier == tier
    assert (await house.row())["service_tier"] == tier


@pytest.mark.parametrize(("provider", "model"), PLAIN)
async def test_parallel_tools_are_spoken_of_only_where_there_are_tools(
    house: House, simulator: Simulator, provider: str, model: str
) -> None:
    await house.ai.generate("Hi", model=model, provider=provider, parallel_tools=True)
    await house.ai.generate("Hi", model=model, provider=provider, parallel_tools=True, tools=[TOOL])
    assert [request["status"] for request in simulator.requests] == [200, 200]
