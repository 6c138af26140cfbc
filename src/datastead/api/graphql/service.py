"""Carries GraphQL requests out: parsed and checked within bounds, against the schema that exists for the caller."""

import asyncio
import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    OperationType,
    SelectionSetNode,
    execute,
    get_operation_ast,
    parse,
    print_schema,
    specified_rules,
    validate,
    visit,
)
from graphql.language import Visitor

from datastead.api.answers import entry_of
from datastead.api.body import invalid
from datastead.api.doors import Doors
from datastead.api.graphql.call import Call, Exchange
from datastead.api.graphql.reading import Budget, Info, Item
from datastead.api.graphql.roots import roots_of
from datastead.api.graphql.schema import Types, schema_of
from datastead.api.graphql.subscribing import Wish, subscriptions_of
from datastead.api.graphql.view import Scope, View
from datastead.context import Actor, Context
from datastead.data.schema import Plans, Schema
from datastead.errors import DatasteadError, GraphqlValidation, InvalidPayload, MethodNotAllowed

log = logging.getLogger("datastead.api")

QUOTED = re.compile(r"'([^']*)'")
"""Names in messages of graphql-core; in the contract's, which are of GraphQL in JavaScript, their quotes are double."""
SCHEMAS_KEPT = 16
DOCUMENTS_KEPT = 200
MAX_ALIKE = 300
"""Selections of one set: each is compared with those of the same name, so their cost grows with the square."""


class Graphql:
    """What one app has: the schemas that were made last, and the documents that were checked against them.

    has_sockets: whether clients can subscribe.
    """

    def __init__(self, doors: Doors, *, has_sockets: bool = False) -> None:
        self._doors = doors
        self._has_sockets = has_sockets
        self._schemas: Plans[tuple[Schema, GraphQLSchema]] = Plans(SCHEMAS_KEPT)
        self._documents: Plans[tuple[GraphQLSchema, DocumentNode]] = Plans(DOCUMENTS_KEPT)
        self._making = asyncio.Lock()

    async def schema(self, ctx: Context, scope: Scope) -> GraphQLSchema:
        """The schema that exists for the actor."""
        schema, key = await ctx.services.schemas.get(), (scope, *_who(ctx.actor))
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
        document = self._document(ctx, schema, text)
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
            raise GraphqlValidation(errors=[_said(error) for error in problems])  # of the variables
        told = {"errors": [_told(error) for error in problems]} if problems else {}
        return {**told, "data": result.data}

    async def wish(self, ctx: Context, scope: Scope, request: Mapping[str, Any]) -> Wish | None:
        """What a request subscribes to; None for a query or mutation. Raises for one that cannot be carried out."""
        text, variables, name = _parts(request)
        schema = await self.schema(ctx, scope)
        document = self._document(ctx, schema, text)
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
        return await self._carried_out(
            schema, self._document(wish.ctx, schema, text), replace(wish, answer=answer), variables, name
        )

    def _document(self, ctx: Context, schema: GraphQLSchema, text: str) -> DocumentNode:
        """The document, checked. Raises `InvalidPayload` and `GraphqlValidation`."""
        found = self._documents.get((id(schema), text))
        if found is not None and found[0] is schema:
            return found[1]
        settings = ctx.services.settings
        try:
            document = parse(text, max_tokens=settings.graphql_query_token_limit)
        except GraphQLError as error:
            reason = f"The query is not GraphQL: {error.message}"
            raise InvalidPayload(reason, reason=reason) from None
        except RecursionError:
            raise invalid("The query is nested too deep.") from None
        _check_size(document)
        rules = list(specified_rules)
        rules += [] if settings.graphql_introspection else [NoSchemaIntrospectionCustomRule]
        problems = validate(schema, document, rules, max_errors=20, hide_suggestions=not settings.graphql_introspection)
        if problems:
            raise GraphqlValidation(errors=[_said(error) for error in problems])
        self._documents.put((id(schema), text), (schema, document))
        return document


def _who(actor: Actor) -> tuple[Any, ...]:
    """All that the schema of an actor depends on, beside the database's."""
    return (actor.is_admin, actor.has_app_access, actor.user is not None, tuple(sorted(actor.policies)))


def _parts(request: Mapping[str, Any]) -> tuple[str, dict[str, Any] | None, str | None]:
    text, variables, name = request.get("query"), request.get("variables"), request.get("operationName")
    if not isinstance(text, str) or not text.strip():
        raise invalid("`query` has to be text, in GraphQL.")
    if variables is not None and not isinstance(variables, dict):
        raise invalid("`variables` has to be an object.")
    if name is not None and not isinstance(name, str):
        raise invalid("`operationName` has to be text.")
    return text, variables, name or None


class _Sizes(Visitor):
    """Refuses sets of selections that are too large to be compared."""

    def enter_selection_set(self, node: SelectionSetNode, *_: Any) -> None:
        if len(node.selections) > MAX_ALIKE:
            raise invalid(f"A selection may have {MAX_ALIKE} entries.")


def _check_size(document: DocumentNode) -> None:
    try:
        visit(document, _Sizes())
    except RecursionError:
        raise invalid("The query is nested too deep.") from None


def _value(source: Any, info: Info, **_: Any) -> Any:
    """Items come as they were selected: under the names of the answer."""
    return source.get(info.path.key) if isinstance(source, dict) else None


def _said(error: GraphQLError) -> dict[str, Any]:
    """What is wrong with a request, and where."""
    places = [{"line": place.line, "column": place.column} for place in error.locations or ()]
    message = QUOTED.sub(r'"\1"', error.message)
    return {"message": message, **({"locations": places} if places else {})}


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
    return {**entry, **{name: value for name, value in _said(error).items() if name != "message"}, "path": error.path}
