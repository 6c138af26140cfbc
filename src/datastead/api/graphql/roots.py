"""The root fields: what a request can ask for and do, each a call of one service."""

from graphql import GraphQLArgument, GraphQLList, GraphQLString

from datastead.api.doors import Doors
from datastead.api.graphql.call import Arguments, Call, Fields, Work, field
from datastead.api.graphql.system import system_fields
from datastead.api.graphql.writing import writes_of
from datastead.data.items import Items
from datastead.data.versions import Versions
from datastead.graphql.reading import Info, Item, projected
from datastead.graphql.schema import Types
from datastead.graphql.types import KEY, NEEDED, TEXT, listed
from datastead.graphql.view import Scope, View, is_system, short


def roots_of(view: View, types: Types, scope: Scope, doors: Doors) -> tuple[Fields, Fields]:
    """The fields of `Query` and of `Mutation`."""
    query, mutation = Fields(), Fields()
    for name in sorted(view.names) if not view.actor.lacks_tfa else ():
        if (scope == "system") != is_system(name) or not doors.shows(name):
            continue
        if view.may("read", name):
            query |= _reads(view, types, name)
        if doors.writes(name):
            mutation |= writes_of(view, types, name)
    if scope == "system":
        asking, changing = system_fields(view, types)
        query, mutation = query | asking, mutation | changing
    return query, mutation


def _reads(view: View, types: Types, name: str) -> Fields:
    root, item, arguments = short(name), types.item(name), types.list_arguments(name)
    collection = view.schema.collection(name)
    has_versions = bool(collection.meta and collection.meta.get("versioning"))
    of_one = {} if collection.singleton else {"id": KEY}
    read_one = _read_singleton(name) if collection.singleton else _read_one(name)
    single = field(item, {**of_one, **({"version": TEXT} if has_versions else {})}, read_one)
    drafts = {f"{root}_by_version": field(item, {**of_one, "version": NEEDED}, read_one)} if has_versions else {}
    if collection.singleton:
        return {root: single, **drafts}
    grouped = {**arguments, "groupBy": GraphQLArgument(GraphQLList(GraphQLString))}
    return {
        **drafts,
        root: field(listed(item), arguments, _read_list(name)),
        f"{root}_by_id": single,
        f"{root}_aggregated": field(listed(types.sums(name)), grouped, _read_sums(name)),
    }


def _read_list(name: str) -> Work:
    async def work(call: Call, info: Info, given: Arguments) -> list[Item]:
        query, shape = call.selection(info).items(given)
        return [projected(row, shape) for row in await Items(call.ctx, name).read(query)]

    return work


def _read_one(name: str) -> Work:
    async def work(call: Call, info: Info, given: Arguments) -> Item:
        query, shape = call.selection(info).items({})
        if (version := given.get("version")) is not None:
            return projected(await Versions(call.ctx).read_item(name, given["id"], version, query), shape)
        return projected(await Items(call.ctx, name).read_one(given["id"], query), shape)

    return work


def _read_singleton(name: str) -> Work:
    async def work(call: Call, info: Info, given: Arguments) -> Item:
        query, shape = call.selection(info).items({})
        if (version := given.get("version")) is not None:
            return projected(await Versions(call.ctx).read_singleton(name, version, query), shape)
        return projected(await Items(call.ctx, name).read_singleton(query), shape)

    return work


def _read_sums(name: str) -> Work:
    async def work(call: Call, info: Info, given: Arguments) -> list[Item]:
        query, shape = call.selection(info).sums(given)
        if not query.aggregate and not query.group:
            return []
        return [projected(row, shape) for row in await Items(call.ctx, name).read(query)]

    return work
