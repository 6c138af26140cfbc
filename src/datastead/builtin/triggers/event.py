"""The trigger `event`."""

import re
from typing import Literal

from pydantic import Field

from datastead import Event, Options, Trigger, trigger
from datastead.errors import InvalidFlow

ITEM_SCOPES = ("items.create", "items.update", "items.delete")
OTHER_SCOPES = {
    "action": ("items.sort", "server.start", "server.stop", "response", "auth.login", "files.upload",
               "ai.budget.warning"),
    "filter": (
        "items.query", "items.read", "request.not_found", "request.error", "database.error", "auth.login", "auth.jwt",
        "auth.create", "auth.update", "authenticate",
    ),
}  # fmt: skip
_OF_ONE_COLLECTION = re.compile(r"[\w-]+\.(items\.)?(create|update|delete)")


class EventOptions(Options):
    """Which events start the flow."""

    type: Literal["filter", "action"] = Field(
        description="`action`: after the change. `filter`: inside it, before the write; it may change or refuse it."
    )
    scope: list[str] = Field(min_length=1, description="What happens: `items.create`, `items.update`, `items.delete` …")
    collections: list[str] = Field(default_factory=list, description="Of which collections.")
    return_: str | None = Field(
        None, alias="return", description="What a filter puts in the payload's place: `$last` …"
    )


@trigger("event", EventOptions)
class EventTrigger(Trigger[EventOptions]):
    """Starts when items are created, updated or deleted, or something happens in the server."""

    looks_into_events = False

    def check(self, options: EventOptions) -> None:
        known = (*ITEM_SCOPES, *OTHER_SCOPES[options.type])
        for scope in options.scope:
            if scope not in known and not _OF_ONE_COLLECTION.fullmatch(scope):
                names = ", ".join(f"`{name}`" for name in known)
                raise InvalidFlow(
                    f"The trigger `event` knows no scope `{scope}`: use one of {names}.", option="scope", value=scope
                )
        if any(scope in ITEM_SCOPES for scope in options.scope) and not options.collections:
            raise InvalidFlow(
                "The trigger `event` needs the option `collections`: name those whose items start the flow.",
                option="collections", value=[],
            )  # fmt: skip

    def matches(self, options: EventOptions, event: Event) -> bool:
        if event.kind != options.type:
            return False
        if event.scope in options.scope:
            return event.collection in options.collections if event.scope in ITEM_SCOPES else True
        return event.name in options.scope

    def is_filter(self, options: EventOptions) -> bool:
        return options.type == "filter"
