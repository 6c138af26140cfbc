"""`Stored`: rows of all columns of a table, as a write gives them back, and the items that they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from datastead.data.schema import Collection, Schema
from datastead.data.wire import Decoder, decoder, plain

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """The columns in their order. key_at: which of them is the key; -1 where there is none."""

    names: tuple[str, ...]
    decoders: tuple[tuple[str, Decoder], ...]
    key_at: int

    def item(self, row: Row) -> dict[str, Any]:
        """As it is on the wire: every stored field, with what is concealed masked."""
        if bytes in map(type, row):  # SQLite lets others write bytes anywhere
            row = tuple(plain(value) for value in row)
        item = dict(zip(self.names, row, strict=True))
        for name, decode in self.decoders:
            value = item[name]
            if value is not None:
                item[name] = decode(value)
        return item

    def items(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        return [self.item(row) for row in rows]

    def keys(self, rows: Sequence[Row]) -> list[Any]:
        return [row[self.key_at] for row in rows]


def stored_of(schema: Schema, collection: Collection, dialect: str) -> Stored:
    """Made once a schema."""
    key = ("stored", collection.name)
    found: Stored | None = schema.plans.get(key)
    return found or schema.plans.put(key, _stored(collection, dialect))


def _stored(collection: Collection, dialect: str) -> Stored:
    columns = collection.columns
    names = tuple(columns)
    decoders = tuple((name, decode) for name, item in columns.items() if (decode := decoder(item, dialect)) is not None)
    return Stored(names, decoders, names.index(collection.primary.name) if collection.primary else -1)
