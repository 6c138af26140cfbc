"""Budgets and rate limits: who may spend how much in which window. What is spent is summed from the ledger (`sums.py`).

The check and the hold are one transaction: on SQLite no other can write meanwhile, elsewhere the rows of the budgets
that apply are locked until it ends. So the sum of what is settled and what is held never passes a hard limit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from datastead.ai.prices import usd
from datastead.ai.sums import NOTHING, SCOPES, Amounts, Key, Sums, listed_ids
from datastead.ai.windows import leaves_at, window_end, window_start
from datastead.data import system
from datastead.errors import AIError, BudgetExceeded, RateLimitExceeded, UnpricedModel

if TYPE_CHECKING:
    from datastead.data.engine import Database, Transaction

_budgets = system.budgets.c
_COLUMNS = (
    _budgets.id, _budgets.name, _budgets.scope, _budgets.scope_id, _budgets.window, _budgets.rolling,
    _budgets.limit_nano_usd, _budgets.limit_tokens, _budgets.limit_requests, _budgets.hard,
)  # fmt: skip


@dataclass(slots=True)
class Need:
    """What a call may use at most, and what it is about. nano_usd: None = the price is unknown. scopes: by `SCOPES`."""

    nano_usd: int | None
    tokens: int
    scopes: Mapping[str, str | None]
    capped: bool


class Budget(NamedTuple):
    """A row of `datastead_budgets`. value: what the scope is for this call (None for `all`)."""

    id: str
    name: str | None
    scope: str
    value: str | None
    window: str
    rolling: bool
    limit_nano_usd: int | None
    limit_tokens: int | None
    limit_requests: int | None
    hard: bool

    @property
    def key(self) -> Key:
        return Key(self.scope, self.value, self.window, self.rolling)

    @property
    def is_about_size(self) -> bool:
        """Whether it limits what a call may come to, and not only how many calls there are."""
        return self.limit_nano_usd is not None or self.limit_tokens is not None

    def start(self, now: datetime) -> datetime:
        return window_start(self.window, now, rolling=self.rolling)

    @property
    def about(self) -> str:
        """For messages: `team (for user `…`, per day)`."""
        whom = "for all" if self.scope == "all" else f"for {self.scope} `{self.value}`"
        when = "in total" if self.window == "total" else f"{'in any' if self.rolling else 'per'} {self.window}"
        return f"`{self.name}` ({whom}, {when})" if self.name else f"{whom}, {when}"


Warnings = tuple[Mapping[str, Any], ...]
"""What budgets that only warn say: JSON, by the names of a refusal's details, and `message`."""


@dataclass(slots=True)
class _Batch:
    """What is known within one transaction. sums: read once, and added to with each hold.

    locked: ids of budgets; None where nothing needs a lock. One that was made just now came after these calls.
    """

    transaction: "Transaction"
    locked: set[str] | None = None
    applying: dict[tuple[str | None, ...], list[Budget]] = field(default_factory=dict)
    sums: dict[Key, Amounts] = field(default_factory=dict)


