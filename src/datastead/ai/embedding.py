"""Embeddings: texts become vectors, in as many requests as the provider's limits ask for, each a row of the ledger."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Required, TypedDict

from datastead.ai.bounds import estimate_tokens
from datastead.ai.context_window import check_context
from datastead.ai.models import COMPATIBLE
from datastead.ai.parameters import invalid
from datastead.ai.plans import Plan, Target
from datastead.ai.prices import usd
from datastead.ai.results import AttemptMade, GenerationResult
from datastead.errors import InvalidRequest, UnsupportedCapability
from datastead.messages import Call, EmbeddingCall, Usage, user

if TYPE_CHECKING:
    from datastead.context import Context

MOST_TOKENS = 250_000
"""About how many tokens go into one request: OpenAI takes 300,000."""

Vectors = tuple[tuple[float, ...], ...]


class EmbedOptions(TypedDict, total=False):
    """What `embed` takes beside the texts.

    model, provider: as for a call. dimensions: of each vector, where the model can be asked for it. provider_options:
    into the request's JSON, as they are. timeout_s: for all requests together. purpose, context: for the ledger.
    """

    model: Required[str]
    provider: str | None
    dimensions: int | None
    provider_options: Mapping[str, Any] | None
    timeout_s: float | None
    purpose: str | None
    context: "Context | None"


EMBED_NAMES = frozenset(EmbedOptions.__annotations__)


@dataclass(frozen=True, slots=True)
class EmbeddingResult:
    """Vectors, one for each text in their order, and what they cost.

    cost_nano_usd: None where the model's price is unknown. call: id of the ledger's row, of the first request where
    there were several; calls: of all. attempts: what all of them took.
    """

    vectors: Vectors
    usage: Usage
    cost_nano_usd: int | None
    model: str
    provider: str
    calls: tuple[str, ...]
    attempts: tuple[AttemptMade, ...] = ()

    @property
    def call(self) -> str:
        return self.calls[0]

    @property
    def cost(self) -> Decimal | None:
        """USD, exactly."""
        return usd(self.cost_nano_usd)


def embedding_calls(inputs: str | Sequence[str], options: EmbedOptions, target: Target) -> list[EmbeddingCall]:
    """The requests that it takes. Raises an `AIError` where the model or the texts are not right."""
    definition = target.definition
    if definition.kind != "embedding" and target.source.wire != COMPATIBLE:
        raise UnsupportedCapability(
            f"`{definition.model}` makes no vectors: call an embedding model.",
            model=definition.model, provider=definition.provider, capability="embeddings",
        )  # fmt: skip
    dimensions = options.get("dimensions")
    if dimensions is not None and (isinstance(dimensions, bool) or not isinstance(dimensions, int) or dimensions < 1):
        raise invalid("dimensions", dimensions, "a whole number, 1 or more")
    own = options.get("provider_options") or {}
    if not isinstance(own, Mapping):
        raise invalid("provider_options", own, "an object")
    texts = _checked(inputs, target)
    whole = EmbeddingCall(definition.model, texts, dimensions, {**definition.provider_options, **own})
    return [replace(whole, inputs=part) for part in _parts(texts, target.provider.most_embedding_inputs)]


def as_call(embedding: EmbeddingCall) -> Call:
    """The texts as turns, for what counts and estimates a prompt."""
    return Call(embedding.model, tuple(user(text) for text in embedding.inputs))


def joined(target: Target, done: Sequence[tuple[Plan, GenerationResult]]) -> EmbeddingResult:
    """All requests as one result."""
    costs = [result.cost_nano_usd for _, result in done]
    return EmbeddingResult(
        vectors=tuple(vector for plan, _ in done for vector in plan.vectors),
        usage=_sum([result.usage for _, result in done]),
        cost_nano_usd=None if None in costs else sum(cost or 0 for cost in costs),
        model=target.definition.model,
        provider=target.source.name,
        calls=tuple(result.call for _, result in done),
        attempts=tuple(made for _, result in done for made in result.attempts),
    )


def _checked(inputs: str | Sequence[str], target: Target) -> tuple[str, ...]:
    texts = (inputs,) if isinstance(inputs, str) else tuple(inputs)
    if not texts:
        raise InvalidRequest("There is nothing to embed: `inputs` is empty.", parameter="inputs")
    for position, text in enumerate(texts):
        if not isinstance(text, str) or not text:
            raise invalid(f"inputs.{position}", text, "text that is not empty")
        check_context(Call(target.definition.model, (user(text),)), target.definition)
    return texts


def _parts(texts: tuple[str, ...], most: int) -> Iterator[tuple[str, ...]]:
    part: list[str] = []
    tokens = 0
    for text in texts:
        size = estimate_tokens(text)
        if part and (len(part) >= most or tokens + size > MOST_TOKENS):
            yield tuple(part)
            part, tokens = [], 0
        part.append(text)
        tokens += size
    yield tuple(part)


def _sum(usages: Sequence[Usage]) -> Usage:
    """All tokens; the provider's raw object only where there is one request."""
    if len(usages) == 1:
        return usages[0]
    counted = [field.name for field in fields(Usage) if field.name not in {"tier", "cost_nano_usd", "raw"}]
    costs = [usage.cost_nano_usd for usage in usages]
    return Usage(
        **{name: sum(getattr(usage, name) for usage in usages) for name in counted},
        cost_nano_usd=None if None in costs else sum(cost or 0 for cost in costs),
    )
