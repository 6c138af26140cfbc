"""Budgets as rows: made, changed, shown with what is left of them, and removed. By administrators only."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import sqlalchemy as sa

from datastead.ai.people import NAMED, names_of, resolve
from datastead.ai.prices import usd
from datastead.ai.sums import Amounts, Key, Sums
from datastead.ai.terms import ALL, check_scope, number_of, parse_terms, whole, window_of
from datastead.ai.windows import window_end, window_start
from datastead.data import system
from datastead.errors import Forbidden, InvalidPayload

if TYPE_CHECKING:
    from datastead.context import Context
    from datastead.data.engine import Transaction

FIELDS = (
    "name", "scope", "scope_id", "window", "rolling", "limit", "limit_usd", "limit_tokens", "limit_requests", "hard",
)  # fmt: skip
"""What is given. limit: text like `50/month`, in place of a limit and a window."""

LONGEST = 255
_table = system.budgets
_LIMITS = {"usd": "limit_nano_usd", "tokens": "limit_tokens", "requests": "limit_requests"}


async def list_budgets(ctx: "Context") -> list[dict[str, Any]]:
    """All budgets, each with `spent`, `left` and `resets_at` as of now."""
    _check_admin(ctx)
    sums, now = Sums(ctx.services.database), ctx.now()

    def read(transaction: "Transaction") -> list[dict[str, Any]]:
        query = sa.select(_table).order_by(_table.c.created_at, _table.c.id)
        rows = [dict(row) for row in transaction.execute(query).mappings()]
        return [_shown(transaction, row, sums, now) for row in rows]

    return await ctx.services.database.read(read)


async def read_budget(ctx: "Context", budget: str) -> dict[str, Any]:
    """One of them. Raises `Forbidden` where there is none."""
    _check_admin(ctx)
    sums, now = Sums(ctx.services.database), ctx.now()
    return await ctx.services.database.read(
        lambda transaction: _shown(transaction, _row(transaction, budget), sums, now)
    )


async def create_budget(ctx: "Context", given: Mapping[str, Any]) -> str:
    """Makes a budget; its id. What was spent in its window before counts. Raises `InvalidPayload`."""
    _check_admin(ctx)

    def write(transaction: "Transaction") -> str:
        return _insert(transaction, _checked(transaction, {"scope": ALL, "window": "total"}, given), ctx.now())

    return await ctx.services.database.write(write)


async def set_budget(ctx: "Context", given: Mapping[str, Any]) -> str:
    """Changes the budget of the same scope, window and unit, or makes it; its id. Raises `InvalidPayload`."""
    _check_admin(ctx)

    def write(transaction: "Transaction") -> str:
        values = _checked(transaction, {"scope": ALL, "window": "total"}, given)
        same = [_same(column, values[column]) for column in ("scope", "scope_id", "window")]
        same += [_table.c[column].is_not(None) for column in _LIMITS.values() if values[column] is not None]
        found = transaction.execute(sa.select(_table.c.id).where(*same).order_by(_table.c.created_at)).scalar()
        if found is not None:
            given_only = {name: value for name, value in values.items() if value is not None}
            transaction.execute(sa.update(_table).where(_table.c.id == found).values(**given_only))
            return str(found)
        return _insert(transaction, values, ctx.now())

    return await ctx.services.database.write(write)


async def update_budget(ctx: "Context", budget: str, given: Mapping[str, Any]) -> None:
    """Changes a budget: it is checked as a whole, and counts from the next call. Raises `InvalidPayload`."""
    _check_admin(ctx)

    def write(transaction: "Transaction") -> None:
        values = _checked(transaction, _row(transaction, budget), given)
        transaction.execute(sa.update(_table).where(_table.c.id == budget).values(**values))

    await ctx.services.database.write(write)


async def delete_budget(ctx: "Context", budget: str) -> None:
    """Removes a budget; the ledger stays. Raises `Forbidden` where there is none."""
    _check_admin(ctx)

    def write(transaction: "Transaction") -> None:
        _row(transaction, budget)
        transaction.execute(sa.delete(_table).where(_table.c.id == budget))

    await ctx.services.database.write(write)


def _insert(transaction: "Transaction", values: Mapping[str, Any], now: datetime) -> str:
    """A limit for a minute is a rate, and rolls unless it is said not to."""
    row = {"rolling": values["window"] == "minute", "hard": True, **values, "id": str(uuid4()), "created_at": now}
    transaction.execute(sa.insert(_table).values(**row))
    return str(row["id"])


def _same(column: str, value: Any) -> sa.ColumnElement[bool]:
    return _table.c[column].is_(None) if value is None else _table.c[column] == value


def _check_admin(ctx: "Context") -> None:
    if not ctx.actor.is_admin:
        raise Forbidden


def _row(transaction: "Transaction", budget: str) -> dict[str, Any]:
    try:
        UUID(budget)
    except ValueError:
        raise Forbidden from None
    row = transaction.execute(sa.select(_table).where(_table.c.id == budget)).mappings().first()
    if row is None:
        raise Forbidden
    return dict(row)


def _checked(transaction: "Transaction", row: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a budget, from what it was and what is given. Raises `InvalidPayload` that names the field."""
    for name in given:
        if name not in FIELDS:
            names = ", ".join(f"`{each}`" for each in FIELDS)
            raise InvalidPayload(f"A budget has no field `{str(name)[:64]}`: use {names}.", field=str(name)[:64])
    values = {column: row.get(column) for column in ("name", "scope", "scope_id", "window", "rolling", "hard")}
    values |= {column: row.get(column) for column in _LIMITS.values()}
    values |= {name: given[name] for name in ("scope", "scope_id", "window", "name") if name in given}
    values |= {name: _flag(name, given[name]) for name in ("rolling", "hard") if name in given}
    values |= _limits(given)
    if "scope" in given and "scope_id" not in given and given["scope"] != row.get("scope"):
        values["scope_id"] = None
    _check_name(values["name"])
    scope = check_scope(values["scope"])
    values["scope_id"] = _scope_id(transaction, scope, values["scope_id"])
    values["window"] = window_of(_text("window", values["window"]).lower())
    values = {name: value for name, value in values.items() if value is not None or name not in {"rolling", "hard"}}
    _check_whole(values)
    return values


