"""Flows over HTTP: runs and steps a second, and how soon an event's flow begins.

    python bench/flows.py [--database sqlite|postgresql|both] [--seconds 4] [--rounds 3]

One worker on one core; the load, and PostgreSQL's part of it, on the other. `webhook` is a flow with one `transform`,
the result of which is the answer; `ten steps` has ten of them. Each run and step is saved before the answer. `event` is
a flow that creates an item for each that is created, one at a time and with nothing else to do: how long after the
request was sent its run has begun, and is done. n8n's own figure for a webhook with one step is 220 a second.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from load import Load, measured
from ours import CONNECTIONS, LOAD_CORE, SERVE, SERVER_CORE, TOKEN, database, environment, pin_backends, rows_of, send
from servers import cpu_s, running

N8N_A_SECOND = 220


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("sqlite", "postgresql", "both"), default="both")
    parser.add_argument("--seconds", type=float, default=4, help="of load in each round")
    parser.add_argument("--rounds", type=int, default=3, help="of each case; the median counts")
    parser.add_argument("--events", type=int, default=200, help="how many, one after the other")
    arguments = parser.parse_args()
    for kind in ("sqlite", "postgresql") if arguments.database == "both" else (arguments.database,):
        with _served(kind) as (url, port, pid):
            print(kind, flush=True)
            for name, flow, steps in _webhooks(port):
                _runs(name, flow, steps, (url, port, pid), arguments)
            _events(url, port, arguments.events)


@contextmanager
def _served(kind: str) -> Iterator[tuple[str, int, int]]:
    with (
        tempfile.TemporaryDirectory() as folder,
        database(kind, Path(folder)) as url,
        running(SERVE, environment(url), "/server/ping", core=SERVER_CORE) as (port, pid),
    ):
        yield url, port, pid


def _webhooks(port: int) -> Iterator[tuple[str, str, int]]:
    """Name, id and steps of the flows that answer."""
    for name, steps in (("webhook", 1), ("ten steps", 10)):
        operations: list[dict[str, Any]] = [
            {
                "id": f"step{number}",
                "operation": "transform",
                "options": {"json": {"number": "{{ $trigger.body.number }}"}},
            }
            for number in range(steps)
        ]
        for one, after in pairwise(operations):
            one["resolve"] = after["id"]
        yield (
            name,
            _apply(port, name, "webhook", {"method": "POST", "async": False, "return": "$last"}, operations),
            steps,
        )


def _apply(port: int, name: str, trigger: str, options: dict[str, Any], operations: list[dict[str, Any]]) -> str:
    flow = {"name": name, "status": "active", "trigger": trigger, "options": options, "operations": operations}
    return str(json.loads(send(port, "/flows/apply", flow))["data"]["id"])


def _runs(name: str, flow: str, steps: int, served: tuple[str, int, int], arguments: argparse.Namespace) -> None:
    url, port, pid = served
    if not url.startswith("sqlite"):
        pin_backends(url)
    load = Load(port, f"/flows/trigger/{flow}", TOKEN, arguments.seconds, '{"number": 7}', CONNECTIONS, LOAD_CORE)
    found = []
    for _ in range(arguments.rounds):
        before, kept = cpu_s(pid), _count(url, flow)
        outcome = measured(load)
        found.append((outcome, (cpu_s(pid) - before) * 1000 / outcome.answered))
        if _count(url, flow) - kept < outcome.answered:
            raise SystemExit(f"{name}: there are fewer runs that have resolved than answers.")
    rate = statistics.median(outcome.rps for outcome, _ in found)
    p50, p99 = (statistics.median(getattr(outcome, key) for outcome, _ in found) for key in ("p50_ms", "p99_ms"))
    cpu = statistics.median(each for _, each in found)
    print(
        f"  {name:10} {rate:7.0f} runs, {rate * steps:7.0f} steps a second   p50 {p50:6.1f} ms  p99 {p99:6.1f} ms"
        f"  CPU {cpu:6.3f} ms a run" + (f"   {rate / N8N_A_SECOND:.1f} times n8n's figure" if steps == 1 else ""),
        flush=True,
    )


def _count(url: str, flow: str) -> int:
    return int(rows_of(url, f"SELECT count(*) FROM datastead_runs WHERE flow = '{flow}' AND status = 'resolved'")[0][0])


def _events(url: str, port: int, events: int) -> None:
    for name in ("heard", "told"):
        send(
            port, "/collections", {"collection": name, "schema": {}, "fields": [{"field": "number", "type": "integer"}]}
        )
    creates = {"collection": "told", "payload": {"number": "{{ $trigger.payload.number }}"}}
    options = {"type": "action", "scope": ["items.create"], "collections": ["heard"]}
    flow = _apply(port, "event", "event", options, [{"id": "tell", "operation": "item-create", "options": creates}])
    sent = []
    for number in range(events):
        sent.append(datetime.now(UTC))
        send(port, "/items/heard", {"number": number})
        time.sleep(0.02)
    statement = f"SELECT started_at, finished_at FROM datastead_runs WHERE flow = '{flow}' ORDER BY created_at"
    while len(found := rows_of(url, statement)) < events or any(row[1] is None for row in found):
        time.sleep(0.01)
    for name, at in (("begun", 0), ("done", 1)):
        waits = sorted(
            (_moment(row[at]) - begun).total_seconds() * 1000 for row, begun in zip(found, sent, strict=True)
        )
        print(
            f"  event      {name} after p50 {waits[events // 2]:5.1f} ms  p99 {waits[int(events * 0.99)]:5.1f} ms",
            flush=True,
        )


def _moment(value: Any) -> datetime:
    found = datetime.fromisoformat(value) if isinstance(value, str) else value
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


if __name__ == "__main__":
    main()
