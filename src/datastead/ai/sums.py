"""What was spent in a window: a sum over the ledger, which does not read again what it has read before.

There is no counter. A `Memo` is what a sum was over the rows before a cut, in this process's memory: read from
committed data, and only of rows that are closed, which never change. What is spent now is the memo, and the rows that
were open at the cut as they are now, and the rows after the cut. It equals the plain sum, and reads new rows only.

The cut must have no row before it that commits later. SQLite has one writer, so `rowid` is the order of commits. On
PostgreSQL a row has the id of its transaction, and the cut is the oldest transaction that is still open. On MariaDB a
row has the next number, and whoever writes one shares a lock until it commits: the cut is taken when nobody has it.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.expression import UnaryExpression
from sqlalchemy.sql.operators import custom_op

from datastead.data import system
from datastead.data.mariadb_reflection import COLLATION

if TYPE_CHECKING:
    from datastead.data.engine import Database, Prepared, Transaction

SCOPES = ("user", "role", "flow", "model", "provider", "purpose", "token")
"""What a budget can be about, besides `all`: columns of the ledger, too."""

TAIL = 256
"""So many rows after the cut make a new memo worth while."""
SLOW_S = 0.001
"""A sum of few rows that takes this long has read many others."""
FOLD_AFTER_S = 5.0
FOLD_EVERY_S = 0.1
"""Not more often, also where PostgreSQL's cut is held back by a transaction that stays open."""
READ_ANEW_AFTER_S = 600.0
"""Closed rows do not change; whoever changes or deletes them by hand is seen after this time."""
MEMOS = 10_000
LOOK_BACK = 1000
"""So many calls are looked at, to say when a rolling window has room again."""
END = 1 << 62
"""After every row. PostgreSQL takes a range with two ends for a small one, and uses the index."""

_calls = system.ai_calls.c
_TOKENS = (
    _calls.input_tokens, _calls.output_tokens, _calls.cache_read_tokens, _calls.cache_write_tokens,
    _calls.cache_write_1h_tokens, _calls.audio_input_tokens, _calls.audio_output_tokens, _calls.image_input_tokens,
    _calls.image_output_tokens,
)  # fmt: skip
_ZERO: sa.ColumnElement[int] = sa.literal_column("0")  # not a parameter: there would be thirty
_IS_OPEN = _calls.state.in_([sa.literal_column("'held'"), sa.literal_column("'in_doubt'")])
_IS_CALL = _calls.state != sa.literal_column("'cached'")


class Amounts(NamedTuple):
    """What calls come to: what they used; of those that are not over, what they hold."""

    nano_usd: int = 0
    tokens: int = 0
    requests: int = 0

    def plus(self, other: "Amounts") -> "Amounts":
        return Amounts(self.nano_usd + other[0], self.tokens + other[1], self.requests + other[2])

    def minus(self, other: "Amounts") -> "Amounts":
        return Amounts(self.nano_usd - other[0], self.tokens - other[1], self.requests - other[2])


NOTHING = Amounts()


class Key(NamedTuple):
    """What is summed: the calls of one scope's value (None for `all`), in one kind of window."""

    scope: str
    value: str | None
    window: str
    rolling: bool = False


@dataclass(frozen=True, slots=True)
class Memo:
    """A sum over the closed rows since a moment and before a cut.

    cut: the first place in the order that is not in it. mark: the row just before it, on SQLite. open: ids of the rows
    before it that were not over. read_at, folded_at: monotonic seconds.
    """

    since: datetime
    cut: int
    mark: str | None
    closed: Amounts
    open: frozenset[str]
    read_at: float
    folded_at: float


