"""The answer as it comes. Needs a provider: see docs/ai.md."""

import asyncio
import os

from datastead import AI

MODEL = os.environ.get("MODEL", "gpt-4.1-mini")


async def main() -> None:
    async with AI() as ai:
        async for chunk in ai.generate_stream("Write two sentences about tides.", model=MODEL):
            print(chunk.content, end="", flush=True)
        print()


asyncio.run(main())
