"""How templates are written: text with `{{ expression }}` and `{% statement %}`, into segments. Pure.

An expression of the common form, a path and filters with literal arguments, is understood here and keeps its types; any
other is left to minijinja, with its names rewritten, since minijinja knows no `$` and no `-` in names.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from datastead.errors import TemplateError

DOLLAR = "__dollar__"
DASH = "__dash__"

_NAME = r"[^\W\d][\w]*(?:-\w+)*"
_KEY = r"\s*\.\s*\w+(?:-\w+)*|\s*\[\s*(?:\d+|'[^'\\]*'|\"[^\"\\]*\")\s*\]"
_PATH = re.compile(rf"(\$?{_NAME})((?:{_KEY})*)")
_EACH_KEY = re.compile(r"\.\s*(\w+(?:-\w+)*)|\[\s*(?:(\d+)|'([^']*)'|\"([^\"]*)\")\s*\]")
_STRING = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
_LITERAL = rf"{_STRING}|-?\d+(?:\.\d+)?|true|false|none|null|True|False|None"
_FILTER = re.compile(rf"\s*\|\s*([^\W\d]\w*)(?:\s*\(\s*((?:{_LITERAL})(?:\s*,\s*(?:{_LITERAL}))*)?\s*\))?", re.DOTALL)
_EACH_LITERAL = re.compile(_LITERAL, re.DOTALL)
_CODE_PART = re.compile(rf"({_STRING})|({_PATH.pattern})", re.DOTALL)
_USED_FILTER = re.compile(rf"{_STRING}|\|\s*([^\W\d]\w*)", re.DOTALL)
_OPENING = re.compile(r"\{\{|\{%")
_UNTIL_CLOSED = {
    "{{": re.compile(rf"((?:{_STRING}|(?!\}}\}})[^'\"])*)\}}\}}", re.DOTALL),
    "{%": re.compile(rf"((?:{_STRING}|(?!%\}})[^'\"])*)%\}}", re.DOTALL),
}
_WORDS = {"true": True, "false": False, "none": None, "null": None}

Key = str | int
Literal = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Path:
    """`$trigger.payload.tags[0]`: a name of the chain, then keys."""

    root: str
    keys: tuple[Key, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A path, and the filters that its value goes through, with their arguments."""

    path: Path
    filters: tuple[tuple[str, tuple[Literal, ...]], ...]


@dataclass(frozen=True, slots=True)
class Code:
    """A `{{ … }}` or `{% … %}`.

    source: as minijinja takes it. written, line, column: as and where the author wrote it.
    """

    source: str
    pipeline: Pipeline | None
    is_statement: bool
    written: str
    line: int
    column: int

    @property
    def position(self) -> str:
        return f"line {self.line}, column {self.column}"

    @property
    def filters(self) -> list[str]:
        """The names of the filters that are used."""
        return [name for name in _USED_FILTER.findall(self.source) if name]


@dataclass(frozen=True, slots=True)
class Template:
    """A template: pieces of text and code, in their order."""

    segments: tuple[str | Code, ...]

    @property
    def codes(self) -> Iterator[Code]:
        return (segment for segment in self.segments if isinstance(segment, Code))

    @property
    def has_statements(self) -> bool:
        return any(code.is_statement for code in self.codes)

    @property
    def lone(self) -> Code | None:
        """The one expression, where the template is nothing else."""
        first = self.segments[0] if len(self.segments) == 1 else None
        return first if isinstance(first, Code) and not first.is_statement else None


def is_template(text: str) -> bool:
    """Whether the text has anything to render."""
    return "{{" in text or "{%" in text


@lru_cache(maxsize=2048)
def parse(text: str) -> Template:
    """A template's segments. Raises `TemplateError` where a `{{` or `{%` is not closed, or is empty."""
    return Template(tuple(_segments(text)))


def _segments(text: str) -> Iterator[str | Code]:
    at = 0
    while opening := _OPENING.search(text, at):
        if opening.start() > at:
            yield text[at : opening.start()]
        code, at = _code(text, opening)
        yield code
    if at < len(text):
        yield text[at:]


def _code(text: str, opening: re.Match[str]) -> tuple[Code, int]:
    start, brackets = opening.start(), opening.group()
    line, column = text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
    closed = _UNTIL_CLOSED[brackets].match(text, opening.end())
    inside = closed.group(1) if closed else ""
    if closed is None or not inside.strip(" \t\r\n-"):
        wrong = "empty" if closed else "not closed"
        raise TemplateError(f"The `{brackets}` at line {line}, column {column} is {wrong}.", line=line, column=column)
    is_statement = brackets == "{%"
    pipeline = None if is_statement else pipeline_of(inside)
    return Code(rewritten(inside), pipeline, is_statement, text[start : closed.end()], line, column), closed.end()


def pipeline_of(source: str) -> Pipeline | None:
    """The path and filters that an expression consists of; None where it is more than that."""
    source = source.strip()
    head = _PATH.match(source)
    if head is None or head.group(1) in _WORDS:
        return None
    filters, at = [], head.end()
    while at < len(source):
        found = _FILTER.match(source, at)
        if found is None:
            return None
        filters.append((found.group(1), _literals(found.group(2))))
        at = found.end()
    return Pipeline(_path(head), tuple(filters))


def path_of(source: str) -> Path | None:
    """The path that a text is, as in a flow's `return`."""
    found = _PATH.fullmatch(source.strip())
    return _path(found) if found else None


def rewritten(source: str) -> str:
    """An expression as minijinja takes it: `$a-b.c-d` as one plain name and a subscript. Strings stay as they are."""
    return _CODE_PART.sub(lambda part: part.group() if part.group(1) else _rewritten_path(part.group(2)), source)


def written(name: str) -> str:
    """A rewritten name as its author wrote it."""
    return name.replace(DOLLAR, "$").replace(DASH, "-")


def plain_name(name: str) -> str:
    """A chain's name as minijinja takes it."""
    return name.replace("$", DOLLAR).replace("-", DASH)


def _rewritten_path(text: str) -> str:
    found = _PATH.match(text)
    if found is None:
        return text
    keys = (f'["{key}"]' if isinstance(key, str) and "-" in key else raw for key, raw in _keys_of(found.group(2)))
    return plain_name(found.group(1)) + "".join(keys)


def _path(found: re.Match[str]) -> Path:
    return Path(found.group(1), tuple(key for key, _ in _keys_of(found.group(2))), found.group().strip())


def _keys_of(text: str) -> Iterator[tuple[Key, str]]:
    for found in _EACH_KEY.finditer(text):
        dotted, index, single, double = found.groups()
        yield int(index) if index else dotted or single or double or "", found.group()


def _literals(text: str | None) -> tuple[Literal, ...]:
    return tuple(_literal(found.group()) for found in _EACH_LITERAL.finditer(text or ""))


def _literal(text: str) -> Literal:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    value: Literal = ast.literal_eval(text.replace("\n", "\\n") if text[0] in "'\"" else text)
    return value
