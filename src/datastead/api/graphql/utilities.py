"""`/utils` and `/files/import` by GraphQL: hashes, random texts, the order of items, reverting, files of elsewhere."""

from typing import Any

from graphql import GraphQLBoolean, GraphQLInt, GraphQLString

from datastead.api import utilities
from datastead.api.graphql.call import Arguments, Call, Fields, field, system_field
from datastead.api.graphql.writing import Seen
from datastead.data.reverting import revert
from datastead.files.files import Files
from datastead.files.guard import COLLECTION as FILES
from datastead.files.importing import fetched
from datastead.graphql.reading import Info
from datastead.graphql.schema import Types
from datastead.graphql.types import KEY, NEEDED, VOID, argument
from datastead.graphql.view import View


def utility_fields(view: View, types: Types) -> Fields:
    """The mutations."""
    made: Fields = {
        "utils_random_string": system_field(GraphQLString, _random, length=argument(GraphQLInt)),
        "utils_hash_generate": system_field(GraphQLString, _hash, string=NEEDED),
        "utils_hash_verify": system_field(GraphQLBoolean, _verify, string=NEEDED, hash=NEEDED),
        "utils_sort": system_field(GraphQLBoolean, _sort, collection=NEEDED, item=KEY, to=KEY),
        "utils_revert": system_field(GraphQLBoolean, _revert, revision=KEY),
        "utils_cache_clear": system_field(VOID, _clear),
    }
    if view.may("create", FILES):
        is_read = view.may("read", FILES)
        arguments = {"url": NEEDED, "data": argument(types.input("create", FILES))}
        made["import_file"] = field(
            types.item(FILES) if is_read else GraphQLBoolean, arguments, _import(is_read=is_read)
        )
    return made


async def _random(call: Call, _: Info, given: Arguments) -> str:
    return utilities.random_text(call.ctx, given.get("length"))


async def _hash(call: Call, _: Info, given: Arguments) -> str:
    call.budget.take_hash()
    return await utilities.hashed(call.ctx, given)


async def _verify(call: Call, _: Info, given: Arguments) -> bool:
    call.budget.take_hash()
    return await utilities.is_hash(call.ctx, given)


async def _sort(call: Call, _: Info, given: Arguments) -> bool:
    await utilities.sort(call.ctx, given["collection"], given)
    return True


async def _revert(call: Call, _: Info, given: Arguments) -> bool:
    await revert(call.ctx, given["revision"], utilities.WRITERS)
    return True


async def _clear(call: Call, _: Info, __: Arguments) -> None:
    utilities.forget_schema(call.ctx)


def _import(*, is_read: bool) -> Any:
    async def work(call: Call, info: Info, given: Arguments) -> Any:
        seen = Seen(call, info, FILES, is_read=is_read)
        source = fetched(call.ctx.services.settings, given["url"], given.get("data") or {})
        return await seen.of(await Files(call.ctx).upload(source), is_one=True)

    return work
