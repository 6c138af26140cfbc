"""What calls came to, grouped by anything that the ledger knows, and by time. One query over the ledger."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from datastead.ai.people import NAMED, names_of
from datastead.ai.prices import usd
from datastead.ai.records import chosen_by, visible_to
from datastead.data import system
from datastead.errors import InvalidQuery

if TYPE_CHECKING:
    from datastead.context import Context
    from datastead.data.engine import Transaction

_calls = system.ai_calls.c

DIMENSIONS = (
    "provider", "model", "user", "role", "token", "purpose", "flow", "run", "step", "collection", "item", "field",
    "thread", "state", "error_code", "kind", "service_tier",
)  # fmt: skip
BUCKETS = ("hour", "day", "week", "month")
MOST_ROWS = 10_000
TOKENS = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "audio_input_tokens", "audio_output_tokens", "image_input_tokens", "image_output_tokens",
)  # fmt: skip
"""Disjoint: together they are `tokens`. `reasoning_tokens` is a share of the output's."""
_AGO = re.compile(r"(\d{1,5})(h|d|w)")
_LENGTHS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


@dataclass(frozen=True, slots=True)
class UsageQuery:
    """group_by: of `DIMENSIONS`. bucket: of `BUCKETS`, calendar in UTC. filters: by the names of `records.FILTERS`."""

    group_by: Sequence[str] = ()
    bucket: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    filters: Mapping[str, str | None] = field(default_factory=dict)


def parse_groups(text: str | None) -> tuple[str, ...]:
    """Names of dimensions, by commas. Raises `InvalidQuery` that names them."""
    names = tuple(dict.fromkeys(name.strip() for name in (text or "").split(",") if name.strip()))
    for name in names:
        if name not in DIMENSIONS:
            raise InvalidQuery(f"Usage is not grouped by `{name[:40]}`: use {', '.join(DIMENSIONS)}.", field="groupBy")
    return names


def parse_moment(text: str | None, now: datetime, name: str) -> datetime | None:
    """`30d`, `24h`, `2w` before now, or an ISO date or time (UTC where it does not say). Raises `InvalidQuery`."""
    if not text:
        return None
    ago = _AGO.fullmatch(text)
    try:
        moment = now - int(ago[1]) * _LENGTHS[ago[2]] if ago else datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidQuery(
            f"`{name}` is `{text[:40]}`: use `30d`, `24h`, `2w`, or a date like `2026-11-01`.", field=name
        ) from None


async def usage(ctx: "Context", query: UsageQuery) -> list[dict[str, Any]]:
    """A row for each group: what it is of, calls, tokens, costs. By time if there is a bucket, else dearest first."""
    if query.bucket is not None and query.bucket not in BUCKETS:
        raise InvalidQuery(f"`bucket` is `{query.bucket[:40]}`: use {', '.join(BUCKETS)}.", field="bucket")
    statement = _statement(query, visible_to(ctx), ctx.services.database.dialect)

    def read(transaction: "Transaction") -> list[dict[str, Any]]:
        return [_shown(row, query) for row in transaction.execute(statement).mappings()]

    return await ctx.services.database.read(read)


