"""Prices that peers got wrong: a model that nobody knows is not free, no id invents a price, waiting is half price."""

from collections.abc import Callable
from typing import Any

import pytest

from datastead import AI, Settings
from datastead.ai.endpoints import Endpoints
from datastead.ai.models import ModelDefinition, get_model_definition
from datastead.ai.price_data import known_elsewhere
from datastead.ai.prices import cost_nano_usd, price_of
from datastead.errors import ModelNotFound, UnpricedModel
from datastead.messages import Usage
from tests.ai.conftest import REGISTRY, House, opened

GATEWAY: dict[str, Any] = {
    "ai_openai_compatible_enabled": True,
    "ai_openai_compatible_base_url": "https://gateway.example/v1",
}
OPENAI: dict[str, Any] = {"ai_openai_enabled": True, "ai_openai_api_key": "k"}
ANTHROPIC: dict[str, Any] = {"ai_anthropic_enabled": True, "ai_anthropic_api_key": "k"}


def resolved(model: str, provider: str | None = None, **settings: Any) -> ModelDefinition:
    return Endpoints(Settings(**settings)).resolve(model, provider)[0]


async def test_an_unknown_model_is_not_free_it_is_refused_under_a_budget_with_the_cure(
    sqlite_url: str, settings: Callable[..., Settings]
) -> None:
    """LiteLLM 36561, 35914: 1.16 USD logged, about 185 USD true."""
    models = [{"id": "brand-new"}]
    async with opened(sqlite_url, settings(ai_openai_compatible_models=models)) as house:
        await house.budget(limit_nano_usd=10**9)
        with pytest.raises(UnpricedModel) as caught:
            await house.ai.generate("Hello", model="brand-new")
        assert await house.rows() == []
        command = "datastead ai price set openai-compatible:brand-new --input 1.25 --output 10"
        assert command in caught.value.message
        await house.ai.set_price({"model": "openai-compatible:brand-new", "input": 1.25, "output": 10})
        result = await house.ai.generate("Hello", model="brand-new", max_tokens=20)
        assert result.cost_nano_usd


async def test_an_unknown_price_is_null_in_the_ledger_and_never_zero(
    sqlite_url: str, settings: Callable[..., Settings]
) -> None:
    """LiteLLM 25874, dify-plugins 1010: what is not known was written down as 0."""
    async with opened(sqlite_url, settings(ai_openai_compatible_models=[{"id": "own"}])) as house:
        result = await house.ai.generate("Hello", model="own")
        row = await house.row()
    assert (result.cost, row["cost_nano_usd"], row["price_state"]) == (None, None, "unknown")


async def test_a_declared_zero_is_a_price_and_fits_into_any_budget(
    sqlite_url: str, settings: Callable[..., Settings]
) -> None:
    """field.md 3.3: known, declared zero and unknown are three things."""
    models = [{"id": "own", "cost": {"input": 0, "output": 0}}]
    async with opened(sqlite_url, settings(ai_openai_compatible_models=models)) as house:
        await house.budget(limit_nano_usd=0)
        result = await house.ai.generate("Hello", model="own")
    assert result.cost_nano_usd == 0


@pytest.mark.parametrize(
    ("provider", "model"),
    [("openai", "gpt-4oo"), ("openai", "gpt-4o-supreme"), ("openai", "gpt-4-1"), ("anthropic", "claude-opus-4-9"),
     ("anthropic", "claude-sonnet-4-50"), ("google", "gemini-2.5-promax"), ("google", "my-gemini-3-pro-preview-tune")],
)  # fmt: skip
def test_a_prefix_of_a_known_id_does_not_invent_a_model(provider: str, model: str) -> None:
    """Prices that are matched by prefix give a model that nobody knows the price of another one."""
    assert known_elsewhere(provider, model) is None


@pytest.mark.parametrize(
    "model",
    ["claude-sonnet-4-5@eu", "us.anthropic.claude-sonnet-4-5", "anthropic.claude-sonnet-4-5-v1:0",
     "eu/claude-sonnet-4-5", "claude-sonnet-4-5-2026-13-40"],
)  # fmt: skip
def test_a_regional_id_does_not_get_the_price_of_another_region(model: str) -> None:
    """Regional endpoints carry a premium of 10 %, and other hosts their own prices."""
    with pytest.raises(ModelNotFound):
        resolved(model, "anthropic", **ANTHROPIC)


