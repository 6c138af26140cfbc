"""Shows the demo's runs: a line of progress while they go on, then a table."""

import asyncio
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from datastead.cli.demo.client import DemoClient

POLL_S = 0.1


async def show_runs(console: Console, client: DemoClient, flow: str, keys: list[Any]) -> int:
    """Waits for one run an article, and prints what came of it. Returns how many were rejected."""
    runs = await _watch(console, client, flow, keys)
    items = {item["id"]: item for item in await client.items(keys)}
    console.print(_table(runs, items))
    console.print(_total(runs))
    return sum(run["status"] == "rejected" for run in runs)


async def _watch(console: Console, client: DemoClient, flow: str, keys: list[Any]) -> list[dict[str, Any]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    seen: set[str] = set()
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("Articles through the flow", total=len(keys))
        while True:
            runs = await client.runs(flow, limit=len(keys))
            done = [run for run in runs if run["status"] in ("resolved", "rejected")]
            for run in reversed(done):
                if run["id"] not in seen:
                    seen.add(run["id"])
                    progress.console.print(_line(run))
            progress.update(task, completed=len(done))
            if len(done) == len(keys):
                return list(reversed(runs))
            await asyncio.sleep(POLL_S)


def _line(run: dict[str, Any]) -> str:
    mark = "[green]done[/]" if run["status"] == "resolved" else "[red]rejected[/]"
    steps = " → ".join(step["key"] for step in run["steps"])
    return f"  {mark}  article {run['trigger_data']['key']}: {escape(steps)}"


def _table(runs: list[dict[str, Any]], items: dict[Any, dict[str, Any]]) -> Table:
    table = Table(title="Articles", show_lines=True)
    table.add_column("Title", ratio=2)
    table.add_column("Generated text", ratio=4)
    table.add_column("Model", no_wrap=True)
    table.add_column("Tokens", justify="right", no_wrap=True)
    table.add_column("Cost, USD", justify="right", no_wrap=True)
    for run in runs:
        item = items[run["trigger_data"]["key"]]
        answer = _answer(run)
        text = escape(item["meta_description"] or "") or f"[red]{escape(_error(run))}[/]"
        cost = "unknown" if answer.get("cost") is None else _usd(answer["cost"])
        tokens = str(answer.get("usage", {}).get("total", "-"))
        table.add_row(escape(item["title"]), text, answer.get("model", "-"), tokens, cost)
    return table


def _answer(run: dict[str, Any]) -> dict[str, Any]:
    """What the model's step gave; empty where it was rejected."""
    outputs = [step["output"] for step in run["steps"] if step["type"] == "ai-generate" and step["status"] == "resolve"]
    return outputs[0] if outputs else {}


def _error(run: dict[str, Any]) -> str:
    error = run.get("error") or {}
    return str(error.get("message", error)) if isinstance(error, dict) else str(error)


def _total(runs: list[dict[str, Any]]) -> str:
    answers = [_answer(run) for run in runs]
    tokens = sum(answer.get("usage", {}).get("total", 0) for answer in answers)
    cost = sum((Decimal(str(answer["cost"])) for answer in answers if answer.get("cost") is not None), Decimal(0))
    return f"{len(runs)} articles, {tokens} tokens, {_usd(cost)} USD\n"


def _usd(cost: Decimal | float | str) -> str:
    return f"{Decimal(str(cost)):.6f}"
