"""MariaDB databases for tests: new ones, and one that each worker keeps, with the platform's tables in it.

To make these tables takes a second or more, as each is written to disk at once. So the kept database is not made anew:
before each test what the one before has made in it is dropped, and the platform's rows are put back.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pymysql
import pytest

from tests.databases import migrated

MARIADB = os.environ.get("DATASTEAD_TEST_MARIADB", "root@127.0.0.1:3306")
"""User and server (`user:password@host:port`), on which the user may create databases; empty = none."""


def connect() -> "pymysql.Connection[Any]":
    """A connection of the test's own. Skips the test where there is no server."""
    if not MARIADB:
        pytest.skip("DATASTEAD_TEST_MARIADB is empty")
    account, _, place = MARIADB.rpartition("@")
    (user, _, password), (host, _, port) = account.partition(":"), place.partition(":")
    try:
        return pymysql.connect(
            user=user, password=password, host=host, port=int(port or 3306), autocommit=True, connect_timeout=3,
            ssl_disabled=True,  # else it reads all certificates of the system each time
        )  # fmt: skip
    except pymysql.err.OperationalError:
        pytest.skip("no MariaDB server is reachable (DATASTEAD_TEST_MARIADB)")


@contextmanager
def mariadb_database() -> Iterator[str]:
    """The URL of a new, empty database, dropped in the end."""
    name = f"datastead_test_{uuid4().hex}"
    with connect() as server, server.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        try:
            yield f"mariadb://{MARIADB}/{name}"
        finally:
            cursor.execute(f"DROP DATABASE {name}")


@contextmanager
def mariadb_ready() -> Iterator[str]:
    """A database with the platform's tables, as a migration leaves them, but for the numbers that count on."""
    kept = _kept.pop() if _kept else KeptDatabase()
    kept.clean()
    yield kept.url
    _kept.append(kept)


def drop_prepared() -> None:
    """Ends what `mariadb_ready` keeps."""
    while _kept:
        _kept.pop().drop()


class KeptDatabase:
    """A database with the platform's tables, and with nothing else each time that it is cleaned."""

    def __init__(self) -> None:
        self._whole = mariadb_database()
        self.url = self._whole.__enter__()
        self._name = self.url.rpartition("/")[2]
        migrated(self.url)
        with connect() as server, server.cursor() as cursor:
            self._rows = {table: self._read(cursor, table) for table in self._tables(cursor)}
            self._columns = self._described(cursor)

    def clean(self) -> None:
        """As it was when it was new. It is made anew where a test has changed the platform's own tables."""
        with connect() as server, server.cursor() as cursor:
            cursor.execute("SET foreign_key_checks = 0")
            for table in self._tables(cursor) - self._rows.keys():
                name = f"`{self._name}`.`{table.replace('`', '``')}`".replace("%", "%%")
                cursor.execute(f"DROP VIEW IF EXISTS {name}", ())
                cursor.execute(f"DROP TABLE IF EXISTS {name}", ())
            if self._described(cursor) != self._columns:
                self.drop()
                self.__init__()  # type: ignore[misc]  # the same, from the beginning
                return
            self._refill(server, cursor)

    def drop(self) -> None:
        self._whole.__exit__(None, None, None)

    def _refill(self, server: Any, cursor: Any) -> None:
        server.begin()
        for table, rows in self._rows.items():
            cursor.execute(f"DELETE FROM `{self._name}`.`{table}`")
            if rows:
                values = ", ".join(["%s"] * len(rows[0]))
                cursor.executemany(f"INSERT INTO `{self._name}`.`{table}` VALUES ({values})", rows)
        server.commit()

    def _tables(self, cursor: Any) -> set[str]:
        cursor.execute(f"SHOW TABLES IN `{self._name}`")
        return {name for (name,) in cursor}

    def _read(self, cursor: Any, table: str) -> list[tuple[Any, ...]]:
        cursor.execute(f"SELECT * FROM `{self._name}`.`{table}`")
        return list(cursor.fetchall())

    def _described(self, cursor: Any) -> list[tuple[Any, ...]]:
        cursor.execute(
            "SELECT table_name, column_name, column_type, column_default FROM information_schema.columns"
            " WHERE table_schema = %s ORDER BY table_name, ordinal_position", (self._name,)
        )  # fmt: skip
        return list(cursor.fetchall())


_kept: list[KeptDatabase] = []
