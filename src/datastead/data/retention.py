"""`Retention`: deletes activities, revisions and runs that are older than the settings keep them, a few at a time."""

import asyncio
import logging
from datetime import datetime, timedelta
from functools import partial

import sqlalchemy as sa
from cronsim import CronSim

from datastead.context import Services
from datastead.data import system
from datastead.data.engine import Transaction
from datastead.data.moments import as_text
from datastead.errors import DatasteadError

log = logging.getLogger(__name__)


class Retention:
    """A timer for the times of `RETENTION_SCHEDULE`."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Waits for the next time, where `RETENTION_ENABLED` says so."""
        settings, now = self._services.settings, self._services.clock()
        following = next(CronSim(settings.retention_schedule, now), None) if settings.retention_enabled else None
        if following is not None:
            self._timer = self._loop.call_later((following - now).total_seconds(), self._begin)

    async def stop(self) -> None:
        """Ends, after the statement that is under way."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._sweep())

    async def _sweep(self) -> None:
        try:
            gone = await delete_old(self._services)
            log.info("%s activities, revisions and runs were older than they are kept: deleted.", gone)
        except (sa.exc.SQLAlchemyError, DatasteadError):
            log.exception(
                "Old activities, revisions and runs could not be deleted; it is tried again at the next time."
            )
        finally:
            self.start()


async def delete_old(services: Services) -> int:
    """Deletes what is older than it is kept, in short transactions; how many rows that were."""
    settings, now, gone = services.settings, services.clock(), 0
    kept = (
        (_delete_revisions, settings.revisions_retention),
        (_delete_activities, settings.activity_retention),
        (_delete_runs, settings.flow_logs_retention),
    )
    for delete, seconds in kept:
        work = partial(delete, limit=now - timedelta(seconds=seconds), count=settings.retention_batch)
        while found := await services.database.write(work):
            gone += found
    return gone


def _delete_revisions(transaction: Transaction, limit: datetime, count: int) -> int:
    revisions, activity, versions = system.revisions, system.activity, system.item_versions
    is_draft = sa.exists().where(versions.c.id == revisions.c.version)  # see `saves`: there is no other place for it
    old = (
        sa.select(revisions.c.id)
        .join(activity, activity.c.id == revisions.c.activity)
        .where(*_before(limit), ~is_draft)
        .order_by(activity.c.timestamp)
        .limit(count)
    )
    ids = list(transaction.execute(old).scalars())
    if ids:
        transaction.execute(sa.update(revisions).where(revisions.c.parent.in_(ids)).values(parent=None))
        transaction.execute(sa.delete(revisions).where(revisions.c.id.in_(ids)))
    return len(ids)


def _before(limit: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """The first finds it by the index; the second leaves what only seems to be older (see `moments`)."""
    moment = system.activity.c.timestamp
    return moment < limit, as_text(moment) < limit


def _delete_activities(transaction: Transaction, limit: datetime, count: int) -> int:
    """Those whose revisions are gone: where these are kept for longer, they need theirs."""
    revisions, activity = system.revisions, system.activity
    is_needed = sa.exists().where(revisions.c.activity == activity.c.id)
    old = sa.select(activity.c.id).where(*_before(limit), ~is_needed).order_by(activity.c.timestamp).limit(count)
    ids = list(transaction.execute(old).scalars())
    if ids:
        transaction.execute(sa.delete(activity).where(activity.c.id.in_(ids)))
    return len(ids)


def _delete_runs(transaction: Transaction, limit: datetime, count: int) -> int:
    """Those that ended before, with their steps. One that was made before and has not ended yet is needed."""
    runs, steps = system.runs, system.steps
    has_ended = runs.c.status.in_(("resolved", "rejected"))
    old = sa.select(runs.c.id).where(has_ended, runs.c.created_at < limit, runs.c.finished_at < limit).limit(count)
    ids = list(transaction.execute(old).scalars())
    if ids:
        transaction.execute(sa.delete(steps).where(steps.c.run.in_(ids)))
        transaction.execute(sa.delete(runs).where(runs.c.id.in_(ids)))
    return len(ids)
