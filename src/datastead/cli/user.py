"""`datastead user`: users and tokens, for those who sit at the machine."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from datastead.auth import users
from datastead.data.engine import Database
from datastead.data.migrations import migrate
from datastead.settings import load_settings

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Add users, and give out tokens.")


@app.command()
def create(
    email: str,
    password: Annotated[str | None, typer.Option(help="Made up, and shown, when not given.")] = None,
    admin: Annotated[bool, typer.Option("--admin", help="With the right to do everything.")] = False,
) -> None:
    """Add a user."""
    user = asyncio.run(
        _with_database(lambda database: users.create_user(database, email, password=password, admin=admin))
    )
    print(f"The user {user.email} has the id {user.id}.")
    if user.password is not None:
        print(f"The password is {user.password}")


@app.command()
def token(email: str) -> None:
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
