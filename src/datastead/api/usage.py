"""`/ai/usage` and `/ai/calls`: the ledger over HTTP. Administrators see all of it, others their own calls."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from datastead.ai import records
from datastead.ai.terms import number_of, whole
from datastead.ai.usage import UsageQuery, as_csv, parse_groups, parse_moment, usage
from datastead.api.answers import POWERED_BY, data
from datastead.api.openapi import body_of
from datastead.api.request import Body, Parameters, RequestContext
from datastead.context import Context
from datastead.errors import InvalidPayload, InvalidQuery

router = APIRouter(prefix="/ai", tags=["AI"])

LARGEST_PAGE = 1000
DEFAULT_PAGE = 100
_USAGE = ("groupBy", "bucket", "since", "until", "format")
_LIST = ("since", "until", "limit", "offset", "meta")


@router.get("/usage")
async def read_usage(ctx: RequestContext, parameters: Parameters) -> Response:
    """Calls, tokens and cost: `groupBy=model,user`, `bucket=day`, `since=30d`, `until=`, `format=csv`, any filter."""
    given = _texts(parameters, (*_USAGE, *records.FILTERS))
    form = given.get("format", "json")
    if form not in {"json", "csv"}:
        raise InvalidQuery(f"`format` is `{form[:40]}`: use `json` or `csv`.", field="format")
    now = ctx.now()
    query = UsageQuery(
        group_by=parse_groups(given.get("groupBy")),
        bucket=given.get("bucket"),
        since=parse_moment(given.get("since"), now, "since"),
        until=parse_moment(given.get("until"), now, "until"),
        filters=_filters(given),
    )
    rows = await usage(ctx, query)
    return _csv(as_csv(rows)) if form == "csv" else data(rows)


@router.get("/calls")
async def read_calls(ctx: RequestContext, parameters: Parameters) -> Response:
    """Calls, newest first: `state=in_doubt`, `model=`, `user=`, `run=` …, `since=`, `until=`, `limit=`, `offset=`."""
    given = _texts(parameters, (*_LIST, *records.FILTERS))
    now = ctx.now()
    found, count = await records.list_calls(
        ctx,
        _filters(given),
        since=parse_moment(given.get("since"), now, "since"),
        until=parse_moment(given.get("until"), now, "until"),
        limit=_number(given, "limit", DEFAULT_PAGE, LARGEST_PAGE),
        offset=_number(given, "offset", 0, 1 << 31),
    )
    return data(found, {"filter_count": count} if "meta" in given else None)


@router.get("/calls/{call}")
async def read_call(ctx: RequestContext, call: str) -> Response:
    """One call, with its usage as the provider reported it; and prompt and answer, where they are kept."""
    return data(await records.read_call(ctx, call))


@router.post("/calls/{call}/resolve", openapi_extra=body_of(paid={"type": "boolean"}, cost_usd={}))
async def resolve_call(ctx: RequestContext, call: str, body: Body) -> Response:
    """Says what a call in doubt was: `{"paid": false}`, `{"paid": true}` (at its bound), `{"cost_usd": "0.0123"}`."""
    await resolve(ctx, call, body)
    return data(await records.read_call(ctx, call))


async def resolve(ctx: Context, call: str, given: Mapping[str, Any]) -> None:
    """Resolves a call as a body says. Raises `InvalidPayload`."""
    unknown = sorted(given.keys() - {"paid", "cost_usd"})
    paid, cost = given.get("paid"), given.get("cost_usd")
    if unknown or not (isinstance(paid, bool) or (paid is None and cost is not None)) or (paid is False and cost):
        raise InvalidPayload(
            'Say what the call was: `{"paid": true}`, `{"paid": false}`, or `{"cost_usd": "0.0123"}`.',
            field=unknown[0][:40] if unknown else "paid",
        )
    nano_usd = None if cost is None or paid is False else whole("usd", number_of("cost_usd", cost), cost)
    await records.resolve_call(ctx, call, records.Resolution("not_paid" if paid is False else "paid", nano_usd))


def _filters(given: Mapping[str, str]) -> dict[str, str | None]:
    return {name: given.get(name) for name in records.FILTERS}


def _texts(parameters: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, str]:
    """The query's parameters, each known and given once. Raises `InvalidQuery`."""
    for name, value in parameters.items():
        if name not in known:
            names = ", ".join(f"`{each}`" for each in known)
            raise InvalidQuery(f"There is no parameter `{name[:40]}`: use {names}.", field=name[:40])
        if not isinstance(value, str):
            raise InvalidQuery(f"`{name}` has to be one text: separate several values by commas.", field=name)
    return {name: value for name, value in parameters.items() if value}


def _number(given: Mapping[str, str], name: str, default: int, largest: int) -> int:
    text = given.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and int(text) <= largest):
        raise InvalidQuery(f"`{name}` is `{text[:40]}`: use a number from 0 to {largest}.", field=name)
    return int(text)


def _csv(text: str) -> Response:
    answer = Response(text, media_type="text/csv; charset=utf-8")
    answer.raw_headers += [POWERED_BY, (b"content-disposition", b'attachment; filename="usage.csv"')]
    return answer
