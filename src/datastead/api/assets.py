"""`/assets/{id}` and `/assets/{id}/{any file name}`: the bytes of files, for pages, browsers and programs.

Nothing stands between the route and the storage, and never more than a piece of the file is in memory.
"""

from collections.abc import AsyncIterator
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from datastead.api.answers import POWERED_BY, error_answer
from datastead.api.body import keys_of, read_object
from datastead.api.request import context_of, parameters_of
from datastead.context import Context
from datastead.errors import DatasteadError, RangeNotSatisfiable
from datastead.files import archive, assets
from datastead.files.assets import Part
from datastead.files.files import Files, StoredFile
from datastead.files.recipes import SOURCES, Recipe, is_asked, recipe_of
from datastead.files.shown import named, rules_of, shown
from datastead.files.types import is_active

Headers = list[tuple[bytes, bytes]]

SANDBOX = b"sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""For what a browser would run: it may draw itself, and nothing else."""


async def asset(request: Request) -> Response:
    """GET and HEAD."""
    try:
        return await _answer(request)
    except DatasteadError as error:
        return _refusal(error)


async def archive_of_files(request: Request) -> Response:
    """POST `{ids}`: several files as one ZIP."""
    try:
        ctx = await context_of(request.scope, parameters_of(request.scope))
        body = await read_object(request, max_size=ctx.services.settings.max_payload_size)
        return _archive("files", archive.zipped(ctx, await archive.of_files(ctx, keys_of(body.get("ids"), "ids"))))
    except DatasteadError as error:
        return _refusal(error)


async def archive_of_folder(request: Request) -> Response:
    """GET and POST: a folder, with those below, as a ZIP."""
    try:
        ctx = await context_of(request.scope, parameters_of(request.scope))
        name, files = await archive.of_folder(ctx, request.path_params["folder"])
        return _archive(name, archive.zipped(ctx, files))
    except DatasteadError as error:
        return _refusal(error)


routes = [
    Route("/assets/files", archive_of_files, methods=["POST"]),
    Route("/assets/folder/{folder}", archive_of_folder, methods=["GET", "POST"]),
    *(Route(path, asset, methods=["GET"]) for path in ("/assets/{key}", "/assets/{key}/{name:path}")),
]


async def _answer(request: Request) -> Response:
    parameters = parameters_of(request.scope)
    ctx = await context_of(request.scope, parameters)
    files = Files(ctx)
    file, given = await files.open(request.path_params["key"]), request.headers
    recipe = await _recipe(ctx, file, parameters, given.get("accept", ""))
    file = file if recipe is None else named(file, recipe)
    headers = _validators(ctx, file, by_accept=recipe is not None and recipe.by_accept)
    if assets.is_unchanged(file, given.get("if-none-match"), given.get("if-modified-since")):
        return _with_headers(Response(status_code=304), headers)
    file = file if recipe is None else await shown(ctx, file, recipe)
    asked = given.get("range") if assets.is_same(file, given.get("if-range")) else None
    part = assets.part_of(file, asked)
    name = request.path_params.get("name", "").rpartition("/")[2] or file.name
    headers += _description(file, part, name, is_download="download" in parameters)
    status = 200 if part is None else 206
    if "datastead.head" in request.scope:
        await files.check(file)
        return _with_headers(Response(status_code=status), headers)
    whole = part or Part(0, file.size)
    first, rest = await _begun(files.read(file, whole.start, whole.size))
    if len(first) == whole.size:
        return _with_headers(Response(first, status), headers)
    return _with_headers(StreamingResponse(_chained(first, rest), status), headers)


async def _recipe(ctx: Context, file: StoredFile, parameters: dict[str, Any], accept: str) -> Recipe | None:
    """What is asked of an image. Other files are shown as they are, whatever is asked."""
    if file.type not in SOURCES or not is_asked(parameters):
        return None
    return recipe_of(parameters, await rules_of(ctx), file.type, file.focus, accept)


def _validators(ctx: Context, file: StoredFile, *, by_accept: bool) -> Headers:
    whose = b"private" if ctx.actor.user is not None else b"public"
    return [
        (b"etag", f'"{file.version}"'.encode()),
        (b"last-modified", format_datetime(file.modified, usegmt=True).encode()),
        (b"cache-control", b"%s, max-age=%d" % (whose, ctx.services.settings.assets_cache_ttl)),
        (b"vary", b"Authorization, Accept" if by_accept else b"Authorization"),
        POWERED_BY,
    ]


def _description(file: StoredFile, part: Part | None, name: str, *, is_download: bool) -> Headers:
    """name: under which it is saved."""
    kind = f"{file.type}; charset={file.charset}" if file.charset else file.type
    found: Headers = [
        (b"content-type", kind.encode("ascii", "replace")),
        (b"content-length", str(file.size if part is None else part.size).encode()),
        (b"content-disposition", _disposition(name, is_download=is_download)),
        (b"accept-ranges", b"bytes"),
        (b"x-content-type-options", b"nosniff"),
        (b"content-security-policy", SANDBOX if is_active(file.type) else b"default-src 'none'"),
    ]
    if part is not None:
        found.append((b"content-range", f"bytes {part.start}-{part.start + part.size - 1}/{file.size}".encode()))
    return found


def _disposition(name: str, *, is_download: bool) -> bytes:
    """Source: RFC 6266. The plain form for all, the encoded one for those who understand it."""
    kind = "attachment" if is_download else "inline"
    plain = "".join(sign if " " <= sign < "\x7f" and sign not in '"\\%' else "_" for sign in name)
    encoded = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'{kind}; filename="{plain}"{encoded}'.encode()


def _archive(name: str, pieces: AsyncIterator[bytes]) -> Response:
    headers = [
        (b"content-type", b"application/zip"),
        (b"content-disposition", _disposition(f"{name}.zip", is_download=True)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        POWERED_BY,
    ]
    return _with_headers(StreamingResponse(pieces), headers)


def _refusal(error: DatasteadError) -> Response:
    answer = error_answer(error)
    if isinstance(error, RangeNotSatisfiable):
        answer.raw_headers.append((b"content-range", f"bytes */{error.details['size']}".encode()))
    return answer


def _with_headers(response: Response, headers: Headers) -> Response:
    response.raw_headers = headers
    return response


async def _begun(pieces: AsyncIterator[bytes]) -> tuple[bytes, AsyncIterator[bytes]]:
    """The first piece, so that what is not there is noticed before the answer begins."""
    first: Any = await anext(pieces, b"")
    return first, pieces


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece
