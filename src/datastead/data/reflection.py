"""Reads the schema from the database: its tables, columns and constraints, and what `directus_*` says of them."""

import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from datastead.data import system
from datastead.data.directus import MIGRATIONS
from datastead.data.engine import Transaction
from datastead.data.networks import networks_of
from datastead.data.schema import (
    POSTGIS,
    VERSION_NAME,
    Collection,
    Column,
    Field,
    Permission,
    Policies,
    Relation,
    Schema,
)
from datastead.data.tables import tables_of, tables_with_triggers
from datastead.data.wire import GEOMETRIES

Table = str

FOREIGN_TABLES = {"spatial_ref_sys", "sqlite_sequence"}
SPECIAL_TYPES = {
    "cast-json": "json", "cast-csv": "csv", "cast-boolean": "boolean", "cast-timestamp": "timestamp",
    "cast-datetime": "dateTime", "uuid": "uuid", "file": "uuid", "hash": "hash", **{kind: kind for kind in GEOMETRIES},
}  # fmt: skip


def reflect(transaction: Transaction) -> Schema:
    """The whole schema."""
    with warnings.catch_warnings():
        # types and indexes that SQLAlchemy does not know are fields of the type `unknown` here, and no reason to warn
        warnings.simplefilter("ignore", sa.exc.SAWarning)
        tables = tables_of(transaction)
    metas, triggered = _metas(transaction, tables), tables_with_triggers(transaction)
    collections = {
        name: _collection(name, columns, metas, has_triggers=name in triggered)
        for name, columns in tables.items()
        if _is_collection(name)
    }
    for name, meta in metas.collections.items():
        collections.setdefault(name, Collection(name, {}, meta=meta, has_table=False))
    relations = tuple(_relations(tables, collections, metas))
    collections |= dict(_with_unlisted(collections, relations))
    return Schema(
        _version(transaction, tables),
        collections,
        relations,
        _policies(transaction, tables),
        has_milliseconds=transaction.dialect == "sqlite" and MIGRATIONS.name in tables,
        has_postgis=transaction.dialect == "postgresql" and bool(transaction.execute(sa.select(POSTGIS)).scalar()),
    )


def _is_collection(name: str) -> bool:
    return not name.startswith("datastead_") and name not in FOREIGN_TABLES


def _version(transaction: Transaction, tables: Mapping[str, Any]) -> int:
    if system.versions.name not in tables:
        return 0
    statement = sa.select(system.versions.c.version).where(system.versions.c.name == VERSION_NAME)
    return int(transaction.execute(statement).scalar() or 0)


class _Metas:
    """The rows of `directus_collections`, `directus_fields` and `directus_relations`."""

    def __init__(self, collections: Iterable[Any], fields: Iterable[Any], relations: Iterable[Any]) -> None:
        self.collections = {row["collection"]: row for row in collections}
        self.relations = {(row["many_collection"], row["many_field"]): row for row in relations}
        self.fields: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        for row in fields:
            self.fields[row["collection"]][row["field"]] = row


def _metas(transaction: Transaction, tables: Mapping[str, Mapping[str, Column]]) -> _Metas:
    return _Metas(
        *(_rows(transaction, table, tables) for table in (system.collections, system.fields, system.relations))
    )


def _rows(
    transaction: Transaction, table: sa.Table, tables: Mapping[str, Mapping[str, Column]]
) -> list[dict[str, Any]]:
    """All rows, with the columns that this database's version of the table has."""
    columns = [column for column in table.c if column.name in tables.get(table.name, {})]
    if not columns:
        return []
    rows = transaction.execute(sa.select(*columns).order_by(*table.primary_key)).mappings()
    return [{str(name): value for name, value in row.items()} for row in rows]


def _policies(transaction: Transaction, tables: Mapping[str, Mapping[str, Column]]) -> Policies:
    """What policies permit, and which are the public's."""
    permissions: dict[str, list[Permission]] = defaultdict(list)
    for row in _rows(transaction, system.permissions, tables):
        if row.get("policy"):
            permissions[str(row["policy"])].append(_permission(row))
    access = _rows(transaction, system.access, tables)
    public = tuple(str(row["policy"]) for row in access if not row["role"] and not row["user"])
    limits = {str(row["id"]): networks_of(row.get("ip_access")) for row in _rows(transaction, system.policies, tables)}
    networks = {policy: limits[policy] for policy in public if limits.get(policy)}
    return Policies({policy: tuple(found) for policy, found in permissions.items()}, public, networks)


