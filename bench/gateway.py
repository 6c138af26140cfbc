"""The gateway against the LiteLLM proxy, on the same simulator and the same core; and many streams at once.

    python bench/gateway.py [--seconds 5] [--rounds 3] [--connections 16]
    python bench/gateway.py --streams 500 [--chunks 100]

Each server is one process on core 0, and they are asked in turn; the load and the simulator are on core 1. Ours has
everything on: a token for each request, a hard budget in USD, two ledger writes on SQLite. LiteLLM has its master key,
no database, its local price map. It is installed into a folder of its own (`~/.cache/datastead-bench`) on first use.

`--streams`: so many streams at once through one worker of ours: how many end whole, and the memory that each takes.
"""

import argparse
import asyncio
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import urllib.request
import venv
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import sqlalchemy as sa
from load import Load, Outcome, measured
from servers import cpu_s, memory_mb, running

from datastead.data import system

SERVER_CORE, LOAD_CORE = 0, 1
CACHE = Path.home() / ".cache" / "datastead-bench"
PATH = "/ai/v1/chat/completions"
TOKEN = "sk-" + secrets.token_urlsafe(16)
MODEL = "gpt-4.1"
PROMPT = "Generate an SEO meta description for: Salt. Content: Why we need it, where it comes from, and how it is made."
GOALS = {"requests a second": 10, "CPU ms a request": 10, "p50": 5, "p50, one at a time": 5, "memory": 2}
"""How many times better than LiteLLM. CPU a request says the same as requests a second, and less of a busy machine."""

STREAM_MEMORY_GOAL_KB = 60
CHUNKS, CHUNK_DELAY_S = 100, 0.1


def main() -> None:
    given = _arguments()
    with tempfile.TemporaryDirectory() as folder, _simulator() as url:
        if given.streams:
            _measure_streams(Path(folder), url, given.streams, given.chunks)
        else:
            _compare(Path(folder), url, given)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5, help="of load in each round")
    parser.add_argument("--rounds", type=int, default=3, help="of each server, in turn; the median counts")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--streams", type=int, default=0)
    parser.add_argument("--chunks", type=int, default=CHUNKS, help=f"of each stream, {CHUNK_DELAY_S} s apart")
    parser.add_argument("--ours", action="store_true", help="leave LiteLLM out")
    return parser.parse_args()


def _compare(folder: Path, url: str, given: argparse.Namespace) -> None:
    if given.ours:
        with _datastead(folder, url) as (port, pid):
            print(_round(port, PATH, pid, given), flush=True)
        return
    with _datastead(folder, url) as (port, pid), _litellm(folder, url) as (their_port, their_pid):
        ours, theirs = [], []
        for _ in range(given.rounds):  # in turn, so that what else the machine does meets both
            ours.append(_round(port, PATH, pid, given))
            theirs.append(_round(their_port, "/chat/completions", their_pid, given))
    print(f"{'':20}{'datastead':>14}{'LiteLLM':>14}{'ratio':>9}")
    for name, goal in GOALS.items():
        mine, other = (statistics.median(each[name] for each in found) for found in (ours, theirs))
        ratio = mine / other if name == "requests a second" else other / mine
        verdict = "ok" if ratio >= goal else "MISSED"
        print(f"{name:20}{mine:14.2f}{other:14.2f}{ratio:8.1f}x   goal >= {goal}x: {verdict}", flush=True)


def _round(port: int, path: str, pid: int, given: argparse.Namespace) -> dict[str, float]:
    """One server under load. Latencies in ms, memory in MB."""
    before = cpu_s(pid)
    many = _loaded(port, path, given.seconds, given.connections)
    cpu_ms = (cpu_s(pid) - before) * 1000
    alone = _loaded(port, path, given.seconds / 2, 1)
    return {
        "requests a second": many.rps,
        "CPU ms a request": cpu_ms / many.answered,
        "p50": many.p50_ms,
        "p50, one at a time": alone.p50_ms,
        "memory": memory_mb(pid),
    }


def _loaded(port: int, path: str, seconds: float, connections: int) -> Outcome:
    body = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 160}
    return measured(Load(port, path, TOKEN, seconds, json.dumps(body), connections, LOAD_CORE))


