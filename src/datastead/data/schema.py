"""The schema: tables as collections, columns as fields, foreign keys as relations, with what `directus_*` says of them.

Read from the database itself, and kept until a counter (`schema` in `datastead_versions`) says that it has changed.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from datastead.data import system
from datastead.data.engine import Connection, Database, Transaction
from datastead.data.geometry import NativeShape
from datastead.data.networks import are_for
from datastead.data.signals import notify
from datastead.data.upserts import upsert
from datastead.errors import Forbidden

V = TypeVar("V")
POLL_S = 0.5
PLANS_KEPT = 1000
VERSION_NAME = "schema"
POSTGIS: sa.ColumnElement[bool] = sa.func.to_regprocedure(sa.literal_column("'st_geomfromgeojson(text)'")).is_not(None)
"""Whether PostgreSQL compares shapes."""
FILL_THEMSELVES = frozenset(
    {"uuid", "date-created", "date-updated", "user-created", "user-updated", "role-created", "role-updated"}
)
"""What is special about fields that get a value without anybody giving one."""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """The constraint of a column. table, column: what it refers to."""

    name: str | None
    table: str
    column: str
    on_update: str = "NO ACTION"
    on_delete: str = "NO ACTION"


@dataclass(frozen=True, slots=True)
class Column:
    """What the database says of a column. data_type: the database's name of its type. native: where it is geometry."""

    name: str
    table: str
    data_type: str
    default: Any = None
    generation_expression: str | None = None
    max_length: int | None = None
    numeric_precision: int | None = None
    numeric_scale: int | None = None
    is_generated: bool = False
    is_nullable: bool = True
    is_unique: bool = False
    is_indexed: bool = False
    is_primary_key: bool = False
    has_auto_increment: bool = False
    foreign_key: ForeignKey | None = None
    type: str = "unknown"
    native: NativeShape | None = None

    @property
    def has_default(self) -> bool:
        """Whether the database fills it in."""
        return self.default is not None or self.has_auto_increment or self.is_generated


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a collection. column: None for an alias (the other side of a relation). meta: None = unmanaged."""

    collection: str
    name: str
    type: str
    special: frozenset[str] = frozenset()
    column: Column | None = None
    meta: Mapping[str, Any] | None = None

    @property
    def is_alias(self) -> bool:
        return self.column is None

    @property
    def is_concealed(self) -> bool:
        """Whether its value is never shown."""
        return not self.special.isdisjoint({"conceal", "hash", "encrypt"})

    @property
    def has_sealed_values(self) -> bool:
        """Whether it is `[{header, value}]`, of which the values are encrypted and never shown."""
        return "encrypt" in self.special and self.type == "json"


@dataclass(frozen=True, slots=True)
class Relation:
    """`collection.field` refers to `related`; one_field is the alias on the other side, where there is one."""

    collection: str
    field: str
    related: str | None
    one_field: str | None = None
    junction_field: str | None = None
    sort_field: str | None = None
    column: Column | None = None
    meta: Mapping[str, Any] | None = None

    @property
    def collection_field(self) -> str | None:
        """Of a field that refers to items of several collections: the one that says of which."""
        return self.meta.get("one_collection_field") if self.meta else None

    @property
    def allowed_collections(self) -> tuple[str, ...]:
        """Of such a field: the collections."""
        given = self.meta.get("one_allowed_collections") if self.meta else None
        names = given.split(",") if isinstance(given, str) else given or ()
        return tuple(name.strip() for name in names if name.strip())


@dataclass(frozen=True)
class Collection:
    """A table, or a folder (without one). primary: None where there is no key of one column.

    unlisted: the other sides of relations that no row of `directus_fields` tells of: they are there for who names them.
    has_triggers: whether the database may change what is written to the table.
    """

    name: str
    fields: Mapping[str, Field]
    primary: Field | None = None
    meta: Mapping[str, Any] | None = None
    has_table: bool = True
    is_system: bool = False
    has_triggers: bool = False
    unlisted: Mapping[str, Field] = field(default_factory=dict)

    @cached_property
    def named(self) -> Mapping[str, Field]:
        """Every field that can be named."""
        return {**self.unlisted, **self.fields}

    @cached_property
    def columns(self) -> dict[str, Field]:
        """The stored fields."""
        return {name: item for name, item in self.fields.items() if item.column is not None}

    @cached_property
    def specials(self) -> tuple[Field, ...]:
        """The stored fields that fill themselves in."""
        return tuple(item for item in self.columns.values() if not item.special.isdisjoint(FILL_THEMSELVES))

    @cached_property
    def concealed(self) -> frozenset[str]:
        """The stored fields that are never shown."""
        return frozenset(name for name, item in self.columns.items() if item.is_concealed)

    @cached_property
    def writable(self) -> frozenset[str]:
        """The stored fields that are not worked out by the database."""
        return frozenset(name for name, item in self.columns.items() if item.column and not item.column.is_generated)

    @cached_property
    def validated(self) -> tuple[Field, ...]:
        """The fields that have a rule for their values."""
        return tuple(item for item in self.fields.values() if item.meta and item.meta.get("validation"))

    @cached_property
    def is_bare(self) -> bool:
        """Whether items are stored as they come: no rule looks at a value, and none is filled in, hashed or sealed."""
        return not (self.validated or self.specials or self.concealed)

    @cached_property
    def required(self) -> tuple[Field, ...]:
        """The stored fields that a new item needs a value for."""
        found = ((item, item.column) for item in self.columns.values())
        return tuple(item for item, column in found if column and not (column.is_nullable or column.has_default))

    @cached_property
    def table(self) -> sa.TableClause:
        """For statements. Columns have no types: values are converted by us, once. Those of geometry convert in SQL."""
        natives = {name: item.column.native if item.column else None for name, item in self.columns.items()}
        return sa.table(self.name, *(sa.column(name, native) for name, native in natives.items()))

    @property
    def singleton(self) -> bool:
        """Whether it has one item only, as the project's settings."""
        return self.name == "directus_settings" or bool(self.meta and self.meta.get("singleton"))

    @property
    def sort_field(self) -> str | None:
        name = self.meta.get("sort_field") if self.meta else None
        return name if name in self.columns else None

    def field(self, name: str) -> Field:
        """Raises `Forbidden` for a field that does not exist."""
        found = self.fields.get(name) or self.unlisted.get(name)
        if found is None:
            reason = f"The field `{name}` of `{self.name}` does not exist, or you are not allowed to see it."
            raise Forbidden(reason, reason=reason, collection=self.name, field=name)
        return found


