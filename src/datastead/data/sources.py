"""`Source`: a collection in the FROM of a SELECT, as far as an actor may see it, and what is joined to it.

Every column that a query mentions (in its fields, filter, sort, groups, sums or search) is taken from here: so nothing
of a row or field that a policy hides can be asked about.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from datastead.data import moments
from datastead.data.filters import Group, Nested, Node
from datastead.data.functions import COUNT, Call, length_of, part_of
from datastead.data.rights import Rights, Rule
from datastead.data.schema import Collection, Field, Relation, Schema
from datastead.data.values import Encoder
from datastead.errors import Forbidden, InvalidQuery

Column = sa.ColumnElement[Any]
Clause = sa.ColumnElement[bool]
Origin = tuple[Any, ...]

QUERY: Origin = (0,)
"""The origin of values that come with the query's own filter, the first of `Values`; those of a rule have its
collection and grant."""


@dataclass
class Build:
    """One SELECT that is being made. encoders, origins: of its parameters `p0`, `p1` …

    conditions: makes a filter's SQL (`conditions.conditions`, given here as it needs sources itself). rights: None =
    everything.
    """

    schema: Schema
    dialect: str
    max_depth: int
    max_relations: int
    conditions: "Callable[[Source, Node, Origin], Clause]"
    rights: Rights | None = None
    encoders: list[Encoder] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)
    aliases: int = 0

    def parameter(self, encode: Encoder, origin: Origin) -> Column:
        """One more value. origin: where it comes from, with its number there."""
        self.encoders.append(encode)
        self.origins.append(origin)
        return sa.bindparam(f"p{len(self.encoders) - 1}")

    def alias(self, collection: Collection, word: str) -> sa.FromClause:
        """The collection's table once more, under a name of its own."""
        self.aliases += 1
        return collection.table.alias(f"{word}_{self.aliases}")

    def rule(self, collection: Collection) -> Rule | None:
        """The actor's rule for a collection; None = no limits. Raises `Forbidden`."""
        return None if self.rights is None else self.rights.rule(collection)


