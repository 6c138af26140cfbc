"""`datastead ai price`: the price list, from the command line."""

import sys
from typing import Annotated, Any

import orjson
import typer

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Say what models cost.")

Model = Annotated[str, typer.Argument(help="A model's id, or `provider:model`.")]
Provider = Annotated[str | None, typer.Option(help="The provider, if the id alone does not say.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Rate = Annotated[float | None, typer.Option(min=0, help="USD per million tokens.")]
Tokens = Annotated[int | None, typer.Option(min=1, help="A limit that changes with it, in tokens.")]
Tier = Annotated[
    list[str] | None,
    typer.Option("--tier", help="`batch=0.5`, or another service tier: a share of the normal rates."),
]


@app.command("set")
def set_price(
    model: Model,
    *,
    input_: Annotated[float, typer.Option("--input", min=0, help="USD per million tokens.")],
    output: Annotated[float, typer.Option(min=0, help="USD per million tokens.")],
    cache_read: Rate = None,
    cache_write: Rate = None,
    cache_write_1h: Annotated[
        float | None, typer.Option("--cache-write-1h", min=0, help="The same, of what is kept for an hour.")
    ] = None,
    audio_input: Rate = None,
    audio_output: Rate = None,
    image_input: Rate = None,
    image_output: Rate = None,
    tier: Tier = None,
    context: Tokens = None,
    max_output: Tokens = None,
    valid_from: Annotated[str | None, typer.Option("--from", help="A day such as `2026-12-01`; else now.")] = None,
    provider: Provider = None,
    as_json: AsJson = False,
) -> None:
    """Add a price: the one before stays in the list, and bills that were written with it stay as they are."""
    rates = {
        "input": input_, "output": output, "cache_read": cache_read, "cache_write": cache_write,
        "cache_write_1h": cache_write_1h, "audio_input": audio_input, "audio_output": audio_output,
        "image_input": image_input, "image_output": image_output,
    }  # fmt: skip
    limits = _given({"context": context, "output": max_output})
    values = _given({**rates, "model": model, "provider": provider, "valid_from": valid_from, "limits": limits or None})
    _run(_set({**values, "tiers": _tiers(tier or [])}, as_json=as_json))


@app.command("list")
def list_prices(
    model: Annotated[str | None, typer.Argument(help="A model's id: all that is known about its price.")] = None,
    *,
    provider: Provider = None,
    as_json: AsJson = False,
) -> None:
    """List the prices that were set; with a model also where else its price is from, and which one holds."""
    _run(_list(model, provider, as_json=as_json))


async def _set(values: dict[str, Any], *, as_json: bool) -> None:
    from datastead.cli.ai import configured_ai

    async with configured_ai() as ai:
        _show([await ai.set_price(values)], as_json=as_json)


async def _list(model: str | None, provider: str | None, *, as_json: bool) -> None:
    from datastead.cli.ai import configured_ai

    async with configured_ai() as ai:
        found = await ai.price_list(model, provider)
    if found or as_json:
        _show(found, as_json=as_json)
    else:
        sys.stdout.write("No price has been set: models cost what is built in, and what genai-prices knows.\n")


def _show(entries: list[dict[str, Any]], *, as_json: bool) -> None:
    from rich.console import Console

    from datastead.cli.tables import plain_table

    if as_json:
        sys.stdout.write(orjson.dumps(entries, option=orjson.OPT_INDENT_2).decode() + "\n")
        return
    columns = ("", "model", "from", "$/M in", "$/M out", "others", "source")
    table = plain_table(columns, whole=("", "$/M in", "$/M out", "source"))
    for entry in entries:
        table.add_row(*_row(entry))
    Console().print(table)


def _row(entry: dict[str, Any]) -> tuple[str, ...]:
    rates, is_unknown = dict(entry["rates"]), entry["state"] == "unknown"
    prices = ["?" if is_unknown else f"{rates[name]:g}" for name in ("input", "output")]
    others = ", ".join(f"{name} {rate:g}" for name, rate in rates.items() if name not in {"input", "output", "long"})
    since = (entry["valid_from"] or "always")[:16].replace("T", " ").removesuffix(" 00:00")
    model = f"{entry['provider']}:{entry['model']}"
    return "now" if entry["current"] else "", model, since, *prices, others, entry["source"]


def _tiers(given: list[str]) -> dict[str, Any]:
    pairs = (tier.partition("=") for tier in given)
    return {name.strip(): share.strip() for name, _, share in pairs}


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _run(work: Any) -> None:
    from datastead.cli.ai import run

    run(work)
