"""The simulator's ASGI app: each vendor's routes, and `/_simulator` for whoever scripts and watches it."""

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from datastead.testing.simulator import anthropic, google, openai_rules
from datastead.testing.simulator.anthropic import AnthropicMessages
from datastead.testing.simulator.behaviour import Behaviour, Script
from datastead.testing.simulator.embeddings import GoogleEmbeddings, OpenAIEmbeddings
from datastead.testing.simulator.exchange import Answer, Ask, Fault, Wire, compose
from datastead.testing.simulator.google import GoogleGenerate
from datastead.testing.simulator.openai_chat import OpenAIChat
from datastead.testing.simulator.openai_responses import OpenAIResponses

KEPT_REQUESTS = 1000
BLOCK_BYTES = 4096
MODELS = ("gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4.1-nano", "gpt-5", "gpt-5-mini", "gpt-5-nano", "simulated")
_FAILURES = frozenset(
    {"rate-limit", "quota", "unavailable", "overloaded", "context-length", "bad-key", "model-not-found", "no-route"}
)


@dataclass(slots=True)
class State:
    """What one simulator remembers. requests: the last ones, `{path, headers, json, status, disconnected}` each."""

    script: Script = field(default_factory=Script)
    requests: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=KEPT_REQUESTS))
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def reset(self) -> None:
        self.script.clear()
        self.requests.clear()


def create_simulator(state: State | None = None) -> Starlette:
    """The app: OpenAI, Anthropic and Google at their own paths; under `/compatible/v1` a server that needs no key."""
    kept = state or State()
    chat, compatible = OpenAIChat(), OpenAIChat(compatible=True)
    keyless = OpenAIEmbeddings(compatible=True)
    generate = _google(kept)
    routes = [
        Route("/v1/responses", _endpoint(kept, OpenAIResponses(), openai_rules.MESSAGES), methods=["POST"]),
        Route("/v1/chat/completions", _endpoint(kept, chat, openai_rules.MESSAGES), methods=["POST"]),
        Route("/compatible/v1/chat/completions", _endpoint(kept, compatible, openai_rules.MESSAGES), methods=["POST"]),
        Route("/v1/embeddings", _endpoint(kept, OpenAIEmbeddings(), openai_rules.MESSAGES), methods=["POST"]),
        Route("/compatible/v1/embeddings", _endpoint(kept, keyless, openai_rules.MESSAGES), methods=["POST"]),
        Route("/v1/messages", _endpoint(kept, AnthropicMessages(), anthropic.MESSAGES), methods=["POST"]),
        Route("/v1beta/models/{model}", generate, methods=["POST"]),
        Route("/v1/models/{model}", generate, methods=["POST"]),
        Route("/v1/models", _models),
        Route("/compatible/v1/models", _models),
        Route("/_simulator/script", _scripting(kept), methods=["POST"]),
        Route("/_simulator/default", _defaulting(kept), methods=["PUT"]),
        Route("/_simulator/requests", _watching(kept)),
        Route("/_simulator", _resetting(kept), methods=["DELETE"]),
    ]
    app = Starlette(routes=routes, exception_handlers={404: _not_found})
    app.state.simulator = kept
    return app


def _google(state: State) -> Any:
    """Google has the method in the path's last part, behind a colon."""
    embed = _endpoint(state, GoogleEmbeddings(), google.MESSAGES)
    generate = _endpoint(state, GoogleGenerate(), google.MESSAGES)

    async def endpoint(request: Request) -> Response:
        is_embedding = request.path_params["model"].endswith(":batchEmbedContents")
        response: Response = await (embed if is_embedding else generate)(request)
        return response

    return endpoint


def _endpoint(state: State, wire: Wire, messages: Mapping[str, str]) -> Any:
    async def endpoint(request: Request) -> Response:
        entry: dict[str, Any] = {
            "method": request.method,
            "path": request.url.path,
            "query": dict(request.query_params),
        }
        entry |= {"headers": dict(request.headers), "json": None, "status": 200, "disconnected": False}
        state.requests.append(entry)
        try:
            body = _parsed(await request.body())
            entry["json"] = body
            ask = wire.read(request, body)
            behaviour = state.script.take(ask.model, ask.prompt)
            await asyncio.sleep(behaviour.delay_s)
            if behaviour.kind in _FAILURES or (behaviour.kind == "error-in-stream" and not ask.stream):
                raise _failure(behaviour, messages)
        except Fault as fault:
            status, headers, refusal = wire.refuse(fault)
            entry["status"] = status
            return _json(refusal, status, headers)
        if behaviour.body is not None:
            return _as_told(ask, behaviour, entry)
        return _answer(wire, ask, behaviour, compose(ask, behaviour, next(state.numbers)), entry)

    return endpoint


def _parsed(raw: bytes) -> Mapping[str, Any]:
    try:
        body = orjson.loads(raw)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Fault("invalid", "We could not parse the JSON body of your request.")
    return body


def _failure(behaviour: Behaviour, messages: Mapping[str, str]) -> Fault:
    kind = behaviour.kind if behaviour.kind in _FAILURES else "unavailable"
    fault = Fault(kind, messages[kind])
    fault.retry_after_s = behaviour.retry_after_s
    fault.status = behaviour.status if behaviour.kind == "unavailable" else None
    return fault


