"""`Changes`: creates and alters collections, fields and relations at run time, each change whole or not at all."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import sqlalchemy as sa

from datastead.context import Context
from datastead.data import ddl
from datastead.data.alterations import column_changes
from datastead.data.columns import (
    TYPE_SPECIALS,
    WHOLE_NUMBERS,
    check_names,
    checked_name,
    checked_object,
    column_of,
    fields_of,
    invalid,
    is_folder,
    with_key,
)
from datastead.data.describe import Shape, collection_shape, field_shape, relation_shape
from datastead.data.engine import Transaction
from datastead.data.groups import check_collections, check_fields, groups_of
from datastead.data.metas import Metas
from datastead.data.permissions import readable_schema, require_admin
from datastead.data.schema import Collection, Field, ForeignKey, Relation, Schema, bump
from datastead.errors import Forbidden, UnprocessableContent

T = TypeVar("T")
Work = Callable[[Transaction], None]
Payloads = Mapping[str, Mapping[str, Any]]
NOTHING: Payloads = {}
CASELESS = {"sqlite", "mariadb"}
"""Databases in which names that differ in cases only are the same, or are so on some systems."""
ON_DELETE = ("SET NULL", "CASCADE", "NO ACTION", "RESTRICT", "SET DEFAULT")


class Changes:
    """The schema, as one actor may see and change it. Shapes are the contract's."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._database = ctx.services.database
        self._dialect = self._database.dialect

    async def read_collections(self) -> list[Shape]:
        """Every collection that the actor may read, and the folders."""
        schema = await self._readable()
        return [collection_shape(entry, self._dialect) for entry in schema.collections.values()]

    async def read_collection(self, name: str) -> Shape:
        """One collection. Raises `Forbidden` where there is none."""
        return collection_shape((await self._readable()).collection(name), self._dialect)

    async def read_fields(self, collection: str | None = None) -> list[Shape]:
        """Every field that the actor may read, or those of one collection."""
        schema = await self._readable()
        found = [schema.collection(collection)] if collection else schema.collections.values()
        return [field_shape(item, self._dialect) for entry in found for item in entry.fields.values()]

    async def read_field(self, collection: str, field: str) -> Shape:
        """One field."""
        return field_shape((await self._readable()).collection(collection).field(field), self._dialect)

    async def read_relations(self, collection: str | None = None) -> list[Shape]:
        """Every relation between what the actor may read, or those of one collection."""
        schema = await self._readable()
        if collection:
            schema.collection(collection)
        return [
            relation_shape(relation, self._dialect)
            for relation in schema.relations
            if collection in {None, relation.collection}
        ]

    async def read_relation(self, collection: str, field: str) -> Shape:
        """One relation."""
        return relation_shape(_relation(await self._readable(), collection, field), self._dialect)

    async def create_collection(self, payload: Mapping[str, Any]) -> Shape:
        """Creates a table, with an `id` that counts up where no field is the key; a folder where `schema` is null."""
        (created,) = await self.create_collections([payload])
        return created

    async def create_collections(self, new: Sequence[Mapping[str, Any]]) -> list[Shape]:
        """Creates collections, all or none."""
        schema = await self._schema()
        works = [self._creation(schema, payload) for payload in new]
        names = [str(payload["collection"]) for payload in new]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise invalid(f"The collection `{twice}` is there twice", collection=twice)
        self._check_groups(schema, new={str(payload["collection"]): payload for payload in new})
        await self._alter(_all(works))
        return [await self.read_collection(name) for name in names]

    def _creation(self, schema: Schema, payload: Mapping[str, Any]) -> Work:
        name = checked_name("collection", payload.get("collection"))
        self._check_new_collection(schema, name)
        fields = [] if is_folder(payload) else with_key(fields_of(payload))
        columns = [self._column(name, entry) for entry in fields if entry.get("type") != "alias"]
        check_names(fields)
        self._check_field_groups(None, new={str(entry["field"]): entry for entry in fields})

        def work(transaction: Transaction) -> None:
            if not is_folder(payload):
                ddl.create_table(transaction, name, columns)
            meta = dict(checked_object(payload.get("meta"), "meta"))
            Metas(self._ctx, schema).insert(transaction, "directus_collections", meta | {"collection": name})
            for position, entry in enumerate(fields, 1):
                self._insert_field_meta(schema, transaction, name, entry, position)

        return work

    def _check_new_collection(self, schema: Schema, name: str) -> None:
        taken = {known.lower() if self._dialect in CASELESS else known for known in schema.collections}
        if (name.lower() if self._dialect in CASELESS else name) in taken:
            raise invalid(f"The collection `{name}` exists already", collection=name)

    async def update_collection(self, name: str, payload: Mapping[str, Any]) -> Shape:
        """Changes what is said of a collection (`meta`)."""
        (changed,) = await self.update_collections([{**payload, "collection": name}])
        return changed

    async def update_collections(self, changes: Sequence[Mapping[str, Any]]) -> list[Shape]:
        """Changes what is said of collections, each of which its entry names, all or none."""
        schema = await self._schema()
        metas = Metas(self._ctx, schema)
        asked = [(schema.collection(_text(entry, "collection")).name, entry.get("meta")) for entry in changes]
        wanted = {name: meta for name, given in asked if (meta := checked_object(given, "meta"))}
        self._check_groups(schema, {str(entry["collection"]): entry for entry in changes})

        def work(transaction: Transaction) -> None:
            for name, meta in wanted.items():
                metas.upsert(transaction, "directus_collections", {"collection": name}, meta)

        if wanted:
            await self._alter(work)
        return [await self.read_collection(name) for name, _ in asked]

    async def delete_collection(self, name: str) -> None:
        """Drops the table, its fields and relations. Other tables' foreign keys to it go, and their columns stay."""
        schema = await self._schema()
        collection = schema.collection(name)
        _refuse_system(name)
        others = [entry for entry in schema.relations if entry.related == name and entry.collection != name]

        def work(transaction: Transaction) -> None:
            for relation in others:
                if relation.column is not None and relation.column.foreign_key is not None:
                    ddl.drop_foreign_key(transaction, relation.collection, relation.column)
            if collection.has_table:
                ddl.drop_table(transaction, name)
            Metas(self._ctx, schema).forget_collection(transaction, name)

        await self._alter(work)

    async def create_field(self, collection: str, payload: Mapping[str, Any]) -> Shape:
        """Adds a column, or an alias (`type: alias`), which has none."""
        schema = await self._schema()
        owner = self._changeable(schema, collection)
        name = checked_name("field", payload.get("field"))
        known = {field.lower() if self._dialect in CASELESS else field for field in owner.fields}
        if (name.lower() if self._dialect in CASELESS else name) in known:
            raise invalid(f"The field `{name}` exists already in `{collection}`", collection=collection, field=name)
        column = None if payload.get("type") == "alias" else self._column(collection, payload)
        if column is not None and column.primary_key:
            raise invalid(f"The table of `{collection}` exists already: it cannot be given another key")
        self._check_field_groups(owner, new={name: payload})

        def work(transaction: Transaction) -> None:
            if column is not None:
                ddl.add_column(transaction, collection, column)
            self._insert_field_meta(schema, transaction, collection, payload, len(owner.fields) + 1)

        await self._alter(work)
        return await self.read_field(collection, name)

    async def update_field(self, collection: str, field: str, payload: Mapping[str, Any]) -> Shape:
        """Changes what is said of a field (`meta`), and its column (`type`, `schema`)."""
        (changed,) = await self.update_fields(collection, [{**payload, "field": field}])
        return changed

    async def update_fields(self, collection: str, changes: Sequence[Mapping[str, Any]]) -> list[Shape]:
        """Changes fields of a collection, each of which its entry names, all or none."""
        schema = await self._schema()
        names = [_text(payload, "field") for payload in changes]
        if len(set(names)) < len(names):
            raise invalid(f"A field of `{collection}` is there twice", collection=collection)
        self._check_field_groups(schema.collection(collection), dict(zip(names, changes, strict=True)))
        await self._alter(_all([self._field_change(schema, collection, payload) for payload in changes]))
        return [await self.read_field(collection, name) for name in names]

    def _field_change(self, schema: Schema, collection: str, payload: Mapping[str, Any]) -> Work:
        field = _text(payload, "field")
        item = self._changeable(schema, collection).field(field)
        meta = checked_object(payload.get("meta"), "meta")
        wanted = checked_object(payload.get("schema"), "schema")
        changes = column_changes(item, payload.get("type") or item.type, wanted, self._dialect)

        def work(transaction: Transaction) -> None:
            for change in changes:
                change(transaction)
            if meta:
                row = {"collection": collection, "field": field}
                Metas(self._ctx, schema).upsert(transaction, "directus_fields", row, meta)

        return work

    async def delete_field(self, collection: str, field: str) -> None:
        """Drops the column, and the relation that it is part of."""
        schema = await self._schema()
        item = self._changeable(schema, collection).field(field)
        column = item.column
        if column is not None and column.is_primary_key:
            raise invalid(
                f"`{field}` is the key of `{collection}`: it cannot be deleted", collection=collection, field=field
            )

        def work(transaction: Transaction) -> None:
            if column is not None:
                if column.foreign_key is not None and self._dialect == "sqlite":
                    ddl.drop_foreign_key(transaction, collection, column)
                ddl.drop_column(transaction, collection, column)
            Metas(self._ctx, schema).forget_field(transaction, collection, field)

        await self._alter(work)

    async def create_relation(self, payload: Mapping[str, Any]) -> Shape:
        """Makes a field refer to another collection, with a foreign key unless `schema` is null."""
        schema = await self._schema()
        collection, field = _text(payload, "collection"), _text(payload, "field")
        item = self._changeable(schema, collection).fields.get(field)
        if item is None or item.column is None:
            raise invalid(
                f"`{field}` is not a stored field of `{collection}`: create it first",
                collection=collection,
                field=field,
            )
        if schema.relation(collection, field) is not None:
            raise invalid(f"`{field}` of `{collection}` has a relation already", collection=collection, field=field)
        related = payload.get("related_collection")
        key = None if related is None else _new_key(schema, item, related, payload)

        def work(transaction: Transaction) -> None:
            if key is not None:
                ddl.add_foreign_key(transaction, collection, field, key)
            meta = dict(checked_object(payload.get("meta"), "meta"))
            row = {"many_collection": collection, "many_field": field, "one_collection": related}
            Metas(self._ctx, schema).insert(transaction, "directus_relations", meta | row)

        await self._alter(work)
        return await self.read_relation(collection, field)

    async def update_relation(self, collection: str, field: str, payload: Mapping[str, Any]) -> Shape:
        """Changes what is said of a relation (`meta`), and what happens on a delete (`schema.on_delete`)."""
        schema = await self._schema()
        relation = _relation(schema, collection, field)
        column, related = relation.column, relation.related
        meta = checked_object(payload.get("meta"), "meta")
        item = self._changeable(schema, collection).field(field)
        on_delete = _on_delete(payload, item) if checked_object(payload.get("schema"), "schema") else None

        def work(transaction: Transaction) -> None:
            key = column.foreign_key if column is not None else None
            if on_delete is not None and column is not None and key is not None:
                ddl.drop_foreign_key(transaction, collection, column)
                ddl.add_foreign_key(transaction, collection, field, replace(key, on_delete=on_delete))
            if meta:
                row = {"many_collection": collection, "many_field": field}
                changes = {**meta, "one_collection": related}
                Metas(self._ctx, schema).upsert(transaction, "directus_relations", row, changes)

        await self._alter(work)
        return await self.read_relation(collection, field)

    async def delete_relation(self, collection: str, field: str) -> None:
        """Drops the foreign key; the field stays."""
        schema = await self._schema()
        relation = _relation(schema, collection, field)
        _refuse_system(collection)

        def work(transaction: Transaction) -> None:
            if relation.column is not None:
                ddl.drop_foreign_key(transaction, collection, relation.column)
            Metas(self._ctx, schema).forget_relation(transaction, collection, field)

        await self._alter(work)

    async def _readable(self) -> Schema:
        """The schema as far as the actor may see it, which takes access to the app."""
        schema = await self._ctx.services.schemas.get()
        if self._ctx.actor.is_admin:
            return schema
        if not self._ctx.actor.has_app_access:
            raise Forbidden
        return readable_schema(schema, self._ctx.actor)

    async def _schema(self) -> Schema:
        require_admin(self._ctx.actor)
        return await self._ctx.services.schemas.get()

    def _changeable(self, schema: Schema, name: str) -> Collection:
        collection = schema.collection(name)
        _refuse_system(name)
        if not collection.has_table:
            raise invalid(f"`{name}` is a folder: it has no fields", collection=name)
        return collection

    def _column(self, collection: str, payload: Mapping[str, Any]) -> sa.Column[Any]:
        name = checked_name("field", payload.get("field"))
        wanted = checked_object(payload.get("schema"), "schema")
        return column_of(collection, name, str(payload.get("type") or "string"), wanted, self._dialect)

    def _insert_field_meta(
        self, schema: Schema, transaction: Transaction, collection: str, payload: Mapping[str, Any], position: int
    ) -> None:
        """A field without `meta` stays unmanaged, unless its type needs a word about it."""
        kind = payload.get("type")
        special = TYPE_SPECIALS.get(str(kind), "alias" if kind == "alias" else None)
        given = payload.get("meta")
        if given is None and special is None:
            return
        meta = dict(checked_object(given, "meta"))
        said = meta.get("special") or []
        words = said.split(",") if isinstance(said, str) else list(said) if isinstance(said, list | tuple) else []
        if special and special not in words and not (special == "alias" and words):
            words.append(special)
        row = meta | {"collection": collection, "field": payload["field"], "special": words or None}
        Metas(self._ctx, schema).insert(transaction, "directus_fields", {"sort": position} | row)

    def _check_groups(self, schema: Schema, changes: Payloads = NOTHING, *, new: Payloads = NOTHING) -> None:
        """Raises `InvalidPayload` where a collection cannot be in the folder that it shall be in."""
        check_collections(schema, groups_of(changes), dict.fromkeys(new) | groups_of(new))

    def _check_field_groups(
        self, owner: Collection | None, changes: Payloads = NOTHING, *, new: Payloads = NOTHING
    ) -> None:
        """The same for fields. owner: None = a new collection."""
        check_fields(owner, groups_of(changes), dict.fromkeys(new) | groups_of(new))

    async def _alter(self, work: Callable[[Transaction], T]) -> T:
        """Carries the change out and tells every process, in one transaction."""
        if self._ctx.connection is not None:
            raise UnprocessableContent("The schema cannot be changed inside a transaction.")

        def counted(transaction: Transaction) -> T:
            result = work(transaction)
            bump(transaction)
            return result

        try:
            return await self._database.alter(counted)
        finally:
            self._ctx.services.schemas.forget()