class Budgets:
    """The budgets of one ledger. Used in the thread of a write; one transaction at a time."""

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._matching = database.prepare(_matching())
        self._locking = None if database.dialect == "sqlite" else database.prepare(_locking(database.dialect))
        self._batch: _Batch | None = None
        self.sums = Sums(database)

    def applies(self, transaction: "Transaction", need: Need, waiting: Mapping[str, Need]) -> list[Budget]:
        """The budgets that are about the call. The hard ones are locked, until the transaction ends.

        waiting: what else may be held in this transaction, by call: all locks are taken at once, in one order for all.
        """
        batch = self._batch
        if batch is None or batch.transaction is not transaction:
            batch = self._batch = _Batch(transaction)
            self._find_all(batch, [need, *list(waiting.values())])  # in one go: it changes in the loop's thread
        values = _values(need)
        applying = batch.applying.get(values)
        if applying is None:
            found, locked = self._find(transaction, need), batch.locked
            applying = [one for one in found if locked is None or not one.hard or one.id in locked]
            batch.applying[values] = applying
        return applying

    def check(self, transaction: "Transaction", budgets: list[Budget], need: Need, now: datetime) -> Warnings:
        """Raises where a hard budget does not cover the call; else what the others warn of.

        Raises `BudgetExceeded`, `RateLimitExceeded` or `UnpricedModel`.
        """
        warnings: list[Mapping[str, Any]] = []
        for budget in budgets:
            refusal = self._refusal(transaction, budget, need, now)
            if refusal is None:
                continue
            if budget.hard:
                raise refusal
            said = {"message": refusal.message, "code": refusal.code, **refusal.details}
            warnings.append({**said, "window_start": _calendar_start(budget, now)})
        return tuple(warnings)

    def add(self, budgets: list[Budget], need: Need) -> None:
        """Counts a call whose row was just written, for those that follow in the same transaction."""
        assert self._batch is not None
        held = Amounts(need.nano_usd or 0, need.tokens, 1)
        for key in {budget.key for budget in budgets}:
            self._batch.sums[key] = self._batch.sums.get(key, NOTHING).plus(held)

    def _refusal(self, transaction: "Transaction", budget: Budget, need: Need, now: datetime) -> AIError | None:
        if budget.limit_nano_usd is not None and need.nano_usd is None:
            return _unpriced(budget, need)
        spent, is_fresh = self._spent(transaction, budget, now)
        over = _over(budget, spent, need)
        if over is not None and not is_fresh:  # calls of the same transaction may have been settled since
            over = _over(budget, self._read(transaction, budget, now), need)
        if over is None:
            return None
        return _refused(budget, over, self._room_at(transaction, budget, over, now), now)

    def _spent(self, transaction: "Transaction", budget: Budget, now: datetime) -> tuple[Amounts, bool]:
        """What was spent, and whether it was read just now."""
        assert self._batch is not None
        known = self._batch.sums.get(budget.key)
        return (known, False) if known is not None else (self._read(transaction, budget, now), True)

    def _read(self, transaction: "Transaction", budget: Budget, now: datetime) -> Amounts:
        assert self._batch is not None
        found = self._batch.sums[budget.key] = self.sums.of(transaction, budget.key, budget.start(now))
        return found

    def _find_all(self, batch: _Batch, needs: list[Need]) -> None:
        """Finds what applies to any of them, and locks it where others could write meanwhile."""
        by_values = {_values(need): need for need in needs} if self._locking is not None else {}
        found = {values: self._find(batch.transaction, need) for values, need in by_values.items()}
        hard = {budget.id for budgets in found.values() for budget in budgets if budget.hard}
        if not hard or self._locking is None:
            batch.applying = found
            return
        batch.locked = hard
        batch.transaction.raw(self._locking, {"ids": self.sums.ids(hard)})
        # what applies is read again: it may have been changed while it was waited for

    def _find(self, transaction: "Transaction", need: Need) -> list[Budget]:
        found = []
        for row in transaction.raw(self._matching, need.scopes):
            value = need.scopes.get(row[2])
            if row[2] == "all" or value is not None:
                limits = (row[6], row[7], row[8])
                found.append(Budget(str(row[0]), row[1], row[2], value, row[4], bool(row[5]), *limits, bool(row[9])))
        return found

    def _room_at(self, transaction: "Transaction", budget: Budget, over: "_Over", now: datetime) -> datetime | None:
        """When the budget is whole again; of a rolling window when it has room for the call. None = never."""
        if not budget.rolling or budget.window == "total":
            return window_end(budget.window, now)
        if over.needed > over.limit:
            return None
        since = {"since": self._database.timestamp(budget.start(now)), "value": budget.value}
        excess = over.spent + over.needed - over.limit
        last: datetime | None = None
        for row in transaction.raw(self.sums.statements(budget.scope).each, since):
            last = self._database.moment(row[0])
            excess -= int(row[_UNITS.index(over.unit) + 1])
            if excess <= 0:
                break
        return leaves_at(budget.window, last or now)


_UNITS = ("usd", "tokens", "requests")


