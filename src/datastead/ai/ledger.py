"""The ledger: a row for each attempt at a model call, held before it is sent and settled after. And answers by key.

Two short writes a call; statements are compiled once. Nothing of a call is kept anywhere else.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from math import inf
from typing import TYPE_CHECKING, Any

import orjson
import sqlalchemy as sa

from datastead.ai.batches import Batches
from datastead.ai.budgets import Budgets, Need, Warnings
from datastead.ai.entries import (
    HELD_COLUMNS,
    SETTLED_COLUMNS,
    Answered,
    Doubtful,
    Elsewhere,
    Held,
    Hold,
    Outcome,
    Settlement,
    Uncapped,
    held_row,
    json_text,
    settled_row,
)
from datastead.ai.owner import is_dead, owner
from datastead.ai.sums import share_writing
from datastead.ai.windows import window_start
from datastead.data import system
from datastead.errors import CallInDoubt, DatasteadError

if TYPE_CHECKING:
    from datastead.context import Clock
    from datastead.data.engine import Connection, Database, Transaction

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
"""How long a silent process keeps its calls; a living one renews them."""

LEASE_STEP = timedelta(seconds=1)

DIED = "The process died while the call was under way: it may have been paid."

_calls = system.ai_calls
_answers = system.ai_answers
_HELD: sa.ColumnElement[str] = sa.literal_column("'held'")  # not a parameter: the index is of these rows only
_DOUBTFUL: sa.ColumnElement[str] = sa.literal_column("'in_doubt'")
_IS_OPEN = _calls.c.state.in_([_HELD, _DOUBTFUL])  # what is closed stays as it is: sums rely on it
_IS_HELD = _calls.c.state == _HELD


class Ledger:
    """The ledger in one database."""

    def __init__(
        self, database: "Database", clock: "Clock", on_warning: Callable[[Mapping[str, Any]], None] | None = None
    ) -> None:
        """on_warning: is told of each warning of a budget, in the loop."""
        self._database = database
        self._on_warning = on_warning
        self._clock = clock
        self._batches = Batches(database)
        self._budgets = Budgets(database)
        self._waiting: dict[str, Need] = {}
        self._folding: asyncio.Task[None] | None = None
        self._lease_from = datetime.min.replace(tzinfo=UTC)
        self._lease_until: Any = None
        prepare = database.prepare
        self._insert = prepare(_calls.insert().values({name: _value(name) for name in HELD_COLUMNS}))
        self._update = prepare(
            _calls.update().where(_calls.c.id == sa.bindparam("call_id", None, _calls.c.id.type), _IS_OPEN)
            .values({name: _value(name) for name in SETTLED_COLUMNS})
        )  # fmt: skip
        by_key = sa.bindparam("key", None, sa.String)
        self._attempts = prepare(
            sa.select(_calls.c.id, _calls.c.state, _calls.c.attempt, _calls.c.owner,
                      _calls.c.lease_until < sa.bindparam("now", None, system.Timestamp), _calls.c.error_code)
            .where(_calls.c.key == by_key).order_by(_calls.c.attempt)
        )  # fmt: skip
        self._answer = prepare(sa.select(_answers.c.answer).where(_answers.c.key == by_key))
        self._forget = prepare(_answers.delete().where(_answers.c.key == by_key))
        self._remember = prepare(
            _answers.insert().values(
                {column.name: sa.bindparam(column.name, None, column.type) for column in _answers.c}
            )
        )
        self._doubt = prepare(_doubted().where(_calls.c.id == sa.bindparam("call_id", None, _calls.c.id.type)))

    async def hold(self, hold: Hold, until: float = inf) -> Outcome:
        """Writes the row of an attempt, if the key has no answer and the budgets cover it.

        Raises `BudgetExceeded` or `UnpricedModel`; then nothing is written. until: by the loop's clock; raises
        `TimeoutError` then, and the row may be written later.
        """
        now = self._clock()
        parameters = self._held(hold, now)
        insert = self._insert_held if hold.key is None else self._hold_keyed
        self._waiting[hold.id] = hold.need
        try:
            outcome = await self._batches.write(lambda transaction: insert(transaction, hold, parameters, now), until)
        except sa.exc.IntegrityError:
            if hold.key is None:
                raise
            return Elsewhere()  # another process took the key in the same moment
        finally:
            del self._waiting[hold.id]
            if self._budgets.sums.stale and self._folding is None:
                self._folding = asyncio.get_running_loop().create_task(self._fold())
        if isinstance(outcome, Held) and outcome.warnings:
            self._warn(outcome.warnings)
        return outcome

    def _warn(self, warnings: Warnings) -> None:
        if self._on_warning is not None:
            for warning in warnings:
                self._on_warning(warning)

    def settle(self, settlement: Settlement) -> Awaitable[None]:
        """Writes how an attempt ended, and its answer where it has a key."""
        parameters = settled_row(settlement, self._database.timestamp(self._clock()))
        return self._batches.write(lambda transaction: self._write_settled(transaction, settlement, parameters))

    async def reuse(self, hold: Hold, settlement: Settlement, saved_nano_usd: int | None) -> Outcome:
        """Writes the row of an answer that was not paid again. Nothing is held, so that no budget can refuse it."""
        now = self._clock()
        held, settled = self._held(hold, now), settled_row(settlement, self._database.timestamp(now))

        def insert(transaction: "Transaction") -> Outcome:
            share_writing(transaction)
            transaction.raw(self._insert, held)
            self._write_settled(transaction, settlement, settled)
            saved = _calls.update().where(_calls.c.id == hold.id).values(saved_nano_usd=saved_nano_usd)
            transaction.execute(saved)
            return Held(held["attempt"])

        def work(transaction: "Transaction") -> Outcome:
            found = self._keyed(transaction, hold, held, now) if hold.key is not None else None
            return insert(transaction) if found is None else found

        try:
            return await self._batches.write(work)
        except sa.exc.IntegrityError:
            return Elsewhere()

    async def answer(self, key: str) -> Mapping[str, Any] | None:
        """The answer that is kept for a key, if any."""
        rows = await self._database.fetch(self._answer, {"key": key})
        return _parsed(rows[0][0]) if rows else None

    async def release(self, key: str, connection: "Connection | None" = None) -> None:
        """Lets go of a key's answer: the step that asked for it is saved, in the same transaction if one is given."""
        run = connection.run if connection is not None else self._batches.write
        await run(lambda transaction: transaction.raw(self._forget, {"key": key}))

    async def forget_answers(self, prefix: str, older_than: timedelta) -> int:
        """Lets go of the answers whose keys begin so and that are older than that; how many those were."""
        begins = sa.func.substr(_answers.c.key, 1, len(prefix)) == prefix
        old = _answers.delete().where(_answers.c.created_at < self._clock() - older_than, begins)
        return await self._database.write(lambda transaction: transaction.execute(old).rowcount)

    async def doubt_the_dead(self) -> int:
        """Marks what dead processes held as in doubt; how many calls that were."""
        now = self._clock()

        def work(transaction: "Transaction") -> int:
            held = sa.select(_calls.c.owner).where(_IS_HELD).distinct()
            dead = [name for (name,) in transaction.execute(held).all() if name is None or is_dead(name)]
            gone = sa.or_(_calls.c.owner.in_(dead), _calls.c.owner.is_(None), _calls.c.lease_until < now)
            return transaction.execute(_doubted().where(gone)).rowcount

        return await self._database.write(work)

    async def renew(self, calls: Collection[str]) -> None:
        """Renews the leases of calls that are under way."""
        until = self._clock() + LEASE
        held = _calls.update().where(_IS_HELD, _calls.c.id.in_(calls)).values(lease_until=until)
        await self._database.write(lambda transaction: transaction.execute(held))

    async def withdraw(self, call: str) -> None:
        """Marks a call as failed that was never sent; after its hold, which may still be about to be written."""
        now = self._clock()
        withdrawn = _calls.update().where(_IS_HELD, _calls.c.id == call).values(
            state="failed", error_code="CANCELLED", cost_nano_usd=0, settled_at=now
        )  # fmt: skip
        await self._batches.write(lambda transaction: transaction.execute(withdrawn))

    def _write_settled(self, transaction: "Transaction", settlement: Settlement, parameters: dict[str, Any]) -> None:
        transaction.raw(self._update, parameters)
        if settlement.key is None or settlement.answer is None:
            return
        answer = {"key": settlement.key, "call": settlement.id, "created_at": parameters["settled_at"],
                  "answer": json_text(settlement.answer)}  # fmt: skip
        transaction.raw(self._forget, answer)
        transaction.raw(self._remember, answer)

    def _hold_keyed(self, transaction: "Transaction", hold: Hold, parameters: dict[str, Any], now: datetime) -> Outcome:
        found = self._keyed(transaction, hold, parameters, now)
        return self._insert_held(transaction, hold, parameters, now) if found is None else found

    def _keyed(
        self, transaction: "Transaction", hold: Hold, parameters: dict[str, Any], now: datetime
    ) -> Outcome | None:
        """What the key has already; None, and the number of the attempt, where it may be tried."""
        key = {"key": hold.key, "now": self._database.timestamp(now)}
        answers = transaction.raw(self._answer, key)
        if answers:
            return Answered(_parsed(answers[0][0]))
        attempts = transaction.raw(self._attempts, key)
        for call_id, state, _, holder, lapsed, _ in attempts:
            if state == "held" and not (lapsed or is_dead(holder)):
                return Elsewhere()
            if state == "held":
                transaction.raw(self._doubt, {"call_id": call_id})
        doubtful = [row for row in attempts if row[1] in {"held", "in_doubt"} or (row[1] == "settled" and not row[5])]
        if doubtful and hold.policy == "reject":
            return Doubtful(_in_doubt(hold, str(doubtful[-1][0])))
        parameters["attempt"] = attempts[-1][2] + 1 if attempts else 1
        return None

    def _insert_held(
        self, transaction: "Transaction", hold: Hold, parameters: dict[str, Any], now: datetime
    ) -> Outcome:
        share_writing(transaction)
        budgets = self._budgets.applies(transaction, hold.need, self._waiting)
        if not budgets:
            transaction.raw(self._insert, parameters)
            return Held(parameters["attempt"])
        if not hold.need.capped and any(budget.hard and budget.is_about_size for budget in budgets):
            return Uncapped()
        warnings = self._budgets.check(transaction, budgets, hold.need, now)
        transaction.raw(self._insert, parameters)
        self._budgets.add(budgets, hold.need)
        return Held(parameters["attempt"], warnings)

    async def _fold(self) -> None:
        """Reads anew what budgets will be checked against. Where that fails, they are summed from every row."""
        stale = self._budgets.sums.stale
        try:
            while stale:
                key = stale.pop()
                since = window_start(key.window, self._clock(), rolling=key.rolling)
                await self._budgets.sums.fold(key, since)
        except (sa.exc.SQLAlchemyError, DatasteadError):
            log.exception("What was spent could not be read: budgets are checked slowly.")
        finally:
            self._folding = None

    async def close(self) -> None:
        """Waits for what it reads in the background."""
        if self._folding is not None:
            await asyncio.wait({self._folding})

    def _held(self, hold: Hold, now: datetime) -> dict[str, Any]:
        return held_row(hold, owner(), self._lease(now), self._database.timestamp(now))

    def _lease(self, now: datetime) -> Any:
        """When a call that is held now lapses; worked out once a second."""
        if not self._lease_from <= now < self._lease_from + LEASE_STEP:
            self._lease_from = now.replace(microsecond=0)
            self._lease_until = self._database.timestamp(self._lease_from + LEASE)
        return self._lease_until


def _value(name: str) -> sa.BindParameter[Any]:
    return sa.bindparam(name, None, _calls.c[name].type)


def _doubted() -> sa.Update:
    return _calls.update().where(_IS_HELD).values(state="in_doubt", error=DIED)


def _in_doubt(hold: Hold, call: str) -> CallInDoubt:
    return CallInDoubt(
        f"An earlier call for `{hold.key}` may have been paid already (call `{call}`): it is not made again, as the"
        " policy is `reject`.", key=hold.key, call=call,
    )  # fmt: skip


def _parsed(value: Any) -> Mapping[str, Any]:
    """PostgreSQL's driver parses JSON itself."""
    parsed: Mapping[str, Any] = orjson.loads(value) if isinstance(value, str | bytes) else value
    return parsed
