"""What only PostgreSQL has: plans that its connections keep."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from datastead.data.links import prepare
from datastead.data.postgresql import PostgresqlDriver
from tests.databases import postgresql_database

TABLES = "CREATE TABLE sources (id int PRIMARY KEY); CREATE TABLE notes (source int NOT NULL REFERENCES sources)"
ADD = "INSERT INTO sources SELECT generate_series((SELECT count(*) FROM sources) + 1, (SELECT count(*) FROM sources) + :n)"
NOTE = "INSERT INTO notes SELECT max(id) FROM sources"
WHOLE_READS = "SELECT pg_stat_get_xact_numscans('sources'::regclass)"


@pytest.fixture
def url() -> Iterator[str]:
    with postgresql_database() as url:
        yield url


def test_a_table_that_has_grown_is_not_read_whole_for_each_row_that_refers_to_it(url: str) -> None:
    driver = PostgresqlDriver(sa.make_url(url))
    link = driver.connect(write=True)
    try:
        link.connection.exec_driver_sql(TABLES)
        add, note, count = (prepare(driver.dialect, sa.text(text), None) for text in (ADD, NOTE, WHOLE_READS))
        link.fetch(add, {"n": 1})
        link.control("ANALYZE")
        for _ in range(20):  # while it is small, reading it whole is the best plan, and is kept
            link.fetch(note, [])
        link.fetch(add, {"n": 5000})
        for _ in range(20):
            link.fetch(note, [])
        link.begin(write=True)
        before = link.fetch(count, [])
        link.fetch(note, [])
        assert link.fetch(count, []) == before
        link.control("ROLLBACK")
    finally:
        link.close()
        driver.close()
