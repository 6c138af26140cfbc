"""`/files/tus`: files in several requests, by the tus protocol 1.0, which clients know for every language.

Source: tus.io/protocols/resumable-upload, 2026-11. What Directus adds: `id`, `title`, `folder`, `storage` and the like
in `Upload-Metadata`, and the header `Directus-File-Id` in answers.
"""

import base64
import binascii
from collections.abc import AsyncIterator
from email.utils import format_datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from datastead.api.answers import POWERED_BY, error_answer
from datastead.api.body import invalid
from datastead.api.errors import route_not_found
from datastead.api.multipart import field_value
from datastead.api.request import context_of, parameters_of, services_of
from datastead.errors import DatasteadError, UnsupportedMediaType, UploadVersionUnsupported
from datastead.files.checksums import ALGORITHMS, Checksum
from datastead.files.parts import Progress
from datastead.files.resumable import ResumableUploads, largest

VERSION = "1.0.0"
EXTENSIONS = "checksum,creation,creation-with-upload,expiration,termination"
OCTETS = "application/offset+octet-stream"
LONGEST_NUMBER = 30  # digits
LONGEST_METADATA = 65_536  # bytes
SENT = ("Tus-Resumable", "Upload-Checksum", "Upload-Length", "Upload-Offset", "Upload-Metadata")
ANSWERED = (
    "Location", "Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Checksum-Algorithm", "Tus-Max-Size",
    "Upload-Length", "Upload-Offset", "Upload-Metadata", "Upload-Expires", "Directus-File-Id",
)  # fmt: skip
"""Headers, for pages of other origins."""

Headers = dict[str, str]


async def uploads(request: Request) -> Response:
    """POST begins an upload, OPTIONS says what is understood."""
    return await _answered(request, {"POST": _begin, "OPTIONS": _describe})


async def upload(request: Request) -> Response:
    """HEAD says how far an upload is, PATCH goes on, DELETE gives it up."""
    return await _answered(request, {"HEAD": _progress, "PATCH": _append, "DELETE": _end, "OPTIONS": _describe})


routes = [
    Route("/files/tus", uploads, methods=["GET", "POST", "OPTIONS", "PATCH", "DELETE"]),
    Route("/files/tus/{upload}", upload, methods=["GET", "POST", "PATCH", "DELETE", "OPTIONS"]),
]


async def _answered(request: Request, methods: dict[str, Any]) -> Response:
    method = "HEAD" if "datastead.head" in request.scope else request.method
    answer = methods.get(method)
    found: Response
    if answer is None or not services_of(request.scope).settings.tus_enabled:
        return error_answer(route_not_found(request.url.path))
    if method != "OPTIONS" and request.headers.get("tus-resumable") != VERSION:
        found = error_answer(UploadVersionUnsupported())
        found.raw_headers.append((b"tus-version", VERSION.encode()))
    else:
        try:
            found = await answer(request)
        except DatasteadError as error:
            found = error_answer(error)
    found.raw_headers.append((b"tus-resumable", VERSION.encode()))
    return found


async def _describe(request: Request) -> Response:
    limit = {"Tus-Max-Size": str(largest(services_of(request.scope).settings))}
    known = {"Tus-Version": VERSION, "Tus-Extension": EXTENSIONS, "Tus-Checksum-Algorithm": ",".join(ALGORITHMS)}
    return _empty(204, {**known, **limit})


async def _begin(request: Request) -> Response:
    resumable = await _of(request)
    if "upload-defer-length" in request.headers:
        raise invalid("The header `Upload-Length` has to say how many bytes will come: it cannot be said later.")
    checksum = _checksum(request)
    progress = await resumable.begin(_number(request, "Upload-Length"), _metadata(request))
    if request.headers.get("content-type") == OCTETS:
        progress = await resumable.append(progress.id, 0, _pieces(request), checksum)
    base = (services_of(request.scope).settings.public_url or "").rstrip("/")
    return _empty(201, {"Location": f"{base}/files/tus/{progress.id}", **_state(progress)})


async def _progress(request: Request) -> Response:
    progress = await (await _of(request)).progress(request.path_params["upload"])
    return _empty(200, {"Cache-Control": "no-store", "Upload-Length": str(progress.size), **_state(progress)})


async def _append(request: Request) -> Response:
    if request.headers.get("content-type") != OCTETS:
        raise UnsupportedMediaType(f"The body has to be `{OCTETS}`.")
    resumable = await _of(request)
    offset = _number(request, "Upload-Offset")
    upload, checksum = request.path_params["upload"], _checksum(request)
    return _empty(204, _state(await resumable.append(upload, offset, _pieces(request), checksum)))


async def _end(request: Request) -> Response:
    await (await _of(request)).end(request.path_params["upload"])
    return _empty(204, {})


async def _of(request: Request) -> ResumableUploads:
    return ResumableUploads(await context_of(request.scope, parameters_of(request.scope)))


def _state(progress: Progress) -> Headers:
    found = {"Upload-Offset": str(progress.received), "Directus-File-Id": progress.file}
    if not progress.is_finished:
        found["Upload-Expires"] = format_datetime(progress.expires_at, usegmt=True)
    return found


def _number(request: Request, name: str) -> int:
    given = request.headers.get(name, "")
    if not (given.isascii() and given.isdigit() and len(given) <= LONGEST_NUMBER):
        raise invalid(f"The header `{name}` has to be a number of bytes.")
    return int(given)


def _checksum(request: Request) -> Checksum | None:
    """An algorithm, and what the body amounts to in base 64."""
    given = request.headers.get("upload-checksum")
    if given is None:
        return None
    algorithm, _, value = given.strip().partition(" ")
    try:
        return Checksum(algorithm, base64.b64decode(value, validate=True))
    except binascii.Error:
        raise invalid("The header `Upload-Checksum` has to be an algorithm and a value in base 64.") from None


def _metadata(request: Request) -> dict[str, Any]:
    """Names, and values in base 64, by commas."""
    given = request.headers.get("upload-metadata", "")
    if len(given) > LONGEST_METADATA:
        raise invalid(f"The header `Upload-Metadata` is longer than {LONGEST_METADATA} bytes.")
    pairs = [entry.strip().partition(" ") for entry in given.split(",") if entry.strip()]
    return {name: _decoded(name, value.strip()) for name, _, value in pairs}


def _decoded(name: str, value: str) -> Any:
    try:
        text = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        text = "\0"
    if "\0" in text:
        raise invalid(f"`{name[:100]}` in the header `Upload-Metadata` has to be text in base 64.")
    return field_value(name, text)


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """The body. When the client leaves, it ends there: what has come is what it goes on from."""
    has_more = True
    while has_more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            return
        if message.get("body"):
            yield message["body"]
        has_more = message.get("more_body", False)


def _empty(status: int, headers: Headers) -> Response:
    answer = Response(status_code=status)
    length = [] if status == 204 else [(b"content-length", b"0")]
    answer.raw_headers = [
        *((name.lower().encode(), value.encode()) for name, value in headers.items()),
        *length,
        POWERED_BY,
    ]
    return answer
