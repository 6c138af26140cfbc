"""What a file is, by its bytes: the type, and the size of an image, from its beginning alone."""

import io
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from datastead.files.images import size_of
from datastead.files.types import extension_of, is_text, safe_name, title_of, type_of

from .conftest import File, FileServer, image

PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj"
ZIP = b"PK\x03\x04\x14\0\0\0\0\0" + b"\0" * 40


@pytest.mark.parametrize(
    ("content", "name", "declared", "kind"),
    [
        (image("PNG"), "x.txt", "text/plain", "image/png"), (image("JPEG"), "x", None, "image/jpeg"),
        (image("GIF"), "x", "image/png", "image/gif"), (image("WEBP"), "x", None, "image/webp"), (PDF, "x", None, "application/pdf"),
        (b"<svg xmlns='x'/>", "x.svg", "image/svg+xml", "image/svg+xml"), (b"\xef\xbb\xbf <?xml version='1.0'?>\n<!-- a --><svg>", "x", None, "image/svg+xml"),
        (b"<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN'><svg>", "x.png", "image/png", "image/svg+xml"),
        (b"<!doctype html><p>", "x.txt", "text/plain", "text/html"), (b" \n<SCRIPT>alert(1)</SCRIPT>", "x.json", "application/json", "text/html"),
        (b"<!-- c --><html>", "x.png", "image/png", "text/html"), (b"<note/>", "x.xml", None, "application/xml"),
        (b"<?xml version='1.0'?><note/>", "x", None, "application/xml"), (b"a,b\n1,2", "x.csv", None, "text/csv"),
        (b"{}", "x.json", None, "application/json"), (b"# T", "x.md", "text/markdown", "text/markdown"),
        ("grün".encode(), "x", None, "text/plain"), ("grün".encode()[:3], "x", None, "text/plain"), (b"gr\xfcn", "x.txt", "text/plain", "application/octet-stream"),
        (b"", "x", None, "text/plain"), (b"\0\1\2\3", "x.bin", "application/x-thing", "application/x-thing"),
        (b"\0\1\2\3", "x.png", "image/png", "application/octet-stream"), (b"\0\1\2\3", "x", "text/html", "application/octet-stream"),
        (ZIP, "x.epub", "application/epub+zip", "application/epub+zip"), (ZIP, "x.zip", "application/octet-stream", "application/zip"),
        (ZIP, "x.zip", "text/html", "application/zip"), (b"plain", "x", "no type\r\nX: 1", "text/plain"),
    ],
)  # fmt: skip
def test_the_bytes_say_what_a_file_is(content: bytes, name: str, declared: str | None, kind: str) -> None:
    assert type_of(content, name, declared) == kind


@given(st.binary(max_size=200), st.text(max_size=30), st.none() | st.text(max_size=30))
def test_any_bytes_and_any_name_have_a_type_a_title_and_a_safe_name(
    content: bytes, name: str, declared: str | None
) -> None:
    kind = type_of(content, name, declared)
    assert kind.isascii()
    assert kind.count("/") == 1
    safe = safe_name(name)
    assert 0 < len(safe) <= 255
    assert not set(safe) & {"/", "\\", "\0", "\n", "\r"}
    assert safe not in {".", ".."}
    assert len(title_of(safe)) <= 255
    assert set(extension_of(safe, kind)) <= set("abcdefghijklmnopqrstuvwxyz0123456789.")
    assert is_text(content) in {True, False}


def test_a_text_that_is_all_comments_is_looked_at_once() -> None:
    """A pattern that tries every way to divide them would not end."""
    assert type_of(b"<!-- a -->" * 800 + b"<x", "x", None) == "text/plain"


def _turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return image("JPEG", exif=exif)


def _webp_with(**options: object) -> Callable[[], bytes]:
    return lambda: image("WEBP", **options)


@pytest.mark.parametrize(
    ("make", "kind", "size"),
    [
        (lambda: image("PNG"), "image/png", (80, 40)), (lambda: image("JPEG"), "image/jpeg", (80, 40)), (_turned, "image/jpeg", (40, 80)),
        (lambda: image("GIF"), "image/gif", (80, 40)), (lambda: image("BMP"), "image/bmp", (80, 40)), (lambda: image("TIFF"), "image/tiff", (80, 40)),
        (_webp_with(), "image/webp", (80, 40)), (_webp_with(lossless=True), "image/webp", (80, 40)),
        (_webp_with(exif=b"Exif\0\0II*\0\x08\0\0\0\0\0"), "image/webp", (80, 40)), (lambda: image("AVIF"), "image/avif", (80, 40)),
    ],
)  # fmt: skip
def test_the_size_of_an_image_is_read_from_its_beginning(
    make: Callable[[], bytes], kind: str, size: tuple[int, int]
) -> None:
    content = make()
    assert size_of(content, kind) == size
    assert size_of(content + b"\0" * 2_000_000, kind) == size


def test_the_size_of_a_large_image_needs_only_its_header() -> None:
    noise = Image.effect_noise((1500, 1000), 90)
    for kind, options in (("PNG", {}), ("JPEG", {"quality": 95}), ("WEBP", {"quality": 95})):
        found = io.BytesIO()
        noise.convert("RGB").save(found, kind, **options)
        assert size_of(found.getvalue()[:4096], f"image/{kind.lower()}") == (1500, 1000)


def test_a_decompression_bomb_has_a_size_and_is_not_decoded() -> None:
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    import zlib

    chunk = b"IHDR" + head
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + b"\0\0\0\0IDAT"
    assert size_of(bomb, "image/png") == (60_000, 60_000)


@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "bmp", "tiff", "x-icon", "webp", "avif", "svg+xml", "nope"])
@given(content=st.binary(max_size=100))
def test_a_broken_image_has_no_size(kind: str, content: bytes) -> None:
    starts = {
        "png": b"\x89PNG\r\n\x1a\n",
        "jpeg": b"\xff\xd8\xff",
        "gif": b"GIF89a",
        "bmp": b"BM",
        "tiff": b"II*\0",
        "webp": b"RIFF0000WEBP",
    }
    found = size_of(starts.get(kind, b"") + content, f"image/{kind}")
    assert found is None or min(found) > 0


def test_a_broken_image_is_stored_as_any_file(file_server: FileServer) -> None:
    row = file_server.stored(image("PNG")[:20], "broken.png")
    assert (row["type"], row["width"], row["height"]) == ("image/png", None, None)
    answer = file_server.upload(File(image("JPEG", 7, 9), "photo.JPG", "application/octet-stream"))
    assert (answer.data["type"], answer.data["width"], answer.data["filename_disk"][-4:]) == ("image/jpeg", 7, ".jpg")
