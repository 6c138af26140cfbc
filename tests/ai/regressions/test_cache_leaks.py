"""Caches must not leak: who asks, and all that is asked, are a hard filter.

Peers: LiteLLM 29955, 25447, 29086; vLLM router 1448, 2134; Bifrost 5769; OmniRoute 3740.
"""

from collections.abc import Callable
from typing import Any
from unittest.mock import sentinel

import pytest

from datastead import PUBLIC, SYSTEM, Actor, Context, Settings
from datastead.messages import ToolDefinition, assistant, user
from datastead.testing.simulator import Simulator
from tests.ai.conftest import House, opened

ANNA = Actor(user="7d1b6a80-53d6-4b5e-9a39-0f1d9f9a0001", role="5d1b6a80-53d6-4b5e-9a39-0f1d9f9a0001")
ACTORS = [
    None,
    PUBLIC,
    SYSTEM,
    ANNA,
    Actor(user="7d1b6a80-53d6-4b5e-9a39-0f1d9f9a0002", role=ANNA.role),
    Actor(user=ANNA.user, role="5d1b6a80-53d6-4b5e-9a39-0f1d9f9a0002"),
    Actor(user=ANNA.user, role=ANNA.role, roles=("5d1b6a80-53d6-4b5e-9a39-0f1d9f9a0003",)),
    Actor(user=ANNA.user, role=ANNA.role, is_admin=True),
    Actor(user=ANNA.user, role=ANNA.role, has_app_access=True),
    Actor(user=ANNA.user, role=ANNA.role, token="fingerprint"),
    Actor(user=ANNA.user, role=ANNA.role, policies=("5d1b6a80-53d6-4b5e-9a39-0f1d9f9a0004",)),
    Actor(user=ANNA.user, role=ANNA.role, policies=("5d1b6a80-53d6-4b5e-9a39-0f1d9f9a0005",)),
]
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
PLAIN: dict[str, Any] = {"prompt": "Hello", "model": "gpt-4.1", "max_tokens": 50}
DIFFERENT: list[dict[str, Any]] = [
    {"prompt": "Hello!"},
    {"prompt": "hello"},
    {"model": "gpt-4.1-mini"},
    {"model": "claude-haiku-4-5"},
    {"system": "Be brief."},
    {"messages": [user("Hi"), assistant("Hi.")]},
    {"max_tokens": 51},
    {"temperature": 0.5},
    {"top_p": 0.5},
    {"schema": SCHEMA},
    {"tools": [ToolDefinition("weather", "The weather.", {"type": "object", "properties": {}})]},
    {"provider_options": {"metadata": {"a": "b"}}},
]


def context_of(actor: Actor | None) -> Context | None:
    return None if actor is None else Context(sentinel.services, actor)


async def test_nobody_is_given_the_answer_of_somebody_with_other_permissions(
    any_house: House, simulator: Simulator
) -> None:
    for round_ in ("asked", "asked again"):
        results = [await any_house.ai.generate(**PLAIN, cache=True, context=context_of(actor)) for actor in ACTORS]
        assert [result.cached for result in results] == [round_ == "asked again"] * len(ACTORS)
    assert len(simulator.requests) == len(ACTORS)


async def test_where_somebody_asks_from_makes_no_difference(house: House, simulator: Simulator) -> None:
    for address in ("192.0.2.1", "192.0.2.2"):
        actor = Actor(user=ANNA.user, role=ANNA.role, ip=address, user_agent=address)
        await house.ai.generate(**PLAIN, cache=True, context=context_of(actor))
    assert len(simulator.requests) == 1


async def test_a_call_that_differs_in_anything_is_another_call(house: House, simulator: Simulator) -> None:
    for different in ({}, *DIFFERENT):
        assert not (await house.ai.generate(**{**PLAIN, **different}, cache=True)).cached
    assert len(simulator.requests) == len(DIFFERENT) + 1


async def test_what_is_alike_is_found(house: House, simulator: Simulator) -> None:
    """A filter that nothing passes would be no leak, and no cache."""
    for different in ({}, *DIFFERENT):
        first, second = [await house.ai.generate(**{**PLAIN, **different}, cache=True) for _ in range(2)]
        assert (second.cached, second.content) == (True, first.content)


@pytest.mark.parametrize(
    "other",
    [
        {"ai_openai_api_key": "another-account"},
        {"ai_openai_base_url": "other"},
    ],
)
async def test_another_account_or_address_is_another_cache(
    sqlite_url: str, settings: Callable[..., Settings], simulator: Simulator, other: dict[str, Any]
) -> None:
    if "ai_openai_base_url" in other:
        other = {"ai_openai_base_url": simulator.base_url("openai").replace("127.0.0.1", "localhost")}
    async with opened(sqlite_url, settings()) as house:
        await house.ai.generate(**PLAIN, cache=True)
    async with opened(sqlite_url, settings(**other)) as house:
        assert not (await house.ai.generate(**PLAIN, cache=True)).cached


async def test_a_compatible_endpoint_does_not_answer_for_the_vendor(
    sqlite_url: str, settings: Callable[..., Settings], simulator: Simulator
) -> None:
    own = {"ai_openai_base_url": simulator.base_url("openai-compatible"), "ai_openai_compatible_models": []}
    async with opened(sqlite_url, settings(**own)) as house:
        await house.ai.generate(**PLAIN, provider="openai-compatible", cache=True)
        assert not (await house.ai.generate(**PLAIN, provider="openai", cache=True)).cached
