"""`Query`: what a caller wants to read, in the contract's spellings. Pure; the schema checks the names later."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from datastead.errors import InvalidQuery

if TYPE_CHECKING:
    from datastead.settings import Settings

MAX_INTEGER = 2**63 - 1
METAS = ("total_count", "filter_count")
# parts of the contract's query language that this version does not have; refused, as ignoring them would answer wrongly
NOT_YET = ("versionRaw", "backlink")
AGGREGATES = ("count", "countDistinct", "countAll", "sum", "sumDistinct", "avg", "avgDistinct", "min", "max")
EXPORTS = ("csv", "csv_utf8", "json", "xml", "yaml")
DEEP = {"fields", "filter", "sort", "limit", "offset", "page", "search", "alias", "aggregate", "group"}
NOTHING: Mapping[str, Any] = MappingProxyType({})


class Bounds(NamedTuple):
    """How large a query may be. sort: names in that, in `groupBy`, `meta` and sums. deep: fields. limit: -1 = any."""

    fields: int = 500
    sort: int = 50
    alias: int = 100
    deep: int = 500
    deep_depth: int = 10
    limit: int = -1

    @classmethod
    def of(cls, settings: "Settings") -> "Bounds":
        """Those of the settings."""
        return cls(
            settings.query_fields_max, settings.query_sort_max, settings.query_alias_max, settings.query_deep_max,
            settings.query_deep_max_depth, settings.query_limit_max,
        )  # fmt: skip


STANDARD = Bounds()


@dataclass(frozen=True, slots=True)
class Query:
    """A question to a collection.

    fields: paths such as `title`, `author.name`, `*`, `*.*`, `year(date)`. filter: the contract's operators, as nested
    mappings. sort: fields, `-` before those that descend. limit: None = the default, -1 = all. page: from 1; wins over
    offset. alias: other names for fields. deep: what is asked of the items of relational fields, by field or alias.
    export: the form of the file that the items shall be. version: the key of a version.
    aggregate: function and field (or `*`) of each sum; then
    `group` has the fields by which the items are put together.
    """

    fields: Sequence[str] = ("*",)
    filter: Mapping[str, Any] | None = None
    sort: Sequence[str] = ()
    limit: int | None = None
    offset: int | None = None
    page: int | None = None
    search: str | None = None
    meta: Sequence[str] = ()
    alias: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    deep: "Mapping[str, Query]" = field(default_factory=lambda: NOTHING)
    aggregate: Sequence[tuple[str, str]] = ()
    group: Sequence[str] = ()
    export: str | None = None
    version: str | None = None

    @classmethod
    def parse(cls, parameters: Mapping[str, Any], settings: "Settings | None" = None) -> "Query":
        """From a query string (nested already, values as text) or a JSON object. Raises `InvalidQuery`."""
        return _query(parameters, STANDARD if settings is None else Bounds.of(settings))

    def window(self, default_limit: int) -> tuple[int | None, int]:
        """How many rows (None = all), and how many before them are left out."""
        limit = default_limit if self.limit is None else self.limit
        if self.page and limit > 0:
            offset = (self.page - 1) * limit
            if offset > MAX_INTEGER:
                raise _invalid("page", f"`page` is too large: {self.page}")
            return limit, offset
        return (None if limit < 0 else limit), self.offset or 0


def _query(parameters: Mapping[str, Any], bounds: Bounds) -> Query:
    for name in NOT_YET:
        if parameters.get(name):
            raise _invalid(name, f"`{name}` is not supported in this version")
    return Query(
        fields=_names(parameters, "fields", bounds.fields) or ("*",),
        filter=_filter(parameters.get("filter")),
        sort=_names(parameters, "sort", bounds.sort),
        limit=_limit(parameters.get("limit"), bounds.limit),
        offset=_integer("offset", parameters.get("offset"), 0),
        page=_integer("page", parameters.get("page"), 0) or None,
        search=_search(parameters.get("search")),
        meta=_meta(parameters, bounds),
        alias=_alias(parameters.get("alias"), bounds),
        deep=_deep(parameters["deep"], bounds) if parameters.get("deep") is not None else NOTHING,
        aggregate=_aggregate(parameters.get("aggregate"), bounds),
        export=_export(parameters.get("export")),
        version=_version(parameters.get("version")),
        group=_names(parameters, "groupBy", bounds.sort) or _names(parameters, "group", bounds.sort),
    )


def _invalid(name: str, reason: str) -> InvalidQuery:
    return InvalidQuery(f"{reason}.", reason=reason, parameter=name)


def _names(parameters: Mapping[str, Any], name: str, most: int) -> tuple[str, ...]:
    """Names from `a,b`, `["a", "b"]`, or the same as JSON."""
    value = parameters.get(name)
    if value is None:
        return ()
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _json(name, value)
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, Sequence) or not all(isinstance(entry, str) for entry in values):
        raise _invalid(name, f"`{name}` has to be a list of names")
    names = tuple(part.strip() for entry in values for part in entry.split(",") if part.strip())
    if len(names) > most:
        setting = "QUERY_FIELDS_MAX" if name == "fields" else "QUERY_SORT_MAX"
        raise _invalid(name, f"`{name}` has more than {most} names (`{setting}`)")
    return names


def _object(name: str, value: Any) -> Mapping[str, Any]:
    """An object, also as JSON text; empty where there is none."""
    if isinstance(value, str):
        value = _json(name, value) if value.strip() else None
    if value is None or value == []:
        return NOTHING
    if not isinstance(value, Mapping):
        raise _invalid(name, f"`{name}` has to be an object")
    return value


def _export(value: Any) -> str | None:
    if not value:
        return None
    if value not in EXPORTS:
        raise _invalid(
            "export", f"`export` has no `{str(value)[:50]}`; it has {', '.join(f'`{name}`' for name in EXPORTS)}"
        )
    return str(value)


def _version(value: Any) -> str | None:
    if not value:
        return None
    if not isinstance(value, str):
        raise _invalid("version", "`version` has to be the key of a version")
    return checked_text(value, lambda reason: _invalid("version", f"`version` {reason}"))


def _alias(value: Any, bounds: Bounds) -> Mapping[str, str]:
    found = _object("alias", value)
    if len(found) > bounds.alias:
        raise _invalid("alias", f"`alias` has more than {bounds.alias} names (`QUERY_ALIAS_MAX`)")
    for name, original in found.items():
        if not isinstance(original, str) or not original or "." in original or not name or set(name) & set(".()*:"):
            raise _invalid("alias", f"`alias` of `{str(name)[:100]}` has to be the name of a field")
    return found


def _deep(value: Any, bounds: Bounds) -> "Mapping[str, Query]":
    """By field: `_filter`, `_sort` and so on, and what is asked deeper down."""
    return _Deep(bounds).of(_object("deep", value), 0)


class _Deep:
    """Counts the fields while it reads them."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._count = 0

    def of(self, found: Mapping[str, Any], depth: int) -> "Mapping[str, Query]":
        most = self._bounds.deep_depth
        if depth > most:
            raise _invalid("deep", f"`deep` may be nested {most} deep (`QUERY_DEEP_MAX_DEPTH`)")
        return {name: self._query(name, asked, depth) for name, asked in found.items()} if found else NOTHING

    def _query(self, name: str, asked: Any, depth: int) -> Query:
        self._count += 1
        if self._count > self._bounds.deep:
            raise _invalid("deep", f"`deep` may be about {self._bounds.deep} fields (`QUERY_DEEP_MAX`)")
        entries = _object(f"deep.{name[:100]}", asked)
        own = {key[1:]: entry for key, entry in entries.items() if key.startswith("_")}
        unknown = own.keys() - DEEP
        if unknown:
            raise _invalid("deep", f"`deep` of `{name[:100]}` has no `_{min(unknown)[:100]}`")
        if "group" in own:
            own["groupBy"] = own.pop("group")
        inner = {key: entry for key, entry in entries.items() if not key.startswith("_")}
        return replace(_query(own, self._bounds), deep=self.of(inner, depth + 1))


