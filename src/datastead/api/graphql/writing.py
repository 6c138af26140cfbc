"""Writing items by GraphQL: the mutations of a collection. What is asked of the written items is found out before they
are written: who asks for what cannot be answered writes nothing.
"""

from collections.abc import Sequence
from typing import Any

from graphql import GraphQLArgument, GraphQLBoolean, GraphQLList, GraphQLNonNull

from datastead.api.graphql.call import Arguments, Call, Fields, Work, field
from datastead.data.items import Items
from datastead.errors import Forbidden
from datastead.graphql.reading import Info, Item, projected
from datastead.graphql.schema import Types
from datastead.graphql.types import DELETE_MANY, DELETE_ONE, KEY, KEYS, listed
from datastead.graphql.view import View, short


def writes_of(view: View, types: Types, name: str) -> Fields:
    """The fields of `Mutation` for a collection."""
    root, made = short(name), Fields()
    is_read, is_singleton = view.may("read", name), view.schema.collection(name).singleton
    one = types.item(name) if is_read else GraphQLBoolean
    many = listed(types.item(name)) if is_read else GraphQLBoolean
    if view.may("create", name) and not is_singleton:
        new = types.input("create", name)
        several, single = GraphQLArgument(GraphQLList(GraphQLNonNull(new))), GraphQLArgument(GraphQLNonNull(new))
        made[f"create_{root}_items"] = field(many, {"data": several}, _create(name, is_read=is_read))
        made[f"create_{root}_item"] = field(one, {"data": single}, _create(name, is_read=is_read))
    if view.may("update", name):
        changed = types.input("update", name)
        data = {"data": GraphQLArgument(GraphQLNonNull(changed))}
        batch = {"data": GraphQLArgument(GraphQLList(GraphQLNonNull(changed)))}
        if is_singleton:
            made[f"update_{root}"] = field(one, data, _write_singleton(name, is_read=is_read))
        else:
            made[f"update_{root}_items"] = field(many, {"ids": KEYS, **data}, _update(name, is_read=is_read))
            made[f"update_{root}_batch"] = field(many, batch, _update_batch(name, is_read=is_read))
            made[f"update_{root}_item"] = field(one, {"id": KEY, **data}, _update(name, is_read=is_read))
    if view.may("delete", name) and not is_singleton:
        made[f"delete_{root}_items"] = field(DELETE_MANY, {"ids": KEYS}, _delete(name))
        made[f"delete_{root}_item"] = field(DELETE_ONE, {"id": KEY}, _delete(name))
    return made


class Seen:
    """Written items as they are then, as far as the actor may read them; `True` where it may read none."""

    def __init__(self, call: Call, info: Info, name: str, *, is_read: bool) -> None:
        self._items = Items(call.ctx, name)
        self._asked = call.selection(info).items({}) if is_read else None
        if not is_read:
            call.budget.take_select()

    async def of(self, keys: Sequence[Any], *, is_one: bool) -> Any:
        """The items of these keys, or the one."""
        if self._asked is None:
            return True
        query, shape = self._asked
        try:
            rows = [projected(row, shape) for row in await self._items.read_many(keys, query)]
        except Forbidden:
            rows = []
        return next(iter(rows), None) if is_one else rows

    async def of_singleton(self) -> Any:
        """The only item."""
        if self._asked is None:
            return True
        query, shape = self._asked
        return projected(await self._items.read_singleton(query), shape)


def _create(name: str, *, is_read: bool) -> Work:
    async def work(call: Call, info: Info, given: Arguments) -> Any:
        data = given.get("data")
        is_one = isinstance(data, dict)
        payloads: list[Any] = [data] if is_one else data or []
        seen = Seen(call, info, name, is_read=is_read)
        return await seen.of(await call.doors.create(call.ctx, name, payloads), is_one=is_one)

    return work


def _update(name: str, *, is_read: bool) -> Work:
    async def work(call: Call, info: Info, given: Arguments) -> Any:
        is_one = "id" in given
        seen, keys = Seen(call, info, name, is_read=is_read), [given["id"]] if is_one else given["ids"]
        return await seen.of(await call.doors.update(call.ctx, name, keys, given["data"]), is_one=is_one)

    return work


def _update_batch(name: str, *, is_read: bool) -> Work:
    async def work(call: Call, info: Info, given: Arguments) -> Any:
        seen = Seen(call, info, name, is_read=is_read)
        return await seen.of(await call.doors.update_batch(call.ctx, name, given.get("data") or []), is_one=False)

    return work


def _write_singleton(name: str, *, is_read: bool) -> Work:
    async def work(call: Call, info: Info, given: Arguments) -> Any:
        seen = Seen(call, info, name, is_read=is_read)
        await call.doors.write_singleton(call.ctx, name, given["data"])
        return await seen.of_singleton()

    return work


def _delete(name: str) -> Work:
    async def work(call: Call, _: Info, given: Arguments) -> Item:
        call.budget.take_select()
        keys = [given["id"]] if "id" in given else given["ids"]
        await call.doors.delete(call.ctx, name, keys)
        return {"id": keys[0]} if "id" in given else {"ids": keys}

    return work
