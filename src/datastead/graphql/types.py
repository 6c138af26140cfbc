"""The scalars of the contract, and what the fields of each type can be filtered by."""

from collections.abc import Mapping
from typing import Any, TypeVar

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLScalarType,
    GraphQLString,
)
from graphql.language import FloatValueNode, IntValueNode, StringValueNode, ValueNode
from graphql.utilities import value_from_ast_untyped

from datastead.data.filters import SHAPES
from datastead.data.functions import OF_DATES, OF_TIMES, PARTS
from datastead.data.schema import Field

Named = TypeVar("Named", bound=GraphQLNamedType)
TAKEN = {"Query", "Mutation", "Subscription", "EventEnum", "String", "Int", "Float", "Boolean", "ID"}
"""Names of types that no collection can have."""


def _same(value: Any) -> Any:
    return value


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int) else value


def _text_or_number(node: ValueNode, _: Mapping[str, Any] | None = None) -> Any:
    if isinstance(node, StringValueNode):
        return node.value
    if isinstance(node, IntValueNode):
        return int(node.value)
    if isinstance(node, FloatValueNode):
        return float(node.value)
    raise TypeError("A text or a number is needed.")


BIG_INT = GraphQLScalarType("GraphQLBigInt", _as_text, _same, _text_or_number, description="A whole number, as text.")
DATE = GraphQLScalarType("Date", _same, _same, description="A date, or a moment, in ISO 8601.")
JSON = GraphQLScalarType("JSON", _same, _same, value_from_ast_untyped, description="Any JSON value.")
HASH = GraphQLScalarType("Hash", _same, _same, description="A text that is kept as a hash, and never shown.")
GEOMETRY = GraphQLScalarType("GraphQLGeoJSON", _same, _same, value_from_ast_untyped, description="A GeoJSON value.")
STRING_OR_FLOAT = GraphQLScalarType(
    "GraphQLStringOrFloat", _same, _same, _text_or_number, description="A number, or a text such as `$NOW`."
)
VOID = GraphQLScalarType("Void", lambda _: None, description="Nothing.")
SCALARS = (VOID, BIG_INT, DATE, JSON, HASH, GEOMETRY, STRING_OR_FLOAT)


def argument(kind: Any) -> GraphQLArgument:
    """An argument of this type."""
    return GraphQLArgument(kind)


TEXT, NEEDED = argument(GraphQLString), argument(GraphQLNonNull(GraphQLString))
KEY, KEYS = argument(GraphQLNonNull(GraphQLID)), argument(GraphQLNonNull(GraphQLList(GraphQLID)))


def listed(kind: Any) -> Any:
    """A list of this type, with nothing missing."""
    return GraphQLNonNull(GraphQLList(GraphQLNonNull(kind)))


def plain_object(name: str, /, **fields: Any) -> GraphQLObjectType:
    """A type whose values are dicts, with what the fields are called; null for what is no dict."""
    return taken(GraphQLObjectType(name, {key: GraphQLField(kind, resolve=_named) for key, kind in fields.items()}))


def taken(kind: Named) -> Named:
    """The type, whose name no collection can have any more."""
    TAKEN.add(kind.name)
    return kind


def _named(source: Any, info: GraphQLResolveInfo[Any]) -> Any:
    value = source.get(info.field_name)
    return None if value is False and isinstance(info.return_type, GraphQLObjectType) else value


MOMENTS = {"date": OF_DATES, "time": OF_TIMES, "dateTime": tuple(PARTS), "timestamp": tuple(PARTS)}


def scalar_of(item: Field) -> Any:
    """The type of a field's values."""
    if item.is_concealed:
        return HASH
    if item.type.startswith("geometry"):
        return GEOMETRY
    return {
        "boolean": GraphQLBoolean, "bigInteger": BIG_INT, "integer": GraphQLInt, "decimal": GraphQLFloat,
        "float": GraphQLFloat, "csv": GraphQLList(GraphQLString), "json": JSON, "date": DATE, "dateTime": DATE,
        "timestamp": DATE, "time": DATE, "uuid": GraphQLID, "unknown": JSON,
    }.get(item.type, GraphQLString)  # fmt: skip