@dataclass(frozen=True, slots=True)
class Permission:
    """What a policy permits in a collection. fields: None = all. permissions, validation: filters; presets: values."""

    policy: str
    collection: str
    action: str
    fields: frozenset[str] | None = None
    permissions: Mapping[str, Any] | None = None
    validation: Mapping[str, Any] | None = None
    presets: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Policies:
    """What every policy permits, and which are the public's. networks: the addresses that some of these are for."""

    permissions: Mapping[str, tuple[Permission, ...]] = field(default_factory=dict)
    public: tuple[str, ...] = ()
    networks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def public_at(self, ip: str | None) -> tuple[str, ...]:
        """The public's policies, for an address."""
        if not self.networks:
            return self.public
        return tuple(policy for policy in self.public if are_for(self.networks.get(policy, ()), ip))


class Plans(Generic[V]):
    """The last used so many values, by key. Several threads may use it."""

    def __init__(self, size: int = PLANS_KEPT) -> None:
        self._size = size
        self._kept: OrderedDict[Any, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, key: Any) -> V | None:
        found = self._kept.get(key)
        if found is not None:
            try:  # noqa: SIM105  `suppress` costs more than the rest
                self._kept.move_to_end(key)
            except KeyError:
                pass  # another thread has let go of it
        return found

    def put(self, key: Any, plan: V) -> V:
        self._kept[key] = plan
        if len(self._kept) > self._size:
            with suppress(KeyError):
                self._kept.popitem(last=False)
        return plan


