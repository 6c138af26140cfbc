"""The filter language as a tree. Pure.

A filter is split into its shape (fields and operators: hashable, so that its SQL is compiled once) and its values.
"""

import calendar
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from datastead.context import Actor
from datastead.data.geojson import EXAMPLE, NoShapeError, shape_of
from datastead.errors import InvalidQuery, as_json

if TYPE_CHECKING:
    from datastead.settings import Settings

NEVER = "_never"
"""Our own operator, for what can be true of no row."""

NIN_OR_NULL = "_nin_or_null"
"""Our own, for a `_nin` with null among its values."""

SCALAR = {
    "_eq", "_neq", "_lt", "_lte", "_gt", "_gte", "_contains", "_ncontains", "_icontains", "_starts_with",
    "_nstarts_with", "_istarts_with", "_nistarts_with", "_ends_with", "_nends_with", "_iends_with", "_niends_with",
}  # fmt: skip
FOLDING = {"_icontains", "_istarts_with", "_nistarts_with", "_iends_with", "_niends_with"}
LISTS = {"_in", "_nin"}
RANGES = {"_between", "_nbetween"}
FLAGS = {"_null": "_nnull", "_nnull": "_null", "_empty": "_nempty", "_nempty": "_empty"}
SHAPES = frozenset({"_intersects", "_nintersects", "_intersects_bbox", "_nintersects_bbox"})
OPERATORS = SCALAR | LISTS | RANGES | SHAPES | set(FLAGS)
QUANTIFIERS = {"_some", "_none"}
GROUPS = {"_and": "and", "_or": "or"}

FACTS = ("$CURRENT_USER.", "$CURRENT_ROLE.")
"""How variables begin that ask for a field of the actor's user or role."""

_NOW = re.compile(r"\$NOW\(\s*([+-]?)\s*(\d{1,6})\s*([a-z]+?)s?\s*\)")
_UNITS = {
    "second": timedelta(seconds=1), "minute": timedelta(minutes=1), "hour": timedelta(hours=1),
    "day": timedelta(days=1), "week": timedelta(weeks=1),
}  # fmt: skip
_MONTHS = {"month": 1, "year": 12}


class Condition(NamedTuple):
    """An operator on the field around it. arity: how many values it takes. folds: whether letters beyond ASCII fold."""

    operator: str
    arity: int = 1
    folds: bool = False


class Nested(NamedTuple):
    """A field, and what has to be true of it (or of what it refers to)."""

    name: str
    node: "Node"


class Group(NamedTuple):
    """kind: `and` or `or`."""

    kind: str
    nodes: "tuple[Node, ...]"


Node = Condition | Nested | Group
EVERYTHING = Group("and", ())


class Limits(NamedTuple):
    """How large a filter may be. values: all in it together."""

    depth: int = 32
    conditions: int = 500
    values: int = 5000

    @classmethod
    def of(cls, settings: "Settings") -> "Limits":
        """Those of the settings, for filters that callers send."""
        return cls(
            settings.query_filter_max_depth, settings.query_filter_max_conditions, settings.query_filter_max_values
        )


STANDARD = Limits()


class Filter(NamedTuple):
    """A filter, taken apart. values: in the order in which the conditions stand in the tree."""

    node: Node
    values: list[Any]


def parse_filter(
    raw: Mapping[str, Any] | None,
    actor: Actor,
    now: Callable[[], datetime],
    facts: Mapping[str, Any] | None = None,
    *,
    limits: Limits = STANDARD,
) -> Filter:
    """Raises `InvalidQuery`. What `$NOW`, `$CURRENT_USER` and the like stand for is put in.

    facts: the values of `$CURRENT_USER.<path>` and `$CURRENT_ROLE.<path>`; None where these may not be asked for.
    """
    if not raw:
        return Filter(EVERYTHING, [])
    parser = _Parser(actor, now, facts, limits)
    return Filter(parser.mapping(raw, None, 0), parser.values)


def size_of(node: Node) -> int:
    """How many conditions a filter has."""
    if isinstance(node, Group):
        return sum(map(size_of, node.nodes))
    return size_of(node.node) if isinstance(node, Nested) else 1


def padded(values: Sequence[Any]) -> list[Any]:
    """The values, the last one again and again up to a power of two: so that lists have few shapes."""
    if not values:
        return []
    size = 1 << (len(values) - 1).bit_length()
    return [*values, *[values[-1]] * (size - len(values))]


