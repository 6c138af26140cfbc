"""Databases for tests: a SQLite file, and a new PostgreSQL database where a server can be reached."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from datastead.data.engine import Database
from datastead.data.migrations import migrate

POSTGRESQL = os.environ.get("DATASTEAD_TEST_POSTGRES", "postgresql://root@127.0.0.1:5432/postgres")
"""A server on which the user may create databases; empty = none."""


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a new, empty database, once for each kind that is supported."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'data.db'}"
    else:
        with postgresql_database() as url:
            yield url


@contextmanager
def postgresql_database() -> Iterator[str]:
    """A new PostgreSQL database, dropped in the end. Skips the test where there is no server."""
    name = f"datastead_test_{uuid4().hex}"
    try:
        if not POSTGRESQL:
            pytest.skip("DATASTEAD_TEST_POSTGRES is empty")
        server = psycopg.connect(POSTGRESQL, autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        pytest.skip("no PostgreSQL server is reachable (DATASTEAD_TEST_POSTGRES)")
    with server:
        server.execute(f"CREATE DATABASE {name}".encode())
    try:
        yield POSTGRESQL.rpartition("/")[0] + f"/{name}"
    finally:
        with psycopg.connect(POSTGRESQL, autocommit=True) as server:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database, open, with the platform's tables."""
    database = Database.open(database_url)
    await database.start()
    await migrate(database)
    yield database
    await database.close()
