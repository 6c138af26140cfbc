"""`Writer`: writes, as work for a thread. Statements are kept; what the database refuses becomes typed errors."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from datastead.data.engine import Database, Prepared, Transaction
from datastead.data.filters import padded
from datastead.data.schema import Collection, Schema
from datastead.data.violations import typed_error

Keys = list[Any]
Row = Mapping[str, Any]
Work = Callable[[Transaction], Keys]
KEYS_AT_ONCE = 500


class Writer:
    """Writes to one collection. Rows hold values as the driver takes them."""

    def __init__(self, database: Database, schema: Schema, collection: Collection) -> None:
        assert collection.primary is not None
        self._database = database
        self._schema = schema
        self._collection = collection
        self._table = collection.table
        self._key: sa.ColumnElement[Any] = collection.table.c[collection.primary.name]

    def insert(self, rows: Sequence[Row]) -> Work:
        """Inserts the rows; their keys."""
        statements = [self._insert(tuple(row)) for row in rows]

        def work(transaction: Transaction) -> Keys:
            return [
                self._run(transaction, statement, row, _numbered(row))[0][0]
                for statement, row in zip(statements, rows, strict=True)
            ]

        return work

    def update(self, row: Row, keys: Sequence[Any]) -> Work:
        """Changes the items with these keys; the keys of those that there are."""
        names = tuple(row)
        if self._database.dialect == "mariadb":
            return self._update_found(names, row, keys)
        return self._by_key(keys, lambda count: self._update(names, count), row)

    def _update_found(self, names: tuple[str, ...], row: Row, keys: Sequence[Any]) -> Work:
        """The same for MariaDB, whose UPDATE does not say which rows it has changed: they are locked before."""
        find, key = self._by_key(keys, self._lock, {}), self._key.name
        change = self._by_key(keys, lambda count: self._update(names, count, tells=False), row)

        def work(transaction: Transaction) -> Keys:
            found = find(transaction)
            if found:
                change(transaction)
            return [row[key] for _ in found] if key in row else found

        return work

    def delete(self, keys: Sequence[Any]) -> Work:
        """Deletes the items with these keys; the keys of those that there were."""
        return self._by_key(keys, self._delete, {})

    def _by_key(self, keys: Sequence[Any], prepare: Callable[[int], Prepared], row: Row) -> Work:
        chunks = [(prepare(len(chunk)), _numbered(row) | _keyed(chunk)) for chunk in _chunks(keys)]
        places = {key: place for place, key in enumerate(keys)}

        def work(transaction: Transaction) -> Keys:
            found = (
                key for statement, parameters in chunks for (key,) in self._run(transaction, statement, row, parameters)
            )
            return sorted(dict.fromkeys(found), key=lambda key: places.get(key, len(places)))

        return work

    def _run(self, transaction: Transaction, statement: Prepared, row: Row, parameters: Row) -> list[tuple[Any, ...]]:
        try:
            return transaction.raw(statement, parameters)
        except sa.exc.DBAPIError as error:
            # after an error PostgreSQL answers nothing more in a transaction; it has said which field it was by itself
            lookup = transaction if transaction.dialect != "postgresql" else None
            refused = typed_error(error, lookup, self._schema, self._collection, row)
            if refused is None:
                raise
            raise refused from error

    def _insert(self, names: tuple[str, ...]) -> Prepared:
        return self._kept(
            ("insert", names),
            lambda: sa.insert(self._table).values(self._assignments(names)).returning(self._key),
        )

    def _update(self, names: tuple[str, ...], count: int, *, tells: bool = True) -> Prepared:
        """tells: which rows it has changed."""

        def build() -> sa.Update:
            update = sa.update(self._table).values(self._assignments(names)).where(self._is_one_of(count))
            return update.returning(self._key) if tells else update

        return self._kept(("update", names, count), build)

    def _lock(self, count: int) -> Prepared:
        return self._kept(("lock", count), lambda: sa.select(self._key).where(self._is_one_of(count)).with_for_update())

    def _delete(self, count: int) -> Prepared:
        return self._kept(
            ("delete", count), lambda: sa.delete(self._table).where(self._is_one_of(count)).returning(self._key)
        )

    def _kept(self, shape: tuple[Any, ...], build: Callable[[], sa.ClauseElement]) -> Prepared:
        """The statement, compiled once a schema."""
        cache_key = (self._collection.name, shape)
        found: Prepared | None = self._schema.plans.get(cache_key)
        return found or self._schema.plans.put(cache_key, self._database.prepare(build()))

    def _assignments(self, names: Sequence[str]) -> dict[Any, Any]:
        return {self._table.c[name]: sa.bindparam(f"v{number}") for number, name in enumerate(names)}

    def _is_one_of(self, count: int) -> sa.ColumnElement[bool]:
        return self._key.in_([sa.bindparam(f"key{number}") for number in range(count)])


def _numbered(row: Row) -> dict[str, Any]:
    return {f"v{number}": value for number, value in enumerate(row.values())}


def _keyed(keys: Sequence[Any]) -> dict[str, Any]:
    return {f"key{number}": key for number, key in enumerate(keys)}


def _chunks(keys: Sequence[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(keys), KEYS_AT_ONCE):
        yield padded(keys[start : start + KEYS_AT_ONCE])
