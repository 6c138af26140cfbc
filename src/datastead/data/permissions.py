"""Permissions: the one place where it is decided what an actor may do, and which rows and fields it gets.

Whoever reads or writes goes through `restrict` or `require` first. What they say is about the query, before it becomes
SQL; rows that an actor may not see are left out by the database, never by a loop.
"""

from typing import Literal

from datastead.context import Actor
from datastead.data.query import Query
from datastead.data.schema import Collection
from datastead.errors import Forbidden

Action = Literal["create", "read", "update", "delete"]


def require(actor: Actor, action: Action, collection: Collection) -> None:
    """Raises `Forbidden`, unless the actor may do this in the collection at all."""
    if not actor.is_admin:
        reason = f"The collection `{collection.name}` does not exist, or you are not allowed to {action} in it."
        raise Forbidden(reason, reason=reason)


def restrict(actor: Actor, action: Action, collection: Collection, query: Query) -> Query:
    """The query that runs instead: for the rows and fields that the actor may read. An administrator's is unchanged."""
    require(actor, action, collection)
    return query


def require_admin(actor: Actor) -> None:
    """Raises `Forbidden`: some things are an administrator's."""
    if not actor.is_admin:
        raise Forbidden
