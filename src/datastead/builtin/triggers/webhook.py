"""The trigger `webhook`."""

from typing import Any, Literal

from pydantic import Field

from datastead import Context, Options, Trigger, TriggerRequest, trigger
from datastead.errors import Forbidden


class WebhookOptions(Options):
    """How the webhook answers."""

    method: Literal["GET", "POST"] = Field("GET", description="The HTTP method that the webhook takes.")
    is_async: bool = Field(False, alias="async", description="Answer 204 at once, and run afterwards.")
    return_: str | None = Field(
        None, alias="return", description="What is answered: `$last` (default), `$all`, a path."
    )
    cache_enabled: bool = Field(True, alias="cacheEnabled", description="Whether a GET's answer may be cached.")
    error_on_reject: bool = Field(False, description="Answer with an error when the flow ends in a rejection.")


@trigger("webhook", WebhookOptions)
class WebhookTrigger(Trigger[WebhookOptions]):
    """Starts when somebody calls `/flows/trigger/<flow id>`; needs no token."""

    async def accept(self, ctx: Context, options: WebhookOptions, request: TriggerRequest) -> Any:  # noqa: ARG002
        if request.method.upper() != options.method:
            raise Forbidden
        return {
            "path": request.path, "query": dict(request.query), "body": request.body, "method": request.method.upper(),
            "headers": dict(request.headers),
        }  # fmt: skip

    def is_blocking(self, options: WebhookOptions) -> bool:
        return not options.is_async
