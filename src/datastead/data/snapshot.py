"""The schema as a document: taken from one database, compared with another, and applied to it.

Shapes are the contract's: a snapshot lists collections, fields and relations; a diff has for each of them what has to
be changed, in the entries of the npm package deep-diff (`N`ew, `D`eleted, `E`dited at a path).
"""

import json
from collections.abc import Callable, Coroutine, Mapping
from hashlib import sha1
from typing import Any, Final, TypeVar

import orjson

from datastead.context import Context
from datastead.data.changes import Changes
from datastead.data.describe import Shape, collection_shape, field_shape, relation_shape
from datastead.data.engine import Transaction
from datastead.data.permissions import require_admin
from datastead.data.reflection import reflect
from datastead.data.schema import Field, Schema, bump
from datastead.errors import InvalidPayload, UnprocessableContent

T = TypeVar("T")
Diff = dict[str, list[dict[str, Any]]]

VERSION: Final = 1
CONTRACT: Final = "11.17.4"
"""The Directus whose snapshots have this shape."""

VENDORS = {"postgresql": "postgres", "sqlite": "sqlite", "mariadb": "mysql"}
PARTS = ("collections", "fields", "relations")
KEYS = {
    "collections": ("collection",),
    "fields": ("collection", "field"),
    "relations": ("collection", "field", "related_collection"),
}
MOST_FIELDS = 100_000
_NOT_KEPT = {"id", "system", "schema", "comment", "foreign_key_schema"}
_NOT_COMPARED = {*_NOT_KEPT, "constraint_name"}
_EDITABLE = {
    "default_value", "is_nullable", "is_unique", "is_indexed", "max_length", "numeric_precision", "numeric_scale",
}  # fmt: skip
_FOLLOWING = {"name", "table", "data_type", "foreign_key_table", "foreign_key_column"}
"""What a column has because of its type and its relation: it changes with these."""


def document_of(taken: Mapping[str, Any], *, is_json: bool) -> str:
    """A snapshot as text, to be kept in a file: JSON, or YAML."""
    if is_json:
        return json.dumps(taken, indent=2, ensure_ascii=False) + "\n"
    import yaml

    return yaml.safe_dump(taken, sort_keys=False, allow_unicode=True)


class Snapshots:
    """Snapshots of one database, for an administrator."""

    def __init__(self, ctx: Context) -> None:
        require_admin(ctx.actor)
        self._ctx = ctx
        self._dialect = ctx.services.database.dialect

    async def take(self) -> Shape:
        """The schema now, without what is not managed (its `meta` is null), and without the platform's own tables."""
        return self._snapshot(await self._ctx.services.schemas.get())

    async def diff(self, wanted: Any, *, force: bool = False) -> Shape | None:
        """What has to change for the schema to be the wanted one, with the hash of what it is now; None = nothing.

        force: also for a snapshot of another kind of database, or of another version.
        """
        checked = self._checked(wanted, force=force)
        current = await self.take()
        found = _difference(current, checked)
        return {"hash": hash_of(current), "diff": found} if any(found.values()) else None

    async def apply(self, change: Any, *, force: bool = False) -> None:
        """Carries out what `diff` gave: all of it, or nothing.

        Raises `InvalidPayload` where the schema has changed since, unless `force`.
        """
        if not isinstance(change, Mapping) or not isinstance(change.get("hash"), str):
            raise _invalid("A diff has a `hash` and a `diff`, as `/schema/diff` gives them")
        diff = _checked_diff(change.get("diff"))
        if self._ctx.connection is not None:
            raise UnprocessableContent("The schema cannot be changed inside a transaction.")

        def work(transaction: Transaction) -> None:
            current = self._snapshot(reflect(transaction))
            if change["hash"] != hash_of(current) and not force:
                raise _invalid(
                    "The schema has changed since the diff was made: make a new one, or apply it with `force`"
                )
            _Application(self._ctx, transaction, current, diff).run()
            bump(transaction)

        try:
            await self._ctx.services.database.alter(work)
        finally:
            self._ctx.services.schemas.forget()

    def _snapshot(self, schema: Schema) -> Shape:
        own = [entry for name, entry in sorted(schema.collections.items()) if not entry.is_system and entry.meta]
        names = {entry.name for entry in own}
        fields = [item for entry in own for item in sorted(entry.fields.values(), key=_place) if item.meta]
        relations = [entry for entry in schema.relations if entry.meta and entry.collection in names]
        return {
            "version": VERSION,
            "directus": CONTRACT,
            "vendor": VENDORS[self._dialect],
            "collections": [_kept(collection_shape(entry, self._dialect)) for entry in own],
            "fields": [_kept(field_shape(item, self._dialect)) for item in fields],
            "systemFields": [],
            "relations": [_kept(relation_shape(entry, self._dialect)) for entry in relations],
        }

    def _checked(self, wanted: Any, *, force: bool) -> Shape:
        if not isinstance(wanted, Mapping) or not all(isinstance(wanted.get(part), list) for part in PARTS):
            raise _invalid("A snapshot has `collections`, `fields` and `relations`, each a list")
        for part in PARTS:
            for entry in wanted[part]:
                if not isinstance(entry, Mapping) or not all(isinstance(entry.get(key), str) for key in KEYS[part][:2]):
                    raise _invalid(f"An entry of `{part}` has no name")
        if force:
            return dict(wanted)
        if wanted.get("version") != VERSION:
            raise _invalid(
                f"The snapshot's version is `{str(wanted.get('version'))[:20]}`: this server makes {VERSION}"
            )
        if wanted.get("vendor") != VENDORS[self._dialect]:
            raise _invalid(
                f"The snapshot is of `{str(wanted.get('vendor'))[:20]}`, and this database is"
                f" `{VENDORS[self._dialect]}`: `force` compares them all the same"
            )
        return dict(wanted)


