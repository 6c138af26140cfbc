"""The runner: carries a run out, operation by operation, and has each step saved before the next begins.

A run that is taken up again goes on after the steps that its journal holds.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from datastead.context import Context, Services
from datastead.errors import DatasteadError, RequestError, StepInDoubt
from datastead.extensions import OperationType, Options
from datastead.flows import actors
from datastead.flows.journal import LeaseLost, Run, Step
from datastead.flows.model import OperationDefinition, operation_options
from datastead.flows.outcome import rejection, to_json
from datastead.flows.redaction import hidden, redacted
from datastead.flows.template import Templates
from datastead.flows.writer import Writer
from datastead.settings import Settings

log = logging.getLogger("datastead.flows")

Perform = Callable[[Context], Awaitable[Any]]


class Stopped(Exception):
    """The process is about to end: the run goes on elsewhere, or later."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended, and its data."""

    status: str
    chain: Mapping[str, Any]
    steps: tuple[Step, ...]

    @property
    def is_rejected(self) -> bool:
        return self.status == "rejected"

    @property
    def last(self) -> Any:
        return self.chain["$last"]


class Record(Protocol):
    """Where the steps of a run are kept: in the journal, or in memory while a change is under way."""

    async def save(self, step: Step) -> None:
        """Keeps a step as it is now."""

    async def perform(self, ctx: Context, step: Step, perform: Perform, kind: OperationType[Any] | None) -> Step:
        """Carries a step out and keeps what it gave; of an atomic operation, both or none."""


@dataclass(slots=True)
class Runner:
    """Carries runs out. is_stopping: asked between steps."""

    services: Services
    templates: Templates
    is_stopping: Callable[[], bool] = lambda: False

    async def carry_out(self, run: Run, record: Record) -> Outcome:
        """Carries the run out to its end. Raises `LeaseLost` or `Stopped` where it goes on elsewhere."""
        walk = _Walk(run, first_chain(run, self.services))
        while walk.operation is not None:
            saved = walk.saved
            if saved is None or saved.status == "running":
                if self.is_stopping():
                    raise Stopped(run.id)
                saved = await self._step(walk, walk.operation, saved, record)
            walk.follow(saved)
        return Outcome(walk.status, walk.chain, tuple(walk.done))

    async def _step(self, walk: "_Walk", operation: OperationDefinition, begun: Step | None, record: Record) -> Step:
        """A step, done. begun: its record, where it was under way when a process ended."""
        ctx = self._context(walk.run, walk.position)
        now, attempts = ctx.now(), begun.attempts + 1 if begun else 1
        step = partial(Step, walk.position, operation.id, operation.key, operation.type, "running", attempts=attempts)
        kept: Any = None
        missing: tuple[str, ...] = ()
        try:
            kind = self.services.registry.operation(operation.type)
            rendered = self.templates.render(operation.options, walk.chain)
            missing = rendered.missing
            kept = self.redacted(hidden(to_json(rendered.value), kind.options.secrets()))
            options = operation_options(operation, kind, rendered.value)
            _refuse_in_doubt(kind, operation, options, begun)
        except RequestError as error:
            return await record.perform(ctx, step(kept, now, missing=missing), _raising(error), None)
        permissions = rendered.value.get("permissions")
        ctx = ctx.acting_as(await actors.permitted(self.services.database, ctx.actor, permissions))
        begins = step(kept, now, missing=missing)
        if kind.slow:
            await record.save(begins)
        return await record.perform(ctx, begins, lambda inside: kind.run(inside, options, walk.chain), kind)

    def _context(self, run: Run, position: int) -> Context:
        collection, item = subject(run)
        return Context(
            self.services, actors.from_json(run.actor), request_id=run.id, depth=run.depth, flow=run.definition.id,
            run=run.id, step=f"{run.id}:{position}", collection=collection, item=item,
        )  # fmt: skip

    def redacted(self, value: Any) -> Any:
        """The value without secrets."""
        return redacted(value, environment(self.services.settings).values())


@dataclass(slots=True)
class _Walk:
    """Where a run is: its data, the next operation, and the steps that are done."""

    run: Run
    chain: dict[str, Any]
    status: str = "resolved"
    position: int = 0
    done: list[Step] = field(default_factory=list)
    operation: OperationDefinition | None = None

    def __post_init__(self) -> None:
        self.operation = self.run.definition.by_id(self.run.definition.operation)

    @property
    def saved(self) -> Step | None:
        """What the journal holds of the next step."""
        return next((step for step in self.run.steps if step.position == self.position), None)

    def follow(self, step: Step) -> None:
        """Goes on after a done step."""
        assert self.operation is not None
        is_resolved = step.status == "resolve"
        self.status = "resolved" if is_resolved else "rejected"
        self.chain[self.operation.key] = self.chain["$last"] = step.output
        self.done.append(step)
        self.position += 1
        self.operation = self.run.definition.by_id(self.operation.resolve if is_resolved else self.operation.reject)