def _aggregate(value: Any, bounds: Bounds) -> tuple[tuple[str, str], ...]:
    found = _object("aggregate", value)
    unknown = found.keys() - set(AGGREGATES)
    if unknown:
        known = ", ".join(f"`{name}`" for name in AGGREGATES)
        raise _invalid("aggregate", f"`aggregate` has no `{str(min(unknown))[:100]}`; it has {known}")
    names = ((function, name) for function in found for name in _names(found, function, bounds.sort) or ("*",))
    return tuple(dict.fromkeys(names))


def _filter(value: Any) -> Mapping[str, Any] | None:
    return _object("filter", value) or None


def _json(name: str, text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _invalid(name, f"`{name}` is not valid JSON: {error}") from error


def _integer(name: str, value: Any, least: int) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _invalid(name, f"`{name}` has to be a whole number")
    try:
        number = int(value) if len(str(value)) <= 20 else MAX_INTEGER + 1
    except ValueError:
        raise _invalid(name, f"`{name}` has to be a whole number, not `{str(value)[:50]}`") from None
    if not least <= number <= MAX_INTEGER:
        raise _invalid(name, f"`{name}` has to be {least} or more, and at most {MAX_INTEGER}")
    return number


def _limit(value: Any, most: int) -> int | None:
    limit = _integer("limit", value, -1)
    if limit is None or most < 0:
        return limit
    if limit > most:
        raise _invalid("limit", f"`limit` is at most {most}")
    return most if limit == -1 else limit


def _search(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _invalid("search", "`search` has to be a text")
    return checked_text(str(value), _invalid_search)


def _invalid_search(reason: str) -> InvalidQuery:
    return _invalid("search", f"`search` {reason}")


def checked_text(text: str, error: "Callable[[str], Exception]") -> str:
    """The text, where a database can hold it. Raises error(reason)."""
    if "\0" in text:
        raise error("holds a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise error("is not valid Unicode") from None
    return text


def _meta(parameters: Mapping[str, Any], bounds: Bounds) -> tuple[str, ...]:
    names = _names(parameters, "meta", bounds.sort)
    if "*" in names:
        return METAS
    return tuple(name for name in names if name in METAS)
