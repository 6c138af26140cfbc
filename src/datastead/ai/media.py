"""What a file is, by its bytes; and whether that is what it says. No I/O.

A module of its own, because it knows file formats and nothing of calls.
"""

from datastead.errors import InvalidRequest, UnsupportedCapability

IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/heic", "image/heif"})
"""What at least one provider takes as an image."""

PDF = "application/pdf"
TEXTUAL = frozenset({"application/json", "application/xml", "application/yaml", "application/x-yaml"})
"""Text that is not called so."""

_SAME = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/mp3": "audio/mpeg",
    "audio/x-flac": "audio/flac",
    "audio/x-m4a": "audio/mp4",
    "audio/m4a": "audio/mp4",
    "application/x-pdf": PDF,
    "text/x-markdown": "text/markdown",
}
_HEAD = 1024
"""How many bytes at the start of a file say what it is."""


def normal(media_type: str) -> str:
    """The media type without its parameters, in the one spelling that is used here."""
    bare = media_type.partition(";")[0].strip().lower()
    return _SAME.get(bare, bare)


def is_text(media_type: str) -> bool:
    """Whether a model can be shown the file as the text that it is."""
    return media_type.startswith("text/") or media_type in TEXTUAL or media_type.endswith(("+json", "+xml"))


def sniffed(data: bytes) -> str | None:
    """What the bytes are; None where they tell nothing. `filetype` knows no text, so that has a rule of its own."""
    import filetype  # type: ignore[import-untyped]  # it has no types

    if b"%PDF-" in data[:_HEAD]:
        return PDF
    found = filetype.guess_mime(data)
    return normal(found) if found else _text_type(data)


def checked_type(data: bytes, declared: str, name: str) -> str:
    """The file's media type. declared: what the caller says, or nothing.

    Raises `InvalidRequest` where bytes are not what they say, and `UnsupportedCapability` for a type no model reads.
    """
    said, found = normal(declared), sniffed(data)
    kind = said or found
    if kind is None:
        raise InvalidRequest(f"It cannot be told what `{name}` is: say its `mediaType`.", attachment=name)
    if said and not _agree(said, found):
        raise InvalidRequest(
            f"`{name}` says that it is `{said}`, and its bytes are {f'`{found}`' if found else 'nothing known'}.",
            attachment=name, declared=said, found=found,
        )  # fmt: skip
    if not readable(kind):
        hint = " Convert it to PNG." if kind.startswith("image/") else ""
        raise UnsupportedCapability(f"No model reads `{kind}` (`{name}`).{hint}", attachment=name, media_type=kind)
    return kind


def readable(media_type: str) -> bool:
    """Whether any model reads such files."""
    if media_type.startswith("image/"):
        return media_type in IMAGES
    return media_type == PDF or media_type.startswith(("audio/", "video/")) or is_text(media_type)


def _agree(said: str, found: str | None) -> bool:
    """Images and PDFs have to be what they say. Sound and film share their containers; text is whatever reads as it."""
    exact = [kind for kind in (said, found) if kind is not None and (kind.startswith("image/") or kind == PDF)]
    if exact:
        return said == found or (is_text(said) and found == "image/svg+xml")
    if is_text(said):
        return found is not None and is_text(found)
    if said.startswith(("audio/", "video/")):
        return found is None or found.startswith(("audio/", "video/"))
    return True


def _text_type(data: bytes) -> str | None:
    text = _decoded(data)
    if text is None:
        return None
    head = text[:_HEAD].lstrip("\ufeff \t\r\n").lower()
    if head.startswith("<svg") or (head.startswith(("<?xml", "<!doctype svg", "<!--")) and "<svg" in head):
        return "image/svg+xml"
    if head.startswith(("<!doctype html", "<html")):
        return "text/html"
    return "text/xml" if head.startswith("<?xml") else "text/plain"


def _decoded(data: bytes) -> str | None:
    """The text that the bytes are in UTF-8; None where they are none."""
    if b"\x00" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
