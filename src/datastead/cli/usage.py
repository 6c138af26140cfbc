"""`datastead usage`: what models have cost, by anything that the ledger knows."""

import json
import sys
from typing import Annotated, Any

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from datastead.ai.usage import UsageQuery, as_csv, named, parse_groups, parse_moment
from datastead.ai.usage import usage as read_usage
from datastead.cli.services import run_as_admin
from datastead.cli.tables import moment, plain_table
from datastead.context import Context
from datastead.errors import InvalidPayload

BAR = range(6, 25)
"""How long the longest bar is, in characters: as the window has room."""


def usage(
    *,
    by: Annotated[str, typer.Option(help="model, user, provider, role, flow, run, purpose …; several by commas.")] = (
        "model"
    ),
    since: Annotated[str, typer.Option(help="`30d`, `24h`, `2w`, or a date; empty = from the beginning.")] = "30d",
    until: Annotated[str | None, typer.Option(help="The same; now, when not given.")] = None,
    bucket: Annotated[str | None, typer.Option(help="hour, day, week or month.")] = None,
    where: Annotated[list[str] | None, typer.Option(help="`name=value`: of these calls only.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="As CSV.")] = False,
) -> None:
    """Show calls, tokens and cost."""

    async def work(ctx: Context) -> list[dict[str, Any]]:
        now = ctx.now()
        query = UsageQuery(
            group_by=parse_groups(by),
            bucket=bucket,
            since=parse_moment(since, now, "since"),
            until=parse_moment(until, now, "until"),
            filters=dict(_pair(each) for each in where or ()),
        )
        return await named(ctx, await read_usage(ctx, query))

    found = run_as_admin(work)
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    elif csv:
        sys.stdout.write(as_csv(found))
    elif not any(row["calls"] for row in found):
        print("No model was called in this time.")
    else:
        console = Console()
        console.print(_table(found, [*(["bucket"] if bucket else []), *parse_groups(by)], console.width))


def _table(rows: list[dict[str, Any]], names: list[str], width: int) -> Table:
    """width: of the window, in characters."""
    numbers = ("calls", "tokens", "p50 ms", *(["in doubt"] if any(row["in_doubt"] for row in rows) else []), "USD")
    lines = [[*(_label(name, row[name]) for name in names), *_numbers(row, numbers)] for row in rows]
    if len(rows) > 1:
        total = {name: sum(row[name] or 0 for row in rows) for name in ("calls", "tokens", "in_doubt", "cost_nano_usd")}
        lines.append([*("total" if n == 0 else "" for n, _ in enumerate(names)), *_numbers(total, numbers)])
    longest = _room([[*names, *numbers], *lines], width)
    table, largest = plain_table((*names, *numbers, ""), right=numbers, whole=("",)), _largest(rows)
    for row, line in zip(rows, lines, strict=False):
        table.add_row(*(Text(cell) for cell in line), _bar(row["cost_nano_usd"], largest, longest))
    if len(rows) > 1:
        table.add_section()
        table.add_row(*lines[-1], style="bold")
    return table


def _room(lines: list[list[str]], width: int) -> int:
    """How long a bar may be beside the other columns, which stand two apart."""
    taken = sum(max(map(cell_len, column)) + 2 for column in zip(*lines, strict=True))
    return min(max(width - taken, BAR.start), BAR.stop - 1)


def _largest(rows: list[dict[str, Any]]) -> int:
    return max(int(row["cost_nano_usd"]) for row in rows)


def _label(name: str, value: Any) -> str:
    if value is None:
        return "–"  # noqa: RUF001  a dash, as in other tables
    return moment(value) if name == "bucket" else str(value)


def _numbers(row: dict[str, Any], names: tuple[str, ...]) -> list[str]:
    p50, doubt = row.get("p50_ms"), row["in_doubt"]
    shown = {
        "calls": f"{row['calls']:,}",
        "tokens": f"{row['tokens']:,}",
        "p50 ms": "" if p50 is None else f"{p50:,}",
        "in doubt": f"{doubt:,}" if doubt else "",
        "USD": f"{row['cost_nano_usd'] / 1e9:,.6f}",
    }
    return [shown[name] for name in names]


def _bar(cost: int, largest: int, longest: int) -> Text:
    eighths = round(cost / largest * longest * 8) if largest else 0
    full, rest = divmod(eighths, 8)
    return Text("█" * full + ("▏▎▍▌▋▊▉"[rest - 1] if rest else ""), style="cyan")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InvalidPayload(f"`--where {text[:40]}` has no value: write `--where model=gpt-5`.")
    return name, value
