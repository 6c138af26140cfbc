"""`GET /ai/v1/models` and `/ai/v1/models/{model}`: what may be called here, as OpenAI's clients list it."""

from collections import Counter
from typing import Any

from starlette.types import Receive, Scope, Send

from datastead.ai.models import ModelDefinition
from datastead.api.answers import Json
from datastead.api.gateway import errors
from datastead.api.gateway.endpoint import signed_in
from datastead.errors import ModelNotFound


class Models:
    """The list, or one of it. Each id can be asked for as it stands: `provider/model` where two providers have one."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            ctx = await signed_in(scope)
            listed = _listed(ctx.services.ai.models())
            wanted = scope["path_params"].get("model")
            answer = Json({"object": "list", "data": list(listed.values())} if wanted is None else _one(listed, wanted))
        except Exception as error:  # noqa: BLE001  answered in the client's own words, and logged where it is ours
            answer = errors.refuse(error)
        await answer(scope, receive, send)


def _one(listed: dict[str, dict[str, Any]], wanted: str) -> dict[str, Any]:
    found = listed.get(wanted)
    if found is None:
        owner, _, bare = wanted.replace(":", "/", 1).partition("/")
        found = next((each for name, each in listed.items() if each["owned_by"] == owner and name == bare), None)
    if found is None:
        raise ModelNotFound(f"There is no model `{wanted[:100]}` here.", model=wanted[:100])
    return {**found, "id": wanted}


def _listed(models: list[ModelDefinition]) -> dict[str, dict[str, Any]]:
    many = Counter(model.model for model in models)
    named = ((model.model if many[model.model] == 1 else f"{model.provider}/{model.model}", model) for model in models)
    return {name: _json(name, model) for name, model in named}


def _json(name: str, model: ModelDefinition) -> dict[str, Any]:
    """OpenAI's four fields, and what a chooser wants to know. price: USD per million tokens; null = unknown."""
    known = model.cost.state != "unknown"
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": model.provider,
        "name": model.name,
        "context_length": model.limit.context,
        "max_output_tokens": model.limit.output,
        "attachment": model.attachment,
        "reasoning": model.reasoning,
        "price": {"input": model.cost.input, "output": model.cost.output} if known else None,
    }
