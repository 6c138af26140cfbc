"""`datastead ai doubt`: calls that may have been paid, as their process died or nobody answered in time."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from datastead.ai import records
from datastead.ai.prices import usd
from datastead.ai.terms import number_of, whole
from datastead.cli.services import run_as_admin
from datastead.cli.tables import moment, plain_table
from datastead.errors import InvalidPayload

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Settle calls that are in doubt.")

_COLUMNS = ("id", "created_at", "provider", "model", "purpose", "run", "held", "error")


@app.command("list")
def list_doubt(*, as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False, limit: int = 100) -> None:
    """Show the calls in doubt, and what each still holds."""
    found, count = run_as_admin(lambda ctx: records.list_calls(ctx, {"state": "in_doubt"}, limit=limit))
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    elif not found:
        print("No call is in doubt.")
    else:
        Console().print(_table(found))
        print(f"{len(found)} of {count}. `datastead ai doubt resolve ID --paid`, `--not-paid` or `--cost 0.0123`.")


@app.command()
def resolve(
    call: Annotated[str, typer.Argument(help="The call's id.")],
    *,
    paid: Annotated[bool | None, typer.Option("--paid/--not-paid", help="Paid: at the bound that it holds.")] = None,
    cost: Annotated[str | None, typer.Option(help="What the provider's bill says, in USD.")] = None,
) -> None:
    """Say whether a call was paid: its hold is spent, or free again."""
    if (paid is None) == (cost is None):
        raise InvalidPayload("Say what the call was: `--paid`, `--not-paid`, or `--cost 0.0123`.")
    nano_usd = None if cost is None else whole("usd", number_of("--cost", cost), cost)
    resolution = records.Resolution("not_paid" if paid is False else "paid", nano_usd)
    run_as_admin(lambda ctx: records.resolve_call(ctx, call, resolution))
    print(f"The call {call} is settled.")


def _table(calls: list[dict[str, Any]]) -> Table:
    table = plain_table(_COLUMNS, whole=("id",))
    for call in calls:
        held = usd(call["held_nano_usd"])
        shown = {**call, "created_at": moment(call["created_at"]), "held": "?" if held is None else f"{held:f} USD"}
        table.add_row(*(Text(str(shown[name] or "")) for name in _COLUMNS))
    return table
