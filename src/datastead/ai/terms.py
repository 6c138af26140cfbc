"""Budgets as people write them: `role:marketing 50/month`, `200k tokens/day`, `60 requests/minute`."""

import re
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from datastead.ai.sums import SCOPES
from datastead.ai.windows import WINDOWS
from datastead.errors import InvalidPayload

ALL = "all"
LARGEST = (1 << 63) - 1
NANO_PER_USD = 1_000_000_000
_TERMS = re.compile(
    r"\s*(?:usd|\$)?\s*(?P<number>\d[\d_,]*(?:\.\d+)?)\s*(?P<factor>[kmb])?\s*"
    r"(?P<unit>usd|\$|tokens?|requests?|calls?)?\s*(?:(?:/|per)\s*(?P<window>[a-z]+)|in\s+total)?\s*",
    re.IGNORECASE,
)
_FACTORS = {"k": 1_000, "m": 1_000_000, "b": 1_000_000_000}
_UNITS = {"token": "tokens", "tokens": "tokens", "request": "requests", "requests": "requests",
          "call": "requests", "calls": "requests"}  # fmt: skip
_EXAMPLES = "`50/month` (USD), `0.25 USD/day`, `200k tokens/week`, `60 requests/minute`, `100 in total`"


class Terms(NamedTuple):
    """unit: `usd` (limit in nano-USD), `tokens` or `requests`."""

    unit: str
    limit: int
    window: str


def parse_terms(text: str) -> Terms:
    """Raises `InvalidPayload` that shows how it is written."""
    found = _TERMS.fullmatch(text)
    if found is None:
        raise InvalidPayload(f"The limit `{text[:80]}` cannot be read: write it like {_EXAMPLES}.")
    number = Decimal(found["number"].replace(",", "").replace("_", ""))
    number *= _FACTORS.get((found["factor"] or "").lower(), 1)
    unit = _UNITS.get((found["unit"] or "").lower(), "usd")
    return Terms(unit, whole(unit, number, text), window_of((found["window"] or "total").lower()))


def window_of(name: str) -> str:
    """A window by its name, also in the plural."""
    window = name.removesuffix("s")
    if window not in WINDOWS:
        names = ", ".join(f"`{each}`" for each in WINDOWS)
        raise InvalidPayload(f"There is no window `{name[:40]}`: use one of {names}.", field="window")
    return window


def whole(unit: str, number: Decimal, shown: object) -> int:
    """The limit as the ledger counts: nano-USD, tokens, requests."""
    limit = number * NANO_PER_USD if unit == "usd" else number
    if limit != limit.to_integral_value():
        what = "USD have at most nine decimals" if unit == "usd" else f"{unit} are whole numbers"
        raise InvalidPayload(f"The limit is `{str(shown)[:80]}`: {what}.", field="limit")
    if not 0 <= limit <= LARGEST:
        raise InvalidPayload(
            f"The limit is `{str(shown)[:80]}`: it has to be from 0 to {LARGEST} units.", field="limit"
        )
    return int(limit)


def number_of(name: str, value: object) -> Decimal:
    """A number out of JSON or a command; USD may be text, so that they are exact. Raises `InvalidPayload`."""
    is_number = isinstance(value, int | float | str) and not isinstance(value, bool)
    try:
        number = Decimal(str(value)) if is_number else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise InvalidPayload(f"`{name}` is `{str(value)[:40]}`: use a number, such as `0.0123`.", field=name)
    return number


def parse_scope(text: str) -> tuple[str, str | None]:
    """`all`, `user` (each its own), or `role:marketing`: scope, and which one."""
    scope, colon, which = text.partition(":")
    check_scope(scope)
    if colon and not which:
        raise InvalidPayload(f"`{text[:80]}` does not say which {scope}: write `{scope}:…`, or `{scope}` for each.")
    if scope == ALL and which:
        raise InvalidPayload("`all` is everybody: it takes nothing after it.", field="scope")
    return scope, which or None


def check_scope(scope: object) -> str:
    """The scope. Raises `InvalidPayload` that names the scopes."""
    if not isinstance(scope, str) or scope not in {ALL, *SCOPES}:
        names = ", ".join(f"`{each}`" for each in (ALL, *SCOPES))
        raise InvalidPayload(f"There is no scope `{str(scope)[:40]}`: use one of {names}.", field="scope")
    return scope
