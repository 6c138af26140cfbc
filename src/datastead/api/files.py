"""`/files`: uploads, and what is said of files; `/folders`, which are items like others."""

from starlette.responses import Response
from starlette.routing import Route

from datastead.api.body import invalid, object_of
from datastead.api.items import (
    Call,
    Endpoint,
    delete_item,
    delete_items,
    read_back,
    read_item,
    read_items,
    routes_of,
    search_items,
    system_routes,
    update_item,
    update_items,
)
from datastead.api.multipart import is_multipart, uploads_of
from datastead.files.files import Files
from datastead.files.importing import fetched
from datastead.files.store import store_of

FILES, FOLDERS = "directus_files", "directus_folders"


async def create_files(call: Call) -> Response:
    """A form stores files: one, or a list where it holds several. JSON describes files without bytes."""
    files = Files(call.ctx)
    if is_multipart(call.request):
        keys = await files.upload(uploads_of(call.request))
    else:
        body = await call.body()
        if not isinstance(body, dict):
            raise invalid("The body has to be an object, or a form (`multipart/form-data`) with a file.")
        keys = [await files.describe(body)]
    if len(keys) > 1:
        return await read_back(call.items.read_many(keys, call.query))
    return await read_back(call.items.read_one(keys[0], call.query))


async def import_file(call: Call) -> Response:
    """Fetches a file from elsewhere."""
    body = object_of(await call.body())
    url, fields = body.get("url"), body.get("data") or {}
    if not isinstance(url, str) or not isinstance(fields, dict):
        raise invalid("The body has to have `url`, a text, and may have `data`, an object of the file's fields.")
    (key,) = await Files(call.ctx).upload(fetched(call.ctx.services.settings, url, fields))
    return await read_back(call.items.read_one(key, call.query))


async def update_file(call: Call) -> Response:
    """A form replaces the bytes, JSON what is said of them."""
    if not is_multipart(call.request):
        return await update_item(call)
    key = await Files(call.ctx).replace(call.key, uploads_of(call.request))
    return await read_back(call.items.read_one(key, call.query))


async def delete_files(call: Call) -> Response:
    answer = await delete_items(call)
    await store_of(call.ctx).settled()
    return answer


async def delete_file(call: Call) -> Response:
    answer = await delete_item(call)
    await store_of(call.ctx).settled()
    return answer


routes = [
    Route("/files/import", Endpoint(FILES, POST=import_file), methods=["POST"]),
    *routes_of(
        "/files",
        Endpoint(
            FILES, GET=read_items, SEARCH=search_items, POST=create_files, PATCH=update_items, DELETE=delete_files
        ),
        Endpoint(FILES, GET=read_item, PATCH=update_file, DELETE=delete_file),
    ),
    *system_routes("/folders", FOLDERS),
]
