"""What operations give, as JSON: results, rejections, and what a run answers."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson

from datastead.errors import DatasteadError, OperationRejected
from datastead.extensions import Chain
from datastead.flows.template import MISSING, lookup_text


def to_json(value: Any) -> Any:
    """A copy of a value as it comes back from the journal. Raises `OperationRejected` for what is not JSON."""
    try:
        return orjson.loads(orjson.dumps(value, default=_decimal, option=orjson.OPT_NON_STR_KEYS))
    except (TypeError, orjson.JSONEncodeError) as error:
        raise OperationRejected(f"The operation's result is not JSON: {error}.") from error


def _decimal(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(f"`{type(value).__name__}` cannot be written as JSON")


def rejection(error: Exception) -> Any:
    """What a failed operation gives: the data of the rejection, or the error as `{name, message, code, status}`."""
    if isinstance(error, OperationRejected) and error.data is not None:
        return to_json(error.data)
    if not isinstance(error, DatasteadError):
        message = "The operation failed unexpectedly: the server's log says more."
        return {"name": type(error).__name__, "message": message, "code": DatasteadError.code, "status": 500}
    found = {
        "name": type(error).__name__, "message": error.message, "code": error.code, "status": error.status,
    }  # fmt: skip
    return to_json({**found, "details": error.details}) if error.details else found


def rejected(data: Any) -> OperationRejected:
    """The error that answers a caller with what a run was rejected with."""
    message = data.get("message") if isinstance(data, Mapping) else data if isinstance(data, str) else None
    return OperationRejected(message if isinstance(message, str) else None, data=data)


def returned(chain: Chain, path: str) -> Any:
    """What a run answers: `$last`, `$all`, or what a path leads to; null where it leads nowhere."""
    if path == "$all":
        return dict(chain)
    found = lookup_text(chain, path)
    return None if found is MISSING else found
