"""Bills: exact, whole nano-USD, and never above the bound that was held."""

from dataclasses import replace
from decimal import ROUND_CEILING, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datastead.ai.costs import RATE_NAMES, Cost, Rates, Scale
from datastead.ai.models import BUILT_IN, ModelDefinition, build_custom_models, get_model_definition
from datastead.ai.prices import bound_nano_usd, cost_nano_usd, price_of, usd
from datastead.messages import ServiceTier, Usage

TIERS: tuple[ServiceTier, ...] = ("batch", "flex", "priority")
tokens = st.integers(0, 3_000_000)
rate = st.decimals(0, 1000, places=6).map(float)
rates = st.builds(Rates, *[rate] * len(RATE_NAMES))
above = st.integers(0, 500_000)
longs = st.lists(st.tuples(above, rates), max_size=2, unique_by=lambda step: step[0]).map(tuple)
scales = st.builds(lambda rates, long: Scale(**rates.given(), long=long), rates, longs)
tiers = st.dictionaries(st.sampled_from(TIERS), scales).map(lambda found: tuple(found.items()))
costs = st.builds(lambda scale, tiers: Cost(**scale.given(), long=scale.long, tiers=tiers), scales, tiers)
PARTS = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "audio_input", "audio_output", "image_input",
         "image_output")  # fmt: skip
"""The parts of a usage, in the order of the rates that they are billed at."""


def a_usage(parts: tuple[int, ...], sound: int) -> Usage:
    by_name = dict(zip(PARTS, parts, strict=True))
    return Usage(**by_name, cache_read_audio=min(sound, by_name["cache_read"]))


usages = st.builds(a_usage, st.tuples(*[tokens] * len(PARTS)), tokens)


def bill(cost: Cost, usage: Usage) -> int:
    found = cost_nano_usd(price_of(cost), usage)
    assert found is not None
    return found


@given(rates, usages)
def test_a_bill_is_the_exact_sum_rounded_up_once(rates: Rates, usage: Usage) -> None:
    rate = {name: Decimal(str(getattr(rates, name))) for name in RATE_NAMES}
    exact = sum(rate[name] * getattr(usage, name) for name in PARTS) * 1000
    exact += (rate["cache_read_audio"] - rate["cache_read"]) * usage.cache_read_audio * 1000
    assert bill(Cost(**rates.given()), usage) == int(Decimal(exact).to_integral_value(ROUND_CEILING))


@given(costs, usages, st.sampled_from((None, *TIERS)), st.booleans(), st.tuples(tokens, tokens))
def test_a_bill_is_never_above_the_bound_of_the_tier_that_was_asked_for(
    cost: Cost, usage: Usage, tier: ServiceTier | None, is_served: bool, more: tuple[int, int]
) -> None:
    input_tokens, output_tokens = usage.input_total + more[0], usage.output_total + more[1]
    bound = bound_nano_usd(price_of(cost), input_tokens, output_tokens, plain=False, tier=tier)
    if bound is None:
        assert tier == "priority"
        assert "priority" not in dict(cost.tiers)
    else:
        assert bill(cost, replace(usage, tier=tier if is_served else None)) <= bound


@given(costs, usages, st.sampled_from(PARTS), tokens)
def test_a_bill_grows_with_each_of_its_parts(cost: Cost, usage: Usage, part: str, more: int) -> None:
    flat = replace(cost, long=())
    assert bill(flat, replace(usage, **{part: getattr(usage, part) + more})) >= bill(flat, usage)


@given(rates, usages)
def test_a_bill_is_the_sum_of_the_bills_of_its_parts_but_for_the_rounding(rates: Rates, usage: Usage) -> None:
    usage = replace(usage, cache_read_audio=0)
    cost = Cost(**rates.given())
    apart = [bill(cost, Usage(**{part: getattr(usage, part)})) for part in PARTS]
    assert 0 <= sum(apart) - bill(cost, usage) < len(PARTS)


@pytest.mark.parametrize("model", BUILT_IN.values(), ids=lambda model: f"{model.provider}:{model.model}")
@settings(max_examples=20)
@given(usage=usages)
def test_waiting_is_never_dearer_and_haste_never_cheaper(model: ModelDefinition, usage: Usage) -> None:
    batch, flex, normal, priority = (
        bill(model.cost, replace(usage, tier=tier)) for tier in ("batch", "flex", None, "priority")
    )
    assert batch <= flex <= normal <= priority


