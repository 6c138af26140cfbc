"""The options of a call: what is taken, and what is refused before anything is sent."""

from typing import Any

import pytest

from datastead.ai.requests import CACHE_TTL_S, Fallback, cache_ttl_of, fallbacks_of
from datastead.errors import InvalidRequest
from datastead.testing.simulator import Simulator
from tests.ai.conftest import House

REFUSED = [
    ("fallbacks", "gpt-4.1"),
    ("fallbacks", [3]),
    ("fallbacks", [""]),
    ("fallbacks", [{"provider": "openai"}]),
    ("fallbacks", [{"model": "gpt-4.1", "key": "x"}]),
    ("fallbacks", ["gpt-4.1"] * 9),
    ("cache", "yes"),
    ("cache", 0),
    ("cache", -1),
    ("cache", float("nan")),
    ("cache", {"ttl": True}),
    ("cache", {"seconds": 5}),
    ("service_tier", "fast"),
    ("prompt_cache", "2h"),
    ("parallel_tools", "yes"),
    ("effort", ["high"]),
]


@pytest.mark.parametrize(("name", "value"), REFUSED)
async def test_an_option_of_another_shape_is_refused_by_its_name(
    house: House, simulator: Simulator, name: str, value: Any
) -> None:
    options: dict[str, Any] = {"model": "gpt-4.1", name: value}
    with pytest.raises(InvalidRequest) as caught:
        await house.ai.generate("Hello", **options)
    assert caught.value.details["parameter"].split(".")[0] == name
    assert not simulator.requests


def test_fallbacks_are_ids_or_say_their_provider() -> None:
    found = fallbacks_of({"model": "a", "fallbacks": ["b", {"model": "c", "provider": "d"}]})
    assert found == (Fallback("b"), Fallback("c", "d"))


@pytest.mark.parametrize(
    ("given", "ttl_s"), [(None, None), (False, None), (True, CACHE_TTL_S), (5, 5.0), ({"ttl": 0.5}, 0.5)]
)
def test_a_cache_is_asked_for_by_true_by_seconds_or_by_ttl(given: Any, ttl_s: float | None) -> None:
    assert cache_ttl_of({"model": "a", "cache": given}) == ttl_s
