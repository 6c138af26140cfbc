"""The operation `trigger`."""

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from datastead import Chain, Context, Options, operation
from datastead.builtin.operations._items import Json


class TriggerOptions(Options):
    """Which flow, and with what."""

    flow: str = Field(min_length=1, description="The id of a flow with the trigger `operation`.")
    payload: Json = Field(
        None, description="The called flow's `$trigger`; with a list, it is called once for each entry."
    )
    iteration_mode: Literal["parallel", "serial", "batch"] = Field("parallel", alias="iterationMode")
    batch_size: int = Field(10, alias="batchSize", ge=1, description="How many at a time in the mode `batch`.")


@operation("trigger", TriggerOptions, slow=True)
async def trigger(ctx: Context, options: TriggerOptions, chain: Chain) -> Any:  # noqa: ARG001
    """Calls another flow, and gives what it returns; a list of that for a list. A rejection of it is not passed on."""
    flows = ctx.services.flows
    if not isinstance(options.payload, list):
        return await flows.call(ctx, options.flow, options.payload)
    calls = [flows.call(ctx, options.flow, payload, index=index) for index, payload in enumerate(options.payload)]
    size = {"parallel": max(1, len(calls)), "serial": 1, "batch": options.batch_size}[options.iteration_mode]
    results: list[Any] = []
    for start in range(0, len(calls), size):
        results += await _together(calls[start : start + size])
    return results


async def _together(calls: Sequence[Any]) -> list[Any]:
    return list(await asyncio.gather(*calls))
