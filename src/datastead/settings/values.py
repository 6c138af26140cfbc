"""How a variable's text becomes its value. Errors say what is allowed, never what was given: it may be a secret."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from cronsim import CronSim, CronSimError
from pydantic import BeforeValidator, Field, PlainSerializer, SecretStr

SIZE_UNITS = {"": 1, "b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30}  # bytes
DURATION_UNITS = {"": 0.001, "ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}  # seconds
DATABASE_SCHEMES = {
    "sqlite": "sqlite", "postgres": "postgresql", "postgresql": "postgresql",
    "mysql": "mariadb", "mariadb": "mariadb",
}  # fmt: skip
DATABASE_URLS = (
    "`sqlite:///data.db`, `postgresql://user:password@host:5432/name` or `mariadb://user:password@host:3306/name`"
)


def _parsed(value: Any) -> Any:
    """JSON text (with or without the prefix `json:`) as what it says; anything else as it is."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    prefixed = text.startswith("json:")
    if not prefixed and not text.startswith(("[", "{")):
        return text
    try:
        return json.loads(text.removeprefix("json:"))
    except json.JSONDecodeError as error:
        raise ValueError(f"JSON, and line {error.lineno}, column {error.colno} of it is not: {error.msg}") from None


def names_of(value: Any) -> Any:
    """A list, from JSON or from text with commas."""
    found = _parsed(value)
    return [name.strip() for name in found.split(",") if name.strip()] if isinstance(found, str) else found


def _objects(value: Any) -> Any:
    found = _parsed(value)
    if isinstance(found, str):
        raise ValueError("`json:` and a list of objects")  # noqa: TRY004  pydantic takes ValueError only
    return found


def _json_object(value: Any) -> Any:
    found = _parsed(value)
    if not isinstance(found, dict) or not all(isinstance(entry, str) for entry in found.values()):
        raise ValueError('`json:{"name": "value"}`')
    return found


def _storage_options(value: Any) -> Any:
    found = _parsed(value)
    if not isinstance(found, dict) or not all(isinstance(options, dict) for options in found.values()):
        raise ValueError('`json:{"local": {"root": "./uploads"}}`')
    return {location.lower(): options for location, options in found.items()}


def _headers(value: Any) -> Any:
    """`{name: value}`, `[{header, value}]` or `Name: value, Name: value`, as a dict."""
    found = _parsed(value)
    if isinstance(found, str):
        pairs = [part.partition(":") for part in found.split(",") if part.strip()]
        if not all(name.strip() and colon for name, colon, _ in pairs):
            raise ValueError('`json:{"Name": "value"}` or `Name: value, Name: value`')
        return {name.strip(): text.strip() for name, _, text in pairs}
    if isinstance(found, list):
        if not all(isinstance(entry, dict) and {"header", "value"} == set(entry) for entry in found):
            raise ValueError('`json:[{"header": "Name", "value": "value"}]`')
        return {entry["header"]: entry["value"] for entry in found}
    return found


def _masked(headers: dict[str, str]) -> dict[str, str]:
    """For a dump of the settings: their values may be keys."""
    return dict.fromkeys(headers, "**********")


def _masked_options(options: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """For a dump of the settings: any option of a storage but its driver may be a key."""
    return {
        location: {name: value if name == "driver" else "**********" for name, value in given.items()}
        for location, given in options.items()
    }


def _http_url(value: Any) -> Any:
    if isinstance(value, str):
        parts = _split(value.strip())
        if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("a URL such as `https://api.example.com/v1`")
        if parts.username is not None or parts.password is not None:
            raise ValueError("a URL without a user and password: they belong into the key or a header")
        return value.strip().rstrip("/")
    return value


def _split(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _scaled(value: Any, units: Mapping[str, float], allowed: str) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(allowed)  # noqa: TRY004  pydantic takes ValueError only
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)\s*([a-z]*)", str(value).strip().lower())
    if found is None or found[2] not in units:
        raise ValueError(allowed)
    return float(found[1]) * units[found[2]]


def _size(value: Any) -> Any:
    return int(_scaled(value, SIZE_UNITS, "a size such as `1mb` or `512kb`"))


def _cron(value: Any) -> Any:
    try:
        CronSim(value, datetime(2000, 1, 1))  # noqa: DTZ001  any moment will do
    except (CronSimError, TypeError, AttributeError):
        raise ValueError("a cron expression such as `0 0 * * *`") from None
    return value


def _duration(value: Any) -> Any:
    return value if isinstance(value, float) else _scaled(value, DURATION_UNITS, "a time such as `15m`, `12h` or `7d`")


def _origins(value: Any) -> Any:
    """`true` (all), `false` (none), or a list."""
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return ["*"] if value.strip().lower() == "true" else []
    if isinstance(value, bool):
        return ["*"] if value else []
    return names_of(value)


def _lowered(value: Any) -> Any:
    return value.strip().lower() if isinstance(value, str) else value


def _client(value: Any) -> Any:
    known = {"postgres": "pg", "postgresql": "pg", "sqlite": "sqlite3", "mariadb": "mysql", "mysql2": "mysql"}
    return known.get(value, value)


def _database_url(value: Any) -> Any:
    """Checked here, so that a URL that cannot be right is not tried. Its text may hold a password."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str):
        return value
    parts = _split(text)
    if parts is None:
        raise ValueError(DATABASE_URLS)
    scheme = parts.scheme.partition("+")[0]
    if scheme not in DATABASE_SCHEMES or "://" not in text or (scheme == "sqlite" and parts.netloc):
        raise ValueError(DATABASE_URLS)
    return value


Names = Annotated[list[str], BeforeValidator(names_of)]
SecretNames = Annotated[list[SecretStr], BeforeValidator(names_of)]
Headers = Annotated[dict[str, str], BeforeValidator(_headers), PlainSerializer(_masked)]
StorageOptions = Annotated[
    dict[str, dict[str, Any]], BeforeValidator(_storage_options), PlainSerializer(_masked_options)
]
JsonObject = Annotated[dict[str, str], BeforeValidator(_json_object)]
HttpUrl = Annotated[str, BeforeValidator(_http_url)]
Size = Annotated[int, BeforeValidator(_size), Field(gt=0)]
Duration = Annotated[float, BeforeValidator(_duration), Field(gt=0)]
Cron = Annotated[str, BeforeValidator(_cron)]
Price = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]  # USD per million tokens
Objects = BeforeValidator(_objects)
Origins = Annotated[list[str], BeforeValidator(_origins)]
DatabaseUrl = Annotated[SecretStr, BeforeValidator(_database_url)]
SameSite = Annotated[Literal["strict", "lax", "none"], BeforeValidator(_lowered)]
CookieName = Annotated[str, Field(pattern=r"^[\w.-]{1,100}$")]
DbClient = Annotated[Literal["sqlite3", "pg", "mysql"], BeforeValidator(_client)]
