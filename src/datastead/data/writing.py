"""`Writer`: writes, as work for a thread. Statements are kept; what the database refuses becomes typed errors."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import REGCLASS

from datastead.data.ddl import quoted
from datastead.data.engine import Database, Prepared, Transaction
from datastead.data.filters import padded
from datastead.data.schema import Collection, Schema
from datastead.data.stored import stored_of
from datastead.data.violations import typed_error

Keys = list[Any]
Row = Mapping[str, Any]
Rows = list[tuple[Any, ...]]
KEYS_AT_ONCE = 500
ROWS_AT_ONCE = 128
VALUES_AT_ONCE = 20_000
"""Fewer than any database takes in a statement."""


class Writer:
    """Writes to one collection. Rows hold values as the driver takes them; those that come back are `Stored`."""

    def __init__(self, database: Database, schema: Schema, collection: Collection) -> None:
        assert collection.primary is not None
        self._database = database
        self._schema = schema
        self._collection = collection
        self._table = collection.table
        self._key_name = collection.primary.name
        self._key: sa.ColumnElement[Any] = collection.table.c[collection.primary.name]
        self._key_at = stored_of(schema, collection, database.dialect).key_at

    def insert(self, rows: Sequence[Row]) -> Callable[[Transaction], Rows]:
        """Inserts the rows, several in a statement; the rows as they are now, in their order."""
        names = list(self._collection.columns)
        parts = [(self._named(part[0], names), part) for part in _alike(rows)]
        largest = self.numbered_by_hand(rows)

        def work(transaction: Transaction) -> Rows:
            written = [row for shape, part in parts for row in self._insert_part(transaction, shape, part)]
            if largest is not None:
                transaction.raw(self._kept(("count on",), self._count_on), {"largest": largest})
            return self._settled(transaction, written)

        return work

    def numbered_by_hand(self, rows: Sequence[Row]) -> int | None:
        """The largest key given where the database counts: PostgreSQL does not notice, and would give it once more."""
        name, column = self._key_name, self._collection.columns[self._key_name].column
        if self._database.dialect != "postgresql" or column is None or not column.has_auto_increment:
            return None
        return max((row[name] for row in rows if isinstance(row.get(name), int)), default=None)

    def _count_on(self) -> sa.ClauseElement:
        """Counts on from the largest key; never back: others may be counting, too."""
        table: sa.ColumnElement[str] = sa.literal_column(_text(quoted("postgresql", self._collection.name)))
        name: sa.ColumnElement[str] = sa.literal_column(_text(self._key_name))
        sequence = sa.cast(sa.func.pg_get_serial_sequence(table, name), REGCLASS)
        largest = sa.bindparam("largest", None, sa.BigInteger)
        last = sa.func.coalesce(sa.func.pg_sequence_last_value(sequence), sa.literal_column("0"))
        return sa.select(sa.func.setval(sequence, largest)).where(last < largest)

    def update(self, row: Row, keys: Sequence[Any]) -> Callable[[Transaction], Rows]:
        """Changes the items with these keys; the rows of those that there are, as they are now."""
        names = tuple(row)
        if self._database.dialect == "mariadb":
            return self._update_found(names, row, keys)
        change = self._by_key(keys, lambda count: self._update(names, count), row, self._key_at)
        return lambda transaction: self._settled(transaction, change(transaction))

    def _update_found(self, names: tuple[str, ...], row: Row, keys: Sequence[Any]) -> Callable[[Transaction], Rows]:
        """The same for MariaDB, whose UPDATE does not say which rows it has changed: they are locked before."""
        find, key = self._by_key(keys, self._lock, {}, 0), self._key.name
        change = self._by_key(keys, lambda count: self._update(names, count, tells=False), row, 0)

        def work(transaction: Transaction) -> Rows:
            found = [one for (one,) in find(transaction)]
            if not found:
                return []
            change(transaction)
            return self._present(transaction, [row[key] for _ in found] if key in row else found)

        return work

    def delete(self, keys: Sequence[Any]) -> Callable[[Transaction], Keys]:
        """Deletes the items with these keys; the keys of those that there were."""
        delete = self._by_key(keys, self._delete, {}, 0)
        return lambda transaction: [key for (key,) in delete(transaction)]

    def _named(self, row: Row, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(name for name in names if name in row)

    def _insert_part(self, transaction: Transaction, names: tuple[str, ...], part: Sequence[Row]) -> Rows:
        """Rows with the same columns. Where several are refused, they come one by one, so that it is said which is.

        So do rows without any value: no statement has several of them.
        """
        if len(part) == 1 or not names:
            return [found for row in part for found in self._insert_one(transaction, names, row)]
        values = [row[name] for row in part for name in names]
        if transaction.dialect != "sqlite":  # there a statement that fails leaves the transaction as it was
            transaction.control("SAVEPOINT several")
        try:
            return transaction.raw(self._insert(names, len(part)), values)
        except sa.exc.DBAPIError:
            if transaction.dialect != "sqlite":
                transaction.control("ROLLBACK TO SAVEPOINT several")
        return [found for row in part for found in self._insert_one(transaction, names, row)]

    def _insert_one(self, transaction: Transaction, names: tuple[str, ...], row: Row) -> Rows:
        return self._run(transaction, self._insert(names, 1), row, [row[name] for name in names])

    def _by_key(
        self, keys: Sequence[Any], prepare: Callable[[int], Prepared], row: Row, key_at: int
    ) -> Callable[[Transaction], Rows]:
        chunks = [(prepare(len(chunk)), _numbered(row) | _keyed(chunk)) for chunk in _chunks(keys)]
        places = {key: place for place, key in enumerate(keys)}

        def place_of(found: tuple[Any, ...]) -> int:
            return places.get(found[key_at], len(places))

        def work(transaction: Transaction) -> Rows:
            found = [one for statement, values in chunks for one in self._run(transaction, statement, row, values)]
            return sorted(found, key=place_of) if len(found) > 1 else found

        return work

    def _settled(self, transaction: Transaction, rows: Rows) -> Rows:
        """The rows as they are after triggers of the table's own, which RETURNING does not see."""
        if not self._collection.has_triggers or not rows:
            return rows
        present = self._present(transaction, [row[self._key_at] for row in rows])
        found = {row[self._key_at]: row for row in present}
        return [found.get(row[self._key_at], row) for row in rows]

    def _present(self, transaction: Transaction, keys: Sequence[Any]) -> Rows:
        """The rows with these keys, in their order."""
        found = {
            row[self._key_at]: row
            for chunk in _chunks(keys)
            for row in transaction.raw(self._select(len(chunk)), _keyed(chunk))
        }
        return [found[key] for key in keys if key in found]

    def _run(
        self, transaction: Transaction, statement: Prepared, row: Row, parameters: Mapping[str, Any] | list[Any]
    ) -> Rows:
        try:
            return transaction.raw(statement, parameters)
        except sa.exc.DBAPIError as error:
            # after an error PostgreSQL answers nothing more in a transaction; it has said which field it was by itself
            lookup = transaction if transaction.dialect != "postgresql" else None
            refused = typed_error(error, lookup, self._schema, self._collection, row)
            if refused is None:
                raise
            raise refused from error

    def _insert(self, names: tuple[str, ...], count: int) -> Prepared:
        """Takes its values as a list: row by row, each in the order of the names, which is the table's."""
        return self._kept(("insert", names, count), lambda: self._several(names, count))

    def _several(self, names: tuple[str, ...], count: int) -> sa.ClauseElement:
        columns = [(self._table.c[name], place) for place, name in enumerate(names)]
        rows: list[dict[Any, Any]] = [
            {column: sa.bindparam(f"r{row}v{place}", type_=column.type) for column, place in columns}
            for row in range(count)
        ]
        inserted = sa.insert(self._table)
        return inserted.values(rows if count > 1 else rows[0]).returning(*self._table.c)

    def _update(self, names: tuple[str, ...], count: int, *, tells: bool = True) -> Prepared:
        """tells: which rows it has changed."""

        def build() -> sa.Update:
            values: dict[Any, Any] = {
                self._table.c[name]: sa.bindparam(f"v{number}") for number, name in enumerate(names)
            }
            update = sa.update(self._table).values(values).where(self._is_one_of(count))
            return update.returning(*self._table.c) if tells else update

        return self._kept(("update", names, count), build)

    def _lock(self, count: int) -> Prepared:
        return self._kept(("lock", count), lambda: sa.select(self._key).where(self._is_one_of(count)).with_for_update())

    def _delete(self, count: int) -> Prepared:
        return self._kept(
            ("delete", count), lambda: sa.delete(self._table).where(self._is_one_of(count)).returning(self._key)
        )

    def _select(self, count: int) -> Prepared:
        return self._kept(("written", count), lambda: sa.select(*self._table.c).where(self._is_one_of(count)))

    def _kept(self, shape: tuple[Any, ...], build: Callable[[], sa.ClauseElement]) -> Prepared:
        """The statement, compiled once a schema."""
        cache_key = (self._collection.name, shape)
        found: Prepared | None = self._schema.plans.get(cache_key)
        return found or self._schema.plans.put(cache_key, self._database.prepare(build()))

    def _is_one_of(self, count: int) -> sa.ColumnElement[bool]:
        return self._key.in_([sa.bindparam(f"key{number}") for number in range(count)])


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _numbered(row: Row) -> dict[str, Any]:
    return {f"v{number}": value for number, value in enumerate(row.values())}


def _keyed(keys: Sequence[Any]) -> dict[str, Any]:
    return {f"key{number}": key for number, key in enumerate(keys)}


def _chunks(keys: Sequence[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(keys), KEYS_AT_ONCE):
        yield padded(keys[start : start + KEYS_AT_ONCE])


def _alike(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Rows with the same columns, in parts of few sizes."""
    start = 0
    while start < len(rows):
        columns, stop = rows[start].keys(), start + 1
        while stop < len(rows) and rows[stop].keys() == columns:
            stop += 1
        for part in parts_of(stop - start, len(columns)):
            yield rows[start : start + part]
            start += part


def parts_of(count: int, width: int = 1) -> Iterator[int]:
    """So many rows, in sizes that are powers of two, so that there are few statements. width: of a row, in values."""
    most = max(1, min(ROWS_AT_ONCE, VALUES_AT_ONCE // max(width, 1)))
    while count > 0:
        part = 1 << (min(count, most).bit_length() - 1)
        yield part
        count -= part
