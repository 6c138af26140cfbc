"""A small HTTP load generator: requests, sent again and again over kept connections, from a process of its own."""

import asyncio
import itertools
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

CONNECTIONS = 32
MOST_TIMES = 6
"""How often as long as was asked for is waited, until each connection has had an answer."""


@dataclass(frozen=True)
class Outcome:
    """rps: answers per second. p50_ms, p99_ms: latencies. answered: how many, with those of the warm-up."""

    rps: float
    p50_ms: float
    p99_ms: float
    answered: int = 0


@dataclass(frozen=True)
class Load:
    """What is asked for. body: JSON, sent with POST; None = GET. core: which one asks; None = any.

    paths: others to ask in turn, in place of `path`. method: another than GET or POST.
    """

    port: int
    path: str
    token: str | None
    seconds: float
    body: str | None = None
    connections: int = CONNECTIONS
    core: int | None = None
    paths: tuple[str, ...] = ()
    method: str | None = None

    @property
    def requests(self) -> list[bytes]:
        return [self._request(path) for path in self.paths or (self.path,)]

    def _request(self, path: str) -> bytes:
        own = [f"Authorization: Bearer {self.token}"] if self.token else []
        if self.body is not None:
            own += ["Content-Type: application/json", f"Content-Length: {len(self.body.encode())}"]
        method = self.method or ("GET" if self.body is None else "POST")
        lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *own, "", self.body or ""]
        return "\r\n".join(lines).encode()


def measure(port: int, path: str, token: str | None, seconds: float) -> Outcome:
    """What a server answers under load, as seen from another process."""
    return measured(Load(port, path, token, seconds))


def measured(load: Load) -> Outcome:
    """What a server answers under a load, as seen from another process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_run, load).result()


def _run(load: Load) -> Outcome:
    import uvloop

    if load.core is not None:
        os.sched_setaffinity(0, {load.core})
    return uvloop.run(_load(load))


async def _load(load: Load) -> Outcome:
    port, seconds, requests = load.port, load.seconds, itertools.cycle(load.requests)
    loop = asyncio.get_running_loop()
    clients = [_Client(requests) for _ in range(load.connections)]
    for client in clients:
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)
    await asyncio.sleep(seconds / 4)  # warm
    warmed = sum(len(client.times) for client in clients)
    for client in clients:
        client.times.clear()
    begun = time.perf_counter()
    for _ in range(MOST_TIMES):
        await asyncio.sleep(seconds)
        if all(client.times for client in clients):
            break
    took = time.perf_counter() - begun
    times = sorted(latency for client in clients for latency in client.times)
    for client in clients:
        client.close()
    p50_s, p99_s = times[len(times) // 2], times[int(len(times) * 0.99)]
    return Outcome(len(times) / took, p50_s * 1000, p99_s * 1000, warmed + len(times))


class _Client(asyncio.Protocol):
    """Sends the next request when the answer to the last has come whole."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        self._requests = requests
        self._buffer = b""
        self._sent_at = 0.0
        self.times: list[float] = []

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, mark, body = self._buffer.partition(b"\r\n\r\n")
        if not mark or len(body) < _length(head):
            return
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"Not 200: {self._buffer[:500]!r}")
        self.times.append(time.perf_counter() - self._sent_at)
        self._send()

    def _send(self) -> None:
        self._buffer = b""
        self._sent_at = time.perf_counter()
        self._transport.write(next(self._requests))


def _length(head: bytes) -> int:
    at = head.lower().index(b"content-length:") + len(b"content-length:")
    return int(head[at:].split(b"\r\n", 1)[0])
