"""How large an image is, from its first bytes: no pixel is decoded."""

import importlib
import io
import re
from typing import Any, NamedTuple

HEADER = 1024 * 1024  # bytes: what is kept of an image while it comes; a camera's notes and preview may come first
MAX_SIDE = 1 << 31

_ISPE = re.compile(rb"ispe\0\0\0\0(.{4})(.{4})", re.DOTALL)
PLUGINS = {
    "image/png": ("PngImagePlugin", "PngImageFile"),
    "image/jpeg": ("JpegImagePlugin", "JpegImageFile"),
    "image/gif": ("GifImagePlugin", "GifImageFile"),
    "image/bmp": ("BmpImagePlugin", "BmpImageFile"),
    "image/tiff": ("TiffImagePlugin", "TiffImageFile"),
    "image/x-icon": ("IcoImagePlugin", "IcoImageFile"),
}
"""Pillow's readers, asked one by one: `Image.open` would try them all, and refuse sizes that nobody decodes here."""

_ORIENTATION = 0x0112
_TURNED = 5  # from this orientation on, width and height change places


class Size(NamedTuple):
    """In pixels, as it is shown."""

    width: int
    height: int


def size_of(header: bytes, kind: str) -> Size | None:
    """The size; None for what is no image, is broken, or does not say."""
    if kind == "image/webp":
        found = _webp(header)
    elif kind in {"image/avif", "image/heic", "image/heif"}:
        found = _isobmff(header)
    elif kind in PLUGINS:
        found = _by_pillow(header, kind)
    else:
        found = None
    return found if found and min(found) > 0 and max(found) < MAX_SIDE else None


def open_plugin(header: bytes, kind: str) -> Any:
    """The image by its type's own reader, as far as its first bytes tell."""
    module, reader = PLUGINS[kind]
    return getattr(importlib.import_module(f"PIL.{module}"), reader)(io.BytesIO(header))


def _by_pillow(header: bytes, kind: str) -> Size | None:
    try:
        with open_plugin(header, kind) as image:
            turned = kind == "image/jpeg" and image.getexif().get(_ORIENTATION, 1) >= _TURNED
            width, height = image.size
    except Exception:  # noqa: BLE001  whatever a broken file makes of a decoder, it is a file without a size
        return None
    return Size(height, width) if turned else Size(width, height)


def _webp(header: bytes) -> Size | None:
    """Source: developers.google.com/speed/webp/docs/riff_container, 2026-11."""
    chunk, body = header[12:16], header[20:]
    if len(body) < 10:
        return None
    if chunk == b"VP8X":
        return Size(_little(body[4:7]) + 1, _little(body[7:10]) + 1)
    if chunk == b"VP8L":
        bits = _little(body[1:5])
        return Size((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if chunk == b"VP8 ":
        return Size(_little(body[6:8]) & 0x3FFF, _little(body[8:10]) & 0x3FFF)
    return None


def _isobmff(header: bytes) -> Size | None:
    """The largest of the sizes that it names: others are of previews and tiles."""
    sizes = [Size(int.from_bytes(width), int.from_bytes(height)) for width, height in _ISPE.findall(header)]
    return max(sizes, key=lambda size: size.width * size.height, default=None)


def _little(raw: bytes) -> int:
    return int.from_bytes(raw, "little")