@pytest.mark.parametrize(
    ("model", "base"),
    [("gpt-5-2025-08-07", "gpt-5"), ("gpt-4.1-2025-04-14", "gpt-4.1"), ("claude-opus-4-5-20251101", "claude-opus-4-5"),
     ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"), ("gemini-2.5-pro-001", "gemini-2.5-pro")],
)  # fmt: skip
def test_a_dated_id_has_all_that_its_model_has(model: str, base: str) -> None:
    definition = get_model_definition(base)
    found = known_elsewhere(definition.provider, model)
    assert found is not None
    assert (found.model, found.cost, found.limit) == (model, definition.cost, definition.limit)
    assert (found.attachment, found.reasoning) == (definition.attachment, definition.reasoning)


def test_a_snapshot_that_is_dearer_than_its_model_keeps_its_own_price() -> None:
    snapshot, current = known_elsewhere("openai", "gpt-4o-2024-05-13"), known_elsewhere("openai", "gpt-4o-2024-08-06")
    assert snapshot is not None
    assert current is not None
    assert (snapshot.cost.input, current.cost.input) == (5.0, 2.5)


@pytest.mark.parametrize("model", ["openai/gpt-5", "anthropic/claude-opus-4.5", "gpt-5", "claude-opus-4-5", "gpt-4o"])
def test_an_alias_at_a_gateway_does_not_get_the_vendors_price_by_its_name(model: str) -> None:
    """LiteLLM 24949: an OpenRouter-style id was billed as if the vendor had served it."""
    assert resolved(model, "openai-compatible", **GATEWAY).cost.state == "unknown"


def test_an_endpoint_named_like_a_host_does_not_get_that_hosts_prices() -> None:
    settings = {"ai_openai_compatible_providers": [{"name": "groq", "base_url": "https://x.example/v1"}]}
    assert resolved("llama-3.3-70b-versatile", "groq", **settings).cost.state == "unknown"


def test_a_gateways_price_is_the_one_that_was_declared_for_it() -> None:
    declared = [{"provider": "openai-compatible", "model": "openai/gpt-5", "input": 1.3, "output": 10.4}]
    ai = AI(Settings(**GATEWAY, **OPENAI, ai_prices=declared), registry=REGISTRY)
    targets = ai._targets
    assert targets.find("openai/gpt-5", "openai-compatible").definition.cost.input == 1.3
    assert targets.find("gpt-5", "openai").definition.cost.input == 1.25


@pytest.mark.parametrize(
    ("model", "tier"),
    [("gpt-5", "flex"), ("gpt-5", "batch"), ("claude-opus-4-5", "batch"), ("gemini-2.5-flash", "batch"),
     ("text-embedding-3-small", "batch")],
)  # fmt: skip
def test_whoever_can_wait_pays_half(model: str, tier: Any) -> None:
    """pgai 23, langextract 309, Aider 3356, LiteLLM 9680: half price was billed in full, or not to be had."""
    price = price_of(get_model_definition(model).cost)
    full, half = (cost_nano_usd(price, Usage(input=1000, output=500, tier=served)) for served in (None, tier))
    assert full is not None
    assert half == full // 2


def test_a_cached_prompt_is_not_half_price_in_a_batch_where_the_vendor_says_so() -> None:
    price = price_of(get_model_definition("gpt-4.1").cost)
    assert cost_nano_usd(price, Usage(cache_read=1000, tier="batch")) == cost_nano_usd(price, Usage(cache_read=1000))


async def test_flex_is_held_at_the_full_price_because_it_may_not_be_served(house: House) -> None:
    """A discount that the provider may not give must not lower the hold."""
    await house.ai.generate("Hello", model="gpt-5", max_tokens=20)
    await house.ai.generate("Hello", model="gpt-5", max_tokens=20, service_tier="flex")
    normal, flex = await house.rows()
    assert flex["held_nano_usd"] >= normal["held_nano_usd"]