@given(tokens, tokens, st.sampled_from(["batch", "flex"]))
def test_a_discount_that_may_not_be_given_does_not_lower_the_hold(
    input_tokens: int, output_tokens: int, tier: ServiceTier
) -> None:
    price = price_of(get_model_definition("gpt-5").cost)
    normal = bound_nano_usd(price, input_tokens, output_tokens)
    assert bound_nano_usd(price, input_tokens, output_tokens, tier=tier) == normal


def test_a_surcharge_that_nobody_has_published_has_no_bound() -> None:
    assert bound_nano_usd(price_of(get_model_definition("claude-opus-4-5").cost), 10, 10, tier="priority") is None
    assert bound_nano_usd(price_of(get_model_definition("gpt-5").cost), 10, 10, tier="priority") == 2 * 112_500


def test_a_cache_that_is_written_unasked_counts_in_the_bound_of_plain_text() -> None:
    (model,) = build_custom_models([{"id": "m", "cost": {"input": 4, "output": 20, "cache_write": 5}}])
    assert bound_nano_usd(price_of(model.cost), 1000, 0) == 1000 * 5000


def test_an_answer_of_pictures_counts_in_the_bound_of_plain_text() -> None:
    cost = Cost(0.3, 2.5, image_output=30.0)
    assert bound_nano_usd(price_of(cost), 0, 1290) == bill(cost, Usage(image_output=1290))


def test_a_tier_is_declared_as_a_share_or_with_its_own_rates() -> None:
    declared = {"input": 2, "output": 8, "cache_read": 1, "tiers": {"batch": 0.5, "flex": {"input": 1.5, "output": 6}},
                "long": {"above": 100, "input": 4, "output": 16}}  # fmt: skip
    (model,) = build_custom_models([{"id": "m", "cost": declared}])
    assert bill(model.cost, Usage(input=10, cache_read=10, output=10, tier="batch")) == (10 + 5 + 40) * 1000
    assert bill(model.cost, Usage(input=10, cache_read=10, output=10, tier="flex")) == (15 + 15 + 60) * 1000
    assert bill(model.cost, Usage(input=101, output=10, tier="batch")) == (202 + 80) * 1000


@given(tokens, tokens)
def test_a_bill_of_plain_text_is_never_above_the_plain_bound(input_tokens: int, output_tokens: int) -> None:
    price = price_of(get_model_definition("claude-sonnet-4-5").cost)
    found = cost_nano_usd(price, Usage(input=input_tokens, output=output_tokens))
    assert found == bound_nano_usd(price, input_tokens, output_tokens)


def test_a_dollar_a_million_is_a_thousand_nano_usd_a_token() -> None:
    assert cost_nano_usd(price_of(Cost(1.0, 0.0)), Usage(input=1)) == 1000


def test_cached_tokens_are_billed_at_their_own_rate() -> None:
    # 10,000 tokens of prompt, 8,000 of them cached: 2,000 x 1.25 + 8,000 x 0.125 + 100 x 10 USD per million
    usage = Usage(input=2000, cache_read=8000, output=100)
    assert cost_nano_usd(price_of(get_model_definition("gpt-5").cost), usage) == 2_500_000 + 1_000_000 + 1_000_000


def test_a_prompt_above_the_threshold_is_billed_whole_at_the_long_rate() -> None:
    price = price_of(get_model_definition("gemini-2.5-pro").cost)
    assert cost_nano_usd(price, Usage(input=200_000, output=10)) == 200_000 * 1250 + 10 * 10_000
    assert cost_nano_usd(price, Usage(input=200_001, output=10)) == 200_001 * 2500 + 10 * 15_000


def test_an_unknown_price_is_no_price_and_a_declared_zero_is_zero() -> None:
    assert cost_nano_usd(price_of(Cost(state="unknown")), Usage(input=5)) is None
    assert cost_nano_usd(price_of(Cost(state="zero")), Usage(input=5)) == 0


def test_nano_usd_are_shown_as_usd_exactly() -> None:
    assert usd(1) == Decimal("0.000000001")
