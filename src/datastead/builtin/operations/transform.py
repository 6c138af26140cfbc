"""The operation `transform`."""

from typing import Any

from pydantic import Field

from datastead import Chain, Context, Options, operation
from datastead.builtin.operations._items import Json


class TransformOptions(Options):
    """The value to make."""

    json_: Json = Field(None, alias="json", description="Any value; an object, or JSON text.")


@operation("transform", TransformOptions)
async def transform(ctx: Context, options: TransformOptions, chain: Chain) -> Any:  # noqa: ARG001
    """Makes a value out of the run's data, for the operations that follow."""
    return options.json_
