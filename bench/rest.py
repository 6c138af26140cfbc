"""The items API over HTTP: one worker on one core; the load, and PostgreSQL's part of it, on the other.

    python bench/rest.py [--database sqlite|postgresql|both] [--seconds 4] [--rounds 3] [--rows 10000]

`articles` (title, content, status, views, author: one of 100, tags: many to many) is read and written over 16
connections, with an activity and a revision for each write. The goals are 6 (in brackets 10) times what Directus 12.4
does in this layout, for creates of 100 items 15 (20) times. On a busy machine look at the CPU of a request, not at the
rate.
`--rows 1000000` shows what the size of the table costs, beside `--rows 10000`.
"""

import argparse
import json
import os
import secrets
import sqlite3
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from load import Load, Outcome, measured
from servers import cpu_s, memory_mb, running

SERVER_CORE, LOAD_CORE = 0, 1
CONNECTIONS = 16
AUTHORS, TAGS = 100, 20
START_GOAL_S, IDLE_GOAL_MB, LOADED_GOAL_MB = 1.5, 120, 200
TOKEN = secrets.token_urlsafe(16)
POSTGRESQL = os.environ.get("DATASTEAD_TEST_POSTGRES", "postgresql://root@127.0.0.1:5432/postgres")
CONTENT = "What there is to say of it, in a few words. " * 8

KEY = {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}}
COLLECTIONS: dict[str, list[dict[str, Any]]] = {
    "authors": [KEY, {"field": "name", "type": "string"}],
    "tags": [KEY, {"field": "name", "type": "string"}],
    "articles": [
        KEY,
        {"field": "title", "type": "string"},
        {"field": "content", "type": "text"},
        {"field": "status", "type": "string", "schema": {"default_value": "draft"}},
        {"field": "views", "type": "integer", "schema": {"is_indexed": True}},
        {"field": "author", "type": "integer", "meta": {"special": ["m2o"]}},
        {"field": "tags", "type": "alias", "meta": {"special": ["m2m"]}},
    ],
    "articles_tags": [KEY, {"field": "articles_id", "type": "integer"}, {"field": "tags_id", "type": "integer"}],
}
RELATIONS = [
    {"collection": "articles", "field": "author", "related_collection": "authors"},
    {"collection": "articles_tags", "field": "articles_id", "related_collection": "articles",
     "meta": {"one_field": "tags", "junction_field": "tags_id"}},
    {"collection": "articles_tags", "field": "tags_id", "related_collection": "tags",
     "meta": {"junction_field": "articles_id"}},
]  # fmt: skip
FILL = (
    "INSERT INTO authors (name) SELECT 'Author ' || n FROM {few}",
    "INSERT INTO tags (name) SELECT 'Tag ' || n FROM {few} WHERE n <= {tags}",
    (
        "INSERT INTO articles (title, content, status, views, author) SELECT 'Article ' || n, '{content}',"
        " CASE n % 3 WHEN 0 THEN 'published' ELSE 'draft' END, n, 1 + n % {authors} FROM {many}"
    ),
    "INSERT INTO articles_tags (articles_id, tags_id) SELECT n, 1 + n % {tags} FROM {many}",
    "CREATE INDEX articles_tags_of ON articles_tags (articles_id)",
)
NEW = {"title": "A new article", "content": CONTENT, "status": "draft", "views": 5, "author": 7}


@dataclass(frozen=True)
class Case:
    """What is asked, and how often a second it should be answered. goal, stretch: None = no goal."""

    name: str
    paths: tuple[str, ...]
    method: str | None = None
    body: Any = None
    goal: int | None = None
    stretch: int | None = None


