"""Model calls as Prometheus metrics, of this process. Labels are bounded: see `MOST_MODELS`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

if TYPE_CHECKING:
    from datastead.ai.attempts import Attempt
    from datastead.ai.entries import Settlement
    from datastead.ai.plans import Plan, Target
    from datastead.ai.results import GenerationResult
    from datastead.errors import AIError
    from datastead.messages import Usage

MOST_MODELS = 200
"""So many models have a label of their own; what comes after them is `other`, as an open endpoint takes any name."""

OTHER = "other"

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
_PARTS = (
    "input", "output", "cache_read", "cache_write", "cache_write_1h", "audio_input", "audio_output", "image_input",
    "image_output",
)  # fmt: skip


class Metrics:
    """An `Observer` that counts. `exposition` is what a scrape reads."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        of_model = ("provider", "model")
        self._calls = Counter(
            "datastead_ai_calls", "Attempts at model calls that are over.", (*of_model, "state", "code"),
            registry=registry,
        )  # fmt: skip
        self._tokens = Counter(
            "datastead_ai_tokens", "Tokens as billed, in disjoint parts.", (*of_model, "part"), registry=registry
        )
        self._cost = Counter("datastead_ai_cost_usd", "What calls cost, in USD.", of_model, registry=registry)
        self._duration = Histogram(
            "datastead_ai_duration_seconds", "From before the request to the end of the answer.", of_model,
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._first_token = Histogram(
            "datastead_ai_time_to_first_token_seconds", "From before the request to a stream's first piece.", of_model,
            buckets=_SECONDS, registry=registry,
        )  # fmt: skip
        self._open = Gauge("datastead_ai_holds_open", "Attempts that are held and not yet over.", registry=registry)
        self._reused = Counter(
            "datastead_ai_reused", "Calls answered by their key or from the cache, without asking a provider.",
            of_model, registry=registry,
        )  # fmt: skip
        self._refused = Counter(
            "datastead_ai_refused", "Calls that were not sent, as a budget or a limit does not cover them.", ("code",),
            registry=registry,
        )  # fmt: skip
        self._breakers = Gauge(
            "datastead_ai_breaker_open", "Providers that are left alone, as they failed again and again.",
            ("provider", "state"), registry=registry,
        )  # fmt: skip
        self._models: set[tuple[str, str]] = set()

    def exposition(self, breakers: Mapping[str, str]) -> bytes:
        """All metrics, in Prometheus's text format. breakers: what `AI.breakers` says now."""
        self._breakers.clear()
        for provider, state in breakers.items():
            self._breakers.labels(provider, state).set(1)
        return generate_latest(self._registry)

    def begun(self, attempt: "Attempt") -> None:  # noqa: ARG002  counted, whatever it is
        self._open.inc()

    def ended(self, attempt: "Attempt", settlement: "Settlement") -> None:
        self._open.dec()
        names = self._names(attempt.plan.target)
        self._calls.labels(*names, settlement.state, settlement.error_code or "").inc()
        self._duration.labels(*names).observe(settlement.latency_ms / 1000)
        if settlement.first_token_ms is not None and attempt.plan.call.stream:
            self._first_token.labels(*names).observe(settlement.first_token_ms / 1000)
        if settlement.cost_nano_usd:
            self._cost.labels(*names).inc(settlement.cost_nano_usd / 1_000_000_000)
        if settlement.usage is not None:
            self._count(names, settlement.usage)

    def refused(self, plan: "Plan", error: "AIError") -> None:  # noqa: ARG002  by code only
        self._refused.labels(error.code).inc()

    def reused(self, target: "Target", result: "GenerationResult") -> None:  # noqa: ARG002  it cost nothing
        self._reused.labels(*self._names(target)).inc()

    def _count(self, names: tuple[str, str], usage: "Usage") -> None:
        for part in _PARTS:
            tokens = getattr(usage, part)
            if tokens:
                self._tokens.labels(*names, part).inc(tokens)

    def _names(self, target: "Target") -> tuple[str, str]:
        names = (target.source.name, target.definition.model)
        if names not in self._models:
            if len(self._models) >= MOST_MODELS:
                return (target.source.name, OTHER)
            self._models.add(names)
        return names