class _Parser:
    def __init__(
        self, actor: Actor, now: Callable[[], datetime], facts: Mapping[str, Any] | None, limits: Limits
    ) -> None:
        self._limits = limits
        self._actor = actor
        self._now = now
        self._facts = facts
        self._conditions = 0
        self.values: list[Any] = []

    def mapping(self, raw: Any, field: str | None, depth: int) -> Node:
        """field: the field that operators in it are about."""
        if not isinstance(raw, Mapping):
            raise _invalid("a filter has to be an object", raw)
        if depth > self._limits.depth:
            raise _invalid(f"a filter may be nested {self._limits.depth} deep (`QUERY_FILTER_MAX_DEPTH`)")
        nodes = tuple(self._entry(str(key), value, field, depth) for key, value in raw.items())
        return nodes[0] if len(nodes) == 1 else Group("and", nodes)

    def _entry(self, key: str, value: Any, field: str | None, depth: int) -> Node:
        if key in GROUPS:
            entries = _entries(key, value)
            entries = _together(entries) if key == "_and" else [one for one in entries if not _says_nothing(one)]
            return Group(GROUPS[key], tuple(self.mapping(entry, field, depth + 1) for entry in entries))
        if key in OPERATORS and field is not None:
            return self._condition(key, value, field)
        if isinstance(value, Mapping):
            return Nested(key, self.mapping(value, field if key in QUANTIFIERS else key, depth + 1))
        if key in QUANTIFIERS and field is not None:
            raise _invalid(f"`{key}` of `{field}` needs a filter", value)
        if key.startswith("_") and field is not None:
            raise _invalid(f"`{field}` cannot be filtered with `{key}`: there is no such operator")
        return Nested(key, self._condition("_eq", value, key))

    def _condition(self, operator: str, value: Any, field: str) -> Condition:
        self._conditions += 1
        if self._conditions > self._limits.conditions:
            raise _invalid(f"a filter may have {self._limits.conditions} conditions (`QUERY_FILTER_MAX_CONDITIONS`)")
        if operator in FLAGS:
            return Condition(operator if _flag(operator, value, field) else FLAGS[operator], 0)
        if operator in LISTS:
            return self._list(operator, value, field)
        if operator in RANGES:
            return self._range(operator, value, field)
        if operator in SHAPES:
            return self._shape(operator, value, field)
        return self._scalar(operator, value, field)

    def _scalar(self, operator: str, value: Any, field: str) -> Condition:
        found = self._resolve(value)
        if found is None:
            if value is not None:
                return Condition(NEVER, 0)  # nobody's `$CURRENT_USER` is not the null of a row
            if operator in {"_eq", "_neq"}:
                return Condition("_null" if operator == "_eq" else "_nnull", 0)
        if found is None or isinstance(found, Mapping | list | tuple):
            raise _invalid(f"`{operator}` of `{field}` needs one value", value)
        self.values.append(found)
        return Condition(operator, 1, operator in FOLDING and isinstance(found, str) and not found.isascii())

    def _shape(self, operator: str, value: Any, field: str) -> Condition:
        found = self._resolve(value)
        if found is None and value is not None:
            return Condition(NEVER, 0)
        try:
            self.values.append(shape_of(found))
        except NoShapeError as error:
            raise _invalid(f"`{operator}` of `{field}` needs GeoJSON, such as {EXAMPLE}; this {error}", value) from None
        return Condition(operator)

    def _list(self, operator: str, value: Any, field: str) -> Condition:
        entries = _listed(value)
        if operator == "_nin" and any(_is_fact(entry) and self._resolve(entry) is None for entry in entries):
            return Condition(NEVER, 0)  # what is not known is not known to be different
        values = [found for entry in entries for found in self._spread(entry)]
        if any(isinstance(found, Mapping | list) for found in values):
            raise _invalid(f"`{operator}` of `{field}` needs a list of values", value)
        if None in values and operator == "_nin":
            operator = NIN_OR_NULL
        values = [found for found in values if found is not None]  # nothing is equal to null
        if len(self.values) + len(values) > self._limits.values:
            raise _invalid(f"a filter may have {self._limits.values} values (`QUERY_FILTER_MAX_VALUES`)")
        values = padded(values)
        self.values.extend(values)
        return Condition(operator, len(values))

    def _range(self, operator: str, value: Any, field: str) -> Condition:
        values = [self._resolve(entry) for entry in _listed(value)]
        if len(values) != 2 or any(found is None or isinstance(found, Mapping | list) for found in values):
            raise _invalid(f"`{operator}` of `{field}` needs two values", value)
        self.values.extend(values)
        return Condition(operator, 2)

    def _spread(self, value: Any) -> Iterator[Any]:
        """`$CURRENT_ROLES` and the like are several values; one that stands for nothing is none."""
        if value == "$CURRENT_ROLES":
            yield from self._actor.roles
            return
        if value == "$CURRENT_POLICIES":
            yield from self._actor.policies
            return
        found = self._resolve(value)
        if _is_fact(value) and isinstance(found, list):
            yield from found
        elif found is not None or value is None:
            yield found

    def _resolve(self, value: Any) -> Any:
        if not isinstance(value, str) or not value.startswith("$"):
            return value
        if value == "$CURRENT_USER":
            return self._actor.user
        if value == "$CURRENT_ROLE":
            return self._actor.role
        if value.startswith("$NOW"):
            return self._moment(value)
        if value in {"$CURRENT_ROLES", "$CURRENT_POLICIES"}:
            raise _invalid(f"`{value}` is a list: it goes with `_in` and `_nin`")
        if value.startswith("$CURRENT_"):
            return self._fact(value)
        return value

    def _fact(self, name: str) -> Any:
        if not _is_fact(name):
            raise _invalid("there is no such variable", name)
        if self._facts is None:
            raise _invalid(f"`{name[:100]}` can be used in permissions only")
        try:
            return self._facts[name]
        except KeyError:
            raise _invalid("this has not been read", name) from None

    def _moment(self, value: str) -> datetime:
        if value == "$NOW":
            return self._now()
        match = _NOW.fullmatch(value)
        if match is None or match[3] not in {*_UNITS, *_MONTHS}:
            raise _invalid("this is not a moment such as `$NOW(-1 day)`", value)
        count = int(match[2]) * (-1 if match[1] == "-" else 1)
        try:
            if match[3] in _MONTHS:
                return _months_later(self._now(), count * _MONTHS[match[3]])
            return self._now() + _UNITS[match[3]] * count
        except (OverflowError, ValueError):
            raise _invalid("this moment is out of range", value) from None


