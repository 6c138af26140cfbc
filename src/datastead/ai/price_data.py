"""The models that genai-prices knows, for those that are neither in the settings nor built in.

A module of its own, because the package's data takes long to import: it is loaded when a model is asked for that nobody
else knows, or when all are listed, and each answer is kept. Reads no network.
"""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from datastead.ai.costs import UNKNOWN_COST, Cost, Rates, Scale, midnight
from datastead.ai.families import NOT_CALLED, family_of, without_date
from datastead.ai.models import BUILT_IN, DEFAULT_CONTEXT, DEFAULT_OUTPUT, VENDORS, Limit, ModelDefinition
from datastead.messages import ServiceTier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from genai_prices.types import ModelInfo, ModelPrice, Provider

PACKAGE = "genai-prices"
NAMES = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "cache_read_audio": "cache_audio_read_mtok",
    "audio_input": "input_audio_mtok",
    "audio_output": "output_audio_mtok",
    "image_input": "input_image_mtok",
    "image_output": "output_image_mtok",
}
"""Our names of rates, and theirs."""

CONTEXTS: dict[ServiceTier, dict[str, str]] = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
}
"""Our names of service tiers, and theirs."""

CONTEXT_OF_GOOGLE = 1_048_576  # tokens, of Gemini models of which the package does not say it


def known_elsewhere(provider: str, model: str, day: date | None = None) -> ModelDefinition | None:
    """A vendor's model that is not built in: a dated form of one that is, or one that genai-prices knows; else None.

    day: of which the price is; None = today.
    """
    built_in = BUILT_IN.get((provider, without_date(model)))
    if built_in is not None:
        return replace(built_in, model=model)
    return _known(provider, model, day or datetime.now(UTC).date())


def assumed(provider: str, model: str) -> ModelDefinition:
    """The definition of a vendor's model of which only the id is certain: else a custom model's defaults."""
    return known_elsewhere(provider, model) or undeclared(provider, model)


def undeclared(provider: str, model: str) -> ModelDefinition:
    """A model of which nobody has said anything but its id: its price is unknown, whatever it is called."""
    return ModelDefinition(provider, model, model, Limit(DEFAULT_CONTEXT, DEFAULT_OUTPUT), UNKNOWN_COST)


def all_known_elsewhere(provider: str) -> list[ModelDefinition]:
    """The chat models of a vendor that are not built in, by their names."""
    today = datetime.now(UTC).date()
    found = (_known(provider, model, today) for model in sorted(_ids(provider)) if (provider, model) not in BUILT_IN)
    return [definition for definition in found if definition is not None]


def _ids(provider: str) -> "Iterator[str]":
    vendor = _vendor(provider)
    for info in vendor.models if vendor else ():
        yield info.id


@lru_cache(maxsize=2048)
def _known(provider: str, model: str, day: date) -> ModelDefinition | None:
    vendor = _vendor(provider)
    found = _exact(vendor, model) if vendor else None
    if found is None or NOT_CALLED.search(found.id) or (provider == "google" and found.id.startswith("claude")):
        return None
    return _definition(provider, model, found, day)


def _vendor(provider: str) -> "Provider | None":
    """Only of the vendors themselves: an endpoint that somebody calls `groq` does not get Groq's prices by its name."""
    if provider not in VENDORS:
        return None
    from genai_prices.data import providers

    return next((known for known in providers if known.id == provider), None)


def _exact(vendor: "Provider", model: str) -> "ModelInfo | None":
    """Their match is by prefix, too: a slip of the pen must not become a model, so only a known id counts.

    A dated form of a known id (`gpt-4o-2024-08-06`) is the same model, and so is that of its `-latest`.
    """
    found = vendor.find_model(model)
    if found is None:
        return None
    known = {found.id, found.id.removesuffix("-latest"), *_aliases(found.match)}
    return found if model in known or without_date(model) in known else None


def _aliases(match: Any) -> set[str]:
    """The ids that a match rule spells out in full."""
    if hasattr(match, "equals"):
        return {match.equals}
    rules = getattr(match, "or_", ())
    return {alias for rule in rules for alias in _aliases(rule)}


def _definition(provider: str, model: str, found: "ModelInfo", day: date) -> ModelDefinition | None:
    cost = _cost(found, day)
    if cost is None:
        return None
    family = family_of(provider, model)
    context = found.context_window or (CONTEXT_OF_GOOGLE if model.startswith("gemini") else DEFAULT_CONTEXT)
    output = min(family.output if family else DEFAULT_OUTPUT, context)
    return ModelDefinition(
        provider=provider,
        model=model,
        name=found.name or model,
        limit=Limit(context, output),
        cost=cost,
        attachment=family is not None and family.attachment,
        reasoning=family is not None and family.reasoning,
        tools=family is None or family.tools,
        schema=family is not None and family.schema,
    )


def _cost(found: "ModelInfo", day: date) -> Cost | None:
    """The price of a day; None where it is not one by tokens."""
    from genai_prices import __version__

    moment = midnight(day)
    normal = _scale(found.get_prices(moment))
    if normal is None:
        return None
    tiers = [(tier, _scale(found.get_prices(moment, context))) for tier, context in CONTEXTS.items()
             if _has(found, context, moment)]  # fmt: skip
    starts = _starts(found)
    return Cost(
        **normal.given(),
        long=normal.long,
        state="known" if any(normal.given().values()) else "zero",
        tiers=tuple((tier, scale) for tier, scale in tiers if scale is not None),
        caches_unasked=normal.cache_write is not None and not found.id.startswith("claude"),
        source=f"{PACKAGE} {__version__}",
        valid_from=max((midnight(start) for start in starts if start <= day), default=None),
        valid_until=min((midnight(start) for start in starts if start > day), default=None),
    )


def _has(found: "ModelInfo", context: dict[str, str], moment: datetime) -> bool:
    return any(
        variant.when == context and (variant.constraint is None or variant.constraint.active(moment))
        for variant in found.price_variants or ()
    )


def _starts(found: "ModelInfo") -> list[date]:
    """The days on which something about the model's price changes."""
    priced = found.prices if isinstance(found.prices, list) else []
    constraints = [each.constraint for each in (*priced, *(found.price_variants or ()))]
    starts = (getattr(constraint, "start_date", None) for constraint in constraints)
    return [start for start in starts if start is not None]


def _scale(prices: "ModelPrice") -> Scale | None:
    given = {name: getattr(prices, theirs, None) for name, theirs in NAMES.items()}
    if given["input"] is None or given["output"] is None:
        return None
    starts = sorted({tier.start for price in given.values() for tier in getattr(price, "tiers", ())})
    base: dict[str, Any] = {name: _at(price, 0) for name, price in given.items() if price is not None}
    return Scale(**base, long=tuple((start, _rates_above(given, start)) for start in starts))


def _rates_above(given: dict[str, Any], start: int) -> Rates:
    return Rates(**{name: _at(price, start + 1) for name, price in given.items() if price is not None})


def _at(price: Any, prompt_tokens: int) -> float:
    """Their price of a unit, for a prompt of so many tokens."""
    if isinstance(price, Decimal):
        return float(price)
    reached = [tier.price for tier in price.tiers if prompt_tokens > tier.start]
    return float(reached[-1] if reached else price.base)
