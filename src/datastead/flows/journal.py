"""The journal: runs and their steps as rows. Functions of an open transaction, so that a record and its effect are one.

Whoever carries a run out holds it by a lease. Every write of a holder asks whether it still holds the run, and raises
`LeaseLost` where another has taken it over.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from datastead.data.engine import Transaction
from datastead.data.system import Timestamp, runs, steps
from datastead.data.upserts import insert_missing
from datastead.flows.model import FlowDefinition

ENDED = ("resolved", "rejected")


class LeaseLost(Exception):
    """Another process has taken the run over."""


@dataclass(frozen=True, slots=True)
class Step:
    """An operation in a run. status: running | resolve | reject. missing: template paths that had no value."""

    position: int
    operation: str
    key: str
    type: str
    status: str
    options: Any
    started_at: datetime
    output: Any = None
    missing: tuple[str, ...] = ()
    attempts: int = 1
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A flow that is carried out. actor: as `actors.to_json` makes it. owner: who holds it."""

    id: str
    definition: FlowDefinition
    trigger_data: Any
    actor: Mapping[str, Any] | None
    depth: int
    created_at: datetime
    owner: str | None = None
    started_at: datetime | None = None
    steps: tuple[Step, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended, and what is kept of it.

    is_rewritten: whether less is kept of the trigger's data and the definition than was saved. steps: those of which
    less is kept.
    """

    status: str
    now: datetime
    error: Any
    result: Any
    trigger_data: Any
    definition: FlowDefinition
    is_rewritten: bool
    steps: Sequence[Step] = ()


def add(transaction: Transaction, new: Sequence[Run]) -> None:
    """Writes runs that are to be carried out; those that are there already are left alone."""
    if new:
        transaction.execute(insert_missing(transaction.dialect, runs), [_run_row(run) for run in new])


def add_ended(
    transaction: Transaction, run: Run, status: str, done: Sequence[Step], *, error: Any = None, result: Any = None,
    finished_at: datetime | None = None,
) -> None:  # fmt: skip
    """Writes a run that was carried out in memory, or was refused."""
    row = _run_row(run) | {"status": status, "error": error, "result": result, "finished_at": finished_at}
    row |= {"started_at": run.started_at or run.created_at}
    transaction.execute(insert_missing(transaction.dialect, runs), row)
    if done:
        rows = [_step_row(run.id, step) for step in done]
        transaction.execute(insert_missing(transaction.dialect, steps), rows)


def has_work() -> sa.Select[Any]:
    """Whether any run waits for somebody to carry it out; `now` is a parameter."""
    return sa.select(sa.literal(1)).where(_is_claimable(sa.bindparam("now", type_=Timestamp()))).limit(1)


def claim(transaction: Transaction, owner: str, now: datetime, lease_s: float, limit: int) -> list[Run]:
    """Takes the oldest runs that nobody holds, with their steps so far."""
    wanted = sa.select(runs.c.id).where(_is_claimable(_moment(now))).order_by(runs.c.created_at).limit(limit)
    started = sa.func.coalesce(runs.c.started_at, _moment(now))
    taken = _taken(transaction, wanted, owner, now + timedelta(seconds=lease_s), started)
    return _with_steps(transaction, sorted((_run(row) for row in taken), key=lambda run: run.created_at))


def take(transaction: Transaction, run_id: str, owner: str, now: datetime, lease_s: float) -> Run | None:
    """Takes one run, where nobody holds it and it has not ended."""
    wanted = sa.select(runs.c.id).where(runs.c.id == run_id, _is_claimable(_moment(now)))
    taken = _taken(transaction, wanted, owner, now + timedelta(seconds=lease_s), _moment(now))
    return _with_steps(transaction, [_run(row) for row in taken])[0] if taken else None


def _taken(
    transaction: Transaction, wanted: sa.Select[Any], owner: str, until: datetime, started: sa.ColumnElement[Any]
) -> list[sa.Row[Any]]:
    """Takes the runs that the query finds, as far as nobody else is about to; their rows."""
    if transaction.dialect != "sqlite":
        wanted = wanted.with_for_update(skip_locked=True)
    change = sa.update(runs).values(status="running", owner=owner, lease_until=until, started_at=started)
    if transaction.dialect != "mariadb":
        return list(transaction.execute(change.where(runs.c.id.in_(wanted)).returning(*runs.c)))
    keys = list(transaction.execute(wanted).scalars())  # its UPDATE gives no rows, and reads no table that it changes
    if not keys:
        return []
    transaction.execute(change.where(runs.c.id.in_(keys)))
    return list(transaction.execute(sa.select(runs).where(runs.c.id.in_(keys))))


def renew(transaction: Transaction, owner: str, held: Sequence[str], until: datetime) -> None:
    """Keeps the runs for longer."""
    transaction.execute(
        sa.update(runs).where(runs.c.id.in_(held), runs.c.owner == owner, runs.c.status == "running").values(
            lease_until=until
        )
    )  # fmt: skip


def release(transaction: Transaction, owner: str, held: Sequence[str]) -> None:
    """Lets go of runs that have not ended, so that anybody can take them over at once."""
    transaction.execute(
        sa.update(runs)
        .where(runs.c.id.in_(held), runs.c.owner == owner, runs.c.status == "running")
        .values(owner=None, lease_until=None)
    )


def owners(transaction: Transaction) -> list[str]:
    """Who holds runs."""
    found = sa.select(runs.c.owner).where(runs.c.status == "running", runs.c.owner.is_not(None)).distinct()
    return [str(row.owner) for row in transaction.execute(found)]


def release_all_of(transaction: Transaction, dead: Sequence[str]) -> None:
    """Lets go of the runs of processes that are gone."""
    transaction.execute(
        sa.update(runs).where(runs.c.status == "running", runs.c.owner.in_(dead)).values(owner=None, lease_until=None)
    )


def hold(transaction: Transaction, run: Run) -> None:
    """Raises `LeaseLost` where the run's owner does not hold it any more. Locks the run until the transaction ends."""
    statement = sa.select(runs.c.id).where(runs.c.id == run.id, runs.c.owner == run.owner, runs.c.status == "running")
    if transaction.dialect != "sqlite":
        statement = statement.with_for_update()
    if transaction.execute(statement).first() is None:
        raise LeaseLost(run.id)


def end_run(transaction: Transaction, run: Run, ended: Ended) -> None:
    """Writes how a run ended. Raises `LeaseLost`."""
    hold(transaction, run)
    values = {
        "status": ended.status, "error": ended.error, "result": ended.result, "finished_at": ended.now, "owner": None,
        "lease_until": None,
    }  # fmt: skip
    if ended.is_rewritten:
        values |= {"trigger_data": ended.trigger_data, "definition": ended.definition.to_json()}
    transaction.execute(sa.update(runs).where(runs.c.id == run.id).values(values))
    for step in ended.steps:
        transaction.execute(
            sa.update(steps)
            .where(steps.c.run == run.id, steps.c.position == step.position)
            .values(options=step.options, output=step.output)
        )


def with_steps(transaction: Transaction, run: Run) -> Run:
    """The run with its steps as they are now."""
    return _with_steps(transaction, [run])[0]


def count_failure(transaction: Transaction, run: Run) -> int:
    """Writes that an internal error has stopped a run; how often so far. Raises `LeaseLost`."""
    hold(transaction, run)
    this = runs.c.id == run.id
    transaction.execute(sa.update(runs).where(this).values(failures=runs.c.failures + 1))
    return int(transaction.execute(sa.select(runs.c.failures).where(this)).scalar_one())


def result_of(transaction: Transaction, run_id: str) -> tuple[str, Any, Any] | None:
    """How a run stands: status, result, error."""
    row = transaction.execute(sa.select(runs.c.status, runs.c.result, runs.c.error).where(runs.c.id == run_id)).first()
    return (row.status, row.result, row.error) if row else None


def _moment(now: datetime) -> sa.ColumnElement[Any]:
    return sa.literal(now, Timestamp())


def _is_claimable(now: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    is_free = sa.or_(runs.c.lease_until.is_(None), runs.c.lease_until < now)
    return sa.or_(runs.c.status == "pending", sa.and_(runs.c.status == "running", is_free))


def _run_row(run: Run) -> dict[str, Any]:
    return {
        "id": run.id, "flow": run.definition.id, "status": "pending", "trigger": run.definition.trigger or "",
        "trigger_data": run.trigger_data, "actor": run.actor, "depth": run.depth,
        "definition": run.definition.to_json(), "created_at": run.created_at,
    }  # fmt: skip


def _step_row(run_id: str, step: Step) -> dict[str, Any]:
    return {
        "run": run_id, "position": step.position, "operation": step.operation, "key": step.key, "type": step.type,
        "status": step.status, "options": step.options, "output": step.output, "missing": list(step.missing) or None,
        "attempts": step.attempts, "started_at": step.started_at, "finished_at": step.finished_at,
    }  # fmt: skip


def _run(row: sa.Row[Any]) -> Run:
    return Run(
        id=str(row.id), definition=FlowDefinition.from_json(row.definition), trigger_data=row.trigger_data,
        actor=row.actor, depth=row.depth, created_at=row.created_at, owner=row.owner, started_at=row.started_at,
    )  # fmt: skip


def _with_steps(transaction: Transaction, found: Sequence[Run]) -> list[Run]:
    if not found:
        return []
    rows = transaction.execute(
        sa.select(steps).where(steps.c.run.in_([run.id for run in found])).order_by(steps.c.run, steps.c.position)
    ).all()
    by_run: dict[str, list[Step]] = {}
    for row in rows:
        by_run.setdefault(str(row.run), []).append(_step(row))
    return [replace(run, steps=tuple(by_run.get(run.id, ()))) for run in found]


def _step(row: sa.Row[Any]) -> Step:
    return Step(
        position=row.position, operation=str(row.operation), key=row.key, type=row.type, status=row.status,
        options=row.options, started_at=row.started_at, output=row.output, missing=tuple(row.missing or ()),
        attempts=row.attempts, finished_at=row.finished_at,
    )  # fmt: skip