def _is_fact(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(FACTS)


def _months_later(moment: datetime, months: int) -> datetime:
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return moment.replace(year=year, month=month + 1, day=day)


def _invalid(reason: str, value: Any = None) -> InvalidQuery:
    shown = "" if value is None else f": `{(value if isinstance(value, str) else as_json(value))[:100]}`"
    return InvalidQuery(f"The filter is not valid: {reason}{shown}.", reason=f"{reason}{shown}")


def _entries(key: str, value: Any) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise _invalid(f"`{key}` needs a list of filters", value)
    return value


def _together(entries: Sequence[Any]) -> Sequence[Any]:
    """What is said in several entries of the fields of related items has to be true of one and the same of them."""
    found: dict[str, list[Any]] = {}
    for entry in entries:
        name = _related(entry)
        if name is not None:
            found.setdefault(name, []).append(entry[name])
    if all(len(said) == 1 for said in found.values()):
        return entries
    others = [entry for entry in entries if _related(entry) is None]
    return [*({name: {"_and": said}} for name, said in found.items()), *others]


def _says_nothing(entry: Any) -> bool:
    """Whether there are groups in it, and nothing in those. An empty filter is another thing: it is true of all."""
    if not isinstance(entry, Mapping) or not entry or not entry.keys() <= GROUPS.keys():
        return False
    groups = [group for group in entry.values() if isinstance(group, list | tuple)]
    return len(groups) == len(entry) and all(_says_nothing(one) for group in groups for one in group)


def _related(entry: Any) -> str | None:
    """The field of an entry that is about fields of what it refers to, and about nothing else."""
    if not isinstance(entry, Mapping) or len(entry) != 1:
        return None
    ((name, inner),) = entry.items()
    is_path = isinstance(inner, Mapping) and inner and not any(str(key).startswith("_") for key in inner)
    return str(name) if is_path and not str(name).startswith("_") else None


def _listed(value: Any) -> Sequence[Any]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value if isinstance(value, list | tuple) else [value]


def _flag(operator: str, value: Any, field: str) -> bool:
    known = {None: True, True: True, False: False, "true": True, "false": False, "1": True, "0": False, "": True}
    try:
        return known[value]
    except (KeyError, TypeError):
        raise _invalid(f"`{operator}` of `{field}` needs true or false", value) from None
