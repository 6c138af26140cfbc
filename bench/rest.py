"""The items API over HTTP: one worker on one core; the load, and PostgreSQL's part of it, on the other.

    python bench/rest.py [--database sqlite|postgresql|both] [--seconds 4] [--rounds 3] [--rows 10000] [--peer directus]

`articles` (title, content, status, views, author: one of 100, tags: many to many) is read and written over 16
connections, with an activity and a revision for each write. The goals are 6 (in brackets 10) times what Directus 12.4
does in this layout, for creates of 100 items 15 (20) times. On a busy machine look at the CPU of a request, not at the
rate.
`--peer directus` asks Directus itself the same, in turn with ours, on the same core and a database with the same rows:
then the ratios count. `--rows 1000000` shows what the size of the table costs, beside `--rows 10000`.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import directus
from articles import AUTHORS, COLLECTIONS, CONTENT, FILL, RELATIONS, TAGS, Case, cases
from load import Load, Outcome, measured
from ours import CONNECTIONS, LOAD_CORE, SERVE, SERVER_CORE, TOKEN, database, environment, pin_backends, rows_of, send
from servers import cpu_s, memory_mb, running

START_GOAL_S, IDLE_GOAL_MB, LOADED_GOAL_MB = 1.5, 120, 200


@dataclass(frozen=True)
class Server:
    """One that runs on the tables of the benchmark. idle_mb: after its first request."""

    url: str
    port: int
    pid: int
    started_s: float
    idle_mb: float


@dataclass(frozen=True)
class Round:
    """cpu_ms: of the server, a request."""

    outcome: Outcome
    cpu_ms: float


def main() -> None:
    arguments = _arguments()
    for kind in ("sqlite", "postgresql") if arguments.database == "both" else (arguments.database,):
        with ExitStack() as stack:
            print(f"{kind}, {arguments.rows:,} rows, load average {os.getloadavg()[0]:.1f}", flush=True)
            ours = stack.enter_context(_datastead(kind, arguments.rows))
            peer = stack.enter_context(_directus(kind, arguments.rows)) if arguments.peer else None
            _measure(arguments, ours, peer)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--seconds", type=float, default=4, help="of load in each round")
    parser.add_argument("--rounds", type=int, default=3, help="of each case; the median counts")
    parser.add_argument("--rows", type=int, default=10_000, help="of articles")
    parser.add_argument("--only", help="the cases whose name begins so")
    parser.add_argument("--peer", choices=("directus",), help="whom to ask the same")
    return parser.parse_args()


def _measure(arguments: argparse.Namespace, ours: Server, peer: Server | None) -> None:
    servers = [ours] if peer is None else [ours, peer]
    for case in cases(arguments.rows):
        if not case.name.startswith(arguments.only or ""):
            continue
        seconds = arguments.seconds if peer is None else max(arguments.seconds, case.least_s)
        rounds: list[list[Round]] = [[] for _ in servers]
        for number in range(arguments.rounds + len(servers) - 1):
            for server, found in zip(servers, rounds, strict=True):  # in turn: what else is done here meets both
                found.append(_round(case, server, seconds))
            if number == 0 and peer is not None:  # Node compiles what runs often, which takes a while
                rounds = [[] for _ in servers]
        _report(case, *rounds)
    _bounded("start", [server.started_s for server in servers], START_GOAL_S, "s")
    _bounded("idle memory", [server.idle_mb for server in servers], IDLE_GOAL_MB, "MB")
    _bounded("loaded", [memory_mb(server.pid) for server in servers], LOADED_GOAL_MB, "MB")


def _round(case: Case, server: Server, seconds: float) -> Round:
    if not server.url.startswith("sqlite"):
        pin_backends(server.url)
    body = None if case.body is None else json.dumps(case.body)
    load = Load(server.port, case.paths[0], TOKEN, seconds, body, CONNECTIONS, LOAD_CORE, case.paths, case.method)
    before, kept = cpu_s(server.pid), _kept(server.url)
    outcome = measured(load)
    cpu_ms = (cpu_s(server.pid) - before) * 1000 / outcome.answered
    if case.body is not None:
        items = len(case.body) if isinstance(case.body, list) else 1
        found = _kept(server.url)
        if min(found[0] - kept[0], found[1] - kept[1]) < outcome.answered * items:
            raise SystemExit(f"{case.name}: {found} activities and revisions after {kept} are too few.")
    return Round(outcome, cpu_ms)


def _report(case: Case, ours: list[Round], peer: list[Round] | None = None) -> None:
    line, rate = _line(case.name, ours)
    if peer is not None:
        their_line, theirs = _line("  Directus", peer)
        goal = f"   {rate / theirs:.1f}x" + _verdict(rate / theirs, case.times, "x")
        print(line + goal, their_line, sep="\n", flush=True)
        return
    goals = None
    if case.times is not None and case.directus is not None:
        goals = (round(case.times[0] * case.directus), round(case.times[1] * case.directus))
    print(line + _verdict(rate, goals), flush=True)


def _line(name: str, rounds: list[Round]) -> tuple[str, float]:
    """What is printed of them, and the rate: medians."""
    rate = statistics.median(each.outcome.rps for each in rounds)
    p50 = statistics.median(each.outcome.p50_ms for each in rounds)
    p99 = statistics.median(each.outcome.p99_ms for each in rounds)
    cpu = statistics.median(each.cpu_ms for each in rounds)
    text = f"{name:14} {rate:8.{0 if rate >= 100 else 1}f} a second   p50 {p50:6.1f} ms  p99 {p99:6.1f} ms"
    return f"{text}  CPU {cpu:7.3f} ms", rate


def _verdict(value: float, goals: tuple[int, int] | None, unit: str = "") -> str:
    if goals is None:
        return ""
    word = "stretch ok" if value >= goals[1] else "ok" if value >= goals[0] else "MISSED"
    return f"   goal {goals[0]}{unit} ({goals[1]}{unit}): {word}"


def _bounded(name: str, values: list[float], most: float, unit: str) -> None:
    beside = "".join(f"   Directus {value:.2f} {unit}" for value in values[1:])
    verdict = "ok" if values[0] <= most else "MISSED"
    print(f"{name:14} {values[0]:8.2f} {unit:2}   goal at most {most}: {verdict}{beside}", flush=True)


@contextmanager
def _datastead(kind: str, rows: int) -> Iterator[Server]:
    with (
        tempfile.TemporaryDirectory() as folder,
        database(kind, Path(folder)) as url,
        _served(SERVE, environment(url), url, rows) as server,
    ):
        yield server


@contextmanager
def _directus(kind: str, rows: int) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder, database(kind, Path(folder)) as url:
        env = directus.environment(url, TOKEN, Path(folder))
        directus.bootstrap(env, Path(folder))
        with _served(["node", str(directus.installed()), "start"], env, url, rows) as server:
            yield server


@contextmanager
def _served(command: list[str], env: dict[str, str], url: str, rows: int) -> Iterator[Server]:
    """Its second start: the first one makes the tables, which are filled then."""
    with running(command, env, "/server/ping", core=SERVER_CORE) as (port, _):
        _make(port)
    _fill(url, rows)
    begun = time.perf_counter()
    with running(command, env, "/server/ping", core=SERVER_CORE) as (port, pid):
        started_s = time.perf_counter() - begun
        send(port, "/items/articles?limit=1")
        yield Server(url, port, pid, started_s, memory_mb(pid))


def _make(port: int) -> None:
    for name, fields in COLLECTIONS.items():
        send(port, "/collections", {"collection": name, "schema": {}, "meta": {}, "fields": fields})
    for relation in RELATIONS:
        send(port, "/relations", relation)


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
        rows_of(url, statement.format(authors=AUTHORS, **names))


def _kept(url: str) -> tuple[int, int]:
    """The last activity and revision."""
    (row,) = rows_of(url, "SELECT (SELECT max(id) FROM directus_activity), (SELECT max(id) FROM directus_revisions)")
    return int(row[0] or 0), int(row[1] or 0)


if __name__ == "__main__":
    main()
