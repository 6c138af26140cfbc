"""`datastead demo`: the main job, live. Articles go in, a flow asks a model, the articles come out with a description.

It is a client of its own server: everything it does goes over HTTP, as a user's program would do it.
"""

import asyncio
import contextlib
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.markup import escape

from datastead.cli import begin_work
from datastead.cli.demo.articles import DemoInput, read_articles
from datastead.cli.demo.client import DemoClient
from datastead.cli.demo.model import DemoModel, choose_model
from datastead.cli.demo.show import show_runs
from datastead.errors import DatasteadError, ServiceUnavailable, UnprocessableContent

if TYPE_CHECKING:
    from datastead.settings import Settings

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line said. file: JSON or CSV of articles; None = the sample that comes with the package."""

    file: Path | None
    port: int
    once: bool


def demo(
    file: Annotated[Path | None, typer.Option(help="Articles to import: JSON (a list of objects) or CSV.")] = None,
    port: Annotated[int, typer.Option(help="Port to listen on; a free one where it is taken.")] = 8055,
    once: Annotated[bool, typer.Option("--once", help="End when the articles are done.")] = False,
) -> None:
    """Show the main job on a new SQLite file: articles, a flow, a model, and what it cost."""
    console = Console()
    try:
        asyncio.run(_run(console, DemoOptions(file, port, once)))
    except KeyboardInterrupt:
        console.print("\nStopped.")
    except DatasteadError as error:
        console.print(f"[red]{escape(str(error))}[/]")
        raise typer.Exit(1) from error


async def _run(console: Console, options: DemoOptions) -> None:
    articles = read_articles(options.file or HERE / "articles.json")
    token = secrets.token_urlsafe(16)
    database = Path(tempfile.mkdtemp(prefix="datastead-demo-")) / "demo.db"
    listener = _listen(options.port)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with choose_model() as model:
        settings = model.settings(database, token, url)
        async with _serving(settings, listener) as server, DemoClient(url, token) as client:
            console.print(f"Datastead is running at [bold]{url}[/] on a new database: {database}")
            console.print(f"{model.notice}\n")
            await _main_job(console, client, model, articles)
            if not options.once:
                await _stay(console, url, token, server)


async def _main_job(console: Console, client: DemoClient, model: DemoModel, articles: DemoInput) -> None:
    await client.create_articles_collection(articles.fields)
    flow = await client.apply_flow(_flow(model))
    keys = await client.create_items(articles.rows)
    failed = await show_runs(console, client, flow, keys)
    if failed:
        raise UnprocessableContent(f"{failed} of {len(keys)} runs were rejected; the table says why.")


def _flow(model: DemoModel) -> dict[str, Any]:
    """The flow of `seo.yaml`, with the model that was chosen."""
    document: dict[str, Any] = yaml.safe_load((HERE / "seo.yaml").read_text())
    document["operations"][0]["options"].update(provider=model.provider, model=model.model)
    return document


async def _stay(console: Console, url: str, token: str, server: "asyncio.Task[None]") -> None:
    console.print(
        f"The server goes on until Ctrl-C. API docs: [bold]{url}/docs[/]. Try:\n\n"
        f'  curl -H "Authorization: Bearer {token}" {url}/items/articles\n'
        f'  curl -H "Authorization: Bearer {token}" {url}/flows/runs\n'
        f'  curl -H "Authorization: Bearer {token}" --json \'{{"title": "Salt", "content": "Why we need it."}}\''
        f" {url}/items/articles\n",
        soft_wrap=True,
        highlight=False,
    )
    await server


@contextlib.asynccontextmanager
async def _serving(settings: "Settings", listener: socket.socket) -> "AsyncIterator[asyncio.Task[None]]":
    """The server, in this process, on a socket that is bound already; it takes SIGINT and SIGTERM as its own."""
    import uvicorn

    from datastead.app import create_app

    server = uvicorn.Server(uvicorn.Config(create_app(settings), log_level="warning"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started and not task.done():  # noqa: ASYNC110  uvicorn has no event for it
            await asyncio.sleep(0.01)
        if not server.started:
            raise ServiceUnavailable("The server did not start; the lines above say why.")
        begin_work()
        yield task
    finally:
        server.should_exit = True
        await task


def _listen(port: int) -> socket.socket:
    """A bound socket: on `port`, or on any free one where that is taken."""
    listener = socket.socket(
        socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )  # asyncio sends at once only where it sees TCP
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.bind(("127.0.0.1", 0))
    return listener
