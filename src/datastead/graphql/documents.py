"""Documents of GraphQL: parsed within bounds, and checked against the schema that exists for who sends them."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
    specified_rules,
    validate,
)

from datastead.data.schema import Plans
from datastead.errors import GraphqlValidation, InvalidPayload
from datastead.graphql.budget import MAX_VISITED
from datastead.settings import Settings

QUOTED = re.compile(r"'([^']*)'")
"""Names in messages of graphql-core; in the contract's, which are of GraphQL in JavaScript, their quotes are double."""
KEPT = 200
SHORT = 2_000
"""Characters: what is longer is checked beside the loop, so that others need not wait for it."""
LONGEST_KEPT = 20_000
"""Characters: one token of text may be as long as a request, and what is kept is kept for everybody."""
INTROSPECTION = {"__schema", "__type"}
MAX_NAMES = 8
MAX_PAIRS = 10_000
"""How many are compared, which takes a tenth of a second or two."""


class Documents:
    """Those that were checked last are kept."""

    def __init__(self) -> None:
        self._kept: Plans[tuple[GraphQLSchema, DocumentNode]] = Plans(KEPT)

    async def checked(self, settings: Settings, schema: GraphQLSchema, text: str) -> DocumentNode:
        """The document. Raises `InvalidPayload` for what is no GraphQL, and `GraphqlValidation`."""
        found = self._kept.get((id(schema), text))
        if found is not None and found[0] is schema:
            return found[1]
        if len(text) <= SHORT:
            document = _checked(settings, schema, text)
        else:
            document = await asyncio.to_thread(_checked, settings, schema, text)
        if len(text) <= LONGEST_KEPT:
            self._kept.put((id(schema), text), (schema, document))
        return document


def _checked(settings: Settings, schema: GraphQLSchema, text: str) -> DocumentNode:
    document = _parsed(text, settings.graphql_query_token_limit)
    rules = list(specified_rules)
    rules += [] if settings.graphql_introspection else [NoSchemaIntrospectionCustomRule]
    problems = validate(schema, document, rules, max_errors=20, hide_suggestions=not settings.graphql_introspection)
    if problems:
        raise GraphqlValidation(errors=[said(error) for error in problems])
    return document


def said(error: GraphQLError) -> dict[str, Any]:
    """What is wrong with a request, and where."""
    places = [{"line": place.line, "column": place.column} for place in error.locations or ()]
    message = QUOTED.sub(r'"\1"', error.message)
    return {"message": message, **({"locations": places} if places else {})}


def _parsed(text: str, max_tokens: int) -> DocumentNode:
    try:
        document = parse(text, max_tokens=max_tokens)
        _Costs(document)
    except GraphQLError as error:
        raise _invalid(f"The query is not GraphQL: {error.message}") from None
    except RecursionError:
        raise _invalid("The query is nested too deep.") from None
    return document


class _Costs:
    """What a document takes, with its fragments written out. Raises `InvalidPayload`.

    Entries of one name in one place are compared, each with each other, to see whether they can be answered together.
    What is asked of the schema is not counted when it is carried out: it may not be asked for under many names.
    """

    def __init__(self, document: DocumentNode) -> None:
        self._fragments = {
            each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
        }
        self._entries = self._pairs = self._names = 0
        for each in document.definitions:
            if isinstance(each, OperationDefinitionNode | FragmentDefinitionNode):
                self._visit([each.selection_set], frozenset())

    def _visit(self, sets: Sequence[SelectionSetNode], inside: frozenset[str], *, is_schema: bool = False) -> None:
        """What is selected in one place. inside: the fragments that lead there. is_schema: of the schema."""
        found: dict[str, list[SelectionSetNode]] = {}
        asks_schema: dict[str, bool] = {}
        counts: Counter[str] = Counter()
        spread: set[str] = set()
        for each in sets:
            for node in self._fields(each, inside, spread):
                name = node.alias.value if node.alias else node.name.value
                self._pairs += counts[name]
                counts[name] += 1
                self._names += node.alias is not None and (is_schema or node.name.value in INTROSPECTION)
                if node.selection_set is not None:
                    asks_schema[name] = node.name.value in INTROSPECTION
                    found.setdefault(name, []).append(node.selection_set)
        if self._pairs > MAX_PAIRS:
            raise _invalid("The query selects the same in the same place too often: select it once.")
        if self._names > MAX_NAMES:
            raise _invalid(f"The query asks for parts of the schema under more than {MAX_NAMES} other names.")
        for name, below in found.items():
            self._visit(below, inside | spread, is_schema=is_schema or asks_schema[name])

    def _fields(self, selected: SelectionSetNode, inside: frozenset[str], spread: set[str]) -> Iterator[FieldNode]:
        for node in selected.selections:
            self._entries += 1
            if self._entries > MAX_VISITED:
                raise _invalid(f"The query has more than {MAX_VISITED} entries, with its fragments written out.")
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, InlineFragmentNode):
                yield from self._fields(node.selection_set, inside, spread)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in inside | spread:
                spread.add(node.name.value)
                fragment = self._fragments.get(node.name.value)
                if fragment is not None:
                    yield from self._fields(fragment.selection_set, inside, spread)


def _invalid(reason: str) -> InvalidPayload:
    return InvalidPayload(reason, reason=reason)
