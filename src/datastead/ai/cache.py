"""The exact response cache: the same call by the same identity, answered without asking the provider.

One table for all processes. Only calls that ask for it are kept and answered; what is kept is the answer, for as long
as the call that was paid said, whatever `AI_RECORD_IO` says.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa

from datastead.ai.attempts import new_id
from datastead.ai.budgets import Need
from datastead.ai.entries import Answered, Held, Hold, Settlement
from datastead.ai.ledger import Ledger
from datastead.ai.plans import Caching, Plan, json_of
from datastead.ai.results import AttemptMade, GenerationResult
from datastead.data import system

if TYPE_CHECKING:
    from datastead.context import Clock
    from datastead.data.engine import Database, Transaction

log = logging.getLogger(__name__)

CLEAN_EVERY = timedelta(minutes=1)
WHOLE = frozenset({"stop", "tool-calls"})
"""How an answer has to have ended to be kept: not cut, not filtered."""

_cache = system.ai_cache


class ResponseCache:
    """The cache in one database."""

    def __init__(self, database: "Database", ledger: Ledger, clock: "Clock") -> None:
        self._database = database
        self._ledger = ledger
        self._clock = clock
        self._clean_at: datetime | None = None
        prepare = database.prepare
        key = sa.bindparam("key", None, sa.String)
        now = sa.bindparam("now", None, system.Timestamp)
        self._find = prepare(sa.select(_cache.c.answer).where(_cache.c.key == key, _cache.c.expires_at > now))
        self._forget = prepare(_cache.delete().where(_cache.c.key == key))
        self._keep = prepare(
            _cache.insert().values({column.name: sa.bindparam(column.name, None, column.type) for column in _cache.c})
        )
        self._clean = prepare(_cache.delete().where(_cache.c.expires_at <= now))

    async def find(self, plan: Plan) -> GenerationResult | None:
        """The answer to the plan's call, if it is kept; the ledger has a row of it then, which cost nothing."""
        assert plan.caching is not None
        plan.cache_key = key_of(plan, plan.caching)
        parameters = {"key": plan.cache_key, "now": self._database.timestamp(self._clock())}
        rows = await self._database.fetch(self._find, parameters)
        kept = GenerationResult.from_answer(_parsed(rows[0][0])) if rows else None
        return await self._given(plan, kept) if kept is not None and plan.caching.takes(kept) else None

    async def keep(self, plan: Plan, result: GenerationResult) -> None:
        """Keeps an answer that is whole and fits its schema. A cache that cannot be written fails no answer."""
        if plan.caching is None or result.finish_reason not in WHOLE or not plan.caching.takes(result):
            return
        now = self._clock()
        row = {
            "key": plan.cache_key,
            "call": result.call,
            "provider": result.provider,
            "model": result.model,
            "answer": self._database.json(result.to_answer()),
            "created_at": self._database.timestamp(now),
            "expires_at": self._database.timestamp(now + timedelta(seconds=plan.caching.ttl_s)),
        }
        try:
            await self._database.write(lambda transaction: self._written(transaction, row, now))
        except sa.exc.IntegrityError:
            return  # another process has just kept its own answer to the same call
        except sa.exc.SQLAlchemyError:
            log.exception("The answer of call %s could not be kept in the cache.", result.call)

    def _written(self, transaction: "Transaction", row: Mapping[str, Any], now: datetime) -> None:
        if self._clean_at is None or now >= self._clean_at:
            self._clean_at = now + CLEAN_EVERY
            transaction.raw(self._clean, {"now": row["created_at"]})
        transaction.raw(self._forget, row)
        transaction.raw(self._keep, row)

    async def _given(self, plan: Plan, kept: GenerationResult) -> GenerationResult | None:
        """The answer as this call's own, and its row in the ledger. None where somebody is at the same key now."""
        made = AttemptMade(kept.provider, kept.model, None, new_id())
        result = replace(
            kept,
            call=str(made.call),
            cached=True,
            cost_nano_usd=0,
            saved_nano_usd=kept.cost_nano_usd,
            attempts=(*plan.made, made),
        )
        outcome = await self._ledger.reuse(_hold(plan, result), _settlement(plan, result), result.saved_nano_usd)
        if isinstance(outcome, Answered):
            return GenerationResult.from_answer(outcome.answer)
        return result if isinstance(outcome, Held) else None


def key_of(plan: Plan, caching: Caching) -> str:
    """SHA-256 over who asks and all that is sent: where to, with which headers, and the JSON to the last byte.

    A stream and a whole answer share theirs, which is why the JSON is that of the whole answer.
    """
    target = plan.target
    wire = target.provider.request(target.endpoint, target.definition, replace(plan.call, stream=False))
    about = [
        caching.identity, target.source.name, target.endpoint.base_url, wire.url, sorted(wire.headers.items()),
        plan.call.schema,
    ]  # fmt: skip
    body = json_of(wire)
    return sha256(orjson.dumps(about, option=orjson.OPT_NON_STR_KEYS, default=str) + b"\0" + body).hexdigest()


def _hold(plan: Plan, result: GenerationResult) -> Hold:
    """A row that holds nothing: no budget is asked."""
    return Hold(
        id=result.call,
        provider=result.provider,
        model=result.model,
        who=plan.who,
        need=Need(0, 0, {}, capped=True),
        price_state=plan.target.price.state,
        price=plan.target.price.label,
        attempt=plan.number + 1,
        key=plan.key,
        purpose=plan.purpose,
    )


def _settlement(plan: Plan, result: GenerationResult) -> Settlement:
    """No tokens: this call has used none."""
    return Settlement(
        id=result.call,
        state="cached",
        usage=None,
        usage_source="none",
        cost_nano_usd=0,
        latency_ms=0,
        response_id=result.response_id,
        response_model=result.response_model,
        finish_reason=result.finish_reason,
        key=plan.key,
        answer=result.to_answer() if plan.key is not None else None,
    )


def _parsed(value: Any) -> Mapping[str, Any]:
    """PostgreSQL's driver parses JSON itself."""
    parsed: Mapping[str, Any] = orjson.loads(value) if isinstance(value, str | bytes) else value
    return parsed
