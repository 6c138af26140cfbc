"""What a call costs: tokens times rates, in whole nano-USD.

Rates are held as nano-USD per million tokens: USD per million with up to nine decimals is exact as an integer.
A bill is summed exactly and rounded once, up, at the end; so a hold is never below a bill that it covers.
"""

from decimal import ROUND_CEILING, Decimal
from functools import lru_cache
from typing import NamedTuple

from datastead.ai.models import Cost, PriceState, Rates
from datastead.messages import Usage

MILLION = 1_000_000
NANO = Decimal(1_000_000_000)


class NanoRates(NamedTuple):
    """nano-USD per million tokens."""

    input: int
    output: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    audio_input: int
    audio_output: int


class Price(NamedTuple):
    """A price, ready to be computed with.

    long: (more than so many prompt tokens, rates), the largest first. label: what the ledger says about it.
    """

    state: PriceState
    rates: NanoRates
    long: tuple[tuple[int, NanoRates], ...]
    label: str


@lru_cache(maxsize=1024)
def price_of(cost: Cost) -> Price:
    """The price of a model, from its `cost`."""
    long = tuple(sorted(((above, _nano_rates(rates)) for above, rates in cost.long), reverse=True))
    return Price(cost.state, _nano_rates(cost), long, _label(cost))


def cost_nano_usd(price: Price, usage: Usage) -> int | None:
    """What the call costs, in nano-USD; None where the price is unknown. Never raises."""
    if price.state != "known":
        return None if price.state == "unknown" else 0
    rates = _rates_at(price, usage.input_total) if price.long else price.rates
    total = (
        usage.input * rates.input
        + usage.output * rates.output
        + usage.cache_read * rates.cache_read
        + usage.cache_write * rates.cache_write
        + usage.cache_write_1h * rates.cache_write_1h
        + usage.audio_input * rates.audio_input
        + usage.audio_output * rates.audio_output
    )
    return -(-total // MILLION)


def bound_nano_usd(price: Price, input_tokens: int, output_tokens: int, *, plain: bool = True) -> int | None:
    """The most that a call of up to so many tokens can cost, in nano-USD; None where the price is unknown.

    plain: text that the call does not ask to be written to a cache; else every input is counted at the dearest rate.
    """
    if price.state != "known":
        return None if price.state == "unknown" else 0
    reachable = [price.rates, *(rates for above, rates in price.long if input_tokens > above)]
    total = max(input_tokens * _dearest_input(rates, plain) + output_tokens * _dearest_output(rates, plain)
                for rates in reachable)  # fmt: skip
    return -(-total // MILLION)


def usd(nano_usd: int | None) -> Decimal | None:
    """nano-USD as USD, exactly."""
    return None if nano_usd is None else Decimal(nano_usd) / NANO


def _rates_at(price: Price, prompt_tokens: int) -> NanoRates:
    return next((rates for above, rates in price.long if prompt_tokens > above), price.rates)


def _dearest_input(rates: NanoRates, plain: bool) -> int:
    caching = 0 if plain else max(rates.cache_write, rates.cache_write_1h, rates.audio_input)
    return max(rates.input, rates.cache_read, caching)


def _dearest_output(rates: NanoRates, plain: bool) -> int:
    return rates.output if plain else max(rates.output, rates.audio_output)


def _nano_rates(rates: Rates) -> NanoRates:
    cache_write = rates.input if rates.cache_write is None else rates.cache_write
    return NanoRates(
        input=_nano(rates.input),
        output=_nano(rates.output),
        cache_read=_nano(rates.input if rates.cache_read is None else rates.cache_read),
        cache_write=_nano(cache_write),
        cache_write_1h=_nano(cache_write if rates.cache_write_1h is None else rates.cache_write_1h),
        audio_input=_nano(rates.input if rates.audio_input is None else rates.audio_input),
        audio_output=_nano(rates.output if rates.audio_output is None else rates.audio_output),
    )


def _nano(usd_per_million: float) -> int:
    """A float such as 0.1 stands for the decimal that it is written as."""
    return int((Decimal(str(usd_per_million)) * NANO).to_integral_value(ROUND_CEILING))


def _label(cost: Cost) -> str:
    """Such as `input 1.25, output 10.0, cache_read 0.125 (built-in 2026-11-23)`."""
    if cost.state != "known":
        return cost.source
    given = ((name, getattr(cost, name)) for name in NanoRates._fields)
    shown = ", ".join(f"{name} {value}" for name, value in given if value is not None)
    long = "".join(f"; above {above}: input {rates.input}, output {rates.output}" for above, rates in cost.long)
    return f"{shown}{long} ({cost.source})"[:255]
