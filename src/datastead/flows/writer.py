"""`Writer`: what the journal is told of every run, each time in one statement that is compiled once.

The statement itself asks whether the run is still held by whoever writes.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from datastead.data.engine import Database, Transaction
from datastead.data.system import runs, steps
from datastead.data.upserts import insert_missing, upsert
from datastead.flows import journal
from datastead.flows.journal import Ended, LeaseLost, Run, Step

_HELD_COLUMNS = (
    "id", "flow", "status", "trigger", "trigger_data", "actor", "depth", "definition", "created_at", "started_at",
    "owner", "lease_until",
)  # fmt: skip
_KEYS = {"run", "position"}
_KEPT = ("trigger_data", "definition")


class Writer:
    """Of the journal in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._begin = database.prepare(_beginning(database.dialect)) if database.dialect != "mariadb" else None
        self._save = database.prepare(_saving(database.dialect))
        self._end = database.prepare(_ending()) if database.dialect != "mariadb" else None
        self._end_anew = database.prepare(_ending(*_KEPT)) if database.dialect != "mariadb" else None

    async def begin(self, run: Run, owner: str, now: datetime, lease_s: float) -> Run | None:
        """Writes a new run, held already. One that is there is taken, where nobody holds it and it has not ended."""
        held = replace(run, owner=owner, started_at=now)
        if self._begin is not None:
            until = now + timedelta(seconds=lease_s)
            if await self._database.write_one(self._begin, self._run_row(held, until)):
                return held

        def add_and_take(transaction: Transaction) -> Run | None:
            journal.add(transaction, [run])
            return journal.take(transaction, run.id, owner, now, lease_s)

        return await self._database.write(add_and_take)

    async def save(self, run: Run, step: Step) -> None:
        """Writes a step as it is now: begun, or done. Raises `LeaseLost`."""
        _require(run, await self._database.write_one(self._save, self._step_row(run, step)))

    def save_in(self, transaction: Transaction, run: Run, step: Step) -> None:
        """The same in a transaction."""
        _require(run, transaction.raw(self._save, self._step_row(run, step)))

    async def end(self, run: Run, ended: Ended) -> None:
        """Writes how a run ended. Raises `LeaseLost`."""
        if self._end is None or self._end_anew is None or ended.steps:
            await self._database.write(lambda transaction: journal.end_run(transaction, run, ended))
            return
        json = self._database.json
        row = {
            "status": ended.status, "finished_at": self._database.timestamp(ended.now), "error": json(ended.error),
            "result": json(ended.result), "run": run.id, "holder": run.owner,
        }  # fmt: skip
        if not ended.is_rewritten:
            _require(run, await self._database.write_one(self._end, row))
            return
        kept = {"trigger_data": json(ended.trigger_data), "definition": json(ended.definition.to_json())}
        _require(run, await self._database.write_one(self._end_anew, row | kept))

    def _run_row(self, run: Run, lease_until: datetime) -> Mapping[str, Any]:
        json, moment, definition = self._database.json, self._database.timestamp, run.definition
        created_at = moment(run.created_at)
        return {
            "id": run.id, "flow": definition.id, "status": "running", "trigger": definition.trigger or "",
            "trigger_data": json(run.trigger_data), "actor": json(run.actor), "depth": run.depth,
            "definition": json(definition.to_json()), "created_at": created_at,
            "started_at": created_at if run.started_at is None else moment(run.started_at),
            "owner": run.owner, "lease_until": moment(lease_until),
        }  # fmt: skip

    def _step_row(self, run: Run, step: Step) -> Mapping[str, Any]:
        json, moment = self._database.json, self._database.timestamp
        return {
            "run": run.id, "holder": run.owner, "position": step.position, "operation": step.operation,
            "key": step.key, "type": step.type, "status": step.status, "options": json(step.options),
            "output": json(step.output), "missing": json(list(step.missing)) if step.missing else None,
            "attempts": step.attempts, "started_at": moment(step.started_at),
            "finished_at": None if step.finished_at is None else moment(step.finished_at),
        }  # fmt: skip


def _require(run: Run, written: list[tuple[Any, ...]]) -> None:
    if not written:
        raise LeaseLost(run.id)


def _beginning(dialect: str) -> sa.Insert:
    values = {name: _parameter(runs.c[name]) for name in _HELD_COLUMNS}
    return insert_missing(dialect, runs).values(values).returning(runs.c.id)


def _saving(dialect: str) -> sa.Insert:
    """An INSERT of what a SELECT of the held run gives: nothing, where it is not held. It locks the run."""
    row = sa.select(*(_parameter(column).label(column.name) for column in steps.c)).select_from(runs).where(_is_held())
    changed = [column.name for column in steps.c if column.name not in _KEYS]
    saved = upsert(dialect, steps, lambda new: {name: new[name] for name in changed})
    return saved.from_select([column.name for column in steps.c], row.with_for_update()).returning(steps.c.position)


def _ending(*more: str) -> sa.Update:
    values = {name: _parameter(runs.c[name]) for name in ("status", "finished_at", "error", "result", *more)}
    ended = sa.update(runs).where(_is_held()).values({**values, "owner": sa.null(), "lease_until": sa.null()})
    return ended.returning(runs.c.id)


def _is_held() -> sa.ColumnElement[bool]:
    run, holder = sa.bindparam("run", None, runs.c.id.type), sa.bindparam("holder", None, runs.c.owner.type)
    return sa.and_(runs.c.id == run, runs.c.owner == holder, runs.c.status == sa.literal_column("'running'"))


def _parameter(column: sa.Column[Any]) -> sa.BindParameter[Any]:
    return sa.bindparam(column.name, None, column.type)
