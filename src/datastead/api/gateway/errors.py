"""Errors as OpenAI's clients know them: `{error: {message, type, param, code}}`, each with the status that they map.

Source: platform.openai.com/docs/guides/error-codes, and the exceptions of the official Python client, 2026-11.
"""

import logging
from collections.abc import Mapping
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from datastead import errors
from datastead.ai.engine import GenerationResult
from datastead.api.answers import Json
from datastead.api.errors import route_not_found
from datastead.api.gateway.endpoint import Headers, expected
from datastead.errors import AIError, DatasteadError

log = logging.getLogger("datastead.api")

_INVALID = "invalid_request_error"
_KNOWN: Mapping[type[DatasteadError], tuple[int, str, str]] = {
    # status, type, code
    errors.InvalidCredentials: (401, _INVALID, "invalid_api_key"),
    errors.InvalidToken: (401, _INVALID, "invalid_api_key"),
    errors.TokenExpired: (401, _INVALID, "invalid_api_key"),
    errors.Forbidden: (403, _INVALID, "permission_denied"),
    errors.ModelNotFound: (404, _INVALID, "model_not_found"),
    errors.ModelNotAllowed: (403, _INVALID, "model_not_allowed"),
    errors.ContextLengthExceeded: (400, _INVALID, "context_length_exceeded"),
    errors.UnsupportedCapability: (400, _INVALID, "unsupported_capability"),
    errors.ContentFiltered: (400, _INVALID, "content_filter"),
    errors.RateLimitExceeded: (429, "rate_limit_error", "rate_limit_exceeded"),
    errors.RequestsExceeded: (429, "rate_limit_error", "rate_limit_exceeded"),
    errors.QuotaExceeded: (402, "insufficient_quota", "insufficient_quota"),
    errors.BudgetExceeded: (402, "insufficient_quota", "budget_exceeded"),
    errors.UnpricedModel: (402, "insufficient_quota", "unpriced_model"),
    errors.RouteNotFound: (404, _INVALID, "unknown_url"),
}
_FROM_THE_CLASS = frozenset({errors.BudgetExceeded, errors.RateLimitExceeded})
"""Their own status may differ from case to case."""


def refuse(error: BaseException) -> Json:
    """The answer to a request that failed."""
    status, body = described(error)
    return Json({"error": body}, status, _headers(error))


def unfinished(error: errors.InvalidOutput) -> GenerationResult | None:
    """The answer that was cut at its longest or withheld: to OpenAI's clients that is no error, its end says so."""
    result = error.result
    broke_off = error.details.get("cause") in {"length", "content-filter"}
    return result if broke_off and isinstance(result, GenerationResult) else None


class NotFound:
    """Whatever OpenAI's API has that is not here."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await refuse(route_not_found(scope["path"]))(scope, receive, send)


def event(error: BaseException) -> bytes:
    """The same as the data of an event, in a stream that has begun."""
    return b"data: " + orjson.dumps({"error": described(error)[1]}, default=str) + b"\n\n"


def described(error: BaseException) -> tuple[int, dict[str, Any]]:
    """Status and error object. `datastead`: our own code and details."""
    if not isinstance(error, DatasteadError) or not expected(error):
        log.error("A request failed: %s", type(error).__name__, exc_info=error)
        internal = {
            "message": "Something went wrong in the server.",
            "type": "server_error",
            "param": None,
            "code": None,
        }
        return 500, internal
    status, kind, code = _known(error)
    details = {name: value for name, value in error.details.items() if value is not None}
    return status, {
        "message": error.message,
        "type": kind,
        "param": _parameter(error),
        "code": code,
        "datastead": {"code": error.code, **details},
    }


def _known(error: DatasteadError) -> tuple[int, str, str]:
    for kind in type(error).__mro__:
        if kind in _KNOWN:
            status, name, code = _KNOWN[kind]
            return (error.status if kind in _FROM_THE_CLASS else status), name, code
    return error.status, _INVALID if error.status < 500 else "server_error", error.code.lower()


def _parameter(error: DatasteadError) -> str | None:
    if isinstance(error, errors.ModelNotFound | errors.ModelNotAllowed):
        return "model"
    parameter = error.details.get("parameter") or error.details.get("field")
    return parameter if isinstance(parameter, str) else None


def _headers(error: BaseException) -> Headers:
    """When to come back; and whether to, as OpenAI's clients ask: a call was tried again here already."""
    if not isinstance(error, AIError):
        return []
    headers = [(b"x-should-retry", b"true" if error.retryable else b"false")]
    if error.retry_after_s is not None:
        headers.append((b"retry-after", str(max(0, round(error.retry_after_s))).encode()))
    return [*headers, *_limits(error)]


def _limits(error: AIError) -> Headers:
    """A limit of ours that is reached, in OpenAI's headers."""
    unit, details = error.details.get("unit"), error.details
    if unit not in {"requests", "tokens"} or not isinstance(error, errors.RateLimitExceeded):
        return []
    found = {"limit": details.get("limit"), "remaining": details.get("left")}
    if error.retry_after_s is not None:
        found["reset"] = f"{error.retry_after_s:.3f}s"
    return [(f"x-ratelimit-{name}-{unit}".encode(), str(value).encode()) for name, value in found.items()]
