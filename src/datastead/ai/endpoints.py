"""Which providers and models may be called here: the settings, read once, and asked for each call."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from datastead.ai.listing import TITLES
from datastead.ai.models import (
    BUILT_IN,
    COMPATIBLE,
    VENDORS,
    ModelDefinition,
    custom_definition,
    split_model,
    unknown_model,
)
from datastead.ai.price_data import all_known_elsewhere, assumed, known_elsewhere, undeclared
from datastead.errors import AIError, InvalidRequest, ModelNotAllowed, ModelNotFound, ProviderNotConfigured

if TYPE_CHECKING:
    from pydantic import SecretStr

    from datastead.settings import CustomModel, Settings
    from datastead.settings.prices import DeclaredPrice


@dataclass(frozen=True, slots=True)
class Source:
    """A configured provider.

    name: as calls name it. wire: the provider extension that speaks to it. base_url: None = the extension's own.
    allowed: None = every model that is known. models: the custom ones, by id. open: takes ids that nobody declared.
    missing: what has to be set before it can be called.
    """

    name: str
    wire: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    allowed: tuple[str, ...] | None = None
    models: Mapping[str, ModelDefinition] = field(default_factory=dict)
    open: bool = False
    missing: str | None = None

    def listed(self) -> list[ModelDefinition]:
        """The models that can be named without guessing."""
        if self.wire == COMPATIBLE:
            return list(self.models.values())
        if self.allowed is None:
            return [model for (provider, _), model in BUILT_IN.items() if provider == self.name]
        return [self._allowed(model) for model in self.allowed]

    def more(self) -> list[ModelDefinition]:
        """The models that genai-prices alone knows, where no list forbids them."""
        return all_known_elsewhere(self.name) if self.wire != COMPATIBLE and self.allowed is None else []

    def has(self, model: str) -> bool:
        """Whether the model is among the listed ones."""
        if self.wire == COMPATIBLE:
            return model in self.models
        return (self.name, model) in BUILT_IN if self.allowed is None else model in self.allowed

    def model(self, model: str) -> ModelDefinition:
        """The model, where calls name this provider. Raises `ModelNotAllowed` or `ModelNotFound`."""
        if self.has(model):
            return self.models[model] if self.wire == COMPATIBLE else self._allowed(model)
        if self.allowed is not None:
            raise ModelNotAllowed(
                f"`{model}` is not among `{self.name}`'s allowed models: {_listing(self.allowed)}.",
                model=model, provider=self.name, allowed=list(self.allowed),
            )  # fmt: skip
        found = undeclared(self.name, model) if self.open else self.unlisted(model)
        if found is None:
            raise unknown_model(model, (known.model for known in self.listed()), self.name)
        return found

    def unlisted(self, model: str) -> ModelDefinition | None:
        """A vendor's model that is not built in, if genai-prices knows it and no list forbids it."""
        return known_elsewhere(self.name, model) if self.wire != COMPATIBLE and self.allowed is None else None

    def _allowed(self, model: str) -> ModelDefinition:
        return BUILT_IN.get((self.name, model)) or assumed(self.name, model)


