"""The operation `item-update`."""

from typing import Any

from pydantic import Field

from datastead import Chain, Context, Items, Query, operation
from datastead.builtin.operations._items import ChangeOptions, Keys, Payload, QueryOption, one_or_all, refuse


class ItemUpdateOptions(ChangeOptions):
    """What to update, and with what."""

    key: Keys = Field(None, description="A key, or a list of keys.")
    query: QueryOption = Field(None, description="Which items, instead of keys; an object, or JSON text.")
    payload: Payload = Field(
        None, description="What to change; or a list of items with their keys, each changed in its own way."
    )


@operation("item-update", ItemUpdateOptions, atomic=True)
async def item_update(ctx: Context, options: ItemUpdateOptions, chain: Chain) -> Any:  # noqa: ARG001
    """Updates items: by key, by keys, by query, or a list of items. Gives the key or keys; null with nothing to do."""
    items, payload, emit = Items(ctx, options.collection), options.payload, options.emit_events
    if options.key is not None and options.query is not None:
        raise refuse("`item-update` takes `key` or `query`, not both.")
    if isinstance(payload, list):
        if options.key is not None or options.query is not None:
            raise refuse(
                "`item-update` takes a list as `payload` without `key` and `query`: each item has its own key."
            )
        return await items.update_batch(payload, emit=emit) if payload else None
    if not payload:
        return None
    if options.query:
        return await items.update_by_query(Query.parse(options.query, ctx.services.settings), payload, emit=emit)
    if not options.key:
        return None
    keys = options.key if isinstance(options.key, list) else [options.key]
    return one_or_all(keys, await items.update_many(keys, payload, emit=emit))
