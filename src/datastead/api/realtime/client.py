"""`Client`: one connection at `/websocket`: who it is, what it asks, and what it is told of changes."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from datastead.api.doors import Doors
from datastead.api.realtime.caller import Caller
from datastead.api.realtime.inbox import Inbox
from datastead.api.realtime.items import act
from datastead.api.realtime.messages import Incoming, failure, incoming, subscription_of
from datastead.api.realtime.socket import GOING_AWAY, REFUSED, TRY_AGAIN, Gone, Socket
from datastead.context import Context
from datastead.errors import (
    AuthenticationFailed,
    AuthenticationTimeout,
    DatasteadError,
    InvalidCredentials,
    InvalidPayload,
    InvalidToken,
    RequestError,
    ServiceUnavailable,
    TokenExpired,
    UnprocessableContent,
)
from datastead.realtime.feed import Change
from datastead.realtime.hub import Realtime
from datastead.realtime.subscription import Subscription
from datastead.settings import Settings

log = logging.getLogger("datastead.api")

NOT_SIGNED_IN = (TokenExpired, InvalidToken, InvalidCredentials)


class Client:
    """is_signed_in: False until it has said who it is, and again when that is over; nothing is told meanwhile."""

    def __init__(self, socket: Socket, caller: Caller, hub: Realtime, doors: Doors, settings: Settings) -> None:
        self._socket = socket
        self._caller = caller
        self._hub = hub
        self._doors = doors
        self._settings = settings
        self._is_public = settings.websockets_rest_auth == "public"
        self._is_signed_in = self._has_shaken_hands = caller.token is not None or self._is_public
        self._subscriptions: dict[Any, Subscription] = {}
        self._inbox = Inbox(self._fell_behind)
        self._turn = asyncio.Lock()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._was_heard = True
        self._ending = asyncio.Event()

    async def run(self) -> None:
        """For as long as the connection lasts."""
        if self._settings.websockets_heartbeat_enabled:
            self._start(self._beat())
        if not self._is_signed_in:
            self._at("auth", self._settings.websockets_rest_auth_timeout, self._auth_is_late)
        self._watch_expiry()
        hearing = self._start(self._hear())
        ended = asyncio.ensure_future(self._ending.wait())
        try:
            await asyncio.wait({hearing, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ended.cancel()
            await self._end()

    async def _end(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        for subscription in self._subscriptions.values():
            self._hub.unsubscribe(self, subscription.collection)
        self._subscriptions.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def put(self, change: Change) -> None:
        """A change of a collection that it subscribes to."""
        if not self._is_signed_in:
            return
        self._inbox.put(change)

    def _fell_behind(self) -> None:
        log.warning("A WebSocket client that falls behind is cut off.")
        self._start(self._close(TRY_AGAIN, "You have fallen behind: connect again."))

    async def _hear(self) -> None:
        """Takes one message after the other."""
        with contextlib.suppress(Gone):
            while True:
                raw = await self._socket.receive()
                self._was_heard = True
                await self._take(raw)

    async def _take(self, raw: bytes) -> None:
        try:
            message = incoming(raw)
        except RequestError as error:
            if self._is_signed_in:
                await self._socket.send(failure("server", error))
                return
            message = Incoming("auth", {})
        try:
            await self._answer(message)
        except NOT_SIGNED_IN as error:
            await self._signed_out(error)
        except DatasteadError as error:
            await self._socket.send(failure(message.type, error, message.uid))
        except Gone:
            raise
        except Exception:
            log.exception("A WebSocket message failed.")
            await self._socket.send(failure(message.type, None, message.uid))

    async def _answer(self, message: Incoming) -> None:
        if message.type not in {"ping", "pong"}:
            self._socket.count()
        if message.type == "auth":
            await self._authenticate(message)
        elif message.type == "ping":
            await self._socket.send({**message.answer(), "type": "pong"})
        elif message.type == "pong":
            return
        elif not self._is_signed_in:
            await self._refuse(message.uid)
        else:
            await self._work(message)

    async def _work(self, message: Incoming) -> None:
        ctx = await self._caller.context()
        if message.type == "subscribe":
            await self._subscribe(ctx, message)
        elif message.type == "unsubscribe":
            await self._unsubscribe(message)
        elif message.type == "items":
            await self._socket.send(await act(ctx, self._doors, message))
        else:
            raise InvalidPayload(
                "`type` has to be `auth`, `subscribe`, `unsubscribe`, `items`, `ping` or `pong`.", reason="unknown type"
            )

    async def _authenticate(self, message: Incoming) -> None:
        was_nobody = self._is_signed_in and self._caller.token is None
        try:
            refresh_token = await self._caller.sign_in(message.values)
        except RequestError as error:
            if not self._has_shaken_hands:
                await self._refuse(message.uid)
            elif was_nobody:
                await self._socket.send(failure("auth", AuthenticationFailed(), message.uid))
            else:
                await self._signed_out(error, message.uid)
            return
        self._is_signed_in = self._has_shaken_hands = True
        self._stop_timer("auth")
        self._watch_expiry()
        more = {} if refresh_token is None else {"refresh_token": refresh_token}
        await self._socket.send(message.answer(status="ok", **more))

    async def _refuse(self, uid: Any = None) -> None:
        """Who does not say at first who it is has to go; who was signed in before may do so again."""
        if self._has_shaken_hands:
            await self._socket.send(failure("auth", AuthenticationFailed("Sign in again."), uid))
            return
        await self._socket.send(failure("auth", AuthenticationFailed("Authentication handshake failed."), uid))
        await self._close(REFUSED, "Authentication handshake failed.")

    async def _signed_out(self, error: DatasteadError, uid: Any = None) -> None:
        """Nothing is told any more until it signs in again, for which it has some time."""
        self._is_signed_in = False
        self._inbox.clear()
        self._stop_timer("expiry")
        told = error if isinstance(error, TokenExpired) else AuthenticationFailed()
        if "auth" not in self._timers:
            self._at("auth", self._settings.websockets_rest_auth_timeout, self._auth_is_late)
        await self._socket.send(failure("auth", told, uid))

    async def _auth_is_late(self) -> None:
        self._stop_timer("auth")
        await self._socket.send(failure("auth", AuthenticationTimeout()))
        if not self._is_public:
            await self._close(REFUSED, "Authentication timed out.")

    def _watch_expiry(self) -> None:
        self._stop_timer("expiry")
        left_s = self._caller.left_s()
        if left_s is not None:
            self._at("expiry", left_s, self._expired)

    async def _expired(self) -> None:
        await self._signed_out(TokenExpired())

    async def _subscribe(self, ctx: Context, message: Incoming) -> None:
        subscription = await subscription_of(ctx, self._hub, self._doors, message)
        mark = object() if message.uid is None else str(message.uid)
        if mark not in self._subscriptions and len(self._subscriptions) >= self._settings.websockets_max_subscriptions:
            most = f"`WEBSOCKETS_MAX_SUBSCRIPTIONS` = {self._settings.websockets_max_subscriptions}"
            raise UnprocessableContent(f"There are too many subscriptions on this connection ({most}).")
        await self._hub.subscribe(self, subscription.collection)
        try:
            async with self._turn:  # what changes meanwhile is told after what there was
                first = await subscription.first(ctx)
                self._drop(mark)
                self._subscriptions[mark] = subscription
                await self._socket.send({"type": "subscription", **first, **_uid(message.uid)})
        except BaseException:
            if self._subscriptions.get(mark) is not subscription:
                self._hub.unsubscribe(self, subscription.collection)
            raise
        if not any(task.get_name() == "tell" for task in self._tasks):
            self._start(self._tell(), "tell")

    async def _unsubscribe(self, message: Incoming) -> None:
        """Of one subscription, or without a `uid` of all."""
        async with self._turn:
            for mark in [str(message.uid)] if message.uid is not None else list(self._subscriptions):
                self._drop(mark)
        await self._socket.send({"type": "subscription", "event": "unsubscribe", **_uid(message.uid)})

    def _drop(self, mark: Any) -> None:
        subscription = self._subscriptions.pop(mark, None)
        if subscription is not None:
            self._hub.unsubscribe(self, subscription.collection)

    async def _tell(self) -> None:
        """Tells of changes, one after the other."""
        with contextlib.suppress(Gone):
            while True:
                await self._inbox.wait()
                async with self._turn:
                    change = self._inbox.take()
                    if change is not None:
                        await self._tell_of(change)
        self._ending.set()

    async def _tell_of(self, change: Change) -> None:
        try:
            ctx = await self._caller.context()
            for subscription in [each for each in self._subscriptions.values() if each.collection == change.collection]:
                told = await subscription.told(ctx, change)
                if told is not None and self._is_signed_in:
                    await self._socket.send({"type": "subscription", **told, **_uid(subscription.uid)})
        except NOT_SIGNED_IN as error:
            await self._signed_out(error)
        except ServiceUnavailable as error:
            await self._socket.send(failure("subscribe", error))
        except Gone:
            raise
        except Exception:
            log.exception("A subscriber could not be told of a change.")
            await self._socket.send(failure("subscribe", None))

    async def _beat(self) -> None:
        """Asks whether the client is there; any message is an answer."""
        with contextlib.suppress(Gone):
            while True:
                await asyncio.sleep(self._settings.websockets_heartbeat_period)
                if not self._was_heard:
                    break
                self._was_heard = False
                await self._socket.send({"type": "ping"})
        await self._close(GOING_AWAY, "No answer to a ping.")

    async def _close(self, code: int, reason: str) -> None:
        await self._socket.close(code, reason)
        self._ending.set()

    def _at(self, name: str, in_s: float, work: Callable[[], Awaitable[None]]) -> None:
        """Does something later, unless its timer is stopped."""

        async def carried() -> None:
            try:
                await work()
            except Gone:
                self._ending.set()

        self._timers[name] = asyncio.get_running_loop().call_later(in_s, lambda: self._start(carried()))

    def _stop_timer(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _start(self, work: Any, name: str | None = None) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _uid(uid: Any) -> dict[str, Any]:
    return {} if uid is None else {"uid": uid}
