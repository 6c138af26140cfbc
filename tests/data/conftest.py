"""Services without models and flows: what the data layer needs."""

from collections.abc import Awaitable
from typing import cast

import pytest

from datastead.ai.engine import AI
from datastead.context import SYSTEM, Context, Services
from datastead.data.changes import Changes
from datastead.data.engine import Database
from datastead.data.schema import Schemas
from datastead.errors import RequestError
from datastead.events import Bus
from datastead.extensions import Registry
from datastead.flows.service import Flows
from datastead.settings import Settings


async def refusal(work: Awaitable[object]) -> type[RequestError] | None:
    """How the work is refused; None where it is not. For tables, whose cases share what takes long to set up."""
    try:
        await work
    except RequestError as error:
        return type(error)
    return None


def make_context(database: Database) -> Context:
    """An administrator's context. There are no models and no flows here: nothing in `data` may know of them."""
    services = Services(
        settings=Settings(),
        registry=cast("Registry", None),
        database=database,
        schemas=Schemas(database),
        bus=Bus(),
        ai=cast("AI", None),
        flows=cast("Flows", None),
    )
    return Context(services, actor=SYSTEM)


@pytest.fixture
def ctx(database: Database) -> Context:
    return make_context(database)


@pytest.fixture
async def blog(ctx: Context) -> Context:
    """A context on a database with `authors` and `posts`."""
    changes = Changes(ctx)
    await changes.create_collection(
        {
            "collection": "authors",
            "schema": {},
            "fields": [
                {"field": "name", "type": "string", "schema": {"max_length": 20, "is_unique": True}},
                {"field": "age", "type": "integer"},
                {"field": "posts", "type": "alias", "meta": {"special": ["o2m"]}},
            ],
        }
    )
    await changes.create_collection(
        {
            "collection": "posts",
            "schema": {},
            "fields": [
                {"field": "title", "type": "string", "schema": {"is_nullable": False}},
                {"field": "views", "type": "integer", "schema": {"default_value": 0}},
                {"field": "author", "type": "integer"},
            ],
        }
    )
    await changes.create_relation(
        {
            "collection": "posts",
            "field": "author",
            "related_collection": "authors",
            "meta": {"one_field": "posts"},
            "schema": {"on_delete": "CASCADE"},
        }
    )
    return ctx
