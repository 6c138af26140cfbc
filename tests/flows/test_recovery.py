"""Runs outlive their process: what was done is not done again, and what was under way goes on."""

import asyncio
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import sqlalchemy as sa
from pydantic import AfterValidator, Field

from datastead import Chain, Context, Options, operation
from datastead.data.system import ai_answers, ai_calls, runs, steps
from datastead.extensions import Registry
from datastead.testing.simulator import Simulator
from tests.flows.conftest import ARTICLES, NOTES, REGISTRY, eventually, open_house

PROMPT = "Describe in a sentence: {{ $trigger.title }}"
JOB: dict[str, Any] = {
    "name": "job",
    "trigger": "event",
    "options": {"type": "action", "scope": ["items.create"], "collections": ["articles"]},
    "operations": [
        {
            "operation": "item-create",
            "id": "note",
            "options": {"collection": "notes", "payload": {"text": "before", "article": "{{ $trigger.id }}"}},
            "resolve": "ask",
        },
        {
            "operation": "ai-generate",
            "id": "ask",
            "options": {"model": "openai:gpt-4.1", "prompt": PROMPT},
            "resolve": "update",
        },
        {
            "operation": "item-update",
            "id": "update",
            "options": {
                "collection": "articles",
                "key": "{{ $trigger.id }}",
                "payload": {"meta_description": "{{ $last.content }}"},
            },
        },
    ],
}

PROCESS = """
import asyncio, sys
from datastead.services import open_services
from datastead.extensions import Registry
from tests.flows.conftest import settings
from datastead.testing.simulator import Simulator

class At:
    def __init__(self, url): self.url = url
    def base_url(self, provider): return self.url

async def main():
    found = settings(sys.argv[1], At(sys.argv[2]), flows_lease_s=float(sys.argv[3]))
    async with open_services(found, registry=Registry(("datastead.builtin",))):
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


class Process:
    """A process of its own that carries out what waits in a database."""

    def __init__(self, url: str, simulator: Simulator, lease_s: float = 30) -> None:
        arguments = [sys.executable, "-c", PROCESS, url, simulator.base_url("openai"), str(lease_s)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self._process = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, env=environment, cwd=Path(__file__).parents[2]
        )

    async def ready(self) -> None:
        assert self._process.stdout is not None
        assert await asyncio.to_thread(self._process.stdout.readline) == b"ready\n"

    async def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(self._process.wait)
        assert self._process.stdout is not None
        self._process.stdout.close()


async def asked(simulator: Simulator, count: int = 1) -> None:
    """Waits until so many requests have come."""

    async def came() -> bool | None:
        return len(simulator.requests) >= count or None

    await eventually(came)


@pytest.mark.mariadb
async def test_a_killed_process_loses_no_run_and_does_nothing_twice(tables: str, simulator: Simulator) -> None:
    simulator.script([{"delay_s": 60}, {"text": "After the restart."}])
    async with open_house(tables, simulator, dispatch=False) as house:
        await house.apply(JOB)
        process = Process(tables, simulator)
        await process.ready()
        await house.items("articles").create({"title": "Tea"})
        await asked(simulator)
        await process.kill()
        (run,) = await house.runs(steps=True)
        assert [(step["key"], step["status"]) for step in run["steps"]] == [("note", "resolve"), ("ask", "running")]
    async with open_house(tables, simulator) as house:
        (run,) = await house.ended()
        assert run["status"] == "resolved"
        assert [(step["key"], step["attempts"]) for step in run["steps"]] == [("note", 1), ("ask", 2), ("update", 1)]
        assert [row.text for row in await house.rows(NOTES)] == ["before"]
        assert [row.meta_description for row in await house.rows(ARTICLES)] == ["After the restart."]
        assert len(simulator.requests) == 2
        states = sorted(row.state for row in await house.rows(ai_calls))
        assert states == ["in_doubt", "settled"]
        assert await house.rows(ai_answers) == []


async def test_a_call_in_doubt_is_rejected_where_the_operation_says_so(tables: str, simulator: Simulator) -> None:
    simulator.script({"delay_s": 60})
    note, ask, update = JOB["operations"]
    careful = {**ask, "options": {**ask["options"], "inDoubt": "reject"}}
    async with open_house(tables, simulator, dispatch=False) as house:
        await house.apply({**JOB, "operations": [note, careful, update]})
        process = Process(tables, simulator)
        await process.ready()
        await house.items("articles").create({"title": "Tea"})
        await asked(simulator)
        await process.kill()
    async with open_house(tables, simulator) as house:
        (run,) = await house.ended()
        assert (run["status"], run["error"]["code"]) == ("rejected", "CALL_IN_DOUBT")
        assert len(simulator.requests) == 1


async def test_a_run_of_another_machine_is_taken_over_when_its_lease_ends(tables: str, simulator: Simulator) -> None:
    async with open_house(tables, simulator, dispatch=False) as house:
        await house.apply(JOB)
        await house.items("articles").create({"title": "Tea"})
        soon = datetime.now(UTC) + timedelta(seconds=1.5)
        held = sa.update(runs).values(status="running", owner="elsewhere:1:abc", lease_until=soon)
        await house.services.database.write(lambda transaction: transaction.execute(held) and None)
    async with open_house(tables, simulator) as house:
        assert [run["status"] for run in await house.runs()] == ["running"]
        (run,) = await house.ended()
        assert run["status"] == "resolved"
        assert datetime.fromisoformat(run["finished_at"]) > soon


@pytest.mark.mariadb
async def test_who_has_lost_a_run_writes_nothing_more(tables: str, simulator: Simulator) -> None:
    simulator.script({"delay_s": 1})
    async with open_house(tables, simulator) as house:
        await house.apply(JOB)
        await house.items("articles").create({"title": "Tea"})
        await asked(simulator)
        other = sa.update(runs).values(owner="elsewhere:1:abc", lease_until=datetime.now(UTC) + timedelta(hours=1))
        await house.services.database.write(lambda transaction: transaction.execute(other) and None)

        async def settled() -> bool | None:
            return [row.state for row in await house.rows(ai_calls)] == ["settled"] or None

        await eventually(settled)
    async with open_house(tables, simulator, dispatch=False) as house:
        (run,) = await house.runs(steps=True)
        assert (run["status"], [step["status"] for step in run["steps"]]) == ("running", ["resolve", "running"])
        assert [row.meta_description for row in await house.rows(ARTICLES)] == [None]


async def test_an_answer_that_was_paid_for_is_used_after_a_crash(tables: str, simulator: Simulator) -> None:
    """As if the process had died after the model's answer, and before its step was saved."""
    simulator.script({"text": "Paid for."})
    async with open_house(tables, simulator, dispatch=False) as house:
        await house.apply(JOB)
        await house.items("articles").create({"title": "Tea"})
        (run,) = await house.runs()
        await house.services.ai.generate("Describe", model="openai:gpt-4.1", key=f"{run['id']}:1")
        assert len(await house.rows(ai_answers)) == 1
    async with open_house(tables, simulator) as house:
        (run,) = await house.ended()
        assert [row.meta_description for row in await house.rows(ARTICLES)] == ["Paid for."]
        assert len(simulator.requests) == 1
        assert await house.rows(ai_answers) == []


