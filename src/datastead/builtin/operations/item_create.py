"""The operation `item-create`."""

from typing import Any

from pydantic import Field

from datastead import Chain, Context, Items, operation
from datastead.builtin.operations._items import ChangeOptions, Payload


class ItemCreateOptions(ChangeOptions):
    """What to create."""

    payload: Payload = Field(None, description="The item, or a list of items; an object, or JSON text.")


@operation("item-create", ItemCreateOptions, atomic=True)
async def item_create(ctx: Context, options: ItemCreateOptions, chain: Chain) -> Any:  # noqa: ARG001
    """Creates items. Gives the list of their keys; null without a payload."""
    if not options.payload:
        return None
    payloads = options.payload if isinstance(options.payload, list) else [options.payload]
    return await Items(ctx, options.collection).create_many(payloads, emit=options.emit_events)
