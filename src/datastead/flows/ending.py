"""How a run is written when it has ended: without secrets, and without data where the flow's accountability says so."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from datastead.data.engine import Transaction
from datastead.flows import journal
from datastead.flows.journal import Ended, Run, Step
from datastead.flows.model import without_secrets
from datastead.flows.runner import Outcome, Runner


def ended(runner: Runner, run: Run, outcome: Outcome, result: Any) -> Ended:
    """The end of a run whose steps are in the journal."""
    trigger_data, steps = _kept(runner, run, outcome)
    definition = without_secrets(run.definition, runner.services.registry)
    return Ended(
        outcome.status, runner.services.clock(), _error(runner, run, outcome), _result(runner, run, result),
        trigger_data, definition, is_rewritten=(trigger_data, definition) != (run.trigger_data, run.definition),
        steps=[after for before, after in zip(outcome.steps, steps, strict=True) if before != after],
    )  # fmt: skip


def give_up(transaction: Transaction, runner: Runner, run: Run, error: Any) -> None:
    """Ends a run that goes no further, as rejected. Raises `LeaseLost`."""
    done = journal.with_steps(transaction, run).steps
    journal.end_run(transaction, run, ended(runner, run, Outcome("rejected", {"$last": error}, done), None))


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


def _result(runner: Runner, run: Run, result: Any) -> Any:
    """Of a flow that others call, whatever it keeps: they may have to read there what it gave."""
    keeps = run.definition.accountability == "all" or run.definition.trigger == "operation"
    return runner.redacted(result) if keeps else None


def _kept(runner: Runner, run: Run, outcome: Outcome) -> tuple[Any, list[Step]]:
    """The trigger's data and the steps, as they may be kept."""
    if run.definition.accountability != "all":
        return None, [replace(step, options=None, output=None) for step in outcome.steps]
    shown = [(step, runner.redacted(step.output)) for step in outcome.steps]
    steps = [step if step.output == output else replace(step, output=output) for step, output in shown]
    return runner.redacted(run.trigger_data), steps
