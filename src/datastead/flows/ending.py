"""How a run is written when it has ended: without secrets, and without data where the flow's accountability says so."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from datastead.data.engine import Transaction
from datastead.flows import journal
from datastead.flows.journal import Run, Step
from datastead.flows.model import FlowDefinition, without_secrets
from datastead.flows.runner import Outcome, Runner
from datastead.flows.writer import Writer


@dataclass(frozen=True, slots=True)
class Ending:
    """What is written of a run that has ended. changed: steps of which less is kept than was saved; None: all is."""

    status: str
    now: datetime
    error: Any
    result: Any
    trigger_data: Any
    definition: FlowDefinition
    changed: Sequence[Step] | None


async def end(runner: Runner, writer: Writer, run: Run, outcome: Outcome, result: Any) -> None:
    """Ends a run whose steps are in the journal. Raises `LeaseLost`."""
    ending = _ending(runner, run, outcome, result)
    if ending.changed is None:
        await writer.end(run, ending.status, ending.now, error=ending.error, result=ending.result)
    else:
        await runner.services.database.write(lambda transaction: _write(transaction, run, ending))


def _ending(runner: Runner, run: Run, outcome: Outcome, result: Any) -> Ending:
    trigger_data, steps = _kept(runner, run, outcome)
    changed = [after for before, after in zip(outcome.steps, steps, strict=True) if before != after]
    definition = without_secrets(run.definition, runner.services.registry)
    is_changed = bool(changed) or (trigger_data, definition) != (run.trigger_data, run.definition)
    return Ending(
        outcome.status, runner.services.clock(), _error(runner, run, outcome), runner.redacted(result), trigger_data,
        definition, changed if is_changed else None,
    )  # fmt: skip


def _write(transaction: Transaction, run: Run, ending: Ending) -> None:
    journal.end_run(transaction, run, ending.status, ending.now, error=ending.error, result=ending.result)
    if ending.changed is not None:
        journal.overwrite(transaction, run.id, ending.trigger_data, ending.definition, ending.changed)


def give_up(transaction: Transaction, runner: Runner, run: Run, error: Any) -> None:
    """Ends a run that goes no further, as rejected. Raises `LeaseLost`."""
    done = journal.with_steps(transaction, run).steps
    _write(transaction, run, _ending(runner, run, Outcome("rejected", {"$last": error}, done), None))


def writing_whole(runner: Runner, run: Run, outcome: Outcome) -> Callable[[Transaction], None]:
    """A run that was carried out in memory, with its steps."""
    now, error = runner.services.clock(), _error(runner, run, outcome)
    trigger_data, steps = _kept(runner, run, outcome)
    definition = without_secrets(run.definition, runner.services.registry)
    ended = replace(run, trigger_data=trigger_data, definition=definition)
    return lambda transaction: journal.add_ended(
        transaction, ended, outcome.status, steps, error=error, finished_at=now
    )


def _error(runner: Runner, run: Run, outcome: Outcome) -> Any:
    keeps = run.definition.accountability == "all"
    return runner.redacted(outcome.last) if keeps and outcome.is_rejected else None


def _kept(runner: Runner, run: Run, outcome: Outcome) -> tuple[Any, list[Step]]:
    """The trigger's data and the steps, as they may be kept."""
    if run.definition.accountability != "all":
        return None, [replace(step, options=None, output=None) for step in outcome.steps]
    shown = [(step, runner.redacted(step.output)) for step in outcome.steps]
    steps = [step if step.output == output else replace(step, output=output) for step, output in shown]
    return runner.redacted(run.trigger_data), steps
