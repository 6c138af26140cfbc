"""Notifications by mail: who has one, and wants mail of it (`email_notifications`), gets it once it is committed."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import sqlalchemy as sa

from datastead.context import Context
from datastead.data import system
from datastead.data.project import about_project
from datastead.events import Bus, Event
from datastead.mail import Mail

COLLECTION = system.notifications.name
FOOT = "\n\n---\n\nYou get this by mail as your account at {project} says so (`email_notifications`).\n"


def install(bus: Bus) -> None:
    """This, for a process."""
    bus.on_action(tell, _hears)


async def tell(ctx: Context, events: Sequence[Event]) -> None:
    """Has mail sent of new notifications. What a crash stops is not sent again: the notification is there."""
    afterwards = replace(ctx, connection=None)
    for key in (key for event in events if _is_new(event) for key in event.keys):
        post = partial(_post, afterwards, key)
        if ctx.connection is None:
            post()
        else:
            ctx.connection.after_commit(post)


async def _hears(_: Context, event: Event) -> bool:
    return _is_new(event)


def _is_new(event: Event) -> bool:
    return event.kind == "action" and (event.collection, event.scope) == (COLLECTION, "items.create")


def _post(ctx: Context, key: Any) -> None:
    if ctx.services.mail is not None:
        ctx.services.mail.post(_letter(ctx, key))


async def _letter(ctx: Context, key: Any) -> Mail | None:
    """The mail of a notification; None where its recipient wants none."""
    notifications, users = system.notifications, system.users
    wanted = (
        sa.select(users.c.email, notifications.c.subject, notifications.c.message)
        .join(users, users.c.id == notifications.c.recipient)
        .where(notifications.c.id == key, users.c.status == "active", users.c.email_notifications.is_(True))
    )
    row = await ctx.services.database.read(lambda transaction: transaction.execute(wanted).first())
    if row is None or not row.email:
        return None
    foot = FOOT.format(project=(await about_project(ctx))["projectName"])
    text = f"{row.message or row.subject}{foot}"
    return Mail(row.email, row.subject, text, "markdown", id=f"notification-{key}")
