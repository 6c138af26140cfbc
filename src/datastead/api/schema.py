"""`/schema`: the schema as a document, compared and applied."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from datastead.api.answers import NoContent, data
from datastead.api.body import read_json
from datastead.api.openapi import OBJECT, json_body
from datastead.api.request import Parameters, RequestContext
from datastead.data.snapshot import Snapshots

router = APIRouter(prefix="/schema", tags=["Schema"])


@router.get("/snapshot")
async def snapshot(ctx: RequestContext) -> Response:
    """The collections, fields and relations that are managed."""
    return data(await Snapshots(ctx).take())


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


async def _body(ctx: RequestContext, request: Request) -> Any:
    body = await read_json(request, max_size=ctx.services.settings.max_payload_size)
    return body["data"] if isinstance(body, dict) and set(body) == {"data"} else body


def _is_forced(parameters: dict[str, Any]) -> bool:
    return "force" in parameters and parameters["force"] not in {"false", "0"}
