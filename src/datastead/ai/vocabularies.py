"""Tokens of a text: counted where the model's vocabulary is known, bounded where it is not.

A module of its own, because the tokenizer is loaded with the first text that has to be counted, and never before.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple, Protocol

LONGEST_TOKEN = 128  # characters; the longest of OpenAI's and Google's vocabularies is a run of as many
REFERENCE = "o200k_base"
"""What an unknown vocabulary is compared with: OpenAI's newest."""

_KNOWN: Sequence[tuple[str, str]] = (
    (r"gpt-oss|gpt-4o|gpt-4\.[1-9]|gpt-[5-9]|chatgpt-4o|o[1-9](-|$)", REFERENCE),
    (r"gpt-4|gpt-3\.5|text-embedding-(3|ada)", "cl100k_base"),
    (r"(meta-)?llama-?3", "llama3"),
    (r"qwen-?(2|2\.5|3)([^.\d]|$)", "qwen3"),
    (r"deepseek-(v3|chat|reasoner)|deepseek-r1(?!.*distill)", "deepseek_v3"),
    (r"gemma-?2", "gemma2"),
    (r"gemma-?3", "gemma3"),
    (r"gemma-?4", "gemma4"),
    (r"glm-?4", "glm4"),
    (r"kimi-k2", "kimi_k2"),
    (r"phi-?4", "phi4"),
    (r"mistral-nemo", "mistral_v3"),
)
"""Which models have which vocabulary: their id, without what stands before a slash, begins like this."""

_NEAR: Sequence[tuple[str, str]] = ((r"gemini", "gemma3"),)
"""Which models have nearly which vocabulary. Source: the technical report of Gemma 3, 2025."""

_KNOWN_PATTERNS = [(re.compile(pattern, re.IGNORECASE), name) for pattern, name in _KNOWN]
_NEAR_PATTERNS = [(re.compile(pattern, re.IGNORECASE), name) for pattern, name in _NEAR]
_DIGITS = b"0123456789"


Precision = Literal["exact", "near", "bounds"]
_PROVIDERS = frozenset({"openai", "anthropic", "google", "openai-compatible"})


class Tokens(NamedTuple):
    """Tokens of something: at least so many, and at most. Both are the same where the count is exact."""

    least: int
    most: int

    def __add__(self, other: object) -> "Tokens":
        assert isinstance(other, Tokens)
        return Tokens(self.least + other.least, self.most + other.most)


class Tokenizer(Protocol):
    """What is used of splintr's."""

    def encode_ordinary(self, text: str) -> list[int]: ...
    def decode_bytes(self, tokens: Sequence[int]) -> bytes: ...


class Vocabulary:
    """Counts and cuts texts as a model does, or within bounds."""

    def __init__(self, name: str, precision: Precision) -> None:
        self.is_known = precision == "exact"
        self._precision = precision
        self._tokenizer = _load(name)

    def count(self, text: str) -> Tokens:
        """The tokens of a text. A special token's name in it is text like any other."""
        if not text:
            return Tokens(0, 0)
        found = len(self._tokenizer.encode_ordinary(_clean(text)))
        match self._precision:
            case "exact":
                return Tokens(found, found)
            case "near":
                return Tokens(found * 4 // 5, min(found * 5 // 4 + 1, size_of(text)))
            case _:
                return Tokens(-(-found // 2), _most(found, text))

    def cut(self, text: str, most: int) -> str:
        """The text's beginning, of at most so many tokens; the whole where it has no more."""
        if self.count(text).most <= most:
            return text
        tokens = self._tokenizer.encode_ordinary(_clean(text))[: max(most, 0)]
        while tokens:
            # What is cut inside a character loses it, and the new end may split into more tokens than it had.
            shorter = self._tokenizer.decode_bytes(tokens).decode(errors="ignore")
            counted = self.count(shorter).most
            if counted <= most:
                return shorter
            tokens = tokens[: min(len(tokens) * most // counted, len(tokens) - 1)]
        return ""


def vocabulary_of(model: str) -> Vocabulary:
    """The vocabulary of a model, by its id."""
    bare = model.rpartition("/")[2]
    known = next((name for pattern, name in _KNOWN_PATTERNS if pattern.match(bare)), None)
    if known is not None:
        return _vocabulary(known, "exact")
    near = next((name for pattern, name in _NEAR_PATTERNS if pattern.match(bare)), None)
    return _vocabulary(near or REFERENCE, "near" if near else "bounds")


def count_tokens(text: str, model: str | None = None) -> int:
    """How many tokens a text is: exactly where the model's vocabulary is known, else the most that it can be.

    Without a model it is OpenAI's newest vocabulary that counts.
    """
    return _of(model).count(text).most


def truncate_tokens(text: str, most: int, model: str | None = None) -> str:
    """The text's beginning, of at most so many tokens (see `count_tokens`)."""
    return _of(model).cut(text, most)


def size_of(text: str) -> int:
    """UTF-8 bytes. No tokenizer makes more tokens than that."""
    return len(text) if text.isascii() else len(_clean(text).encode())


def _most(found: int, text: str) -> int:
    """The most tokens that an unknown vocabulary makes of a text. found: those of `REFERENCE`.

    Twice as many, one more for each digit, and one for each character beyond ASCII; never more than UTF-8 bytes,
    and one for the start. Measured against eleven vocabularies on prose in twelve languages, code, JSON, numbers and
    emoji: see docs/decisions/0010-counting-tokens.md.
    """
    plain = text.encode("ascii", errors="ignore")
    digits = len(plain) - len(plain.translate(None, _DIGITS))
    return min(2 * found + digits + len(text) - len(plain), size_of(text) + 1)


def _of(model: str | None) -> Vocabulary:
    if model is None:
        return _vocabulary(REFERENCE, "exact")
    provider, _, bare = model.partition(":")
    return vocabulary_of(bare if bare and provider in _PROVIDERS else model)


def _clean(text: str) -> str:
    """The text without halves of surrogate pairs, which are no characters, and which no tokenizer takes."""
    return text if text.isascii() else text.encode(errors="replace").decode()


@lru_cache(maxsize=16)
def _vocabulary(name: str, precision: Precision) -> Vocabulary:
    return Vocabulary(name, precision)


@lru_cache(maxsize=16)
def _load(name: str) -> Tokenizer:
    import splintr

    load: Callable[[str], Tokenizer] = splintr.Tokenizer.from_pretrained
    return load(name)
