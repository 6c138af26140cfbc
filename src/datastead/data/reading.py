"""`Reader`: carries reads out: a kept plan, its parameters, the rows, and one more SELECT for each to-many level."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from datastead.context import Context
from datastead.data import aggregates
from datastead.data.compile import compile_read
from datastead.data.conditions import Search, search_of
from datastead.data.defaults import default_of
from datastead.data.engine import Fetch
from datastead.data.filters import EVERYTHING, Filter, Limits, padded, parse_filter
from datastead.data.payloads import encoder_of
from datastead.data.query import Query
from datastead.data.questions import Question, Values, question_of
from datastead.data.rights import Rights
from datastead.data.schema import Collection, Schema
from datastead.data.selection import Many, Plan, Row, Selection
from datastead.data.sources import key_of
from datastead.data.stored import stored_of
from datastead.errors import Forbidden, InvalidQuery, RequestError, UnprocessableContent

T = TypeVar("T")
Item = dict[str, Any]
KEYS_AT_ONCE = 500
NOTHING_ASKED = Query()


class Reader:
    """Reads one collection, of one schema. rights: what the actor may see; None = everything."""

    def __init__(self, ctx: Context, schema: Schema, collection: Collection, rights: Rights | None = None) -> None:
        self._ctx = ctx
        self._schema = schema
        self._collection = collection
        self._rights = rights
        self._signature = None if rights is None else rights.signature
        self._database = ctx.services.database
        self._settings = ctx.services.settings
        self._limits = Limits.of(ctx.services.settings)

    async def read(self, query: Query) -> list[Item]:
        """The items of the query, within its limit; its sums, where it asks for such."""
        limit, offset = query.window(self._settings.query_limit_default)
        question = self._question(query)
        if limit == 0:  # a query for nothing has to be valid, too
            self._encode(self._plan(self._collection, question.selection), question.values, {})
            return []
        parameters: dict[str, Any] = {}
        if limit is not None or offset > 0:
            question = replace(question, selection=replace(question.selection, is_limited=True))
            parameters = {"limit": 2**63 - 1 if limit is None else limit, "offset": offset}
        items = await self._carry(
            lambda fetch: self._select(fetch, question, query, dict(parameters)), question.selection
        )
        return [aggregates.nested(item) for item in items] if query.aggregate else items

    def _question(self, query: Query, collection: Collection | None = None) -> Question:
        asked = collection or self._collection
        return question_of(self._schema, asked, query, self._parsed, self._limits, rights=self._signature)

    def _parsed(self, raw: Mapping[str, Any] | None) -> Filter:
        return parse_filter(raw, self._ctx.actor, self._ctx.now, limits=self._limits)

    def check_filter(self, raw: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        """Raises what a query with this filter would, without running one. facts: see `parse_filter`."""

        def parse(_: Mapping[str, Any] | None) -> Filter:
            return parse_filter(raw, self._ctx.actor, self._ctx.now, facts, limits=self._limits)

        signature = self._signature
        question = question_of(self._schema, self._collection, Query(), parse, self._limits, rights=signature)
        self._encode(self._plan(self._collection, question.selection), question.values, {})

    async def read_keys(self, keys: Sequence[Any], query: Query) -> list[Item]:
        """The items with these keys, that the query's filter and search let through."""
        if query.aggregate or query.group:
            raise InvalidQuery("Items that are asked for by their keys have no sums.", reason="aggregate with keys")
        encoded, whole = self.encode_keys(keys), self._question(query)
        parts = [encoded[start : start + KEYS_AT_ONCE] for start in range(0, len(encoded), KEYS_AT_ONCE)]

        def work(fetch: Fetch) -> list[Item]:
            found: list[Item] = []
            for part in parts:
                known = padded(part)
                question = replace(whole, selection=replace(whole.selection, keys=len(known)))
                found += self._select(fetch, question, query, {f"key{number}": key for number, key in enumerate(known)})
            return found

        found = await self._carry(work, (whole.selection, len(parts))) if parts else []
        return found if query.sort or len(encoded) == 1 else self._in_order(encoded, found)

    def _in_order(self, encoded: Sequence[Any], items: list[Item]) -> list[Item]:
        """In the order of the keys, where the items show theirs."""
        primary = self._collection.primary
        if primary is None or not items or primary.name not in items[0]:
            return items
        places = {key: place for place, key in enumerate(encoded)}
        return sorted(items, key=lambda item: places.get(item[primary.name], len(places)))

    def encode_keys(self, keys: Sequence[Any]) -> list[Any]:
        """The keys as the driver takes them, each once. Raises `Forbidden` for what cannot be a key."""
        primary = self._collection.primary
        if primary is None:
            reason = f"The table `{self._collection.name}` has no primary key of one column"
            raise UnprocessableContent(f"{reason}.", reason=reason)
        encode = encoder_of(self._schema, primary, self._database.dialect)
        try:
            encoded = [encode(key) for key in keys]
        except RequestError as error:
            raise Forbidden from error
        if None in encoded:
            raise Forbidden
        return list(dict.fromkeys(encoded))

    async def meta(self, query: Query) -> dict[str, int]:
        """The counts that `query.meta` asks for."""
        asked = {}
        if "total_count" in query.meta:
            asked["total_count"] = (Filter(EVERYTHING, []), search_of(None))
        if "filter_count" in query.meta:
            asked["filter_count"] = (self._parsed(query.filter), search_of(query.search))
        if not asked:
            return {}

        def work(fetch: Fetch) -> dict[str, int]:
            return {name: self._count(fetch, *condition) for name, condition in asked.items()}

        return await self._carry(work, tuple((name, found.node) for name, (found, _) in asked.items()))

    def _count(self, fetch: Fetch, found: Filter, search: Search) -> int:
        selection = Selection((), found.node, searched=search.shape, is_counted=True, rights=self._signature)
        plan = self._plan(self._collection, selection)
        return int(fetch(plan.prepared, self._encode(plan, (found.values,), dict(search.values)))[0][0])

    def defaults(self, query: Query) -> Item:
        """The item that there would be without any value given."""
        question = self._question(replace(query, filter=None, search=None))
        plan = self._plan(self._collection, question.selection)
        fields = self._collection.fields
        names = [*plan.shape.names, *(name for name, _, _ in plan.shape.nested)]
        item = {name: default_of(fields[name].column) if name in fields else None for name in names}
        return item | {many.name: [] for many in plan.many}

    def _plan(self, collection: Collection, selection: Selection) -> Plan:
        key = (collection.name, selection)
        plan: Plan | None = self._schema.plans.get(key)
        if plan is None:
            database, settings = self._database, self._settings
            plan = compile_read(
                self._schema,
                collection,
                selection,
                database.prepare,
                dialect=database.dialect,
                max_depth=settings.max_relational_depth,
                max_relations=settings.query_relations_max,
                rights=self._rights,
            )
            self._schema.plans.put(key, plan)
        return plan

    async def _carry(self, work: Callable[[Fetch], T], shape: Any) -> T:
        """Carries reading to where the database is, all its SELECTs in one go. shape: what its cost depends on."""
        connection = self._ctx.connection
        if connection is None:
            return await self._database.reading(work, (self._collection.name, shape))
        return await connection.run(lambda transaction: work(transaction.raw))

    def _select(self, fetch: Fetch, question: Question, query: Query, parameters: dict[str, Any]) -> list[Item]:
        plan = self._plan(self._collection, question.selection)
        given = self._encode(plan, question.values, parameters | question.terms)
        items, owned = plan.items(fetch(plan.prepared, given))
        for many in plan.many:
            self._fill(fetch, many, owned[many.index], _asked(query, many))
        return items

    def _fill(self, fetch: Fetch, many: Many, waiting: list[tuple[Any, Item]], asked: Query) -> None:
        """Gives the items that wait their items of a to-many field: one SELECT for all (of so many at a time)."""
        keys = list(dict.fromkeys(key for key, _ in waiting if key is not None))
        found: dict[Any, list[Any]] = {}
        for start in range(0, len(keys), KEYS_AT_ONCE):
            for key, item in self._owned(fetch, many, keys[start : start + KEYS_AT_ONCE], asked):
                found.setdefault(key, []).append(item)
        for key, item in waiting:
            item[many.name] = found.get(key, [])

    def _owned(self, fetch: Fetch, many: Many, keys: Sequence[Any], asked: Query) -> list[tuple[Any, Any]]:
        """The items that refer to the keys, each with the key that it refers to."""
        relation = many.relation
        collection = self._schema.collection(relation.collection)
        primary = collection.primary.name if collection.primary else relation.field
        owners = padded(keys)
        question = self._question(asked, collection)
        is_summed = bool(asked.aggregate or asked.group)
        by_hand = (relation.sort_field,) if relation.sort_field in collection.columns and not is_summed else ()
        sort = tuple(asked.sort) or by_hand
        limit, offset = asked.window(self._settings.query_limit_default)
        fields = tuple(asked.fields) if asked.fields != ("*",) else many.fields
        selection = replace(
            question.selection,
            is_limited=limit is not None or offset > 0,
            fields=() if is_summed else fields or (primary,),
            sort=sort,
            owned_by=relation.field,
            owners=len(owners),
        )
        parameters: dict[str, Any] = {f"owner{number}": key for number, key in enumerate(owners)}
        parameters |= {"first": offset, "last": 2**63 - 1 if limit is None else offset + limit, **question.terms}
        plan = self._plan(collection, selection)
        rows = fetch(plan.prepared, self._encode(plan, question.values, parameters))
        items, owned = plan.items(rows)
        for inner in plan.many:
            self._fill(fetch, inner, owned[inner.index], _asked(asked, inner))
        assert plan.owner is not None
        if is_summed:
            values: Sequence[Any] = [aggregates.nested(item) for item in items]
        else:
            values = items if fields else [item[primary] for item in items]
        return [(row[plan.owner], value) for row, value in zip(rows, values, strict=True)]

    async def written(self, rows: Sequence[Row], query: Query, *, is_new: bool) -> list[Item] | None:
        """The items of rows that have just been written, as `read_keys` gives them; None where it takes a SELECT.

        rows: `Stored` ones. is_new: nothing can refer to the items yet, where the database sees to that.
        """
        if self._collection.has_triggers or not _asks_for_fields_alone(query):
            return None
        selection = self._question(query).selection
        plan = self._plan(self._collection, replace(selection, keys=1))
        names = plan.shape.names
        if plan.shape.nested or self._is_limited(names) or not self._collection.columns.keys() >= set(names):
            return None
        stored = stored_of(self._schema, self._collection, self._database.dialect)
        items = stored.items(rows)
        if names != stored.names:
            items = [{name: item[name] for name in names} for item in items]
        waiting = [many for many in plan.many if not (is_new and self._is_guarded(many))]
        if waiting:
            await self._carry(lambda fetch: self._fill_all(fetch, waiting, rows, items, query), selection)
        for many in plan.many:
            if many not in waiting:
                for item in items:
                    item[many.name] = []
        return items

    def _fill_all(
        self, fetch: Fetch, waiting: Sequence[Many], rows: Sequence[Row], items: Sequence[Item], query: Query
    ) -> None:
        names = list(self._collection.columns)
        for many in waiting:
            place = names.index(key_of(self._schema, many.relation))
            waits = [(row[place], item) for row, item in zip(rows, items, strict=True)]
            self._fill(fetch, many, waits, _asked(query, many))

    def _is_guarded(self, many: Many) -> bool:
        """Whether the database itself sees to it that nothing refers to an item before it is there."""
        column = many.relation.column
        is_constrained = column is not None and column.foreign_key is not None
        return is_constrained and many.relation.collection != self._collection.name

    def _is_limited(self, names: Sequence[str]) -> bool:
        """Whether the actor does not see every row, or not these fields in each."""
        rule = None if self._rights is None else self._rights.rule(self._collection)
        if rule is None:
            return False
        return rule.rows() is not None or any(rule.guard(name) is not None for name in names)

    def _encode(self, plan: Plan, values: Values, parameters: dict[str, Any]) -> dict[str, Any]:
        """The parameters, with the query's values and those of the rules."""
        for number, (encode, origin) in enumerate(zip(plan.encoders, plan.origins, strict=True)):
            if len(origin) == 2:
                value = values[origin[0]][origin[1]]
            else:
                assert self._rights is not None
                value = self._rights.value(*origin)
            parameters[f"p{number}"] = encode(value)
        return parameters


def _asked(query: Query, many: Many) -> Query:
    """What `deep` asks of a to-many field."""
    found = query
    for name in many.path:
        found = found.deep.get(name, NOTHING_ASKED)
    return found


def _asks_for_fields_alone(query: Query) -> bool:
    is_whole = not (
        query.filter or query.search or query.sort or query.alias or query.deep or query.aggregate or query.group
    )
    return is_whole and not any("(" in name or ":" in name for name in query.fields)
