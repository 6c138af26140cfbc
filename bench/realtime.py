"""Two servers on one PostgreSQL: how soon one hears of what the other has done, and what that costs whoever writes.

    python bench/realtime.py [--changes 60] [--seconds 4] [--rounds 3] [--src a/src b/src]

A change is measured from before its request to the message at a subscriber of the other server; a flow from before it
is applied until the other server shows it. Creates are counted while nobody subscribes, and while the other server has
a subscriber. `--src`: trees of the package to compare, in turn, round by round; without it, the installed one.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from articles import COLLECTIONS, NEW
from load import Load, measured
from ours import CONNECTIONS, LOAD_CORE, SERVE, SERVER_CORE, TOKEN, database, environment, pin_backends, send
from servers import cpu_s, running
from websockets.sync.client import ClientConnection, connect

ARTICLES = {"collection": "articles", "schema": {}, "meta": {}, "fields": COLLECTIONS["articles"]}
HOOK: dict[str, Any] = {"trigger": "webhook", "options": {"method": "GET"}, "operations": [{"operation": "log"}]}


@dataclass
class Found:
    """What rounds have found: latencies in ms, rates, CPU of the writer in ms a create."""

    change: list[float] = field(default_factory=list)
    flow: list[float] = field(default_factory=list)
    alone: list[tuple[float, float]] = field(default_factory=list)
    heard: list[tuple[float, float]] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=60, help="of each kind, in each round")
    parser.add_argument("--seconds", type=float, default=4, help="of creates, in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--src", nargs="+", default=[""], help="folders that have the package in them")
    given = parser.parse_args()
    found = {src: Found() for src in given.src}
    for _ in range(given.rounds):
        for src, so_far in found.items():
            _round(src, given.changes, given.seconds, so_far)
    for src, all_of_it in found.items():
        _report(src, all_of_it)


def _report(src: str, found: Found) -> None:
    print(src or "as it is installed")
    for name, values in (("a change", found.change), ("a flow", found.flow)):
        worst = sorted(values)[int(len(values) * 0.95)]
        print(f"{name:26} p50 {statistics.median(values):8.1f} ms  p95 {worst:8.1f} ms  of {len(values)}")
    for name, rounds in (("creates, nobody listens", found.alone), ("creates, somebody listens", found.heard)):
        rate, cpu = (statistics.median(column) for column in zip(*rounds, strict=True))
        print(f"{name:26} {rate:8.0f} a second  CPU {cpu:6.3f} ms", flush=True)


def _round(src: str, changes: int, seconds: float, found: Found) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        database("postgresql", Path(folder)) as url,
        _served(url, src) as one,
    ):
        send(one[0], "/collections", ARTICLES)
        found.alone.append(_creates(url, one, seconds))
        with _served(url, src) as (there, _), _subscribed(there) as socket:
            found.heard.append(_creates(url, one, seconds))
            _drain(socket)
            for number in range(changes):
                time.sleep(0.037 * (number % 7))  # at no fixed time after whatever looks now and then
                found.change.append(_change(one[0], socket))
                found.flow.append(_flow(one[0], there, number))


@contextmanager
def _served(url: str, src: str) -> Iterator[tuple[int, int]]:
    env = {**environment(url), "PYTHONPATH": src, "WEBSOCKETS_ENABLED": "true"}
    with running(SERVE, env, "/server/ping", core=SERVER_CORE) as served:
        yield served


@contextmanager
def _subscribed(port: int) -> Iterator[ClientConnection]:
    """A subscriber to `articles`, who is told nothing of what there is."""
    with connect(f"ws://127.0.0.1:{port}/websocket", max_size=None) as socket:
        socket.send(json.dumps({"type": "auth", "access_token": TOKEN}))
        socket.recv(10)
        query = {"fields": ["id"]}
        socket.send(json.dumps({"type": "subscribe", "collection": "articles", "event": "create", "query": query}))
        socket.recv(10)
        yield socket


def _creates(url: str, server: tuple[int, int], seconds: float) -> tuple[float, float]:
    """How many a second, and the CPU of each in ms."""
    port, pid = server
    pin_backends(url)
    before = cpu_s(pid)
    outcome = measured(
        Load(port, "/items/articles", TOKEN, seconds, json.dumps({**NEW, "author": None}), CONNECTIONS, LOAD_CORE)
    )
    return outcome.rps, (cpu_s(pid) - before) * 1000 / outcome.answered


def _drain(socket: ClientConnection) -> None:
    """Until nothing more comes."""
    try:
        while True:
            socket.recv(0.7)  # news comes in shorter steps
    except TimeoutError:
        pass


def _change(port: int, socket: ClientConnection) -> float:
    begun = time.perf_counter()
    send(port, "/items/articles", {"title": "New"})
    while json.loads(socket.recv(10)).get("event") != "create":
        pass  # a ping
    return (time.perf_counter() - begun) * 1000


def _flow(here: int, there: int, number: int) -> float:
    name = f"Flow {number}"
    begun = time.perf_counter()
    send(here, "/flows/apply", {**HOOK, "name": name})
    while name not in {flow["name"] for flow in json.loads(send(there, "/flows/overview"))["data"]}:
        time.sleep(0.002)
    return (time.perf_counter() - begun) * 1000


if __name__ == "__main__":
    main()
