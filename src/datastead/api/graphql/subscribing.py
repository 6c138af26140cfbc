"""Subscriptions: `articles_mutated(event: …) { key event data { … } }`, told of each item that is changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from graphql import (
    DocumentNode,
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLID,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
)

from datastead.api.doors import Doors
from datastead.context import Context
from datastead.data.query import Query
from datastead.graphql.budget import Budget
from datastead.graphql.reading import Info, Item, Selection, Shape, projected
from datastead.graphql.schema import Types
from datastead.graphql.view import Scope, View, is_system, short

EVENT = GraphQLEnumType("EventEnum", {name: name for name in ("create", "update", "delete")})


@dataclass
class Wish:
    """What a subscription asks for: the collection, the event, the query for its items, and how its answers look.

    answer: of the event that is told now; None while it is only found out what is asked for.
    checked: the document, against the schema that there was then.
    """

    ctx: Context
    collection: str = ""
    event: Any = None
    query: Query = field(default_factory=Query)
    names: Mapping[str, str] = field(default_factory=dict)
    shape: Shape = field(default_factory=dict)
    key: str = ""
    answer: Item | None = None
    checked: tuple[GraphQLSchema, DocumentNode] | None = None

    def learn(self, collection: str, info: Info, event: Any) -> None:
        """Finds out what is asked for, from the root field."""
        settings = self.ctx.services.settings
        selection = Selection(info, settings, Budget(settings.graphql_max_selects))
        of = cast("GraphQLObjectType", get_named_type(info.return_type))
        item = cast("GraphQLObjectType", get_named_type(of.fields["data"].type))
        self.names, self.query, self.shape = selection.mutated(of, item)
        self.collection, self.event, self.key = collection, event, item.extensions["key"]

    def told(self, event: str, key: Any, row: Item | None) -> Item:
        """What is answered for one item. row: None for one that is gone."""
        found = {"event": event, "key": key, "data": None if row is None else projected(row, self.shape)}
        return {wanted: found.get(name) for wanted, name in self.names.items()}


def subscriptions_of(view: View, types: Types, scope: Scope, doors: Doors) -> dict[str, GraphQLField]:
    """The fields of `Subscription`."""
    return {
        f"{short(name)}_mutated": _mutated(types, name)
        for name in sorted(view.names)
        if (scope == "system") == is_system(name) and doors.shows(name) and view.may("read", name)
    }


def _mutated(types: Types, name: str) -> GraphQLField:
    async def resolve(_: Any, info: Info, event: Any = None) -> Item | None:
        wish: Wish = info.context
        if wish.answer is None:
            wish.learn(name, info, event)
        return wish.answer

    of = GraphQLObjectType(
        f"{name}_mutated",
        lambda: {
            "key": GraphQLField(GraphQLNonNull(GraphQLID)),
            "event": GraphQLField(EVENT),
            "data": GraphQLField(types.item(name)),
        },
    )
    return GraphQLField(of, {"event": GraphQLArgument(EVENT)}, resolve)
