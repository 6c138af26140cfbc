"""Carries GraphQL requests out, against the schema that exists for the caller."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    OperationType,
    execute,
    get_operation_ast,
    print_schema,
)

from datastead.api.answers import entry_of
from datastead.api.body import invalid
from datastead.api.doors import Doors
from datastead.api.graphql.call import Call, Exchange
from datastead.api.graphql.roots import roots_of
from datastead.api.graphql.subscribing import Wish, subscriptions_of
from datastead.context import Actor, Context
from datastead.data.schema import Plans, Schema
from datastead.errors import DatasteadError, GraphqlValidation, MethodNotAllowed
from datastead.graphql.budget import Budget
from datastead.graphql.documents import Documents, said
from datastead.graphql.reading import Info, Item
from datastead.graphql.schema import Types, schema_of
from datastead.graphql.view import Scope, View

log = logging.getLogger("datastead.api")

SCHEMAS_KEPT = 16


class Graphql:
    """What one app has: the schemas that were made last, and the documents that were checked against them.

    has_sockets: whether clients can subscribe.
    """

    def __init__(self, doors: Doors, *, has_sockets: bool = False) -> None:
        self._doors = doors
        self._has_sockets = has_sockets
        self._schemas: Plans[tuple[Schema, GraphQLSchema]] = Plans(SCHEMAS_KEPT)
        self._documents = Documents()
        self._making = asyncio.Lock()

    async def schema(self, ctx: Context, scope: Scope) -> GraphQLSchema:
        """The schema that exists for the actor."""
        schema = await ctx.services.schemas.get()
        key = (scope, *_who(ctx.actor), schema.policies.public_at(ctx.actor.ip))
        found = self._schemas.get(key)
        if found is not None and found[0] is schema:
            return found[1]
        async with self._making:
            found = self._schemas.get(key)
            if found is None or found[0] is not schema:
                made = await asyncio.to_thread(self._made, View(schema, ctx.actor), scope)
                found = self._schemas.put(key, (schema, made))
        return found[1]

    def _made(self, view: View, scope: Scope) -> GraphQLSchema:
        types, has_sockets = Types(view), self._has_sockets
        subscription = subscriptions_of(view, types, scope, self._doors) if has_sockets else {}
        return schema_of(*roots_of(view, types, scope, self._doors), subscription)

    async def sdl(self, ctx: Context, scope: Scope) -> str:
        """The schema, written down."""
        return await asyncio.to_thread(print_schema, await self.schema(ctx, scope))

    async def answer(
        self,
        ctx: Context,
        scope: Scope,
        request: Mapping[str, Any],
        exchange: Exchange | None = None,
        *,
        may_change: bool = True,
    ) -> dict[str, Any]:
        """What a request is answered. Raises for one that is not carried out at all.

        request: `{query, variables, operationName}`. exchange: what it came with; the scope `system` needs it.
        may_change: whether mutations are allowed.
        """
        text, variables, name = _parts(request)
        schema = await self.schema(ctx, scope)
        document = await self._documents.checked(ctx.services.settings, schema, text)
        operation = get_operation_ast(document, name)
        if operation is None:
            raise invalid("`operationName` has to name one of the operations of `query`.")
        if operation.operation is not OperationType.QUERY and not may_change:
            raise MethodNotAllowed("Only queries can be sent by GET; send a mutation by POST.")
        if operation.operation is OperationType.SUBSCRIPTION:
            raise invalid("Subscriptions need a WebSocket.")
        settings = ctx.services.settings
        call = Call(ctx, self._doors, Budget(settings.graphql_max_selects), self, exchange)
        return await self._carried_out(schema, document, call, variables, name)

    async def _carried_out(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        context: Call | Wish,
        variables: dict[str, Any] | None,
        name: str | None,
    ) -> dict[str, Any]:
        running = execute(
            schema, document, None, context, variables, name, field_resolver=_value, hide_suggestions=True
        )
        result = running if isinstance(running, ExecutionResult) else await running
        problems = result.errors or []
        if result.data is None and problems and all(error.path is None for error in problems):
            raise GraphqlValidation(errors=[said(error) for error in problems])  # of the variables
        told = {"errors": [_told(error) for error in problems]} if problems else {}
        return {**told, "data": result.data}

    async def wish(self, ctx: Context, scope: Scope, request: Mapping[str, Any]) -> Wish | None:
        """What a request subscribes to; None for a query or mutation. Raises for one that cannot be carried out."""
        text, variables, name = _parts(request)
        schema = await self.schema(ctx, scope)
        document = await self._documents.checked(ctx.services.settings, schema, text)
        operation = get_operation_ast(document, name)
        if operation is None or operation.operation is not OperationType.SUBSCRIPTION:
            return None
        wish = Wish(ctx)
        told = await self._carried_out(schema, document, wish, variables, name)
        if "errors" in told:
            raise GraphqlValidation(told["errors"][0]["message"], errors=told["errors"])
        return wish

    async def event(self, wish: Wish, scope: Scope, request: Mapping[str, Any], answer: Item) -> dict[str, Any]:
        """One event of a subscription, as it is answered."""
        text, variables, name = _parts(request)
        schema = await self.schema(wish.ctx, scope)
        if wish.checked is None or wish.checked[0] is not schema:
            wish.checked = schema, await self._documents.checked(wish.ctx.services.settings, schema, text)
        return await self._carried_out(
            schema,
            wish.checked[1],
            replace(wish, answer=answer),
            variables,
            name,
        )


def _who(actor: Actor) -> tuple[Any, ...]:
    """All that the schema of an actor depends on, beside the database's."""
    of_share = actor.share, tuple((each.collection, each.action, each.fields) for each in actor.grants)
    is_somebody = actor.user is not None, actor.lacks_tfa
    return (actor.is_admin, actor.has_app_access, is_somebody, tuple(sorted(actor.policies)), of_share)


def _parts(request: Mapping[str, Any]) -> tuple[str, dict[str, Any] | None, str | None]:
    text, variables, name = request.get("query"), request.get("variables"), request.get("operationName")
    if not isinstance(text, str) or not text.strip():
        raise invalid("`query` has to be text, in GraphQL.")
    if variables is not None and not isinstance(variables, dict):
        raise invalid("`variables` has to be an object.")
    if name is not None and not isinstance(name, str):
        raise invalid("`operationName` has to be text.")
    return text, variables, name or None


def _value(source: Any, info: Info, **_: Any) -> Any:
    """Items come as they were selected: under the names of the answer."""
    return source.get(info.path.key) if isinstance(source, dict) else None


def _told(error: GraphQLError) -> dict[str, Any]:
    """What went wrong with one field."""
    original = error.original_error
    if isinstance(original, DatasteadError):
        entry = entry_of(original)
    elif original is None or isinstance(original, GraphQLError):
        entry = {"message": error.message, "extensions": {"code": "GRAPHQL_EXECUTION"}}
    else:
        log.error("A field of a GraphQL request failed.", exc_info=original)
        entry = entry_of(DatasteadError("Something went wrong in the server."))
    return {**entry, **{name: value for name, value in said(error).items() if name != "message"}, "path": error.path}
