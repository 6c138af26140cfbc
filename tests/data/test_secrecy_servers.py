"""Nothing that a policy hides has any effect on what an actor is told: the same on PostgreSQL and MariaDB, in fewer
examples, as each takes many journeys to the server.
"""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datastead.data.schema import Permission
from tests.data.test_secrecy import World, check, fill, told, worlds
from tests.databases import postgresql_ready
from tests.mariadb import mariadb_ready

pytestmark = pytest.mark.full


@pytest.fixture(scope="module", params=["postgresql", "mariadb"])
def served(request: pytest.FixtureRequest) -> Iterator[World]:
    """Two databases on a server."""
    ready = mariadb_ready if request.param == "mariadb" else postgresql_ready
    with ready() as first, ready() as second:
        yield from worlds([first, second])


@settings(max_examples=100)
@given(data=st.data())
def test_what_is_hidden_changes_no_answer(served: World, data: st.DataObject) -> None:
    check(served, data)


def test_what_is_not_hidden_is_answered(served: World) -> None:
    row = {
        "id": 1,
        "status": "out",
        "author": None,
        "title": "x",
        "views": 1,
        "at": "2024-02-29 12:00:00",
        "labels": "[]",
    }
    schema = served.run(served.first.services.schemas.get())
    served.run(fill(served.first, {"authors": [], "posts": [row]}))
    permissions = [Permission("p", "posts", "read")]
    asked = ("posts", {"fields": list(row), "filter": {"views": {"_eq": 1}}, "sort": "-title"})
    items, meta = served.run(told(served.first, schema, permissions, asked))
    assert [dict(item) for item in items] == [row | {"at": "2024-02-29T12:00:00", "labels": []}]
    assert meta == {"total_count": 1, "filter_count": 1}
