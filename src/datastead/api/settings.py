"""`/settings`: the project's settings, of which there is one row."""

from fastapi import APIRouter
from starlette.responses import Response

from datastead.api.answers import data
from datastead.api.openapi import OBJECT, json_body
from datastead.api.request import Body, RequestContext, RequestQuery
from datastead.data.project import ProjectSettings

router = APIRouter(prefix="/settings", tags=["Settings"])


@router.get("")
async def read_settings(ctx: RequestContext, query: RequestQuery) -> Response:
    """The settings; keys, and the values of headers, are shown as `**********`."""
    return data(await ProjectSettings(ctx).read(query))


@router.patch("", openapi_extra=json_body(OBJECT))
async def update_settings(ctx: RequestContext, body: Body, query: RequestQuery) -> Response:
    """Changes settings. Providers that they configure can be called at once."""
    settings = ProjectSettings(ctx)
    await settings.write(body)
    if ctx.services.configuration is not None:
        await ctx.services.configuration.refresh()
    return data(await settings.read(query))
