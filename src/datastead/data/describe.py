"""Collections, fields and relations in the contract's shape, as `/collections`, `/fields`, `/relations` answer them."""

from collections.abc import Mapping
from typing import Any

from datastead.data.defaults import default_of
from datastead.data.schema import Collection, Column, Field, Relation

Shape = dict[str, Any]

SCHEMA_NAMES = {"postgresql": "public", "sqlite": "main", "mariadb": None}
PRECISIONS = {"smallint": 16, "integer": 32, "bigint": 64, "real": 24, "double precision": 53}

COLLECTION_META: Shape = {
    "collection": None, "icon": None, "note": None, "display_template": None, "hidden": False, "singleton": False,
    "translations": None, "archive_field": None, "archive_app_filter": True, "archive_value": None,
    "unarchive_value": None, "sort_field": None, "accountability": "all", "color": None,
    "item_duplication_fields": None, "sort": None, "group": None, "collapse": "open", "preview_url": None,
    "versioning": False,
}  # fmt: skip
FIELD_META: Shape = {
    "id": None, "collection": None, "field": None, "special": None, "interface": None, "options": None, "display": None,
    "display_options": None, "readonly": False, "hidden": False, "sort": None, "width": "full", "translations": None,
    "note": None, "conditions": None, "required": False, "group": None, "validation": None, "validation_message": None,
    "searchable": True,
}  # fmt: skip
RELATION_META: Shape = {
    "id": None, "many_collection": None, "many_field": None, "one_collection": None, "one_field": None,
    "one_collection_field": None, "one_allowed_collections": None, "junction_field": None, "sort_field": None,
    "one_deselect_action": "nullify",
}  # fmt: skip


def collection_shape(collection: Collection, dialect: str) -> Shape:
    """schema: null for a folder; meta: null for a table that is not managed."""
    meta = _known(COLLECTION_META, collection.meta)
    if meta is None and collection.is_system:
        meta = COLLECTION_META | {"collection": collection.name, "singleton": collection.singleton, "system": True}
    table = {"schema": SCHEMA_NAMES[dialect], "name": collection.name, "comment": None}
    return {"collection": collection.name, "meta": meta, "schema": table if collection.has_table else None}


def field_shape(item: Field, dialect: str) -> Shape:
    """schema: null for an alias; meta: null for a column that is not managed."""
    meta = _known(FIELD_META, item.meta)
    special = sorted(item.special) or None
    if meta is not None:
        meta["special"] = special
    elif item.collection.startswith("directus_"):
        meta = FIELD_META | {"collection": item.collection, "field": item.name, "special": special, "system": True}
    return {
        "collection": item.collection,
        "field": item.name,
        "type": item.type,
        "meta": meta,
        "schema": _column_shape(item.column, dialect) if item.column is not None else None,
    }


def relation_shape(relation: Relation, dialect: str) -> Shape:
    """schema: null where there is no constraint."""
    meta = _known(RELATION_META, relation.meta)
    if meta is not None and isinstance(meta["one_allowed_collections"], str):
        meta["one_allowed_collections"] = meta["one_allowed_collections"].split(",")
    return {
        "collection": relation.collection,
        "field": relation.field,
        "related_collection": relation.related,
        "schema": _constraint_shape(relation, dialect),
        "meta": meta,
    }


def _known(defaults: Shape, row: Mapping[str, Any] | None) -> Shape | None:
    return None if row is None else defaults | {name: value for name, value in row.items() if name in defaults}


def _column_shape(column: Column, dialect: str) -> Shape:
    key = column.foreign_key
    is_whole = column.data_type in {"smallint", "integer", "bigint"}
    default = column.default if column.has_auto_increment else default_of(column)
    return {
        "name": column.name,
        "table": column.table,
        "data_type": column.data_type,
        "default_value": default,
        "generation_expression": column.generation_expression,
        "max_length": column.max_length,
        "numeric_precision": column.numeric_precision or PRECISIONS.get(column.data_type),
        "numeric_scale": 0 if is_whole else column.numeric_scale,
        "is_generated": column.is_generated,
        "is_nullable": column.is_nullable,
        "is_unique": column.is_unique,
        "is_indexed": column.is_indexed,
        "is_primary_key": column.is_primary_key,
        "has_auto_increment": column.has_auto_increment,
        "foreign_key_schema": SCHEMA_NAMES[dialect] if key else None,
        "foreign_key_table": key.table if key else None,
        "foreign_key_column": key.column if key else None,
        "comment": None,
    }


def _constraint_shape(relation: Relation, dialect: str) -> Shape | None:
    key = relation.column.foreign_key if relation.column is not None else None
    if key is None:
        return None
    return {
        "constraint_name": key.name,
        "table": relation.collection,
        "column": relation.field,
        "foreign_key_schema": SCHEMA_NAMES[dialect],
        "foreign_key_table": key.table,
        "foreign_key_column": key.column,
        "on_update": key.on_update,
        "on_delete": key.on_delete,
    }
