"""JSON schemas as the vendors' own modes for structured output take them.

What a mode refuses (the longest text, the largest number) goes into the description: it only widens what the mode lets
through, and every answer is checked against the schema itself. So a refused request is not what a schema costs.
Source: the vendors' guides on structured outputs, read in copies on 2026-11-26.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from datastead.errors import UnsupportedCapability

_COMBINATIONS = ("anyOf", "allOf", "oneOf")
_NAMED = ("properties", "$defs", "definitions")
_CONSTRAINTS = frozenset(
    """minimum maximum exclusiveMinimum exclusiveMaximum multipleOf minLength maxLength pattern format minItems maxItems
    uniqueItems contains minContains maxContains minProperties maxProperties propertyNames not if then else
    dependentRequired dependentSchemas dependencies unevaluatedItems unevaluatedProperties contentEncoding
    contentMediaType contentSchema default discriminator""".split()  # noqa: SIM905
)
"""What can be left out of a schema so that all that fitted still fits."""

_SHAPES = frozenset({"type", "enum", "const", "$ref", *_COMBINATIONS})
_HARD_PATTERN = re.compile(r"\(\?|\\[bB1-9]")  # lookarounds, boundaries, backreferences: no grammar has them
_LOCAL = re.compile(r"#/(?:\$defs|definitions)/([^/]+)")
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})


class Mode(NamedTuple):
    """A vendor's mode. keywords: the constraints that it takes. longest_min_items: None = any."""

    keywords: frozenset[str]
    formats: frozenset[str]
    longest_min_items: int | None = None

    def takes(self, key: str, value: Any) -> bool:
        if key not in _CONSTRAINTS:
            return True
        if key == "minItems" and self.longest_min_items is not None:
            return isinstance(value, int) and value <= self.longest_min_items
        if key == "format":
            return value in self.formats
        return key in self.keywords and not (key == "pattern" and _HARD_PATTERN.search(str(value)))


OPENAI = Mode(
    frozenset(
        {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "pattern", "minItems", "maxItems"}
    ),
    _FORMATS,
)
ANTHROPIC = Mode(frozenset({"pattern", "default"}), _FORMATS | {"uri"}, longest_min_items=1)


