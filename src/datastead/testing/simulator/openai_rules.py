"""What OpenAI's two wire formats have in common: keys, models, refusals, schemas."""

import re
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from datastead.testing.simulator.exchange import Fault

_REASONING_MODEL = re.compile(r"^(o\d|gpt-5)(?!.*chat)")
_TIERS = frozenset({"auto", "default", "fast", "flex", "priority", "scale"})
_FUNCTION_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")

_REFUSALS: dict[str, tuple[int, str, str | None, str | None]] = {
    # kind: status, type, param, code
    "invalid": (400, "invalid_request_error", None, None),
    "missing-key": (401, "invalid_request_error", None, None),
    "bad-key": (401, "invalid_request_error", None, "invalid_api_key"),
    "rate-limit": (429, "tokens", None, "rate_limit_exceeded"),
    "quota": (429, "insufficient_quota", None, "insufficient_quota"),
    "unavailable": (503, "server_error", None, None),
    "overloaded": (503, "service_unavailable_error", None, "server_is_overloaded"),
    "context-length": (400, "invalid_request_error", "messages", "context_length_exceeded"),
    "model-not-found": (404, "invalid_request_error", None, "model_not_found"),
    "no-route": (404, "invalid_request_error", None, None),
}
MESSAGES = {
    "rate-limit": "Rate limit reached for requests: limit 3, used 3, requested 1. Try again later.",
    "quota": "You have used up your quota: see your plan and billing details.",
    "unavailable": "The server had an error while it worked on your request.",
    "overloaded": "Our servers are overloaded: slow down, or try again later.",
    "context-length": "This model's context length is 128000 tokens, and your messages have more.",
    "bad-key": "Incorrect API key provided: bad-k**. Find your key in your account's settings.",
    "model-not-found": "The model does not exist, or you do not have access to it.",
    "no-route": "Invalid URL",
    "malformed": "",
}


def refuse(fault: Fault) -> tuple[int, dict[str, str], Any]:
    """OpenAI's error body, with its headers."""
    status, kind, param, code = _REFUSALS[fault.kind]
    headers = {"x-request-id": "req_simulated"}
    if fault.retry_after_s is not None:
        headers["retry-after"] = f"{fault.retry_after_s:g}"
        headers["retry-after-ms"] = str(round(fault.retry_after_s * 1000))
    error = {"message": fault.message, "type": kind, "param": fault.param or param, "code": fault.code or code}
    return fault.status or status, headers, {"error": error}


def check_key(request: Request) -> None:
    """Refuses a request without a key, or with `bad-key`."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Fault("missing-key", "You did not provide an API key: send it in an Authorization header as Bearer.")
    refuse_bad_key(key)


def refuse_bad_key(key: str) -> None:
    if key.strip() == "bad-key":
        raise Fault("bad-key", MESSAGES["bad-key"])


def check_model(body: Mapping[str, Any]) -> str:
    """The model's name; names that begin with `no-such` do not exist."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise Fault("invalid", "You must provide a model parameter.", param="model")
    if model.startswith("no-such"):
        raise Fault("model-not-found", f"The model `{model}` does not exist or you do not have access to it.")
    return model


def is_reasoning(model: str) -> bool:
    return bool(_REASONING_MODEL.match(model))


def refuse_sampling(body: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """What reasoning models do not take."""
    for name in names:
        if body.get(name) is not None:
            message = f"Unsupported parameter: '{name}' is not supported with this model."
            raise Fault("invalid", message, param=name, code="unsupported_parameter")


def refuse_unknown(body: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(set(body) - known)
    if unknown:
        raise Fault("invalid", f"Unknown parameter: '{unknown[0]}'.", param=unknown[0], code="unknown_parameter")


def check_tools(body: Mapping[str, Any]) -> None:
    """Parallel calls are only spoken of where there are tools."""
    if body.get("parallel_tool_calls") is not None and not body.get("tools"):
        message = "'parallel_tool_calls' is only allowed when 'tools' are specified."
        raise Fault("invalid", message, param="parallel_tool_calls")


def check_tier(body: Mapping[str, Any]) -> str:
    """The service tier that is served: the one that was asked for."""
    tier = body.get("service_tier") or "auto"
    if tier not in _TIERS:
        message = f"Invalid value: '{tier}'. Supported values are: {', '.join(sorted(_TIERS))}."
        raise Fault("invalid", message, param="service_tier", code="invalid_value")
    return "default" if tier == "auto" else "priority" if tier == "fast" else str(tier)


def refuse_name(name: Any, where: str) -> None:
    if not isinstance(name, str) or not _FUNCTION_NAME.match(name):
        raise Fault(
            "invalid", f"Invalid '{where}': it has to match ^[a-zA-Z0-9_-]+$.", param=where, code="invalid_value"
        )


def check_schema(schema: Any, *, strict: bool, where: str) -> Mapping[str, Any]:
    """The schema; strict ones have every object closed and every property required."""
    if not isinstance(schema, Mapping) or schema.get("type") != "object":
        raise Fault(
            "invalid",
            f"Invalid schema for response_format: schema must be a JSON Schema of 'type: \"object\"', at {where}.",
            param=where,
        )
    if strict:
        _check_strict(schema, where)
    return schema


_NOT_STRICT = frozenset({"allOf", "oneOf", "not", "if", "uniqueItems", "contains", "patternProperties", "default"})
"""Keywords that its strict mode does not take. Source: its guide on structured outputs, 2026."""


def _check_strict(schema: Any, where: str) -> None:
    if not isinstance(schema, Mapping):
        return
    properties = schema.get("properties")
    refused = next((key for key in schema if key in _NOT_STRICT), None)
    if refused is not None:
        text = f"Invalid schema: '{refused}' is not permitted."
        raise Fault("invalid", text, param=where, code="invalid_json_schema")
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            raise Fault(
                "invalid",
                "Invalid schema: 'additionalProperties' is required to be supplied and to be false.",
                param=where,
                code="invalid_json_schema",
            )
        if set(properties or {}) != set(schema.get("required") or []):
            raise Fault(
                "invalid",
                "Invalid schema: 'required' is required to include every key in properties.",
                param=where,
                code="invalid_json_schema",
            )
    for inner in [*(properties or {}).values(), schema.get("items"), *(schema.get("anyOf") or [])]:
        _check_strict(inner, where)


def usage(counts: Any, prompt: str, answer: str) -> dict[str, Any] | None:
    """OpenAI's usage object: the input holds what was cached, the output what was reasoned."""
    if counts is None:
        return None
    before = counts.input + counts.cache_read + counts.cache_write
    return {
        f"{prompt}_tokens": before,
        f"{prompt}_tokens_details": {"cached_tokens": counts.cache_read, "cache_write_tokens": counts.cache_write},
        f"{answer}_tokens": counts.output,
        f"{answer}_tokens_details": {"reasoning_tokens": counts.reasoning},
        "total_tokens": before + counts.output,
    }