class Endpoints:
    """The configured providers, by name. The first custom endpoint goes by its own name and `openai-compatible`."""

    def __init__(self, settings: "Settings", problems: Mapping[str, str] | None = None) -> None:
        """problems: why a provider cannot be called, whatever the settings say, by its name."""
        self._enabled = settings.ai_enabled
        self._sources = {
            source.name: replace(source, missing=(problems or {}).get(source.name, source.missing))
            for source in _sources(settings)
        }
        self._title = settings.ai_openai_compatible_name
        self._aliases = {settings.ai_openai_compatible_name: COMPATIBLE} | {name: name for name in self._sources}

    def providers(self) -> list[str]:
        """The names of the providers that can be called."""
        return [source.name for source in self._sources.values() if source.missing is None] if self._enabled else []

    def models(self, *, all: bool = False) -> list[ModelDefinition]:
        """Every model that is configured and allowed. all: also those that genai-prices alone knows."""
        if not self._enabled:
            return []
        ready = [source for source in self._sources.values() if source.missing is None]
        return [model for source in ready for model in (*source.listed(), *(source.more() if all else ()))]

    def title(self, provider: str) -> str:
        """The shown name of a provider."""
        return self._title if provider == COMPATIBLE else TITLES.get(provider, provider)

    def priced(self, prices: "Sequence[DeclaredPrice]") -> "list[DeclaredPrice]":
        """The prices of the settings, each under its provider's own name."""
        return [
            price.model_copy(update={"provider": self._aliases.get(price.provider, price.provider)}) for price in prices
        ]

    def provider_name(self, provider: str) -> str:
        """The name of a provider, configured or not, that also goes by another. Raises `InvalidRequest`."""
        known = self._aliases | {name: name for name in (*VENDORS, COMPATIBLE)}
        if provider not in known:
            raise self._no_provider(provider)
        return known[provider]

    def described(self, model: str, provider: str | None = None) -> ModelDefinition:
        """A model, whether or not it can be called here. Raises an `AIError` where it is not clear which it is."""
        named, bare = (
            split_model(model, (*self._aliases, *VENDORS, COMPATIBLE)) if provider is None else (provider, model)
        )
        if named is not None:
            name = self.provider_name(named)
            return self._described_at(name, bare) or undeclared(name, bare)
        names = dict.fromkeys((*self._sources, *VENDORS))
        found = [known for known in (self._described_at(name, bare) for name in names) if known is not None]
        if len(found) > 1:
            raise _ambiguous(bare, [known.provider for known in found])
        if not found:
            raise self._not_found(bare)
        return found[0]

    def _described_at(self, provider: str, model: str) -> ModelDefinition | None:
        source = self._sources.get(provider)
        if source is not None and source.wire == COMPATIBLE:
            return source.models.get(model)
        return BUILT_IN.get((provider, model)) or known_elsewhere(provider, model)

    def resolve(self, model: str, provider: str | None = None) -> tuple[ModelDefinition, Source]:
        """The model that a call means, and where it is reached. Raises an `AIError` that says what is wrong."""
        if not self._enabled:
            raise ProviderNotConfigured("Models are switched off here: `AI_ENABLED` is false.")
        if not model:
            raise InvalidRequest("Which model? `model` is empty.", parameter="model")
        definition, source = self._named(model, provider) if provider else self._unnamed(model)
        if source.missing is not None:
            raise ProviderNotConfigured(source.missing, provider=source.name)
        return definition, source

    def _named(self, model: str, provider: str) -> tuple[ModelDefinition, Source]:
        source = self._source(provider)
        bare = split_model(model, (provider, source.name))[1]
        return source.model(model if source.has(model) else bare), source

    def _unnamed(self, model: str) -> tuple[ModelDefinition, Source]:
        prefix, bare = split_model(model, self._aliases)
        if prefix is not None:
            source = self._source(prefix)
            return source.model(bare), source
        having = [source for source in self._sources.values() if source.has(model)]
        if len(having) > 1:
            raise _ambiguous(model, [source.name for source in having])
        return (having[0].model(model), having[0]) if having else self._unlisted(model)

    def _unlisted(self, model: str) -> tuple[ModelDefinition, Source]:
        """A model that no configured provider lists: at an endpoint that takes any, or at a vendor that has more."""
        taking_any = [source for source in self._sources.values() if source.open]
        if len(taking_any) == 1:
            return taking_any[0].model(model), taking_any[0]
        for source in self._sources.values():
            found = source.unlisted(model)
            if found is not None:
                return found, source
        raise self._unresolved(model)

    def _unresolved(self, model: str) -> AIError:
        """Why nobody has the model: not allowed, not switched on, or not there at all."""
        prefix, bare = split_model(model, VENDORS)
        vendor = prefix or next((vendor for vendor, known in BUILT_IN if known == model), None)
        if vendor in self._sources:
            return _refusal(self._sources[vendor], bare)
        if vendor is not None:
            return _not_enabled(vendor)
        if not self._sources:
            return ProviderNotConfigured(
                f"No provider is configured for `{model}`: set `AI_OPENAI_ENABLED=true` and `AI_OPENAI_API_KEY`, or"
                " those of `ANTHROPIC`, `GOOGLE` or `OPENAI_COMPATIBLE`.", model=model,
            )  # fmt: skip
        return self._not_found(model)

    def _not_found(self, model: str) -> AIError:
        return unknown_model(model, (known.model for source in self._sources.values() for known in source.listed()))

    def _source(self, provider: str) -> Source:
        source = self._sources.get(self._aliases.get(provider, provider))
        if source is not None:
            return source
        if provider in (*VENDORS, COMPATIBLE):
            raise _not_enabled(provider)
        raise self._no_provider(provider)

    def _no_provider(self, provider: str) -> InvalidRequest:
        near = difflib.get_close_matches(provider, [*self._aliases, *VENDORS, COMPATIBLE], n=1)
        hint = f" Did you mean `{near[0]}`?" if near else f" Configured: {_listing(list(self._sources)) or 'none'}."
        return InvalidRequest(f"There is no provider `{provider}`.{hint}", provider=provider)


