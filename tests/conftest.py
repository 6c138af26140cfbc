"""Databases for tests: a SQLite file, and a PostgreSQL database where a server can be reached."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from datastead.data.engine import Database
from datastead.data.migrations import migrate
from tests.databases import drop_prepared, postgresql_database, postgresql_ready, sqlite_ready


def pytest_sessionfinish() -> None:
    drop_prepared()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with the platform's tables and nothing more, once for each kind that is supported."""
    if request.param == "sqlite":
        yield sqlite_ready(tmp_path / "data.db")
    else:
        with postgresql_ready() as url:
            yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table, once for each kind that is supported."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'data.db'}"
    else:
        with postgresql_database() as url:
            yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database, open, with the platform's tables."""
    database = Database.open(database_url)
    await database.start()
    await migrate(database)
    yield database
    await database.close()
