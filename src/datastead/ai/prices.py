"""What a call costs: tokens times rates, in whole nano-USD.

Rates are held as nano-USD per million tokens: USD per million with up to nine decimals is exact as an integer.
A bill is summed exactly and rounded once, up, at the end; so a hold is never below a bill that it covers.
"""

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from typing import NamedTuple

from datastead.ai.costs import Cost, PriceState, Rates, Scale
from datastead.messages import ServiceTier, Usage

MILLION = 1_000_000
NANO = Decimal(1_000_000_000)
LONGEST_LABEL = 255  # characters, of the ledger's column


class NanoRates(NamedTuple):
    """nano-USD per million tokens."""

    input: int
    output: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    cache_read_audio: int
    audio_input: int
    audio_output: int
    image_input: int
    image_output: int


class NanoScale(NamedTuple):
    """Rates; long: (more than so many prompt tokens, the rates of the whole call), the largest first."""

    rates: NanoRates
    long: tuple[tuple[int, NanoRates], ...]


class Price(NamedTuple):
    """A price, ready to be computed with: a scale, and those of other service tiers.

    label: what the ledger says about it.
    """

    state: PriceState
    rates: NanoRates
    long: tuple[tuple[int, NanoRates], ...]
    label: str
    tiers: Mapping[str, NanoScale]
    caches_unasked: bool


@lru_cache(maxsize=1024)
def price_of(cost: Cost) -> Price:
    """The price of a model, from its `cost`."""
    normal = _nano_scale(cost)
    tiers: dict[str, NanoScale] = {tier: _nano_scale(scale) for tier, scale in cost.tiers}
    return Price(cost.state, normal.rates, normal.long, _label(cost), tiers, cost.caches_unasked)


def cost_nano_usd(price: Price, usage: Usage) -> int | None:
    """What the call costs, in nano-USD; None where the price is unknown. Never raises."""
    if price.state != "known":
        return None if price.state == "unknown" else 0
    scale = price if usage.tier is None else price.tiers.get(usage.tier, price)
    rates = _rates_at(scale, usage.input_total) if scale.long else scale.rates
    total = (
        usage.input * rates.input
        + usage.output * rates.output
        + usage.cache_read * rates.cache_read
        + usage.cache_read_audio * (rates.cache_read_audio - rates.cache_read)
        + usage.cache_write * rates.cache_write
        + usage.cache_write_1h * rates.cache_write_1h
        + usage.audio_input * rates.audio_input
        + usage.audio_output * rates.audio_output
        + usage.image_input * rates.image_input
        + usage.image_output * rates.image_output
    )
    return -(-total // MILLION)


def bound_nano_usd(
    price: Price, input_tokens: int, output_tokens: int, *, plain: bool = True, tier: ServiceTier | None = None
) -> int | None:
    """The most that a call of up to so many tokens can cost, in nano-USD; None where that cannot be known.

    plain: text that the call does not ask to be written to a cache; else every input is counted at the dearest rate.
    tier: the one asked for. A provider may serve another, so a discount never lowers the bound; a surcharge that
    nobody has published has no bound.
    """
    if price.state != "known":
        return None if price.state == "unknown" else 0
    scales: list[Price | NanoScale] = [price]
    if tier is not None and tier in price.tiers:
        scales.append(price.tiers[tier])
    elif tier == "priority":
        return None
    plain = plain and not price.caches_unasked
    if len(scales) == 1 and not price.long:  # nearly always
        total = input_tokens * _dearest_input(price.rates, plain) + output_tokens * _dearest_output(price.rates)
        return -(-total // MILLION)
    total = max(input_tokens * _dearest_input(rates, plain) + output_tokens * _dearest_output(rates)
                for scale in scales for rates in _reachable(scale, input_tokens))  # fmt: skip
    return -(-total // MILLION)


def usd(nano_usd: int | None) -> Decimal | None:
    """nano-USD as USD, exactly."""
    return None if nano_usd is None else Decimal(nano_usd) / NANO


def _rates_at(scale: Price | NanoScale, prompt_tokens: int) -> NanoRates:
    return next((rates for above, rates in scale.long if prompt_tokens > above), scale.rates)


def _reachable(scale: Price | NanoScale, prompt_tokens: int) -> list[NanoRates]:
    return [scale.rates, *(rates for above, rates in scale.long if prompt_tokens > above)]


def _dearest_input(rates: NanoRates, plain: bool) -> int:
    if plain:
        return max(rates.input, rates.cache_read)
    written = max(rates.cache_write, rates.cache_write_1h)
    read = max(rates.cache_read, rates.cache_read_audio)
    return max(rates.input, read, written, rates.audio_input, rates.image_input)


def _dearest_output(rates: NanoRates) -> int:
    """Plain text, too, may be answered with a picture or with sound, by a model that makes them."""
    return max(rates.output, rates.audio_output, rates.image_output)


def _nano_scale(scale: Scale) -> NanoScale:
    long = sorted(((above, _nano_rates(rates)) for above, rates in scale.long), reverse=True)
    return NanoScale(_nano_rates(scale), tuple(long))


def _nano_rates(rates: Rates) -> NanoRates:
    def of(rate: float | None, otherwise: float) -> int:
        return _nano(otherwise if rate is None else rate)

    cache_write = rates.input if rates.cache_write is None else rates.cache_write
    cache_read = rates.input if rates.cache_read is None else rates.cache_read
    return NanoRates(
        input=_nano(rates.input),
        output=_nano(rates.output),
        cache_read=_nano(cache_read),
        cache_write=_nano(cache_write),
        cache_write_1h=of(rates.cache_write_1h, cache_write),
        cache_read_audio=of(rates.cache_read_audio, cache_read),
        audio_input=of(rates.audio_input, rates.input),
        audio_output=of(rates.audio_output, rates.output),
        image_input=of(rates.image_input, rates.input),
        image_output=of(rates.image_output, rates.output),
    )


def _nano(usd_per_million: float) -> int:
    """A float such as 0.1 stands for the decimal that it is written as."""
    return int((Decimal(str(usd_per_million)) * NANO).to_integral_value(ROUND_CEILING))


def _label(cost: Cost) -> str:
    """Such as `input 1.25, output 10.0, cache_read 0.125; batch: input 0.625, output 5.0 (built-in 2026-11-23)`."""
    if cost.state != "known":
        return cost.source
    shown = ", ".join(f"{name} {rate}" for name, rate in cost.given().items())
    long = "".join(f"; above {above}: {_short(rates)}" for above, rates in cost.long)
    tiers = "".join(f"; {tier}: {_short(scale)}" for tier, scale in cost.tiers)
    source = f" ({cost.source})"
    return f"{shown}{long}{tiers}"[: LONGEST_LABEL - len(source)] + source


def _short(rates: Rates) -> str:
    return f"input {rates.input}, output {rates.output}"
