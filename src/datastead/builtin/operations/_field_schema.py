"""A JSON schema out of a collection's fields: what a model has to answer with, so that it can be saved."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from datastead.errors import InvalidPayload

if TYPE_CHECKING:
    from datastead.data.schema import Collection, Field

_TYPES: Mapping[str, Mapping[str, Any]] = {
    "string": {"type": "string"},
    "text": {"type": "string"},
    "uuid": {"type": "string", "format": "uuid"},
    "integer": {"type": "integer"},
    "bigInteger": {"type": "integer"},
    "float": {"type": "number"},
    "decimal": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "time": {"type": "string", "pattern": r"^\d{2}:\d{2}:\d{2}$"},
    "dateTime": {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$"},
    "timestamp": {"type": "string", "format": "date-time"},
    "csv": {"type": "array", "items": {"type": "string"}},
    "json": {},
}


def schema_of(collection: "Collection", names: list[str]) -> dict[str, Any]:
    """The schema of an object with these fields. Raises `Forbidden` for one that is not there, `InvalidPayload` for one
    that no model can fill in."""
    properties = {name: _property(collection.field(name)) for name in names}
    return {"type": "object", "properties": properties, "required": names, "additionalProperties": False}


def _property(field: "Field") -> dict[str, Any]:
    known = _TYPES.get(field.type)
    if known is None or field.column is None or field.is_concealed:
        raise InvalidPayload(
            f"The field `{field.name}` of `{field.collection}` (`{field.type}`) cannot be filled in by a model.",
            option="fields", value=field.name,
        )  # fmt: skip
    choices = _choices(field)
    found = {**known, **({"enum": choices} if choices else {}), **_described(field)}
    return _nullable(found) if field.column.is_nullable and known else found


def _nullable(found: dict[str, Any]) -> dict[str, Any]:
    enum = {"enum": [*found["enum"], None]} if "enum" in found else {}
    return {**found, "type": [found["type"], "null"], **enum}


def _choices(field: "Field") -> list[Any]:
    """What a dropdown offers, unless it takes other values as well."""
    options = (field.meta or {}).get("options") or {}
    choices = options.get("choices") if isinstance(options, Mapping) else None
    if not isinstance(choices, list) or options.get("allowOther") or field.type in {"csv", "json"}:
        return []
    return [choice.get("value") if isinstance(choice, Mapping) else choice for choice in choices]


def _described(field: "Field") -> dict[str, str]:
    longest = field.column.max_length if field.column is not None else None
    said = [(field.meta or {}).get("note"), f"At most {longest} characters." if longest else None]
    text = " ".join(str(each) for each in said if each)
    return {"description": text} if text else {}
