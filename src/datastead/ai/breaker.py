"""A circuit breaker for each endpoint: one that fails again and again is left alone for a while."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from datastead.context import Clock
from datastead.errors import AIError, ProviderTimeout, ProviderUnavailable
from datastead.messages import Endpoint

FAILURES = 5
"""In a row; then the breaker opens."""

PAUSE = timedelta(seconds=30)
SLOW_S = 10.0
"""What did not come in less time says more of the caller's patience than of the provider."""

BreakerState = Literal["closed", "open", "half-open"]


@dataclass(slots=True)
class _Trouble:
    """An endpoint that has failed. open_until: no call before that; then one, and the next a pause later."""

    failures: int = 0
    open_until: datetime | None = None


class Breakers:
    """The breakers of one process. Only an endpoint in trouble is remembered; a healthy one costs nothing.

    Open: calls are refused. Half-open: after the pause one call is let through; if it succeeds the breaker closes,
    if it fails it opens again, and if nothing is heard of it for a pause another one is let through.
    """

    def __init__(self, clock: Clock, *, failures: int = FAILURES, pause: timedelta = PAUSE) -> None:
        self._clock = clock
        self.failures = failures
        self._pause = pause
        self._troubles: dict[tuple[str, str], _Trouble] = {}

    def states(self) -> dict[str, BreakerState]:
        """The endpoints whose breaker is not closed, by provider."""
        now = self._clock()
        return {
            provider: "open" if now < trouble.open_until else "half-open"
            for (provider, _), trouble in self._troubles.items()
            if trouble.open_until is not None
        }

    def wait_s(self, endpoint: Endpoint) -> float | None:
        """How long the endpoint is still left alone; None = call it now: whoever asks first after the pause."""
        trouble = self._troubles.get(_key(endpoint)) if self._troubles else None
        if trouble is None or trouble.open_until is None:
            return None
        now = self._clock()
        if now < trouble.open_until:
            return (trouble.open_until - now).total_seconds()
        trouble.open_until = now + self._pause
        return None

    def is_open(self, endpoint: Endpoint) -> bool:
        """Whether calls would be refused."""
        trouble = self._troubles.get(_key(endpoint))
        return trouble is not None and trouble.open_until is not None and self._clock() < trouble.open_until

    def answered(self, endpoint: Endpoint) -> None:
        """The endpoint has begun to answer: an open breaker need not wait for the end."""
        trouble = self._troubles.get(_key(endpoint)) if self._troubles else None
        if trouble is not None and trouble.open_until is not None:
            del self._troubles[_key(endpoint)]

    def succeeded(self, endpoint: Endpoint) -> None:
        """An answer is complete, or a refusal that shows that the endpoint is there."""
        if self._troubles:
            self._troubles.pop(_key(endpoint), None)

    def failed(self, endpoint: Endpoint, error: AIError, waited_s: float) -> None:
        """An attempt ended in an error: those of the provider's own making count."""
        if isinstance(error, ProviderTimeout) and waited_s < SLOW_S:
            return
        if not isinstance(error, ProviderUnavailable | ProviderTimeout):
            self.succeeded(endpoint)
            return
        trouble = self._troubles.setdefault(_key(endpoint), _Trouble())
        trouble.failures += 1
        if trouble.failures >= self.failures:
            trouble.open_until = self._clock() + self._pause


def _key(endpoint: Endpoint) -> tuple[str, str]:
    return endpoint.provider, endpoint.base_url
