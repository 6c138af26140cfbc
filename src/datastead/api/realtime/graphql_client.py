"""`GraphqlClient`: one connection at `/graphql`, by the protocol `graphql-transport-ws` of the package graphql-ws."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import orjson

from datastead.api.answers import entry_of
from datastead.api.body import parse_json
from datastead.api.graphql.service import Graphql
from datastead.api.graphql.subscribing import Wish
from datastead.api.realtime.caller import Caller
from datastead.api.realtime.inbox import Inbox
from datastead.api.realtime.messages import MAX_UID
from datastead.api.realtime.socket import GOING_AWAY, TRY_AGAIN, Socket
from datastead.errors import DatasteadError, InvalidCredentials, InvalidToken, RequestError, TokenExpired
from datastead.realtime.feed import Change
from datastead.realtime.hub import Realtime
from datastead.realtime.subscription import Subscription
from datastead.settings import Settings

log = logging.getLogger("datastead.api")

BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, TOO_LATE, TAKEN, TWICE = 4400, 4401, 4403, 4408, 4409, 4429
WATCH_S = 60.0
NOT_SIGNED_IN = (TokenExpired, InvalidToken, InvalidCredentials)


class _Operation:
    """A subscription that is under way."""

    def __init__(self, request: Mapping[str, Any], wish: Wish, subscription: Subscription) -> None:
        self.request = request
        self.wish = wish
        self.subscription = subscription


class GraphqlClient:
    """For as long as the connection lasts; whoever is not signed in any more is cut off."""

    def __init__(self, socket: Socket, caller: Caller, hub: Realtime, graphql: Graphql, settings: Settings) -> None:
        self._socket = socket
        self._caller = caller
        self._hub = hub
        self._graphql = graphql
        self._settings = settings
        self._is_ready = False
        self._operations: dict[str, _Operation] = {}
        self._inbox = Inbox(self._fell_behind)
        self._turn = asyncio.Lock()
        self._closing: asyncio.Task[None] | None = None
        self._was_heard = True

    def put(self, change: Change) -> None:
        """A change of a collection that it subscribes to."""
        self._inbox.put(change)

    def _fell_behind(self) -> None:
        log.warning("A WebSocket client that falls behind is cut off.")
        closing = self._socket.close(TRY_AGAIN, "You have fallen behind: connect again.")
        self._closing = asyncio.get_running_loop().create_task(closing)

    async def run(self) -> None:
        """Until one of its parts ends."""
        loop = asyncio.get_running_loop()
        works = [self._hear(), self._tell(), self._watch()]
        works += [self._beat()] if self._settings.websockets_heartbeat_enabled else []
        tasks = [loop.create_task(work) for work in works]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for operation in self._operations.values():
                self._hub.unsubscribe(self, operation.subscription.collection)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self) -> None:
        """Ends what is not begun in time, and what a token does not last for."""
        await asyncio.sleep(self._settings.websockets_graphql_auth_timeout)
        if not self._is_ready:
            await self._socket.close(TOO_LATE, "Connection initialisation timeout")
            return
        while True:
            left_s = self._caller.left_s()
            if left_s == 0:
                await self._socket.close(FORBIDDEN, "Forbidden")
                return
            await asyncio.sleep(WATCH_S if left_s is None else min(left_s, WATCH_S))

    async def _beat(self) -> None:
        """Asks whether the client is there; any message is an answer."""
        while True:
            await asyncio.sleep(self._settings.websockets_heartbeat_period)
            if not self._was_heard:
                break
            self._was_heard = False
            await self._socket.send({"type": "ping"})
        await self._socket.close(GOING_AWAY, "No answer to a ping.")

    async def _hear(self) -> None:
        while True:
            raw = await self._socket.receive()
            self._was_heard = True
            try:
                message = parse_json(raw, None)
            except RequestError:
                message = None
            if not isinstance(message, dict) or not isinstance(message.get("type"), str):
                await self._socket.close(BAD_REQUEST, "Invalid message")
                return
            if not await self._take(message):
                return

    async def _take(self, message: dict[str, Any]) -> bool:
        """Whether the connection goes on."""
        kind, mark = message["type"], message.get("id")
        if kind == "ping":
            await self._socket.send({"type": "pong"})
        elif kind == "connection_init":
            return await self._begin(message)
        elif kind == "complete" and isinstance(mark, str):
            async with self._turn:
                self._drop(mark)
        elif kind == "subscribe":
            return await self._subscribe(message)
        elif kind != "pong":
            await self._socket.close(BAD_REQUEST, "Invalid message")
            return False
        return True

    async def _begin(self, message: dict[str, Any]) -> bool:
        if self._is_ready:
            await self._socket.close(TWICE, "Too many initialisation requests")
            return False
        payload = message.get("payload")
        try:
            if isinstance(payload, dict) and payload.keys() & {"access_token", "email", "refresh_token"}:
                await self._caller.sign_in(payload)
        except RequestError:
            self._caller.token = None
            await self._socket.close(FORBIDDEN, "Forbidden")
            return False
        if self._caller.token is None and self._settings.websockets_graphql_auth != "public":
            await self._socket.close(FORBIDDEN, "Forbidden")
            return False
        self._is_ready = True
        await self._socket.send({"type": "connection_ack"})
        return True

    async def _subscribe(self, message: dict[str, Any]) -> bool:
        mark, request = message.get("id"), message.get("payload")
        if not self._is_ready:
            await self._socket.close(UNAUTHORIZED, "Unauthorized")
            return False
        if not isinstance(mark, str) or not 0 < len(mark) <= MAX_UID or not isinstance(request, dict):
            await self._socket.close(BAD_REQUEST, "Invalid message")
            return False
        if mark in self._operations:
            await self._socket.close(TAKEN, f"Subscriber for {mark[:50]} already exists")
            return False
        try:
            self._socket.count()
            await self._carry_out(mark, request)
        except NOT_SIGNED_IN:
            await self._socket.close(FORBIDDEN, "Forbidden")
            return False
        except DatasteadError as error:
            await self._socket.send({"type": "error", "id": mark, "payload": [entry_of(error)]})
        return True

    async def _carry_out(self, mark: str, request: dict[str, Any]) -> None:
        """Answers a query or a mutation; begins a subscription."""
        ctx = await self._caller.context()
        wish = await self._graphql.wish(ctx, "items", request)
        if wish is None:
            answer = await self._graphql.answer(ctx, "items", request)
            await self._socket.send({"type": "next", "id": mark, "payload": answer})
            await self._socket.send({"type": "complete", "id": mark})
            return
        if len(self._operations) >= self._settings.websockets_max_subscriptions:
            raise RequestError("There are too many subscriptions on this connection (`WEBSOCKETS_MAX_SUBSCRIPTIONS`).")
        parts = [request.get(name) for name in ("query", "variables", "operationName")]
        asked = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)
        subscription = Subscription(self._hub, wish.collection, wish.query, asked, wish.event, uid=mark)
        await self._hub.subscribe(self, wish.collection)
        try:
            async with self._turn:
                await subscription.begin(ctx)
                self._operations[mark] = _Operation(request, wish, subscription)
        except BaseException:
            self._hub.unsubscribe(self, wish.collection)
            raise

    def _drop(self, mark: str) -> None:
        operation = self._operations.pop(mark, None)
        if operation is not None:
            self._hub.unsubscribe(self, operation.subscription.collection)

    async def _tell(self) -> None:
        while True:
            await self._inbox.wait()
            async with self._turn:
                change = self._inbox.take()
                if change is not None and not await self._tell_all(change):
                    return

    async def _tell_all(self, change: Change) -> bool:
        """Tells of a change whoever subscribes to it; whether the connection goes on."""
        for mark, operation in list(self._operations.items()):
            if operation.wish.collection != change.collection:
                continue
            try:
                await self._tell_of(mark, operation, change)
            except NOT_SIGNED_IN:
                await self._socket.close(FORBIDDEN, "Forbidden")
                return False
            except DatasteadError as error:
                self._drop(mark)
                await self._socket.send({"type": "error", "id": mark, "payload": [entry_of(error)]})
        return True

    async def _tell_of(self, mark: str, operation: _Operation, change: Change) -> None:
        """One message for each item."""
        ctx = await self._caller.context()
        told = await operation.subscription.told(ctx, change)
        wish = operation.wish
        wish.ctx = ctx
        for entry in told["data"] if told else ():
            is_gone = change.action == "delete"
            key, row = (entry, None) if is_gone else (entry.get(wish.key), entry)
            answer = wish.told(change.action, key, row)
            payload = await self._graphql.event(wish, "items", operation.request, answer)
            await self._socket.send({"type": "next", "id": mark, "payload": payload})
