"""The models that an `AI` knows, and what they cost."""

from collections.abc import Mapping
from typing import Any

from datastead.ai.listing import is_found, model_json
from datastead.ai.models import ModelDefinition
from datastead.ai.opening import Opened
from datastead.ai.price_list import declared_price, entry_json, valid_at
from datastead.errors import InvalidRequest


class Shelf(Opened):
    """What can be called here, and at which price."""

    def models(self, *, all: bool = False) -> list[ModelDefinition]:
        """The models that are configured and allowed here, with the prices of now.

        all: also those that are known by genai-prices alone.
        """
        now = self._clock()
        return [self._prices.priced(model, now) for model in self._endpoints.models(all=all)]

    def described(self, model: str, provider: str | None = None) -> ModelDefinition:
        """What is known about a model, whether or not it can be called here. Raises an `AIError`."""
        return self._endpoints.described(model, provider)

    async def price_list(self, model: str | None = None, provider: str | None = None) -> list[dict[str, Any]]:
        """The entries of the price list; with a model all that is known about its price, the current one marked.

        JSON as `price_list.entry_json` has it. Raises an `AIError` where nobody has the model.
        """
        await self._look_at_prices()
        now = self._clock()
        return self._prices.all(now) if model is None else self._prices.history(self.described(model, provider), now)

    async def set_price(self, values: Mapping[str, Any], user: str | None = None) -> dict[str, Any]:
        """Adds an entry to the price list; every process sees it within a second. JSON as `price_list` has it.

        values: `{model, provider?, input, output, …, long?, tiers?, limits?, valid_from?}`. Raises `InvalidRequest`
        where that is wrong or there is no database, and `ModelNotFound` where only the provider's name would help.
        """
        from datastead.ai.price_entries import add_entry

        await self._opened()
        if self._given_database is None:
            raise InvalidRequest("A price list needs a database; without one, set `AI_PRICES`.")
        price = declared_price({**values, **self._priced_model(values)})
        entry = await add_entry(self._given_database, price, user=user, now=self._clock())
        await self._look_at_prices()
        valid = valid_at(self._prices.of(entry.provider, entry.model), self._clock())
        return entry_json(entry, current=valid is not None and valid.id == entry.id)

    async def list_models(
        self, *, all: bool = False, provider: str | None = None, search: str | None = None
    ) -> list[dict[str, Any]]:
        """`models` as JSON, in the shape of `listing.model_json`, with what other processes have priced meanwhile.

        provider: only this one's, by any of its names. search: only those with this text in their id or name.
        """
        await self._look_at_prices()
        name = None if provider is None else self._endpoints.provider_name(provider)
        return [
            model_json(model, self._endpoints.title(model.provider))
            for model in self.models(all=all)
            if (name is None or model.provider == name) and (search is None or is_found(model, search))
        ]

    def providers(self) -> list[str]:
        """The names of the providers that can be called here."""
        return self._endpoints.providers()

    def wire_of(self, model: str, provider: str | None = None) -> str:
        """The name of the wire format that a model is reached through. Raises an `AIError` where there is no such."""
        return self._targets.find(model, provider).source.wire

    def _priced_model(self, values: Mapping[str, Any]) -> dict[str, str]:
        """The provider's own name, and the model's id at it."""
        model, provider = values.get("model"), values.get("provider")
        if not isinstance(model, str) or not isinstance(provider, str | None):
            return {}
        described = self.described(model, provider)
        return {"provider": described.provider, "model": described.model}