@dataclass(frozen=True)
class Schema:
    """The whole schema, as of one moment, and what policies permit in it.

    plans: statements compiled for it; they go when it goes. has_milliseconds: whether moments may be stored as numbers.
    has_postgis: whether PostgreSQL compares shapes.
    """

    version: int
    collections: Mapping[str, Collection]
    relations: tuple[Relation, ...] = ()
    policies: Policies = field(default_factory=Policies)
    plans: Plans[Any] = field(default_factory=Plans, compare=False)
    has_milliseconds: bool = False
    has_postgis: bool = False

    def collection(self, name: str) -> Collection:
        """Raises `Forbidden` for a collection that does not exist."""
        found = self.collections.get(name)
        if found is None:
            reason = f"The collection `{name}` does not exist, or you are not allowed to see it."
            raise Forbidden(reason, reason=reason, collection=name)
        return found

    def relation(self, collection: str, field_name: str) -> Relation | None:
        """The relation whose many side is this field (m2o)."""
        return self._many.get((collection, field_name))

    def inverse(self, collection: str, alias: str) -> Relation | None:
        """The relation whose one side shows as this alias (o2m)."""
        return self._one.get((collection, alias))

    @cached_property
    def _many(self) -> dict[tuple[str, str], Relation]:
        return {(relation.collection, relation.field): relation for relation in self.relations}

    @cached_property
    def _one(self) -> dict[tuple[str, str], Relation]:
        return {
            (relation.related, relation.one_field): relation
            for relation in self.relations
            if relation.related and relation.one_field
        }


class Schemas:
    """Keeps the schema, and sees within a second when another process has changed it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._schema: Schema | None = None
        self._checked = 0.0
        self._generation = 0
        self._loading: asyncio.Task[Schema] | None = None
        versions = system.versions
        condition = versions.c.name == sa.bindparam("name", VERSION_NAME, sa.String)
        seen: sa.Select[Any] = sa.select(versions.c.version).where(condition)
        if database.dialect == "postgresql":
            seen = sa.select(seen.scalar_subquery(), POSTGIS)
        self._version = database.prepare(seen)
        self._schema_version = (
            database.prepare(sa.text("PRAGMA schema_version")) if database.dialect == "sqlite" else None
        )
        self._seen: tuple[Any, ...] | None = None

    async def get(self) -> Schema:
        """The current schema."""
        if self._schema is not None and time.monotonic() - self._checked > POLL_S:
            self._checked = time.monotonic()  # others go on with what there is, meanwhile
            if await self._counters() != self._seen:
                return await self._load_once()
        schema = self._schema  # which may have been forgotten meanwhile
        return await self._load_once() if schema is None else schema

    async def _load_once(self) -> Schema:
        """Loads; those who come meanwhile wait for the same."""
        loading = self._loading
        if loading is None or loading.done() or loading.get_loop() is not asyncio.get_running_loop():
            loading = self._loading = asyncio.get_running_loop().create_task(self._load())
        return await asyncio.shield(loading)

    async def _load(self) -> Schema:
        generation = None
        while generation != self._generation:  # changed meanwhile: what was read may be of before
            generation = self._generation
            seen = await self._counters()
            schema = await self._database.read(load)
        self._schema, self._seen, self._checked = schema, seen, time.monotonic()
        return schema

    async def _counters(self) -> tuple[Any, ...]:
        """Ours, and SQLite's own, which sees what other programs do to the tables; and whether PostGIS has come."""
        seen = await self._database.fetch(self._version, {})
        if self._schema_version is None:
            return tuple(seen)
        return (*seen, *await self._database.fetch(self._schema_version, {}))

    def forget(self) -> None:
        """Reads it anew when it is asked for next."""
        self._generation += 1
        self._schema = None

    def look_again(self) -> None:
        """Another process may have changed it: asks the database when it is asked for next."""
        self._checked = float("-inf")

    async def changed(self, connection: Connection) -> None:
        """Tells every process that the schema has changed, with the commit of the transaction that changes it."""
        await connection.run(bump)
        connection.after_commit(self.forget)


def bump(transaction: Transaction) -> None:
    """Counts a change of the schema."""
    versions = system.versions
    row, more = {"name": VERSION_NAME, "version": 1}, {"version": versions.c.version + 1}
    transaction.execute(upsert(transaction.dialect, versions, lambda _: more), row)
    notify(transaction, "schema")


def load(transaction: Transaction) -> Schema:
    """Reads the schema from the database."""
    from datastead.data.reflection import reflect

    return reflect(transaction)
