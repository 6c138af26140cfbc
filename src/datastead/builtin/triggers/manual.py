"""The trigger `manual`."""

import logging
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from datastead import Context, Items, Options, Query, Trigger, TriggerRequest, trigger
from datastead.errors import Forbidden

log = logging.getLogger("datastead.flows")


class ManualOptions(Options):
    """Where the button is, and what it asks for."""

    collections: list[str] = Field(default_factory=list, description="Where the flow can be started.")
    location: Literal["item", "collection", "both"] = Field(
        "both", description="On an item's page, on the list, on both."
    )
    require_selection: bool = Field(True, alias="requireSelection", description="Whether items have to be selected.")
    require_confirmation: bool = Field(False, alias="requireConfirmation", description="Whether to ask before.")
    confirmation_description: str | None = Field(None, alias="confirmationDescription")
    fields: list[dict[str, Any]] | None = Field(None, description="Inputs to ask for before.")
    is_async: bool = Field(False, alias="async", description="Answer 204 at once, and run afterwards.")
    error_on_reject: bool = Field(False, description="Answer with an error when the flow ends in a rejection.")


@trigger("manual", ManualOptions)
class ManualTrigger(Trigger[ManualOptions]):
    """Starts when a user presses its button, or posts `{collection, keys}` to `/flows/trigger/<flow id>`."""

    async def accept(self, ctx: Context, options: ManualOptions, request: TriggerRequest) -> Any:
        body = request.body if isinstance(request.body, Mapping) else {}
        refusal = _refusal(ctx, options, request, body)
        if refusal:
            log.warning("A manual flow was not started: %s.", refusal)
            raise Forbidden
        await _check_keys(ctx, str(body["collection"]), body.get("keys") or [])
        return {
            "path": request.path, "query": dict(request.query), "body": dict(body), "method": request.method.upper(),
            "headers": dict(request.headers),
        }  # fmt: skip

    def is_blocking(self, options: ManualOptions) -> bool:
        return not options.is_async


def _refusal(ctx: Context, options: ManualOptions, request: TriggerRequest, body: Mapping[str, Any]) -> str | None:
    """Why the flow may not be started; None where it may."""
    keys = body.get("keys")
    checks = (
        (request.method.upper() == "POST", "the method is not POST"),
        (bool(ctx.actor.user or ctx.actor.role or ctx.actor.is_admin), "the caller is not signed in"),
        (isinstance(body.get("collection"), str), "no collection is given"),
        (body.get("collection") in options.collections, "the flow is not for this collection"),
        (keys is None or isinstance(keys, list), "`keys` is not a list"),
        (bool(keys) or not options.require_selection, "no items are selected"),
    )
    return next((reason for holds, reason in checks if not holds), None)


async def _check_keys(ctx: Context, collection: str, keys: list[Any]) -> None:
    """Raises `Forbidden` where the actor cannot read all of the items."""
    if ctx.actor.is_admin or not keys:
        return
    field = (await ctx.services.schemas.get()).collection(collection).primary
    if field is None:
        raise Forbidden
    primary = field.name
    query = Query.parse({"fields": [primary], "limit": -1}, ctx.services.settings)
    found = {str(row[primary]) for row in await Items(ctx, collection).read_many(keys, query)}
    if any(str(key) not in found for key in keys):
        raise Forbidden
