"""`datastead user`: users and tokens, for those who sit at the machine."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Annotated, TypeVar

import typer
from rich.console import Console

from datastead.auth import users
from datastead.cli.tables import plain_table
from datastead.data.engine import Database
from datastead.data.migrations import migrate
from datastead.settings import load_settings

T = TypeVar("T")

app = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False, help="Add users, and give out tokens."
)


@app.command()
def create(
    email: Annotated[str, typer.Argument(help="What they log in with.")],
    password: Annotated[str | None, typer.Option(help="Made up, and shown, when not given.")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="With the right to do everything.")] = False,
    role: Annotated[str | None, typer.Option(help="The name or id of a role.")] = None,
) -> None:
    """Add a user."""
    if admin and role:
        raise typer.BadParameter("Either `--admin` or `--role`.")
    user = asyncio.run(
        _with_database(lambda database: users.create_user(database, email, password=password, admin=admin, role=role))
    )
    print(f"The user {user.email} has the id {user.id}.")
    if user.password is not None:
        print(f"The password is {user.password}")


@app.command("list")
def list_all(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the users."""
    found = asyncio.run(_with_database(users.list_users))
    if as_json:
        print(json.dumps([asdict(user) for user in found], indent=2))
        return
    table = plain_table(("email", "name", "role", "status", "token", "id"), whole=("email", "status", "token"))
    for user in found:
        token = "yes" if user.has_token else ""
        table.add_row(user.email or "", user.name, user.role or "", user.status, token, user.id)
    Console().print(table)


@app.command()
def token(email: Annotated[str, typer.Argument(help="Whose token it is.")]) -> None:
    """Give a user a new static token, and print it; the one before is no longer valid."""
    print(asyncio.run(_with_database(lambda database: users.new_token(database, email))))


async def _with_database(work: Callable[[Database], Awaitable[T]]) -> T:
    database = Database.open(load_settings().database)
    await database.start()
    try:
        await migrate(database)
        return await work(database)
    finally:
        await database.close()
