"""Secrets in what a run keeps: taken out of the journal when a run ends, and of everything that is shown or logged."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

MASK = "--redacted--"

_SECRET_KEYS = {
    "headers": {"authorization", "cookie", "set-cookie", "x-api-key", "proxy-authorization"},
    "query": {"access_token"},
    "payload": {
        "password", "token", "tfa_secret", "external_identifier", "auth_data", "credentials", "ai_openai_api_key",
        "ai_anthropic_api_key", "ai_google_api_key", "ai_openai_compatible_api_key",
    },
}  # fmt: skip
_SHORTEST_SECRET = 4
"""Shorter values of `$env` are left: hiding each `1` would make the journal useless."""


def redacted(value: Any, secrets: Iterable[str] = ()) -> Any:
    """A copy without what is secret by its place (such as `headers.authorization`) or by its value.

    secrets: values that may not be shown wherever they are, such as those of `$env`.
    """
    long_enough = sorted((secret for secret in secrets if len(secret) >= _SHORTEST_SECRET), key=len, reverse=True)
    return _redacted(value, tuple(long_enough), frozenset())


def hidden(options: Mapping[str, Any], secret: Collection[str]) -> dict[str, Any]:
    """Options without the values of those that are secret."""
    return {name: MASK if name in secret and value is not None else value for name, value in options.items()}


def _redacted(value: Any, secrets: tuple[str, ...], secret_keys: frozenset[str]) -> Any:
    if isinstance(value, str):
        return _without(value, secrets)
    if isinstance(value, Mapping):
        return {key: _entry(str(key), item, secrets, secret_keys) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_header(item, secrets, secret_keys) for item in value]
    return value


def _entry(key: str, item: Any, secrets: tuple[str, ...], secret_keys: frozenset[str]) -> Any:
    if key.lower() in secret_keys and item is not None:
        return MASK
    return _redacted(item, secrets, frozenset(_SECRET_KEYS.get(key, ())))


def _header(item: Any, secrets: tuple[str, ...], secret_keys: frozenset[str]) -> Any:
    """An entry of a list; one like `{header, value}` is hidden by the header's name."""
    name = item.get("header") if isinstance(item, Mapping) else None
    if isinstance(item, Mapping) and isinstance(name, str) and name.lower() in secret_keys:
        return {**item, "value": MASK}
    return _redacted(item, secrets, secret_keys)


def _without(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return text
