"""The operation `throw-error`."""

from typing import Any

from pydantic import Field

from datastead import Chain, Context, Options, operation
from datastead.errors import OperationRejected


class ThrowErrorOptions(Options):
    """The error."""

    code: str = Field("INTERNAL_SERVER_ERROR", description="The error's code.")
    status: int = Field(500, ge=400, le=599, description="The HTTP status, where it is answered.")
    message: str = Field("An operation of the flow failed.", description="What went wrong.")


@operation("throw-error", ThrowErrorOptions)
async def throw_error(ctx: Context, options: ThrowErrorOptions, chain: Chain) -> Any:  # noqa: ARG001
    """Ends the flow with an error, or goes on by `reject`."""
    data = {"name": "OperationRejected", "message": options.message, "code": options.code, "status": options.status}
    raise OperationRejected(options.message, data=data)
