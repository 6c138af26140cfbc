"""What the API reference says of the caller's own collections: a path, a schema and a tag each, as far as they may go.

The names are the contract's (`ItemsArticles`, `readItemsArticles`, `x-collection`), so that what generates types and
clients from it goes on working.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

from datastead.context import Actor
from datastead.data.permissions import Action, permitted_fields
from datastead.data.schema import Collection, Field, Schema
from datastead.data.wire import GEOMETRIES

Json = dict[str, Any]

_TEXT = {"type": "string"}
_ERRORS = {"description": "`{errors: [{message, extensions}]}`"}
_TYPES: Mapping[str, Json] = {
    "integer": {"type": "integer"},
    "bigInteger": {"type": ["integer", "string"], "description": "Text beyond 2^53."},
    "float": {"type": "number"},
    "decimal": {"type": ["number", "string"]},
    "boolean": {"type": "boolean"},
    "uuid": {"type": "string", "format": "uuid"},
    "date": {"type": "string", "format": "date"},
    "timestamp": {"type": "string", "format": "date-time"},
    "dateTime": {"type": "string", "description": "A moment without a time zone: `2024-02-29T12:30:15`."},
    "time": {"type": "string", "description": "`12:30:15`"},
    "binary": {"type": "string", "description": "In base64."},
    "csv": {"type": "array", "items": _TEXT},
    "json": {},
    "unknown": {},
    **{kind: {"type": "object", "description": "GeoJSON."} for kind in GEOMETRIES},
}
"""JSON schemas of values as they are answered; every other type is text."""


Queries = Sequence[Json]
ACTIONS: tuple[Action, ...] = ("create", "read", "update", "delete")


@dataclass(frozen=True)
class Specification:
    """The collections that an actor may see or write, as OpenAPI describes them."""

    schema: Schema
    actor: Actor

    @cached_property
    def fields(self) -> Mapping[Action, Mapping[str, frozenset[str] | None]]:
        """By action and collection, what may be done with which fields; None = with all."""
        return {action: permitted_fields(self.schema, self.actor, action) for action in ACTIONS}

    @cached_property
    def collections(self) -> list[Collection]:
        names = frozenset[str]().union(*self.fields.values())
        return [each for name, each in self.schema.collections.items() if name in names and each.has_table]

    @cached_property
    def names(self) -> Mapping[str, str]:
        """The names of schemas and tags, by collection; none twice."""
        found: dict[str, str] = {}
        for collection in self.collections:
            name = _name_of(collection)
            taken = sum(re.sub(r"\.\d+$", "", other) == name for other in found.values())
            found[collection.name] = f"{name}.{taken + 1}" if taken else name
        return found

    def tags(self) -> list[Json]:
        """One a collection."""
        return [
            {"name": self.names[each.name], "x-collection": each.name, **_note(each.meta)} for each in self.collections
        ]

    def schemas(self) -> Json:
        """What items look like as they are read, by the names of the collections' schemas."""
        return {self.names[each.name]: self._described(each, "read") for each in self.collections}

    def paths(self, queries: Sequence[Json]) -> Json:
        """queries: the parameters that a list takes; the first of them is `fields`."""
        found: Json = {}
        for collection in self.collections:
            if not collection.is_system:
                found |= self._paths(collection, queries)
        return found

    def answers(self, paths: Json) -> Json:
        """Of paths described already: those that list or read the platform's own items, with their schemas."""
        found: Json = {}
        for collection in self.collections:
            path, one = f"/{collection.name.partition('_')[2]}", self._reference(collection)
            for at, answer in ((path, _list_of(one)), (f"{path}/{{id}}", one)):
                if collection.is_system and "get" in paths.get(at, {}):
                    get = paths[at]["get"]
                    responses = {**get["responses"], "200": _wrapped(answer)}
                    found[at] = {**paths[at], "get": {**get, "responses": responses}}
        return found

    def _described(self, collection: Collection, action: Action) -> Json:
        allowed = self.fields[action].get(collection.name, frozenset())
        names = (name for name in collection.fields if allowed is None or name in allowed)
        found = {name: self._property(collection, collection.fields[name]) for name in names}
        properties = {name: each for name, each in found.items() if each is not None}
        return {"type": "object", "x-collection": collection.name, "properties": properties, **_note(collection.meta)}

    def _property(self, collection: Collection, item: Field) -> Json | None:
        """None for a field that has no value, as a group has none, or leads to what may not be seen."""
        if item.column is None:
            inverse = self.schema.inverse(collection.name, item.name)
            targets = self._targets([inverse.collection] if inverse is not None else [])
            items = [_key_of(each) for each in targets] + [self._reference(each) for each in targets]
            return {"type": "array", "items": {"oneOf": items}, **_note(item.meta)} if targets else None
        value = _value(item)
        relation = self.schema.relation(collection.name, item.name)
        if relation is not None:
            targets = self._targets(relation.allowed_collections or (relation.related,))
            plain = {key: entry for key, entry in value.items() if key in {"type", "format"}}
            value = {"oneOf": [plain, *map(self._reference, targets)]} if targets else value
        if item.column.is_generated or item.column.has_auto_increment:
            value["readOnly"] = True
        return value | _note(item.meta)

    def _targets(self, names: Sequence[str | None]) -> list[Collection]:
        return [each for each in self.collections if each.name in names and each.name in self.fields["read"]]

    def _reference(self, collection: Collection) -> Json:
        return {"$ref": f"#/components/schemas/{self.names[collection.name]}"}

    def _body(self, collection: Collection, action: Action) -> Json:
        """What is written: the schema itself, where the same fields are written and read."""
        fields = self.fields[action].get(collection.name, frozenset())
        is_same = fields == self.fields["read"].get(collection.name, frozenset())
        one = self._reference(collection) if is_same else self._described(collection, action)
        needed = [each.name for each in collection.required if fields is None or each.name in fields]
        return {"allOf": [one], "required": needed} if needed and action == "create" else one

    def _paths(self, collection: Collection, queries: Sequence[Json]) -> Json:
        can = frozenset(action for action in ACTIONS if collection.name in self.fields[action])
        name, path, one = self.names[collection.name], f"/items/{quote(collection.name)}", self._reference(collection)
        changed, made = self._body(collection, "update"), self._body(collection, "create")
        if collection.singleton:
            read = _operation(f"read{name}", "Read the item", name, one, parameters=queries[:1])
            return _path(path, can, read=read, update=_operation(f"update{name}", "Change it", name, one, body=changed))
        keys: Json = {"type": "array", "items": _key_of(collection)}
        which: Json = {"keys": keys, "query": {"type": "object"}}
        some = {"oneOf": [_list_of(changed), {"type": "object", "properties": {"data": changed, **which}}]}
        gone = {"oneOf": [keys, {"type": "object", "properties": which}]}
        of_all = _path(
            path,
            can,
            read=_operation(f"read{name}", "List items", name, _list_of(one), parameters=queries),
            create=_operation(f"create{name}", "Create one item or many", name, _or_many(one), body=_or_many(made)),
            update=_operation(f"update{name}", "Change many items", name, _list_of(one), body=some),
            delete=_operation(f"delete{name}", "Delete many items", name, None, body=gone),
        )
        if collection.primary is None:
            return of_all
        key = {"name": "id", "in": "path", "required": True, "schema": _key_of(collection)}
        return of_all | _path(
            f"{path}/{{id}}",
            can,
            parameters=[key],
            read=_operation(f"readSingle{name}", "Read one item", name, one, parameters=queries[:1]),
            update=_operation(f"updateSingle{name}", "Change one item", name, one, body=changed),
            delete=_operation(f"deleteSingle{name}", "Delete one item", name, None),
        )