@dataclass
class Source:
    """A collection in the FROM of a SELECT. rule: None = all of it is visible."""

    build: Build
    collection: Collection
    table: sa.FromClause
    depth: int = 1
    root: "Source | None" = None
    rule: Rule | None = None
    joins: list[tuple[sa.FromClause, Clause]] = field(default_factory=list)
    reached: dict[str, "Source"] = field(default_factory=dict)

    @classmethod
    def of(cls, build: Build, collection: Collection, table: sa.FromClause, depth: int = 1) -> "Source":
        """As the actor may see it. Raises `Forbidden`."""
        return cls(build, collection, table, depth, rule=build.rule(collection))

    @property
    def schema(self) -> Schema:
        return self.build.schema

    @property
    def dialect(self) -> str:
        return self.build.dialect

    @property
    def joined(self) -> sa.FromClause:
        """The FROM, when everything has been joined."""
        found = self.table
        for table, on in self.joins:
            found = found.outerjoin(table, on)
        return found

    def field(self, name: str) -> Field:
        """Raises `Forbidden` for a field that does not exist, or that the actor may not see."""
        found = self.collection.field(name)
        if self.rule is not None and not self.rule.has(name):
            reason = f"The field `{name}` of `{self.collection.name}` does not exist, or you are not allowed to see it."
            raise Forbidden(reason, reason=reason, collection=self.collection.name, field=name)
        return found

    def fields(self) -> dict[str, Field]:
        """The fields that the actor may see."""
        rule = self.rule
        every = self.collection.fields
        return dict(every) if rule is None else {name: item for name, item in every.items() if rule.has(name)}

    def column(self, name: str) -> Column:
        """The field's column; null in rows where the actor may not see it."""
        item = self.field(name)
        column: Column = self.table.c[name]
        if self.schema.has_milliseconds and item.type in moments.FORMS:
            column = moments.as_text(column, item.type)
        guard = None if self.rule is None else self.rule.guard(name)
        return column if guard is None else sa.case((self._one_holds(guard), column))

    def visible(self) -> Clause | None:
        """What holds for the rows that the actor may see; None = all."""
        rows = None if self.rule is None else self.rule.rows()
        return None if rows is None else self._one_holds(rows)

    def _one_holds(self, grants: Sequence[int]) -> Clause:
        return sa.or_(sa.false(), *(self._holds(number) for number in grants))

    def _holds(self, number: int) -> Clause:
        """The filter of a grant: about rows as they are, whatever the actor may see of them."""
        assert self.rule is not None
        node, origin = self.rule.grants[number].filter.node, (self.collection.name, number)
        if not _reaches(node, self.collection):
            return self.build.conditions(Source(self.build, self.collection, self.table, self.depth), node, origin)
        primary = self.collection.primary
        if primary is None:
            return sa.false()  # the row cannot be found again, to follow what it refers to
        table = self.build.alias(self.collection, "rule")
        same = table.c[primary.name] == self.table.c[primary.name]
        bare = Source(self.build, self.collection, table, self.depth)
        condition = self.build.conditions(bare, node, origin)
        one: sa.ColumnElement[Any] = sa.literal_column("1")
        return sa.select(one).select_from(bare.joined).where(same, condition).correlate(self.table).exists()

    def join(self, name: str) -> "Source":
        """What the field refers to, as far as the actor may see it. `item:headings` is what is in that collection."""
        if name in self.reached:
            return self.reached[name]
        field_name, _, scope = name.partition(":")
        relation = self.schema.relation(self.collection.name, field_name)
        if relation is not None and scope:
            return self._join_any(name, relation, scope)
        if relation is None or relation.related is None or relation.related not in self.schema.collections:
            raise refused(f"`{name[:100]}` of `{self.collection.name}` does not refer to other items")
        key = self.key_of(relation)
        return self._joined(name, relation.related, lambda table: table.c[key] == self.column(field_name))

    def _join_any(self, name: str, relation: Relation, scope: str) -> "Source":
        """A field that refers to items of any of several collections, and those of one of them."""
        kind = relation.collection_field
        if kind is None or scope not in relation.allowed_collections:
            raise refused(f"`{relation.field}` of `{self.collection.name}` does not refer to items of `{scope[:100]}`")
        primary = self.schema.collection(scope).primary
        if primary is None:
            raise refused(f"`{scope}` has no primary key")

        def on(table: sa.FromClause) -> Clause:
            same = sa.cast(table.c[primary.name], sa.Text) == self.column(relation.field)
            return sa.and_(self.column(kind) == sa.literal(scope), same)

        return self._joined(name, scope, on)

    def _joined(self, name: str, related: str, on: "Callable[[sa.FromClause], Clause]") -> "Source":
        root = self.root or self
        if self.depth >= self.build.max_depth:
            raise refused(f"`{name}` is reached over more than {self.build.max_depth} relations")
        if len(root.joins) >= self.build.max_relations:
            raise refused(f"a query may follow {self.build.max_relations} relations (`QUERY_RELATIONS_MAX`)")
        other = self.schema.collection(related)
        table = self.build.alias(other, "joined")
        # a bare source belongs to a rule, and so does what it reaches
        rule = self.build.rule(other) if self.rule is not None else None
        joined = Source(self.build, other, table, self.depth + 1, root, rule)
        visible = joined.visible()
        root.joins.append((table, on(table) if visible is None else sa.and_(on(table), visible)))
        self.reached[name] = joined
        return joined

    def follow(self, path: Sequence[str]) -> "Source":
        """The end of a path of many-to-one fields."""
        found = self
        for name in path:
            found.field(name.partition(":")[0])
            found = found.join(name)
        return found

    def key_of(self, relation: Relation) -> str:
        """The column that a relation refers to."""
        return key_of(self.schema, relation)

    def owned(self, relation: Relation, word: str) -> "tuple[Source, Clause]":
        """The items that refer to this one's, to be selected from beside it, and what ties them to it."""
        if self.depth >= self.build.max_depth:
            raise refused(f"`{relation.one_field}` is reached over more than {self.build.max_depth} relations")
        other = self.schema.collection(relation.collection)
        table = self.build.alias(other, word)
        rule = self.build.rule(other) if self.rule is not None else None
        inner = Source(self.build, other, table, self.depth + 1, rule=rule)
        tie = inner.column(relation.field) == self.table.c[self.key_of(relation)]
        visible = inner.visible()
        return inner, tie if visible is None else sa.and_(tie, visible)

    def call(self, call: Call) -> Column:
        """The value of a function of a field."""
        item = self.field(call.field)
        relation = self.schema.inverse(self.collection.name, call.field) if item.is_alias else None
        if relation is not None and call.function == COUNT:
            inner, tie = self.owned(relation, "counted")
            counted = sa.select(sa.func.count()).select_from(inner.joined).where(tie)
            return counted.correlate(self.table).scalar_subquery()
        if item.column is None:
            raise refused(f"`{call.field}` of `{self.collection.name}` has no `{call.function}`")
        column = self.column(call.field)
        if item.is_concealed:
            raise refused(f"`{call.field}` of `{self.collection.name}` is never shown")
        if call.function == COUNT:
            return length_of(item, column, self.dialect)
        return part_of(call.function, item, column, self.dialect)


def refused(reason: str) -> InvalidQuery:
    """The error for a query that cannot be answered."""
    return InvalidQuery(f"The query is not valid: {reason}.", reason=reason)


def _reaches(node: Node, collection: Collection) -> bool:
    """Whether a filter follows a many-to-one field, for which tables have to be joined."""
    if isinstance(node, Group):
        return any(_reaches(entry, collection) for entry in node.nodes)
    if not isinstance(node, Nested):
        return False
    item = collection.named.get(node.name)
    return (item is None or not item.is_alias) and "(" not in node.name and _has_fields(node.node)


def _has_fields(node: Node) -> bool:
    if isinstance(node, Group):
        return any(_has_fields(entry) for entry in node.nodes)
    return isinstance(node, Nested)


def key_of(schema: Schema, relation: Relation) -> str:
    """The column that a relation refers to."""
    key = relation.column.foreign_key if relation.column is not None else None
    if key is not None and key.column:
        return key.column
    related = schema.collection(relation.related or "")
    if related.primary is None:
        raise refused(f"`{related.name}` has no primary key")
    return related.primary.name
