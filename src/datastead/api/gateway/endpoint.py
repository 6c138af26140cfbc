"""A route that calls a model, whole or streamed, in whatever words its clients speak.

Plain ASGI and orjson, with no layer between the route and the call path: what this costs is what a gateway costs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from datastead.ai.engine import GenerationResult, GenerationStream
from datastead.ai.requests import CallOptions
from datastead.api.answers import POWERED_BY, Json
from datastead.api.body import invalid, parse_json, read_bytes
from datastead.api.gateway.leaving import Leaving
from datastead.api.request import context_of, parameters_of
from datastead.context import Context
from datastead.errors import DatasteadError, InvalidCredentials, InvalidOutput
from datastead.messages import StreamEvent

Headers = list[tuple[bytes, bytes]]

_EVENT_STREAM: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # nginx would keep back what should be seen at once
    POWERED_BY,
]


@dataclass(slots=True)
class Ask:
    """What a request asks for, read. ignored: parameters that the model's provider has no place for.

    body: as it came, for what an answer repeats.
    """

    prompt: str | None
    options: CallOptions
    stream: bool = False
    ignored: Sequence[str] = ()
    body: Mapping[str, Any] = field(default_factory=dict)


class Encoder(Protocol):
    """Writes one stream, in one dialect: bytes for each event, or none."""

    def begin(self, call: str | None) -> bytes: ...

    def write(self, event: StreamEvent) -> bytes: ...

    def end(self, result: GenerationResult) -> bytes: ...

    def fail(self, error: BaseException) -> bytes: ...


class Dialect(Protocol):
    """The words of one kind of client."""

    def read(self, body: dict[str, Any], ctx: Context) -> Ask: ...

    def whole(self, ask: Ask, result: GenerationResult) -> Any:
        """The body of an answer."""

    def encoder(self, ask: Ask) -> Encoder: ...

    def refuse(self, error: BaseException) -> Json: ...

    def unfinished(self, error: InvalidOutput) -> GenerationResult | None:
        """The answer, where these clients want one that broke off before it fitted; None = it is an error to them."""


class ModelEndpoint:
    """One dialect, as an ASGI app."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            ctx = await signed_in(scope)
            ask = self._dialect.read(await read_body(scope, receive, ctx), ctx)
            ask.options["context"] = ctx
            with Leaving(receive) as leaving:
                if ask.stream:
                    await self._stream(ctx, ask, send, leaving)
                else:
                    answer = await self._whole(ctx, ask)
                    leaving.stop()
                    await answer(scope, receive, send)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001  answered in the client's own words, and logged where it is ours
            await self._dialect.refuse(error)(scope, receive, send)

    async def _whole(self, ctx: Context, ask: Ask) -> Json:
        try:
            result = await ctx.services.ai.generate(ask.prompt, **ask.options)
        except InvalidOutput as error:
            unfinished = self._dialect.unfinished(error)
            if unfinished is None:
                raise
            result = unfinished
        return Json(self._dialect.whole(ask, result), headers=said_of(ctx, ask, result.call, result.cost))

    async def _stream(self, ctx: Context, ask: Ask, send: Send, leaving: Leaving) -> None:
        """Nothing is answered before the first event: an error until then has its own HTTP status."""
        async with ctx.services.ai.generate_stream(ask.prompt, **ask.options) as stream:
            first = await anext(stream)
            encoder = self._dialect.encoder(ask)
            headers = [*_EVENT_STREAM, *said_of(ctx, ask, stream.call, None)]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            last = await self._events(stream, first, encoder, send)
            leaving.stop()
            await send({"type": "http.response.body", "body": last, "more_body": False})

    async def _events(self, stream: GenerationStream, first: StreamEvent, encoder: Encoder, send: Send) -> bytes:
        """Sends what comes, and gives the end."""
        try:
            await _send(send, encoder.begin(stream.call) + encoder.write(first))
            async for event in stream:
                piece = encoder.write(event)
                if piece:
                    await _send(send, piece)
            return encoder.end(stream.result)
        except InvalidOutput as error:
            unfinished = self._dialect.unfinished(error)
            return encoder.fail(error) if unfinished is None else encoder.end(unfinished)
        except Exception as error:  # noqa: BLE001  the status is out already: the error is an event
            return encoder.fail(error)


async def signed_in(scope: Scope) -> Context:
    """The unit of work of a request by a user. Raises `InvalidCredentials` for the public."""
    ctx = await context_of(scope, parameters_of(scope))
    if ctx.actor.user is None:
        raise InvalidCredentials("Models are called with a token: send `Authorization: Bearer <token>`.")
    return ctx


async def read_body(scope: Scope, receive: Receive, ctx: Context) -> dict[str, Any]:
    """The body, which has to be an object."""
    raw = await read_bytes(scope, receive, ctx.services.settings.ai_max_payload_size)
    kind = next((value for name, value in scope["headers"] if name == b"content-type"), None)
    body = parse_json(raw, kind.decode("latin-1") if kind is not None else None) if raw else None
    if not isinstance(body, dict):
        raise invalid("The body has to be a JSON object.")
    return body


def said_of(ctx: Context, ask: Ask, call: str | None, cost: Decimal | None) -> Headers:
    """What the headers say of a call: its row in the ledger, what it cost in USD, what was left out."""
    headers: Headers = [(b"x-request-id", ctx.request_id.encode())]
    if call is not None:
        headers.append((b"x-datastead-call", call.encode()))
    if cost is not None:
        headers.append((b"x-datastead-cost", f"{cost:f}".encode()))
    if ask.ignored:
        names = ",".join(name for name in ask.ignored if name.isascii() and name.isidentifier())
        headers.append((b"x-datastead-ignored", names.encode()[:1000]))
    return headers


async def _send(send: Send, piece: bytes) -> None:
    await send({"type": "http.response.body", "body": piece, "more_body": True})


def expected(error: BaseException) -> bool:
    """Whether an error is for the caller to see, and not a mistake of ours."""
    return isinstance(error, DatasteadError) and (error.status < 500 or type(error) is not DatasteadError)
