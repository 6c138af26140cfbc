"""What a model's price is made of: rates in USD per million tokens, as the page and the vendors write them.

A module of its own, below the models: `prices` computes with it, and the table, the settings and the overrides give it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from datastead.messages import ServiceTier

if TYPE_CHECKING:
    from datastead.settings.prices import DeclaredCost, DeclaredRates, DeclaredScale

PriceState = Literal["known", "zero", "unknown"]


@dataclass(frozen=True, slots=True)
class Rates:
    """USD per million tokens.

    None: billed like `input`; audio and images that come out like `output`, sound out of a cache like `cache_read`.
    """

    input: float = 0.0
    output: float = 0.0
    cache_read: float | None = None
    cache_write: float | None = None
    cache_write_1h: float | None = None
    cache_read_audio: float | None = None
    audio_input: float | None = None
    audio_output: float | None = None
    image_input: float | None = None
    image_output: float | None = None

    def given(self) -> dict[str, Any]:
        """The rates that are set, by name."""
        found = {name: getattr(self, name) for name in RATE_NAMES}
        return {name: rate for name, rate in found.items() if rate is not None}

    def shared(self, share: float, cached: float | None = None) -> "Rates":
        """All rates times `share`; those of reading from a cache times `cached`, where that is another."""
        by_name = {} if cached is None else {"cache_read": cached, "cache_read_audio": cached}
        return Rates(**{name: _times(rate, by_name.get(name, share)) for name, rate in self.given().items()})


RATE_NAMES = tuple(field.name for field in fields(Rates))


@dataclass(frozen=True, slots=True)
class Scale(Rates):
    """Rates, and other ones for the whole call where the prompt has more tokens than a number."""

    long: tuple[tuple[int, Rates], ...] = ()

    def scaled(self, share: float, cached: float | None = None) -> "Scale":
        """All of it times `share`, as `Rates.shared` says."""
        long = tuple((above, rates.shared(share, cached)) for above, rates in self.long)
        return Scale(**self.shared(share, cached).given(), long=long)


@dataclass(frozen=True, slots=True)
class Cost(Scale):
    """A model's price, in USD per million tokens.

    state: `known`; `zero` = declared free; `unknown` = shown as 0, and refused under a budget in USD.
    tiers: what other service tiers cost; one that is not here is billed at the normal rates.
    caches_unasked: whether the provider may write the prompt to its cache, and bill that, without being told to.
    source: where the price is from. valid_from: since when it holds, or was checked; None = always.
    valid_until: when another price follows, as far as that is known.
    """

    state: PriceState = "known"
    tiers: tuple[tuple[ServiceTier, Scale], ...] = ()
    caches_unasked: bool = False
    source: str = ""
    valid_from: datetime | None = None
    valid_until: datetime | None = None


UNKNOWN_COST = Cost(state="unknown", source="unknown")


def declared_cost(
    declared: "DeclaredCost | None", source: str, valid_from: datetime | None = None, *, caches_unasked: bool = True
) -> Cost:
    """The price that settings or an override declare; unknown where they say nothing."""
    if declared is None:
        return UNKNOWN_COST
    scale = _scale(declared)
    tiers: tuple[tuple[ServiceTier, Scale], ...] = tuple(
        (tier, scale.scaled(given) if isinstance(given, float) else _scale(given))
        for tier, given in declared.tiers.items()
    )
    every = (scale, *(rates for _, rates in scale.long), *(rates for _, rates in tiers))
    return Cost(
        **scale.given(),
        long=scale.long,
        state="known" if any(any(rates.given().values()) for rates in every) else "zero",
        tiers=tiers,
        caches_unasked=caches_unasked and scale.cache_write is not None,
        source=source,
        valid_from=valid_from,
    )


def midnight(day: date) -> datetime:
    """When a day begins, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def rates_json(cost: Scale) -> dict[str, object]:
    """The rates as JSON in the shape in which they are declared: `{input, output, …, long: [{above, …}]}`."""
    found: Mapping[str, object] = cost.given()
    long = [{"above": above, **rates.given()} for above, rates in cost.long]
    return {**found, "long": long} if long else dict(found)


def _scale(declared: "DeclaredScale") -> Scale:
    long = tuple((each.above, _rates(each)) for each in declared.long)
    return Scale(**_rates(declared).given(), long=long)


def _rates(declared: "DeclaredRates") -> Rates:
    return Rates(**{name: getattr(declared, name) for name in RATE_NAMES})


def _times(rate: float, share: float) -> float:
    """Exact: a float such as 0.1 stands for the decimal that it is written as."""
    return float(Decimal(str(rate)) * Decimal(str(share)))
