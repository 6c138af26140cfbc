"""The operation `item-delete`."""

from typing import Any

from pydantic import Field

from datastead import Chain, Context, Items, Query, operation
from datastead.builtin.operations._items import ChangeOptions, Keys, QueryOption, one_or_all, refuse


class ItemDeleteOptions(ChangeOptions):
    """What to delete."""

    key: Keys = Field(None, description="A key, or a list of keys.")
    query: QueryOption = Field(None, description="Which items, instead of keys; an object, or JSON text.")


@operation("item-delete", ItemDeleteOptions, atomic=True)
async def item_delete(ctx: Context, options: ItemDeleteOptions, chain: Chain) -> Any:  # noqa: ARG001
    """Deletes items, by key, by keys or by query. Gives the key or keys; null with nothing to do."""
    items = Items(ctx, options.collection)
    if options.key is not None and options.query is not None:
        raise refuse("`item-delete` takes `key` or `query`, not both.")
    if options.query:
        query = Query.parse(options.query, ctx.services.settings)
        return await items.delete_by_query(query, emit=options.emit_events)
    if not options.key:
        return None
    keys = options.key if isinstance(options.key, list) else [options.key]
    return one_or_all(keys, await items.delete_many(keys, emit=options.emit_events))
