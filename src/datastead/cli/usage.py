"""`datastead usage`: what models have cost, by anything that the ledger knows."""

import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from datastead.ai.usage import UsageQuery, as_csv, named, parse_groups, parse_moment
from datastead.ai.usage import usage as read_usage
from datastead.cli.services import run_as_admin
from datastead.context import Context
from datastead.errors import InvalidPayload

BAR = 24  # characters


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
        Console().print(_table(found, [*(["bucket"] if bucket else []), *parse_groups(by)]))


def _table(rows: list[dict[str, Any]], names: list[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        table.add_column(name, overflow="fold")
    for name in ("calls", "tokens", "p50 ms", "in doubt", "USD"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    largest = max(row["cost_nano_usd"] for row in rows)
    for row in rows:
        table.add_row(*(Text(_label(row[name])) for name in names), *_numbers(row), _bar(row["cost_nano_usd"], largest))
    if len(rows) > 1:
        total = {name: sum(row[name] or 0 for row in rows) for name in ("calls", "tokens", "in_doubt", "cost_nano_usd")}
        table.add_section()
        table.add_row(*(Text("total" if n == 0 else "") for n, _ in enumerate(names)), *_numbers(total), style="bold")
    return table


def _label(value: Any) -> str:
    return "–" if value is None else str(value)  # noqa: RUF001  a dash, as in other tables


def _numbers(row: dict[str, Any]) -> tuple[str, ...]:
    p50 = row.get("p50_ms")
    doubt = f"{row['in_doubt']:,}" if row["in_doubt"] else ""
    cost = f"{row['cost_nano_usd'] / 1e9:,.6f}"
    return f"{row['calls']:,}", f"{row['tokens']:,}", "" if p50 is None else f"{p50:,}", doubt, cost


def _bar(cost: int, largest: int) -> Text:
    eighths = round(cost / largest * BAR * 8) if largest else 0
    full, rest = divmod(eighths, 8)
    return Text("█" * full + ("▏▎▍▌▋▊▉"[rest - 1] if rest else ""), style="cyan")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InvalidPayload(f"`--where {text[:40]}` has no value: write `--where model=gpt-5`.")
    return name, value
