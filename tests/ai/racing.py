"""A process that makes many calls at once, to race others: `python -m tests.ai.racing`, with JSON on standard input.

It says it is of another machine, so that nobody can see that it has died: only the lease of its calls tells.
"""

import asyncio
import json
import socket
import sys
from typing import Any

from datastead import AI, Registry, Settings
from datastead.data.engine import Database
from datastead.errors import AIError

CALL: dict[str, Any] = {"model": "gpt-4.1", "max_tokens": 500, "timeout_s": 120}


async def race(url: str, base_url: str, calls: int) -> None:
    """Makes the calls, and writes a line for each that has ended."""
    settings = Settings(ai_openai_enabled=True, ai_openai_api_key="key", ai_openai_base_url=base_url)
    database = Database.open(url)
    await database.start()
    async with AI(settings, database=database, registry=Registry(("datastead.builtin",))) as ai:
        say("ready")
        await asyncio.gather(*(call(ai) for _ in range(calls)))
    await database.close()


async def call(ai: AI) -> None:
    try:
        await ai.generate("Hello", **CALL)
    except AIError as error:
        say(error.code)
    else:
        say("paid")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    given = json.load(sys.stdin)
    socket.gethostname = lambda: "another-machine"
    asyncio.run(race(**given))
