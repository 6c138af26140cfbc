"""`datastead schema`: the schema as a file, to be compared with a database and applied to it."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from datastead.cli.services import run_as_admin
from datastead.data.snapshot import PARTS, Snapshots, document_of
from datastead.errors import InvalidPayload

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Take the schema, compare it, apply it.")

KINDS = {"N": "+", "D": "-", "E": "~"}

SnapshotFile = Annotated[Path, typer.Argument(help="A snapshot, YAML or JSON.", exists=True, dir_okay=False)]
Force = Annotated[bool, typer.Option("--force", help="Also for a snapshot of another kind of database.")]


@app.command()
def snapshot(file: Annotated[Path | None, typer.Argument(help="Where to; standard output without it.")] = None) -> None:
    """Write the collections, fields and relations down, as YAML or (`*.json`) JSON."""
    taken = run_as_admin(lambda ctx: Snapshots(ctx).take())
    text = document_of(taken, is_json=file is not None and file.suffix == ".json")
    if file is None:
        sys.stdout.write(text)
    else:
        file.write_text(text, encoding="utf-8")
        print(f"{file}: {len(taken['collections'])} collections, {len(taken['fields'])} fields.")


@app.command()
def diff(file: SnapshotFile, *, force: Force = False) -> None:
    """Show what has to change for the database to have a snapshot's schema."""
    wanted = _read(file)
    _show(run_as_admin(lambda ctx: Snapshots(ctx).diff(wanted, force=force)))


@app.command()
def apply(
    file: SnapshotFile, *, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False, force: Force = False
) -> None:
    """Give the database a snapshot's schema: all of it, or nothing."""
    wanted = _read(file)
    found = run_as_admin(lambda ctx: Snapshots(ctx).diff(wanted, force=force))
    _show(found)
    if found is None or not (yes or typer.confirm("Apply this?")):
        return
    run_as_admin(lambda ctx: Snapshots(ctx).apply(found))
    print("The schema is applied.")


def _read(file: Path) -> Any:
    try:
        return yaml.safe_load(file.read_text())  # JSON is YAML, too
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidPayload(f"`{file}` is neither YAML nor JSON: {error}") from None


def _show(found: dict[str, Any] | None) -> None:
    if found is None:
        print("Nothing to change.")
        return
    for part in PARTS:
        for entry in found["diff"][part]:
            name = ".".join(entry[key] for key in ("collection", "field") if key in entry)
            for change in entry["diff"]:
                print(f"{KINDS[change['kind']]} {part[:-1]} {name}{_edit(change)}")


def _edit(change: dict[str, Any]) -> str:
    if change["kind"] != "E":
        return ""
    return f" {'.'.join(change['path'])}: {json.dumps(change['lhs'])} → {json.dumps(change['rhs'])}"
