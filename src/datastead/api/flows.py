"""`/flows`: flows, what triggers them over HTTP, and their runs."""

from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from datastead.api.answers import Json, NoContent, data
from datastead.api.body import invalid, is_json, parse_json, read_bytes
from datastead.api.openapi import OBJECT, ONE_OR_MANY, json_body
from datastead.api.request import Body, RequestContext, RequestQuery, context_of, json_of, parameters_of
from datastead.api.several import create_each, delete_each, update_each
from datastead.context import Context
from datastead.data.items import Items
from datastead.data.query import Query as ItemQuery
from datastead.extensions import TriggerRequest

router = APIRouter(prefix="/flows", tags=["Flows"])

COLLECTION = "directus_flows"
MAX_FORM_FIELDS = 1000
IDS_ONLY = ""
"""In place of the fields of an operation: its id, bare."""


class RunsQuery(BaseModel):
    """Which runs: of a flow, of a status (`pending`, `running`, `resolved`, `rejected`), and with their steps."""

    flow: str | None = None
    status: str | None = None
    limit: int = Field(100, ge=0, le=1000)
    offset: int = Field(0, ge=0, le=1 << 31)
    steps: bool = False


@router.get("/runs")
async def read_runs(ctx: RequestContext, which: Annotated[RunsQuery, Query()]) -> Response:
    """Runs, newest first."""
    return data(await ctx.services.flows.runs(ctx, **which.model_dump()))


@router.get("/runs/{run}")
async def read_run(ctx: RequestContext, run: str) -> Response:
    """One run, with its steps."""
    return data(await ctx.services.flows.run(ctx, run))


@router.post("/apply", openapi_extra=json_body(OBJECT))
async def apply_flow(ctx: RequestContext, body: Body, query: RequestQuery) -> Response:
    """Creates a whole flow with its operations, or replaces the one of the same id or name."""
    return data(await _read(ctx, await ctx.services.flows.apply(ctx, body), query))


@router.get("")
async def read_flows(ctx: RequestContext, query: RequestQuery) -> Response:
    """All flows. `operations` of each: their ids, or with `fields=*,operations.*` the whole."""
    items = Items(ctx, COLLECTION)
    own, nested = _split(query)
    found = await _with_operations(ctx, await items.read(own), nested)
    return data(found, await items.meta(query) if query.meta else None)


@router.get("/overview")
async def read_overview(ctx: RequestContext) -> Response:
    """Every flow, with the reason (`problem`) why one that is active does not run."""
    return data(await ctx.services.flows.overview(ctx))


@router.get("/{flow}")
async def read_flow(ctx: RequestContext, flow: str, query: RequestQuery) -> Response:
    """One flow."""
    return data(await _read(ctx, flow, query))


@router.post("", openapi_extra=json_body(ONE_OR_MANY))
async def create_flows(ctx: RequestContext, request: Request, query: RequestQuery) -> Response:
    """Creates a flow, or a list; operations follow with `POST /operations`, or come along in `operations`."""
    body = await json_of(ctx, request)
    keys = await create_each(ctx, body, ctx.services.flows.create_flow)
    found = [await _read(ctx, key, query) for key in keys]
    return data(found if isinstance(body, list) else found[0])


@router.patch("", openapi_extra=json_body(ONE_OR_MANY))
async def update_flows(ctx: RequestContext, request: Request, query: RequestQuery) -> Response:
    """Changes flows: a list with an `id` each, or `data` for those of `keys` or `query`."""
    keys = await update_each(ctx, COLLECTION, await json_of(ctx, request), ctx.services.flows.update_flow)
    return data([await _read(ctx, key, query) for key in keys])


@router.delete("", openapi_extra=json_body(ONE_OR_MANY))
async def delete_flows(ctx: RequestContext, request: Request) -> Response:
    """Deletes flows: a list of ids, or those of `keys` or `query`."""
    await delete_each(ctx, COLLECTION, await json_of(ctx, request), ctx.services.flows.delete_flow)
    return NoContent()


