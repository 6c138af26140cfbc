"""OpenAI's error object, which compatible endpoints share, as typed errors.

Source: platform.openai.com/docs/guides/error-codes, 2026-11.
"""

from collections.abc import Mapping
from typing import Any

from datastead.builtin.providers._errors import Refusal, Rule, retry_after_s
from datastead.builtin.providers._reading import an_object, count, string
from datastead.errors import (
    AIError,
    ContentFiltered,
    ContextLengthExceeded,
    InvalidApiKey,
    InvalidRequest,
    ModelNotFound,
    ProviderTimeout,
    ProviderUnavailable,
    QuotaExceeded,
    RateLimitExceeded,
)

MODERATION = "moderation"
"""Our word for OpenRouter's refusals by moderation, which have nothing but their metadata."""

_MODEL_MISSING_TYPES = frozenset({"not_found_error", "NotFoundError", "api_error"})

TABLE = (
    Rule(InvalidApiKey, ("invalid_api_key", "account_deactivated", "authentication_error")),
    Rule(
        QuotaExceeded,
        ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "credit_balance_exhausted"),
    ),
    Rule(RateLimitExceeded, ("rate_limit_exceeded", "rate_limit_error")),
    Rule(ContextLengthExceeded, ("context_length_exceeded", "string_above_max_length", "exceed_context_size_error")),
    Rule(ModelNotFound, ("model_not_found",)),
    Rule(
        ContentFiltered,
        (
            "content_filter",
            "content_policy_violation",
            "invalid_prompt",
            "image_content_policy_violation",
            "bio_policy",
            "misalignment_policy_violation",
            MODERATION,
        ),
    ),
    Rule(ProviderTimeout, ("timeout",)),
    Rule(ProviderUnavailable, ("server_error", "overloaded_error", "server_is_overloaded")),
    # Compatible servers (vLLM, Ollama, OpenRouter) have no code for this.
    Rule(
        ContextLengthExceeded,
        status=(0, 400, 413),
        says=(
            "maximum context length",
            "context window",
            "exceeds the available context",
            "exceeded max context length",
        ),
    ),
    Rule(InvalidRequest, ("invalid_request_error",), status=(0,)),
)
"""What a refusal is; where no row fits, its status says it."""


def error_of(provider: str, status: int, headers: Mapping[str, str], body: Any) -> AIError:
    """The typed error for an HTTP answer; `details["route_not_found"]` where the endpoint has no such route."""
    found = _read(provider, status, body, retry_after_s(headers))
    if status == 405 or (status == 404 and not _says_model_is_missing(found, body)):
        return _route_missing(found)
    return found.typed(TABLE)


def error_in(provider: str, error: Any) -> AIError:
    """The typed error for an error object inside a stream, or in place of an answer."""
    code = an_object(error).get("code")
    number = int(code) if isinstance(code, str) and code.isdigit() else code
    status = number if isinstance(number, int) and 400 <= number < 600 else 0
    return _read(provider, status, {"error": error}, None).typed(TABLE)


def _read(provider: str, status: int, body: Any, wait_s: float | None) -> Refusal:
    whole = an_object(body)
    error = whole.get("error") or whole.get("detail") or (whole if "message" in whole else body)
    fields = an_object(error)
    message = string(fields.get("message")) or string(error) or string(whole.get("message"))
    metadata = an_object(fields.get("metadata"))
    kind = string(fields.get("type")) or (MODERATION if "flagged_input" in metadata else "")
    given = {"counted": count(fields.get("n_prompt_tokens")), "allowed": count(fields.get("n_ctx"))}  # llama.cpp
    numbers = {name: value for name, value in given.items() if value}
    code = string(fields.get("code"))
    return Refusal(provider, status, message, code, kind, wait_s, string(metadata.get("raw")), numbers)


def _says_model_is_missing(found: Refusal, body: Any) -> bool:
    error = an_object(an_object(body).get("error") or body)
    return found.code == "model_not_found" or error.get("param") == "model" or found.kind in _MODEL_MISSING_TYPES


def _route_missing(found: Refusal) -> AIError:
    said = f" It says: {found.message}" if found.message else ""
    refusal = Refusal(
        found.provider,
        found.status,
        f"The endpoint has no such route: check the base URL.{said}",
        found.code,
        found.kind,
    )
    return refusal.typed((Rule(InvalidRequest),), route_not_found=True)