@contextmanager
def _simulator() -> Iterator[str]:
    command = [sys.executable, "-m", "datastead.testing.simulator", "--port", "{port}"]
    with running(command, {"PATH": os.environ["PATH"]}, "/v1/models", core=LOAD_CORE) as (port, _):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _datastead(folder: Path, url: str) -> Iterator[tuple[int, int]]:
    """One worker on SQLite, its second start, with a hard budget for all."""
    model = {"id": MODEL, "cost": {"input": 2, "output": 8}, "context": 1_000_000, "output": 32_000}
    env = {
        "PATH": os.environ["PATH"],
        "ADMIN_TOKEN": TOKEN,
        "ADMIN_PASSWORD": secrets.token_urlsafe(16),
        "SECRET": secrets.token_urlsafe(32),
        "DATABASE_URL": f"sqlite:///{folder / 'bench.db'}",
        "HOST": "127.0.0.1",
        "AI_OPENAI_COMPATIBLE_ENABLED": "true",
        "AI_OPENAI_COMPATIBLE_BASE_URL": f"{url}/v1",
        "AI_OPENAI_COMPATIBLE_API_KEY": "simulated",
        "AI_OPENAI_COMPATIBLE_MODELS": f"json:[{json.dumps(model)}]",
    }
    command = [sys.executable, "-m", "datastead", "serve"]
    with running(command, env, "/server/ping"):
        pass
    _set_budget(folder / "bench.db")
    with running(command, env, "/server/ping", core=SERVER_CORE) as found:
        yield found


def _set_budget(file: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{file}")
    values = {"id": secrets.token_hex(16), "scope": "all", "window": "day", "limit_nano_usd": 10**15, "hard": True}
    with engine.begin() as connection:
        connection.execute(sa.insert(system.budgets).values(created_at=datetime.now(UTC), **values))
    engine.dispose()


@contextmanager
def _litellm(folder: Path, url: str) -> Iterator[tuple[int, int]]:
    parameters = {"model": f"openai/{MODEL}", "api_base": f"{url}/v1", "api_key": "simulated"}
    config = {
        "model_list": [{"model_name": MODEL, "litellm_params": parameters}],
        "general_settings": {"master_key": TOKEN},
    }
    (folder / "litellm.yaml").write_text(json.dumps(config))
    program = _installed()
    env = {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "HOME": str(folder),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
    }
    command = [str(program), "--config", str(folder / "litellm.yaml"), "--host", "127.0.0.1", "--port", "{port}"]
    with running(command, env, "/health/liveliness", core=SERVER_CORE) as found:
        yield found


def _installed() -> Path:
    home = Path(os.environ.get("LITELLM_VENV", CACHE / "litellm"))
    program = home / "bin" / "litellm"
    if not program.exists():
        print("Installing LiteLLM, once …", file=sys.stderr)
        venv.create(home, with_pip=True)
        subprocess.run([home / "bin" / "pip", "install", "--quiet", "litellm[proxy]"], check=True)
    return program


def _measure_streams(folder: Path, url: str, count: int, chunks: int) -> None:
    behaviour = {"chunks": chunks, "chunk_delay_s": CHUNK_DELAY_S, "text": "word " * chunks}
    request = urllib.request.Request(f"{url}/_simulator/default", json.dumps(behaviour).encode(), method="PUT")
    urllib.request.urlopen(request).close()
    with (
        _datastead(folder, url) as (port, pid),
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
    ):
        pool.submit(_stream_many, port, TOKEN, min(count, 20), chunks).result()  # warm
        before, peak, cpu_before = memory_mb(pid), 0.0, cpu_s(pid)
        streaming = pool.submit(_stream_many, port, TOKEN, count, chunks)
        while not streaming.done():
            peak = max(peak, memory_mb(pid))
            asyncio.run(asyncio.sleep(0.1))
        whole, cpu_ms = streaming.result(), (cpu_s(pid) - cpu_before) * 1000 / count
    each_kb = (peak - before) * 1024 / count
    print(f"{cpu_ms:.1f} ms of CPU a stream, in pieces of one chunk each")
    print(f"{whole} of {count} streams of {chunks} words came whole (goal: all)")
    print(
        f"{before:.0f} MB before, {peak:.0f} MB at most: {each_kb:.1f} kB a stream (goal <= {STREAM_MEMORY_GOAL_KB} kB)"
    )


def _stream_many(port: int, token: str, count: int, chunks: int) -> int:
    """How many streams of so many at once bring all chunks and the end."""
    os.sched_setaffinity(0, {LOAD_CORE})

    async def all_of_them() -> int:
        return sum(await asyncio.gather(*(_stream_one(port, token, chunks) for _ in range(count))))

    return asyncio.run(all_of_them())


async def _stream_one(port: int, token: str, chunks: int) -> bool:
    """Whether all of the text and the end came. Chunks that reached the worker together may be one."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": PROMPT}], "max_tokens": 1000, "stream": True}
    load = Load(port, PATH, token, 0, json.dumps(body))
    received = b""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(load.requests[0])
        while b"data: [DONE]" not in received[-100:] and (piece := await reader.read(65536)):
            received += piece
        writer.close()
    except OSError as error:
        print(f"A stream broke: {error!r}", file=sys.stderr)
    return received.count(b"word ") == chunks and b"data: [DONE]" in received


if __name__ == "__main__":
    main()
