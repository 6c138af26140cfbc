"""From the name of a model to everything that is needed to call it, worked out once for each name."""

from datastead.ai.attempts import Target
from datastead.ai.endpoints import Endpoints, Source
from datastead.ai.prices import price_of
from datastead.errors import ProviderNotConfigured
from datastead.extensions import Registry
from datastead.messages import Endpoint

CACHED = 1024


class Targets:
    """The targets of one set of settings."""

    def __init__(self, endpoints: Endpoints, registry: Registry) -> None:
        self._endpoints = endpoints
        self._registry = registry
        self._found: dict[tuple[str, str | None], Target] = {}

    def find(self, model: str, provider: str | None) -> Target:
        """The target of a call. Raises an `AIError` where there is none."""
        found = self._found.get((model, provider))
        return found if found is not None else self._make(model, provider)

    def _make(self, model: str, provider: str | None) -> Target:
        definition, source = self._endpoints.resolve(model, provider)
        wire = self._registry.provider(source.wire)
        base_url = source.base_url or wire.default_base_url
        if base_url is None:
            raise ProviderNotConfigured(f"`{source.name}` has no base URL.", provider=source.name)
        endpoint = Endpoint(source.name, base_url.rstrip("/"), _header_safe(source, source.api_key), source.headers)
        target = Target(definition, source, wire.provider, endpoint, price_of(definition.cost))
        if len(self._found) >= CACHED:  # an endpoint that takes any id can be asked for any number of them
            self._found.clear()
        self._found[(model, provider)] = target
        return target


def _header_safe(source: Source, key: str | None) -> str | None:
    """The key without the line break that comes with many a file. Its text must not reach a message."""
    stripped = key.strip() if key is not None else None
    if stripped and not (stripped.isascii() and stripped.isprintable()):
        raise ProviderNotConfigured(f"The key of `{source.name}` has characters that no key has.", provider=source.name)
    return stripped or None