def for_openai(schema: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
    """The schema for OpenAI, and whether it is for its strict mode; without that, any schema is taken."""
    simple = closed(simplified(schema, OPENAI))
    return (simple, True) if is_strict(simple) else (closed(schema), False)


def for_anthropic(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema for Anthropic. Raises `UnsupportedCapability` where its mode has no way to say it."""
    simple = closed(simplified(schema, ANTHROPIC))
    obstacle = next((found for each in _walk(simple) if (found := _obstacle(each))), None)
    if obstacle is None and _is_recursive(simple):
        obstacle = "a schema that refers to itself"
    if obstacle is not None:
        raise UnsupportedCapability(f"Anthropic's structured outputs take no {obstacle}.", capability="schema")
    return simple


def simplified(schema: Mapping[str, Any], mode: Mode) -> dict[str, Any]:
    """The schema with what the mode refuses in the descriptions."""
    if "$ref" in schema:  # it stands alone, beside the definitions of the root
        return {key: _within(key, value, mode) for key, value in schema.items() if key in {"$ref", *_NAMED[1:]}}
    kept = {key: _within(key, value, mode) for key, value in schema.items() if mode.takes(key, value)}
    moved = {key: value for key, value in schema.items() if key not in kept}
    if isinstance(kept.get("oneOf"), list) and "anyOf" not in kept:
        kept["anyOf"] = kept.pop("oneOf")
    if moved:
        given = f"{schema['description']}\n" if schema.get("description") else ""
        kept["description"] = f"{given}Has to fit {json.dumps(moved, ensure_ascii=False, default=str)}."
    return kept


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with `additionalProperties: false` on every object that names its properties.

    Constrained decoding wants that of all vendors but Google.
    """
    return {key: _closed(key, value) for key, value in schema.items()} | _closing(schema)


def is_strict(schema: Mapping[str, Any]) -> bool:
    """Whether OpenAI's strict mode can take the schema, once closed: objects at the root, every property required."""
    return schema.get("type") == "object" and all(_all_required(each) for each in _walk(schema))


def _within(key: str, value: Any, mode: Mode) -> Any:
    if key in _NAMED and isinstance(value, Mapping):
        return {name: simplified(each, mode) if isinstance(each, Mapping) else each for name, each in value.items()}
    if key == "items" and isinstance(value, Mapping):
        return simplified(value, mode)
    if key in _COMBINATIONS and isinstance(value, list):
        return [simplified(each, mode) if isinstance(each, Mapping) else each for each in value]
    return value


def _obstacle(schema: Mapping[str, Any]) -> str | None:
    """What Anthropic's mode cannot say of this part of a schema, if anything."""
    if _SHAPES.isdisjoint(schema):
        return "part of a schema that may be anything"
    is_object = schema.get("type") == "object" or "properties" in schema
    if is_object and schema.get("additionalProperties") is not False:
        return "object whose properties have no names"
    if "patternProperties" in schema or "prefixItems" in schema or isinstance(schema.get("items"), list):
        return "`patternProperties` and no tuples"
    if "oneOf" in schema or any("$ref" in each for each in schema.get("allOf", ()) if isinstance(each, Mapping)):
        return "such combination of schemas"
    if any(isinstance(each, dict | list) for each in schema.get("enum", ())):
        return "`enum` of objects or lists"
    return None


def _is_recursive(schema: Mapping[str, Any]) -> bool:
    """Whether a definition leads back to itself, or a reference to where nobody here looks."""
    named = {**_mapping(schema.get("definitions")), **_mapping(schema.get("$defs"))}
    edges = {name: set(_references(each)) for name, each in named.items()}
    open_names = set(_references({key: value for key, value in schema.items() if key not in _NAMED[1:]}))
    for _ in range(len(edges) + 1):  # no path is longer than that, unless it goes round
        if not open_names:
            return False
        if not open_names <= edges.keys():
            return True
        open_names = set().union(*(edges[name] for name in open_names))
    return True


def _references(schema: Mapping[str, Any]) -> Iterator[str]:
    """The names of the definitions that a schema refers to; a reference to elsewhere as it stands."""
    for each in _walk(schema):
        if "$ref" in each:
            local = _LOCAL.fullmatch(str(each["$ref"]))
            yield local[1] if local else str(each["$ref"])


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _closing(schema: Mapping[str, Any]) -> dict[str, Any]:
    closable = isinstance(schema.get("properties"), Mapping) and schema.get("additionalProperties", True) is True
    return {"additionalProperties": False} if closable else {}


def _closed(key: str, value: Any) -> Any:
    if key in _NAMED and isinstance(value, Mapping):
        return {name: closed(each) if isinstance(each, Mapping) else each for name, each in value.items()}
    if key == "items" and isinstance(value, Mapping):
        return closed(value)
    if key in _COMBINATIONS and isinstance(value, list):
        return [closed(each) if isinstance(each, Mapping) else each for each in value]
    return value


def _all_required(schema: Mapping[str, Any]) -> bool:
    if _SHAPES.isdisjoint(schema) or not {"allOf", "oneOf", "patternProperties", "prefixItems"}.isdisjoint(schema):
        return False
    if schema.get("type") != "object":
        return "properties" not in schema
    properties, required = schema.get("properties"), schema.get("required", [])
    named = isinstance(properties, Mapping) and isinstance(required, list) and set(properties) == set(required)
    return named and schema.get("additionalProperties", False) is False


def _walk(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    inner: list[Any] = [schema.get("items"), *_entries(schema, _COMBINATIONS)]
    for key in _NAMED:
        named = schema.get(key)
        inner += named.values() if isinstance(named, Mapping) else []
    return [schema, *(found for each in inner if isinstance(each, Mapping) for found in _walk(each))]


def _entries(schema: Mapping[str, Any], keys: tuple[str, ...]) -> list[Any]:
    return [each for key in keys if isinstance(schema.get(key), list) for each in schema[key]]