@router.patch("/{flow}", openapi_extra=json_body(OBJECT))
async def update_flow(ctx: RequestContext, flow: str, body: Body, query: RequestQuery) -> Response:
    """Changes a flow. Runs under way go on as they began."""
    await ctx.services.flows.update_flow(ctx, flow, body)
    return data(await _read(ctx, flow, query))


@router.delete("/{flow}")
async def delete_flow(ctx: RequestContext, flow: str) -> Response:
    """Deletes a flow with its operations; its runs stay."""
    await ctx.services.flows.delete_flow(ctx, flow)
    return NoContent()


async def _read(ctx: Context, flow: str, query: ItemQuery) -> dict[str, Any]:
    own, nested = _split(query)
    (found,) = await _with_operations(ctx, [await Items(ctx, COLLECTION).read_one(flow, own)], nested)
    return found


def _split(query: ItemQuery) -> tuple[ItemQuery, tuple[str, ...]]:
    """The query of the flows alone, and which fields of their operations it asks for; `()` = none."""
    nested = tuple(name.removeprefix("operations.") for name in query.fields if name.startswith("operations."))
    own = tuple(name for name in query.fields if name.partition(".")[0] != "operations")
    if "*.*" in own:
        nested = ("*", *nested)
    elif not nested and ("*" in own or "operations" in query.fields):
        nested = (IDS_ONLY,)
    return replace(query, fields=("id", *own) if nested and "*" not in own else own or ("id",)), nested


async def _with_operations(ctx: Context, flows: list[dict[str, Any]], fields: tuple[str, ...]) -> list[dict[str, Any]]:
    """The flows, each with its operations."""
    if not fields or not flows:
        return flows
    of_these = ItemQuery(
        fields=("id", "flow") if fields == (IDS_ONLY,) else ("id", "flow", *fields),
        filter={"flow": {"_in": [flow["id"] for flow in flows]}},
        sort=("position_y", "position_x", "id"),
        limit=-1,
    )
    found = await Items(ctx, "directus_operations").read(of_these)
    return [
        {**flow, "operations": [_shown(one, fields) for one in found if one["flow"] == flow["id"]]} for flow in flows
    ]


def _shown(operation: dict[str, Any], fields: tuple[str, ...]) -> Any:
    return operation["id"] if fields == (IDS_ONLY,) else operation


async def trigger_flow(request: Request) -> Response:
    """Starts a webhook or manual flow; answers what it returns, bare, or 204."""
    parameters = parameters_of(request.scope)
    ctx = await context_of(request.scope, parameters)
    said = await _trigger_request(ctx, request, parameters)
    answer = await ctx.services.flows.trigger(ctx, request.path_params["flow"], said)
    return NoContent() if answer is None else Json(answer)


routes = [Route("/flows/trigger/{flow}", trigger_flow, methods=["GET", "POST"])]
"""Past FastAPI: what answers webhooks is a hot path."""


async def _trigger_request(ctx: Context, request: Request, parameters: dict[str, Any]) -> TriggerRequest:
    raw = await read_bytes(request.scope, request.receive, ctx.services.settings.max_payload_size)
    return TriggerRequest(
        method=request.method,
        path=request.url.path.removeprefix("/flows"),
        query=parameters,
        headers=dict(request.headers),
        body=_body(raw, request.headers.get("content-type", "application/json")) if raw else {},
    )


def _body(raw: bytes, content_type: str) -> Any:
    """JSON, or a form as an object; other content is not looked at."""
    if is_json(content_type):
        return parse_json(raw, content_type)
    if content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
        return _form(raw)
    return {}


def _form(raw: bytes) -> dict[str, str]:
    text = raw.decode(errors="replace")
    if text.count("&") >= MAX_FORM_FIELDS:
        raise invalid(f"The body is a form of more than {MAX_FORM_FIELDS} fields.")
    return {name.replace("\0", ""): value.replace("\0", "") for name, value in parse_qsl(text, keep_blank_values=True)}
