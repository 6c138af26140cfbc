"""What a file is: its media type, by its first bytes; a text's encoding; a name that is safe to show and to store."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

PREFIX = 8192  # bytes: what is looked at
OCTETS = "application/octet-stream"
LONGEST_NAME = 255

_BOM = b"\xef\xbb\xbf"
_HTML = {
    b"html", b"head", b"body", b"script", b"iframe", b"title", b"style", b"table", b"a", b"div", b"p", b"br", b"h1",
    b"img", b"b",
}  # fmt: skip
"""With what a text begins that browsers take for HTML. Source: mimesniff.spec.whatwg.org, 2026-11."""

_ELEMENT = re.compile(rb"<([A-Za-z][\w:-]*)[\s>/]")
_DOCTYPE = re.compile(rb"<!doctype\s+([\w:-]+)", re.IGNORECASE)
_CONTAINERS = {"application/zip", "application/x-ole-storage", "application/gzip", "application/xml"}
_TEXTS = {
    "css": "text/css", "csv": "text/csv", "tsv": "text/tab-separated-values", "md": "text/markdown",
    "markdown": "text/markdown", "ics": "text/calendar", "vtt": "text/vtt", "vcf": "text/vcard",
    "json": "application/json", "geojson": "application/geo+json", "jsonl": "application/x-ndjson",
    "ndjson": "application/x-ndjson", "js": "text/javascript", "mjs": "text/javascript", "xml": "application/xml",
    "yaml": "application/yaml", "yml": "application/yaml", "toml": "application/toml", "sql": "application/sql",
    "rtf": "application/rtf",
}  # fmt: skip
_TEXT_LIKE = re.compile(
    r"text/[\w.+-]+|application/(?:[\w.+-]*\+)?(?:json|xml|yaml|toml|sql|javascript|x-ndjson|rtf|x-sh)"
)
_TYPE = re.compile(r"[a-z0-9][\w.+-]*/[a-z0-9][\w.+-]*", re.ASCII)
_CHARSET = re.compile(r"[A-Za-z0-9._-]{1,40}")
_EXTENSION = re.compile(r"\.([A-Za-z0-9]{1,16})$")
_EXTENSIONS = {"image/jpeg": "jpg", "image/svg+xml": "svg", "text/plain": "txt", "text/html": "html"}


def type_of(prefix: bytes, name: str, declared: str | None) -> str:
    """The media type. What the bytes say goes before the name, and before what the sender says."""
    import filetype  # type: ignore[import-untyped]  # it has none

    said = (declared or "").partition(";")[0].strip().lower()
    said = said if _TYPE.fullmatch(said) else OCTETS
    found = filetype.guess_mime(prefix)
    if found in _CONTAINERS and said.startswith("application/"):
        return found if said == OCTETS else said  # a zip that is said to be an .epub is one as far as bytes can tell
    if found is not None:
        return str(found)
    if is_text(prefix):
        return _text_type(prefix, name, said)
    return said if said.startswith("application/") and not _TEXT_LIKE.fullmatch(said) else OCTETS


def is_type(value: object) -> bool:
    """Whether it is a media type, without parameters: what a header may say."""
    return isinstance(value, str) and _TYPE.fullmatch(value) is not None


def is_charset(value: object) -> bool:
    """Whether it is a name of an encoding: what a header may say."""
    return isinstance(value, str) and _CHARSET.fullmatch(value) is not None


def is_text(prefix: bytes) -> bool:
    """Whether it is UTF-8, as far as it goes: the last character may be cut."""
    try:
        prefix.decode()
    except UnicodeDecodeError as error:
        if error.start < len(prefix) - 3 or error.reason != "unexpected end of data":
            return False
    return not any(sign < 32 and sign not in b"\t\n\r\f\x1b" for sign in set(prefix))


def is_allowed(kind: str, allowed: Sequence[str]) -> bool:
    """Whether a list such as `image/*, application/pdf` has the type."""
    return any(entry in {"*/*", "*", kind, f"{kind.partition('/')[0]}/*"} for entry in allowed)


def is_active(kind: str) -> bool:
    """Whether a browser would run what is in it."""
    return kind in {"image/svg+xml", "text/html", "application/xhtml+xml"} or kind.endswith(("/xml", "+xml"))


def safe_name(name: str) -> str:
    """A file name as people see it: one path segment, without control characters, of a bounded length."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    shown = "".join(sign for sign in last if unicodedata.category(sign) not in {"Cc", "Cf", "Cs", "Zl", "Zp"}).strip()
    if not shown.strip("."):
        return "file"
    extension = PurePosixPath(shown).suffix[:20]
    return shown if len(shown) <= LONGEST_NAME else shown[: LONGEST_NAME - len(extension)] + extension


def title_of(name: str) -> str:
    """`red_bread-01.png` as `Red Bread 01`."""
    words = re.sub(r"[\s_-]+", " ", PurePosixPath(name).stem).split()
    return " ".join(word[:1].upper() + word[1:] for word in words)


def extension_of(name: str, kind: str) -> str:
    """With the dot, for the name in the storage; empty where there is none."""
    found = _EXTENSION.search(name)
    if found:
        return f".{found[1].lower()}"
    import filetype

    guessed = _EXTENSIONS.get(kind) or next((known.extension for known in filetype.types if known.mime == kind), "")
    return f".{guessed}" if guessed else ""


def _text_type(prefix: bytes, name: str, said: str) -> str:
    root = _root(prefix.removeprefix(_BOM))
    if root in {b"svg", b"svg:svg"}:
        return "image/svg+xml"
    if root in _HTML:
        return "text/html"
    if said != "text/plain" and _TEXT_LIKE.fullmatch(said):
        return said
    by_name = _TEXTS.get(PurePosixPath(name).suffix.lower().lstrip("."))
    return by_name or ("application/xml" if prefix.removeprefix(_BOM).startswith(b"<?xml ") else "text/plain")


def _root(text: bytes) -> bytes:
    """The first element's name, or the document type's, in lower case; empty for what has none."""
    while True:
        text = text.lstrip()
        doctype = _DOCTYPE.match(text)
        if doctype:
            return doctype[1].lower()
        ending = next((end for begin, end in ((b"<!--", b"-->"), (b"<?", b"?>")) if text.startswith(begin)), None)
        if ending is None:
            found = _ELEMENT.match(text)
            return found[1].lower() if found else b""
        text = text.partition(ending)[2]
