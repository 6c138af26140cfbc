"""Assets: files as they are shown: which part of one, and whether it has changed."""

import re
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from datastead.errors import RangeNotSatisfiable
from datastead.files.files import StoredFile

_RANGE = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*")


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a file's bytes."""

    start: int
    size: int


def part_of(file: StoredFile, asked: str | None) -> Part | None:
    """The part that a `Range` header names; None for all of it, also where the header is of another kind.

    Raises `RangeNotSatisfiable`. Source: RFC 9110, 14.
    """
    match = _RANGE.fullmatch(asked) if asked else None
    if match is None or (not match[1] and not match[2]):
        return None
    if match[1]:
        start, end = int(match[1][:20]), min(int(match[2][:20]) if match[2] else file.size - 1, file.size - 1)
        if match[2] and int(match[2][:20]) < start:
            return None
    else:
        start, end = max(0, file.size - int(match[2][:20])), file.size - 1
    if start > end:
        raise RangeNotSatisfiable(f"The file has {file.size} bytes.", range=(asked or "")[:100], size=file.size)
    return Part(start, end - start + 1)


def is_unchanged(file: StoredFile, if_none_match: str | None, if_modified_since: str | None) -> bool:
    """Whether the caller has it already."""
    if if_none_match is not None:
        tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
        return "*" in tags or f'"{file.version}"' in tags
    return if_modified_since is not None and _is_not_after(file, if_modified_since)


def is_same(file: StoredFile, if_range: str | None) -> bool:
    """Whether a part may be answered to one who has another part already."""
    return if_range is None or if_range.strip() == f'"{file.version}"'


def _is_not_after(file: StoredFile, date: str) -> bool:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return False
    return moment.tzinfo is not None and file.modified.replace(microsecond=0) <= moment
