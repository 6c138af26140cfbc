"""The operation `condition`."""

from typing import Any

from pydantic import Field

from datastead import Chain, Context, Options, failures_of, operation
from datastead.builtin.operations._items import QueryOption
from datastead.errors import InvalidQuery, OperationRejected


class ConditionOptions(Options):
    """What has to hold."""

    filter: QueryOption = Field(
        None, description="A filter over the run's data: `{$trigger: {payload: {n: {_gt: 1}}}}`."
    )


@operation("condition", ConditionOptions)
async def condition(ctx: Context, options: ConditionOptions, chain: Chain) -> Any:
    """Goes on by `resolve` where the filter holds; else by `reject`, with the list of what does not hold."""
    try:
        failures = failures_of(ctx, options.filter or {}, chain)
    except InvalidQuery as error:
        raise OperationRejected(error.message, **error.details) from error
    if failures:
        raise OperationRejected("The condition does not hold.", data=failures)