class Sums:
    """The sums of one ledger. `of` runs in the thread of a write; `fold` reads by itself what is committed."""

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._memos: dict[Key, Memo] = {}
        self._statements: dict[str, _Statements] = {}
        self._cut = database.prepare(_cut(database.dialect))
        self.stale: set[Key] = set()

    def of(self, transaction: "Transaction", key: Key, since: datetime) -> Amounts:
        """What was spent since a moment, as this transaction sees it."""
        memo = self._memos.get(key)
        if memo is not None and memo.since < since and key.rolling:
            memo = self._moved(transaction, key, memo, since)
        if memo is not None and memo.since == since:
            found = self._from(transaction, key, memo)
            if found is not None:
                return found
        began = time.perf_counter()
        found = self.plain(transaction, key, since)
        if found.requests > TAIL or time.perf_counter() - began > SLOW_S:
            self.stale.add(key)
        return found

    def plain(self, transaction: "Transaction", key: Key, since: datetime) -> Amounts:
        """The same, read from every row."""
        return _amounts(transaction.raw(self.statements(key.scope).whole, self._parameters(key, since))[0])

    async def fold(self, key: Key, since: datetime) -> None:
        """Moves the cut up to what is committed by now."""
        base = self._memos.get(key)
        is_new = base is None or base.since != since or time.monotonic() - base.read_at > READ_ANEW_AFTER_S
        memo = await self._read(key, None if is_new else base, since)
        if self._memos.get(key) is base:
            while len(self._memos) >= MEMOS and key not in self._memos:
                self._memos.pop(next(iter(self._memos)), None)
            self._memos[key] = memo

    async def _read(self, key: Key, base: Memo | None, since: datetime) -> Memo:
        end = await self._database.write(last_written) if self._database.dialect == "mariadb" else None

        def work(transaction: "Transaction") -> Memo:
            return self._folded(transaction, key, base, since, end)

        # in memory, readers see what a writer has not committed
        return await (self._database.write(work) if self._database.is_in_memory else self._database.read(work))

    def _folded(
        self, transaction: "Transaction", key: Key, base: Memo | None, since: datetime, end: int | None
    ) -> Memo:
        """What is closed by now, of what was open and of what has come since the base. end: the cut, if it is known."""
        now, statements = time.monotonic(), self.statements(key.scope)
        cut, mark = (end, None) if end is not None else transaction.raw(self._cut, {})[0]
        bounds = {**self._parameters(key, since), "low": base.cut if base else 0, "high": cut}
        closed = _amounts(transaction.raw(statements.closed, bounds)[0])
        still_open = {str(row[0]) for row in transaction.raw(statements.open, bounds)}
        if base is not None and base.open:
            waited = {**self._parameters(key, since), "ids": self.ids(base.open)}
            closed = closed.plus(_amounts(transaction.raw(statements.closed_of, waited)[0]))
            still_open |= {str(row[0]) for row in transaction.raw(statements.open_of, waited)}
        total = closed.plus(base.closed) if base else closed
        return Memo(since, int(cut), mark, total, frozenset(still_open), base.read_at if base else now, now)

    def _from(self, transaction: "Transaction", key: Key, memo: Memo) -> Amounts | None:
        """The sum, with a memo's help; None where the memo is of rows that are no more."""
        parameters = {**self._parameters(key, memo.since), "cut": memo.cut, "end": END, "ids": self.ids(memo.open)}
        *tail, mark = transaction.raw(self.statements(key.scope).tail, parameters)[0]
        if mark != memo.mark:
            self._memos.pop(key, None)
            return None
        found = _amounts(tail)
        age_s = time.monotonic() - memo.folded_at
        if age_s > FOLD_AFTER_S or (found.requests > TAIL and age_s > FOLD_EVERY_S):
            self.stale.add(key)
        if memo.open:
            found = found.plus(_amounts(transaction.raw(self.statements(key.scope).now, parameters)[0]))
        return found.plus(memo.closed)

    def _moved(self, transaction: "Transaction", key: Key, memo: Memo, since: datetime) -> Memo:
        """The memo, without the rows that have left a rolling window. These are closed and committed, so it stays."""
        parameters = {**self._parameters(key, memo.since), "until": self._database.timestamp(since),
                      "cut": memo.cut, "ids": self.ids(memo.open)}  # fmt: skip
        gone = _amounts(transaction.raw(self.statements(key.scope).leaving, parameters)[0])
        moved = Memo(
            since, memo.cut, memo.mark, memo.closed.minus(gone), memo.open, memo.read_at, memo.folded_at
        )  # fmt: skip
        self._memos[key] = moved
        return moved

    def statements(self, scope: str) -> "_Statements":
        """The SQL of a scope, compiled when it is first needed."""
        found = self._statements.get(scope)
        if found is None:
            found = self._statements[scope] = _Statements(self._database, scope)
        return found

    def _parameters(self, key: Key, since: datetime) -> dict[str, Any]:
        return {"since": self._database.timestamp(since), "value": key.value}

    def ids(self, ids: Collection[str]) -> str:
        """As the driver takes a list: JSON, or PostgreSQL's own text of an array."""
        if self._database.dialect == "postgresql":
            return "{" + ",".join(sorted(ids)) + "}"
        return orjson.dumps(sorted(ids)).decode()


