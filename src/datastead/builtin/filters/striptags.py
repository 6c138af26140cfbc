"""The filter `striptags`."""

from html.parser import HTMLParser
from typing import Any

from datastead import template_filter


class _Text(HTMLParser):
    """Collects what a reader would see."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self._hidden += tag in ("script", "style")
        self.pieces.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= self._hidden > 0 and tag in ("script", "style")
        self.pieces.append(" ")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.pieces.append(data)


@template_filter("striptags")
def striptags(value: Any) -> str:
    """The text of HTML, without tags, and with single spaces."""
    parser = _Text()
    parser.feed("" if value is None else str(value))
    parser.close()
    return " ".join("".join(parser.pieces).split())
