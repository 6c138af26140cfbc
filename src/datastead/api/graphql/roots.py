"""The root fields: what a request can ask for and do, each a call of one service."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLBoolean,
    GraphQLField,
    GraphQLID,
    GraphQLList,
    GraphQLNonNull,
    GraphQLString,
)

from datastead.api.doors import Doors
from datastead.api.graphql.logging_in import auth_fields
from datastead.api.graphql.reading import Budget, Info, Item, Selection, projected
from datastead.api.graphql.schema import Types
from datastead.api.graphql.types import DELETE_MANY, DELETE_ONE
from datastead.api.graphql.view import Scope, View, is_system, short
from datastead.auth.accounts import COLLECTION as USERS
from datastead.auth.accounts import Accounts
from datastead.auth.own import own_items
from datastead.context import Context
from datastead.data.items import Items
from datastead.data.versions import Versions
from datastead.errors import Forbidden, InvalidCredentials

Arguments = Mapping[str, Any]
Work = Callable[["Call", Info, Arguments], Awaitable[Any]]
Fields = dict[str, GraphQLField]

KEYS = GraphQLArgument(GraphQLNonNull(GraphQLList(GraphQLID)))
KEY = GraphQLArgument(GraphQLNonNull(GraphQLID))
VERSION = GraphQLArgument(GraphQLNonNull(GraphQLString))


@dataclass(frozen=True)
class Call:
    """A request that is carried out."""

    ctx: Context
    doors: Doors
    budget: Budget

    def selection(self, info: Info) -> Selection:
        """What a root field asks for."""
        return Selection(info, self.ctx.services.settings, self.budget)


def roots_of(view: View, types: Types, scope: Scope, doors: Doors) -> tuple[Fields, Fields]:
    """The fields of `Query` and of `Mutation`."""
    query, mutation = Fields(), Fields()
    for name in sorted(view.names):
        if (scope == "system") != is_system(name) or not doors.shows(name):
            continue
        if view.may("read", name):
            query |= _reads(view, types, name)
        if doors.writes(name):
            mutation |= _writes(view, types, name)
    if scope == "system":
        mutation |= auth_fields()
    if scope == "system" and view.actor.user is not None and USERS in view.names:
        query["users_me"] = _field(types.item(USERS), {}, _read_me)
        if view.may("update", USERS) or view.actor.has_app_access:
            data = {"data": GraphQLArgument(types.input("update", USERS))}
            mutation["update_users_me"] = _field(types.item(USERS), data, _update_me)
    return query, mutation


def _reads(view: View, types: Types, name: str) -> Fields:
    root, item, arguments = short(name), types.item(name), types.list_arguments(name)
    if view.schema.collection(name).singleton:
        return {root: _field(item, {}, _read_singleton(name))}
    sums = GraphQLList(GraphQLNonNull(types.sums(name)))
    grouped = {**arguments, "groupBy": GraphQLArgument(GraphQLList(GraphQLString))}
    drafts = {f"{root}_by_version": _field(item, {"id": KEY, "version": VERSION}, _read_version(name))}
    meta = view.schema.collection(name).meta
    return {
        **(drafts if meta and meta.get("versioning") else {}),
        root: _field(_listed(item), arguments, _read_list(name)),
        f"{root}_by_id": _field(item, {"id": KEY}, _read_one(name)),
        f"{root}_aggregated": _field(GraphQLNonNull(sums), grouped, _read_sums(name)),
    }


def _writes(view: View, types: Types, name: str) -> Fields:
    root, made = short(name), Fields()
    is_read, is_singleton = view.may("read", name), view.schema.collection(name).singleton
    one = types.item(name) if is_read else GraphQLBoolean
    many = _listed(types.item(name)) if is_read else GraphQLBoolean
    if view.may("create", name) and not is_singleton:
        new = types.input("create", name)
        several, single = GraphQLArgument(GraphQLList(GraphQLNonNull(new))), GraphQLArgument(GraphQLNonNull(new))
        made[f"create_{root}_items"] = _field(many, {"data": several}, _create(name, is_read=is_read))
        made[f"create_{root}_item"] = _field(one, {"data": single}, _create(name, is_read=is_read))
    if view.may("update", name):
        changed = types.input("update", name)
        data = {"data": GraphQLArgument(GraphQLNonNull(changed))}
        batch = {"data": GraphQLArgument(GraphQLList(GraphQLNonNull(changed)))}
        if is_singleton:
            made[f"update_{root}"] = _field(one, data, _write_singleton(name, is_read=is_read))
        else:
            made[f"update_{root}_items"] = _field(many, {"ids": KEYS, **data}, _update(name, is_read=is_read))
            made[f"update_{root}_batch"] = _field(many, batch, _update_batch(name, is_read=is_read))
            made[f"update_{root}_item"] = _field(one, {"id": KEY, **data}, _update(name, is_read=is_read))
    if view.may("delete", name) and not is_singleton:
        made[f"delete_{root}_items"] = _field(DELETE_MANY, {"ids": KEYS}, _delete(name))
        made[f"delete_{root}_item"] = _field(DELETE_ONE, {"id": KEY}, _delete(name))
    return made


def _listed(item: Any) -> Any:
    return GraphQLNonNull(GraphQLList(GraphQLNonNull(item)))


def _field(kind: Any, arguments: Mapping[str, GraphQLArgument], work: Work) -> GraphQLField:
    async def resolve(_: Any, info: Info, **given: Any) -> Any:
        call: Call = info.context
        return await work(call, info, given)

    return GraphQLField(kind, dict(arguments), resolve)


def _read_list(name: str) -> Work:
    async def work(call: Call, info: Info, given: Arguments) -> list[Item]:
        query, shape = call.selection(info).items(given)
        return [projected(row, shape) for row in await Items(call.ctx, name).read(query)]

    return work


def _read_one(name: str) -> Work:
    async def work(call: Call, info: Info, given: Arguments) -> Item:
        query, shape = call.selection(info).items({})
        return projected(await Items(call.ctx, name).read_one(given["id"], query), shape)

    return work


def _read_version(name: str) -> Work:
    async def work(call: Call, info: Info, given: Arguments) -> Item:
        query, shape = call.selection(info).items({})
        return projected(await Versions(call.ctx).read_item(name, given["id"], given["version"], query), shape)

    return work


def _read_singleton(name: str) -> Work:
    async def work(call: Call, info: Info, _: Arguments) -> Item:
        query, shape = call.selection(info).items({})
        return projected(await Items(call.ctx, name).read_singleton(query), shape)

    return work


def _read_sums(name: str) -> Work:
    async def work(call: Call, info: Info, given: Arguments) -> list[Item]:
        query, shape = call.selection(info).sums(given)
        if not query.aggregate and not query.group:
            return []
        return [projected(row, shape) for row in await Items(call.ctx, name).read(query)]

    return work


def _create(name: str, *, is_read: bool) -> Work:
    async def work(call: Call, info: Info, given: Arguments) -> Any:
        data = given.get("data") or []
        is_one = not isinstance(data, list)
        payloads: list[Any] = [data] if is_one else data
        keys = await call.doors.create(call.ctx, name, payloads)
        return await _seen(call, info, name, keys, is_read=is_read, is_one=is_one)

    return work


def _update(name: str, *, is_read: bool) -> Work:
    async def work(call: Call, info: Info, given: Arguments) -> Any:
        is_one = "id" in given
        keys = await call.doors.update(call.ctx, name, [given["id"]] if is_one else given["ids"], given["data"])
        return await _seen(call, info, name, keys, is_read=is_read, is_one=is_one)

    return work


def _update_batch(name: str, *, is_read: bool) -> Work:
    async def work(call: Call, info: Info, given: Arguments) -> Any:
        keys = await call.doors.update_batch(call.ctx, name, given.get("data") or [])
        return await _seen(call, info, name, keys, is_read=is_read, is_one=False)

    return work


def _write_singleton(name: str, *, is_read: bool) -> Work:
    async def work(call: Call, info: Info, given: Arguments) -> Any:
        await call.doors.write_singleton(call.ctx, name, given["data"])
        return await _read_singleton(name)(call, info, {}) if is_read else True

    return work


def _delete(name: str) -> Work:
    async def work(call: Call, _: Info, given: Arguments) -> Item:
        keys = [given["id"]] if "id" in given else given["ids"]
        await call.doors.delete(call.ctx, name, keys)
        return {"id": keys[0]} if "id" in given else {"ids": keys}

    return work


async def _seen(call: Call, info: Info, name: str, keys: Sequence[Any], *, is_read: bool, is_one: bool) -> Any:
    """Written items as they are now, as far as the actor may read them."""
    if not is_read:
        return True
    query, shape = call.selection(info).items({})
    try:
        rows = [projected(row, shape) for row in await Items(call.ctx, name).read_many(keys, query)]
    except Forbidden:
        rows = []
    return next(iter(rows), None) if is_one else rows


async def _read_me(call: Call, info: Info, _: Arguments) -> Item:
    """The signed-in user, as far as it may see itself."""
    user = call.ctx.actor.user
    if user is None:
        raise InvalidCredentials
    query, shape = call.selection(info).items({})
    (row,) = await own_items(call.ctx, USERS, [user], query)
    return projected(row, shape)


async def _update_me(call: Call, info: Info, given: Arguments) -> Item:
    await Accounts(call.ctx).update_self(given.get("data") or {})
    return await _read_me(call, info, {})
