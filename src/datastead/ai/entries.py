"""What is written into the ledger: a hold before an attempt, a settlement after it; and what may come of a hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from datastead.ai.budgets import Need, Warnings
from datastead.errors import CallInDoubt
from datastead.messages import Usage

Policy = Literal["retry", "reject"]
SettledState = Literal["settled", "failed", "in_doubt", "cached"]

HELD_COLUMNS = (
    "id", "state", "key", "attempt", "provider", "model", "purpose", "kind", "user", "role", "token", "flow", "run",
    "step", "collection", "item", "field", "thread", "request_id", "held_tokens", "held_nano_usd", "price_state",
    "price", "owner", "lease_until", "created_at", "prompt",
)  # fmt: skip
SETTLED_COLUMNS = (
    "state", "response_model", "response_id", "input_tokens", "output_tokens", "cache_read_tokens",
    "cache_write_tokens", "cache_write_1h_tokens", "audio_input_tokens", "audio_output_tokens", "image_input_tokens",
    "image_output_tokens", "reasoning_tokens", "service_tier", "provider_request_id", "cost_nano_usd", "cost_source",
    "usage_source", "raw_usage", "finish_reason", "error_code", "error", "latency_ms",
    "first_token_ms", "settled_at", "answer",
)  # fmt: skip
_NO_USAGE = Usage()


@dataclass(slots=True)
class Hold:
    """A call that is about to be sent.

    who: what `requests.who_of` gives. kind: `generate` or `embed`. need: the bound to hold. policy: what to do where an
    earlier attempt is in doubt; None = go on, as this is a further attempt of the same call. prompt: JSON text, where
    it is kept.
    """

    id: str
    provider: str
    model: str
    who: Mapping[str, str | None]
    need: Need
    price_state: str
    price: str
    attempt: int = 1
    key: str | None = None
    purpose: str | None = None
    kind: str = "generate"
    policy: Policy | None = "retry"
    prompt: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """The call is held, as the key's so-manieth attempt. warnings: of budgets that only warn."""

    attempt: int
    warnings: Warnings = ()


@dataclass(frozen=True, slots=True)
class Answered:
    """The key has its answer already."""

    answer: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A call with this key is under way, and whoever makes it is alive."""


@dataclass(frozen=True, slots=True)
class Uncapped:
    """A hard budget applies, and the call does not limit its output."""


@dataclass(frozen=True, slots=True)
class Doubtful:
    """An earlier call with this key may have been paid."""

    error: CallInDoubt


Outcome = Held | Answered | Elsewhere | Uncapped | Doubtful


@dataclass(slots=True)
class Settlement:
    """How an attempt ended.

    state: `settled`, `failed`, `in_doubt` or `cached`. usage: None = nothing was used. answer: what is kept for the
    key. recorded: the answer, where the ledger keeps it.
    """

    id: str
    state: SettledState
    usage: Usage | None
    usage_source: str
    cost_nano_usd: int | None
    latency_ms: int
    first_token_ms: int | None = None
    response_id: str | None = None
    response_model: str | None = None
    provider_request_id: str | None = None
    cost_source: str | None = None
    finish_reason: str | None = None
    error_code: str | None = None
    error: str | None = None
    key: str | None = None
    answer: Mapping[str, Any] | None = None
    recorded: Mapping[str, Any] | None = None


def held_row(hold: Hold, owner: str, lease_until: Any, created_at: Any) -> dict[str, Any]:
    """The columns of a row that is held. The moments are as the database keeps them."""
    return {
        **hold.who,
        "id": hold.id,
        "state": "held",
        "key": hold.key,
        "attempt": hold.attempt,
        "provider": hold.provider,
        "model": hold.model,
        "purpose": hold.purpose,
        "kind": hold.kind,
        "held_tokens": hold.need.tokens,
        "held_nano_usd": hold.need.nano_usd,
        "price_state": hold.price_state,
        "price": hold.price,
        "owner": owner,
        "lease_until": lease_until,
        "created_at": created_at,
        "prompt": hold.prompt,
    }


def settled_row(settlement: Settlement, settled_at: Any) -> dict[str, Any]:
    """The columns that settling writes, and `call_id`."""
    usage = settlement.usage or _NO_USAGE
    return {
        "call_id": settlement.id,
        "state": settlement.state,
        "response_model": settlement.response_model,
        "response_id": settlement.response_id,
        "input_tokens": usage.input,
        "output_tokens": usage.output,
        "cache_read_tokens": usage.cache_read,
        "cache_write_tokens": usage.cache_write,
        "cache_write_1h_tokens": usage.cache_write_1h,
        "audio_input_tokens": usage.audio_input,
        "audio_output_tokens": usage.audio_output,
        "image_input_tokens": usage.image_input,
        "image_output_tokens": usage.image_output,
        "reasoning_tokens": usage.reasoning,
        "service_tier": usage.tier,
        "provider_request_id": settlement.provider_request_id,
        "cost_nano_usd": settlement.cost_nano_usd,
        "cost_source": settlement.cost_source,
        "usage_source": settlement.usage_source,
        "raw_usage": None if usage.raw is None else json_text(usage.raw),
        "finish_reason": settlement.finish_reason,
        "error_code": settlement.error_code,
        "error": settlement.error,
        "latency_ms": settlement.latency_ms,
        "first_token_ms": settlement.first_token_ms,
        "settled_at": settled_at,
        "answer": None if settlement.recorded is None else json_text(settlement.recorded),
    }


def json_text(value: Any) -> str:
    """JSON as it is kept; what it has no form for is written as text."""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS, default=str).decode()
