"""`Flows`: what the rest of the house asks of flows. Hears of events, starts runs, and answers for them."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4, uuid5

from datastead.ai.owner import owner
from datastead.context import SYSTEM, Clock, Context, Services, system_clock
from datastead.data.engine import Database, Transaction
from datastead.data.schema import Schemas
from datastead.errors import Forbidden, LoopRefused
from datastead.events import Bus, Event
from datastead.extensions import Registry, TriggerRequest
from datastead.flows import actors, ending, journal, listing, schedule
from datastead.flows.catalog import Catalog, LoadedFlow
from datastead.flows.dispatch import Dispatcher
from datastead.flows.document import is_uuid
from datastead.flows.editor import Editor
from datastead.flows.journal import Run
from datastead.flows.model import without_secrets
from datastead.flows.outcome import rejected, rejection, returned, to_json
from datastead.flows.parts import FLOWS, OPERATIONS, Part
from datastead.flows.redaction import redacted
from datastead.flows.runner import InMemory, Outcome, Runner, environment
from datastead.flows.template import Templates
from datastead.settings import Settings

log = logging.getLogger("datastead.flows")

WAIT_S = 0.1
"""How often to look whether a run that another process carries out has ended."""


@dataclass(frozen=True, slots=True)
class _Started:
    """What there is once the services are."""

    services: Services
    dispatcher: Dispatcher


class Flows:
    """The flows of one process."""

    def __init__(  # noqa: PLR0917  wired once, in `app.py`
        self,
        settings: Settings,
        registry: Registry,
        database: Database,
        schemas: Schemas,  # noqa: ARG002  wired like the other services
        bus: Bus,
        clock: Clock = system_clock,
    ) -> None:
        self._settings = settings
        self._database = database
        self._clock = clock
        self._registry = registry
        self._templates = Templates(registry)
        self._catalog = Catalog(database, registry, self._templates)
        self._started: _Started | None = None
        self._ticked_at = clock()
        self._afterwards: set[asyncio.Task[None]] = set()
        bus.on_filter(self._on_filter, self._hears)
        bus.on_action(self._on_action, self._hears)
        self.look_again = self._catalog.look_again
        editor = Editor(registry, self._templates, self._catalog)
        self.apply = editor.apply
        self.create_flow, self.update_flow, self.delete_flow = (
            editor.create_flow,
            editor.update_flow,
            editor.delete_flow,
        )
        self.create_operation = editor.create_operation
        self.update_operation, self.delete_operation = editor.update_operation, editor.delete_operation

    def part(self, collection: str) -> Part | None:
        """How rows of flows, or of operations, are written; None for other collections."""
        if collection == FLOWS:
            return Part(self.create_flow, self.update_flow, self.delete_flow)
        if collection == OPERATIONS:
            return Part(self.create_operation, self.update_operation, self.delete_operation)
        return None

    async def start(self, services: Services, *, dispatch: bool = True) -> None:
        """Begins. dispatch: carry out whatever waits, and the schedules; else only what this process is asked for."""
        self._ticked_at = self._clock()
        dispatcher = Dispatcher(services, self._templates, self.tick)
        self._started = _Started(services, dispatcher)
        await dispatcher.start(dispatch=dispatch)

    async def stop(self) -> None:
        """Ends. Runs under way go on when the next process starts."""
        if self._started is not None:
            await self._started.dispatcher.stop()
        await asyncio.gather(*self._afterwards, return_exceptions=True)

    async def overview(self, ctx: Context) -> list[dict[str, Any]]:
        """Every flow, each with the reason why it does not run, where it is active and does not."""
        if not ctx.actor.is_admin:
            raise Forbidden
        chart = await self._catalog.get(ctx)
        return [
            {
                "id": flow.id, "name": flow.name, "status": flow.status, "trigger": flow.trigger,
                "operations": [operation.key for operation in flow.operations], "problem": chart.problems.get(flow.id),
            }
            for flow in chart.definitions
        ]  # fmt: skip

    async def trigger(self, ctx: Context, flow_id: str, request: TriggerRequest) -> Any:
        """Starts a flow for an HTTP request. Gives what is answered; None where there is nothing to answer."""
        flow = (await self._catalog.get(ctx)).active.get(flow_id.lower())
        if flow is None:
            raise Forbidden
        data = to_json(await flow.kind.trigger.accept(ctx, flow.options, request))
        run = self._run(ctx, flow, str(uuid4()), data)
        if not flow.is_blocking:
            await self._database.write(lambda transaction: journal.add(transaction, [run]))
            self._wake()
            return None
        outcome = await self._carry_out(run, flow)
        if outcome is None:
            return None
        if outcome.is_rejected and flow.errs_on_reject:
            raise rejected(outcome.last)
        return returned(outcome.chain, flow.return_path or "$last")

    async def call(self, ctx: Context, flow_id: str, payload: Any, *, index: int = 0) -> Any:
        """What a flow with the trigger `operation` gives, called by a step; None where there is no such flow.

        index: which of the step's calls this is. A call that a step makes again, because it is done again, is the same
        run.
        """
        flow = (await self._catalog.get(ctx)).active.get(flow_id.lower())
        if flow is None or flow.definition.trigger != "operation":
            log.warning("The flow `%s` cannot be called: there is no active flow of that id that is.", flow_id)
            return None
        run_id = str(uuid5(UUID(flow.definition.id), f"{ctx.step or uuid4()}:{index}"))
        run = self._run(ctx, flow, run_id, to_json(payload))
        if run.depth > self._settings.flows_max_depth:
            raise LoopRefused(depth=run.depth)
        outcome = await self._carry_out(run, flow)
        if outcome is None:
            return await self._result_of(run.id)
        return returned(outcome.chain, flow.return_path or "$last")

    async def runs(
        self, ctx: Context, *, flow: str | None = None, status: str | None = None, limit: int = 100, offset: int = 0,
        steps: bool = False,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Runs, newest first. steps: with those of each."""
        if not ctx.actor.is_admin:
            raise Forbidden
        if flow is not None and not is_uuid(flow):
            return []
        return await self._database.read(
            lambda transaction: listing.read_runs(
                transaction, flow=flow.lower() if flow else None, status=status, limit=limit, offset=offset,
                with_steps=steps, mask=self.redacted,
            )
        )  # fmt: skip

    async def run(self, ctx: Context, run_id: str) -> dict[str, Any]:
        """One run, with its steps."""
        if not ctx.actor.is_admin or not is_uuid(run_id):
            raise Forbidden
        found = await self._database.read(
            lambda transaction: listing.read_run(transaction, run_id.lower(), self.redacted)
        )
        if found is None:
            raise Forbidden
        return found

    async def tick(self) -> float | None:
        """Starts the flows whose time has come since the last tick. Gives seconds until the next time."""
        since, now = self._ticked_at, self._clock()
        flows = [flow for flow in (await self._catalog.get()).active.values() if flow.next_at(since) is not None]
        if not flows:
            self._ticked_at = now
            return None
        new = [self._scheduled_run(flow, moment) for flow, moment in schedule.due(flows, since, now)]
        if new:
            await self._database.write(lambda transaction: journal.add(transaction, new))
        self._ticked_at = now
        following = schedule.next_at(flows, now)
        return (following - now).total_seconds() if following else None

    def redacted(self, value: Any) -> Any:
        """The value without secrets."""
        return redacted(value, environment(self._settings).values())

    async def _hears(self, ctx: Context, event: Event) -> bool:
        return (await self._catalog.get(ctx)).may_hear(event)

    async def _on_filter(self, ctx: Context, event: Event) -> Any:
        """Runs the filter flows of an event inside its change. Gives the payload to go on with."""
        payload = event.payload
        for flow in (await self._catalog.get(ctx)).of_event(event):
            if flow.is_filter:
                payload = await self._filter(ctx, flow, event, payload)
        return payload

    async def _filter(self, ctx: Context, flow: LoadedFlow, event: Event, payload: Any) -> Any:
        data = {"payload": to_json(payload), "event": event.name, "collection": event.collection}
        if event.keys:
            data["keys"] = list(event.keys)
        run = self._run(ctx, flow, _run_id(event, flow), data)
        if run.depth > self._settings.flows_max_depth:
            raise LoopRefused(depth=run.depth)
        runner = Runner(ctx.services, self._templates)
        outcome = await runner.carry_out(run, InMemory(ctx))
        await self._keep(ctx, runner, run, outcome)
        if outcome.is_rejected:
            raise rejected(outcome.last)
        answer = returned(outcome.chain, flow.return_path) if flow.return_path else None
        return payload if answer is None else answer

    async def _keep(self, ctx: Context, runner: Runner, run: Run, outcome: Outcome) -> None:
        """Writes a filter's run with the change; and by itself where the change is rolled back."""
        write = ending.writing_whole(runner, run, outcome)
        if ctx.connection is None:
            await self._database.write(write)
            return
        ctx.connection.after_rollback(lambda: self._write_afterwards(write))
        if not outcome.is_rejected:
            await ctx.connection.run(write)

    def _write_afterwards(self, write: Callable[[Transaction], None]) -> None:
        task = asyncio.get_running_loop().create_task(self._database.write(write))
        self._afterwards.add(task)
        task.add_done_callback(self._afterwards.discard)

    async def _on_action(self, ctx: Context, events: Sequence[Event]) -> None:
        """Writes the runs that events start, in the transaction of the change."""
        chart = await self._catalog.get(ctx)
        pairs = [(event, flow) for event in events for flow in chart.of_event(event) if not flow.is_filter]
        if not pairs:
            return
        new = [self._run(ctx, flow, _run_id(event, flow), _trigger_data(event)) for event, flow in pairs]
        if ctx.connection is None:
            await self._database.write(lambda transaction: self._add(transaction, new))
            self._wake()
            return
        await ctx.connection.run(lambda transaction: self._add(transaction, new))
        ctx.connection.after_commit(self._wake)

    def _add(self, transaction: Transaction, new: Sequence[Run]) -> None:
        """Writes new runs; those that go too deep as refused."""
        limit = self._settings.flows_max_depth
        journal.add(transaction, [run for run in new if run.depth <= limit])
        for run in new:
            if run.depth > limit:
                log.error("The flow `%s` was not started: flows trigger each other in a loop.", run.definition.name)
                error = rejection(LoopRefused(depth=run.depth))
                kept = replace(run, definition=without_secrets(run.definition, self._registry))
                journal.add_ended(transaction, kept, "rejected", (), error=error, finished_at=run.created_at)

    def _run(self, ctx: Context, flow: LoadedFlow, run_id: str, trigger_data: Any) -> Run:
        return Run(run_id, flow.definition, trigger_data, actors.to_json(ctx.actor), ctx.depth + 1, self._clock())

    def _scheduled_run(self, flow: LoadedFlow, moment: datetime) -> Run:
        run_id = schedule.run_id(flow.definition.id, moment)
        return Run(run_id, flow.definition, None, actors.to_json(SYSTEM), 1, self._clock())

    async def _carry_out(self, run: Run, flow: LoadedFlow) -> Outcome | None:
        """Carries a run out here and now; None where another process does, or has done so."""
        assert self._started is not None, "the flows have not been started"
        dispatcher = self._started.dispatcher
        taken = await dispatcher.writer.begin(run, owner(), self._clock(), self._settings.flows_lease_s)
        if taken is None:
            return None
        return await asyncio.shield(dispatcher.hold(taken, flow.return_path))

    async def _result_of(self, run_id: str) -> Any:
        """The result of a run that another process carries out, once it has ended."""
        while True:
            found = await self._database.read(lambda transaction: journal.result_of(transaction, run_id))
            if found is None or found[0] in journal.ENDED:
                return found[1] if found else None
            await asyncio.sleep(WAIT_S)

    def _wake(self) -> None:
        if self._started is not None:
            self._started.dispatcher.wake()


def _run_id(event: Event, flow: LoadedFlow) -> str:
    return str(uuid5(UUID(flow.definition.id), event.id))


def _trigger_data(event: Event) -> Mapping[str, Any]:
    """`$trigger` of an action: `{event, payload, key or keys, collection}`."""
    keys = list(event.keys)
    is_create = event.name.endswith(".create") and len(keys) == 1
    found = {"event": event.name, "payload": event.payload, **({"key": keys[0]} if is_create else {"keys": keys})}
    data: Mapping[str, Any] = to_json({**found, "collection": event.collection})
    return data
