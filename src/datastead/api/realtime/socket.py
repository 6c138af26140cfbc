"""`Socket`: a WebSocket that bounds what a client can cost: the size of messages, and how long it may take to read."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

import orjson
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from datastead.api.answers import error_answer, plain
from datastead.api.rate_limits import LIMIT
from datastead.errors import DatasteadError, RequestsExceeded

log = logging.getLogger("datastead.api")

SEND_S = 10.0
"""How long a client may take to read what there is for it, before it is cut off."""
TOO_LARGE, TRY_AGAIN, GOING_AWAY, REFUSED = 1009, 1013, 1001, 1008
"""What a close says, of those that RFC 6455 and IANA's registry have."""


class Gone(Exception):
    """The connection is over: the other side has hung up, or was made to."""


class Socket:
    """One client's. max_size: of a message, in bytes."""

    def __init__(self, websocket: WebSocket, max_size: int) -> None:
        self._websocket = websocket
        self._max_size = max_size

    async def accept(self, subprotocol: str | None = None) -> None:
        """Lets the client in."""
        await self._websocket.accept(subprotocol)

    async def refuse(self, error: DatasteadError) -> None:
        """Answers the handshake with an error."""
        answer = error_answer(error)
        if "websocket.http.response" in self._websocket.scope.get("extensions", {}):
            denial = Response(bytes(answer.body), answer.status_code, media_type="application/json")
            await self._websocket.send_denial_response(denial)
            await asyncio.sleep(0.01)  # uvicorn takes it for a fault when we end before the connection does
        else:
            await self._websocket.close(REFUSED)

    async def receive(self) -> bytes:
        """The next message. Raises `Gone`; what is too large ends the connection."""
        try:
            message = await self._websocket.receive()
        except (WebSocketDisconnect, RuntimeError):
            raise Gone from None
        if message["type"] == "websocket.disconnect":
            raise Gone
        text = message.get("text")
        raw: bytes = message.get("bytes") or b"" if text is None else text.encode("utf-8", "surrogatepass")
        if len(raw) > self._max_size:
            await self.close(TOO_LARGE, "The message is larger than `MAX_PAYLOAD_SIZE`.")
            raise Gone
        return raw

    def count(self) -> None:
        """One message that asks for something. Raises `RequestsExceeded` where the address has sent too many."""
        counts: Callable[[], RequestsExceeded | None] | None = self._websocket.scope.get(LIMIT)
        error = counts() if counts is not None else None
        if error is not None:
            raise error

    async def send(self, message: Any) -> None:
        """Sends JSON. Raises `Gone`, also where the client has not read for too long."""
        text = orjson.dumps(message, default=plain).decode()
        try:
            async with asyncio.timeout(SEND_S):
                await self._websocket.send_text(text)
        except TimeoutError:
            log.warning("A WebSocket client that reads too slowly is cut off.")
            raise Gone from None
        except (WebSocketDisconnect, RuntimeError, OSError):
            raise Gone from None

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Ends the connection, where it is open."""
        if self._websocket.application_state is WebSocketState.DISCONNECTED:
            return
        with contextlib.suppress(RuntimeError, OSError, TimeoutError, WebSocketDisconnect):
            async with asyncio.timeout(SEND_S):
                await self._websocket.close(code, reason)