def _name_of(collection: Collection) -> str:
    """`ItemsArticles`, or `Users` for one of the platform's own; of the letters that such a name may have."""
    prefix, rest = ("", collection.name.partition("_")[2]) if collection.is_system else ("Items", collection.name)
    words = re.sub(r"[^A-Za-z0-9_.-]", lambda found: f"-{ord(found[0]):x}-", rest).split("_")
    return prefix + "".join(word[:1].upper() + word[1:] for word in words)


def _value(item: Field) -> Json:
    found = dict(_TYPES.get(item.type, _TEXT))
    column = item.column
    if column is None:
        return found
    if column.max_length and found == _TEXT and not item.is_concealed:
        found["maxLength"] = column.max_length
    if column.is_nullable and "type" in found:
        kinds = found["type"] if isinstance(found["type"], list) else [found["type"]]
        found["type"] = [*kinds, "null"]
    return found


def _key_of(collection: Collection) -> Json:
    return _TYPES.get(collection.primary.type, _TEXT) if collection.primary is not None else {}


def _note(meta: Mapping[str, Any] | None) -> Json:
    note = meta.get("note") if meta else None
    return {"description": note} if isinstance(note, str) and note else {}


def _list_of(one: Json) -> Json:
    return {"type": "array", "items": one}


def _or_many(one: Json) -> Json:
    return {"oneOf": [one, _list_of(one)]}


_METHODS: Mapping[str, str] = {"read": "get", "create": "post", "update": "patch", "delete": "delete"}


def _path(path: str, can: frozenset[Action], *, parameters: Queries = (), **operations: Json) -> Json:
    found = {_METHODS[action]: operation for action, operation in operations.items() if action in can}
    return {path: {**({"parameters": list(parameters)} if parameters else {}), **found}} if found else {}


def _operation(
    identity: str, summary: str, tag: str, answer: Json | None, *, parameters: Queries = (), body: Json | None = None
) -> Json:
    done: Json = {"204": {"description": "Done"}}
    if answer is not None:
        done = {"200": _wrapped(answer)}
    found: Json = {"operationId": identity, "tags": [tag], "summary": summary, "responses": done | {"4XX": _ERRORS}}
    if parameters:
        found["parameters"] = list(parameters)
    if body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return found


def _wrapped(answer: Json) -> Json:
    schema = {"type": "object", "properties": {"data": answer}}
    return {"description": "`{data: …}`", "content": {"application/json": {"schema": schema}}}