def _limits(given: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if given.get("limit") is not None:
        terms = parse_terms(_text("limit", given["limit"]))
        found = {**dict.fromkeys(_LIMITS.values()), _LIMITS[terms.unit]: terms.limit}
        if "window" not in given:
            found["window"] = terms.window
    for unit, column in _LIMITS.items():
        name = f"limit_{unit}"
        if name in given:
            found[column] = None if given[name] is None else whole(unit, number_of(name, given[name]), given[name])
    return found


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidPayload(f"`{name}` is `{str(value)[:40]}`: use true or false.", field=name)
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidPayload(f"`{name}` is `{str(value)[:40]}`: use text.", field=name)
    return value


def _check_name(name: Any) -> None:
    if name is not None and not 0 < len(_text("name", name)) <= LONGEST:
        raise InvalidPayload(f"`name` has {len(name)} characters: use 1 to {LONGEST}.", field="name")


def _scope_id(transaction: "Transaction", scope: str, which: Any) -> str | None:
    if which is None:
        return None
    if scope == ALL:
        raise InvalidPayload("The scope `all` is everybody: leave `scope_id` out.", field="scope_id")
    if not 0 < len(_text("scope_id", which)) <= LONGEST:
        raise InvalidPayload(f"`scope_id` has {len(which)} characters: use 1 to {LONGEST}.", field="scope_id")
    return resolve(transaction, scope, which) if scope in NAMED else str(which)


def _check_whole(values: Mapping[str, Any]) -> None:
    if all(values.get(column) is None for column in _LIMITS.values()):
        raise InvalidPayload(
            "The budget limits nothing: give `limit_usd`, `limit_tokens` or `limit_requests`, or `limit` as text like"
            " `50/month`.", field="limit",
        )  # fmt: skip
    if values.get("rolling") and values["window"] == "total":
        raise InvalidPayload(
            "A budget in total does not roll: give a `window`, or leave `rolling` out.", field="rolling"
        )


def _shown(transaction: "Transaction", row: Mapping[str, Any], sums: Sums, now: datetime) -> dict[str, Any]:
    """As JSON. `spent` and `left` are null where each has a budget of its own."""
    scope, which = row["scope"], row["scope_id"]
    window, rolling = row["window"], bool(row["rolling"])
    end = None if rolling else window_end(window, now)
    since = window_start(window, now, rolling=rolling)
    spent = sums.plain(transaction, Key(scope, which, window, rolling), since) if scope == ALL or which else None
    return {
        "id": str(row["id"]),
        "name": row["name"],
        "scope": scope,
        "scope_id": which,
        "scope_name": names_of(transaction, scope, [which]).get(which) if which else None,
        "window": window,
        "rolling": rolling,
        "limit_usd": _usd(row["limit_nano_usd"]),
        "limit_tokens": row["limit_tokens"],
        "limit_requests": row["limit_requests"],
        "hard": bool(row["hard"]),
        "spent": None if spent is None else _amounts(spent),
        "left": None if spent is None else _left(row, spent),
        "resets_at": end.isoformat() if end else None,
        "created_at": row["created_at"].isoformat(),
    }


def _amounts(spent: Amounts) -> dict[str, Any]:
    return {"usd": _usd(spent.nano_usd), "tokens": spent.tokens, "requests": spent.requests}


def _left(row: Mapping[str, Any], spent: Amounts) -> dict[str, Any]:
    """Of each limit that there is, what is not used yet."""
    pairs = zip(_LIMITS.items(), spent, strict=True)
    found = {unit: max(row[column] - used, 0) for (unit, column), used in pairs if row[column] is not None}
    return {unit: _usd(number) if unit == "usd" else number for unit, number in found.items()}


def _usd(nano_usd: int | None) -> str | None:
    """USD as text, which is exact."""
    amount = usd(nano_usd)
    return None if amount is None else f"{amount:f}"
