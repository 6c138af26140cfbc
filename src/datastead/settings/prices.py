"""Prices as settings, overrides and requests declare them: USD per million tokens, checked."""

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from datastead.settings.values import Price

MOMENTS = "a day such as `2026-12-01`, or a moment such as `2026-12-01T09:00:00Z`"
LARGEST = 1_000_000_000  # tokens


def _moment(value: Any) -> Any:
    """A day, or a moment without an offset, is meant in UTC."""
    moment = value
    if isinstance(value, str):
        moment = _parsed(value)
    elif isinstance(value, date) and not isinstance(value, datetime):
        moment = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(moment, datetime) or not 2000 <= moment.year < 2200:
        raise ValueError(MOMENTS)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _parsed(value: str) -> datetime | None:
    try:
        return datetime.fromisoformat(value.strip())
    except ValueError:
        return None


def _one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, dict) else value


Share = Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)]
Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]


class DeclaredRates(BaseModel):
    """What is not declared is billed as `Rates` says."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    input: Price
    output: Price
    cache_read: Price | None = None
    cache_write: Price | None = None
    cache_write_1h: Price | None = None
    cache_read_audio: Price | None = None
    audio_input: Price | None = None
    audio_output: Price | None = None
    image_input: Price | None = None
    image_output: Price | None = None


class LongRates(DeclaredRates):
    """Rates for the whole call, where the prompt has more than `above` tokens."""

    above: int = Field(gt=0, le=LARGEST)


class DeclaredScale(DeclaredRates):
    """Rates, and those of long prompts."""

    long: Annotated[list[LongRates], BeforeValidator(_one_or_more)] = Field(default_factory=list)


class DeclaredCost(DeclaredScale):
    """A model's price. tiers: of each service tier its own rates, or a number that the normal ones are times."""

    tiers: dict[Literal["flex", "batch", "priority"], Share | DeclaredScale] = Field(default_factory=dict)


class DeclaredLimits(BaseModel):
    """Limits that go before those that are known, in tokens."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    context: int | None = Field(None, gt=0, le=LARGEST)
    output: int | None = Field(None, gt=0, le=LARGEST)


class DeclaredPrice(DeclaredCost):
    """An entry of the price list: what a model costs from a moment on. limits: where they change, too."""

    provider: str = Field(min_length=1, max_length=64)
    model: str = Field(min_length=1, max_length=255)
    valid_from: Moment | None = None
    limits: DeclaredLimits | None = None
