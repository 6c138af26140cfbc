"""OpenAI's error object, which compatible endpoints share, as typed errors.

Source: platform.openai.com/docs/guides/error-codes, 2026-11.
"""

from collections.abc import Mapping
from typing import Any

from datastead.builtin.providers._errors import Refusal, retry_after_s
from datastead.builtin.providers._reading import an_object, string
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

_BY_CODE: Mapping[str, type[AIError]] = {
    "invalid_api_key": InvalidApiKey,
    "account_deactivated": InvalidApiKey,
    "authentication_error": InvalidApiKey,
    "insufficient_quota": QuotaExceeded,
    "billing_hard_limit_reached": QuotaExceeded,
    "billing_not_active": QuotaExceeded,
    "credit_balance_exhausted": QuotaExceeded,
    "rate_limit_exceeded": RateLimitExceeded,
    "rate_limit_error": RateLimitExceeded,
    "context_length_exceeded": ContextLengthExceeded,
    "string_above_max_length": ContextLengthExceeded,
    "exceed_context_size_error": ContextLengthExceeded,
    "model_not_found": ModelNotFound,
    "content_filter": ContentFiltered,
    "content_policy_violation": ContentFiltered,
    "invalid_prompt": ContentFiltered,
    "image_content_policy_violation": ContentFiltered,
    "bio_policy": ContentFiltered,
    "misalignment_policy_violation": ContentFiltered,
    "server_error": ProviderUnavailable,
    "overloaded_error": ProviderUnavailable,
    "server_is_overloaded": ProviderUnavailable,
    "timeout": ProviderTimeout,
}
_TELLING_TYPES = frozenset({"insufficient_quota", "exceed_context_size_error"})
_MODEL_MISSING_TYPES = frozenset({"not_found_error", "NotFoundError", "api_error"})


def error_of(provider: str, status: int, headers: Mapping[str, str], body: Any) -> AIError:
    """The typed error for an HTTP answer; `details["route_not_found"]` where the endpoint has no such route."""
    found = _read(provider, status, body, retry_after_s(headers))
    if status == 405 or (status == 404 and not _says_model_is_missing(found, body)):
        return _route_missing(found)
    return _typed(found)


def error_in(provider: str, error: Any) -> AIError:
    """The typed error for an error object inside a stream, or in place of an answer."""
    code = an_object(error).get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else 0
    return _typed(_read(provider, status, {"error": error}, None))


def _read(provider: str, status: int, body: Any, wait_s: float | None) -> Refusal:
    whole = an_object(body)
    error = whole.get("error") or whole.get("detail") or (whole if "message" in whole else body)
    fields = an_object(error)
    message = string(fields.get("message")) or string(error) or string(whole.get("message"))
    code = fields.get("code")
    return Refusal(provider, status, message, string(code), string(fields.get("type")), wait_s)


def _typed(found: Refusal) -> AIError:
    kind = _BY_CODE.get(found.code)
    if kind is None and (not found.status or found.kind in _TELLING_TYPES):
        kind = _BY_CODE.get(found.kind)
    if kind is None and found.status == 400 and _says_context_is_exceeded(found.message):
        kind = ContextLengthExceeded
    if kind is None and not found.status and "invalid_request_error" in {found.code, found.kind}:
        kind = InvalidRequest
    return found.typed(kind)


def _says_context_is_exceeded(message: str) -> bool:
    """Compatible servers (vLLM, Ollama) have no code for this."""
    said = message.lower()
    return "maximum context length" in said or "context window" in said or "exceeds the available context" in said


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
    return refusal.typed(InvalidRequest, route_not_found=True)