def _ambiguous(model: str, providers: Sequence[str]) -> InvalidRequest:
    names = [f"{provider}:{model}" for provider in providers]
    return InvalidRequest(
        f"`{model}` is at more than one provider: name one of {_listing(names)}.", model=model, candidates=names
    )


def _refusal(source: Source, model: str) -> AIError:
    try:
        source.model(model)
    except (ModelNotAllowed, ModelNotFound) as error:
        return error
    raise AssertionError(f"{source.name} has {model}")


def _not_enabled(provider: str) -> ProviderNotConfigured:
    prefix = f"AI_{provider.upper().replace('-', '_')}"
    needs = "BASE_URL" if provider == COMPATIBLE else "API_KEY"
    return ProviderNotConfigured(
        f"`{provider}` is not enabled: set `{prefix}_ENABLED=true` and `{prefix}_{needs}`.", provider=provider
    )


def _sources(settings: "Settings") -> Iterator[Source]:
    if settings.ai_openai_enabled:
        yield _vendor("openai", settings.ai_openai_api_key, settings.ai_openai_base_url,
                      settings.ai_openai_allowed_models)  # fmt: skip
    if settings.ai_anthropic_enabled:
        yield _vendor("anthropic", settings.ai_anthropic_api_key, settings.ai_anthropic_base_url,
                      settings.ai_anthropic_allowed_models)  # fmt: skip
    if settings.ai_google_enabled:
        yield _vendor("google", settings.ai_google_api_key, settings.ai_google_base_url,
                      settings.ai_google_allowed_models)  # fmt: skip
    if settings.ai_openai_compatible_enabled:
        yield _compatible(COMPATIBLE, settings.ai_openai_compatible_base_url, settings.ai_openai_compatible_api_key,
                          settings.ai_openai_compatible_headers, settings.ai_openai_compatible_models)  # fmt: skip
    for more in settings.ai_openai_compatible_providers:
        yield _compatible(more.name, more.base_url, more.api_key, more.headers, more.models)


def _vendor(name: str, key: "SecretStr | None", base_url: str | None, allowed: Sequence[str] | None) -> Source:
    variable = f"AI_{name.upper()}_API_KEY"
    return Source(
        name=name,
        wire=name,
        base_url=base_url,
        api_key=key.get_secret_value() if key else None,
        allowed=None if allowed is None else tuple(dict.fromkeys(allowed)),
        missing=None if key else f"`{name}` has no key: set `{variable}` or the vendor's own variable.",
    )


def _compatible(
    name: str,
    base_url: str | None,
    key: "SecretStr | None",
    headers: Mapping[str, str],
    models: Sequence["CustomModel"],
) -> Source:
    return Source(
        name=name,
        wire=COMPATIBLE,
        base_url=base_url,
        api_key=key.get_secret_value() if key else None,
        headers=headers,
        models={model.id: custom_definition(model, name) for model in models},
        open=not models,
        missing=None if base_url else f"`{name}` has no address: set `AI_OPENAI_COMPATIBLE_BASE_URL`.",
    )


def _listing(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"