def _place(item: Field) -> tuple[int, str]:
    """The order of a collection's fields, which does not depend on when a column was made."""
    return (item.meta or {}).get("sort") or MOST_FIELDS, item.name


def hash_of(snapshot: Shape) -> str:
    """Tells whether two snapshots are the same."""
    return sha1(orjson.dumps(snapshot, option=orjson.OPT_SORT_KEYS), usedforsecurity=False).hexdigest()


def _kept(shape: Any) -> Any:
    """Without what differs between databases that have the same schema."""
    top = {name: value for name, value in shape.items() if name not in {"meta", "schema"}}
    for name in ("meta", "schema"):
        part = shape[name]
        top[name] = {key: value for key, value in part.items() if key not in _NOT_KEPT} if part is not None else None
    return top


def _difference(current: Shape, wanted: Shape) -> Diff:
    found: Diff = {"collections": [], "fields": [], "systemFields": [], "relations": []}
    for part in PARTS:
        old, new = _by_key(current[part], part), _by_key(wanted[part], part)
        for key in [*old, *(key for key in new if key not in old)]:
            changes = _changes(old.get(key), new.get(key))
            if changes:
                named = new.get(key) or old[key]
                found[part].append({name: named.get(name) for name in KEYS[part]} | {"diff": changes})
    return found


def _by_key(entries: list[Mapping[str, Any]], part: str) -> dict[tuple[str, ...], Mapping[str, Any]]:
    return {tuple(entry[name] for name in KEYS[part][:2]): entry for entry in entries}


