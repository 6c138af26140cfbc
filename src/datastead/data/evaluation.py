"""Filters over values in memory: rules for payloads, and conditions in flows. Pure.

The same language as in queries, for data that is not in a table (yet).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from datastead.context import Context
from datastead.data import planar
from datastead.data.filters import FACTS
from datastead.errors import InvalidQuery

_NOW = re.compile(r"\$NOW(?:\(\s*([+-]?\s*\d+)\s*([a-z]+?)s?\s*\))?", re.IGNORECASE)
_SECONDS = {
    "second": 1,
    "minute": 60,
    "hour": 3600,
    "day": 86_400,
    "week": 604_800,
    "month": 2_592_000,
    "year": 31_536_000,
}


OF_SOMETHING = {
    "_lt", "_lte", "_gt", "_gte", "_between", "_regex", "_contains", "_icontains", "_starts_with", "_istarts_with",
    "_ends_with", "_iends_with",
}  # fmt: skip
"""What can be true of a value only: where there is none, that is what is wrong."""


class Linked(dict[str, Any]):
    """An object in the place of an item's key, which it holds: compared with a key, it is that key."""

    def __init__(self, value: Mapping[str, Any], key: Any) -> None:
        super().__init__(value)
        self.key = key


def failures_of(ctx: Context, rule: Mapping[str, Any], value: Any, *, partial: bool = False) -> list[dict[str, Any]]:
    """What of the rule does not hold for the value, each `{path, type, expected, actual}`; empty where it holds.

    partial: a field that the value does not have is not asked about. Raises `InvalidQuery` for a rule that is none.
    """
    try:
        return list(_failures(_Known(ctx, partial=partial), rule, value, ""))
    except (TypeError, ValueError, AttributeError, re.error) as error:
        reason = f"an operator of it was given a value that it cannot take: {error}"
        raise InvalidQuery(f"The filter is not valid: {reason}.", reason=reason) from error


class _Known:
    """The values of `$NOW`, `$CURRENT_USER` and the like."""

    def __init__(self, ctx: Context, *, partial: bool) -> None:
        self.now = ctx.now()
        self.partial = partial
        self._facts = ctx.actor.facts
        self._values = {
            "$CURRENT_USER": ctx.actor.user, "$CURRENT_ROLE": ctx.actor.role, "$CURRENT_ROLES": list(ctx.actor.roles),
            "$CURRENT_POLICIES": list(ctx.actor.policies),
        }  # fmt: skip

    def value(self, value: Any) -> Any:
        if not isinstance(value, str):
            return [self.value(item) for item in value] if isinstance(value, list) else value
        moment = _NOW.fullmatch(value)
        if moment:
            return self._moment(moment.group(1), moment.group(2))
        return self._fact(value) if value.startswith(FACTS) else self._values.get(value, value)

    def _fact(self, name: str) -> Any:
        """Raises `InvalidQuery` where it has no value: what is not known can be compared with nothing."""
        try:
            found = self._facts[name]
        except KeyError:
            found = None
        if found is None:
            raise InvalidQuery(f"`{name[:100]}` has no value here.", reason=f"`{name[:100]}` has no value here")
        return found

    def _moment(self, amount: str | None, unit: str | None) -> Any:
        if amount is None or unit is None or unit.lower() not in _SECONDS:
            return self.now
        return self.now + timedelta(seconds=int(amount.replace(" ", "")) * _SECONDS[unit.lower()])


def _failures(known: _Known, rule: Mapping[str, Any], value: Any, path: str) -> Iterator[dict[str, Any]]:
    """What of the rule does not hold for the value, each `{path, type, expected, actual}`."""
    for key, expected in rule.items():
        if key == "_and":
            for part in expected:
                yield from _failures(known, part, value, path)
        elif key == "_or":
            yield from _either(known, expected, value, path)
        elif key.startswith("_"):
            yield from _compared(known, key, expected, value, path)
        else:
            yield from _inside(known, key, expected, value, f"{path}.{key}" if path else key)


def _either(known: _Known, parts: list[Mapping[str, Any]], value: Any, path: str) -> Iterator[dict[str, Any]]:
    failures = [list(_failures(known, part, value, path)) for part in parts]
    if failures and all(failures):
        yield from (failure for part in failures for failure in part)


def _inside(known: _Known, key: str, rule: Any, value: Any, path: str) -> Iterator[dict[str, Any]]:
    if known.partial and isinstance(value, Mapping) and key not in value:
        return
    found = _entry(value, key)
    if isinstance(rule, Mapping):
        yield from _failures(known, rule, found, path)
    else:
        yield from _compared(known, "_eq", rule, found, path)


def _entry(value: Any, key: str) -> Any:
    """A field of an object or an entry of a list; of `$trigger` also a field of its payload, as in templates."""
    if isinstance(value, list) and key.isdecimal() and int(key) < len(value):
        return value[int(key)]
    if not isinstance(value, Mapping):
        return None
    if key in value:
        return value[key]
    payload = value.get("payload")
    return payload.get(key) if isinstance(payload, Mapping) else None


def _compared(known: _Known, operator: str, expected: Any, actual: Any, path: str) -> Iterator[dict[str, Any]]:
    actual = actual.key if isinstance(actual, Linked) else actual
    compare = OPERATORS.get(operator)
    if compare is None:
        names = ", ".join(f"`{name}`" for name in OPERATORS)
        raise InvalidQuery(f"The filter uses `{operator}`, which is none of {names}.", operator=operator)
    if not compare(actual, known.value(expected)):
        kind = "required" if actual is None and operator in OF_SOMETHING else operator.lstrip("_")
        yield {"path": path, "type": kind, "expected": expected, "actual": actual}


