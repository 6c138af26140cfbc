"""`AtOnce`: a write and all that is kept of it as one statement: one journey to PostgreSQL in place of five.

Only for collections of which the database itself can say what an item is on the wire, and that have no triggers.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson
import sqlalchemy as sa

from datastead.context import Context
from datastead.data import system
from datastead.data.engine import Database, Prepared
from datastead.data.filters import padded
from datastead.data.history import LONGEST_KEY, Keeps, accountability_of, actor_columns
from datastead.data.postgresql_wire import wire_of
from datastead.data.schema import Collection, Schema

Values = Mapping[str, Any]
MOST_FIELDS = 50  # a function takes 100 arguments


class AtOnce:
    """Statements for one collection. They run outside of transactions: each is one."""

    def __init__(self, ctx: Context, schema: Schema, collection: Collection, keeps: Keeps) -> None:
        assert collection.primary is not None
        self._ctx = ctx
        self._database: Database = ctx.services.database
        self._schema = schema
        self._collection = collection
        self._keeps = keeps
        self._key = collection.primary.name

    def insert(self, rows: Sequence[Values]) -> tuple[Prepared, Values] | None:
        """For rows with the same columns, as many as there are; None for others."""
        names = rows[0].keys()
        if not names or not all(row.keys() == names for row in rows):
            return None
        prepared = self._kept(("insert", tuple(names)), lambda: self._insert(tuple(names)))
        return prepared, {**self._about("create"), "rows": orjson.dumps(rows).decode()}

    def update(self, row: Values, keys: Sequence[Any]) -> tuple[Prepared, Values]:
        """For items that are changed alike."""
        known, names = padded(keys), tuple(row)
        prepared = self._kept(("update", names, len(known)), lambda: self._update(names, len(known)))
        values = {f"v{number}": value for number, value in enumerate(row.values())}
        return prepared, self._about("update") | values | {f"key{number}": key for number, key in enumerate(known)}

    def _about(self, verb: str) -> dict[str, Any]:
        about = {"action": verb, "collection": self._collection.name} if self._keeps else {}
        return about | (actor_columns(self._ctx) if self._keeps else {})

    def _kept(self, shape: tuple[Any, ...], build: Callable[[], sa.ClauseElement]) -> Prepared:
        key = (self._collection.name, "at once", shape)
        found: Prepared | None = self._schema.plans.get(key)
        return found or self._schema.plans.put(key, self._database.prepare(build()))

    def _insert(self, names: tuple[str, ...]) -> sa.ClauseElement:
        fields = [self._collection.fields[name] for name in names]
        columns = [sa.column(item.name, wire.given) for item in fields if (wire := wire_of(item)) is not None]
        given = sa.func.json_to_recordset(sa.cast(sa.bindparam("rows"), sa.JSON)).table_valued(*columns)
        rows = given.render_derived(name="given", with_types=True)
        values = [sa.cast(rows.c[item.name], sa.JSON) if item.type == "json" else rows.c[item.name] for item in fields]
        return self._recorded(sa.insert(self._collection.table).from_select(names, sa.select(*values)), None)

    def _update(self, names: tuple[str, ...], count: int) -> sa.ClauseElement:
        table = self._collection.table
        keys: list[sa.BindParameter[Any]] = [sa.bindparam(f"key{number}") for number in range(count)]
        values: dict[Any, Any] = {table.c[name]: sa.bindparam(f"v{number}") for number, name in enumerate(names)}
        return self._recorded(sa.update(table).values(values).where(table.c[self._key].in_(keys)), names)

    def _recorded(self, change: sa.Insert | sa.Update, names: tuple[str, ...] | None) -> sa.ClauseElement:
        """The change, its activities and revisions. names: what is written of the items; None = everything."""
        returning = change.returning(*self._collection.table.c)
        if self._keeps is None:
            return returning
        written = returning.cte("written")
        item = sa.func.left(sa.cast(written.c[self._key], sa.Text), LONGEST_KEY)
        activities = self._activities(written, item)
        kept = [activities]
        if self._keeps == "all":
            kept.append(self._revisions(written, item, activities, names))
        return sa.select(*written.c).select_from(written).add_cte(*kept)

    def _activities(self, written: sa.CTE, item: sa.ColumnElement[Any]) -> sa.CTE:
        table = system.activity
        names = ("action", "user", "timestamp", "ip", "user_agent", "origin", "collection")
        values = [_typed(name, table.c[name]) for name in names]
        source = sa.select(*values, item).select_from(written)
        added = sa.insert(table).from_select([*names, "item"], source, include_defaults=False)
        return added.returning(table.c.id, table.c.item).cte("activities")

    def _revisions(
        self, written: sa.CTE, item: sa.ColumnElement[Any], activities: sa.CTE, names: tuple[str, ...] | None
    ) -> sa.CTE:
        table = system.revisions
        data = self._object(written, self._collection.columns)
        values = [item.label("item"), data.label("data")]
        values += [] if names is None else [self._object(written, names).label("delta")]
        items = sa.select(*values).select_from(written).cte("items").prefix_with("MATERIALIZED")
        delta = items.c.data if names is None else items.c.delta
        collection = _typed("collection", table.c.collection)
        source = (
            sa.select(activities.c.id, collection, items.c.item, items.c.data, delta)
            .select_from(items.join(activities, activities.c.item == items.c.item))
            .order_by(activities.c.id)
        )
        columns = ["activity", "collection", "item", "data", "delta"]
        return sa.insert(table).from_select(columns, source, include_defaults=False).returning(table.c.id).cte("kept")

    def _object(self, written: sa.CTE, names: Iterable[str]) -> sa.ColumnElement[Any]:
        """What of the items is kept, as it is on the wire."""
        pairs: list[sa.ColumnElement[Any]] = []
        for name in names:
            wire, value = wire_of(self._collection.fields[name]), written.c[name]
            pairs += [sa.literal_column(_quoted(name)), wire.say(value) if wire and wire.say else value]
        return sa.func.json_build_object(*pairs)


def at_once(ctx: Context, schema: Schema, collection: Collection) -> AtOnce | None:
    """None where it takes more than a statement."""
    if ctx.services.database.dialect != "postgresql" or not _is_alike(schema, collection):
        return None
    return AtOnce(ctx, schema, collection, accountability_of(collection))


def _is_alike(schema: Schema, collection: Collection) -> bool:
    """Kept with the schema."""
    key = ("alike", collection.name)
    found: tuple[bool] | None = schema.plans.get(key)
    if found is None:
        fields = collection.columns.values()
        is_plain = collection.primary is not None and not collection.has_triggers and len(fields) <= MOST_FIELDS
        found = (is_plain and all(wire_of(item) is not None for item in fields),)
        schema.plans.put(key, found)
    return found[0]


def _typed(name: str, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """A parameter of the column's type, which a SELECT does not give it by itself."""
    kind = sa.Text() if isinstance(column.type, sa.String) else column.type
    return sa.cast(sa.bindparam(name), kind)


def _quoted(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"
