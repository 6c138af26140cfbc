"""Models as JSON, for `GET /ai/models` and `datastead ai models`."""

from typing import Any

from datastead.ai.costs import rates_json
from datastead.ai.models import ModelDefinition

TITLES = {"openai": "OpenAI", "anthropic": "Anthropic", "google": "Google"}
"""The vendors' names as they write them."""


def model_json(model: ModelDefinition, title: str) -> dict[str, Any]:
    """The page's shape of a definition, and what we know besides. title: the provider's shown name.

    cost: input and output as the page has them (0 where the price is unknown), the state, other rates where they
    differ, `long`, `tiers`, and where the price is from: source, valid_from, valid_until (ISO 8601, or null).
    """
    cost = model.cost
    return {
        "provider": model.provider,
        "provider_name": title,
        "model": model.model,
        "name": model.name,
        "kind": model.kind,
        "limit": {"context": model.limit.context, "output": model.limit.output},
        "cost": {
            **rates_json(cost),
            "tiers": {tier: rates_json(scale) for tier, scale in cost.tiers},
            "state": cost.state,
            "source": cost.source,
            "valid_from": cost.valid_from.isoformat() if cost.valid_from else None,
            "valid_until": cost.valid_until.isoformat() if cost.valid_until else None,
        },
        "attachment": model.attachment,
        "reasoning": model.reasoning,
        "tools": model.tools,
        "schema": model.schema,
    }


def is_found(model: ModelDefinition, search: str) -> bool:
    """Whether all words of a search stand in the model's id, its name or its provider's, in any case."""
    text = f"{model.provider}:{model.model} {model.name}".lower()
    return all(word in text for word in search.lower().split())
