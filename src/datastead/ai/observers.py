"""Observers: whoever wants to know of each attempt at a model call as it happens, such as metrics and traces.

The ledger is the record; this is for what is gone when the process is. Without an observer a call pays nothing for it.
"""

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from datastead.ai.attempts import Attempt
    from datastead.ai.entries import Settlement
    from datastead.ai.plans import Plan, Target
    from datastead.ai.results import GenerationResult
    from datastead.errors import AIError

log = logging.getLogger(__name__)


class Observer(Protocol):
    """Is told in the event loop, and must not wait. What it raises is logged, and fails no call."""

    def begun(self, attempt: "Attempt") -> None:
        """The attempt is held, and about to be sent."""

    def ended(self, attempt: "Attempt", settlement: "Settlement") -> None:
        """The attempt is over, and about to be written down: exactly once for each that has begun."""

    def refused(self, plan: "Plan", error: "AIError") -> None:
        """The call was not sent: a budget or a limit does not cover it."""

    def reused(self, target: "Target", result: "GenerationResult") -> None:
        """The call was answered without asking the provider: by its key, or from the cache."""


class Observers:
    """Several, as one."""

    __slots__ = ("_all",)

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._all = tuple(observers)

    def begun(self, attempt: "Attempt") -> None:
        for observer in self._all:
            _tell(observer.begun, attempt)

    def ended(self, attempt: "Attempt", settlement: "Settlement") -> None:
        for observer in self._all:
            _tell(observer.ended, attempt, settlement)

    def refused(self, plan: "Plan", error: "AIError") -> None:
        for observer in self._all:
            _tell(observer.refused, plan, error)

    def reused(self, target: "Target", result: "GenerationResult") -> None:
        for observer in self._all:
            _tell(observer.reused, target, result)


def _tell(what: Callable[..., None], *about: Any) -> None:
    try:
        what(*about)
    except Exception:
        log.exception("An observer of model calls failed.")
