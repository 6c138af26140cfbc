"""Items over HTTP, one worker process on SQLite, beside a bare Starlette route that answers with the same JSON.

    python bench/rest_items.py [--seconds 4] [--rounds 3]

Prints requests per second and p99 of an item by its id and of a list of 25, their share of the bare route's in the same
run, the memory of an idle server, and the time from its start to its first answer.
"""

import argparse
import json
import os
import secrets
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from load import Outcome, measure
from servers import memory_mb, running

ROWS = 1000
GOALS = {"item by id": 8, "list of 25": 12}
MEMORY_GOAL_MB = 120
START_GOAL_S = 1.5
TOKEN = secrets.token_urlsafe(16)

FIELDS = [
    {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}},
    {"field": "title", "type": "string"},
    {"field": "content", "type": "text"},
    {"field": "views", "type": "integer"},
    {"field": "rating", "type": "float"},
    {"field": "published", "type": "boolean", "meta": {"special": ["cast-boolean"]}},
    {"field": "published_on", "type": "dateTime"},
    {"field": "tags", "type": "json", "meta": {"special": ["cast-json"]}},
]


def main() -> None:
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder, _datastead(Path(folder)) as (port, pid, started_s):
        idle_mb = memory_mb(pid)
        _fill(port)
        paths = {"item by id": "/items/articles/500", "list of 25": "/items/articles?limit=25&sort=-id"}
        bodies = {f"/{name.replace(' ', '-')}": _get(port, path) for name, path in paths.items()}
        with _bare(Path(folder), bodies) as bare_port:
            for name, path in paths.items():
                ours = [lambda path=path: measure(port, path, TOKEN, arguments.seconds)]
                bare = [lambda name=name: measure(bare_port, f"/{name.replace(' ', '-')}", None, arguments.seconds)]
                _report(name, *_rounds(ours[0], bare[0], arguments.rounds))
        print(f"{'idle memory':12} {idle_mb:8.0f} MB                       (goal <= {MEMORY_GOAL_MB} MB)")
        print(f"{'loaded':12} {memory_mb(pid):8.0f} MB")
        print(f"{'first answer':12} {started_s:8.2f} s                        (goal <= {START_GOAL_S} s)")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=4, help="of load in each round")
    parser.add_argument("--rounds", type=int, default=3, help="of each server, in turn; the median counts")
    return parser.parse_args()


def _rounds(
    ours: Callable[[], Outcome], bare: Callable[[], Outcome], rounds: int
) -> tuple[list[Outcome], list[Outcome]]:
    """In turn, so that what else the machine does meets both."""
    pairs = [(bare(), ours()) for _ in range(rounds)]
    return [pair[1] for pair in pairs], [pair[0] for pair in pairs]


def _report(name: str, ours: list[Outcome], bare: list[Outcome]) -> None:
    rps, bare_rps = _median(ours, "rps"), _median(bare, "rps")
    print(
        f"{name:12} {rps:8.0f} rps  p99 {_median(ours, 'p99_ms'):6.1f} ms   "
        f"bare {bare_rps:8.0f} rps  p99 {_median(bare, 'p99_ms'):6.1f} ms   "
        f"1/{bare_rps / rps:.1f} of it (goal >= 1/{GOALS[name]})"
    )


def _median(outcomes: list[Outcome], what: str) -> float:
    return statistics.median(getattr(outcome, what) for outcome in outcomes)


@contextmanager
def _datastead(folder: Path) -> Iterator[tuple[int, int, float]]:
    """A server on a SQLite file, started a second time: its port, its process id, the seconds to its first answer."""
    env = {
        "PATH": os.environ["PATH"],
        "ADMIN_TOKEN": TOKEN,
        "ADMIN_PASSWORD": secrets.token_urlsafe(16),
        "SECRET": secrets.token_urlsafe(32),
        "DATABASE_URL": f"sqlite:///{folder / 'bench.db'}",
        "HOST": "127.0.0.1",
    }
    command = [sys.executable, "-m", "datastead", "serve"]
    with running(command, env, "/server/ping"):
        pass
    begun = time.perf_counter()
    with running(command, env, "/server/ping") as (port, pid):
        yield port, pid, time.perf_counter() - begun


@contextmanager
def _bare(folder: Path, bodies: dict[str, bytes]) -> Iterator[int]:
    """Plain Starlette routes that serialise the same values."""
    (folder / "bodies.json").write_text(json.dumps({path: json.loads(body) for path, body in bodies.items()}))
    (folder / "bare.py").write_text(BARE)
    command = [sys.executable, str(folder / "bare.py")]
    with running(command, {"PATH": os.environ["PATH"]}, next(iter(bodies))) as (port, _):
        yield port


BARE = """
import os, pathlib, orjson, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

bodies = orjson.loads((pathlib.Path(__file__).parent / "bodies.json").read_bytes())

async def answer(request):
    return Response(orjson.dumps(bodies[request.url.path]), media_type="application/json")

app = Starlette(routes=[Route(path, answer) for path in bodies])
uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), access_log=False, log_level="warning")
"""


def _fill(port: int) -> None:
    _send(port, "/collections", {"collection": "articles", "schema": {}, "meta": {}, "fields": FIELDS})
    rows = [
        {
            "title": f"Article {number}",
            "content": "What there is to say of it. " * 10,
            "views": number * 7 % 1000,
            "rating": number % 50 / 10,
            "published": number % 3 == 0,
            "published_on": "2026-11-23T18:26:26",
            "tags": ["one", "two"],
        }
        for number in range(ROWS)
    ]
    _send(port, "/items/articles?fields=id", rows)


def _send(port: int, path: str, body: Any) -> bytes:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request) as answer:
        return bytes(answer.read())


def _get(port: int, path: str) -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request) as answer:
        return bytes(answer.read())


if __name__ == "__main__":
    main()
