"""The filter `slugify`."""

import unicodedata
from typing import Any

from datastead import template_filter

_SPELLED = str.maketrans({"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ł": "l", "þ": "th", "\u0131": "i"})


@template_filter("slugify")
def slugify(value: Any, separator: str = "-") -> str:
    """The text as a part of an address: `{{ $trigger.title | slugify }}` makes `Crème brûlée!` into `creme-brulee`.

    Latin letters lose their accents; letters of other scripts stay as they are.
    """
    # a sign such as `℠` stands for letters, which are large until they are spelled out
    lower = unicodedata.normalize("NFKC", "" if value is None else str(value)).lower()
    bare = "".join(each for each in unicodedata.normalize("NFKD", lower) if not _is_accent(each))
    spelled = unicodedata.normalize("NFC", bare).translate(_SPELLED)
    spaced = "".join(each if _is_of_word(each) else " " for each in spelled)
    return separator.join(spaced.split())


def _is_of_word(character: str) -> bool:
    """Letters, digits, and the signs that many scripts write their vowels with."""
    return unicodedata.category(character)[0] in "LMN"


def _is_accent(character: str) -> bool:
    """Accents of Latin, Greek and Cyrillic letters; signs that other scripts write their vowels with are letters."""
    return "\u0300" <= character <= "\u036f"