def _as_told(ask: Ask, behaviour: Behaviour, entry: dict[str, Any]) -> Response:
    """The body that the behaviour has, as it is; or cut at its end."""
    entry["status"] = status = behaviour.status or 200
    as_text = isinstance(behaviour.body, str)
    body = behaviour.body.encode() if isinstance(behaviour.body, str) else orjson.dumps(behaviour.body)
    kind = "text/event-stream" if as_text and ask.stream else "application/json"
    headers = {"content-type": kind, **behaviour.headers}
    if behaviour.kind == "cut" or (as_text and behaviour.chunk_delay_s):
        pieces = [piece + b"\n\n" for piece in body.split(b"\n\n") if piece] if as_text else [body]
        return StreamedAnswer(iter(pieces), behaviour, entry, headers)
    return Response(body, status, headers)


def _answer(wire: Wire, ask: Ask, behaviour: Behaviour, answer: Answer, entry: dict[str, Any]) -> Response:
    headers = {**wire.headers(answer.number), **behaviour.headers}
    if ask.stream:
        headers = {"content-type": "text/event-stream", "cache-control": "no-cache", **headers}
        return StreamedAnswer(_blocks(wire, ask, behaviour, answer), behaviour, entry, headers)
    headers = {"content-type": "application/json", **headers}
    body = orjson.dumps(wire.whole(ask, answer))
    if behaviour.kind == "malformed":
        return Response(body[: len(body) // 2], headers=headers)
    if behaviour.kind == "cut":
        return StreamedAnswer(iter([body[: len(body) // 2]]), behaviour, entry, headers)
    return Response(body, headers=headers)


def _blocks(wire: Wire, ask: Ask, behaviour: Behaviour, answer: Answer) -> Iterator[bytes]:
    """A stream's bytes, in what is sent at once: piece by piece where there are delays, else in larger blocks."""
    whole = behaviour.kind not in {"cut", "error-in-stream", "malformed"}
    shown = answer.pieces if whole else answer.pieces[: behaviour.after_chunks]
    pieces = [wire.piece(ask, answer, index, text) for index, text in enumerate(shown)]
    yield wire.opening(ask, answer)
    yield from pieces if behaviour.chunk_delay_s else _joined(pieces)
    if whole:
        yield wire.closing(ask, answer)
    elif behaviour.kind == "malformed":
        yield wire.piece(ask, answer, len(pieces), "x")[:-6] + b"\n\n"
    elif behaviour.kind == "error-in-stream":
        yield wire.broken()


def _joined(pieces: list[bytes]) -> Iterator[bytes]:
    block: list[bytes] = []
    size = 0
    for piece in pieces:
        block.append(piece)
        size += len(piece)
        if size >= BLOCK_BYTES:
            yield b"".join(block)
            block, size = [], 0
    yield b"".join(block)


class StreamedAnswer(Response):
    """Server-sent events; or an answer that is cut: the connection closes in its middle, as when a server dies."""

    def __init__(
        self,
        blocks: Iterator[bytes],
        behaviour: Behaviour,
        entry: dict[str, Any],
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(None, headers=headers)
        self._blocks = blocks
        self._behaviour = behaviour
        self._entry = entry

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        headers = [pair for pair in self.raw_headers if pair[0] != b"content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        leaving = asyncio.ensure_future(_left(receive)) if self._behaviour.chunk_delay_s else None
        for block in self._blocks:
            if leaving is not None and await self._left_meanwhile(leaving):
                return
            if block:
                await send({"type": "http.response.body", "body": block, "more_body": True})
        if leaving is not None:
            leaving.cancel()
        if self._behaviour.kind == "cut":
            return  # without an end, at which the server closes the connection
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _left_meanwhile(self, leaving: "asyncio.Future[None]") -> bool:
        await asyncio.wait([leaving], timeout=self._behaviour.chunk_delay_s)
        self._entry["disconnected"] = leaving.done()
        return leaving.done()


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _json(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(body, default=str), status, dict(headers or {}), media_type="application/json")


async def _models(_: Request) -> Response:
    entries = [{"id": name, "object": "model", "created": 1735689600, "owned_by": "simulator"} for name in MODELS]
    return _json({"object": "list", "data": entries})


async def _not_found(request: Request, _: Exception) -> Response:
    message = f"Invalid URL ({request.method} {request.url.path})"
    return _json({"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}, 404)


def _scripting(state: State) -> Any:
    async def script(request: Request) -> Response:
        try:
            state.script.add(orjson.loads(await request.body()))
        except (ValueError, TypeError) as error:
            return _json({"error": str(error)}, 400)
        return _json({"queued": len(state.script)})

    return script


def _defaulting(state: State) -> Any:
    async def default(request: Request) -> Response:
        try:
            state.script.default = Behaviour.of(orjson.loads(await request.body()))
        except (ValueError, TypeError) as error:
            return _json({"error": str(error)}, 400)
        return _json({"default": state.script.default.kind})

    return default


def _watching(state: State) -> Any:
    async def requests(_: Request) -> Response:
        return _json({"requests": list(state.requests)})

    return requests


def _resetting(state: State) -> Any:
    async def reset(_: Request) -> Response:
        state.reset()
        return Response(status_code=204)

    return reset
