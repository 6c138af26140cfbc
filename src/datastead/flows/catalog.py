"""The catalog: the flows as the database has them, checked and cached; a change elsewhere is seen within a second."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from datastead.context import Context
from datastead.data.engine import Connection, Database
from datastead.errors import DatasteadError
from datastead.events import Event
from datastead.extensions import Options, Registry, Trigger, TriggerType
from datastead.flows import store
from datastead.flows.model import FlowDefinition, check, trigger_options
from datastead.flows.template import Templates

log = logging.getLogger("datastead.flows")

POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class LoadedFlow:
    """A flow that can run. options: the trigger's, parsed."""

    definition: FlowDefinition
    kind: TriggerType[Any]
    options: Options

    @property
    def is_filter(self) -> bool:
        return self.kind.trigger.is_filter(self.options)

    @property
    def is_blocking(self) -> bool:
        return self.kind.trigger.is_blocking(self.options)

    @property
    def return_path(self) -> str | None:
        """What its runs answer. A filter that says nothing leaves the payload as it is."""
        given = self._option("return")
        return str(given) if given else None if self.is_filter else "$last"

    @property
    def errs_on_reject(self) -> bool:
        return bool(self._option("error_on_reject"))

    def matches(self, event: Event) -> bool:
        return self.kind.trigger.matches(self.options, event)

    def may_match(self, event: Event) -> bool:
        """The same of an event without payload and keys: False where none like it would match."""
        trigger = self.kind.trigger
        if type(trigger).matches is Trigger.matches:
            return False
        return trigger.looks_into_events or self.matches(event)

    def next_at(self, after: datetime) -> datetime | None:
        return self.kind.trigger.next_at(self.options, after)

    def _option(self, name: str) -> Any:
        return self.options.model_dump(by_alias=True).get(name)


@dataclass(frozen=True, slots=True)
class Flowchart:
    """All flows, as of one moment. problems: why an active flow does not run, by its id."""

    definitions: tuple[FlowDefinition, ...]
    active: dict[str, LoadedFlow]
    problems: dict[str, str]

    def may_hear(self, event: Event) -> bool:
        """Whether an event like this, which is shown without payload and keys, may start a flow."""
        return any(flow.may_match(event) for flow in self.active.values())

    def of_event(self, event: Event) -> Iterator[LoadedFlow]:
        return (flow for flow in self.active.values() if flow.matches(event))


class Catalog:
    """Keeps the flows."""

    def __init__(self, database: Database, registry: Registry, templates: Templates) -> None:
        self._database = database
        self._registry = registry
        self._templates = templates
        self._chart: Flowchart | None = None
        self._version: Any = None
        self._checked = 0.0
        self._generation = 0
        self._statement = database.prepare(store.version())

    async def get(self, ctx: Context | None = None) -> Flowchart:
        """The flows. ctx: inside its transaction, where it has one."""
        connection = ctx.connection if ctx else None
        chart = self._chart
        if chart is not None and time.monotonic() - self._checked <= POLL_S:
            return chart
        self._checked = time.monotonic()
        if chart is None or await self._read_version(connection) != self._version:
            return await self._load(connection)
        return chart

    def look_again(self) -> None:
        """Another process may have changed them: asks the database when they are asked for next."""
        self._checked = float("-inf")

    def forget(self) -> None:
        """Reads the flows anew when they are asked for next."""
        self._generation += 1
        self._chart = None

    async def _load(self, connection: Connection | None) -> Flowchart:
        read = connection.run if connection else self._database.read
        while True:
            generation, version = self._generation, await self._read_version(connection)
            chart = self._charted(tuple(await read(store.load_all)))
            if generation == self._generation:  # else changed meanwhile: what was read may be of before
                self._chart, self._version = chart, version
                return chart

    async def _read_version(self, connection: Connection | None) -> Any:
        if connection is None:
            return await self._database.fetch(self._statement, {})
        return await connection.run(lambda transaction: transaction.raw(self._statement, {}))

    def _charted(self, definitions: tuple[FlowDefinition, ...]) -> Flowchart:
        chart = Flowchart(definitions, {}, {})
        for definition in definitions:
            if definition.is_active:
                self._add(chart, definition)
        return chart

    def _add(self, chart: Flowchart, definition: FlowDefinition) -> None:
        """Adds a flow; one that cannot run is left out, with the reason."""
        try:
            check(definition, self._registry, self._templates)
            kind = self._registry.trigger(definition.trigger or "")
            chart.active[definition.id] = LoadedFlow(definition, kind, trigger_options(definition, kind))
        except DatasteadError as error:
            chart.problems[definition.id] = error.message
            known = self._chart.problems.get(definition.id) if self._chart else None
            if known != error.message and definition.trigger is not None:
                log.warning("The flow `%s` (%s) does not run: %s", definition.name, definition.id, error.message)
