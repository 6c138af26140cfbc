"""The simulator's answers: text made from the words of the prompt, and JSON that satisfies a schema. Deterministic."""

import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Any
from zlib import crc32

import orjson

_WORD = re.compile(r"[^\W\d_][\w'-]*")
_SUBJECT = re.compile(
    r"(?im)^.*?\b(?:title|subject|topic|headline|name)\s*:\s*(\S.*)$"
    r"|\b(?:for|about|of)\s*:\s*(\S.*)$|\babout\s+(\S.*?)[.?!]?$"
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_LABEL = re.compile(r"(?im)^\s*(?:content|text|body|article|summary|data)\s*:\s*")
_IN_WORDS = re.compile(r"Has to fit (\{.*\})\.$")
_COMMON = frozenset(
    """about above after again against along also among another answer any are around article because been before being
    below between both brief content could describe description detail detailed does doing down during each every from
    further generate give have having here highlights image into just keep key like main make many maximum meta more
    most much must only other over please points professional prompt provide requirements same sentence sentences short
    should since some such summarize summary task than that their them then there these they this those through title
    tone under until upon using very want well were what when where which while whose will with within without words
    would write your""".split()  # noqa: SIM905  reads best so
)
_TITLES = ("{subject}:", "{subject} in brief:", "{subject}, briefly told:", "{subject} at a glance:")
_OPENINGS = (
    "{subject}: what it means for {first}, {second} and {third}.",
    "Discover {subject}, with a clear look at {first}, {second} and {third}.",
    "A concise guide to {subject}, covering {first}, {second} and {third}.",
    "Everything worth knowing about {subject}, from {first} to {second} and {third}.",
)


def tokens(text: str) -> int:
    """How many tokens the simulator counts for a text: one for each four bytes, begun ones included."""
    return (len(text.encode()) + 3) // 4


@lru_cache(maxsize=256)
def sentences(prompt: str) -> str:
    """One or two sentences on what the prompt is about. The same prompt gives the same text."""
    subject, content = _subject(prompt), _content(prompt)
    choice = crc32(prompt.encode())
    first = _SENTENCE.split(content.strip())[0]
    if subject and content is not prompt and 20 <= len(first) <= 200 and first.endswith((".", "!", "?")):
        return f"{_capital(_TITLES[choice % len(_TITLES)].format(subject=subject))} {first}"
    terms = _terms(content, subject)
    if len(terms) < 3:
        about = subject or " ".join(terms)
        return f"Here is a short answer about {about}." if about else "Here is a short answer."
    named = subject or f"{terms[0]} and {terms[1]}"
    rest = terms if subject else [*terms[2:], *terms[:2]]
    one, two, three = (*rest, *terms)[:3]
    return _capital(_OPENINGS[choice % len(_OPENINGS)].format(subject=named, first=one, second=two, third=three))


def cut(text: str, limit: int | None) -> tuple[str, bool]:
    """The text within a number of tokens, by whole sentences where one fits, else by words; and whether it was cut."""
    if limit is None or tokens(text) <= limit:
        return text, False
    parts = _SENTENCE.split(text)
    for number in range(len(parts) - 1, 0, -1):
        shorter = " ".join(parts[:number])
        if tokens(shorter) <= limit:
            return shorter, False
    words = text.split(" ")
    while words and tokens(" ".join(words)) > limit:
        words.pop()
    return " ".join(words), True


def hard_cut(text: str, limit: int | None) -> tuple[str, bool]:
    """The text's first tokens, and whether any were left off: what a token limit does to JSON."""
    if limit is None or tokens(text) <= limit:
        return text, False
    return text.encode()[: limit * 4].decode(errors="ignore"), True


def pieces(text: str, number: int | None) -> list[str]:
    """The text in pieces, as a stream has them: by words; or exactly so many, as even as can be."""
    if number is None:
        return re.findall(r"\s*\S+\s*$|\s*\S+", text) or ([text] if text else [])
    filled = text if len(text) >= number else (text + " ") * (number // (len(text) + 1) + 1)
    size, rest = divmod(len(filled), number)
    bounds = [position * size + min(position, rest) for position in range(number + 1)]
    return [filled[start:end] for start, end in pairwise(bounds)]


def _subject(prompt: str) -> str:
    found = _SUBJECT.search(prompt)
    text = next((group for group in found.groups() if group), "") if found else ""
    return " ".join(text.strip().rstrip(".,;:…").split()[:12])


def _content(prompt: str) -> str:
    label = _LABEL.search(prompt)
    return prompt[label.end() :] if label else prompt


def _terms(text: str, subject: str) -> list[str]:
    used = {word.lower() for word in _WORD.findall(subject)}
    words = [word.lower() for word in _WORD.findall(text) if len(word) >= 5]
    counted = Counter(word for word in words if word not in _COMMON and word not in used)
    return [word for word, _ in counted.most_common(6)]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def value_for(schema: Mapping[str, Any], prompt: str) -> Any:
    """A JSON value that satisfies the schema, with the prompt's sentences where it wants text."""
    return _Filler(schema, sentences(prompt)).fill(schema, "answer", 0)


def _described(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the description says in place of keywords that the vendor's mode does not take: a model reads it."""
    said = _IN_WORDS.search(str(schema.get("description") or ""))
    return orjson.loads(said[1]) if said else {}


class _Filler:
    """Fills one schema; `root` is what its `$ref`s point into."""

    def __init__(self, root: Mapping[str, Any], text: str) -> None:
        self._root = root
        self._text = text

    def fill(self, schema: Any, name: str, depth: int) -> Any:
        if not isinstance(schema, Mapping) or depth > 8:
            return None
        schema = {**schema, **_described(schema)}
        for key in ("const", "default"):
            if key in schema:
                return schema[key]
        if schema.get("enum"):
            return schema["enum"][0]
        if "$ref" in schema:
            return self.fill(self._target(str(schema["$ref"])), name, depth + 1)
        for key in ("anyOf", "oneOf", "allOf"):
            if schema.get(key):
                return self.fill(schema[key][0], name, depth + 1)
        return self._typed(schema, name, depth)

    def _typed(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        kind = schema.get("type", "object" if "properties" in schema else "string")
        kind = str(kind[0] if isinstance(kind, list) else kind).lower()
        if kind == "object":
            properties = schema.get("properties") or {}
            return {key: self.fill(each, key, depth + 1) for key, each in properties.items()}
        if kind == "array":
            number = max(int(schema.get("minItems", 1)), 0)
            return [self.fill(schema.get("items", {"type": "string"}), name, depth + 1) for _ in range(number)]
        if kind in {"integer", "number"}:
            return _number(schema, whole=kind == "integer")
        return self._string(schema) if kind == "string" else kind == "boolean" or None

    def _string(self, schema: Mapping[str, Any]) -> str:
        by_format = {"date": "2026-01-15", "date-time": "2026-01-15T12:00:00Z", "email": "reader@example.com"}
        text = by_format.get(str(schema.get("format")), self._text)
        longest = int(schema.get("maxLength", len(text)))
        return text[:longest].ljust(int(schema.get("minLength", 0)), ".")

    def _target(self, reference: str) -> Any:
        found: Any = self._root
        for step in reference.removeprefix("#").strip("/").split("/"):
            found = found.get(step, {}) if isinstance(found, Mapping) and step else found
        return found


def _number(schema: Mapping[str, Any], *, whole: bool) -> int | float:
    least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + (1 if "exclusiveMinimum" in schema else 0))
    most = schema.get("maximum", least + 1)
    value = min(least + 1, most) if "minimum" not in schema else least
    return int(value) if whole else float(value)
