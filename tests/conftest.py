"""Databases for tests: a SQLite file, and one of PostgreSQL's and of MariaDB's where a server can be reached."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from datastead.data.engine import Database
from datastead.data.migrations import migrate
from tests import mariadb
from tests.databases import KINDS, drop_prepared, postgresql_database, postgresql_ready, sqlite_ready


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "mariadb: runs on MariaDB in `make test`, too; the others in `make test-full`")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All that run on MariaDB would take as long as all others do: most of them are left to `make test-full`."""
    for item in items:
        is_on_mariadb = "mariadb" in item.name.partition("[")[2].rstrip("]").split("-")
        if is_on_mariadb and item.get_closest_marker("mariadb") is None:
            item.add_marker("full")


def pytest_sessionfinish() -> None:
    drop_prepared()
    mariadb.drop_prepared()


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database with the platform's tables and nothing more, once for each kind that is supported."""
    if request.param == "sqlite":
        yield sqlite_ready(tmp_path / "data.db")
    elif request.param == "mariadb":
        with mariadb.mariadb_ready() as url:
            yield url
    else:
        with postgresql_ready() as url:
            yield url


@pytest.fixture(params=KINDS)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without any table, once for each kind that is supported."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'data.db'}"
    elif request.param == "mariadb":
        with mariadb.mariadb_database() as url:
            yield url
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
