"""From a provider's error answer to a typed error: what all wire formats share.

Each mapping has a table of its own, of `Rule`s; status codes, waiting times, the numbers in a message and redaction are
the same for all.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase
from typing import Any

from datastead.errors import (
    AIError,
    ContextLengthExceeded,
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
    """A provider's error, read: what mappings look up in their table.

    status: of HTTP; 0 where the error came inside a stream.
    code, kind: the provider's own words (its `code` and `type`), "" where it has none.
    aside: what it says beside its message, for the table only. numbers: `counted` and `allowed`, where it has fields
    for them.
    """

    provider: str
    status: int
    message: str
    code: str = ""
    kind: str = ""
    retry_after_s: float | None = None
    aside: str = ""
    numbers: Mapping[str, int] = field(default_factory=dict)

    def typed(self, table: "Sequence[Rule]", **details: Any) -> AIError:
        """The error to raise: of the first rule that fits, or of the kind that the status says."""
        chosen = next((rule.error for rule in table if rule.fits(self)), None) or by_status(self.status)
        if issubclass(chosen, ContextLengthExceeded):
            details = {**limits_in(self.message), **self.numbers, **details}
        said = redacted(self.message).strip()[:LONGEST_MESSAGE]
        named = {
            "provider": self.provider,
            "provider_status": self.status or None,
            "provider_code": self.code or None,
            "provider_type": self.kind or None,
        }
        given = {name: value for name, value in named.items() if value is not None}
        return chosen(said or None, retry_after_s=self.retry_after_s, **given, **details)


@dataclass(frozen=True, slots=True)
class Rule:
    """A row of a wire format's table: the error that a refusal is, where it fits all that the row gives.

    words: one of them is the refusal's code or kind; `*` stands for anything. status: one of them; 0 = in a stream.
    says: one of them is in the message, or beside it; in small letters.
    """

    error: type[AIError]
    words: tuple[str, ...] = ()
    status: tuple[int, ...] = ()
    says: tuple[str, ...] = ()

    def fits(self, found: Refusal) -> bool:
        if self.status and found.status not in self.status:
            return False
        if self.words and not any(fnmatchcase(said, word) for said in (found.code, found.kind) for word in self.words):
            return False
        message = f"{found.message} {found.aside}".lower() if self.says else ""
        return not self.says or any(words in message for words in self.says)


_LIMIT = r"(?:context length (?:is|of)|limit of|context size) \(?(?P<allowed>\d[\d,]*)"
_SAID = r"(?:resulted in|requested|has|contains)(?: about| at least)?"
_COUNTED_AND_ALLOWED = [
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (
        r"(?P<counted>\d[\d,]*) tokens? > (?P<allowed>\d[\d,]*)",  # Anthropic
        r"(?P<counted>\d[\d,]*) \+ (?P<more>\d[\d,]*) > (?P<allowed>\d[\d,]*)",  # Anthropic, with `max_tokens`
        r"token count \((?P<counted>\d+)\) exceeds[^(]*\((?P<allowed>\d+)\)",  # Google
        r"token count is (?P<counted>\d+) but[^0-9]*(?P<allowed>\d+)",  # Google, earlier
        rf"{_LIMIT} tokens?.*?{_SAID} (?P<counted>\d[\d,]*)",  # OpenAI, vLLM, OpenRouter
        r"\((?P<counted>\d+) tokens\) exceeds the available context size \((?P<allowed>\d+)",  # llama.cpp
        rf"{_LIMIT}",
    )
]


def limits_in(message: str) -> dict[str, int]:
    """`counted` and `allowed` tokens out of a message that says how much too long a prompt is."""
    found = next((match for match in (pattern.search(message) for pattern in _COUNTED_AND_ALLOWED) if match), None)
    given = {name: int(text.replace(",", "")) for name, text in found.groupdict().items() if text} if found else {}
    if "more" in given:
        given["counted"] += given.pop("more")
    return given


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
