"""One call, with its usage and its cost. Needs a provider: see docs/ai.md."""

import asyncio
import os

from datastead import AI

MODEL = os.environ.get("MODEL", "gpt-4.1-mini")


async def main() -> None:
    async with AI() as ai:
        result = await ai.generate("Name three tide pools.", model=MODEL, max_tokens=100, temperature=0.7)
        print(result.text)
        print(f"{result.model}: {result.usage.total} tokens, {result.cost} USD")


asyncio.run(main())
