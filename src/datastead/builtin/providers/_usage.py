"""A provider's usage object in our disjoint parts: OpenAI's, and what compatible endpoints make of it.

The rules are the same for all wire formats: nothing is counted twice, nothing is negative, an explicit zero is a value,
and what the provider itself says a call cost is kept beside the tokens.
"""

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any

from datastead.builtin.providers._reading import an_object, count
from datastead.messages import ServiceTier, Usage

_NANO = Decimal(1_000_000_000)
_TICKS_PER_NANO = 10  # xAI counts in 1e-10 USD

_TIERS: Mapping[str, ServiceTier] = {
    "flex": "flex",
    "on_demand_flex": "flex",
    "batch": "batch",
    "priority": "priority",
    "fast": "priority",
    "on_demand_priority": "priority",
}
"""The vendors' words for the tiers that are billed apart; every other word is the normal tier."""


def tier_of(*said: object) -> ServiceTier | None:
    """The tier that was billed, out of the first place that names one."""
    for word in said:
        if isinstance(word, str):
            return _TIERS.get(word.lower())
    return None


def counts_anything(raw: Mapping[str, Any], *names: str) -> bool:
    """Whether the object gives one of the counts at all: zero does, null and nothing do not."""
    return int in [raw.get(name).__class__ for name in names]


def openai_usage(
    raw: Mapping[str, Any], prompt: str, answer: str, *, tier: object = None, at_end: bool = True
) -> Usage | None:
    """OpenAI's usage object in disjoint parts; None where it does not say.

    prompt, answer: the wire's words for input and output. Cached, written, audio and image tokens are inside the
    input, reasoning, audio and image tokens inside the output.
    at_end: whether the answer is complete: before that, zeros are what some endpoints fill a frame with.
    """
    if not counts_anything(raw, f"{prompt}_tokens", f"{answer}_tokens"):
        return None
    said = count(raw.get(f"{prompt}_tokens")), count(raw.get(f"{answer}_tokens"))
    if not (any(said) or at_end):
        return None
    before, after = an_object(raw.get(f"{prompt}_tokens_details")), an_object(raw.get(f"{answer}_tokens_details"))
    billed, cost = tier_of(raw.get("service_tier"), tier), cost_in(raw)
    if not (
        any(before.values()) or any(after.values()) or raw.get("prompt_cache_hit_tokens")
    ):  # text alone: the short way
        output = max(said[1], count(raw.get("total_tokens")) - said[0])
        return Usage(input=said[0], output=output, tier=billed, cost_nano_usd=cost, raw=raw)
    cache_read = count(before.get("cached_tokens")) or count(raw.get("prompt_cache_hit_tokens"))
    written, written_long = _written(before)
    cached = cache_read + written + written_long
    total_input = said[0] + (cached if _leaves_out(said, cached, count(raw.get("total_tokens"))) else 0)
    fresh = total_input - cached
    audio_input = min(count(before.get("audio_tokens")), fresh)
    image_input = min(count(before.get("image_tokens")), fresh - audio_input)
    reasoning = count(after.get("reasoning_tokens"))
    total_output = _output(said[1], reasoning, beyond=count(raw.get("total_tokens")) - total_input)
    audio_output = min(count(after.get("audio_tokens")), total_output)
    image_output = min(count(after.get("image_tokens")), total_output - audio_output)
    output = total_output - audio_output - image_output
    return Usage(
        input=fresh - audio_input - image_input,
        output=output,
        cache_read=cache_read,
        cache_write=written,
        cache_write_1h=written_long,
        audio_input=audio_input,
        audio_output=audio_output,
        image_input=image_input,
        image_output=image_output,
        reasoning=min(reasoning, output),
        tier=billed,
        cost_nano_usd=cost,
        raw=raw,
    )


def _leaves_out(said: tuple[int, int], cached: int, total: int) -> bool:
    """Whether this endpoint's prompt leaves out what was cached, as Anthropic counts: the sizes or the total say so."""
    return cached > said[0] or (cached > 0 and total == sum(said) + cached)


def _written(before: Mapping[str, Any]) -> tuple[int, int]:
    """Tokens written to the cache, for the usual time and for the longer one."""
    written = count(before.get("cache_write_tokens")) or count(before.get("cache_creation_tokens"))
    longer = count(an_object(before.get("cache_write_tokens_details")).get("ttl_12h_tokens"))
    return max(written - longer, 0), longer


def _output(said: int, reasoning: int, *, beyond: int) -> int:
    """All output. xAI and Google's compatible endpoint leave reasoning out of it: their total says so, or the sizes."""
    return max(said, beyond) if beyond > said or reasoning <= said else said + reasoning


def cost_in(raw: Mapping[str, Any]) -> int | None:
    """What the endpoint says the call cost, in nano-USD, rounded up.

    OpenRouter: `cost`, to which, with a key of one's own, the upstream's bill is added. Perplexity: `cost` with a
    `total_cost`. xAI: `cost_in_usd_ticks`.
    """
    ticks = raw.get("cost_in_usd_ticks")
    if ticks.__class__ is int and ticks >= 0:
        return -(-int(ticks) // _TICKS_PER_NANO)
    said = raw.get("cost")
    if said is None:
        return None
    cost = _nano(said.get("total_cost") if isinstance(said, Mapping) else said)
    if cost is None or raw.get("is_byok") is not True:
        return cost
    return cost + (_nano(an_object(raw.get("cost_details")).get("upstream_inference_cost")) or 0)


def _nano(usd: object) -> int | None:
    """A number such as 0.00014 stands for the decimal that it is written as."""
    if isinstance(usd, bool) or not isinstance(usd, int | float | str):
        return None
    try:
        value = Decimal(str(usd)) * _NANO
        return int(value.to_integral_value(ROUND_CEILING)) if value >= 0 else None
    except (InvalidOperation, ValueError, OverflowError):
        return None
