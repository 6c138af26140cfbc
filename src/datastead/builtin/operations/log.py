"""The operation `log`."""

import logging
from typing import Any, Literal

import orjson
from pydantic import Field

from datastead import Chain, Context, Options, operation

logger = logging.getLogger("datastead.flows")


class LogOptions(Options):
    """What to write."""

    message: Any = Field("", description="Text, or any value: written as JSON.")
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="How loud.")


@operation("log", LogOptions)
async def log(ctx: Context, options: LogOptions, chain: Chain) -> Any:  # noqa: ARG001
    """Writes a message to the server's log, without the secrets that are known as such. Gives null."""
    message = ctx.services.flows.redacted(options.message)
    text = message if isinstance(message, str) else orjson.dumps(message, default=str).decode()
    logger.log(logging.getLevelNamesMapping()[options.level.upper()], "%s", text)
