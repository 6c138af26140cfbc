"""Shapes in GeoJSON: what is one, and what is none. Pure. Source: RFC 7946."""

from collections.abc import Callable, Mapping
from itertools import count
from typing import Any
from weakref import WeakValueDictionary

import orjson

MOST_POSITIONS = 20_000
"""In the shape that a filter compares with."""
FARTHEST = 10**12
"""Of coordinates, whatever their unit. Beyond some 1e100, products of them are infinite, and databases differ."""
DEEPEST = 8
"""Collections in collections. MariaDB reads JSON that is 32 deep."""
EXAMPLE = '`{"type": "Point", "coordinates": [8.5, 47.4]}`'
COLLECTION = "GeometryCollection"


class NoShapeError(ValueError):
    """What is wrong with it, in words that go on after the value: `… is not GeoJSON`."""


class Shape:
    """A shape that a filter compares with. geojson: type and coordinates alone, in the plane.

    number: under which `shape_numbered` finds it, for as long as somebody holds it.
    """

    __slots__ = ("__weakref__", "geojson", "number")

    def __init__(self, geojson: str) -> None:
        self.geojson = geojson
        self.number = next(_numbers)
        _shapes[self.number] = self


_numbers = count(1)
_shapes: "WeakValueDictionary[int, Shape]" = WeakValueDictionary()


def shape_numbered(number: int) -> Shape:
    """Raises `KeyError` where nobody holds it any more."""
    return _shapes[number]


def shape_of(value: Any) -> Shape:
    """The shape of an object or of its text. Raises `NoShapeError`."""
    found = read(value)
    positions = _count(found)
    if positions > MOST_POSITIONS:
        raise NoShapeError(f"has {positions} positions, and a filter takes {MOST_POSITIONS}")
    return Shape(bare(found, size=2))


def read(value: Any, kind: str = "") -> Mapping[str, Any]:
    """The object, checked. kind: of the shape, such as `Point`; empty = any. Raises `NoShapeError`."""
    try:
        found = orjson.loads(value) if isinstance(value, str) else value
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, Mapping) or (kind and found.get("type") != kind):
        raise NoShapeError(f"is not GeoJSON of a {kind or 'geometry'}")
    _check(found, 0)
    return found


def bare(shape: Mapping[str, Any], *, size: int | None = None) -> str:
    """A checked shape as text, without members of others' making. size: so many numbers of each position."""
    return orjson.dumps(_bare(shape, size)).decode()


def dimensions_of(shape: Mapping[str, Any]) -> int:
    """How many numbers its longest position has."""
    if shape["type"] == COLLECTION:
        return max(map(dimensions_of, shape["geometries"]))
    return _longest(shape["coordinates"])


def _check(shape: Any, depth: int) -> None:
    kind = shape.get("type") if isinstance(shape, Mapping) else None
    if kind == COLLECTION:
        if depth >= DEEPEST:
            raise NoShapeError(f"has collections in collections, more than {DEEPEST} deep")
        for part in _list(shape.get("geometries"), "`geometries`"):
            _check(part, depth + 1)
        return
    check = _KINDS.get(kind) if isinstance(kind, str) else None
    if check is None:
        known = ", ".join(f"`{name}`" for name in (*_KINDS, COLLECTION))
        raise NoShapeError(f"is not GeoJSON of a geometry: its `type` is one of {known}")
    check(shape.get("coordinates"))


def _list(value: Any, name: str, least: int = 1) -> list[Any] | tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise NoShapeError(f"has no {name}")
    if len(value) < least:
        raise NoShapeError(f"has {name} with {len(value)} entries, where {least} are needed")
    return value


def _position(value: Any) -> None:
    if not isinstance(value, list | tuple) or len(value) < 2:
        raise NoShapeError("has a position that is not a list of two numbers, longitude and latitude")
    for number in value:
        if type(number) not in (int, float) or not -FARTHEST <= number <= FARTHEST:
            raise NoShapeError(f"has a coordinate that is not a number from -{FARTHEST} to {FARTHEST}")


def _positions(value: Any, least: int = 1) -> None:
    for each in _list(value, "`coordinates`", least):
        _position(each)


def _line(value: Any) -> None:
    _positions(value, 2)


def _ring(value: Any) -> None:
    _positions(value, 4)
    if list(value[0]) != list(value[-1]):
        raise NoShapeError("has a ring that is not closed: its last position is its first one again")


def _several(check: Callable[[Any], None]) -> Callable[[Any], None]:
    def checked(value: Any) -> None:
        for each in _list(value, "`coordinates`"):
            check(each)

    return checked


_KINDS: Mapping[str, Callable[[Any], None]] = {
    "Point": _position,
    "LineString": _line,
    "Polygon": _several(_ring),
    "MultiPoint": _positions,
    "MultiLineString": _several(_line),
    "MultiPolygon": _several(_several(_ring)),
}


def _bare(shape: Mapping[str, Any], size: int | None) -> dict[str, Any]:
    kind = shape["type"]
    if kind == COLLECTION:
        return {"type": kind, "geometries": [_bare(part, size) for part in shape["geometries"]]}
    return {"type": kind, "coordinates": _cut(shape["coordinates"], size)}


def _cut(value: Any, size: int | None) -> Any:
    if isinstance(value[0], list | tuple):
        return [_cut(each, size) for each in value]
    return list(value[:size])


def _count(shape: Mapping[str, Any]) -> int:
    if shape["type"] == COLLECTION:
        return sum(map(_count, shape["geometries"]))
    return _positions_in(shape["coordinates"])


def _positions_in(value: Any) -> int:
    return sum(map(_positions_in, value)) if isinstance(value[0], list | tuple) else 1


def _longest(value: Any) -> int:
    return max(map(_longest, value)) if isinstance(value[0], list | tuple) else len(value)