async def named(ctx: "Context", rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows, with the names of users, roles and flows in the place of their ids, where they have one."""

    def read(transaction: "Transaction") -> dict[str, dict[str, str]]:
        return {name: names_of(transaction, name, {row[name] for row in rows if row.get(name)}) for name in NAMED}

    names = await ctx.services.database.read(read)
    return [
        {
            name: names.get(name, {}).get(value, value) if isinstance(value, str) else value
            for name, value in row.items()
        }
        for row in rows
    ]


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """CSV with a heading. What a spreadsheet would take for a formula is marked as text."""
    if not rows:
        return ""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(rows[0])
    writer.writerows([_cell(value) for value in row.values()] for row in rows)
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r", "\n"}:
        return f"'{value}"
    return value


def _statement(query: UsageQuery, visible: Sequence[sa.ColumnElement[bool]], dialect: str) -> sa.Select[Any]:
    """Aggregates over rows that carry their rank by latency within the group, from which the percentiles come."""
    groups: list[sa.ColumnElement[Any]] = [_calls[name] for name in query.group_by]
    if query.bucket is not None:
        groups.insert(0, _bucket(query.bucket, dialect).label("bucket"))
    conditions = [*visible, *chosen_by(query.filters)]
    conditions += [_calls.created_at >= query.since] if query.since else []
    conditions += [_calls.created_at < query.until] if query.until else []
    latency = _calls.latency_ms
    ranks = sa.func.row_number().over(partition_by=groups or None, order_by=(latency.is_(None), latency))
    timed = sa.func.count(latency).over(partition_by=groups or None)
    other = [column for column in _calls if column.name in _READ and column.name not in query.group_by]
    ranked = sa.select(*groups, *other, ranks.label("rank"), timed.label("timed")).where(*conditions).subquery()
    keys = [ranked.c[group.name] for group in groups]
    found = sa.select(*keys, *_aggregates(ranked.c)).group_by(*keys) if keys else sa.select(*_aggregates(ranked.c))
    order = [ranked.c.bucket] if query.bucket else []
    return found.order_by(*order, sa.text("cost_nano_usd DESC"), *keys).limit(MOST_ROWS)


_READ = frozenset({
    *TOKENS, "reasoning_tokens", "state", "cost_nano_usd", "saved_nano_usd", "held_nano_usd", "usage_source",
    "price_state", "latency_ms",
})  # fmt: skip


def _aggregates(row: Any) -> list[sa.ColumnElement[Any]]:
    def count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
        return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)

    def total(column: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
        return sa.func.coalesce(sa.func.sum(column), 0)

    def percentile(share: int) -> sa.ColumnElement[int]:
        return sa.func.min(sa.case((row.rank * 100 >= row.timed * share, row.latency_ms)))

    in_doubt = row.state == "in_doubt"
    return [
        sa.func.count().label("calls"),
        *(count(row.state == state).label(state) for state in ("settled", "failed", "held", "in_doubt", "cached")),
        count((row.state == "settled") & (row.price_state == "unknown")).label("unpriced"),
        count(row.usage_source == "estimated").label("estimated"),
        *(total(row[name]).label(name) for name in (*TOKENS, "reasoning_tokens")),
        total(row.cost_nano_usd).label("cost_nano_usd"),
        total(row.saved_nano_usd).label("saved_nano_usd"),
        total(sa.case((in_doubt, row.held_nano_usd))).label("in_doubt_nano_usd"),
        percentile(50).label("p50_ms"),
        percentile(95).label("p95_ms"),
    ]


def _bucket(bucket: str, dialect: str) -> sa.ColumnElement[str]:
    """When the hour, day, week or month of a call began, as text."""
    if dialect == "postgresql":
        return sa.func.to_char(
            sa.func.date_trunc(bucket, sa.func.timezone("UTC", _calls.created_at)), 'YYYY-MM-DD"T"HH24:MI:SS"Z"'
        )
    if dialect == "mariadb":
        return _mariadb_bucket(bucket)
    moment = sa.type_coerce(_calls.created_at, sa.Text)
    formats = {"hour": "%Y-%m-%dT%H:00:00Z", "day": "%Y-%m-%dT00:00:00Z", "month": "%Y-%m-01T00:00:00Z"}
    if bucket == "week":
        return sa.func.strftime(formats["day"], moment, "-6 days", "weekday 1")
    return sa.func.strftime(formats[bucket], moment)


def _mariadb_bucket(bucket: str) -> sa.ColumnElement[str]:
    formats = {"hour": "%Y-%m-%dT%H:00:00Z", "month": "%Y-%m-01T00:00:00Z"}
    moment: sa.ColumnElement[Any] = _calls.created_at
    if bucket == "week":
        moment = sa.func.subdate(moment, sa.func.weekday(moment))  # from Monday on
    return sa.func.date_format(moment, sa.text(f"'{formats.get(bucket, '%Y-%m-%dT00:00:00Z')}'"))


def _shown(row: Any, query: UsageQuery) -> dict[str, Any]:
    """As JSON: whole numbers, and USD as exact text."""
    names = [*(["bucket"] if query.bucket else []), *query.group_by]
    counted = {name: None if value is None else int(value) for name, value in row.items() if name not in names}
    closed = counted["settled"] or 0
    share = (counted["estimated"] or 0) / closed if closed else 0.0
    return {
        **{str(name): row[name] for name in names},
        "cost_usd": _usd(counted["cost_nano_usd"]),
        "saved_usd": _usd(counted["saved_nano_usd"]),
        "in_doubt_usd": _usd(counted["in_doubt_nano_usd"]),
        "tokens": sum(counted[name] or 0 for name in TOKENS),
        "estimated_share": round(share, 4),
        **counted,
    }


def _usd(nano_usd: int | None) -> str:
    return f"{usd(nano_usd or 0):f}"
