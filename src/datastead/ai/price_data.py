"""The models that genai-prices knows, for those that are neither in the settings nor built in.

A module of its own, because the package's data takes long to import: it is loaded when a model is asked for that nobody
else knows, and each answer is kept.
"""

import logging
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from datastead.ai.costs import UNKNOWN_COST, Cost, Rates
from datastead.ai.models import DEFAULT_CONTEXT, DEFAULT_OUTPUT, Limit, ModelDefinition

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

log = logging.getLogger(__name__)

NAMES = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "audio_input": "input_audio_mtok",
    "audio_output": "output_audio_mtok",
    "image_input": "input_image_mtok",
    "image_output": "output_image_mtok",
}
"""Our names of rates, and theirs."""


@lru_cache(maxsize=1024)
def known_elsewhere(provider: str, model: str) -> ModelDefinition | None:
    """The definition of a vendor's model by genai-prices; None where it does not know it. Reads no network.

    The package tells nothing about capabilities: such a model is taken to have none, as a custom model is.
    """
    found = _find(provider, model)
    return None if found is None else _definition(provider, model, found)


def assumed(provider: str, model: str) -> ModelDefinition:
    """The definition of a model of which only the id is certain: genai-prices', else a custom model's defaults."""
    limit = Limit(DEFAULT_CONTEXT, DEFAULT_OUTPUT)
    return known_elsewhere(provider, model) or ModelDefinition(provider, model, model, limit, UNKNOWN_COST)


def _find(provider: str, model: str) -> "ModelInfo | None":
    from genai_prices.data import providers

    vendor = next((known for known in providers if known.id == provider), None)
    return _exact(vendor, model) if vendor else None


def _exact(vendor: "Provider", model: str) -> "ModelInfo | None":
    """Their match is by prefix, too: a slip of the pen must not become a model, so only a known id counts.

    A dated form of a known id (`gpt-4o-2024-08-06`) is the same model.
    """
    found = vendor.find_model(model)
    if found is None:
        return None
    suffix = model.removeprefix(found.id)
    dated = suffix != model and suffix.replace("-", "").replace("@", "").isdigit()
    return found if found.id == model or dated or model in _aliases(found.match) else None


def _aliases(match: Any) -> set[str]:
    """The ids that a match rule spells out in full."""
    if hasattr(match, "equals"):
        return {match.equals}
    rules = getattr(match, "or_", ())
    return {alias for rule in rules for alias in _aliases(rule)}


def _definition(provider: str, model: str, found: "ModelInfo") -> ModelDefinition:
    prices = found.get_prices(datetime.now(UTC))
    context = found.context_window or DEFAULT_CONTEXT
    return ModelDefinition(
        provider, model, found.name or model, Limit(context, min(DEFAULT_OUTPUT, context)), _cost(prices)
    )


def _cost(prices: "ModelPrice") -> Cost:
    from genai_prices import __version__

    given = {name: getattr(prices, theirs, None) for name, theirs in NAMES.items()}
    if given["input"] is None or given["output"] is None:
        return UNKNOWN_COST
    starts = sorted({tier.start for price in given.values() for tier in getattr(price, "tiers", ())})
    base: dict[str, Any] = {name: _at(price, 0) for name, price in given.items() if price is not None}
    long = tuple((start, _rates_above(given, start)) for start in starts)
    return Cost(**base, state="known" if any(base.values()) else "zero", long=long,
                source=f"genai-prices {__version__}")  # fmt: skip


def _rates_above(given: dict[str, Any], start: int) -> Rates:
    return Rates(**{name: _at(price, start + 1) for name, price in given.items() if price is not None})


def _at(price: Any, prompt_tokens: int) -> float:
    """Their price of a unit, for a prompt of so many tokens."""
    if isinstance(price, Decimal):
        return float(price)
    reached = [tier.price for tier in price.tiers if prompt_tokens > tier.start]
    return float(reached[-1] if reached else price.base)
