"""The services of the configured database, for commands that work on it as its administrator."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from datastead.cli import begin_work
from datastead.context import SYSTEM, Context

T = TypeVar("T")


def run_as_admin(work: Callable[[Context], Awaitable[T]]) -> T:
    """Does something as the administrator, with the server running or not."""
    from datastead.services import open_services
    from datastead.settings import load_settings

    async def run() -> T:
        async with open_services(load_settings(), dispatch=False) as (services, _):
            begin_work()
            return await work(Context(services, SYSTEM))

    return asyncio.run(run())
