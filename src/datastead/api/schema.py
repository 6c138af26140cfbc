"""`/schema`: the schema as a document, compared and applied."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from datastead.api.answers import POWERED_BY, NoContent, data
from datastead.api.body import read_json
from datastead.api.openapi import OBJECT, json_body
from datastead.api.request import Parameters, RequestContext
from datastead.data.snapshot import Snapshots, document_of
from datastead.errors import InvalidQuery, as_json

router = APIRouter(prefix="/schema", tags=["Schema"])


@router.get("/snapshot")
async def snapshot(ctx: RequestContext, parameters: Parameters) -> Response:
    """The collections, fields and relations that are managed; as a file with `export=json` or `export=yaml`."""
    taken, form = await Snapshots(ctx).take(), parameters.get("export")
    return _file(taken, form, ctx.services.clock()) if form else data(taken)


@router.post("/diff", openapi_extra=json_body(OBJECT))
async def diff(ctx: RequestContext, request: Request, parameters: Parameters) -> Response:
    """What has to change for the schema to be that of a snapshot; 204 where it is."""
    snapshots = Snapshots(ctx)
    found = await snapshots.diff(await _body(ctx, request), force=_is_forced(parameters))
    return NoContent() if found is None else data(found)


@router.post("/apply", openapi_extra=json_body(OBJECT))
async def apply(ctx: RequestContext, request: Request, parameters: Parameters) -> Response:
    """Carries out a diff: all of it, or nothing."""
    snapshots = Snapshots(ctx)
    await snapshots.apply(await _body(ctx, request), force=_is_forced(parameters))
    return NoContent()


def _file(taken: dict[str, Any], form: Any, now: datetime) -> Response:
    """The bare document, to be kept."""
    if form not in ("json", "yaml"):
        reason = f"`export` is {as_json(form)[:100]}: a schema is written as `json` or `yaml`"
        raise InvalidQuery(f"{reason}.", reason=reason)
    media_type = "application/json" if form == "json" else "text/yaml"
    answer = Response(document_of(taken, is_json=form == "json"), media_type=f"{media_type}; charset=utf-8")
    answer.headers["content-disposition"] = f'attachment; filename="snapshot {now:%Y%m%d-%H%M%S}.{form}"'
    answer.raw_headers.append(POWERED_BY)
    return answer


async def _body(ctx: RequestContext, request: Request) -> Any:
    body = await read_json(request, max_size=ctx.services.settings.max_payload_size)
    return body["data"] if isinstance(body, dict) and set(body) == {"data"} else body


def _is_forced(parameters: dict[str, Any]) -> bool:
    return "force" in parameters and parameters["force"] not in {"false", "0"}
