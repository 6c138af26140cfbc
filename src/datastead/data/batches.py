"""Items in batches, for lists that are too long to be held at once."""

from collections.abc import AsyncIterator
from dataclasses import replace

from datastead.context import Context
from datastead.data.items import Item, Items, Key
from datastead.data.query import Query
from datastead.errors import Forbidden

BATCH = 1000  # items


async def batches_of(ctx: Context, collection: str, query: Query) -> AsyncIterator[list[Item]]:
    """What `Items.read` gives, in parts. Which items those are, and their order, is settled with the first part.

    An item that is gone or hidden by then is left out. Raises `Forbidden` and `InvalidQuery` with the first part.
    """
    items, keys = Items(ctx, collection), await _keys(ctx, collection, query)
    if keys is None or len(keys) <= BATCH:
        yield await items.read(query)
        return
    part = replace(query, filter=None, sort=(), search=None, limit=-1, offset=0, page=None)
    for start in range(0, len(keys), BATCH):
        yield await items.read_many(keys[start : start + BATCH], part)


async def _keys(ctx: Context, collection: str, query: Query) -> list[Key] | None:
    """The items' keys; None where there are few items, or sums, or no keys that the actor may read."""
    is_short = query.limit is None or 0 <= query.limit <= BATCH
    schema = await ctx.services.schemas.get()
    if is_short or query.aggregate or query.group or schema.collection(collection).primary is None:
        return None
    try:
        return await Items(ctx, collection).keys(replace(query, alias={}, deep={}))
    except Forbidden:
        return None  # the whole says what is forbidden