class _Over(NamedTuple):
    """What a budget does not cover. unit: `usd` (the numbers are nano-USD), `tokens` or `requests`."""

    unit: str
    limit: int
    spent: int
    needed: int

    @property
    def left(self) -> int:
        return max(self.limit - self.spent, 0)


def amount(unit: str, number: int) -> float | int:
    """As JSON has it: USD, tokens or requests."""
    return float(usd(number) or 0) if unit == "usd" else number


def shown(unit: str, number: int) -> str:
    """For people."""
    return f"{usd(number):f} USD" if unit == "usd" else f"{number} {unit}"


def _over(budget: Budget, spent: Amounts, need: Need) -> _Over | None:
    limits = (budget.limit_nano_usd, budget.limit_tokens, budget.limit_requests)
    needed = (need.nano_usd or 0, need.tokens, 1)
    for unit, limit, used, more in zip(_UNITS, limits, spent, needed, strict=True):
        if limit is not None and used + more > limit:
            return _Over(unit, limit, used, more)
    return None


def _refused(budget: Budget, over: _Over, room_at: datetime | None, now: datetime) -> AIError:
    """A rate limit says when to come again; a budget, that there is not the money."""
    unit = over.unit
    is_rate = unit == "requests" or budget.window == "minute"
    left, limit, needed = shown(unit, over.left), shown(unit, over.limit), shown(unit, over.needed)
    never = over.needed > over.limit
    reset = f"; it {'is whole' if never else 'has room'} again at {room_at.isoformat()}" if room_at else ""
    wait_s = max((room_at - now).total_seconds(), 0.0) if room_at and is_rate and not never else None
    kind = RateLimitExceeded if is_rate else BudgetExceeded
    return kind(
        f"The {'limit' if is_rate else 'budget'} {budget.about} has {left} left of {limit}, and the call may use"
        f" {needed}{reset}.",
        retry_after_s=wait_s,
        budget=budget.id,
        name=budget.name,
        scope=budget.scope,
        scope_id=budget.value,
        window=budget.window,
        rolling=budget.rolling,
        unit=unit,
        limit=amount(unit, over.limit),
        left=amount(unit, over.left),
        needed=amount(unit, over.needed),
        resets_at=room_at.isoformat() if room_at else None,
    )


def _unpriced(budget: Budget, need: Need) -> UnpricedModel:
    cure = f"datastead ai price set {need.scopes['provider']}:{need.scopes['model']} --input 1.25 --output 10"
    return UnpricedModel(
        f"`{need.scopes['model']}` has no known price for such a call, and a budget in USD applies: {budget.about}."
        f" Say what it costs, in USD per million tokens: `{cure}`; or limit tokens.",
        model=need.scopes["model"], budget=budget.id, name=budget.name, scope=budget.scope, scope_id=budget.value,
        window=budget.window, provider=need.scopes["provider"], cure=cure,
    )  # fmt: skip


def _calendar_start(budget: Budget, now: datetime) -> str:
    """Which window a warning is about; of a rolling one the calendar's, so that it warns once in it."""
    return window_start(budget.window, now).isoformat()


def _values(need: Need) -> tuple[str | None, ...]:
    return tuple(map(need.scopes.get, SCOPES))


def _matching() -> sa.Select[Any]:
    about = [
        sa.and_(
            _budgets.scope == scope,
            sa.or_(_budgets.scope_id.is_(None), _budgets.scope_id == sa.bindparam(scope, None, sa.String)),
        )
        for scope in SCOPES
    ]
    return sa.select(*_COLUMNS).where(sa.or_(_budgets.scope == "all", *about)).order_by(_budgets.id)


def _locking(dialect: str) -> sa.Select[Any]:
    given = sa.bindparam("ids", None, sa.Text)
    ids = listed_ids(given) if dialect == "mariadb" else sa.func.any(sa.cast(given, ARRAY(_budgets.id.type)))
    listed = _budgets.id.in_(ids) if dialect == "mariadb" else _budgets.id == ids
    return sa.select(_budgets.id).where(listed).order_by(_budgets.id).with_for_update()
