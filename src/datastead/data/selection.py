"""What a read selects, as values: the shape of a query, and how the rows that it gives become items. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from datastead.data.filters import EVERYTHING, Node
from datastead.data.links import Prepared
from datastead.data.rights import Signature
from datastead.data.schema import Relation
from datastead.data.sources import Origin
from datastead.data.values import Encoder
from datastead.data.wire import Decoder, plain
from datastead.errors import InvalidQuery

Row = tuple[Any, ...]
Tree = dict[str, "Tree"]
Waiting = list[list[tuple[Any, dict[str, Any]]]]


class One(NamedTuple):
    """What is asked of a field that refers to one item.

    path: the names that lead to it. node, searched: an item that they do not let through is not shown. aliases: name
    and field, of the item's.
    """

    path: tuple[str, ...]
    node: Node
    searched: tuple[str, ...]
    aliases: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """What to select: the shape of a read, hashable, so that its plan can be kept.

    keys: how many primary keys are asked for, or None. owned_by, owners: of a to-many level, the field that refers to
    the owners, and how many they are. searched: what the term can be read as (`Search.shape`). aliases: name and field.
    aggregate, group: sums in place of items. ones: what `deep` asks of single
    items. rights: the signature of what the actor may see; None = everything.
    """

    fields: tuple[str, ...] = ("*",)
    node: Node = EVERYTHING
    sort: tuple[str, ...] = ()
    searched: tuple[str, ...] = ()
    is_limited: bool = False
    is_counted: bool = False
    keys: int | None = None
    owned_by: str | None = None
    owners: int = 0
    aliases: tuple[tuple[str, str], ...] = ()
    aggregate: tuple[tuple[str, str], ...] = ()
    group: tuple[str, ...] = ()
    rights: Signature | None = None
    ones: tuple[One, ...] = ()


@dataclass(frozen=True, slots=True)
class Many:
    """A to-many field. path: the names that lead to it from the level's item. key: the column of the row that its items
    refer to. fields: of each item; none = its key.
    """

    index: int
    path: tuple[str, ...]
    key: int
    relation: Relation
    fields: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.path[-1]


@dataclass(frozen=True, slots=True)
class Bare:
    """A field that refers to items of several collections, of some of which nothing is asked: those stay keys.

    key, kind: the columns of the key, and of the collection that it is of. asked: the collections that are read.
    numbered: those whose keys are numbers.
    """

    name: str
    key: int
    kind: int
    asked: frozenset[str]
    numbered: frozenset[str]

    def fill(self, row: Row, item: dict[str, Any]) -> None:
        kind, key = row[self.kind], row[self.key]
        if kind not in self.asked:
            item[self.name] = int(key) if kind in self.numbered and str(key).isdecimal() else key


@dataclass(frozen=True, slots=True)
class Shape:
    """How the columns from start to stop become an item.

    nested: name, the column that is null where there is no such item, and its shape. A name may stand several times,
    for a field that refers to items of several collections: at most one of them is there.
    """

    start: int
    stop: int
    names: tuple[str, ...]
    decoders: tuple[tuple[str, Decoder], ...] = ()
    nested: "tuple[tuple[str, int, Shape], ...]" = ()
    many: tuple[Many, ...] = ()
    bare: tuple[Bare, ...] = ()

    def build(self, row: Row, owned: Waiting) -> dict[str, Any]:
        """The item of a row. owned: for each to-many field, the keys and items that wait for it."""
        item = dict(zip(self.names, row[self.start : self.stop], strict=True))
        for name, decode in self.decoders:
            value = item[name]
            if value is not None:
                item[name] = decode(value)
        for name, key, shape in self.nested:
            if row[key] is not None:
                item[name] = shape.build(row, owned)
            else:
                item.setdefault(name, None)
        for bare in self.bare:
            bare.fill(row, item)
        for many in self.many:
            item[many.name] = []
            owned[many.index].append((row[many.key], item))
        return item


@dataclass(frozen=True, slots=True)
class Plan:
    """A compiled read. encoders, origins: for its values, in order (`p0`, `p1` …), and where they come from."""

    prepared: Prepared
    encoders: tuple[Encoder, ...]
    origins: tuple[Origin, ...]
    shape: Shape
    many: tuple[Many, ...] = ()
    owner: int | None = None

    def items(self, rows: list[Row]) -> tuple[list[dict[str, Any]], Waiting]:
        """The items of the rows, and what waits for its to-many fields."""
        owned: Waiting = [[] for _ in self.many]
        for position, row in enumerate(rows):
            if bytes in map(type, row):  # SQLite lets others write bytes anywhere
                rows[position] = tuple(plain(value) for value in row)
        shape = self.shape
        if shape.nested or shape.many:
            return [shape.build(row, owned) for row in rows], owned
        items = [dict(zip(shape.names, row, strict=False)) for row in rows]
        for name, decode in shape.decoders:
            for item in items:
                value = item[name]
                if value is not None:
                    item[name] = decode(value)
        return items, owned


def tree_of(fields: Iterable[str], max_depth: int) -> Tree:
    """Paths as a tree. Raises `InvalidQuery` on what is too deep."""
    tree: Tree = {}
    for path in fields:
        names = path.split(".")
        if len(names) > max_depth:
            reason = f"`{path[:100]}` reaches deeper than {max_depth} levels"
            raise InvalidQuery(f"{reason}.", reason=reason)
        place = tree
        for name in names:
            place = place.setdefault(name, {})
    return tree


def paths_of(tree: Tree) -> tuple[str, ...]:
    """The paths of a tree, as `tree_of` takes them."""
    return tuple(
        f"{name}.{path}" if path else name for name, inner in tree.items() for path in (paths_of(inner) or ("",))
    )
