"""What cameras and photographers have written into an image: EXIF as metadata, IPTC as its title and the like.

Read from the first bytes of JPEG and TIFF. No pixel is decoded, and only what the settings allow is kept: a photo may
say where it was taken.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from datastead.files.images import PLUGINS, open_plugin

KINDS = ("image/jpeg", "image/tiff")
LONGEST = 1000  # characters of a text, numbers of a list
HEADLINE, CAPTION, KEYWORD = (2, 105), (2, 120), (2, 25)


@dataclass(frozen=True, slots=True)
class Notes:
    """metadata: by group (`ifd0`, `exif`, `gps`) and name. fields: of the file, where nobody says otherwise."""

    metadata: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)


def notes_of(header: bytes, kind: str, allowed: Sequence[str]) -> Notes:
    """allowed: such as `ifd0.Model`, or `*` for all. Of a broken image nothing is known."""
    if kind not in KINDS or kind not in PLUGINS:
        return Notes()
    try:
        with open_plugin(header, kind) as image:
            return Notes(_metadata(image, allowed), _fields(image))
    except Exception:  # noqa: BLE001  whatever a broken file makes of a decoder, it is a file without notes
        return Notes()


def _metadata(image: Any, allowed: Sequence[str]) -> dict[str, dict[str, Any]]:
    from PIL import ExifTags

    exif = image.getexif()
    groups = {
        "ifd0": (exif, ExifTags.TAGS),
        "exif": (exif.get_ifd(ExifTags.IFD.Exif), ExifTags.TAGS),
        "gps": (exif.get_ifd(ExifTags.IFD.GPSInfo), ExifTags.GPSTAGS),
    }
    found: dict[str, dict[str, Any]] = {}
    for group, (values, names) in groups.items():
        for tag, value in values.items():
            name, plain = names.get(tag), _plain(value)
            if name and plain is not None and ("*" in allowed or f"{group}.{name}" in allowed):
                found.setdefault(group, {})[name] = plain
    return found


def _plain(value: Any) -> Any:
    """A value that JSON has a word for; None for what is no text, number, or list of numbers."""
    if isinstance(value, str):
        return value.replace("\0", "").strip()[:LONGEST] or None
    if isinstance(value, tuple):
        parts = [_plain(part) for part in value[:LONGEST]]
        return None if None in parts else parts
    if isinstance(value, bool | bytes):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    if not math.isfinite(number):
        return None
    return int(number) if isinstance(value, int) and abs(value) < 1 << 53 else number


def _fields(image: Any) -> dict[str, Any]:
    """Source: IPTC-IIM 4.2."""
    from PIL import IptcImagePlugin

    records = IptcImagePlugin.getiptcinfo(image) or {}
    found = {
        "title": _text(records.get(HEADLINE))[:255],
        "description": _text(records.get(CAPTION)),
        "tags": [_text(word) for word in _list(records.get(KEYWORD)) if _text(word)],
    }
    return {name: value for name, value in found.items() if value}


def _list(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _text(value: Any) -> str:
    first = value[0] if isinstance(value, list) and value else value
    return first.decode(errors="replace").replace("\0", "").strip()[:LONGEST] if isinstance(first, bytes) else ""
