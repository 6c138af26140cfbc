"""Errors on their way out: whatever is raised, the caller gets the envelope, and nothing of the inside."""

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from datastead.api.answers import POWERED_BY, NoContent, error_answer
from datastead.data.violations import violation_of
from datastead.errors import (
    InvalidPayload,
    InvalidQuery,
    RequestError,
    RouteNotFound,
    ServiceUnavailable,
    UnsupportedMediaType,
)


class Edge:
    """The outermost layer of ours: no exception leaves it, `HEAD` is a `GET` without a body, `/x/` is `/x`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if path[-1:] == "/" and path != "/":
            scope["path"] = path.rstrip("/") or "/"
        if scope["method"] == "HEAD":
            scope, send = {**scope, "method": "GET", "datastead.head": True}, _without_body(send)
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            return  # nobody is there to answer
        except Exception as error:  # noqa: BLE001  the edge: answered without internals, and logged
            answer = error_answer(_told(error))
            if not started:
                await answer(scope, receive, send)


def _told(error: Exception) -> Exception:
    """What a database that is busy or slow has refused is nobody's fault; other errors are as they are."""
    kind = violation_of(error).kind if isinstance(error, DBAPIError) else None
    if kind == "slow":
        return ServiceUnavailable("The database takes longer for this than `QUERY_TIMEOUT`: ask for less.")
    return ServiceUnavailable("The database is busy: try again.") if kind == "busy" else error


def install_error_handlers(app: FastAPI) -> None:
    """What the framework itself refuses, in the same envelope."""
    app.add_exception_handler(RequestError, _request_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)


async def _request_error(_: Request, error: Exception) -> Response:
    return error_answer(error)


async def _http_error(request: Request, error: Exception) -> Response:
    """A path or a method that no route has: for Directus's clients both are `ROUTE_NOT_FOUND`."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405 and request.method == "OPTIONS":
        answer = NoContent()
        answer.raw_headers = [POWERED_BY, (b"allow", (error.headers or {}).get("Allow", "").encode())]
        return answer
    if error.status_code in {404, 405}:
        return error_answer(route_not_found(request.url.path))
    if error.status_code == 415:
        return error_answer(UnsupportedMediaType())
    return error_answer(InvalidPayload(str(error.detail)))


def route_not_found(path: str) -> RouteNotFound:
    """The error for a path."""
    return RouteNotFound(f"There is no route `{path[:200]}`.", path=path[:200])


async def _validation_error(_: Request, error: Exception) -> Response:
    """What pydantic found, without the values: they may be secrets."""
    assert isinstance(error, RequestValidationError)
    problem: Any = error.errors()[0]
    place, *path = [str(step) for step in problem["loc"]]
    name = ".".join(path)
    reason = f"`{name}`: {problem['msg']}." if name else f"{problem['msg']}."
    kind = InvalidQuery if place == "query" else InvalidPayload
    return error_answer(kind(reason, reason=reason, field=name or None))


def _without_body(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return sent