def bounds_of(failure: Mapping[str, Any]) -> dict[str, Any]:
    """What the rule would have, as the contract names it: `valid`, `invalid` or `substring`. Not of `$CURRENT_USER`
    and the like, which stand for more than the caller may see.
    """
    operator, expected = str(failure["type"]), failure["expected"]
    several = expected if isinstance(expected, list) else [expected]
    if any(isinstance(value, Mapping) or (isinstance(value, str) and value.startswith("$")) for value in several):
        return {}
    if operator.endswith(("contains", "starts_with", "ends_with")):
        return {"substring": expected}
    if operator == "regex":
        return {"invalid": failure["actual"]}
    if operator.endswith(("null", "empty", "submitted", "required")):
        return {}
    return {"invalid" if operator in {"neq", "nin", "nbetween"} else "valid": expected}


def _same(actual: Any, expected: Any) -> bool:
    """Equal; a number and its text are, and a moment and its text."""
    actual, expected = _alike(actual, expected)
    return bool(actual == expected)


def _alike(actual: Any, expected: Any) -> tuple[Any, Any]:
    """Both values in one type, where they can be brought to it."""
    for first, second, turn in ((actual, expected, False), (expected, actual, True)):
        converted = _as(first, second)
        if converted is not None:
            return (second, converted) if turn else (converted, second)
    return actual, expected


def _as(text: Any, other: Any) -> Any:
    """Text as what the other value is; None where it is not text, or cannot be."""
    if not isinstance(text, str):
        return None
    try:
        if isinstance(other, bool):
            return {"true": True, "false": False}.get(text.lower())
        if isinstance(other, int | float):
            return float(text)
        if isinstance(other, datetime):
            moment = datetime.fromisoformat(text)
            return moment.replace(tzinfo=other.tzinfo) if moment.tzinfo is None else moment
    except ValueError:
        pass
    return None


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def ordered(actual: Any, expected: Any) -> bool:
        actual, expected = _alike(actual, expected)
        try:
            return actual is not None and compare(actual, expected)
        except TypeError:
            return False

    return ordered


def _textual(compare: Callable[[str, str], bool], *, fold: bool = False) -> Callable[[Any, Any], bool]:
    def textual(actual: Any, expected: Any) -> bool:
        if isinstance(actual, list):
            return any(_same(entry, expected) for entry in actual)
        if actual is None or isinstance(actual, Mapping):
            return False
        texts = (str(actual), str(expected))
        return compare(*(text.casefold() for text in texts)) if fold else compare(*texts)

    return textual


def _listed(actual: Any, expected: Any) -> bool:
    entries = expected.split(",") if isinstance(expected, str) else expected
    return any(_same(actual, entry) for entry in entries or ())


def _between(actual: Any, expected: Any) -> bool:
    low, high = expected.split(",") if isinstance(expected, str) else expected
    return OPERATORS["_gte"](actual, low) and OPERATORS["_lte"](actual, high)


def _is(holds: bool) -> Callable[[bool, Any], bool]:
    return lambda found, expected: found is (holds if expected in (True, "true", "", None, 1) else not holds)


def _not(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda actual, expected: not compare(actual, expected)


def _meets(operator: str, *, boxes: bool = False) -> Callable[[Any, Any], bool]:
    return lambda actual, expected: planar.holds(operator, actual, expected, boxes=boxes)


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [], {})


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "_eq": _same,
    "_neq": _not(_same),
    "_lt": _ordered(lambda actual, expected: actual < expected),
    "_lte": _ordered(lambda actual, expected: actual <= expected),
    "_gt": _ordered(lambda actual, expected: actual > expected),
    "_gte": _ordered(lambda actual, expected: actual >= expected),
    "_in": _listed,
    "_nin": _not(_listed),
    "_null": lambda actual, expected: _is(True)(actual is None, expected),
    "_nnull": lambda actual, expected: _is(False)(actual is None, expected),
    "_empty": lambda actual, expected: _is(True)(_is_empty(actual), expected),
    "_nempty": lambda actual, expected: _is(False)(_is_empty(actual), expected),
    "_between": _between,
    "_nbetween": _not(_between),
    "_contains": _textual(lambda actual, expected: expected in actual),
    "_ncontains": _not(_textual(lambda actual, expected: expected in actual)),
    "_icontains": _textual(lambda actual, expected: expected in actual, fold=True),
    "_starts_with": _textual(str.startswith),
    "_nstarts_with": _not(_textual(str.startswith)),
    "_istarts_with": _textual(str.startswith, fold=True),
    "_nistarts_with": _not(_textual(str.startswith, fold=True)),
    "_ends_with": _textual(str.endswith),
    "_nends_with": _not(_textual(str.endswith)),
    "_iends_with": _textual(str.endswith, fold=True),
    "_niends_with": _not(_textual(str.endswith, fold=True)),
    "_intersects": _meets("_intersects"),
    "_nintersects": _not(_meets("_nintersects")),
    "_intersects_bbox": _meets("_intersects_bbox", boxes=True),
    "_nintersects_bbox": _not(_meets("_nintersects_bbox", boxes=True)),
    "_regex": lambda actual, expected: actual is not None and re.search(str(expected), str(actual)) is not None,
}
