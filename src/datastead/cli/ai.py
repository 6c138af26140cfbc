"""`datastead ai`: models from the command line.

Calls go into the ledger of the configured database, if that has one already; else into one in memory.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from datastead.ai.engine import AI
from datastead.ai.requests import CallOptions
from datastead.cli import doubt
from datastead.cli.ai_price import app as price_app
from datastead.cli.tables import plain_table
from datastead.errors import AIError, DatasteadError
from datastead.settings import Settings, load_settings

if TYPE_CHECKING:
    from datastead.ai.results import GenerationResult
    from datastead.data.engine import Database, Transaction

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, help="Ask models.")
app.add_typer(price_app, name="price")
app.add_typer(doubt.app, name="doubt")

Prompt = Annotated[str, typer.Argument(help="What to ask; `-` reads it from standard input.")]
Model = Annotated[str, typer.Option(help="A model's id, or `provider:model`.")]
Provider = Annotated[str | None, typer.Option(help="The provider, if the id alone does not say.")]
System = Annotated[str | None, typer.Option(help="The system prompt.")]
MaxTokens = Annotated[int | None, typer.Option(min=1, help="The longest answer, in tokens.")]
Temperature = Annotated[float | None, typer.Option(min=0, max=2, help="0 = steady, 2 = wild.")]
WIDE = 110
"""From how many characters on there is room for more columns."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def generate(
    prompt: Prompt,
    *,
    model: Model,
    provider: Provider = None,
    system: System = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    as_json: AsJson = False,
) -> None:
    """Ask a model, and print its answer."""
    options: CallOptions = {"model": model, "provider": provider, "system": system, "purpose": "cli"}
    options |= {"max_tokens": max_tokens, "temperature": temperature}
    run(_generate(_read(prompt), options, as_json=as_json))


@app.command()
def stream(
    prompt: Prompt,
    *,
    model: Model,
    provider: Provider = None,
    system: System = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    as_json: AsJson = False,
) -> None:
    """Ask a model, and print its answer as it comes. With --json a line for each event."""
    options: CallOptions = {"model": model, "provider": provider, "system": system, "purpose": "cli"}
    options |= {"max_tokens": max_tokens, "temperature": temperature}
    run(_stream(_read(prompt), options, as_json=as_json))


@app.command()
def models(
    *,
    provider: Annotated[str | None, typer.Option(help="Only this provider's.")] = None,
    search: Annotated[str | None, typer.Option(help="Only those with this in their id or name.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are not built in.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the models that are configured and allowed."""
    run(_models(provider, search, everything=everything, as_json=as_json))


async def _generate(prompt: str, options: CallOptions, *, as_json: bool) -> None:
    async with _ai() as ai:
        result = await ai.generate(prompt, **options)
    _print(orjson.dumps(result.to_dict(), option=orjson.OPT_INDENT_2).decode() if as_json else result.content)
    if not as_json:
        _print_bill(result)


async def _stream(prompt: str, options: CallOptions, *, as_json: bool) -> None:
    async with _ai() as ai, ai.generate_stream(prompt, **options) as events:
        async for event in events:
            if as_json and event.content:
                _print(orjson.dumps({"type": event.type, "content": event.content}).decode())
            elif event.type == "text":
                sys.stdout.write(event.content)
                sys.stdout.flush()
    if as_json:
        _print(orjson.dumps({"type": "result", **events.result.to_dict()}).decode())
    else:
        _print("")
        _print_bill(events.result)


async def _models(provider: str | None, search: str | None, *, everything: bool, as_json: bool) -> None:
    async with configured_ai() as ai:
        found = await ai.list_models(all=everything, provider=provider, search=search)
        is_empty = not found and not ai.providers()
    if as_json:
        _print(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
    elif is_empty:
        _print("No provider is configured: set `AI_OPENAI_ENABLED=true` and `AI_OPENAI_API_KEY`, or another's.")
    elif not found:
        _print("No model that is configured here fits that.")
    else:
        console = Console()
        console.print(_table(found, is_wide=console.width >= WIDE))


def _table(models: list[dict[str, Any]], *, is_wide: bool) -> Table:
    """A model by what it is called with; by its name too where there is room."""
    numbers = ("context", "output", "$/M in", "$/M out")
    names = ("model", *(("name",) if is_wide else ()))
    table = plain_table((*names, *numbers, "files", "reasons"), right=numbers, whole=("files", "reasons"))
    for model in models:
        called = f"{model['provider']}:{model['model']}", *((model["name"],) if is_wide else ())
        limits = _short(model["limit"]["context"]), _short(model["limit"]["output"])
        marks = "yes" if model["attachment"] else "", "yes" if model["reasoning"] else ""
        table.add_row(*called, *limits, *_prices(model["cost"]), *marks)
    return table


def _short(tokens: int) -> str:
    """`128k`, `1.05M`: rounded, as `--json` has the exact number."""
    if tokens < 1000:
        return str(tokens)
    return f"{tokens / 1e6:.3g}M" if tokens >= 999_500 else f"{tokens / 1e3:.3g}k"


def _prices(cost: dict[str, Any]) -> tuple[str, str]:
    return ("?", "?") if cost["state"] == "unknown" else (f"{cost['input']:g}", f"{cost['output']:g}")


@contextlib.asynccontextmanager
async def _ai() -> AsyncIterator[AI]:
    async with configured_ai() as ai, ai:
        yield ai


@contextlib.asynccontextmanager
async def configured_ai() -> AsyncIterator[AI]:
    """An `AI` with the configured database, if that is there, and the providers that it adds; not started."""
    settings = load_settings()
    async with _ledger(settings) as database:
        ai = AI(settings, database=database)
        if database is not None:
            from datastead.ai.configuration import configured

            found = await configured(database, settings)
            ai.reconfigure(found.settings, found.problems)
        yield ai


@contextlib.asynccontextmanager
async def _ledger(settings: Settings) -> "AsyncIterator[Database | None]":
    """The configured database, where it is one of Datastead's already: asking a model does not make one."""
    if not _may_exist(settings.database):
        yield None
        return
    from datastead.data.engine import Database
    from datastead.data.migrations import migrate

    database = Database.open(settings.database)
    await database.start()
    try:
        is_ours = await database.read(_has_ledger)
        if is_ours:
            await migrate(database)
        yield database if is_ours else None
    finally:
        await database.close()


def _may_exist(url: str) -> bool:
    """Opening a SQLite file would make it."""
    return not url.startswith("sqlite:") or Path(url.removeprefix("sqlite:///").partition("?")[0]).is_file()


def _has_ledger(transaction: "Transaction") -> bool:
    from sqlalchemy import inspect

    return inspect(transaction.connection).has_table("datastead_ai_calls")


def _read(prompt: str) -> str:
    return sys.stdin.read() if prompt == "-" else prompt


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _print_bill(result: "GenerationResult") -> None:
    """On standard error, so that the answer alone can be piped on."""
    cost = "price unknown" if result.cost is None else f"{result.cost:f} USD"
    usage = f"{result.usage.input_total} tokens in, {result.usage.output_total} out"
    Console(stderr=True, highlight=False).print(f"[dim]{result.provider}:{result.model} · {usage} · {cost}[/]")


def run(work: Coroutine[Any, Any, None]) -> None:
    """An error is one line with its code and what to do, and exit code 1."""
    try:
        asyncio.run(work)
    except DatasteadError as error:
        cure = error.cure if isinstance(error, AIError) else ""
        sys.stderr.write(f"{error.code}: {error.message} {cure}".rstrip() + "\n")
        raise typer.Exit(1) from None
