"""`datastead budget`: who may spend how much, with the server running or not."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from datastead.ai import budget_store
from datastead.ai.terms import parse_scope
from datastead.cli.services import run_as_admin
from datastead.cli.tables import SHORT_ID, moment, plain_table
from datastead.context import Context
from datastead.errors import InvalidPayload

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, help="Limit what models may cost."
)

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
def remove(budget: Annotated[str, typer.Argument(help="The budget's id, or its beginning.")]) -> None:
    """Remove a budget; what was spent stays in the ledger."""

    async def work(ctx: Context) -> str:
        found = [each["id"] for each in await budget_store.list_budgets(ctx) if each["id"].startswith(budget)]
        if len(found) != 1:
            how_many = "No budget has" if not found else f"{len(found)} budgets have"
            raise InvalidPayload(f"{how_many} an id like `{budget}`: see `datastead budget list`.")
        await budget_store.delete_budget(ctx, found[0])
        return str(found[0])

    print(f"The budget {run_as_admin(work)} is removed.")


def _print(budgets: list[dict[str, Any]]) -> None:
    table = plain_table(
        ("id", "whom", "limit", "spent", "left", "resets at", "kind"),
        whole=("id", "whom", "resets at", "kind"),
    )
    for budget in budgets:
        table.add_row(*(Text(cell) for cell in _cells(budget)))
    Console().print(table)


def _cells(budget: dict[str, Any]) -> tuple[str, ...]:
    which = budget["scope_name"] or budget["scope_id"]
    each = "" if budget["scope"] == "all" else ":each"
    whom = f"{budget['scope']}:{which}" if which else f"{budget['scope']}{each}"
    units = [unit for unit in ("usd", "tokens", "requests") if budget[f"limit_{unit}"] is not None]
    window = "in total" if budget["window"] == "total" else f"a {budget['window']}"
    rolling = ", rolling" if budget["rolling"] else ""
    return (
        budget["id"][:SHORT_ID],
        f"{whom} ({budget['name']})" if budget["name"] else whom,
        ", ".join(f"{budget[f'limit_{unit}']} {unit}" for unit in units) + f" {window}{rolling}",
        _amounts(budget["spent"], units),
        _amounts(budget["left"], units),
        moment(budget["resets_at"]),
        "hard" if budget["hard"] else "warn",
    )


def _amounts(found: dict[str, Any] | None, units: list[str]) -> str:
    """In the units of the limit. Nothing where the budget is one for each of many: there is no one sum."""
    return ", ".join(str(found[unit]) for unit in units) if found else ""
