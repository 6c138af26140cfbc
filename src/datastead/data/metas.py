"""The rows of `directus_collections`, `directus_fields` and `directus_relations`, written in a change of the schema."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from datastead.context import Context
from datastead.data import system
from datastead.data.engine import Transaction
from datastead.data.history import History, Verb
from datastead.data.payloads import row_of
from datastead.data.schema import Schema
from datastead.data.stored import Row, stored_of
from datastead.data.writing import Writer

# where there has to be a value, null stands for the default
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "directus_collections": {
        "hidden": False, "singleton": False, "archive_app_filter": True, "collapse": "open", "versioning": False,
    },
    "directus_fields": {"readonly": False, "hidden": False, "required": False, "searchable": True},
    "directus_relations": {"one_deselect_action": "nullify"},
}  # fmt: skip
IDENTITIES = {"id", "collection", "field", "many_collection", "many_field"}


class Metas:
    """Writes what is said of collections, fields and relations."""

    def __init__(self, ctx: Context, schema: Schema) -> None:
        self._ctx = ctx
        self._database = ctx.services.database
        self._schema = schema

    def insert(self, transaction: Transaction, table: str, row: Mapping[str, Any]) -> None:
        """Adds a row. What this database's version of the table has no column for is left out."""
        collection = self._schema.collection(table)
        kept = {
            name: value
            for name, value in row.items()
            if name in collection.columns and name != "id" and not (value is None and name in DEFAULTS[table])
        }
        prepared = row_of(self._schema, collection, kept, "create", self._database.dialect)
        rows = Writer(self._database, self._schema, collection).insert([prepared])(transaction)
        self._record(transaction, table, "create", rows)

    def upsert(
        self, transaction: Transaction, table: str, identity: Mapping[str, Any], changes: Mapping[str, Any]
    ) -> None:
        """Changes the row, or adds it."""
        collection = self._schema.collection(table)
        primary = collection.primary
        assert primary is not None
        condition = sa.and_(*(sa.column(name) == value for name, value in identity.items()))
        key: sa.ColumnElement[Any] = collection.table.c[primary.name]
        statement = sa.select(key).where(condition)
        keys = list(transaction.execute(statement).scalars())
        if not keys:
            self.insert(transaction, table, {**changes, **identity})
            return
        wanted = {
            name: DEFAULTS[table].get(name) if value is None else value
            for name, value in changes.items()
            if name in collection.columns and name not in IDENTITIES
        }
        if wanted:
            row = row_of(self._schema, collection, wanted, "update", self._database.dialect)
            rows = Writer(self._database, self._schema, collection).update(row, keys)(transaction)
            self._record(transaction, table, "update", rows, list(row))

    def _record(
        self, transaction: Transaction, table: str, verb: Verb, rows: Sequence[Row], written: list[str] | None = None
    ) -> None:
        collection = self._schema.collection(table)
        stored = stored_of(self._schema, collection, self._database.dialect)
        history = History(self._ctx, self._schema, collection)
        history.record(transaction, verb, stored.keys(rows), stored.items(rows), written)

    def forget_collection(self, transaction: Transaction, name: str) -> None:
        """What is said of a collection, its fields and relations, who may what in it, and what is about its items."""
        relations = system.relations
        for table in (
            system.collections, system.fields, system.permissions, system.presets, system.comments,
            system.item_versions, system.shares,
        ):  # fmt: skip
            self._delete(transaction, table, table.c.collection == name)
        inside = system.collections.c.group == name
        transaction.execute(sa.update(system.collections).where(inside).values(group=None))
        either = sa.or_(relations.c.many_collection == name, relations.c.one_collection == name)
        self._delete(transaction, relations, either)

    def forget_field(self, transaction: Transaction, collection: str, field: str) -> None:
        """What is said of a field, and of the relation that it is part of."""
        fields, relations = system.fields, system.relations
        here = sa.and_(fields.c.collection == collection, fields.c.field == field)
        self._delete(transaction, fields, here)
        self.forget_relation(transaction, collection, field)
        inside = sa.and_(fields.c.collection == collection, fields.c.group == field)
        transaction.execute(sa.update(fields).where(inside).values(group=None))
        for name in ("sort_field", "archive_field"):
            kept = sa.and_(system.collections.c.collection == collection, system.collections.c[name] == field)
            transaction.execute(sa.update(system.collections).where(kept).values({name: None}))
        alias = sa.and_(relations.c.one_collection == collection, relations.c.one_field == field)
        transaction.execute(sa.update(relations).where(alias).values(one_field=None))

    def forget_relation(self, transaction: Transaction, collection: str, field: str) -> None:
        """What is said of a relation."""
        relations = system.relations
        here = sa.and_(relations.c.many_collection == collection, relations.c.many_field == field)
        self._delete(transaction, relations, here)

    def _delete(self, transaction: Transaction, table: sa.Table, condition: sa.ColumnElement[bool]) -> None:
        (key,) = table.primary_key
        keys = list(transaction.execute(sa.delete(table).where(condition).returning(key)).scalars())
        history = History(self._ctx, self._schema, self._schema.collection(table.name))
        history.record(transaction, "delete", keys)