class MarkOptions(Options):
    """What to do when it was under way."""

    in_doubt: Literal["retry", "reject"] = Field("reject", alias="inDoubt")


MARKS: list[str | None] = []


@operation("mark", MarkOptions, slow=True, at_most_once=True)
async def mark(ctx: Context, options: MarkOptions, chain: Chain) -> Any:
    """Something that may happen once only."""
    MARKS.append(ctx.step)


@pytest.mark.parametrize(("policy", "status", "done"), [("reject", "rejected", 0), ("retry", "resolved", 1)])
async def test_what_may_happen_once_only_is_tried_again_only_by_its_policy(
    tables: str, policy: str, status: str, done: int
) -> None:
    MARKS.clear()
    registry = Registry(REGISTRY.packages, (mark,))
    async with open_house(tables, registry=registry, dispatch=False) as house:
        await house.apply({**JOB, "operations": [{"operation": "mark", "options": {"inDoubt": policy}}]})
        await house.items("articles").create({"title": "Tea"})
        (run,) = await house.runs()
        under_way = {
            "run": run["id"], "position": 0, "key": "mark", "type": "mark", "status": "running",
            "started_at": datetime.now(UTC),
        }  # fmt: skip
        await house.services.database.write(lambda t: t.execute(sa.insert(steps), under_way) and None)
    async with open_house(tables, registry=registry) as house:
        (run,) = await house.ended()
    assert (run["status"], len(MARKS), run["steps"][0]["attempts"]) == (status, done, 2)
    assert (run["error"] or {}).get("code") == ("STEP_IN_DOUBT" if policy == "reject" else None)


TRIED: list[str] = []


def _break(value: str) -> str:
    if value == "Tea":
        TRIED.append(value)
        raise RuntimeError("an error of the extension's, outside of what it does")
    return value


class BrokenOptions(Options):
    """Options that cannot be read."""

    name: Annotated[str, AfterValidator(_break)]


@operation("broken", BrokenOptions)
async def broken(ctx: Context, options: BrokenOptions, chain: Chain) -> Any:
    """Nothing: its options are never read."""


