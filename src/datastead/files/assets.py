"""Assets: files as they are shown: which part of one, whether it has changed, and in which form."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from datastead.errors import IllegalAssetTransformation, InvalidQuery, RangeNotSatisfiable
from datastead.files.files import StoredFile

TRANSFORMS = (
    "key", "transforms", "width", "height", "fit", "quality", "format", "withoutEnlargement", "background",
    "focal_point_x", "focal_point_y",
)  # fmt: skip
KEYS = [f"system-{size}-{fit}" for size in ("small", "medium", "large") for fit in ("cover", "contain")]
_WHOLE = ("width", "height", "quality")
_RANGE = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*")


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a file's bytes."""

    start: int
    size: int


def check_transforms(file: StoredFile, parameters: Mapping[str, Any]) -> None:
    """Refuses to transform an image, rather than to answer another one than was asked for. Others stay as they are.

    Raises `InvalidQuery` for what makes no sense, `IllegalAssetTransformation` for what does.
    """
    asked = [name for name in TRANSFORMS if parameters.get(name)]
    if not asked or not file.type.startswith("image/"):
        return
    for name in _WHOLE:
        value = parameters.get(name)
        if value and not (isinstance(value, str) and value.isascii() and value.isdigit() and int(value[:10]) > 0):
            raise _invalid(f"`{name}` has to be a whole number above 0")
    if "key" in asked and parameters["key"] not in KEYS:
        raise _invalid(f"There is no preset `{str(parameters['key'])[:100]}`")
    names = ", ".join(f"`{name}`" for name in asked)
    reason = f"This version does not transform images: leave out {names}"
    raise IllegalAssetTransformation(f"{reason}.", reason=reason, invalidTransformations=asked)


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


def _invalid(reason: str) -> InvalidQuery:
    return InvalidQuery(f"{reason}.", reason=reason)
