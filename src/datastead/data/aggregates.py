"""Sums over the items of a query: `aggregate` and `groupBy`. Pure."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from datastead.data.functions import call_of
from datastead.data.schema import Field
from datastead.data.sources import Source, refused
from datastead.data.wire import Decoder, decoder

NUMBERS = {"integer", "bigInteger", "float", "decimal"}
ORDERED = {*NUMBERS, "string", "text", "date", "time", "dateTime", "timestamp"}
UNGROUPED = {"json", "binary"}


class Sums:
    """The columns of a SELECT of sums. names: of the values in each row; `function.field` where it is a sum of one."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._groups: dict[str, sa.ColumnElement[Any]] = {}
        self._sums: dict[str, sa.ColumnElement[Any]] = {}
        self.names: list[str] = []
        self.decoders: list[tuple[str, Decoder]] = []

    def group(self, name: str) -> sa.ColumnElement[Any]:
        """A field by whose value the items are put together, or a function of one."""
        call = call_of(name)
        if call is not None:
            column = self._source.call(call)
            self._add(call.output, None)
        else:
            item = self._source.field(name)
            if item.column is None or item.is_concealed or item.type in UNGROUPED:
                raise refused(f"`{name[:100]}` of `{self._source.collection.name}` cannot be grouped by")
            column = self._source.column(name)
            self._add(name, decoder(item, self._source.dialect))
        self._groups[name] = column
        return column

    def sum(self, function: str, name: str) -> sa.ColumnElement[Any]:
        """One sum. `*` counts the items."""
        if name == "*":
            if function not in {"count", "countAll"}:
                raise refused(f"`{function}` needs the name of a field")
            self._add(function, None)
            column: sa.ColumnElement[Any] = sa.func.count()
        else:
            item = self._source.field(name)
            column = self._of(function, item)
            self._add(f"{function}.{name}", decoder(item, self._source.dialect) if function in {"min", "max"} else None)
        self._sums[self.names[-1]] = column
        return column

    def order(self, sort: Sequence[str]) -> list[sa.ColumnElement[Any]]:
        """By groups, or by sums (`-count`, `sum.views`); else by the groups as they stand."""
        found = [self._ordered(name) for name in sort]
        return found or [column.asc().nulls_last() for column in self._groups.values()]

    def _ordered(self, name: str) -> sa.ColumnElement[Any]:
        bare = name.removeprefix("-")
        column = self._groups.get(bare)
        column = self._sums.get(bare) if column is None else column
        if column is None:
            raise refused(f"sums can be sorted by their groups and by themselves, and not by `{bare[:100]}`")
        return column.desc().nulls_first() if name.startswith("-") else column.asc().nulls_last()

    def _add(self, name: str, decode: Decoder | None) -> None:
        self.names.append(name)
        if decode is not None:
            self.decoders.append((name, decode))

    def _of(self, function: str, item: Field) -> sa.ColumnElement[Any]:
        if item.column is None or item.is_concealed:
            raise refused(f"`{item.name}` of `{item.collection}` cannot be summed up")
        kind = function.removesuffix("Distinct")
        allowed = {"sum": NUMBERS, "avg": NUMBERS, "min": ORDERED, "max": ORDERED}.get(kind)
        if allowed is not None and item.type not in allowed:
            raise refused(f"`{item.collection}.{item.name}` is of the type `{item.type}`, which has no `{function}`")
        column = self._source.column(item.name)
        if function == "countDistinct" and item.type in UNGROUPED:
            raise refused(f"`{item.collection}.{item.name}` is of the type `{item.type}`, which has no `{function}`")
        made = getattr(sa.func, "count" if function == "countAll" else kind)
        summed: sa.ColumnElement[Any] = made(sa.distinct(column) if function.endswith("Distinct") else column)
        is_whole = kind == "sum" and item.type == "integer" and self._source.dialect == "mariadb"
        return sa.cast(summed, sa.BigInteger) if is_whole else summed  # there a sum is a decimal, which is text here


def nested(row: dict[str, Any]) -> dict[str, Any]:
    """A row of sums in the contract's shape: `sum.views` is `{"sum": {"views": …}}`, `count` of all a number.

    Where the items and a field are both counted, the items are counted as `*`.
    """
    item: dict[str, Any] = {}
    for name, value in row.items():
        function, dot, field = name.partition(".")
        if dot:
            below = item.get(function, {})
            item[function] = {**(below if isinstance(below, dict) else {"*": below}), field: value}
        else:
            item[name] = value
    return item
