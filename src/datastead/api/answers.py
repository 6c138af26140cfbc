"""Answers: `{"data": …}`, 204, and the error envelope, each with the same headers."""

import logging
from base64 import b64encode
from collections.abc import Sequence
from decimal import Decimal
from hashlib import sha1
from typing import Any
from uuid import UUID

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from datastead.errors import AIError, DatasteadError, OperationRejected, RequestsExceeded

log = logging.getLogger("datastead.api")

JSON = b"application/json; charset=utf-8"
REASONED = {"INVALID_PAYLOAD", "INVALID_QUERY"}
"""What always says why, for clients that show nothing else."""

LARGEST = 2**53 - 1
"""The largest whole number that JavaScript tells from its neighbours."""

POWERED_BY = (b"x-powered-by", b"Datastead")


class Json(Response):
    """A JSON answer: bytes with three headers, and nothing else to work out."""

    def __init__(self, content: Any, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        self.status_code = status
        self.background = None
        self.body = encoded(content)
        length = str(len(self.body)).encode()
        self.raw_headers = [(b"content-type", JSON), (b"content-length", length), POWERED_BY, *headers]

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


class NoContent(Response):
    """204, without a body."""

    def __init__(self) -> None:
        self.status_code = 204
        self.background = None
        self.body = b""
        self.raw_headers = [POWERED_BY]


class NotModified(Response):
    """304, for who has the same answer already."""

    def __init__(self, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self.status_code = 304
        self.background = None
        self.body = b""
        self.raw_headers = [POWERED_BY, *headers]


def revalidated(answer: Response, scope: Scope) -> Response:
    """An answer to a GET, to be asked for again each time, and to be sent again only where it is another."""
    if not isinstance(answer, Json) or answer.status_code != 200:
        return answer
    digest = b64encode(sha1(answer.body, usedforsecurity=False).digest()).rstrip(b"=")
    tag = b'W/"%x-%s"' % (len(answer.body), digest)
    headers = [(b"vary", b"Origin, Cache-Control"), (b"etag", tag), (b"cache-control", b"no-cache")]
    known = next((value for name, value in scope["headers"] if name == b"if-none-match"), None)
    if known is not None and tag[2:] in {each.strip().removeprefix(b"W/") for each in known.split(b",")}:
        return NotModified(headers)
    answer.raw_headers += headers
    return answer


def data(value: Any, meta: Any = None) -> Response:
    """`{"data": value}`, with `meta` before it where it was asked for."""
    return Json({"data": value} if meta is None else {"meta": meta, "data": value})


def error_answer(error: BaseException, *, contract: bool = True) -> Json:
    """The envelope for any error. contract: Directus's code for an error of ours that it does not know."""
    if isinstance(error, DatasteadError) and (error.status < 500 or type(error) is not DatasteadError):
        status, entry = _entry(error, contract=contract)
        return Json({"errors": [entry]}, status, _retry_after(error))
    log.error("A request failed: %s", type(error).__name__, exc_info=error)
    return Json({"errors": [internal_error()]}, 500)


def internal_error() -> dict[str, Any]:
    """What a caller sees of an error that nobody expected."""
    return {"message": "Something went wrong in the server.", "extensions": {"code": "INTERNAL_SERVER_ERROR"}}


def entry_of(error: DatasteadError) -> dict[str, Any]:
    """One error in the envelope's list."""
    return _entry(error, contract=True)[1]


def _entry(error: DatasteadError, *, contract: bool) -> tuple[int, dict[str, Any]]:
    status, codes = error.status, {"code": error.code}
    if isinstance(error, AIError) and contract:
        status, codes = error.contract_status, {"code": error.contract_code, "ai_code": error.code}
    elif isinstance(error, OperationRejected):
        return _rejection(error)
    details = {name: value for name, value in error.details.items() if value is not None}
    if error.code in REASONED:
        details = {"reason": error.message.removesuffix("."), **details}
    return status, {"message": error.message, "extensions": {**details, **codes}}


def _rejection(error: OperationRejected) -> tuple[int, dict[str, Any]]:
    """What a flow's last operation was rejected with, in its own words where it has some."""
    said = error.data if isinstance(error.data, dict) else {}
    code, status, message = said.get("code"), said.get("status"), said.get("message")
    return (
        status if isinstance(status, int) and 400 <= status <= 599 else error.status,
        {
            "message": message if isinstance(message, str) else error.message,
            "extensions": {**error.details, "code": code if isinstance(code, str) else error.code},
        },
    )


def _retry_after(error: DatasteadError) -> list[tuple[bytes, bytes]]:
    seconds = error.retry_after_s if isinstance(error, AIError | RequestsExceeded) else None
    return [] if seconds is None else [(b"retry-after", str(max(0, round(seconds))).encode())]


def encoded(value: Any) -> bytes:
    """As JSON. A whole number that JavaScript cannot hold is text: there it would be read as another."""
    try:
        return orjson.dumps(value, default=plain, option=orjson.OPT_STRICT_INTEGER)
    except orjson.JSONEncodeError:
        return orjson.dumps(_within_53_bits(value), default=plain)


def _within_53_bits(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _within_53_bits(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_within_53_bits(entry) for entry in value]
    is_large = isinstance(value, int) and not -LARGEST <= value <= LARGEST
    return str(value) if is_large else value


def plain(value: Any) -> Any:
    """What JSON has no word for: exact numbers as text, as Directus's drivers give them."""
    if isinstance(value, Decimal | UUID):
        return str(value)
    raise TypeError(f"`{type(value).__name__}` is not JSON")
