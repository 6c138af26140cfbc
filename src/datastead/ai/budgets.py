"""Budgets: who may spend how much in which window. What is spent is summed from the ledger; there is no other counter.

The check and the hold are one transaction: on SQLite no other can write meanwhile, on PostgreSQL the rows of the
budgets that apply are locked until it ends. So the sum of what is settled and what is held never passes a hard limit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from datastead.ai.prices import usd
from datastead.data import system
from datastead.errors import BudgetExceeded, UnpricedModel

if TYPE_CHECKING:
    from datastead.data.engine import Database, Transaction

SCOPES = ("user", "role", "flow", "model", "provider", "purpose")
"""What a budget can be about, besides `all`: columns of the ledger, too."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_calls = system.ai_calls.c
_budgets = system.budgets.c
_TOKEN_COLUMNS = (
    _calls.input_tokens, _calls.output_tokens, _calls.cache_read_tokens, _calls.cache_write_tokens,
    _calls.cache_write_1h_tokens, _calls.audio_input_tokens, _calls.audio_output_tokens, _calls.image_input_tokens,
    _calls.image_output_tokens,
)  # fmt: skip


@dataclass(slots=True)
class Need:
    """What a call may use at most, and what it is about. nano_usd: None = the price is unknown. scopes: by `SCOPES`."""

    nano_usd: int | None
    tokens: int
    scopes: Mapping[str, str | None]
    capped: bool


@dataclass(frozen=True, slots=True)
class Budget:
    """A row of `datastead_budgets`. value: what the scope is for this call (None for `all`)."""

    scope: str
    value: str | None
    window: str
    limit_nano_usd: int | None
    limit_tokens: int | None


class Budgets:
    """The budgets of one database."""

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._matching = database.prepare(_matching())
        self._spent = {scope: database.prepare(_spent(scope)) for scope in ("all", *SCOPES)}

    def applies(self, transaction: "Transaction", need: Need) -> list[Budget]:
        """The hard budgets that are about the call; on PostgreSQL locked until the transaction ends."""
        rows = transaction.raw(self._matching, need.scopes)
        found = [Budget(row[0], need.scopes.get(row[0]), *row[2:]) for row in rows]
        return [budget for budget in found if budget.scope == "all" or budget.value is not None]

    def check(self, transaction: "Transaction", budgets: list[Budget], need: Need, now: datetime) -> None:
        """Raises `BudgetExceeded` or `UnpricedModel` where one of the budgets does not cover the call."""
        for budget in budgets:
            if budget.limit_nano_usd is not None and need.nano_usd is None:
                raise UnpricedModel(
                    f"`{need.scopes['model']}` has no known price, and a budget in USD applies: {_about(budget)}.",
                    model=need.scopes["model"], scope=budget.scope, scope_id=budget.value,
                )  # fmt: skip
            parameters = {"since": self._database.timestamp(window_start(budget.window, now)), "value": budget.value}
            nano_usd, tokens = transaction.raw(self._spent[budget.scope], parameters)[0]
            if budget.limit_nano_usd is not None:
                _check(budget, _Sum("usd", budget.limit_nano_usd, int(nano_usd), need.nano_usd or 0), now)
            if budget.limit_tokens is not None:
                _check(budget, _Sum("tokens", budget.limit_tokens, int(tokens), need.tokens), now)


def window_start(window: str, now: datetime) -> datetime:
    """When the calendar window that holds `now` began, in UTC; weeks begin on Monday."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    starts: dict[str, Callable[[], datetime]] = {
        "total": lambda: EPOCH,
        "hour": lambda: now.astimezone(UTC).replace(minute=0, second=0, microsecond=0),
        "day": lambda: midnight,
        "week": lambda: midnight - timedelta(days=midnight.weekday()),
        "month": lambda: midnight.replace(day=1),
    }
    return starts[window]()


def window_end(window: str, now: datetime) -> datetime | None:
    """When the window ends and the budget is whole again; None for `total`."""
    start = window_start(window, now)
    if window == "month":
        return (start + timedelta(days=31)).replace(day=1)
    lengths = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}
    return start + lengths[window] if window in lengths else None


@dataclass(frozen=True, slots=True)
class _Sum:
    """unit: `usd` (the numbers are nano-USD) or `tokens`."""

    unit: str
    limit: int
    spent: int
    needed: int

    @property
    def left(self) -> int:
        return max(self.limit - self.spent, 0)

    def amount(self, number: int) -> float | int:
        return float(usd(number) or 0) if self.unit == "usd" else number

    def shown(self, number: int) -> str:
        return f"{usd(number):f} USD" if self.unit == "usd" else f"{number} tokens"


def _check(budget: Budget, sum_: _Sum, now: datetime) -> None:
    if sum_.spent + sum_.needed <= sum_.limit:
        return
    end = window_end(budget.window, now)
    left, limit, needed = sum_.shown(sum_.left), sum_.shown(sum_.limit), sum_.shown(sum_.needed)
    reset = f"; it is whole again at {end.isoformat()}" if end else ""
    raise BudgetExceeded(
        f"The budget {_about(budget)} has {left} left of {limit}, and the call may use {needed}{reset}.",
        scope=budget.scope,
        scope_id=budget.value,
        window=budget.window,
        unit=sum_.unit,
        limit=sum_.amount(sum_.limit),
        left=sum_.amount(sum_.left),
        needed=sum_.amount(sum_.needed),
        resets_at=end.isoformat() if end else None,
    )


def _about(budget: Budget) -> str:
    whom = "for all" if budget.scope == "all" else f"for {budget.scope} `{budget.value}`"
    return f"{whom}, {'in total' if budget.window == 'total' else f'per {budget.window}'}"


def _matching() -> sa.Select[Any]:
    about = [
        sa.and_(
            _budgets.scope == scope,
            sa.or_(_budgets.scope_id.is_(None), _budgets.scope_id == sa.bindparam(scope, None, sa.String)),
        )
        for scope in SCOPES
    ]
    columns = (_budgets.scope, _budgets.scope_id, _budgets.window, _budgets.limit_nano_usd, _budgets.limit_tokens)
    hard = sa.select(*columns).where(_budgets.hard.is_(sa.true()), sa.or_(_budgets.scope == "all", *about))
    return hard.order_by(_budgets.id).with_for_update()


def _spent(scope: str) -> sa.Select[Any]:
    """USD and tokens of the calls since a moment: what they used, and what those that are not over hold."""
    open_call = _calls.state.in_(("held", "in_doubt"))
    used = sum((sa.func.coalesce(column, 0) for column in _TOKEN_COLUMNS[1:]), sa.func.coalesce(_TOKEN_COLUMNS[0], 0))
    nano_usd = sa.case(
        (open_call, sa.func.coalesce(_calls.held_nano_usd, 0)), else_=sa.func.coalesce(_calls.cost_nano_usd, 0)
    )
    tokens = sa.case((open_call, sa.func.coalesce(_calls.held_tokens, 0)), else_=used)
    total = sa.select(sa.func.coalesce(sa.func.sum(nano_usd), 0), sa.func.coalesce(sa.func.sum(tokens), 0))
    total = total.where(_calls.created_at >= sa.bindparam("since", None, system.Timestamp))
    if scope == "all":
        return total
    column = _calls[scope]
    return total.where(column == sa.bindparam("value", None, column.type))
