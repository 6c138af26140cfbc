"""Many streams at once in one process: whether all of them arrive whole, and how much memory each of them takes.

    python bench/ai_streams.py [--streams 500] [--chunks 30] [--wire openai]

Memory is that of this process (resident), measured when every stream has brought its first words and none its last,
less what it was before, after as many calls one after another as warm it up. The simulator is a process of its own.
"""

import argparse
import asyncio
import gc
import time
from pathlib import Path

from ai_call import MODELS, PROMPT, _ai, _send, _simulator

from datastead import AI

CHUNKS = 30
CHUNK_DELAY_S = 0.5
GOAL_KB = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--chunks", type=int, default=CHUNKS, help=f"of each stream, {CHUNK_DELAY_S} s apart")
    parser.add_argument("--wire", choices=list(MODELS), default="openai")
    given = parser.parse_args()
    with _simulator() as url:
        asyncio.run(_bench(url, given.wire, given.streams, given.chunks))


async def _bench(url: str, wire: str, count: int, chunks: int) -> None:
    words = "word " * chunks
    async with _ai(url) as ai:
        _send("PUT", f"{url}/_simulator/default", {"text": words})
        for _ in range(50):
            await ai.generate_stream(PROMPT, model=MODELS[wire][0], provider=wire).collect()
        behaviour = {"chunks": chunks, "chunk_delay_s": CHUNK_DELAY_S, "text": words}
        _send("PUT", f"{url}/_simulator/default", behaviour)
        gc.collect()
        before, began = _resident_kb(), time.perf_counter()
        begun, ended = _Count(count), _Count(count)
        tasks = [asyncio.create_task(_read(ai, wire, words, begun, ended)) for _ in range(count)]
        await begun.all.wait()
        assert ended.number == 0, "some streams were over before all had begun: make them longer"
        each_kb = (_resident_kb() - before) / count
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        took_s = time.perf_counter() - began
    whole = len({call for call in outcomes if isinstance(call, str)})
    verdict = "ok" if each_kb <= GOAL_KB and whole == count else "MISSED"
    print(f"{count} streams at once over {wire}: {whole} whole, {took_s:.1f} s")
    print(f"memory of each: {each_kb:.1f} kB   goal <= {GOAL_KB} kB, none dropped: {verdict}")


async def _read(ai: AI, wire: str, words: str, begun: "_Count", ended: "_Count") -> str:
    """Id of the call, whose text has come whole and whose usage the provider has told."""
    text = ""
    stream = ai.generate_stream(PROMPT, model=MODELS[wire][0], provider=wire)
    async for event in stream:
        if event.content and not text:
            begun.add()
        text += event.content
    ended.add()
    assert (text, stream.result.usage_source) == (words, "provider")
    return stream.result.call


class _Count:
    """Counts up to a number, and says when it is there."""

    def __init__(self, wanted: int) -> None:
        self.number = 0
        self.wanted = wanted
        self.all = asyncio.Event()

    def add(self) -> None:
        self.number += 1
        if self.number == self.wanted:
            self.all.set()


def _resident_kb() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4


if __name__ == "__main__":
    main()
