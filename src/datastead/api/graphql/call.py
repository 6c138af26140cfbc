"""`Call`: a GraphQL request that is carried out; and how a root field becomes a call of one service."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphql import GraphQLArgument, GraphQLField
from starlette.requests import Request
from starlette.responses import Response

from datastead.api.doors import Doors
from datastead.context import Actor, Context
from datastead.graphql.budget import Budget
from datastead.graphql.reading import Info, Selection

if TYPE_CHECKING:
    from datastead.api.graphql.service import Graphql

Arguments = Mapping[str, Any]
Work = Callable[["Call", Info, Arguments], Awaitable[Any]]
Fields = dict[str, GraphQLField]


@dataclass(frozen=True)
class Exchange:
    """The HTTP request that a GraphQL request came with, and the answer that cookies are set with."""

    request: Request
    answer: Response


@dataclass(frozen=True)
class Call:
    """A request that is carried out. exchange: None over a WebSocket, where there is only the scope `items`."""

    ctx: Context
    doors: Doors
    budget: Budget
    graphql: "Graphql"
    exchange: Exchange | None = None

    def selection(self, info: Info) -> Selection:
        """What a root field asks for."""
        return Selection(info, self.ctx.services.settings, self.budget)

    def visitor(self) -> Context:
        """For whoever asks to be let in: nobody yet, whatever token there is."""
        actor = self.ctx.actor
        return self.ctx.acting_as(Actor(ip=actor.ip, user_agent=actor.user_agent, origin=actor.origin))

    @property
    def http(self) -> Exchange:
        """The exchange, in the scope `system`."""
        assert self.exchange is not None
        return self.exchange


def field(kind: Any, arguments: Mapping[str, GraphQLArgument], work: Work) -> GraphQLField:
    """A root field that does something."""

    async def resolve(_: Any, info: Info, **given: Any) -> Any:
        call: Call = info.context
        return await work(call, info, given)

    return GraphQLField(kind, dict(arguments), resolve)


def system_field(kind: Any, work: Work, **arguments: GraphQLArgument) -> GraphQLField:
    """One that reads no items: it counts as much as a list does."""

    async def counted(call: Call, info: Info, given: Arguments) -> Any:
        call.budget.take_select()
        return await work(call, info, {name: value for name, value in given.items() if value is not None})

    return field(kind, arguments, counted)


def model_field(kind: Any, work: Work, **arguments: GraphQLArgument) -> GraphQLField:
    """One that answers all that the database has, of which a request may have few."""

    async def counted(call: Call, info: Info, given: Arguments) -> Any:
        call.budget.take_model()
        return await work(call, info, {name: value for name, value in given.items() if value is not None})

    return field(kind, arguments, counted)


def entrance(kind: Any, work: Work, **arguments: GraphQLArgument) -> GraphQLField:
    """One by which one is let in, or that tries a password: a request has one of them."""

    async def counted(call: Call, info: Info, given: Arguments) -> Any:
        call.budget.take_login()
        return await work(call, info, {name: value for name, value in given.items() if value is not None})

    return field(kind, arguments, counted)
