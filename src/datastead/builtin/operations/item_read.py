"""The operation `item-read`."""

from typing import Any

from pydantic import Field

from datastead import Chain, Context, Items, Query, operation
from datastead.builtin.operations._items import CollectionOptions, Keys, QueryOption


class ItemReadOptions(CollectionOptions):
    """What to read."""

    key: Keys = Field(None, description="A key, or a list of keys.")
    query: QueryOption = Field(None, description="`fields`, `filter`, `sort`, `limit` …; an object, or JSON text.")


@operation("item-read", ItemReadOptions)
async def item_read(ctx: Context, options: ItemReadOptions, chain: Chain) -> Any:  # noqa: ARG001
    """Reads items. One key gives the item, several a list, none the query's result."""
    items = Items(ctx, options.collection)
    query = Query.parse(options.query or {}, ctx.services.settings)
    if options.key is None:
        return await items.read(query)
    keys = options.key if isinstance(options.key, list) else [options.key]
    return await items.read_one(keys[0], query) if len(keys) == 1 else await items.read_many(keys, query)
