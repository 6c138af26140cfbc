"""`datastead budget`: who may spend how much, with the server running or not."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from datastead.ai import budget_store
from datastead.ai.terms import parse_scope
from datastead.cli.services import run_as_admin
from datastead.context import Context

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Limit what models may cost.")

AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


@app.command("set")
def set_budget(
    scope: Annotated[str, typer.Argument(help="`all`, `user:anna@example.com`, `role:marketing`; `user` = each user.")],
    limit: Annotated[str, typer.Argument(help="`50/month`, `200k tokens/day`, `60 requests/minute`, `100 in total`.")],
    *,
    warn: Annotated[bool, typer.Option("--warn", help="Refuse nothing, only warn.")] = False,
    rolling: Annotated[
        bool | None, typer.Option("--rolling/--calendar", help="The last hour, day, … up to now; or the calendar's.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="For messages.")] = None,
) -> None:
    """Make a budget, or change the one of the same scope, window and unit."""
    kind, which = parse_scope(scope)
    given: dict[str, Any] = {"scope": kind, "scope_id": which, "limit": limit, "hard": not warn}
    given |= {"rolling": rolling} if rolling is not None else {}
    given |= {"name": name} if name is not None else {}

    async def work(ctx: Context) -> dict[str, Any]:
        return await budget_store.read_budget(ctx, await budget_store.set_budget(ctx, given))

    _print([run_as_admin(work)])


@app.command("list")
def list_budgets(*, as_json: AsJson = False) -> None:
    """Show all budgets, and what is left of each now."""
    found = run_as_admin(budget_store.list_budgets)
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    elif not found:
        print("There is no budget. `datastead budget set all 50/month` makes one.")
    else:
        _print(found)


@app.command()
def remove(budget: Annotated[str, typer.Argument(help="The budget's id.")]) -> None:
    """Remove a budget; what was spent stays in the ledger."""
    run_as_admin(lambda ctx: budget_store.delete_budget(ctx, budget))
    print(f"The budget {budget} is removed.")


def _print(budgets: list[dict[str, Any]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("id", "whom", "window", "limit", "spent", "left", "resets at", "kind"):
        table.add_column(name, overflow="fold")
    for budget in budgets:
        table.add_row(*(Text(cell) for cell in _cells(budget)))
    Console().print(table)


def _cells(budget: dict[str, Any]) -> tuple[str, ...]:
    which = budget["scope_name"] or budget["scope_id"]
    each = "" if budget["scope"] == "all" else ":each"
    whom = f"{budget['scope']}:{which}" if which else f"{budget['scope']}{each}"
    units = [unit for unit in ("usd", "tokens", "requests") if budget[f"limit_{unit}"] is not None]
    window = f"rolling {budget['window']}" if budget["rolling"] else budget["window"]
    return (
        budget["id"],
        f"{whom} ({budget['name']})" if budget["name"] else whom,
        window,
        _amounts({unit: budget[f"limit_{unit}"] for unit in units}),
        _amounts({unit: (budget["spent"] or {}).get(unit) for unit in units}),
        _amounts({unit: (budget["left"] or {}).get(unit) for unit in units}),
        (budget["resets_at"] or "")[:16].replace("T", " "),
        "hard" if budget["hard"] else "warn",
    )


def _amounts(found: dict[str, Any]) -> str:
    return ", ".join("?" if value is None else f"{value} {unit}" for unit, value in found.items())
