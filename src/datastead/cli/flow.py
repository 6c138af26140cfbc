"""`datastead flow`: flows of the configured database, with the server running or not."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from datastead.cli.services import run_as_admin
from datastead.errors import InvalidPayload
from datastead.extensions import TriggerRequest

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    help="Apply flows, and look at their runs.",
)

Flow = Annotated[str | None, typer.Option(help="Of one flow, by its id.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command()
def apply(
    file: Annotated[
        Path, typer.Argument(help="JSON or YAML; `-` is the standard input.", allow_dash=True, dir_okay=False)
    ],
) -> None:
    """Create the flow that a file describes, or replace the one of its id or name."""
    from datastead.flows.document import read_document

    document = read_document(_read(file))
    if not document.get("name") and not document.get("id") and str(file) != "-":
        document["name"] = file.stem
    flow = run_as_admin(lambda ctx: ctx.services.flows.apply(ctx, document))
    print(f"The flow has the id {flow}")


@app.command("list")
def list_flows(as_json: AsJson = False) -> None:
    """Show all flows, and why one does not run."""
    found = run_as_admin(lambda ctx: ctx.services.flows.overview(ctx))
    if as_json:
        _print_json(found)
        return
    if not found:
        print("There is no flow. `datastead flow apply FILE` makes one.")
        return
    columns = ("id", "name", "status", "trigger", "operations", "problem")
    _print_table(columns, [{**flow, "operations": ", ".join(flow["operations"])} for flow in found])


@app.command()
def runs(
    flow: Flow = None,
    status: Annotated[str | None, typer.Option(help="`pending`, `running`, `resolved` or `rejected`.")] = None,
    limit: Annotated[int, typer.Option(min=1)] = 20,
    as_json: AsJson = False,
) -> None:
    """Show runs, newest first."""
    found = run_as_admin(lambda ctx: ctx.services.flows.runs(ctx, flow=flow, status=status, limit=limit))
    if as_json:
        _print_json(found)
    elif not found:
        print("No run fits that." if flow or status else "No flow has run yet.")
    else:
        _print_table(("id", "flow_name", "status", "trigger", "created_at", "finished_at", "error"), found)


@app.command("run")
def show_run(run: Annotated[str, typer.Argument(help="The run's id.")], as_json: AsJson = False) -> None:
    """Show one run, with its steps."""
    found = run_as_admin(lambda ctx: ctx.services.flows.run(ctx, run))
    if as_json:
        _print_json(found)
        return
    steps = found.pop("steps")
    _print_table(("field", "value"), [{"field": name, "value": value} for name, value in found.items()])
    _print_table(("position", "key", "type", "status", "attempts", "missing", "output"), steps)


@app.command()
def trigger(
    flow: Annotated[str, typer.Argument(help="The id of a flow with the trigger `webhook` or `manual`.")],
    data: Annotated[str, typer.Option(help="The request's body, as JSON.")] = "",
    method: Annotated[str | None, typer.Option(help="GET, or POST, which is meant where there is data.")] = None,
    query: Annotated[list[str] | None, typer.Option(help="`name=value`, for the URL's query.")] = None,
) -> None:
    """Start a flow as a request would, and print what it answers."""
    request = TriggerRequest(
        method=(method or ("POST" if data else "GET")).upper(),
        path=f"/trigger/{flow}",
        query=dict(_pair(part) for part in query or ()),
        headers={},
        body=_parsed(data) if data else {},
    )
    _print_json(run_as_admin(lambda ctx: ctx.services.flows.trigger(ctx, flow, request)))


def _read(file: Path) -> str:
    if str(file) == "-":
        return sys.stdin.read()
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidPayload(f"`{file}` cannot be read: {error}.", file=str(file)) from error


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise InvalidPayload(f"The data is not JSON: {error}.") from error


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _print_table(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.text import Text

    from datastead.cli.tables import plain_table

    table = plain_table(columns, whole=("id",))
    for row in rows:
        table.add_row(*(Text(_cell(row.get(column))) for column in columns))
    Console().print(table)


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:197]}..."
