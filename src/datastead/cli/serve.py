"""`datastead serve`: the server, in one process or in several."""

import asyncio
import errno
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
import uvicorn

from datastead.cli import begin_work
from datastead.errors import InvalidSettings, ServiceUnavailable
from datastead.settings import Settings, load_settings
from datastead.settings.model import MADE_UP_SECRET

if TYPE_CHECKING:
    from datastead.auth.users import NewUser

BACKLOG = 2048


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on, in place of `HOST`.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port, in place of `PORT`; 0 = any.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="How many processes.")] = 1,
) -> None:
    """Serve the API, and carry out flows, with what the environment and `.env` say."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    own = {"HOST": host, "PORT": port}
    settings = load_settings({**os.environ, **{name: value for name, value in own.items() if value is not None}})
    listener = _listen(settings.host, settings.port)
    if workers == 1:
        _serve_here(settings, listener)
    else:
        _serve_many(settings, listener, workers)


def _serve_here(settings: Settings, listener: socket.socket) -> None:
    from datastead.app import create_app

    app = create_app(settings)
    config = _config(settings, app, lifespan="off")

    async def run() -> None:
        """The lifespan is ours to run, not uvicorn's: what goes wrong at the start is a line then, and no trace."""
        async with app.router.lifespan_context(app):
            _greet(settings, listener, app.state.first_admin)
            begin_work()
            await _Server(config).serve([listener])

    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(run())


def _serve_many(settings: Settings, listener: socket.socket, workers: int) -> None:
    """The parent prepares the database, so that the workers find it done; then it only watches over them."""
    from uvicorn.supervisors import Multiprocess

    _greet(settings, listener, asyncio.run(_prepare(settings)))
    begin_work()
    if not settings.has_own_secret:
        os.environ[MADE_UP_SECRET] = "true"
    os.environ["SECRET"] = settings.secret.get_secret_value()  # one for all, also where it was made up
    config = _config(settings, "datastead.app:create_app", factory=True, workers=workers)
    Multiprocess(config, sockets=[listener]).run()


async def _prepare(settings: Settings) -> "NewUser | None":
    from datastead.services import open_services

    async with open_services(settings, dispatch=False) as (_, first_admin):
        return first_admin


def _config(settings: Settings, app: Any, **more: Any) -> uvicorn.Config:
    """No access log: addresses may hold an `access_token`. No compression: it costs memory for each connection."""
    return uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=10,
        ws="auto" if settings.websockets_enabled else "none",
        ws_max_size=settings.max_payload_size,
        ws_per_message_deflate=False,
        **more,
    )


class _Server(uvicorn.Server):
    """Uvicorn that stops when it is told to, and does not pass the signal on: the services close after it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # with the protocol named: asyncio turns Nagle's algorithm off only for sockets that it sees to be TCP
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _cannot_listen(port, error) from None
    listener.set_inheritable(True)
    return listener


def _cannot_listen(port: int, error: OSError) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return ServiceUnavailable(f"Port {port} is in use: stop what listens there, or choose another with `--port`.")
    if error.errno == errno.EACCES:
        return ServiceUnavailable(f"Port {port} needs more rights: choose one above 1023 with `--port`.")
    return InvalidSettings(f"`HOST` is no address of this machine: {error.strerror or 'it cannot be found'}.")


def _greet(settings: Settings, listener: socket.socket, first_admin: "NewUser | None") -> None:
    port = listener.getsockname()[1]
    host = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(settings.host, settings.host)  # noqa: S104  only compared
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    if first_admin is not None and first_admin.password is not None:
        _say(f"The first administrator is {first_admin.email}, with the password {first_admin.password}")
        _say("It is shown this once. Set `ADMIN_PASSWORD` or `ADMIN_TOKEN` to choose your own.")
    if not settings.has_own_secret:
        _say("`SECRET` is not set: users have to log in again after a restart, and the settings take no API keys.")
    _say(f"Datastead runs at {url}; its API is described at {url}/docs. Ctrl-C stops it.")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
