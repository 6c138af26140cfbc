"""Tables on the terminal: plain columns that a narrow window does not make unreadable."""

from collections.abc import Iterable

from rich.table import Table

SHORT_ID = 8
"""As many characters of an id are shown where the whole one would leave no room."""


def plain_table(columns: Iterable[str], *, right: Iterable[str] = (), whole: Iterable[str] = ()) -> Table:
    """A table without lines. right: columns of numbers. whole: columns that are never folded."""
    table, right, whole = Table(box=None, pad_edge=False, header_style="bold"), set(right), set(whole)
    for name in columns:
        table.add_column(
            name, overflow="fold", no_wrap=name in right | whole, justify="right" if name in right else "left"
        )
    return table


def moment(text: str | None) -> str:
    """A moment in UTC as people write it, to the minute; a day where it is midnight."""
    return (text or "")[:16].replace("T", " ").removesuffix(" 00:00")
