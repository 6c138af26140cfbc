"""The operation `sleep`."""

import asyncio
from typing import Any

from pydantic import Field

from datastead import Chain, Context, Options, operation


class SleepOptions(Options):
    """How long."""

    milliseconds: float = Field(0, ge=0, le=86_400_000, description="How long to wait, in milliseconds; a day at most.")


@operation("sleep", SleepOptions, slow=True)
async def sleep(ctx: Context, options: SleepOptions, chain: Chain) -> Any:  # noqa: ARG001
    """Waits. Begins anew when the process died meanwhile. Gives null."""
    await asyncio.sleep(options.milliseconds / 1000)