def operators_of(item: Field) -> GraphQLInputObjectType:
    """What a field can be filtered by."""
    if item.is_concealed:
        return OPERATORS["hash"]
    if item.type.startswith("geometry"):
        return OPERATORS["geometry"]
    return OPERATORS[
        {
            "boolean": "boolean", "bigInteger": "big_int", "integer": "number", "decimal": "number", "float": "number",
            "date": "date", "dateTime": "date", "timestamp": "date", "time": "date", "uuid": "id",
        }.get(item.type, "string")
    ]  # fmt: skip


def functions_of(item: Field) -> str | None:
    """The name of the type that has the functions of a field."""
    if item.type == "json":
        return "count"
    return {"date": "date", "time": "time", "dateTime": "datetime", "timestamp": "datetime"}.get(item.type)


def _operators(name: str, value: Any, *texts: str) -> GraphQLInputObjectType:
    several = GraphQLList(value)
    fields: dict[str, Any] = dict.fromkeys(("_null", "_nnull"), GraphQLBoolean)
    if name not in {"hash", "geometry"}:
        fields |= dict.fromkeys(("_eq", "_neq"), value)
    if name not in {"hash", "boolean", "geometry"}:
        fields |= dict.fromkeys(("_in", "_nin"), several)
    if name in {"number", "big_int", "date"}:
        fields |= dict.fromkeys(("_gt", "_gte", "_lt", "_lte"), value)
        fields |= dict.fromkeys(("_between", "_nbetween"), several)
    if name in {"hash", "string", "id"}:
        fields |= dict.fromkeys(("_empty", "_nempty"), GraphQLBoolean)
    fields |= dict.fromkeys(texts, value)
    return GraphQLInputObjectType(
        f"{name}_filter_operators", {key: GraphQLInputField(entry) for key, entry in fields.items()}
    )


_TEXTS = [
    f"_{no}{i}{word}"
    for word in ("contains", "starts_with", "ends_with")
    for no in ("", "n")
    for i in ("", "i")
    if not (no and i and word == "contains")
]
OPERATORS = {
    "string": _operators("string", GraphQLString, *_TEXTS),
    "id": _operators("id", GraphQLID, *_TEXTS),
    "number": _operators("number", STRING_OR_FLOAT),
    "big_int": _operators("big_int", BIG_INT),
    "date": _operators("date", GraphQLString),
    "boolean": _operators("boolean", GraphQLBoolean),
    "hash": _operators("hash", HASH),
    "geometry": _operators("geometry", GEOMETRY, *sorted(SHAPES)),
}
_PARTS = {"date": OF_DATES, "time": OF_TIMES, "datetime": tuple(PARTS), "count": ("count",)}
FUNCTIONS = {
    name: GraphQLObjectType(f"{name}_functions", {part: GraphQLField(GraphQLInt) for part in parts})
    for name, parts in _PARTS.items()
}
FUNCTION_OPERATORS = {
    name: GraphQLInputObjectType(
        f"{name}_function_filter_operators", {part: GraphQLInputField(OPERATORS["number"]) for part in parts}
    )
    for name, parts in _PARTS.items()
}
DELETE_MANY = GraphQLObjectType(
    "delete_many", {"ids": GraphQLField(GraphQLNonNull(GraphQLList(GraphQLNonNull(GraphQLID))))}
)
DELETE_ONE = GraphQLObjectType("delete_one", {"id": GraphQLField(GraphQLNonNull(GraphQLID))})
TAKEN |= {
    DELETE_MANY.name, DELETE_ONE.name,
    *(scalar.name for scalar in SCALARS), *(each.name for each in (*OPERATORS.values(), *FUNCTIONS.values())),
    *(each.name for each in FUNCTION_OPERATORS.values()),
}  # fmt: skip
