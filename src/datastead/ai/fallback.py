"""Which model is called when one has failed: the same again, the next fallback, or none. No I/O."""

import random

from datastead.ai.plans import Plan
from datastead.errors import (
    AIError,
    InvalidApiKey,
    ProviderTimeout,
    ProviderUnavailable,
    QuotaExceeded,
    RateLimitExceeded,
)

RETRIES = 2
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0
LONGEST_PAUSE_BEFORE_FALLBACK_S = 2.0
"""Where another model could answer meanwhile."""

_OF_THE_PROVIDER = (RateLimitExceeded, ProviderUnavailable, ProviderTimeout, QuotaExceeded, InvalidApiKey)
"""What is wrong at the provider or with our account there, so that another one may well answer. Not what is wrong with
the call: that would be the same elsewhere; and not a name that the provider does not know, which would be paid to
another model for ever without anybody noticing."""


def pause_s(plan: Plan, error: AIError, now: float) -> float | None:
    """How long to wait before the same model is tried again; None = it is not."""
    if not error.retryable or plan.tries > RETRIES:
        return None
    wait_s = error.retry_after_s
    if wait_s is None:
        wait_s = FIRST_PAUSE_S * 2 ** (plan.tries - 1) * random.uniform(0.5, 1)  # noqa: S311  no secret
    longest_s = LONGEST_PAUSE_BEFORE_FALLBACK_S if plan.fallbacks else LONGEST_PAUSE_S
    return wait_s if wait_s <= longest_s and now + wait_s < plan.until else None


def fall_back(plan: Plan, error: AIError, now: float) -> bool:
    """Turns to the next fallback that can take the call; False where none is left, or the error is not of that kind."""
    if not isinstance(error, _OF_THE_PROVIDER) or now >= plan.deadline:
        return False
    plan.failure = plan.failure or error
    return _turn_to_next(plan, now)


def pass_over(plan: Plan, refusal: AIError, now: float) -> bool:
    """Turns to the next fallback where the present one was refused here (by its budget, say), before it was called."""
    if plan.failure is None:
        return False
    plan.skip(plan.target.source.name, plan.target.definition.model, refusal)
    return _turn_to_next(plan, now)


def told(plan: Plan, error: AIError) -> AIError:
    """The error that the whole call ends in: that of the model that was asked for, with what became of the others."""
    final = plan.failure or error
    if len(plan.made) > 1 or plan.skipped:
        final.details["attempts"] = [made._asdict() for made in plan.made]
    if plan.skipped:
        final.details["skipped"] = plan.skipped
        reasons = " ".join(f"`{each['model']}`: {each['reason']}" for each in plan.skipped)
        final.message = f"{final.message} Not called instead: {reasons}"
        final.args = (final.message,)
    return final


def _turn_to_next(plan: Plan, now: float) -> bool:
    while plan.fallbacks and plan.choose is not None:
        target, *rest = plan.fallbacks
        plan.fallbacks = tuple(rest)
        try:
            call = plan.choose(target)
        except AIError as misfit:
            plan.skip(target.source.name, target.definition.model, misfit)
            continue
        plan.target, plan.call, plan.tries = target, call, 0
        plan.turn(now)
        return True
    return False
