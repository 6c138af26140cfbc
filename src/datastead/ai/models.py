"""What a model is: limits, price, capabilities; the built-in definitions, and those made from settings."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from pydantic import ValidationError

from datastead.ai.catalog import CHECKED, ROWS, Row
from datastead.ai.costs import Cost, Rates, Scale, declared_cost, midnight
from datastead.errors import InvalidRequest, ModelNotFound
from datastead.settings import CustomModel

Api = Literal["responses", "chat-completions"]
Kind = Literal["chat", "embedding"]

VENDORS = ("openai", "anthropic", "google")
"""The providers whose models are built in."""

COMPATIBLE = "openai-compatible"
"""The provider of custom models, and the first custom endpoint's name."""

DEFAULT_CONTEXT = 128_000  # tokens, of a model about which nothing is known
DEFAULT_OUTPUT = 16_000  # tokens


@dataclass(frozen=True, slots=True)
class Limit:
    """context: what fits into the model's window. output: the longest answer. Both in tokens."""

    context: int
    output: int


@dataclass(frozen=True, slots=True)
class ModelDefinition:
    """A model, as it can be called.

    provider: `openai`, `anthropic`, `google`, `openai-compatible`, or the name of another custom endpoint.
    attachment: takes images and files. reasoning: can reason before it answers. tools: can call tools.
    schema: can be held to a JSON schema by the provider itself (an endpoint that refuses
    to is asked in words by itself). kind: `chat` answers, `embedding` makes vectors.
    api: which of OpenAI's two wire formats; None = the provider's own choice.
    provider_options: go into each request's JSON, as they are.
    """

    provider: str
    model: str
    name: str
    limit: Limit
    cost: Cost
    attachment: bool = False
    reasoning: bool = False
    tools: bool = True
    schema: bool = True
    kind: Kind = "chat"
    api: Api | None = None
    provider_options: Mapping[str, Any] = field(default_factory=dict, hash=False)


def get_model_definition(model: str, provider: str | None = None) -> ModelDefinition:
    """The built-in definition of a model: its id, or `provider:model`, or `provider/model`.

    Raises `ModelNotFound` with the ids that look alike.
    """
    named, bare = split_model(model, VENDORS) if provider is None else (provider, model)
    found = BUILT_IN.get((named, bare)) if named else next((BUILT_IN.get((vendor, bare)) for vendor in VENDORS
                                                            if (vendor, bare) in BUILT_IN), None)  # fmt: skip
    if found is None:
        raise unknown_model(model, (known for _, known in BUILT_IN))
    return found


def build_custom_models(models: Sequence[Mapping[str, Any]]) -> list[ModelDefinition]:
    """Definitions for the models of an OpenAI-compatible endpoint.

    models: `{id, name?, context?, output?, attachment?, reasoning?, tools?, schema?, kind?, cost?, providerOptions?,
    api?}`; cost: `{input, output, cache_read?, …, long?: [{above, input, output, …}], tiers?: {batch: 0.5, …}}`.
    Without limits a model has 128,000 and 16,000 tokens; without a price the price is unknown.
    Raises `InvalidRequest` that names the wrong entry.
    """
    return [custom_definition(_custom_model(position, model)) for position, model in enumerate(models)]


def custom_definition(model: CustomModel, provider: str = COMPATIBLE) -> ModelDefinition:
    """The definition of a model from the settings."""
    return ModelDefinition(
        provider=provider,
        model=model.id,
        name=model.name or model.id,
        limit=Limit(model.context, model.output),
        cost=declared_cost(model.cost, "settings"),
        attachment=model.attachment,
        reasoning=model.reasoning,
        tools=model.tools,
        schema=model.schema_,
        kind=model.kind,
        api=model.api,
        provider_options=model.provider_options,
    )


def split_model(model: str, providers: Iterable[str]) -> tuple[str | None, str]:
    """`provider:model` and `provider/model` taken apart, where the first part is one of `providers`."""
    for mark in (":", "/"):
        prefix, found, rest = model.partition(mark)
        if found and rest and prefix in providers:
            return prefix, rest
    return None, model


def unknown_model(model: str, known: Iterable[str], provider: str | None = None) -> ModelNotFound:
    """The error for a model that nobody has, with the ids that look alike."""
    near = difflib.get_close_matches(model, list(known), n=5, cutoff=0.5)
    where = f" at `{provider}`" if provider else ""
    hint = f" Did you mean {', '.join(f'`{name}`' for name in near)}?" if near else ""
    return ModelNotFound(f"There is no model `{model}`{where}.{hint}", model=model, provider=provider, near=near)


def _custom_model(position: int, model: Mapping[str, Any]) -> CustomModel:
    try:
        return CustomModel.model_validate(model)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in (position, *problem["loc"]))
        raise InvalidRequest(f"Custom model `{where}`: {problem['msg']}.", path=where) from error


def _definition(row: Row) -> ModelDefinition:
    is_chat = row.kind == "chat"
    return ModelDefinition(
        provider=row.provider,
        model=row.model,
        name=row.name,
        limit=Limit(row.context, row.output),
        cost=_cost(row),
        attachment=is_chat,
        reasoning=row.reasoning,
        tools=is_chat,
        schema=is_chat,
        kind=row.kind,
    )


def _cost(row: Row) -> Cost:
    long = ((row.long[0], _rates(row.long[1], row.audio)),) if row.long else ()
    scale = Scale(**_rates(row.rates, row.audio).given(), long=long)
    tiers = tuple(
        (
            tier.name,
            scale.scaled(tier.share, tier.cached) if tier.rates is None else Scale(**_rates(tier.rates, None).given()),
        )
        for tier in row.tiers
    )
    return Cost(**scale.given(), long=long, tiers=tiers, source=f"built-in {CHECKED}", valid_from=midnight(CHECKED))


def _rates(numbers: tuple[float, ...], audio: float | None) -> Rates:
    names = ("input", "output", "cache_read", "cache_write", "cache_write_1h")
    by_name = dict(zip(names, numbers, strict=False))
    if audio is not None and "cache_read" in by_name:
        cached = Decimal(str(audio)) * Decimal(str(by_name["cache_read"])) / Decimal(str(by_name["input"]))
        by_name["cache_read_audio"] = float(cached)  # a cache takes the same share off the price of sound
    return Rates(**by_name, audio_input=audio)


BUILT_IN: Mapping[tuple[str, str], ModelDefinition] = {(row.provider, row.model): _definition(row) for row in ROWS}
"""By provider and model id."""
