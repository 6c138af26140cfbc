"""Bodies: JSON that the rest can rely on, or a typed error."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datastead.api.body import parse_json, read_bytes
from datastead.errors import InvalidPayload, RequestError, UnsupportedMediaType


def test_json_is_parsed() -> None:
    assert parse_json(b'{"a": [1, 2.5, null, "\\u00e9"]}', "application/json; charset=UTF-8") == {
        "a": [1, 2.5, None, "é"]
    }


@pytest.mark.parametrize(
    "raw",
    [b"{", b"nope", b"[1,]", b"\xff\xfe", b'{"a": NaN}', b'{"a": Infinity}', b'{"a": "\\u0000"}', b'{"\\u0000": 1}',
     b'["\\ud800"]', b"[" * 500 + b"]" * 500, b'{"a":' * 200 + b"1" + b"}" * 200, b"\x00"],
)  # fmt: skip
def test_what_is_not_sound_json_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidPayload):
        parse_json(raw, "application/json")


def test_a_backslash_before_u0000_is_text() -> None:
    assert parse_json(b'"\\\\u0000"', None) == "\\u0000"


def test_many_short_lists_are_not_deep() -> None:
    assert len(parse_json(b"[" + b"[]," * 500 + b"[]]", None)) == 501


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1", ""]
)
def test_another_content_type_is_refused(kind: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        parse_json(b"{}", kind)


async def test_reading_stops_at_the_limit_and_does_not_take_the_rest() -> None:
    taken = 0

    async def receive() -> dict[str, object]:
        nonlocal taken
        taken += 1
        return {"type": "http.request", "body": b"x" * 100, "more_body": True}

    with pytest.raises(InvalidPayload):
        await read_bytes({"headers": []}, receive, 1000)
    assert taken == 11


@given(st.binary(max_size=100))
def test_any_bytes_are_parsed_or_refused(raw: bytes) -> None:
    with suppress(RequestError):
        parse_json(raw, "application/json")
