"""`Query`: what a caller wants to read, in the contract's spellings. Pure; the schema checks the names later."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import orjson

from datastead.errors import InvalidQuery

if TYPE_CHECKING:
    from datastead.settings import Settings

MAX_SORTS = 50
MAX_ALIASES = 100
MAX_INTEGER = 2**63 - 1
METAS = ("total_count", "filter_count")
# parts of the contract's query language that this version does not have; refused, as ignoring them would answer wrongly
NOT_YET = ("versionRaw", "backlink")
AGGREGATES = ("count", "countDistinct", "countAll", "sum", "sumDistinct", "avg", "avgDistinct", "min", "max")
EXPORTS = ("csv", "json", "xml", "yaml")
MAX_DEEP = 10
DEEP = {"fields", "filter", "sort", "limit", "offset", "page", "search", "alias", "aggregate", "group"}
NOTHING: Mapping[str, Any] = MappingProxyType({})


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
        for name in NOT_YET:
            if parameters.get(name):
                raise _invalid(name, f"`{name}` is not supported in this version")
        return cls(
            fields=_names(parameters, "fields", 500 if settings is None else settings.query_fields_max) or ("*",),
            filter=_filter(parameters.get("filter")),
            sort=_names(parameters, "sort", MAX_SORTS),
            limit=_limit(parameters.get("limit"), -1 if settings is None else settings.query_limit_max),
            offset=_integer("offset", parameters.get("offset"), 0),
            page=_integer("page", parameters.get("page"), 0) or None,
            search=_search(parameters.get("search")),
            meta=_meta(parameters),
            alias=_alias(parameters.get("alias")),
            deep=_deep(parameters.get("deep"), settings, 0),
            aggregate=_aggregate(parameters.get("aggregate")),
            export=_export(parameters.get("export")),
            version=_version(parameters.get("version")),
            group=_names(parameters, "groupBy", MAX_SORTS) or _names(parameters, "group", MAX_SORTS),
        )

    def window(self, default_limit: int) -> tuple[int | None, int]:
        """How many rows (None = all), and how many before them are left out."""
        limit = default_limit if self.limit is None else self.limit
        if self.page and limit > 0:
            offset = (self.page - 1) * limit
            if offset > MAX_INTEGER:
                raise _invalid("page", f"`page` is too large: {self.page}")
            return limit, offset
        return (None if limit < 0 else limit), self.offset or 0


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
        raise _invalid(name, f"`{name}` has more than {most} names")
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


def _alias(value: Any) -> Mapping[str, str]:
    found = _object("alias", value)
    if len(found) > MAX_ALIASES:
        raise _invalid("alias", f"`alias` has more than {MAX_ALIASES} names")
    for name, original in found.items():
        if not isinstance(original, str) or not original or "." in original or not name or set(name) & set(".()*:"):
            raise _invalid("alias", f"`alias` of `{str(name)[:100]}` has to be the name of a field")
    return found


def _deep(value: Any, settings: "Settings | None", depth: int) -> "Mapping[str, Query]":
    """By field: `_filter`, `_sort` and so on, and what is asked deeper down."""
    found = _object("deep", value)
    if depth > MAX_DEEP:
        raise _invalid("deep", f"`deep` may be nested {MAX_DEEP} deep")
    return {name: _deep_query(name, asked, settings, depth) for name, asked in found.items()} if found else NOTHING


def _deep_query(name: str, asked: Any, settings: "Settings | None", depth: int) -> Query:
    entries = _object(f"deep.{name}", asked)
    own = {key[1:]: entry for key, entry in entries.items() if key.startswith("_")}
    unknown = own.keys() - DEEP
    if unknown:
        raise _invalid("deep", f"`deep` of `{name[:100]}` has no `_{min(unknown)[:100]}`")
    if "group" in own:
        own["groupBy"] = own.pop("group")
    inner = {key: entry for key, entry in entries.items() if not key.startswith("_")}
    return replace(Query.parse(own, settings), deep=_deep(inner, settings, depth + 1))


def _aggregate(value: Any) -> tuple[tuple[str, str], ...]:
    found = _object("aggregate", value)
    unknown = found.keys() - set(AGGREGATES)
    if unknown:
        known = ", ".join(f"`{name}`" for name in AGGREGATES)
        raise _invalid("aggregate", f"`aggregate` has no `{str(min(unknown))[:100]}`; it has {known}")
    names = ((function, name) for function in found for name in _names(found, function, MAX_SORTS) or ("*",))
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


def _meta(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    names = _names(parameters, "meta", MAX_SORTS)
    if "*" in names:
        return METAS
    return tuple(name for name in names if name in METAS)
