"""Runs as people look at them: rows with the flow's name, and a run's steps. Secrets are masked."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from datastead.data.engine import Transaction
from datastead.data.system import flows, runs, steps

Mask = Callable[[Any], Any]

_SHOWN = (
    runs.c.id, runs.c.flow, flows.c.name.label("flow_name"), runs.c.status, runs.c.trigger, runs.c.depth, runs.c.error,
    runs.c.created_at, runs.c.started_at, runs.c.finished_at,
)  # fmt: skip


def read_runs(
    transaction: Transaction,
    *,
    flow: str | None,
    status: str | None,
    limit: int,
    offset: int,
    with_steps: bool,
    mask: Mask,
) -> list[dict[str, Any]]:
    """Runs, newest first; with their steps they have what `read_run` has."""
    wanted = _wanted(whole=with_steps).order_by(runs.c.created_at.desc(), runs.c.id)
    if flow is not None:
        wanted = wanted.where(runs.c.flow == flow)
    if status is not None:
        wanted = wanted.where(runs.c.status == status)
    found = [_run(row, mask) for row in transaction.execute(wanted.limit(limit).offset(offset))]
    if with_steps:
        _add_steps(transaction, found, mask)
    return found


def read_run(transaction: Transaction, run_id: str, mask: Mask) -> dict[str, Any] | None:
    """One run, with its steps, what started it and what it answered."""
    row = transaction.execute(_wanted(whole=True).where(runs.c.id == run_id)).first()
    if row is None:
        return None
    found = _run(row, mask)
    _add_steps(transaction, [found], mask)
    return found


def _wanted(*, whole: bool) -> sa.Select[Any]:
    shown = (*_SHOWN, runs.c.trigger_data, runs.c.result) if whole else _SHOWN
    return sa.select(*shown).select_from(runs.outerjoin(flows, flows.c.id == runs.c.flow))


def _add_steps(transaction: Transaction, found: Sequence[dict[str, Any]], mask: Mask) -> None:
    by_run: dict[str, list[dict[str, Any]]] = {run["id"]: run.setdefault("steps", []) for run in found}
    wanted = sa.select(steps).where(steps.c.run.in_(list(by_run))).order_by(steps.c.run, steps.c.position)
    for row in transaction.execute(wanted):
        by_run[str(row.run)].append(_step(row, mask))


def _run(row: sa.Row[Any], mask: Mask) -> dict[str, Any]:
    whole: dict[str, Any] = {
        name: mask(getattr(row, name)) for name in ("trigger_data", "result") if name in row._fields
    }
    return {
        "id": str(row.id), "flow": str(row.flow), "flow_name": row.flow_name, "status": row.status,
        "trigger": row.trigger, "depth": row.depth, "error": mask(row.error), "created_at": _text(row.created_at),
        "started_at": _text(row.started_at), "finished_at": _text(row.finished_at),
        **whole,
    }  # fmt: skip


def _step(row: sa.Row[Any], mask: Mask) -> dict[str, Any]:
    return {
        "position": row.position, "operation": str(row.operation), "key": row.key, "type": row.type,
        "status": row.status, "options": mask(row.options), "output": mask(row.output), "missing": row.missing or [],
        "attempts": row.attempts, "started_at": _text(row.started_at), "finished_at": _text(row.finished_at),
    }  # fmt: skip


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None
