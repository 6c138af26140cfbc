"""The trigger `operation`."""

from pydantic import Field

from datastead import Options, Trigger, trigger


class OperationOptions(Options):
    """What the caller gets."""

    return_: str | None = Field(None, alias="return", description="`$last` (default), `$all`, or a path.")


@trigger("operation", OperationOptions)
class OperationTrigger(Trigger[OperationOptions]):
    """Starts when the operation `trigger` of another flow calls it."""

    def is_blocking(self, options: OperationOptions) -> bool:  # noqa: ARG002
        return True
