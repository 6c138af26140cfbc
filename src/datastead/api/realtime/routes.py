"""Where WebSockets connect, and who is let in."""

import logging

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from datastead.api.doors import Doors
from datastead.api.realtime.caller import Caller, token_of
from datastead.api.realtime.client import Client
from datastead.api.realtime.socket import Gone, Socket
from datastead.api.request import services_of
from datastead.errors import DatasteadError, InvalidCredentials, RequestError, ServiceUnavailable
from datastead.settings import Settings

log = logging.getLogger("datastead.api")


class Entrance:
    """Lets clients in, as many as there may be."""

    def __init__(self, app: Starlette) -> None:
        self._doors = Doors(app)
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        services = services_of(websocket.scope)
        settings, socket = services.settings, Socket(websocket, services.settings.max_payload_size)
        caller = Caller(websocket.scope)
        try:
            await self._admit(websocket, caller, settings)
        except DatasteadError as error:
            await socket.refuse(error)
            return
        assert services.realtime is not None
        self._inside += 1
        try:
            await socket.accept()
            await Client(socket, caller, services.realtime, self._doors, settings).run()
        except Gone:
            return
        except Exception:
            log.exception("A WebSocket connection failed.")
        finally:
            self._inside -= 1
        await socket.close()

    async def _admit(self, websocket: WebSocket, caller: Caller, settings: Settings) -> None:
        most = settings.websockets_rest_conn_limit
        if most is not None and self._inside >= most:
            raise ServiceUnavailable("There are too many connections: try again later.")
        token = token_of(websocket.scope)
        if token is not None:
            try:
                await caller.show(token)
            except RequestError:
                if settings.websockets_rest_auth != "handshake":
                    raise
        if caller.token is None and settings.websockets_rest_auth == "strict":
            raise InvalidCredentials


def realtime_routes(app: Starlette, settings: Settings) -> list[WebSocketRoute]:
    """The WebSockets that the settings ask for."""
    if not (settings.websockets_enabled and settings.websockets_rest_enabled):
        return []
    return [WebSocketRoute(settings.websockets_rest_path, Entrance(app))]
