"""The command line. Each command is a module of its own, loaded when it is called, so that `--help` answers at once."""

import gc
import importlib
import sys
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from datastead.errors import DatasteadError


class Command(NamedTuple):
    """Where a command is: `module` has `attribute`, a Typer app or a function."""

    module: str
    attribute: str
    help: str


COMMANDS = {
    "serve": Command("datastead.cli.serve", "serve", "Serve the API, and carry out flows."),
    "demo": Command("datastead.cli.demo", "demo", "Show the main job: articles, a flow, a model, and what it cost."),
    "init": Command("datastead.cli.init", "init", "Write a `.env` to start from."),
    "flow": Command("datastead.cli.flow", "app", "Apply flows, and look at their runs."),
    "ai": Command("datastead.cli.ai", "app", "Ask models."),
    "budget": Command("datastead.cli.budget", "app", "Limit what models may cost."),
    "usage": Command("datastead.cli.usage", "usage", "Show what models have cost."),
    "schema": Command("datastead.cli.schema", "app", "Take the schema as a file, compare it, apply it."),
    "user": Command("datastead.cli.user", "app", "Add users, and give out tokens."),
    "version": Command("datastead.cli.version", "version", "Print the version."),
}


class LazyCommand(TyperCommand):
    """A command by its name and a line of help; what it does is loaded when it is called."""

    def __init__(self, name: str, command: Command) -> None:
        super().__init__(name, help=command.help)
        self._command = command

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        found = getattr(importlib.import_module(self._command.module), self._command.attribute)
        app = found if isinstance(found, typer.Typer) else _app_of(found)
        return get_command(app).make_context(info_name, args, parent=parent, **extra)


class LazyGroup(TyperGroup):
    """All commands, none of them loaded."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  Typer's signature
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002  Typer's signature
        command = COMMANDS.get(cmd_name)
        return LazyCommand(cmd_name, command) if command else None


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="markdown")


def _say_version(wanted: bool) -> None:
    if wanted:
        from datastead.cli.version import version

        version()
        raise typer.Exit


@app.callback()
def datastead(
    *,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """A self-hosted data platform with AI built in."""


def main() -> None:
    """The command line. An error of ours is a line on the terminal, without a trace.

    To look for garbage while everything is loaded takes a fifth of the start, and finds none: `begin_work` ends that.
    """
    gc.disable()
    try:
        app()
    except DatasteadError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def begin_work() -> None:
    """Everything is loaded. From now on there is garbage, which is not looked for in what was loaded."""
    gc.freeze()
    gc.enable()


def _app_of(function: Any) -> typer.Typer:
    single = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    single.command()(function)
    return single