async def test_a_run_that_fails_again_and_again_is_rejected_in_the_end(tables: str) -> None:
    TRIED.clear()
    registry, note = Registry(REGISTRY.packages, (broken,)), {**JOB["operations"][0], "resolve": "broken"}
    bad = {"operation": "broken", "id": "broken", "options": {"name": "{{ $trigger.title }}"}}
    async with open_house(tables, registry=registry, flows_lease_s=0.2, flows_retries=2) as house:
        await house.apply({**JOB, "operations": [note, bad]})
        await house.items("articles").create_many([{"title": "Tea"}, {"title": "Coffee"}])
        ended = {run["trigger_data"]["payload"]["title"]: run for run in await house.ended(2)}
        assert ended["Coffee"]["status"] == "resolved"
        assert (ended["Tea"]["status"], ended["Tea"]["error"]["code"]) == ("rejected", "INTERNAL_SERVER_ERROR")
        assert [step["status"] for step in ended["Tea"]["steps"]] == ["resolve"]
        assert len(TRIED) == 3
        assert len(await house.rows(NOTES)) == 2


async def test_a_stopped_process_leaves_its_runs_to_the_next(tables: str, simulator: Simulator) -> None:
    simulator.script([{"delay_s": 0.5, "text": "From before."}])
    async with open_house(tables, simulator) as house:
        await house.apply(JOB)
        await house.items("articles").create({"title": "Tea"})
        await asked(simulator)
    async with open_house(tables, simulator, dispatch=False) as house:
        (run,) = await house.runs(steps=True)
        assert (run["status"], [step["status"] for step in run["steps"]]) == ("running", ["resolve", "resolve"])
    async with open_house(tables, simulator) as house:
        (run,) = await house.ended()
        assert (run["status"], len(simulator.requests)) == ("resolved", 1)
        assert [row.meta_description for row in await house.rows(ARTICLES)] == ["From before."]


async def test_two_processes_share_the_runs_and_do_each_once(tables: str, simulator: Simulator) -> None:
    async with open_house(tables, simulator) as house:
        await house.apply(JOB)
        process = Process(tables, simulator)
        await process.ready()
        await house.items("articles").create_many([{"title": f"Article {number}"} for number in range(30)])
        runs_ = await house.ended(30)
        await process.kill()
        assert {run["status"] for run in runs_} == {"resolved"}
        assert len(simulator.requests) == 30
        assert len(await house.rows(NOTES)) == 30


@pytest.mark.full
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(1, 9))
async def test_a_run_survives_a_death_at_every_write(tables: str, simulator: Simulator, number: int, when: str) -> None:
    """The process is killed at its n-th write to the journal or the ledger, and the next one too."""
    async with open_house(tables, simulator, dispatch=False) as house:
        await house.apply(JOB)
        await house.items("articles").create({"title": "Tea"})
    assert await _die_at(tables, simulator, number, when, limit_s=60) == -signal.SIGKILL
    await _die_at(tables, simulator, number, when, limit_s=4)
    async with open_house(tables, simulator) as house:
        (run,) = await house.ended()
        assert run["status"] == "resolved"
        assert [step["status"] for step in run["steps"]] == ["resolve"] * 3
        assert len(await house.rows(NOTES)) == 1
        assert [bool(row.meta_description) for row in await house.rows(ARTICLES)] == [True]
        calls = await house.rows(ai_calls)
        assert sum(call.state == "settled" for call in calls) == 1
        assert len(simulator.requests) <= len(calls)


DYING = """
import os, signal, sys
from datastead.data import engine
from datastead.flows.service import Flows

fatal, when, seen = int(sys.argv[4]), sys.argv[5], 0
start = Flows.start

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def begun():
    global seen
    seen += 1
    if seen == fatal and when == "before":
        die()
    return seen

def counted(method):
    async def write(self, *arguments):
        number = begun()
        result = await method(self, *arguments)
        if number == fatal:
            die()
        return result
    return write

def counted_send(method):  # the ledger's way
    def send(self, work, done):
        number = begun()
        method(self, work, lambda result, error: die() if number == fatal else done(result, error))
    return send

async def counting_start(self, services, **options):
    engine.Database.write = counted(engine.Database.write)
    engine.Database.send = counted_send(engine.Database.send)
    engine.Connection.commit = counted(engine.Connection.commit)
    await start(self, services, **options)

Flows.start = counting_start
"""


async def _die_at(url: str, simulator: Simulator, number: int, when: str, *, limit_s: float) -> int | None:
    """Runs a process that kills itself at a write; its exit code, or None where it had nothing left to write.

    limit_s: how long it may take once it is ready; on a busy machine that alone takes seconds.
    """
    arguments = [sys.executable, "-c", DYING + PROCESS, url, simulator.base_url("openai"), "30", str(number), when]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = await asyncio.create_subprocess_exec(
        *arguments, env=environment, cwd=Path(__file__).parents[2], stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    await process.stdout.readline()
    try:
        return await asyncio.wait_for(process.wait(), limit_s)
    except TimeoutError:
        process.kill()
        await process.wait()
        return None
