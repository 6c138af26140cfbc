"""Databases for tests. Most get one with the platform's tables in it, made once and cleaned between: to make one anew,
and to drop it, takes longer than most tests do.
"""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from datastead.data.engine import Database
from datastead.data.migrations import migrate

KINDS = ("sqlite", "postgresql", "mariadb")

POSTGRESQL = os.environ.get("DATASTEAD_TEST_POSTGRES", "postgresql://root@127.0.0.1:5432/postgres")
"""A server on which the user may create databases; empty = none."""

FINGERPRINT = """
    SELECT md5(string_agg(concat_ws(',', c.relname, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.atthasdef,
                                    c.relhastriggers, c.relhasindex), ';' ORDER BY c.relname, a.attnum))
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
      AND c.relname = ANY(%s)
"""
TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = ANY(%s)"
OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
SEQUENCES = "SELECT setval((quote_ident(schemaname) || '.' || quote_ident(sequencename))::regclass, 1, false) FROM pg_sequences WHERE last_value IS NOT NULL"
STRANGERS = """
    SELECT 'DROP SCHEMA ' || quote_ident(nspname) || ' CASCADE' FROM pg_namespace
      WHERE nspname !~ '^pg_' AND nspname NOT IN ('public', 'information_schema')
    UNION ALL SELECT 'DROP ROUTINE ' || oid::regprocedure || ' CASCADE' FROM pg_proc
      WHERE pronamespace = 'public'::regnamespace AND NOT starts_with(proname, 'datastead_')
    UNION ALL SELECT 'DROP TYPE ' || oid::regtype || ' CASCADE' FROM pg_type
      WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd')
"""


def sqlalchemy_url(url: str) -> str:
    """The same, for an engine of SQLAlchemy's, with the drivers that we have."""
    return url.replace("postgresql://", "postgresql+psycopg://").replace("mariadb://", "mariadb+pymysql://")


def sqlite_ready(path: Path) -> str:
    """The URL of a SQLite database at `path`, with the platform's tables."""
    shutil.copyfile(_sqlite_template(), path)
    return f"sqlite:///{path}"


@contextmanager
def postgresql_database() -> Iterator[str]:
    """A new PostgreSQL database, empty, dropped in the end. Skips the test where there is no server."""
    name = _create()
    try:
        yield _url(name)
    finally:
        _drop(name)


@contextmanager
def postgresql_ready() -> Iterator[str]:
    """A PostgreSQL database with the platform's tables, as a migration leaves them. Skips where there is no server."""
    prepared = _free.pop() if _free else Prepared.make()
    try:
        yield _url(prepared.name)
    finally:
        if prepared.clean():
            _free.append(prepared)
        else:
            _drop(prepared.name)


def drop_prepared() -> None:
    """Ends what `postgresql_ready` keeps."""
    while _free:
        _drop(_free.pop().name)


@dataclass(frozen=True)
class Prepared:
    """A migrated database, and what is in it then."""

    name: str
    tables: tuple[str, ...]
    fingerprint: str
    rows: dict[str, bytes]

    @classmethod
    def make(cls) -> "Prepared":
        name = _create()
        migrated(_url(name))
        with psycopg.connect(_url(name)) as connection:
            tables = tuple(row[0] for row in connection.execute(TABLES, [["r"]]))
            rows = {table: _copied(connection, table) for table in _filled(connection, tables)}
            return cls(name, tables, _fingerprint(connection, tables), rows)

    def clean(self) -> bool:
        """Makes it as it was; False where a test has changed the platform's own tables, so that it cannot be."""
        with psycopg.connect(_url(self.name)) as connection:
            connection.execute(OTHERS)
            own = set(self.tables)
            for kind, word in (("rp", "TABLE"), ("v", "VIEW"), ("m", "MATERIALIZED VIEW")):
                for (name,) in connection.execute(TABLES, [list(kind)]).fetchall():
                    if name not in own:
                        connection.execute(sql.SQL(f"DROP {word} IF EXISTS {{}} CASCADE").format(sql.Identifier(name)))
            for (statement,) in connection.execute(STRANGERS).fetchall():
                connection.execute(statement)
            if _fingerprint(connection, self.tables) != self.fingerprint:
                return False
            if filled := _filled(connection, self.tables):
                names = sql.SQL(", ").join(sql.Identifier(table) for table in filled)
                connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(names))
            connection.execute(SEQUENCES)
            for table, rows in self.rows.items():
                with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))) as copy:
                    copy.write(rows)
        return True


_free: list[Prepared] = []


@cache
def _sqlite_template() -> Path:
    path = Path(tempfile.mkdtemp(prefix="datastead-tests-")) / "template.db"
    migrated(f"sqlite:///{path}")
    return path


def migrated(url: str) -> None:
    async def run() -> None:
        database = Database.open(url)
        await database.start()
        await migrate(database)
        await database.close()

    with ThreadPoolExecutor(1) as elsewhere:  # the caller may be in an event loop
        elsewhere.submit(asyncio.run, run()).result()


def _create() -> str:
    if not POSTGRESQL:
        pytest.skip("DATASTEAD_TEST_POSTGRES is empty")
    name = f"datastead_test_{uuid4().hex}"
    try:
        server = psycopg.connect(POSTGRESQL, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        pytest.skip("no PostgreSQL server is reachable (DATASTEAD_TEST_POSTGRES)")
    with server:
        server.execute(f"CREATE DATABASE {name}".encode())
        server.execute(f"ALTER DATABASE {name} SET synchronous_commit = off".encode())  # nobody pulls the plug here
    return name


def _drop(name: str) -> None:
    with psycopg.connect(POSTGRESQL, autocommit=True) as server:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _url(name: str) -> str:
    return POSTGRESQL.rpartition("/")[0] + f"/{name}"


def _fingerprint(connection: psycopg.Connection, tables: tuple[str, ...]) -> str:
    row = connection.execute(FINGERPRINT, [list(tables)]).fetchone()
    return str(row and row[0])


def _filled(connection: psycopg.Connection, tables: tuple[str, ...]) -> list[str]:
    one = sql.SQL("SELECT {} WHERE EXISTS (SELECT 1 FROM {})")
    asked = sql.SQL(" UNION ALL ").join(one.format(sql.Literal(table), sql.Identifier(table)) for table in tables)
    return [row[0] for row in connection.execute(asked)]


def _copied(connection: psycopg.Connection, table: str) -> bytes:
    with connection.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))) as copy:
        return b"".join(bytes(part) for part in copy)
