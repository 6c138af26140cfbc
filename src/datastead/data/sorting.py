"""Moving an item within the order that a collection's `sort_field` keeps, by hand."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import sqlalchemy as sa

from datastead.context import Context
from datastead.data.engine import Transaction
from datastead.data.facts import learn
from datastead.data.nesting import primary_of
from datastead.data.permissions import changeable, require
from datastead.data.query import Query
from datastead.data.reading import Reader
from datastead.data.schema import Collection
from datastead.data.violations import violation_of
from datastead.errors import Forbidden, InvalidPayload, ServiceUnavailable, UnprocessableContent
from datastead.events import Event

T = TypeVar("T")
NUMBERS = {"integer", "bigInteger", "float", "decimal"}


async def move(ctx: Context, name: str, item: Any, to: Any) -> None:
    """Puts an item where another one is; those between make room. Items without a place come last, before that.

    Raises `Forbidden` unless the actor may change the place of both, `InvalidPayload` for a collection without order.
    """
    schema = await ctx.services.schemas.get()
    collection = schema.collection(name)
    require(schema, ctx.actor, "update", collection)
    order = _Order(collection, _sort_field(collection), primary_of(collection))
    if not ctx.actor.is_admin:
        await learn(ctx, schema)
    reader = Reader(ctx, schema, collection)
    keys = [*reader.encode_keys([item]), *reader.encode_keys([to])]
    async with ctx.transaction() as within:
        places = await _run(within, partial(order.places, keys))
        if len(places) < len(set(keys)):
            raise Forbidden
        rights = changeable(within, schema, collection, "update", {order.place: places[keys[1]]})
        wanted = Query(fields=(order.key,), limit=-1)
        if len(await Reader(within, schema, collection, rights).read_keys(keys, wanted)) < len(places):
            raise Forbidden
        await _run(within, partial(order.move, keys[0], places[keys[0]], places[keys[1]]))
        event = Event("action", f"{name}.items.sort", "items.sort", name, {"item": item, "to": to}, (keys[0],))
        await within.services.bus.action(within, [event])


def _sort_field(collection: Collection) -> str:
    name = None if collection.is_system or not collection.has_table else collection.sort_field
    if name is None or collection.fields[name].type not in NUMBERS:
        reason = f"The collection `{collection.name}` has no sort field that holds numbers"
        raise InvalidPayload(f"{reason}: set `meta.sort_field`.", reason=reason, collection=collection.name)
    return name


async def _run(ctx: Context, work: Callable[[Transaction], T]) -> T:
    assert ctx.connection is not None
    try:
        return await ctx.connection.run(work)
    except sa.exc.DBAPIError as error:
        if violation_of(error).kind in {"stale", "busy"}:
            raise ServiceUnavailable("The database is busy, or has just been changed: try again.") from error
        reason = "The database does not let the items be numbered anew"
        raise UnprocessableContent(f"{reason}: is the sort field unique?", reason=reason) from error


@dataclass(frozen=True, slots=True)
class _Order:
    """A collection's items by their places. place, key: names of its columns."""

    collection: Collection
    place: str
    key: str

    def places(self, keys: list[Any], transaction: Transaction) -> dict[Any, Any]:
        """The places of those of the items that exist. All items are numbered first, where they have no order."""
        self._number(transaction)
        column, key = self._columns()
        found: dict[Any, Any] = {}
        for given in keys:
            row = transaction.execute(sa.select(column).where(key == given)).one_or_none()
            found |= {given: row[0]} if row is not None else {}
        return found

    def move(self, item: Any, old: Any, new: Any, transaction: Transaction) -> None:
        """Moves one item from a place to another, and those between by one."""
        if old == new:
            return
        column, key = self._columns()
        between = sa.and_(column > old, column <= new) if old < new else sa.and_(column >= new, column < old)
        step = -1 if old < new else 1
        table = self.collection.table
        transaction.execute(sa.update(table).values({column: column + step}).where(between))
        transaction.execute(sa.update(table).values({column: new}).where(key == item))

    def _number(self, transaction: Transaction) -> None:
        """Numbers the items from 1, in their order, where some have no place, or two have the same."""
        table = self.collection.table
        column, key = self._columns()
        is_ordered = sa.func.count() == sa.func.count(sa.distinct(column))
        if transaction.execute(sa.select(is_ordered).select_from(table)).scalar_one():
            return
        number = sa.func.row_number().over(order_by=(column.is_(None), column, key)).label("number")
        numbered = sa.select(key.label("key"), number).subquery("numbered")
        transaction.execute(sa.update(table).values({column: numbered.c.number}).where(key == numbered.c.key))

    def _columns(self) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
        columns = self.collection.table.c
        return columns[self.place], columns[self.key]
