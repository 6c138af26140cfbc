"""CPU of a model call through `AI`, with the ledger on, against bare aiohttp on the same simulator.

    python bench/ai_call.py [--calls 200] [--streams 48] [--rounds 11] [--pieces]

Measures this process only (all its threads), on one core; the simulator is a process of its own, on another. Rounds
are interleaved, 16 calls at a time, medians are printed. The baseline sends the same JSON; of a stream it splits the
lines, parses each chunk and takes its text, as whoever reads a stream must.
`--pieces`: the simulator writes each chunk by itself, as providers do, in place of blocks of 4 kB.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from datastead import AI, Settings
from datastead.data.engine import Database
from datastead.data.migrations import migrate

CONCURRENT = 16
CHUNKS = 200
GOALS = {"call": 2.5, "stream": 1.5}
PROMPT = "Generate an SEO meta description for: Salt. Content: Why we need it, where it comes from, and how it is made."
MODELS = {
    "openai": ("gpt-4.1", "/responses"),
    "openai-compatible": ("local", "/chat/completions"),
    "anthropic": ("claude-haiku-4-5", "/v1/messages"),
    "google": ("gemini-2.5-flash", ""),
}
Work = Callable[[], Awaitable[None]]


def main() -> None:
    given = _arguments()
    with _simulator() as url:
        behaviour = {"chunks": CHUNKS, "chunk_delay_s": 0.0005 if given.pieces else 0, "text": "word " * CHUNKS}
        _send("PUT", f"{url}/_simulator/default", behaviour)
        asyncio.run(_bench(url, given))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--streams", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--wire", choices=list(MODELS), action="append")
    parser.add_argument("--pieces", action="store_true")
    return parser.parse_args()


async def _bench(url: str, given: argparse.Namespace) -> None:
    print(f"{'wire':20}{'':8}{'bare aiohttp':>14}{'datastead':>12}{'ratio':>8}   CPU ms each, {CONCURRENT} at a time")
    async with _ai(url) as ai, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        for wire in given.wire or MODELS:
            for kind, count in (("call", given.calls), ("stream", given.streams)):
                baseline, ours = await _works(ai, session, url, wire, kind)
                await _compare(wire, kind, (baseline, ours), count, given.rounds)


async def _compare(wire: str, kind: str, works: tuple[Work, Work], count: int, rounds: int) -> None:
    for work in works:
        await _cpu_ms(work, count // 4)  # warm
    measured = [[await _cpu_ms(work, count) for work in works] for _ in range(rounds)]
    bare, ours = (statistics.median(column) for column in zip(*measured, strict=True))
    ratio = statistics.median(both[1] / both[0] for both in measured)
    goal = GOALS[kind]
    verdict = "ok" if ratio <= goal else "MISSED"
    print(f"{wire:20}{kind:8}{bare:14.3f}{ours:12.3f}{ratio:7.2f}x   goal <= {goal}x: {verdict}", flush=True)


async def _cpu_ms(work: Work, count: int) -> float:
    left = iter(range(count))

    async def one_after_another() -> None:
        for _ in left:
            await work()

    before = time.process_time()
    await asyncio.gather(*(one_after_another() for _ in range(CONCURRENT)))
    return (time.process_time() - before) * 1000 / count


async def _works(ai: AI, session: aiohttp.ClientSession, url: str, wire: str, kind: str) -> tuple[Work, Work]:
    """What is compared: bare aiohttp sending what `AI` sends, and `AI`."""
    model, _ = MODELS[wire]

    async def call() -> None:
        assert (await ai.generate(PROMPT, model=model, provider=wire)).content

    async def stream() -> None:
        length = 0
        async for event in ai.generate_stream(PROMPT, model=model, provider=wire):
            length += len(event.content)
        assert length == len("word " * CHUNKS)

    ours = call if kind == "call" else stream
    await ours()
    sent = _send("GET", f"{url}/_simulator/requests", None)["requests"][-1]
    query = "?" + "&".join(f"{name}={value}" for name, value in sent["query"].items()) if sent["query"] else ""
    kept = {"authorization", "x-api-key", "x-goog-api-key", "anthropic-version", "content-type"}
    headers = {name: value for name, value in sent["headers"].items() if name in kept}
    address, body = f"{url}{sent['path']}{query}", sent["json"]

    async def bare_call() -> None:
        async with session.post(address, data=orjson.dumps(body), headers=headers) as response:
            assert orjson.loads(await response.read())

    async def bare_stream() -> None:
        async with session.post(address, data=orjson.dumps(body), headers=headers) as response:
            assert await _read_text(response, TEXTS[wire]) == len("word " * CHUNKS)

    return (bare_call if kind == "call" else bare_stream), ours


async def _read_text(response: aiohttp.ClientResponse, text_of: Callable[[Any], str]) -> int:
    """How long the text of a stream is."""
    length, rest = 0, b""
    async for received in response.content.iter_any():
        *lines, rest = (rest + received).split(b"\n")
        for line in lines:
            if line.startswith(b"data: ") and not line.startswith(b"data: [DONE]"):
                length += len(text_of(orjson.loads(line[6:])))
    return length


def _responses_text(chunk: Any) -> str:
    return chunk["delta"] if chunk["type"] == "response.output_text.delta" else ""


def _chat_text(chunk: Any) -> str:
    return chunk["choices"][0]["delta"].get("content") or "" if chunk["choices"] else ""


def _messages_text(chunk: Any) -> str:
    return chunk["delta"].get("text", "") if chunk["type"] == "content_block_delta" else ""


def _gemini_text(chunk: Any) -> str:
    return "".join(part.get("text", "") for part in chunk["candidates"][0]["content"]["parts"])


TEXTS: dict[str, Callable[[Any], str]] = {
    "openai": _responses_text,
    "openai-compatible": _chat_text,
    "anthropic": _messages_text,
    "google": _gemini_text,
}


@asynccontextmanager
async def _ai(url: str) -> AsyncIterator[AI]:
    settings = Settings(
        ai_openai_enabled=True,
        ai_openai_api_key="simulated",
        ai_openai_base_url=f"{url}/v1",
        ai_anthropic_enabled=True,
        ai_anthropic_api_key="simulated",
        ai_anthropic_base_url=url,
        ai_google_enabled=True,
        ai_google_api_key="simulated",
        ai_google_base_url=url,
        ai_openai_compatible_enabled=True,
        ai_openai_compatible_base_url=f"{url}/compatible/v1",
        ai_openai_compatible_models=[{"id": "local", "cost": {"input": 1, "output": 2}}],
    )
    with tempfile.TemporaryDirectory() as folder:
        database = Database.open(f"sqlite:///{Path(folder) / 'ledger.db'}")
        await database.start()
        await migrate(database)
        async with AI(settings, database=database) as ai:
            yield ai
        await database.close()


@contextmanager
def _simulator() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen([sys.executable, "-m", "datastead.testing.simulator", "--port", str(port)])
    try:
        _part(process.pid)
        _wait_for(url)
        yield url
    finally:
        process.terminate()
        process.wait()


def _part(simulator: int) -> None:
    """Gives this process and the simulator a core each, where there are two: else each disturbs the other's caches."""
    if hasattr(os, "sched_setaffinity") and len(cores := sorted(os.sched_getaffinity(0))) > 1:
        os.sched_setaffinity(0, {cores[0]})
        os.sched_setaffinity(simulator, {cores[1]})


def _wait_for(url: str) -> None:
    for _ in range(200):
        try:
            _send("GET", f"{url}/v1/models", None)
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit("The simulator did not start.")


def _send(method: str, url: str, body: Any) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, method=method)) as answer:
        text = answer.read()
    return json.loads(text) if text else None


if __name__ == "__main__":
    main()