def cases(rows: int) -> list[Case]:
    ids = range(1, rows + 1, max(1, rows // 997))
    joined = "fields=id,title,status,views,author.name&limit=25"
    newest = f"/items/articles?filter[status][_eq]=published&sort=-id&{joined}"
    changed = {"views": 7, "title": "Changed"}
    of_each = tuple(f"/items/articles/{key}" for key in ids)
    return [
        Case("ping", ("/server/ping",)),
        Case("read by id", of_each, goal=1308, stretch=2180),
        Case("list of 25", (newest,), goal=1134, stretch=1890),
        Case("list by index", tuple(f"/items/articles?filter[views][_gte]={n}&sort=views&{joined}" for n in ids)),
        Case("create", ("/items/articles",), "POST", NEW, goal=852, stretch=1420),
        Case("update", of_each, "PATCH", changed, goal=492, stretch=820),
        Case("create 100", ("/items/articles",), "POST", [NEW] * 100, goal=99, stretch=132),
    ]


def main() -> None:
    arguments = _arguments()
    for kind in ("sqlite", "postgresql") if arguments.database == "both" else (arguments.database,):
        with tempfile.TemporaryDirectory() as folder, _database(kind, Path(folder)) as url:
            print(f"{kind}, {arguments.rows:,} rows, load average {os.getloadavg()[0]:.1f}")
            _measure(arguments, url)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--seconds", type=float, default=4, help="of load in each round")
    parser.add_argument("--rounds", type=int, default=3, help="of each case; the median counts")
    parser.add_argument("--rows", type=int, default=10_000, help="of articles")
    parser.add_argument("--only", help="the cases whose name begins so")
    return parser.parse_args()


def _measure(arguments: argparse.Namespace, url: str) -> None:
    command = [sys.executable, "-m", "datastead", "serve"]
    with running(command, _env(url), "/server/ping", core=SERVER_CORE) as (port, _):
        _make(port)
    _fill(url, arguments.rows)
    begun = time.perf_counter()
    with running(command, _env(url), "/server/ping", core=SERVER_CORE) as (port, pid):
        started_s = time.perf_counter() - begun
        _send(port, "/items/articles?limit=1")
        idle_mb = memory_mb(pid)
        for case in cases(arguments.rows):
            if case.name.startswith(arguments.only or ""):
                _report(case, [_round(case, url, port, pid, arguments.seconds) for _ in range(arguments.rounds)])
        _bounded("start", started_s, START_GOAL_S, "s")
        _bounded("idle memory", idle_mb, IDLE_GOAL_MB, "MB")
        _bounded("loaded", memory_mb(pid), LOADED_GOAL_MB, "MB")


def _round(case: Case, url: str, port: int, pid: int, seconds: float) -> tuple[Outcome, float]:
    """The outcome, and the CPU of the server for each request in ms."""
    if not url.startswith("sqlite"):
        _pin_backends(url)
    body = None if case.body is None else json.dumps(case.body)
    load = Load(port, case.paths[0], TOKEN, seconds, body, CONNECTIONS, LOAD_CORE, case.paths, case.method)
    before, kept = cpu_s(pid), _kept(url)
    outcome = measured(load)
    if case.body is not None:
        items = len(case.body) if isinstance(case.body, list) else 1
        found = _kept(url)
        if min(found[0] - kept[0], found[1] - kept[1]) < outcome.answered * items:
            raise SystemExit(f"{case.name}: {found} activities and revisions after {kept} are too few.")
    return outcome, (cpu_s(pid) - before) * 1000 / outcome.answered


def _report(case: Case, rounds: list[tuple[Outcome, float]]) -> None:
    rate = statistics.median(outcome.rps for outcome, _ in rounds)
    p50 = statistics.median(outcome.p50_ms for outcome, _ in rounds)
    p99 = statistics.median(outcome.p99_ms for outcome, _ in rounds)
    cpu = statistics.median(cpu_ms for _, cpu_ms in rounds)
    goal = ""
    if case.goal is not None and case.stretch is not None:
        word = "stretch ok" if rate >= case.stretch else "ok" if rate >= case.goal else "MISSED"
        goal = f"   goal {case.goal} ({case.stretch}): {word}"
    print(f"{case.name:14} {rate:8.0f} a second   p50 {p50:6.1f} ms  p99 {p99:6.1f} ms  CPU {cpu:6.3f} ms{goal}")


def _bounded(name: str, value: float, most: float, unit: str) -> None:
    print(f"{name:14} {value:8.2f} {unit:2}   goal at most {most}: {'ok' if value <= most else 'MISSED'}")


def _env(url: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"], "ADMIN_TOKEN": TOKEN, "ADMIN_PASSWORD": "a-password-for-the-bench",
        "SECRET": "s" * 40, "DATABASE_URL": url, "HOST": "127.0.0.1",
    }  # fmt: skip


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'bench.db'}"
        return
    name = f"datastead_bench_{secrets.token_hex(6)}"
    with psycopg.connect(POSTGRESQL, autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}".encode())
    try:
        yield f"{POSTGRESQL.rpartition('/')[0]}/{name}"
    finally:
        with psycopg.connect(POSTGRESQL, autocommit=True) as server:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _make(port: int) -> None:
    for name, fields in COLLECTIONS.items():
        _send(port, "/collections", {"collection": name, "schema": {}, "meta": {}, "fields": fields})
    for relation in RELATIONS:
        _send(port, "/relations", relation)


def _fill(url: str, rows: int) -> None:
    """Past the server, which would take its time over a million."""
    is_sqlite = url.startswith("sqlite")
    series = (
        "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {0}) SELECT n FROM s)"
        if is_sqlite
        else "generate_series(1, {0}) AS s(n)"
    )
    names = {"few": series.format(AUTHORS), "many": series.format(rows), "content": CONTENT, "tags": TAGS}
    for statement in (*FILL, "ANALYZE"):
        _run(url, statement.format(authors=AUTHORS, **names))


def _kept(url: str) -> tuple[int, int]:
    """The last activity and revision."""
    (row,) = _run(url, "SELECT (SELECT max(id) FROM directus_activity), (SELECT max(id) FROM directus_revisions)")
    return int(row[0] or 0), int(row[1] or 0)


def _run(url: str, statement: str) -> list[Any]:
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30)
        try:
            with connection:
                return connection.execute(statement).fetchall()
        finally:
            connection.close()
    with psycopg.connect(url, autocommit=True) as server:
        cursor = server.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def _pin_backends(url: str) -> None:
    """PostgreSQL's processes for this database go to the load's core, where the machine lets us."""
    name = url.rpartition("/")[2]
    for (pid,) in _run(url, f"SELECT pid FROM pg_stat_activity WHERE datname = '{name}'"):
        try:
            os.sched_setaffinity(pid, {LOAD_CORE})
        except OSError:
            print("PostgreSQL's processes cannot be moved to a core: it runs where it likes.")
            return


def _send(port: int, path: str, body: Any = None) -> bytes:
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    raw = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", raw, headers)
    with urllib.request.urlopen(request) as answer:
        return bytes(answer.read())


if __name__ == "__main__":
    main()