def _changes(old: Any, new: Any, path: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """The entries of deep-diff. A list is one value."""
    where = {"path": list(path)} if path else {}
    if old is None and new is not None and not path:
        return [{"kind": "N", "rhs": new}]
    if new is None and old is not None and not path:
        return [{"kind": "D", "lhs": old}]
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        # what the snapshot does not mention stays as it is
        names = [name for name in new if not path or name not in _NOT_COMPARED]
        return [each for name in names for each in _changes(old.get(name), new[name], (*path, name))]
    return [] if old == new else [{"kind": "E", **where, "lhs": old, "rhs": new}]


def _checked_diff(diff: Any) -> Diff:
    if not isinstance(diff, Mapping):
        raise _invalid("`diff` has to be an object")
    for part in PARTS:
        for entry in diff.get(part, ()):
            named = isinstance(entry, Mapping) and all(isinstance(entry.get(key), str) for key in KEYS[part][:2])
            if not named or not isinstance(entry.get("diff"), list) or not all(map(_is_change, entry["diff"])):
                raise _invalid(f"An entry of `diff.{part}` is not as `/schema/diff` gives it")
    return {part: list(diff.get(part, ())) for part in PARTS}


def _is_change(entry: Any) -> bool:
    if not isinstance(entry, Mapping):
        return False
    if entry.get("kind") == "E":
        path = entry.get("path")
        return isinstance(path, list) and bool(path) and all(isinstance(name, str) for name in path) and "rhs" in entry
    return entry.get("kind") == "D" or (entry.get("kind") == "N" and isinstance(entry.get("rhs"), Mapping))


class _Inside(Changes):
    """The same changes, inside a transaction that they share."""

    def __init__(self, ctx: Context, transaction: Transaction) -> None:
        super().__init__(ctx)
        self._transaction = transaction

    async def _schema(self) -> Schema:
        return reflect(self._transaction)

    async def _readable(self) -> Schema:
        return reflect(self._transaction)

    async def _alter(self, work: Callable[[Transaction], T]) -> T:
        return work(self._transaction)

    def _check_groups(self, *_: Any, **_more: Any) -> None:
        """They come in any order, and as they are in the other database."""

    def _check_field_groups(self, *_: Any, **_more: Any) -> None:
        """The same."""


class _Application:
    """A diff on its way into the database: what is new first, what goes last."""

    def __init__(self, ctx: Context, transaction: Transaction, current: Shape, diff: Diff) -> None:
        self._changes = _Inside(ctx, transaction)
        self._current = current
        self._diff = diff

    def run(self) -> None:
        new = self._of_kind("collections", "N")
        fields = self._of_kind("fields", "N")
        for entry in new:
            own = [each["diff"][0]["rhs"] for each in fields if each["collection"] == entry["collection"]]
            self._create(entry["diff"][0]["rhs"], own)
        created = {entry["collection"] for entry in new}
        for entry in fields:
            if entry["collection"] not in created:
                _done(self._changes.create_field(entry["collection"], _creatable(entry["diff"][0]["rhs"])))
        self._edit()
        for entry in self._of_kind("relations", "N"):
            _done(self._changes.create_relation(entry["diff"][0]["rhs"]))
        self._delete()

    def _create(self, shape: Mapping[str, Any], fields: list[Any]) -> None:
        payload = {**shape, "fields": [_creatable(each) for each in fields]}
        _done(self._changes.create_collection(payload))

    def _edit(self) -> None:
        for entry in self._of_kind("collections", "E"):
            _done(self._changes.update_collection(entry["collection"], self._wanted("collections", entry)))
        for entry in self._of_kind("fields", "E"):
            wanted = self._wanted("fields", entry)
            _done(self._changes.update_field(entry["collection"], entry["field"], wanted))
        for entry in self._of_kind("relations", "E"):
            _done(self._changes.update_relation(entry["collection"], entry["field"], self._wanted("relations", entry)))

    def _delete(self) -> None:
        gone = {entry["collection"] for entry in self._of_kind("collections", "D")}
        for entry in self._of_kind("relations", "D"):
            if entry["collection"] not in gone:
                _done(self._changes.delete_relation(entry["collection"], entry["field"]))
        for entry in self._of_kind("fields", "D"):
            if entry["collection"] not in gone:
                _done(self._changes.delete_field(entry["collection"], entry["field"]))
        for name in gone:
            _done(self._changes.delete_collection(name))

    def _of_kind(self, part: str, kind: str) -> list[dict[str, Any]]:
        return [entry for entry in self._diff[part] if entry["diff"] and entry["diff"][0]["kind"] == kind]

    def _wanted(self, part: str, entry: Mapping[str, Any]) -> dict[str, Any]:
        """What is edited, as a payload. Raises `InvalidPayload` for what cannot be changed once it is there."""
        wanted: dict[str, Any] = {}
        for change in entry["diff"]:
            name, *rest = change["path"]
            if not rest and (part != "collections" or name != "schema"):
                wanted[name] = change["rhs"]
            elif name == "meta" or (part == "relations" and rest) or (rest and rest[0] in _EDITABLE):
                wanted.setdefault(name, {})[rest[0]] = change["rhs"]
            elif not rest or rest[0] not in _FOLLOWING:
                what = ".".join([*(entry[key] for key in KEYS[part][:2]), *change["path"]])
                raise _invalid(f"`{what}` cannot be changed: delete what it belongs to, and make it anew")
        return wanted


def _creatable(shape: Mapping[str, Any]) -> dict[str, Any]:
    """A field as it can be created: a key that counts up has its default by itself."""
    schema = shape.get("schema")
    if isinstance(schema, Mapping) and schema.get("has_auto_increment"):
        schema = {**schema, "default_value": None}
    return {**shape, "schema": schema}


def _done(change: Coroutine[Any, Any, T]) -> T:
    """The result of a change that waits for nothing, as all of `_Inside` do: it is in the transaction's thread."""
    try:
        change.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("a change inside a transaction has waited for something")


def _invalid(reason: str) -> InvalidPayload:
    return InvalidPayload(f"{reason}.", reason=reason)