class _Statements:
    """The SQL of one scope, compiled once."""

    whole: "Prepared"
    tail: "Prepared"
    now: "Prepared"
    leaving: "Prepared"
    closed: "Prepared"
    open: "Prepared"
    closed_of: "Prepared"
    open_of: "Prepared"
    each: "Prepared"

    def __init__(self, database: "Database", scope: str) -> None:
        place, of_scope = _place(database.dialect), _of_scope(scope, database.dialect)
        listed = _listed(database.dialect)
        since = _calls.created_at >= sa.bindparam("since", None, system.Timestamp)
        # by the order of rows, and not by their time: the plus sign keeps SQLite from its index
        late = _plain(_calls.created_at, database.dialect) >= sa.bindparam("since", None, system.Timestamp)
        cut = sa.bindparam("cut", None, sa.BigInteger)
        between = (
            place >= sa.bindparam("low", None, sa.BigInteger), place < sa.bindparam("high", None, sa.BigInteger), late
        )  # fmt: skip
        gone = _calls.created_at < sa.bindparam("until", None, system.Timestamp)
        statements = {
            "whole": _sum(since, *of_scope),
            "tail": _sum(place >= cut, place < sa.bindparam("end", None, sa.BigInteger), late, *of_scope).add_columns(
                _mark(database.dialect, cut)
            ),
            "now": _sum(listed, late),
            "leaving": _sum(since, gone, place < cut, ~listed, *of_scope),
            "closed": _sum(*between, ~_IS_OPEN, *of_scope),
            "open": sa.select(_calls.id).where(*between, _IS_OPEN, *of_scope),
            "closed_of": _sum(listed, late, ~_IS_OPEN),
            "each": _first(since, *of_scope),
            "open_of": sa.select(_calls.id).where(listed, late, _IS_OPEN),
        }
        for name, statement in statements.items():
            setattr(self, name, database.prepare(statement))


