"""What an image says of itself: its camera as metadata, and its photographer's words as title, text and tags."""

import io
import struct

import pytest
from PIL import ExifTags, Image

from datastead.files.notes import notes_of

from .conftest import File, FileServer

BASE = ExifTags.Base


def iptc(*records: tuple[int, bytes]) -> bytes:
    """As JPEG's application segment 13 has it."""
    data = b"".join(b"\x1c\x02" + bytes([number]) + struct.pack(">H", len(text)) + text for number, text in records)
    block = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(data)) + data + b"\0" * (len(data) % 2)
    body = b"Photoshop 3.0\0" + block
    return b"\xff\xed" + struct.pack(">H", len(body) + 2) + body


def photo() -> bytes:
    exif, found = Image.Exif(), io.BytesIO()
    exif[BASE.Make], exif[BASE.Model], exif[BASE.Artist] = "Canon", "R5\0", "Ann"
    exif.get_ifd(ExifTags.IFD.Exif).update({BASE.FNumber: 2.8, BASE.ISOSpeedRatings: 100, BASE.MakerNote: b"secret"})
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N", 2: (52.0, 31.0, 12.5)})
    Image.new("RGB", (10, 10)).save(found, "JPEG", exif=exif)
    content = found.getvalue()
    said = iptc((105, "Über den Wolken".encode()), (120, b"A long way up"), (25, b"sky"), (25, b"cloud"))
    return content[:2] + said + content[2:]


def test_the_camera_is_kept_as_metadata_and_the_place_is_not(file_server: FileServer) -> None:
    row = file_server.stored(photo(), "img_1.jpg")
    assert row["metadata"] == {
        "ifd0": {"Make": "Canon", "Model": "R5"},
        "exif": {"FNumber": 2.8, "ISOSpeedRatings": 100},
    }


def test_the_photographers_words_count_where_nobody_says_otherwise(file_server: FileServer) -> None:
    row = file_server.stored(photo(), "img_1.jpg")
    assert (row["title"], row["description"], row["tags"]) == ("Über den Wolken", "A long way up", ["sky", "cloud"])
    mine = file_server.upload(("title", "Mine"), ("tags", "a"), File(photo(), "img_1.jpg")).data
    assert (mine["title"], mine["description"], mine["tags"]) == ("Mine", "A long way up", ["a"])


def test_all_is_kept_where_all_is_allowed() -> None:
    found = notes_of(photo(), "image/jpeg", ["*"]).metadata
    assert found["gps"] == {"GPSLatitudeRef": "N", "GPSLatitude": [52.0, 31.0, 12.5]}
    assert found["ifd0"]["Artist"] == "Ann"
    assert "MakerNote" not in found["exif"]


@pytest.mark.parametrize("end", [0, 4, 30, 60, 200, 400])
def test_an_image_that_is_cut_off_is_taken_without_an_error(end: int) -> None:
    assert isinstance(notes_of(photo()[:end], "image/jpeg", ["*"]).metadata, dict)
