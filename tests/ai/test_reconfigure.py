"""Other providers while calls are under way."""

from collections.abc import Callable

import pytest

from datastead import Settings
from datastead.errors import ProviderNotConfigured
from datastead.testing.simulator import Simulator

from .conftest import House


async def test_a_call_under_way_goes_on_with_the_provider_it_began_with(
    house: House, settings: Callable[..., Settings], simulator: Simulator
) -> None:
    simulator.script({"text": "one two three four five six", "chunks": 6, "chunk_delay_s": 0.05})
    async with house.ai.generate_stream("Count.", model="openai:gpt-4.1") as events:
        begun = await anext(events)
        house.ai.reconfigure(settings(ai_openai_api_key="another-key", ai_google_enabled=False))
        text = begun.content + "".join([event.content async for event in events])
    assert text == "one two three four five six"
    await house.ai.generate("Again.", model="openai:gpt-4.1")
    keys = [request["headers"]["authorization"] for request in simulator.requests]
    assert keys[0] != keys[1] == "Bearer another-key"
    with pytest.raises(ProviderNotConfigured):
        await house.ai.generate("Again.", model="google:gemini-2.5-flash")


async def test_a_problem_of_a_provider_is_said_when_it_is_called(
    house: House, settings: Callable[..., Settings]
) -> None:
    house.ai.reconfigure(settings(), {"openai": "Its key cannot be read: write it again."})
    assert "openai" not in house.ai.providers()
    with pytest.raises(ProviderNotConfigured, match="write it again"):
        await house.ai.generate("Hello.", model="openai:gpt-4.1")
    assert (await house.ai.generate("Hello.", model="anthropic:claude-haiku-4-5")).content
