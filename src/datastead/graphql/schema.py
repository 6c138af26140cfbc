"""The GraphQL schema of an actor: types and arguments, made from its `View`. What it may not see is not there."""

from collections.abc import Mapping
from typing import Any

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInt,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLString,
    GraphQLUnionType,
)

from datastead.data.aggregates import NUMBERS
from datastead.data.permissions import Action
from datastead.data.schema import Collection, Field
from datastead.graphql.reading import FUNCTIONS_OF, TYPE_KEY
from datastead.graphql.types import FUNCTION_OPERATORS, FUNCTIONS, JSON, functions_of, operators_of, scalar_of
from datastead.graphql.view import Link, View, union_of

COUNTS = ("count", "countDistinct")
SUMS = ("sum", "sumDistinct", "avg", "avgDistinct", "min", "max")


class Types:
    """The types of the collections, each made when it is first needed."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._objects: dict[str, GraphQLObjectType] = {}
        self._inputs: dict[str, GraphQLInputObjectType] = {}
        self._unions: dict[tuple[str, str], GraphQLUnionType] = {}
        self._own: set[str] = set()

    def item(self, name: str) -> GraphQLObjectType:
        """An item of a collection."""
        found = self._objects.get(name)
        if found is None:
            collection = self._view.schema.collection(name)
            key = collection.primary.name if collection.primary else next(iter(collection.columns))
            found = self._objects[name] = GraphQLObjectType(
                name, lambda: self._item_fields(collection), extensions={"collection": name, "key": key}
            )
        return found

    def own(self, name: str) -> GraphQLObjectType:
        """An item that is the caller's own: of which it sees the key at least."""
        self._own.add(name)
        return self.item(name)

    def _item_fields(self, collection: Collection) -> dict[str, GraphQLField]:
        visible = self._view.fields("read", collection)
        made: dict[str, GraphQLField] = {}
        if collection.name in self._own and collection.primary is not None:
            visible = {collection.primary.name: collection.primary} | visible
        for item in visible.values():
            made |= self._fields_of(item, visible)
        return made or {"_empty": GraphQLField(GraphQLString, extensions={"kind": "column"})}

    def _fields_of(self, item: Field, visible: Mapping[str, Field]) -> dict[str, GraphQLField]:
        """The field, and the one with its functions."""
        link, made = self._view.link("read", item), dict[str, GraphQLField]()
        if link is not None and link.kind == "many" and link.target:
            listed = GraphQLList(self.item(link.target))
            made[item.name] = GraphQLField(listed, self.list_arguments(link.target), extensions={"kind": "many"})
        elif link is not None and link.kind == "one" and link.target:
            arguments = self.list_arguments(link.target)
            made[item.name] = GraphQLField(self.item(link.target), arguments, extensions={"kind": "one"})
        elif link is not None and link.relation.collection_field in visible:
            says = {"kind": "any", "says": link.relation.collection_field}
            made[item.name] = GraphQLField(self._union(link), extensions=says)
        elif not item.is_alias:
            made[item.name] = GraphQLField(self._value(item), extensions={"kind": "column"})
        functions = "count" if link is not None and link.kind == "many" else functions_of(item)
        name = f"{item.name}_func"
        if functions is not None and item.name in made and name not in visible and not item.is_concealed:
            made[name] = GraphQLField(FUNCTIONS[functions], extensions={"kind": "call", "field": item.name})
        return made

    def _value(self, item: Field) -> Any:
        """The type of a value. Who sees it in some rows only is not promised one."""
        is_key = item.column is not None and item.column.is_primary_key
        kind = GraphQLID if is_key else scalar_of(item)
        return GraphQLNonNull(kind) if is_key and self._view.actor.is_admin else kind

    def _union(self, link: Link) -> GraphQLUnionType:
        relation, name = link.relation, union_of(link.relation)
        key = (relation.collection, relation.field)
        if key not in self._unions:
            while any(each.name == name for each in self._unions.values()):
                name += "_"  # `a_b` and `c` make the same name as `a` and `b_c`
            self._unions[key] = GraphQLUnionType(
                name, lambda: [self.item(target) for target in link.targets], lambda value, *_: str(value[TYPE_KEY])
            )
        return self._unions[key]

    def list_arguments(self, name: str) -> dict[str, GraphQLArgument]:
        """What a list can be asked for with. One item can, too: as in the contract, filters and terms may hide it."""
        return {
            "filter": GraphQLArgument(self.filter(name)),
            "sort": GraphQLArgument(GraphQLList(GraphQLString)),
            "limit": GraphQLArgument(GraphQLInt),
            "offset": GraphQLArgument(GraphQLInt),
            "page": GraphQLArgument(GraphQLInt),
            "search": GraphQLArgument(GraphQLString),
        }

    def filter(self, name: str, *, is_quantified: bool = False) -> GraphQLInputObjectType:
        """A filter of a collection's items. is_quantified: of a list, with `_some` and `_none`."""
        called = f"{name}_{'quantifier_' if is_quantified else ''}filter"
        if called not in self._inputs:
            self._inputs[called] = GraphQLInputObjectType(
                called, lambda: self._conditions(self._view.schema.collection(name), is_quantified=is_quantified)
            )
        return self._inputs[called]

    def _conditions(self, collection: Collection, *, is_quantified: bool) -> dict[str, GraphQLInputField]:
        own, made = self.filter(collection.name), dict[str, GraphQLInputField]()
        visible = self._view.fields("read", collection)
        for name, item in visible.items():
            link = self._view.link("read", item)
            functions = functions_of(item)
            if link is not None and link.kind == "any":
                for target in link.targets:
                    made[f"{name}__{target}"] = GraphQLInputField(self.filter(target), out_name=f"{name}:{target}")
            elif link is not None and link.target:
                made[name] = GraphQLInputField(self.filter(link.target, is_quantified=link.kind == "many"))
                functions = "count" if link.kind == "many" else functions
            elif not item.is_alias:
                made[name] = GraphQLInputField(operators_of(item))
            if functions is not None and name in made and f"{name}_func" not in visible:
                made[f"{name}_func"] = GraphQLInputField(
                    FUNCTION_OPERATORS[functions], out_name=f"{FUNCTIONS_OF}{name}"
                )
        made |= {word: GraphQLInputField(GraphQLList(own)) for word in ("_and", "_or")}
        if is_quantified:
            made |= {word: GraphQLInputField(own) for word in ("_some", "_none")}
        return made

    def sums(self, name: str) -> GraphQLObjectType:
        """The sums of a collection's items."""
        called = f"{name}_aggregated"
        if called not in self._objects:
            self._objects[called] = GraphQLObjectType(called, lambda: self._sum_fields(name))
        return self._objects[called]

    def _sum_fields(self, name: str) -> dict[str, GraphQLField]:
        visible = self._view.fields("read", self._view.schema.collection(name))
        stored = {key: item for key, item in visible.items() if not (item.is_alias or item.is_concealed)}
        numbers = [key for key, item in stored.items() if item.type in NUMBERS]
        made = {"group": GraphQLField(JSON), "countAll": GraphQLField(GraphQLInt)}
        counted = GraphQLObjectType(f"{name}_aggregated_count", {key: GraphQLField(GraphQLInt) for key in stored})
        summed = GraphQLObjectType(f"{name}_aggregated_fields", {key: GraphQLField(GraphQLFloat) for key in numbers})
        made |= {function: GraphQLField(counted) for function in COUNTS if stored}
        return made | {function: GraphQLField(summed) for function in SUMS if numbers}

    def input(self, action: Action, name: str) -> GraphQLInputObjectType:
        """An item that is created, or what is changed of one."""
        called = f"{action}_{name}_input"
        if called not in self._inputs:
            self._inputs[called] = GraphQLInputObjectType(
                called, lambda: self._inputs_of(action, self._view.schema.collection(name))
            )
        return self._inputs[called]

    def _inputs_of(self, action: Action, collection: Collection) -> dict[str, GraphQLInputField]:
        made: dict[str, GraphQLInputField] = {}
        fields = self._view.fields(action, collection)
        if action == "update" and collection.primary is not None and self._view.sees(collection.primary):
            fields = {collection.primary.name: collection.primary} | fields  # a batch says by it which item is meant
        for name, item in fields.items():
            link = self._view.link(action, item)
            if link is not None and link.kind == "many" and link.target:
                made[name] = GraphQLInputField(GraphQLList(self.input(action, link.target)))
            elif link is not None and link.kind == "one" and link.target:
                made[name] = GraphQLInputField(self.input(action, link.target))
            elif link is not None:
                made[name] = GraphQLInputField(JSON)
            elif not item.is_alias:
                is_key = item.column is not None and item.column.is_primary_key
                made[name] = GraphQLInputField(GraphQLID if is_key else scalar_of(item))
        return made or {"_empty": GraphQLInputField(GraphQLString)}


def schema_of(
    query: dict[str, GraphQLField], mutation: dict[str, GraphQLField], subscription: dict[str, GraphQLField]
) -> GraphQLSchema:
    """The schema with these roots."""
    nothing = {"_empty": GraphQLField(GraphQLString, resolve=lambda *_: None)}
    return GraphQLSchema(
        GraphQLObjectType("Query", query or nothing),
        GraphQLObjectType("Mutation", mutation) if mutation else None,
        GraphQLObjectType("Subscription", subscription) if subscription else None,
    )
