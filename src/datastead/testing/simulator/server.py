"""`Simulator`: the app served over real HTTP, in a thread of this process."""

import asyncio
import socket
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import uvicorn

from datastead.testing.simulator.app import State, create_simulator
from datastead.testing.simulator.behaviour import Behaviour, ScriptInput

_BASE_PATHS = {"openai": "/v1", "openai-compatible": "/compatible/v1", "anthropic": "", "google": ""}
START_TIMEOUT_S = 10


class Simulator:
    """The provider simulator on a free port: `with Simulator() as simulator:`, or `async with`.

    `script` queues what the next requests get; `requests` has what came. Keys: any, but `bad-key` is refused.
    Models: any, but those that begin with `no-such` do not exist.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._host = host
        self._port = port
        self._state = State()
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Its address, without a slash at the end."""
        return f"http://{self._host}:{self._port}"

    def base_url(self, provider: str) -> str:
        """The base URL to configure for a provider, as that vendor's own SDK takes it."""
        return self.url + _BASE_PATHS[provider]

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The requests that came, oldest first: `{method, path, query, headers, json, status, disconnected}` each."""
        return list(self._state.requests)

    def script(self, behaviours: ScriptInput) -> None:
        """Queues behaviours: the next request that fits takes the first."""
        self._state.script.add(behaviours)

    def default(self, behaviour: Behaviour | Mapping[str, Any]) -> None:
        """What requests get when nothing in the queue fits them."""
        self._state.script.default = Behaviour.of(behaviour)

    def reset(self) -> None:
        """Forgets the script, the default and the requests."""
        self._state.reset()

    def start(self) -> None:
        """Serves; returns when it answers."""
        listening = socket.create_server((self._host, self._port))
        self._port = listening.getsockname()[1]
        self._server = _Server(_config(self._state))
        self._thread = threading.Thread(target=_serve, args=(self._server, listening), daemon=True)
        self._thread.start()
        if not self._server.ready.wait(START_TIMEOUT_S):
            raise RuntimeError("The simulator did not start.")

    def stop(self) -> None:
        """Ends it, and the connections that are still open."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join()
        self._server = self._thread = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)


def _config(state: State) -> uvicorn.Config:
    app = create_simulator(state)
    return uvicorn.Config(app, log_config=None, log_level="critical", access_log=False, lifespan="off")


class _Server(uvicorn.Server):
    """A server that says when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


def _serve(server: _Server, listening: socket.socket) -> None:
    with listening:
        server.run(sockets=[listening])