def _first(*conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """When each call was made, and what it comes to; the oldest first."""
    columns: list[sa.ColumnElement[Any]] = [_calls.created_at, *_each(), sa.literal_column("1")]
    return sa.select(*columns).where(_IS_CALL, *conditions).order_by(_calls.created_at).limit(LOOK_BACK)


def _each() -> tuple[sa.ColumnElement[int], sa.ColumnElement[int]]:
    """nano-USD and tokens of a row: what is over has used them, what is not holds them."""
    used = sum((sa.func.coalesce(column, _ZERO) for column in _TOKENS[1:]), sa.func.coalesce(_TOKENS[0], _ZERO))
    held = sa.func.coalesce(_calls.held_nano_usd, _ZERO), sa.func.coalesce(_calls.held_tokens, _ZERO)
    nano_usd = sa.case((_IS_OPEN, held[0]), else_=sa.func.coalesce(_calls.cost_nano_usd, _ZERO))
    return nano_usd, sa.case((_IS_OPEN, held[1]), else_=used)


def _sum(*conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """What the calls come to. An answer from the cache is no call: it costs nothing, and asks nobody."""
    columns: list[sa.ColumnElement[Any]] = [
        *(sa.func.coalesce(sa.func.sum(amount), _ZERO) for amount in _each()),
        sa.func.count(),
    ]
    return sa.select(*columns).select_from(system.ai_calls).where(_IS_CALL, *conditions)


def share_writing(transaction: "Transaction") -> None:
    """Before the first row that a transaction writes: on MariaDB, `last_written` waits for its end."""
    if transaction.dialect == "mariadb":
        transaction.execute(_WRITING.with_for_update(read=True))


def last_written(transaction: "Transaction") -> int:
    """The place after every row that is written, on MariaDB, where nobody is about to commit one."""
    transaction.execute(_WRITING.with_for_update())
    return int(transaction.execute(sa.select(sa.func.max(_calls.sequence))).scalar() or 0) + 1


_WRITING = sa.select(system.versions.c.version).where(system.versions.c.name == "ledger")


def _place(dialect: str) -> sa.ColumnElement[int]:
    """Where a row is in the order of commits."""
    if dialect != "sqlite":
        return _calls.sequence
    return sa.literal_column("datastead_ai_calls.rowid", sa.BigInteger)


def _cut(dialect: str) -> sa.Select[Any]:
    """The first place that may still be taken by a row that is not seen, and the row just before it."""
    if dialect == "postgresql":
        oldest: sa.ColumnElement[int] = sa.literal_column("pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
        columns: list[sa.ColumnElement[Any]] = [oldest, sa.null()]
        return sa.select(*columns)
    last = sa.select(sa.func.max(sa.text("rowid"))).select_from(system.ai_calls).scalar_subquery()
    mark = sa.select(_calls.id).where(_place(dialect) == last).scalar_subquery()
    return sa.select(sa.func.coalesce(last, 0) + 1, mark)


def _mark(dialect: str, cut: sa.BindParameter[int]) -> sa.ColumnElement[Any]:
    """The row before the cut: another one after rows were deleted, and SQLite numbered what was left anew."""
    if dialect != "sqlite":
        return sa.null()
    calls = system.ai_calls.alias("marked")
    return sa.select(calls.c.id).where(sa.literal_column("marked.rowid", sa.BigInteger) == cut - 1).scalar_subquery()


def _of_scope(scope: str, dialect: str) -> tuple[sa.ColumnElement[bool], ...]:
    if scope == "all":
        return ()
    column = _calls[scope]
    own = column == sa.bindparam("value", None, column.type)
    # always true, and what lets SQLite go on in the index of the scope by `rowid`
    return (own, _calls.sequence.is_(None)) if dialect == "sqlite" else (own,)


def _listed(dialect: str) -> sa.ColumnElement[bool]:
    """One of the given ids."""
    ids = sa.bindparam("ids", None, sa.Text)
    if dialect == "postgresql":
        return _calls.id == sa.func.any(sa.cast(ids, ARRAY(_calls.id.type)))
    if dialect == "mariadb":
        return _calls.id.in_(listed_ids(ids))
    each = sa.func.json_each(ids).table_valued("value")
    return _calls.id.in_(sa.select(each.c.value))


def listed_ids(ids: sa.BindParameter[str]) -> sa.Select[Any]:
    """MariaDB's rows for a JSON list of ids."""
    kind = f"CHAR(36) CHARACTER SET utf8mb4 COLLATE {COLLATION}"
    columns: sa.ColumnElement[Any] = sa.literal_column(f"'$[*]' COLUMNS (id {kind} PATH '$')")
    return sa.select(sa.func.json_table(ids, columns).table_valued("id").c.id)


def _plain(column: sa.Column[Any], dialect: str) -> sa.ColumnElement[Any]:
    if dialect != "sqlite":
        return column
    return UnaryExpression(column, operator=custom_op("+"), type_=column.type)


def _amounts(row: Any) -> Amounts:
    return Amounts(int(row[0]), int(row[1]), int(row[2]))
