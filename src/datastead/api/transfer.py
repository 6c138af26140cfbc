"""`/utils/import/{collection}` and `/utils/export/{collection}`: items from a file, and to one."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from tempfile import SpooledTemporaryFile
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from datastead.api.answers import NoContent
from datastead.api.body import invalid
from datastead.api.export import FORMS, begun
from datastead.api.multipart import is_multipart, uploads_of
from datastead.api.openapi import OBJECT, json_body
from datastead.api.request import Body, RequestContext
from datastead.context import SYSTEM, Context
from datastead.data.batches import batches_of
from datastead.data.importing import import_items
from datastead.data.items import Items
from datastead.data.query import Query
from datastead.errors import ContentTooLarge, UnsupportedMediaType
from datastead.files.files import Files, Upload

router = APIRouter(prefix="/utils", tags=["Utilities"])

IN_MEMORY = 1 << 20  # bytes; what is larger waits on the disk
_FILE = {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}
_FORM: dict[str, Any] = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FILE}}}}
_EXPORT = {"type": "object", "required": ["format"], "properties": {"format": {}, "query": OBJECT, "file": OBJECT}}


@router.post("/import/{collection}", openapi_extra=_FORM)
async def import_file(ctx: RequestContext, collection: str, request: Request) -> Response:
    """Writes the items of a CSV or JSON file: all of them, or none."""
    if not is_multipart(request):
        raise UnsupportedMediaType("The body has to be a form (`multipart/form-data`) with a file.")
    async for upload in uploads_of(request):
        with SpooledTemporaryFile(IN_MEMORY) as file:
            await _received(ctx, upload, file)
            await import_items(ctx, collection, file, upload.type or "")
        return NoContent()
    raise invalid("The form has no file.")


@router.post("/export/{collection}", openapi_extra=json_body(_EXPORT))
async def export_file(ctx: RequestContext, collection: str, body: Body) -> Response:
    """Puts the items of a query into a file, which is there with the answer; the caller is notified of it."""
    form, query = body.get("format"), _object(body, "query")
    if not isinstance(form, str) or form not in FORMS:
        raise invalid(f"`format` has to be one of {', '.join(f'`{name}`' for name in FORMS)}.")
    asked = Query.parse(query, ctx.services.settings)
    batches = batches_of(ctx, collection, replace(asked, limit=-1) if asked.limit is None else asked)
    media_type, write = FORMS[form]
    name = f"{collection} {ctx.now():%Y%m%d-%H%M%S}.{form}"
    upload = Upload(name, await begun(write(batches)), media_type, {"title": name, **_object(body, "file")})
    (key,) = await Files(ctx).upload(_one(upload))
    await _notify(ctx, collection, key)
    return NoContent()


async def _received(ctx: Context, upload: Upload, file: SpooledTemporaryFile[bytes]) -> None:
    size, most = 0, ctx.services.settings.files_max_upload_size
    async for piece in upload.pieces:
        size += len(piece)
        if most is not None and size > most:
            raise ContentTooLarge(f"The file is larger than {most} bytes (`FILES_MAX_UPLOAD_SIZE`).")
        file.write(piece)


async def _notify(ctx: Context, collection: str, key: Any) -> None:
    if ctx.actor.user is not None:
        about = {"collection": "directus_files", "item": str(key)}
        told = {"recipient": ctx.actor.user, "subject": f"Your export of {collection} is ready", **about}
        await Items(ctx.acting_as(SYSTEM), "directus_notifications").create(told)


def _object(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = body.get(name) or {}
    if not isinstance(value, dict):
        raise invalid(f"`{name}` has to be an object.")
    return value


async def _one(upload: Upload) -> AsyncGenerator[Upload, None]:
    yield upload
