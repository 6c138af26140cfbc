"""`Question`: a query as it is carried out: its shape, of which the SQL is kept, and apart from it the values."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from datastead.data.conditions import search_of
from datastead.data.filters import Filter, Limits, Node, size_of
from datastead.data.query import Query
from datastead.data.rights import Signature
from datastead.data.schema import Collection, Schema
from datastead.data.selection import One, Selection
from datastead.data.sources import refused

Parse = Callable[[Mapping[str, Any] | None], Filter]
Values = tuple[list[Any], ...]


@dataclass(frozen=True, slots=True)
class Question:
    """values: of the filter, then of those of `selection.ones`. terms: parameters of what is searched for."""

    selection: Selection
    values: Values = ([],)
    terms: dict[str, Any] = field(default_factory=dict)


def question_of(
    schema: Schema, collection: Collection, query: Query, parse: Parse, limits: Limits, *, rights: Signature | None
) -> Question:
    """The question to a collection. parse: its filters. limits: of these together. Raises `InvalidQuery`."""
    found, search = parse(query.filter), search_of(query.search)
    values, terms, ones = [found.values], search.values, list[One]()
    for path, asked in _of_one(schema, collection, query, ()) if query.deep else ():
        inner, term = parse(asked.filter), search_of(asked.search, f"s{len(ones)}")
        ones.append(One(path, inner.node, term.shape, tuple(asked.alias.items())))
        values.append(inner.values)
        terms |= term.values
    _check_sizes([found.node, *(one.node for one in ones)], values, limits)
    selection = Selection(
        tuple(query.fields),
        found.node,
        tuple(query.sort),
        search.shape,
        aliases=tuple(query.alias.items()),
        aggregate=tuple(query.aggregate),
        group=tuple(query.group),
        rights=rights,
        ones=tuple(ones),
    )
    return Question(selection, tuple(values), terms)


def _check_sizes(nodes: Sequence[Node], values: Sequence[list[Any]], limits: Limits) -> None:
    """Each filter is small enough: those of one SELECT have to be so together, too."""
    if len(nodes) == 1:
        return
    if sum(map(size_of, nodes)) > limits.conditions:
        raise refused(f"filters may have {limits.conditions} conditions together (`QUERY_FILTER_MAX_CONDITIONS`)")
    if sum(map(len, values)) > limits.values:
        raise refused(f"filters may have {limits.values} values together (`QUERY_FILTER_MAX_VALUES`)")


def _of_one(
    schema: Schema, collection: Collection, query: Query, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Query]]:
    """What `deep` asks of fields that refer to one item, by their paths. What is asked of other names is not for here:
    it counts where a list of that name is read, and nowhere else.
    """
    for name, asked in query.deep.items():
        bare, _, scope = name.partition(":")
        relation = schema.relation(collection.name, query.alias.get(bare, bare))
        if relation is None or (scope and scope not in relation.allowed_collections):
            continue
        target = schema.collections.get(scope or relation.related or "")
        if target is not None:
            if asked.filter or asked.search or asked.alias:
                yield (*path, name), asked
            yield from _of_one(schema, target, asked, (*path, name))
