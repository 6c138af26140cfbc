"""`/collections`, `/fields` and `/relations` by GraphQL: read as far as one may read the items, changed by
administrators.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from graphql import (
    GraphQLBoolean,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLString,
)

from datastead.api.graphql.call import Arguments, Call, Fields, Work, model_field, system_field
from datastead.data.changes import Changes
from datastead.data.describe import COLLECTION_META, FIELD_META, RELATION_META
from datastead.graphql.reading import Info
from datastead.graphql.types import JSON, NEEDED, argument, listed, plain_object, taken
from datastead.graphql.view import View

TEXTS = GraphQLList(GraphQLString)
KINDS: dict[str, Any] = {
    **dict.fromkeys(("hidden", "singleton", "archive_app_filter", "versioning", "readonly", "required", "searchable"),
                    GraphQLBoolean),
    **dict.fromkeys(("is_generated", "is_indexed", "is_nullable", "is_unique", "is_primary_key", "has_auto_increment"),
                    GraphQLBoolean),
    **dict.fromkeys(("id", "sort", "max_length", "numeric_precision", "numeric_scale"), GraphQLInt),
    **dict.fromkeys(("special", "one_allowed_collections"), TEXTS),
    **dict.fromkeys(("translations", "options", "display_options", "conditions", "validation",
                     "item_duplication_fields"), JSON),
}  # fmt: skip
"""The types of what is not text."""
TABLE = ("name", "comment")
COLUMN = (
    "name", "table", "data_type", "default_value", "max_length", "numeric_precision", "numeric_scale", "is_generated",
    "generation_expression", "is_indexed", "is_nullable", "is_unique", "is_primary_key", "has_auto_increment",
    "foreign_key_column", "foreign_key_table", "comment",
)  # fmt: skip
CONSTRAINT = (
    "table", "column", "foreign_key_table", "foreign_key_column", "constraint_name", "on_update", "on_delete",
)  # fmt: skip


def _as_text(source: Any, _: Info) -> str | None:
    """A column's default, whatever it is."""
    value = source.get("default_value")
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


def _shape(name: str, /, parts: dict[str, Any], **own: Any) -> GraphQLObjectType:
    """A type with `meta` and `schema`. parts: the names in each."""
    made = {part: plain_object(f"{name}_{part}", **{key: KINDS.get(key, GraphQLString) for key in keys})
            for part, keys in parts.items()}  # fmt: skip
    if "default_value" in made["schema"].fields:
        made["schema"].fields["default_value"] = GraphQLField(GraphQLString, resolve=_as_text)
    return plain_object(name, **own, **made)


def _input(name: str, /, parts: dict[str, Any], **own: Any) -> GraphQLInputObjectType:
    kinds = KINDS | {"default_value": JSON}
    made = {
        part: _input_of(f"{name}_{part}_input", {key: kinds.get(key, GraphQLString) for key in keys})
        for part, keys in parts.items()
    }
    return _input_of(f"{name}_input", {**own, **made})


def _input_of(name: str, kinds: dict[str, Any]) -> GraphQLInputObjectType:
    return taken(GraphQLInputObjectType(name, {key: GraphQLInputField(kind) for key, kind in kinds.items()}))


_COLLECTION_PARTS = {"meta": COLLECTION_META, "schema": TABLE}
_FIELD_PARTS = {"meta": FIELD_META, "schema": COLUMN}
_RELATION_PARTS = {"meta": RELATION_META, "schema": CONSTRAINT}
_FIELD = {"collection": GraphQLString, "field": GraphQLString, "type": GraphQLString}
_RELATION = {"collection": GraphQLString, "field": GraphQLString, "related_collection": GraphQLString}
COLLECTION = _shape("directus_collections", _COLLECTION_PARTS, collection=GraphQLString)
FIELD = _shape("directus_fields", _FIELD_PARTS, **_FIELD)
RELATION = _shape("directus_relations", _RELATION_PARTS, **_RELATION)
NEW_FIELD = _input("directus_fields", _FIELD_PARTS, **_FIELD)
NEW_RELATION = _input("directus_relations", _RELATION_PARTS, **_RELATION)
NEW_COLLECTION = _input(
    "directus_collections", _COLLECTION_PARTS, collection=GraphQLString, fields=GraphQLList(GraphQLNonNull(NEW_FIELD))
)
CHANGED_COLLECTION = _input_of("update_directus_collections_input", {"meta": NEW_COLLECTION.fields["meta"].type})
GONE = {
    "collection": plain_object("delete_collection", collection=GraphQLString),
    "field": plain_object("delete_field", collection=GraphQLString, field=GraphQLString),
    "relation": plain_object("delete_relation", collection=GraphQLString, field=GraphQLString),
}


