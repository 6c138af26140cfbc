"""Bills: exact, whole nano-USD, and never above the bound that was held."""

from decimal import ROUND_CEILING, Decimal

from hypothesis import given
from hypothesis import strategies as st

from datastead.ai.models import Cost, Rates, get_model_definition
from datastead.ai.prices import bound_nano_usd, cost_nano_usd, price_of, usd
from datastead.messages import Usage

tokens = st.integers(0, 3_000_000)
rate = st.decimals(0, 1000, places=6).map(float)
rates = st.builds(Rates, rate, rate, rate, rate, rate, rate, rate)
usages = st.builds(Usage, tokens, tokens, tokens, tokens, tokens, tokens, tokens)
NAMES = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "audio_input", "audio_output")


def cost_of(rates: Rates) -> Cost:
    return Cost(**{name: getattr(rates, name) for name in NAMES})


@given(rates, usages)
def test_a_bill_is_the_exact_sum_rounded_up_once(rates: Rates, usage: Usage) -> None:
    exact = sum(Decimal(str(getattr(rates, name))) * getattr(usage, name) for name in NAMES) * 1000
    assert cost_nano_usd(price_of(cost_of(rates)), usage) == int(Decimal(exact).to_integral_value(ROUND_CEILING))


@given(st.tuples(rates, rates), st.integers(0, 500_000), usages, st.tuples(tokens, tokens))
def test_a_bill_is_never_above_the_bound(
    both: tuple[Rates, Rates], above: int, usage: Usage, more: tuple[int, int]
) -> None:
    base, long = both
    cost = Cost(**{name: getattr(base, name) for name in NAMES}, long=((above, long),))
    bill = cost_nano_usd(price_of(cost), usage)
    bound = bound_nano_usd(price_of(cost), usage.input_total + more[0], usage.output_total + more[1], plain=False)
    assert bill is not None
    assert bound is not None
    assert bill <= bound


@given(tokens, tokens)
def test_a_bill_of_plain_text_is_never_above_the_plain_bound(input_tokens: int, output_tokens: int) -> None:
    price = price_of(get_model_definition("claude-sonnet-4-5").cost)
    bill = cost_nano_usd(price, Usage(input=input_tokens, output=output_tokens))
    assert bill == bound_nano_usd(price, input_tokens, output_tokens)


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
