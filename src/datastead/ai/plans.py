"""A call that is to be made: at which model, until when, and at which others if that one fails. No I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import orjson

from datastead.ai.bounds import FRAME_TOKENS, Bounds, bounds_of
from datastead.ai.endpoints import Source
from datastead.ai.entries import Policy
from datastead.ai.models import ModelDefinition
from datastead.ai.prices import Price
from datastead.ai.results import AttemptMade, GenerationResult
from datastead.errors import AIError, InvalidRequest
from datastead.extensions import Provider
from datastead.messages import Call, EmbeddingCall, Endpoint, WireRequest


@dataclass(frozen=True, slots=True)
class Target:
    """A model that can be called, and how."""

    definition: ModelDefinition
    source: Source
    provider: Provider
    endpoint: Endpoint
    price: Price

    @property
    def host(self) -> str:
        """The endpoint's host and port, for messages."""
        parts = urlsplit(self.endpoint.base_url)
        return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


class Caching(NamedTuple):
    """The answer may be kept for so many seconds, and be given again to the same identity.

    fits: whether an answer is what was asked for, where more was asked for than text.
    """

    ttl_s: float
    identity: str
    fits: Callable[[GenerationResult], bool] | None = None

    def takes(self, result: GenerationResult) -> bool:
        """Whether the answer may be kept, or given again."""
        return self.fits is None or self.fits(result)


Choose = Callable[[Target], Call]
"""The call for another model. Raises an `AIError` where that model cannot take it."""


@dataclass(slots=True)
class Plan:
    """A call that is to be made, by as many attempts as it takes.

    deadline: by the loop's clock, seconds; `timeout_s` after the call began. until: when the present model's turn is
    over; a stream has to have begun by then. fallbacks: what is left to call after the present one; `choose` makes the
    call for it. number: attempts so far; tries: those at the present model. made, skipped: what came of the models so
    far. failure: what the model that was asked for ended in. cache_key: of the present model's answer. embedding: what
    is sent in place of `call`, which then only says how long it is; vectors: what came back.
    """

    target: Target
    call: Call
    who: Mapping[str, str | None]
    deadline: float
    timeout_s: float
    policy: Policy
    key: str | None = None
    purpose: str | None = None
    caching: Caching | None = None
    fallbacks: tuple[Target, ...] = ()
    choose: Choose | None = None
    until: float = 0.0
    number: int = 0
    tries: int = 0
    cache_key: str | None = None
    made: list[AttemptMade] = field(default_factory=list)
    skipped: list[dict[str, Any]] = field(default_factory=list)
    failure: AIError | None = None
    embedding: EmbeddingCall | None = None
    vectors: tuple[tuple[float, ...], ...] = ()

    def turn(self, now: float) -> None:
        """Gives the present model its share of the time that is left."""
        self.until = now + (self.deadline - now) / (1 + len(self.fallbacks)) if self.fallbacks else self.deadline

    def note(self, code: str, call: str | None) -> None:
        """Remembers what an attempt at the present model came to, for the result and for the error."""
        self.made.append(AttemptMade(self.target.source.name, self.target.definition.model, code, call))

    def skip(self, provider: str, model: str, misfit: AIError) -> None:
        """Remembers why a fallback was not called."""
        self.made.append(AttemptMade(provider, model, misfit.code, None))
        self.skipped.append({"provider": provider, "model": model, "code": misfit.code, "reason": misfit.message})


@dataclass(slots=True)
class Request:
    """What is sent, and the most that it can use."""

    wire: WireRequest
    body: bytes
    bounds: Bounds


def build_request(plan: Plan) -> Request:
    """The HTTP request of a plan. Raises `InvalidRequest` where the call has no JSON."""
    target = plan.target
    if plan.embedding is not None:
        wire = target.provider.embedding_request(target.endpoint, plan.embedding)
        body = json_of(wire)
        return Request(wire, body, Bounds(len(body) + FRAME_TOKENS, 0, capped=True, plain=True))
    wire = target.provider.request(target.endpoint, target.definition, plan.call)
    body = json_of(wire)
    return Request(wire, body, bounds_of(plan.call, target.definition, wire.json, len(body)))


def json_of(wire: WireRequest) -> bytes:
    """The body of a request. Raises `InvalidRequest` where it cannot be JSON."""
    try:
        return orjson.dumps(wire.json)
    except TypeError as error:
        raise InvalidRequest(f"The call cannot be written as JSON: {error}.") from error
