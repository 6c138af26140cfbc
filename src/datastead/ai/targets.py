"""From the name of a model to everything that is needed to call it, worked out once for each name."""

from datetime import datetime

from datastead.ai.endpoints import Endpoints, Source
from datastead.ai.plans import Target
from datastead.ai.price_list import PriceList
from datastead.ai.prices import price_of
from datastead.context import Clock, system_clock
from datastead.errors import ProviderNotConfigured
from datastead.extensions import Registry
from datastead.messages import Endpoint

CACHED = 1024


class Targets:
    """The targets of one set of settings, each with the price that holds now."""

    def __init__(
        self, endpoints: Endpoints, registry: Registry, prices: PriceList, clock: Clock = system_clock
    ) -> None:
        self._endpoints = endpoints
        self._registry = registry
        self._prices = prices
        self._clock = clock
        self._found: dict[tuple[str, str | None], Target] = {}
        self._until: datetime | None = None

    def find(self, model: str, provider: str | None) -> Target:
        """The target of a call. Raises an `AIError` where there is none."""
        if self._until is not None and self._clock() >= self._until:
            self.forget()
        found = self._found.get((model, provider))
        return found if found is not None else self._make(model, provider)

    def forget(self) -> None:
        """Works them out anew: a price has changed."""
        self._found.clear()
        self._until = None

    def _make(self, model: str, provider: str | None) -> Target:
        definition, source = self._endpoints.resolve(model, provider)
        definition = self._prices.priced(definition, self._clock())
        wire = self._registry.provider(source.wire)
        base_url = source.base_url or wire.default_base_url
        if base_url is None:
            raise ProviderNotConfigured(f"`{source.name}` has no base URL.", provider=source.name)
        endpoint = Endpoint(source.name, base_url.rstrip("/"), _header_safe(source, source.api_key), source.headers)
        target = Target(definition, source, wire.provider, endpoint, price_of(definition.cost))
        if len(self._found) >= CACHED:  # an endpoint that takes any id can be asked for any number of them
            self.forget()
        until = definition.cost.valid_until
        if until is not None and (self._until is None or until < self._until):
            self._until = until
        self._found[(model, provider)] = target
        return target


def _header_safe(source: Source, key: str | None) -> str | None:
    """The key without the line break that comes with many a file. Its text must not reach a message."""
    stripped = key.strip() if key is not None else None
    if stripped and not (stripped.isascii() and stripped.isprintable()):
        raise ProviderNotConfigured(f"The key of `{source.name}` has characters that no key has.", provider=source.name)
    return stripped or None
