"""Where WebSockets connect, and who is let in."""

import logging
from collections.abc import Awaitable, Callable, Iterator

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from datastead.api.body import invalid
from datastead.api.doors import Doors
from datastead.api.graphql_routes import graphql_of
from datastead.api.realtime.caller import Caller, token_of
from datastead.api.realtime.client import Client
from datastead.api.realtime.socket import Gone, Socket
from datastead.api.request import services_of
from datastead.context import Services
from datastead.errors import DatasteadError, InvalidCredentials, RequestError, ServiceUnavailable
from datastead.settings import Settings

SUBPROTOCOL = "graphql-transport-ws"
Enter = Callable[[Socket, Caller, Services], Awaitable[None]]

log = logging.getLogger("datastead.api")


class Entrance:
    """Lets clients in, as many as there may be. auth, limit: of the settings. protocol: that they have to speak."""

    def __init__(self, enter: Enter, auth: str, limit: int | None, protocol: str | None = None) -> None:
        self._enter = enter
        self._auth = auth
        self._limit = limit
        self._protocol = protocol
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        services = services_of(scope)
        socket, caller = Socket(websocket, services.settings.max_payload_size), Caller(scope)
        try:
            await self._admit(scope, caller)
        except DatasteadError as error:
            await socket.refuse(error)
            return
        self._inside += 1
        try:
            await socket.accept(self._protocol)
            await self._enter(socket, caller, services)
        except Gone:
            return
        except Exception:
            log.exception("A WebSocket connection failed.")
        finally:
            self._inside -= 1
        await socket.close()

    async def _admit(self, scope: Scope, caller: Caller) -> None:
        if self._limit is not None and self._inside >= self._limit:
            raise ServiceUnavailable("There are too many connections: try again later.")
        if self._protocol is not None and self._protocol not in scope.get("subprotocols", ()):
            raise invalid(f"The WebSocket has to speak `{self._protocol}` (`Sec-WebSocket-Protocol`).")
        token = token_of(scope)
        if token is not None:
            try:
                await caller.show(token)
            except RequestError:
                if self._auth != "handshake":
                    raise
        if caller.token is None and self._auth == "strict":
            raise InvalidCredentials


def realtime_routes(app: Starlette, settings: Settings) -> Iterator[WebSocketRoute]:
    """The WebSockets that the settings ask for."""
    doors = Doors(app)

    async def items(socket: Socket, caller: Caller, services: Services) -> None:
        assert services.realtime is not None
        await Client(socket, caller, services.realtime, doors, settings).run()

    async def graphql(socket: Socket, caller: Caller, services: Services) -> None:
        from datastead.api.realtime.graphql_client import GraphqlClient

        assert services.realtime is not None
        await GraphqlClient(socket, caller, services.realtime, graphql_of(app), settings).run()

    if settings.websockets_rest_enabled:
        entrance = Entrance(items, settings.websockets_rest_auth, settings.websockets_rest_conn_limit)
        yield WebSocketRoute(settings.websockets_rest_path, entrance)
    if settings.websockets_graphql_enabled:
        auth, limit = settings.websockets_graphql_auth, settings.websockets_graphql_conn_limit
        yield WebSocketRoute(settings.websockets_graphql_path, Entrance(graphql, auth, limit, SUBPROTOCOL))
