"""Documents of GraphQL: parsed within bounds, and checked against the schema that exists for who sends them."""

import re
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    NoSchemaIntrospectionCustomRule,
    SelectionSetNode,
    parse,
    specified_rules,
    validate,
    visit,
)
from graphql.language import Visitor

from datastead.data.schema import Plans
from datastead.errors import GraphqlValidation, InvalidPayload
from datastead.settings import Settings

QUOTED = re.compile(r"'([^']*)'")
"""Names in messages of graphql-core; in the contract's, which are of GraphQL in JavaScript, their quotes are double."""
KEPT = 200
MAX_ALIKE = 300
"""Selections of one set: each is compared with those of the same name, so their cost grows with the square."""


class Documents:
    """Those that were checked last are kept."""

    def __init__(self) -> None:
        self._kept: Plans[tuple[GraphQLSchema, DocumentNode]] = Plans(KEPT)

    def checked(self, settings: Settings, schema: GraphQLSchema, text: str) -> DocumentNode:
        """The document. Raises `InvalidPayload` for what is no GraphQL, and `GraphqlValidation`."""
        found = self._kept.get((id(schema), text))
        if found is not None and found[0] is schema:
            return found[1]
        document = _parsed(text, settings.graphql_query_token_limit)
        rules = list(specified_rules)
        rules += [] if settings.graphql_introspection else [NoSchemaIntrospectionCustomRule]
        problems = validate(schema, document, rules, max_errors=20, hide_suggestions=not settings.graphql_introspection)
        if problems:
            raise GraphqlValidation(errors=[said(error) for error in problems])
        self._kept.put((id(schema), text), (schema, document))
        return document


def said(error: GraphQLError) -> dict[str, Any]:
    """What is wrong with a request, and where."""
    places = [{"line": place.line, "column": place.column} for place in error.locations or ()]
    message = QUOTED.sub(r'"\1"', error.message)
    return {"message": message, **({"locations": places} if places else {})}


def _parsed(text: str, max_tokens: int) -> DocumentNode:
    try:
        document = parse(text, max_tokens=max_tokens)
        visit(document, _Sizes())
    except GraphQLError as error:
        raise _invalid(f"The query is not GraphQL: {error.message}") from None
    except RecursionError:
        raise _invalid("The query is nested too deep.") from None
    return document


class _Sizes(Visitor):
    """Refuses sets of selections that are too large to be compared."""

    def enter_selection_set(self, node: SelectionSetNode, *_: Any) -> None:
        if len(node.selections) > MAX_ALIKE:
            raise _invalid(f"A selection may have {MAX_ALIKE} entries.")


def _invalid(reason: str) -> InvalidPayload:
    return InvalidPayload(reason, reason=reason)
