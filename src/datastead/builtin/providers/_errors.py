"""From a provider's error answer to a typed error: what all wire formats share.

Each mapping has its own table from codes to errors; status codes, waiting times and redaction are the same for all.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from datastead.errors import (
    AIError,
    InvalidApiKey,
    InvalidRequest,
    ModelNotFound,
    ProviderTimeout,
    ProviderUnavailable,
    QuotaExceeded,
    RateLimitExceeded,
)

LONGEST_MESSAGE = 600  # characters

_KEYS = re.compile(
    r"""
      \b(?:sk|pk|rk|gsk|xai|hf|pplx|nvapi)[-_][\w*.\-]{4,}   # vendors' prefixes
    | \bAIza[\w*\-]{8,}                                         # Google
    | \beyJ[\w\-]+\.[\w\-.]+                                    # JSON web tokens
    | \b[A-Za-z0-9_\-]{40,}                                     # anything long and without a space
    """,
    re.VERBOSE,
)
_NAMED_KEYS = re.compile(r"(?i)\b(bearer\s+|(?:api[ _-]?key|token|secret)\b[^:=\n]{0,24}[:=]\s*[\"'`]?)([^\s\"'`,;]+)")


def redacted(text: str) -> str:
    """The text without anything that looks like a key."""
    return _KEYS.sub("[redacted]", _NAMED_KEYS.sub(r"\1[redacted]", text))


@dataclass(frozen=True, slots=True)
class Refusal:
    """A provider's error, read: what mappings look codes up in.

    status: of HTTP; 0 where the error came inside a stream.
    code, kind: the provider's own words (its `code` and `type`), "" where it has none.
    """

    provider: str
    status: int
    message: str
    code: str = ""
    kind: str = ""
    retry_after_s: float | None = None

    def typed(self, error: type[AIError] | None = None, **details: Any) -> AIError:
        """The error to raise: of the given kind, or of the one that the status says."""
        chosen = error or by_status(self.status)
        said = redacted(self.message).strip()[:LONGEST_MESSAGE]
        named = {
            "provider": self.provider,
            "provider_status": self.status or None,
            "provider_code": self.code or None,
            "provider_type": self.kind or None,
        }
        given = {name: value for name, value in named.items() if value is not None}
        return chosen(said or None, retry_after_s=self.retry_after_s, **given, **details)


_BY_STATUS: Mapping[int, type[AIError]] = {
    401: InvalidApiKey,
    402: QuotaExceeded,
    403: InvalidApiKey,
    404: ModelNotFound,
    408: ProviderTimeout,
    429: RateLimitExceeded,
    504: ProviderTimeout,
}


def by_status(status: int) -> type[AIError]:
    """What a status alone says; an error inside a stream has none, and is the provider's."""
    if 400 <= status < 500:
        return _BY_STATUS.get(status, InvalidRequest)
    return _BY_STATUS.get(status, ProviderUnavailable)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds that the provider asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a date."""
    lower = {name.lower(): value for name, value in headers.items()}
    in_ms = _number(lower.get("retry-after-ms"))
    if in_ms is not None:
        return in_ms / 1000
    said = lower.get("retry-after")
    seconds = _number(said)
    return seconds if seconds is not None or said is None else _until(said, lower.get("date"))


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text is not None else None
    except ValueError:
        return None
    return value if value is not None and 0 <= value < 1e9 else None


def _until(text: str, now: str | None) -> float | None:
    try:
        since = parsedate_to_datetime(now) if now else datetime.now(UTC)
        return max((parsedate_to_datetime(text) - since).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return None