def modelling_fields(view: View) -> tuple[Fields, Fields]:
    """The fields of `Query`, for those with access to the app; and for administrators of `Mutation`."""
    if not (view.actor.is_admin or view.actor.has_app_access):
        return {}, {}
    place = {"collection": NEEDED, "field": NEEDED}
    query: Fields = {
        "collections": model_field(listed(COLLECTION), _work(Changes.read_collections)),
        "collections_by_name": system_field(COLLECTION, _work(Changes.read_collection, "name"), name=NEEDED),
        "fields": model_field(listed(FIELD), _work(Changes.read_fields)),
        "fields_in_collection": system_field(
            listed(FIELD), _work(Changes.read_fields, "collection"), collection=NEEDED
        ),
        "fields_by_name": system_field(FIELD, _work(Changes.read_field, *place), **place),
        "relations": model_field(listed(RELATION), _work(Changes.read_relations)),
        "relations_in_collection": system_field(
            listed(RELATION), _work(Changes.read_relations, "collection"), collection=NEEDED
        ),
        "relations_by_name": system_field(RELATION, _work(Changes.read_relation, *place), **place),
    }
    return query, _writes() if view.actor.is_admin else {}


def _writes() -> Fields:
    place = {"collection": NEEDED, "field": NEEDED}
    several = argument(GraphQLList(GraphQLNonNull(NEW_FIELD)))

    def one(kind: Any) -> Any:
        return argument(GraphQLNonNull(kind))

    return {
        "create_collections_item": system_field(
            COLLECTION, _work(Changes.create_collection, "data"), data=one(NEW_COLLECTION)
        ),
        "update_collections_item": system_field(
            COLLECTION, _work(Changes.update_collection, "collection", "data"),
            collection=NEEDED, data=one(CHANGED_COLLECTION),
        ),
        "delete_collections_item": system_field(
            GONE["collection"], _gone(Changes.delete_collection, "collection"), collection=NEEDED
        ),
        "create_fields_item": system_field(
            FIELD, _work(Changes.create_field, "collection", "data"), collection=NEEDED, data=one(NEW_FIELD)
        ),
        "update_fields_item": system_field(
            FIELD, _work(Changes.update_field, *place, "data"), **place, data=one(NEW_FIELD)
        ),
        "update_fields_items": system_field(
            listed(FIELD), _work(Changes.update_fields, "collection", "data"), collection=NEEDED, data=several
        ),
        "delete_fields_item": system_field(GONE["field"], _gone(Changes.delete_field, *place), **place),
        "create_relations_item": system_field(
            RELATION, _work(Changes.create_relation, "data"), data=one(NEW_RELATION)
        ),
        "update_relations_item": system_field(
            RELATION, _work(Changes.update_relation, *place, "data"), **place, data=one(NEW_RELATION)
        ),
        "delete_relations_item": system_field(GONE["relation"], _gone(Changes.delete_relation, *place), **place),
    }  # fmt: skip


def _work(method: Callable[..., Awaitable[Any]], *names: str) -> Work:
    """A method of `Changes`, with these of the arguments."""

    async def work(call: Call, _: Info, given: Arguments) -> Any:
        return await method(Changes(call.ctx), *(given.get(name, []) for name in names))

    return work


def _gone(method: Callable[..., Awaitable[Any]], *names: str) -> Work:
    async def work(call: Call, _: Info, given: Arguments) -> dict[str, Any]:
        await method(Changes(call.ctx), *(given[name] for name in names))
        return dict(given)

    return work