@dataclass(frozen=True, slots=True)
class Journalled:
    """Keeps steps as rows. A step that changes the database is one transaction with its row."""

    services: Services
    run: Run
    writer: Writer

    async def save(self, step: Step) -> None:
        await self.writer.save(self.run, step)

    async def perform(self, ctx: Context, step: Step, perform: Perform, kind: OperationType[Any] | None) -> Step:
        if kind is not None and kind.atomic:
            return await self._perform_inside(ctx, step, perform)
        ended = await attempt(ctx, step, perform)
        if kind is not None and kind.slow:
            await self._save_and_release(ended)
        else:
            await self.save(ended)
        return ended

    async def _perform_inside(self, ctx: Context, step: Step, perform: Perform) -> Step:
        try:
            async with ctx.transaction() as inside:
                assert inside.connection is not None
                ended = _ended(step, "resolve", to_json(await perform(inside)), ctx)
                await inside.connection.run(lambda transaction: self.writer.save_in(transaction, self.run, ended))
                return ended
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001  the edge of an operation: what fails there is the step's outcome
            ended = _rejected(step, error, ctx)
        await self.save(ended)
        return ended

    async def _save_and_release(self, step: Step) -> None:
        """Saves a done step, and lets go of a model's answer that was kept until now."""
        async with self.services.database.transaction() as connection:
            await connection.run(lambda transaction: self.writer.save_in(transaction, self.run, step))
            await self.services.ai.release(f"{self.run.id}:{step.position}", connection)


@dataclass(frozen=True, slots=True)
class InMemory:
    """Keeps nothing: the steps of a filter flow are written with the change, or after its rollback.

    ctx: of the change, with its transaction. An operation that fails leaves the transaction as it was.
    """

    ctx: Context

    async def save(self, step: Step) -> None:
        """Nothing to keep."""

    async def perform(self, ctx: Context, step: Step, perform: Perform, kind: OperationType[Any] | None) -> Step:  # noqa: ARG002
        connection = self.ctx.connection
        if connection is None:
            return await attempt(ctx, step, perform)
        inside = replace(ctx, connection=connection)
        try:
            async with connection.savepoint():
                return _ended(step, "resolve", to_json(await perform(inside)), ctx)
        except Exception as error:  # noqa: BLE001  the edge of an operation: what fails there is the step's outcome
            return _rejected(step, error, ctx)


async def attempt(ctx: Context, step: Step, perform: Perform) -> Step:
    """Carries an operation out: whatever it raises rejects."""
    try:
        return _ended(step, "resolve", to_json(await perform(ctx)), ctx)
    except asyncio.CancelledError:
        raise
    except Exception as error:  # noqa: BLE001  the edge of an operation: what fails there is the step's outcome
        return _rejected(step, error, ctx)


def subject(run: Run) -> tuple[str | None, str | None]:
    """The collection that the triggering event is about, and its item where there is exactly one."""
    data = run.trigger_data if isinstance(run.trigger_data, Mapping) else {}
    if run.definition.trigger == "manual" and isinstance(data.get("body"), Mapping):
        data = data["body"]
    elif run.definition.trigger != "event":
        return None, None  # what callers send says nothing certain
    keys = [data["key"]] if data.get("key") is not None else data.get("keys") or []
    collection = data.get("collection")
    is_one = len(keys) == 1 and isinstance(keys[0], str | int)
    return (collection if isinstance(collection, str) else None), (str(keys[0]) if is_one else None)


def first_chain(run: Run, services: Services) -> dict[str, Any]:
    """A run's data before its first operation."""
    return {
        "$trigger": run.trigger_data, "$last": run.trigger_data,
        "$accountability": actors.accountability(actors.from_json(run.actor)), "$env": environment(services.settings),
    }  # fmt: skip


def environment(settings: Settings) -> dict[str, str]:
    """`$env`: the environment variables that `FLOWS_ENV_ALLOW_LIST` names."""
    return settings.flow_variables


def _ended(step: Step, status: str, output: Any, ctx: Context) -> Step:
    return replace(step, status=status, output=output, finished_at=ctx.now())


def _rejected(step: Step, error: Exception, ctx: Context) -> Step:
    if not isinstance(error, DatasteadError):
        log.error("The operation `%s` of the run %s failed.", step.key, ctx.run, exc_info=error)
    return _ended(step, "reject", rejection(error), ctx)


def _raising(error: Exception) -> Perform:
    async def perform(_: Context) -> Any:
        raise error

    return perform


def _refuse_in_doubt(
    kind: OperationType[Any], operation: OperationDefinition, options: Options, begun: Step | None
) -> None:
    """An operation that may happen once only is not tried again, unless its option `inDoubt` says so."""
    if begun is None or not kind.at_most_once or options.model_dump().get("in_doubt") == "retry":
        return
    raise StepInDoubt(
        f"The process ended while `{operation.key}` was under way, so that it may have been done already. "
        "With its option `inDoubt: retry` it is tried again.",
        operation=operation.key,
    )  # fmt: skip
