"""A selection of GraphQL to one `Query`, and its rows to what was selected.

A whole tree of fields becomes the fields, the aliases and the `deep` of one query, so that it takes one SELECT a level,
as over REST. What may be asked is what `Items.read` says: nothing is read here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import orjson
from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLIncludeDirective,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSkipDirective,
    GraphQLUnionType,
    InlineFragmentNode,
    SelectionSetNode,
    get_named_type,
)
from graphql.execution import get_argument_values, get_directive_values

from datastead.data.query import Query
from datastead.data.selection import Tree
from datastead.graphql.budget import Budget, too_much
from datastead.settings import Settings

Item = dict[str, Any]
Info = GraphQLResolveInfo[Any]
Read = Callable[[Item], Any]
Shape = dict[str, Read]
Path = tuple[str, ...]
TYPE_KEY = "\0type"
"""In a value of a union: the collection."""
FUNCTIONS_OF = "\0functions of "
"""In a filter: before the name of a field whose functions are compared."""
EXACT = 1 << 53
LISTS = ("filter", "sort", "limit", "offset", "page", "search")


@dataclass
class Level:
    """One SELECT that is being put together.

    aliases: name and field, by the path to the item whose fields they are. ones: what single items are asked for with.
    below: the levels of the lists in it. asked: under which path each field is read with which arguments. taken: those
    paths.
    """

    query: Query
    fields: dict[str, None] = field(default_factory=dict)
    aliases: dict[Path, dict[str, str]] = field(default_factory=dict)
    ones: dict[Path, Query] = field(default_factory=dict)
    below: dict[Path, "Level"] = field(default_factory=dict)
    asked: dict[tuple[Path, bytes], Path] = field(default_factory=dict)
    taken: set[Path] = field(default_factory=set)

    def finished(self) -> Query:
        """The query."""
        tree: Tree = {}
        for path in (*self.below, *self.ones, *self.aliases):
            place = tree
            for name in path:
                place = place.setdefault(name, {})
        return replace(self._built((), tree), fields=tuple(self.fields))

    def _built(self, path: Path, tree: Tree) -> Query:
        if path in self.below:
            return self.below[path].finished()
        own = self.ones.get(path, Query()) if path else self.query
        deep = {name: self._built((*path, name), inner) for name, inner in tree.items()}
        return replace(own, alias=self.aliases.get(path, {}), deep=deep)

    def path_of(self, path: Path, arguments: bytes, wanted: str) -> tuple[Path, bool]:
        """The path of a field that is asked for with these arguments, and whether nobody has asked for that before.

        A field that is asked for in several ways has several names.
        """
        known = self.asked.get((path, arguments))
        if known is not None:
            return known, False
        if path in self.taken:
            names = self.aliases.setdefault(path[:-1], {})
            name = f"{wanted}__{len(names)}"
            names[name] = path[-1]
            found = (*path[:-1], name)
        else:
            found = path
        self.asked[path, arguments] = found
        self.taken.add(found)
        return found, True


class Selection:
    """What one root field asks for."""

    def __init__(self, info: Info, settings: Settings, budget: Budget) -> None:
        self._info = info
        self._settings = settings
        self._budget = budget

    def items(self, arguments: Mapping[str, Any]) -> tuple[Query, Shape]:
        """The query for the items of the root field's type."""
        self._budget.take_select()
        of = get_named_type(self._info.return_type)
        level = Level(self._query(arguments))
        shape = self._visit(level, (), cast("GraphQLObjectType", of), self._info.field_nodes, 1)
        return level.finished(), shape

    def sums(self, arguments: Mapping[str, Any]) -> tuple[Query, Shape]:
        """The query for sums."""
        self._budget.take_select()
        wanted: dict[tuple[str, str], None] = {}
        shape: Shape = {}
        of = cast("GraphQLObjectType", get_named_type(self._info.return_type))
        for key, nodes in self._collected(self._info.field_nodes, of).items():
            name = nodes[0].name.value
            if name == "group":
                shape[key] = _groups(wanted)
            elif name == "countAll":
                wanted["countAll", "*"] = None
                shape[key] = lambda row: row["countAll"]
            elif name != "__typename":
                inner = cast("GraphQLObjectType", get_named_type(of.fields[name].type))
                parts = self._collected(nodes, inner)
                fields = {part: each[0].name.value for part, each in parts.items()}
                wanted |= {(name, each): None for each in fields.values() if each != "__typename"}
                shape[key] = _sum(name, fields)
        sums: dict[str, list[str]] = {}
        for function, name in wanted:
            sums.setdefault(function, []).append(name)
        return self._query(arguments, aggregate=sums, groupBy=arguments.get("groupBy")), shape

    def mutated(self, of: GraphQLObjectType, item: GraphQLObjectType) -> tuple[dict[str, str], Query, Shape]:
        """Of a subscription: the names under which its parts are answered, and the query for `data`, with the key."""
        parts = self._collected(self._info.field_nodes, of)
        level, shape = Level(Query(fields=())), Shape()
        for nodes in parts.values():
            if nodes[0].name.value == "data":
                shape |= self._visit(level, (), item, nodes, 1)
        level.fields[item.extensions["key"]] = None
        names = {key: nodes[0].name.value for key, nodes in parts.items()}
        return names, level.finished(), shape

    def _query(self, arguments: Mapping[str, Any], **more: Any) -> Query:
        given = {**{name: arguments.get(name) for name in LISTS}, **more}
        return Query.parse({**given, "filter": unfolded(given["filter"])}, self._settings)

    def _visit(self, level: Level, path: Path, of: GraphQLObjectType, nodes: Sequence[FieldNode], depth: int) -> Shape:
        """Adds what the nodes select of a type to the level; how it is read from the item there."""
        most = self._settings.max_relational_depth
        if depth > most:
            raise too_much(f"what lies deeper than {most} levels (`MAX_RELATIONAL_DEPTH`)")
        shape: Shape = {}
        for key, fields in self._collected(nodes, of).items():
            name = fields[0].name.value
            if name == "__typename":
                continue
            known = of.fields[name].extensions
            kind = known["kind"]
            if kind == "column":
                level.fields[".".join((*path, name))] = None
                shape[key] = _column(name)
            elif kind == "call":
                shape[key] = self._calls(level, path, of, fields, known["field"])
            elif kind == "many":
                shape[key] = self._many(level, path, of, fields, depth)
            elif kind == "one":
                shape[key] = self._one(level, path, of, fields, depth)
            else:
                shape[key] = self._any(level, path, of, fields, depth)
        if not shape and not path:
            level.fields[of.extensions["key"]] = None  # only `__typename`
        return shape

    def _calls(self, level: Level, path: Path, of: GraphQLObjectType, nodes: Sequence[FieldNode], name: str) -> Read:
        inner = cast("GraphQLObjectType", get_named_type(of.fields[nodes[0].name.value].type))
        parts = {key: each[0].name.value for key, each in self._collected(nodes, inner).items()}
        wanted = {key: part for key, part in parts.items() if part != "__typename"}
        level.fields |= dict.fromkeys(".".join((*path, f"{part}({name})")) for part in wanted.values())
        return lambda row: {key: row[f"{name}_{part}"] for key, part in wanted.items()}

    def _one(self, level: Level, path: Path, of: GraphQLObjectType, nodes: Sequence[FieldNode], depth: int) -> Read:
        """A field that refers to one item: its arguments may hide that."""
        place, query = self._place(level, path, of, nodes[0])
        if query is not None and query != Query():
            self._budget.take_select()
            level.ones[place] = query
        inner = cast("GraphQLObjectType", get_named_type(of.fields[nodes[0].name.value].type))
        below = self._visit(level, place, inner, nodes, depth + 1)
        if not below:
            level.fields[".".join((*place, inner.extensions["key"]))] = None
        return _one(place[-1], below)

    def _many(self, level: Level, path: Path, of: GraphQLObjectType, nodes: Sequence[FieldNode], depth: int) -> Read:
        place, query = self._place(level, path, of, nodes[0])
        if query is not None:
            self._budget.take_select()
            level.below[place] = Level(query)
            level.fields[".".join(place)] = None
        target = cast("GraphQLObjectType", get_named_type(of.fields[nodes[0].name.value].type))
        below = self._visit(level.below[place], (), target, nodes, depth + 1)
        return lambda row: [projected(each, below) for each in row.get(place[-1]) or ()]

    def _place(self, level: Level, path: Path, of: GraphQLObjectType, node: FieldNode) -> tuple[Path, Query | None]:
        """The path of a related field, and what its arguments ask for, where that is new."""
        name = node.name.value
        arguments = get_argument_values(of.fields[name], node, self._info.variable_values)
        told = orjson.dumps(arguments, option=orjson.OPT_SORT_KEYS, default=str)
        place, is_new = level.path_of((*path, name), told, node.alias.value if node.alias else name)
        return place, self._query(arguments) if is_new else None

    def _any(self, level: Level, path: Path, of: GraphQLObjectType, nodes: Sequence[FieldNode], depth: int) -> Read:
        """A field that refers to items of several collections."""
        name = nodes[0].name.value
        union = cast("GraphQLUnionType", get_named_type(of.fields[name].type))
        says = of.fields[name].extensions["says"]
        level.fields[".".join((*path, says))] = None
        shapes = {}
        for member in union.types:
            collection, place = member.extensions["collection"], (*path, f"{name}:{member.extensions['collection']}")
            shapes[collection] = self._visit(level, place, member, nodes, depth + 1)
            level.fields[".".join((*place, member.extensions["key"]))] = None

        def read(row: Item) -> Any:
            shape, item = shapes.get(row[says]), row.get(name)
            if shape is None or not isinstance(item, dict):
                return None
            return {**projected(item, shape), TYPE_KEY: row[says]}

        return read

    def _collected(self, nodes: Sequence[FieldNode], of: GraphQLObjectType) -> dict[str, list[FieldNode]]:
        """The fields that the nodes select of a type, by the names under which they are answered."""
        found: dict[str, list[FieldNode]] = {}
        seen: set[str] = set()
        for node in nodes:
            if node.selection_set is not None:
                for each in self._walked(node.selection_set, of, seen):
                    found.setdefault(each.alias.value if each.alias else each.name.value, []).append(each)
        return found

    def _walked(self, selected: SelectionSetNode, of: GraphQLObjectType, seen: set[str]) -> Iterator[FieldNode]:
        for node in selected.selections:
            self._budget.take_field()
            if not self._is_included(node):
                continue
            if isinstance(node, FieldNode):
                yield node
            elif isinstance(node, InlineFragmentNode):
                if node.type_condition is None or self._applies(node.type_condition.name.value, of):
                    yield from self._walked(node.selection_set, of, seen)
            elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen:
                seen.add(node.name.value)
                known: Any = self._info.fragments[node.name.value]
                fragment = getattr(known, "definition", known)  # graphql-core passes more than its annotation says
                if self._applies(fragment.type_condition.name.value, of):
                    yield from self._walked(fragment.selection_set, of, seen)

    def _applies(self, name: str, of: GraphQLObjectType) -> bool:
        """Whether a fragment on a type is about this one: itself, or a union that it is of."""
        other = self._info.schema.type_map.get(name)
        return name == of.name or (isinstance(other, GraphQLUnionType) and of in other.types)

    def _is_included(self, node: Any) -> bool:
        variables = self._info.variable_values
        skip = get_directive_values(GraphQLSkipDirective, node, variables)
        if skip and skip["if"]:
            return False
        include = get_directive_values(GraphQLIncludeDirective, node, variables)
        return not include or bool(include["if"])