def _permission(row: Mapping[str, Any]) -> Permission:
    fields = _words(row["fields"])
    return Permission(
        policy=str(row["policy"]),
        collection=row["collection"],
        action=row["action"],
        fields=None if "*" in fields else fields,
        permissions=row["permissions"] or None,
        validation=row["validation"] or None,
        presets=row["presets"] or None,
    )


def _collection(name: str, columns: Mapping[str, Column], metas: _Metas, *, has_triggers: bool) -> Collection:
    rows = metas.fields.get(name, {})
    fields = {column.name: _field(name, column, rows.get(column.name)) for column in columns.values()}
    for field_name, row in rows.items():
        if field_name not in fields:
            fields[field_name] = Field(name, field_name, "alias", _words(row.get("special")), meta=row)
    for _, _, related, alias in system.RELATIONS:
        if related == name and alias:
            fields.setdefault(alias, Field(name, alias, "alias", frozenset({"o2m"})))
    keys = [field for field in fields.values() if field.column and field.column.is_primary_key]
    return Collection(
        name,
        fields,
        primary=keys[0] if len(keys) == 1 else None,
        meta=metas.collections.get(name),
        is_system=name.startswith("directus_"),
        has_triggers=has_triggers,
    )


def _field(collection: str, column: Column, meta: Mapping[str, Any] | None) -> Field:
    special = _words(meta.get("special") if meta else None)
    special |= _words(system.SPECIALS.get(collection, {}).get(column.name))
    kind = next((SPECIAL_TYPES[word] for word in sorted(special) if word in SPECIAL_TYPES), None)
    return Field(
        collection, column.name, kind or _system_type(collection, column.name) or column.type, special, column, meta
    )


def _system_type(collection: str, name: str) -> str | None:
    """Our own tables say what their columns are, also where the database has no such type."""
    table = system.metadata.tables.get(collection)
    if table is None or name not in table.c:
        return None
    kind = table.c[name].type
    if isinstance(kind, system.Json):
        return "json"
    if isinstance(kind, system.Timestamp):
        return "timestamp"
    return "uuid" if isinstance(kind, sa.Uuid) else None


def _words(special: Any) -> frozenset[str]:
    words = special.split(",") if isinstance(special, str) else special or ()
    return frozenset(word.strip() for word in words if word)


def _with_unlisted(
    collections: Mapping[str, Collection], relations: Iterable[Relation]
) -> Iterator[tuple[str, Collection]]:
    """The collections that relations give a field of which nothing else tells."""
    found: dict[str, dict[str, Field]] = defaultdict(dict)
    for relation in relations:
        name, related = relation.one_field, collections.get(relation.related or "")
        if name and related is not None and related.has_table and name not in related.fields:
            found[related.name][name] = Field(related.name, name, "alias", frozenset({"o2m"}))
    for owner, fields in found.items():
        yield owner, replace(collections[owner], unlisted=fields)


def _relations(
    tables: Mapping[str, Mapping[str, Column]], collections: Mapping[str, Collection], metas: _Metas
) -> Iterator[Relation]:
    rows = dict(metas.relations)
    own = {(many, name) for many, name, _, _ in system.RELATIONS}  # they come last, with their aliases
    for table, columns in tables.items():
        for column in columns.values():
            row = rows.pop((table, column.name), None)
            refers = column.foreign_key is not None and column.foreign_key.table in collections
            if row is not None or (refers and (table, column.name) not in own):
                yield _relation(table, column, row)
    for many, name, related, alias in system.RELATIONS:
        if many in tables and name in tables[many] and (many, name) not in metas.relations:
            yield Relation(many, name, related, one_field=alias, column=tables[many][name])


def _relation(table: str, column: Column, row: Mapping[str, Any] | None) -> Relation:
    key = column.foreign_key
    related = row["one_collection"] if row else None
    if related is None and key is not None:
        related = key.table
    return Relation(
        table,
        column.name,
        related,
        one_field=row.get("one_field") if row else None,
        junction_field=row.get("junction_field") if row else None,
        sort_field=row.get("sort_field") if row else None,
        column=column,
        meta=row,
    )
