"""Markdown as HTML, and HTML as text: the two parts of a mail that is more than text."""

import re
from functools import cache
from html.parser import HTMLParser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_BLOCKS = frozenset({
    "address", "article", "blockquote", "br", "dd", "div", "dl", "dt", "figure", "footer", "form", "h1", "h2", "h3",
    "h4", "h5", "h6", "header", "hr", "li", "main", "ol", "p", "pre", "section", "table", "tr", "ul",
})  # fmt: skip
_HIDDEN = frozenset({"head", "script", "style", "template", "title"})


def from_markdown(text: str) -> str:
    """HTML. Tags in the text are shown as they are written; links lead to web and mail addresses only."""
    return str(_markdown().render(text))


def text_of_html(html: str) -> str:
    """What a reader would see, a line for each block, with the addresses of links."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.pieces).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


@cache
def _markdown() -> "MarkdownIt":
    from markdown_it import MarkdownIt  # the first mail waits for it, and not the start

    return MarkdownIt("js-default", {"html": False})


class _Reader(HTMLParser):
    """Collects the text. Lines break where blocks begin and end, and nowhere else."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._hidden: list[str] = []
        self._links: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self._hidden.append(tag)
        if tag in _BLOCKS:
            self.pieces.append("\n")
        if tag in {"td", "th"}:
            self.pieces.append(" ")
        if tag == "a":
            self._links.append(dict(attrs).get("href"))

    def handle_endtag(self, tag: str) -> None:
        if self._hidden and self._hidden[-1] == tag:
            self._hidden.pop()
        if tag in _BLOCKS:
            self.pieces.append("\n")
        if tag == "a" and self._links and (link := self._links.pop()) and not link.startswith("#"):
            self.pieces.append(f" <{link}>")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.pieces.append(data.replace("\n", " "))