def _all(works: Sequence[Work]) -> Work:
    """One after the other."""

    def work(transaction: Transaction) -> None:
        for each in works:
            each(transaction)

    return work


def _text(payload: Mapping[str, Any], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        raise invalid(f"`{name}` is required")
    return value


def _refuse_system(name: str) -> None:
    if name.startswith("directus_"):
        raise Forbidden(f"The fields of `{name}` are the platform's own.")


def _relation(schema: Schema, collection: str, field: str) -> Relation:
    schema.collection(collection).field(field)
    found = schema.relation(collection, field)
    if found is None:
        raise Forbidden(f"`{field}` of `{collection}` has no relation, or you are not allowed to see it.")
    return found


def _new_key(schema: Schema, item: Field, related: Any, payload: Mapping[str, Any]) -> ForeignKey | None:
    """The foreign key that makes the field refer to the collection; None where `schema` is null."""
    target = schema.collections.get(related) if isinstance(related, str) else None
    if target is None or not target.has_table:
        raise invalid(f"The collection `{str(related)[:100]}` does not exist", field="related_collection")
    if target.primary is None:
        raise invalid(f"`{target.name}` has no primary key of one column, so that nothing can refer to it")
    kinds = {item.type, target.primary.type}
    if len(kinds) > 1 and not kinds <= WHOLE_NUMBERS and not kinds <= {"string", "text"}:
        own, other = f"`{item.collection}.{item.name}` is of the type `{item.type}`", f"the key of `{target.name}`"
        reason = f"{own}, and {other} of the type `{target.primary.type}`"
        raise invalid(reason, collection=item.collection, field=item.name)
    on_delete = _on_delete(payload, item)
    return ForeignKey(None, target.name, target.primary.name, on_delete=on_delete) if on_delete is not None else None


def _on_delete(payload: Mapping[str, Any], item: Field) -> str | None:
    """What happens to the item when the one it refers to is deleted; None without a foreign key."""
    if "schema" in payload and payload["schema"] is None:
        return None
    wanted = checked_object(payload.get("schema"), "schema").get("on_delete")
    if wanted is None:
        return "SET NULL" if item.column is not None and item.column.is_nullable else "NO ACTION"
    if not isinstance(wanted, str) or wanted.upper() not in ON_DELETE:
        raise invalid(f"`schema.on_delete` is one of {', '.join(ON_DELETE)}", field="on_delete")
    return wanted.upper()