def projected(item: Item, shape: Shape) -> Item:
    """What was selected of an item, under the names that were given."""
    return {key: read(item) for key, read in shape.items()}


def unfolded(raw: Any) -> Any:
    """A filter in the contract's words: `date_func: {year: …}` is `year(date)`."""
    if isinstance(raw, list):
        return [unfolded(each) for each in raw]
    if not isinstance(raw, Mapping):
        return raw
    found: dict[str, Any] = {}
    for name, value in raw.items():
        bare = name.removeprefix(FUNCTIONS_OF)
        if bare == name:
            found[name] = unfolded(value)
        elif isinstance(value, Mapping):
            found |= {f"{function}({bare})": condition for function, condition in value.items()}
    return found


def _column(name: str) -> Read:
    return lambda row: row.get(name)


def _one(name: str, shape: Shape) -> Read:
    def read(row: Item) -> Any:
        found = row.get(name)
        return projected(found, shape) if isinstance(found, dict) else None

    return read


def _sum(function: str, fields: Mapping[str, str]) -> Read:
    def read(row: Item) -> Any:
        of = row.get(function)
        return {key: _as_float(of.get(name)) if isinstance(of, dict) else None for key, name in fields.items()}

    return read


def _as_float(value: Any) -> Any:
    """A whole number that is more exact than a `Float` can be: graphql-core would refuse it."""
    return float(value) if isinstance(value, int) and abs(value) > EXACT else value


def _groups(wanted: Iterable[tuple[str, str]]) -> Read:
    """The values that a row was grouped by: all that is in it beside the sums that were asked for."""

    def read(row: Item) -> Any:
        sums = {function for function, _ in wanted}
        return {name: value for name, value in row.items() if name not in sums}

    return read
