"""The ledger, read row by row, and what a person decides about a call that is in doubt."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import sqlalchemy as sa

from datastead.ai.prices import usd
from datastead.data import system
from datastead.errors import Forbidden, InvalidCredentials, InvalidPayload, UnprocessableContent

if TYPE_CHECKING:
    from datastead.context import Context
    from datastead.data.engine import Transaction

_table = system.ai_calls
_calls = _table.c
LONG = frozenset({"prompt", "answer", "raw_usage"})
"""Columns that a list leaves out."""
INTERNAL = frozenset({"owner", "lease_until", "sequence"})
FILTERS = (
    "state", "provider", "model", "kind", "purpose", "user", "role", "token", "flow", "run", "step", "collection",
    "item", "field", "thread", "error_code", "service_tier", "request_id",
)  # fmt: skip
"""Columns by whose values calls are chosen."""
_UUIDS = frozenset({"user", "role", "flow", "run"})

Verdict = Literal["paid", "not_paid"]


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a call in doubt was: paid (at its bound, or what the provider's bill says, in nano-USD), or not paid."""

    verdict: Verdict
    cost_nano_usd: int | None = None


def visible_to(ctx: "Context") -> list[sa.ColumnElement[bool]]:
    """Administrators see all calls, others their own. Raises `InvalidCredentials` where nobody is signed in."""
    if ctx.actor.is_admin:
        return []
    if ctx.actor.user is None:
        raise InvalidCredentials
    return [_calls.user == ctx.actor.user]


def chosen_by(filters: Mapping[str, str | None]) -> list[sa.ColumnElement[bool]]:
    """Conditions out of values by `FILTERS`; several are separated by commas, and `null` is none."""
    return [_chosen(name, value) for name, value in filters.items() if value is not None]


async def list_calls(
    ctx: "Context", filters: Mapping[str, str | None], *, since: datetime | None = None, until: datetime | None = None,
    limit: int = 100, offset: int = 0,
) -> tuple[list[dict[str, Any]], int]:  # fmt: skip
    """Calls, newest first, without prompts and answers; and how many there are in all."""
    conditions = [*visible_to(ctx), *chosen_by(filters)]
    conditions += [_calls.created_at >= since] if since else []
    conditions += [_calls.created_at < until] if until else []
    columns = [column for column in _table.columns if column.name not in LONG | INTERNAL]
    query = sa.select(*columns).where(*conditions).order_by(_calls.created_at.desc(), _calls.id.desc())
    count = sa.select(sa.func.count()).select_from(_table).where(*conditions)

    def read(transaction: "Transaction") -> tuple[list[dict[str, Any]], int]:
        rows = transaction.execute(query.limit(limit).offset(offset)).mappings()
        return [_shown(row) for row in rows], int(transaction.execute(count).scalar_one())

    return await ctx.services.database.read(read)


async def read_call(ctx: "Context", call: str) -> dict[str, Any]:
    """One call with all that the ledger has of it. Raises `Forbidden` where there is none to see."""
    columns = [column for column in _table.columns if column.name not in INTERNAL]
    query = sa.select(*columns).where(_calls.id == _call_id(call), *visible_to(ctx))
    row = await ctx.services.database.read(lambda transaction: transaction.execute(query).mappings().first())
    if row is None:
        raise Forbidden
    return _shown(row)


async def resolve_call(ctx: "Context", call: str, resolution: Resolution) -> None:
    """Says what a call in doubt was, which frees or spends its hold. Raises `UnprocessableContent` for any other call.

    A paid call's tokens are its bound: nobody knows better.
    """
    if not ctx.actor.is_admin:
        raise Forbidden
    this = _calls.id == _call_id(call)
    settled = {"settled_at": ctx.now(), **_resolved(resolution)}

    def write(transaction: "Transaction") -> None:
        state = transaction.execute(sa.select(_calls.state).where(this)).scalar()
        if state is None:
            raise Forbidden
        done = transaction.execute(sa.update(_table).where(this, _calls.state == "in_doubt").values(**settled))
        if not done.rowcount:
            raise UnprocessableContent(f"The call `{call}` is not in doubt: it is `{state}`.", call=call, state=state)

    await ctx.services.database.write(write)


def _resolved(resolution: Resolution) -> dict[str, Any]:
    if resolution.verdict == "not_paid":
        return {"state": "failed", "cost_nano_usd": 0, "usage_source": "none", "error": "Resolved by hand: not paid."}
    cost = _calls.held_nano_usd if resolution.cost_nano_usd is None else resolution.cost_nano_usd
    return {
        "state": "settled",
        "cost_nano_usd": cost,
        "cost_source": "person",
        "usage_source": "estimated",
        "input_tokens": _calls.held_tokens,
        "error": "Resolved by hand: paid.",
    }


def _shown(row: Any) -> dict[str, Any]:
    """As JSON: moments as ISO text; costs exactly, as nano-USD and as USD in text."""
    found = {str(name): value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
    cost = usd(row["cost_nano_usd"])
    return {**found, "cost_usd": None if cost is None else f"{cost:f}"}


def _chosen(name: str, value: str) -> sa.ColumnElement[bool]:
    if name not in FILTERS:
        raise InvalidPayload(
            f"Calls are not chosen by `{name[:40]}`: use one of {', '.join(FILTERS)}.", field=name[:40]
        )
    column = _calls[name]
    values = [each for each in value.split(",") if each != "null"]
    known = [each for each in values if name not in _UUIDS or _is_uuid(each)]
    is_one_of = column.in_(known)
    return sa.or_(is_one_of, column.is_(None)) if "null" in value.split(",") else is_one_of


def _call_id(call: str) -> str:
    if not _is_uuid(call):
        raise Forbidden
    return call


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
