"""What the API reference says of models over HTTP."""

from collections.abc import Mapping
from typing import Any

from datastead.api.gateway.options import OWN

_OBJECT = {"type": "object", "additionalProperties": True}
_OPENAI = "As OpenAI's clients send it, for any model of any configured provider."


def model_paths() -> dict[str, Any]:
    """OpenAPI's path items."""
    own: dict[str, Any] = {name: {} for name in ("prompt", "data", "stream", *OWN)}
    return {
        "/ai/generate": {"post": _call("Call a model", {"type": "object", "properties": own, "required": ["model"]})},
        "/ai/v1/chat/completions": {"post": _call("Chat Completions", _of("messages"), _OPENAI)},
        "/ai/v1/responses": {"post": _call("Responses", _of("input"), _OPENAI)},
        "/ai/v1/embeddings": {"post": _call("Embeddings", _of("input"), _OPENAI)},
        "/ai/v1/models": {"get": _read("List models, as OpenAI's clients do")},
        "/ai/v1/models/{model}": {
            "parameters": [{"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}],
            "get": _read("Read a model"),
        },
    }


def _of(*names: str) -> Mapping[str, Any]:
    properties = {"model": {"type": "string"}, **{name: {} for name in names}}
    return {**_OBJECT, "properties": properties, "required": list(properties)}


def _call(summary: str, body: Mapping[str, Any], description: str = "") -> dict[str, Any]:
    stream = {"text/event-stream": {"schema": {"type": "string"}}, "application/json": {"schema": _OBJECT}}
    return {
        "tags": ["Models"],
        "summary": summary,
        "description": description,
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {"200": {"description": "The answer, or with `stream` its events.", "content": stream}},
    }


def _read(summary: str) -> dict[str, Any]:
    return {"tags": ["Models"], "summary": summary, "responses": {"200": {"description": "JSON"}}}
