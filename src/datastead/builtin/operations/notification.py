"""The operation `notification`."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from datastead import Chain, Context, Items, Options, operation
from datastead.builtin.operations._items import json_or_text
from datastead.builtin.operations._text import Text, TextOrNone


def _listed(value: Any) -> Any:
    found = json_or_text(value) if isinstance(value, str) and value.lstrip().startswith("[") else value
    return found if isinstance(found, list) else [found] if found else []


class NotificationOptions(Options):
    """Whom to tell, and what."""

    recipient: Annotated[list[str], BeforeValidator(_listed)] = Field(
        min_length=1, description="A user's id, or a list of them."
    )
    subject: Text = Field(min_length=1, description="What it is about.")
    message: TextOrNone = Field(None, description="What it says, in Markdown.")
    collection: str | None = Field(None, description="The collection that it is about.")
    item: TextOrNone = Field(None, description="The key of the item that it is about.")
    permissions: str | None = Field(
        None, description="Who acts: `$trigger` (default) whoever caused the run, `$full`, `$public`, or a role's id."
    )


@operation("notification", NotificationOptions, atomic=True)
async def notification(ctx: Context, options: NotificationOptions, chain: Chain) -> Any:  # noqa: ARG001
    """Notifies users, as whoever acts. Gives the list of the notifications' keys.

    Who wants mail of notifications (`email_notifications`) gets mail as well.
    """
    about = {
        "subject": options.subject, "message": options.message or None, "collection": options.collection,
        "item": options.item,
    }  # fmt: skip
    told = [{"recipient": recipient, **about} for recipient in options.recipient]
    return await Items(ctx, "directus_notifications").create_many(told)
