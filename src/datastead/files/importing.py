"""Files that are fetched from elsewhere: an answer of another server as an upload, piece by piece."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from datastead.errors import InvalidPayload, ServiceUnavailable
from datastead.files.files import Upload, Uploads
from datastead.outgoing import opened
from datastead.settings import Settings

if TYPE_CHECKING:
    import aiohttp

SERVICE = "external-file"
SILENCE_S = 30.0


async def fetched(settings: Settings, url: str, fields: Mapping[str, Any]) -> Uploads:
    """The file at a URL. fields: what is said of it.

    Raises `RequestRefused` for an address that is not public, `ServiceUnavailable` where the file cannot be had,
    `InvalidPayload` for what is no URL.
    """
    async with opened(settings, "GET", url, timeout_s=settings.import_timeout, silence_s=SILENCE_S) as answer:
        response = answer.response
        if response.status != 200:
            reason = f"The URL was answered with {response.status}"
            raise ServiceUnavailable(f"{reason}.", service=SERVICE, reason=reason)
        yield Upload(_name(fields, response), answer.pieces(), response.headers.get("Content-Type"), dict(fields))


def _name(fields: Mapping[str, Any], response: "aiohttp.ClientResponse") -> str:
    """What it is called by those who want it, by the server, or by the last segment of its address."""
    given = fields.get("filename_download")
    if given is not None and not isinstance(given, str):
        raise InvalidPayload("`filename_download` has to be a text.", field="filename_download")
    disposition = response.content_disposition
    by_server = disposition.filename if disposition else None
    return given or by_server or unquote(PurePosixPath(urlsplit(str(response.url)).path).name) or "file"
