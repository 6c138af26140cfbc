"""Shapes compared in memory, by `shapely`: SQLite has no functions for them, and a payload is in no table yet.

`shapely` is loaded when the first shape is compared. It is of the extra `geometry`.
"""

import re
import threading
from contextlib import AbstractContextManager
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from datastead.data.geojson import EXAMPLE, NoShapeError, Shape, read, shape_numbered, shape_of
from datastead.errors import InvalidQuery, as_json

KEPT = 32
"""Shapes of filters that a thread keeps, prepared."""

_MAY_NEST = re.compile(r"\\|GeometryCollection")
"""What collections in collections have, without end: GEOS would end the process over some ten thousand."""
_own = threading.local()


def is_installed() -> bool:
    """Whether shapes can be compared here."""
    return find_spec("shapely") is not None


def require(operator: str) -> None:
    """Raises `InvalidQuery`, with the cure, where they cannot."""
    if not is_installed():
        reason = f"`{operator}` compares shapes, which needs a package: `pip install 'datastead[geometry]'`"
        raise InvalidQuery(f"{reason}.", reason=reason)


def meet(stored: Any, number: int) -> bool | None:
    """Whether a stored shape has a point in common with a filter's. stored: GeoJSON in text; None for what is none."""
    with _unbounded():
        one = _parsed(stored)
        return None if one is None else _intersect(one, _prepared(number))


def boxes_meet(stored: Any, number: int) -> bool | None:
    """The same of the rectangles around them."""
    with _unbounded():
        one = _parsed(stored)
        if one is None:
            return None
        left, bottom, right, top = one.bounds
        own_left, own_bottom, own_right, own_top = _prepared(number).bounds
    return bool(left <= own_right and own_left <= right and bottom <= own_top and own_bottom <= top)


def holds(operator: str, actual: Any, expected: Any, *, boxes: bool) -> bool:
    """The same of values in memory. Raises `InvalidQuery` where expected is no shape, or shapes cannot be compared."""
    require(operator)
    if expected in (None, ""):
        return False
    try:
        shape = expected if isinstance(expected, Shape) else shape_of(expected)
    except NoShapeError as error:
        reason = f"`{operator}` needs GeoJSON, such as {EXAMPLE}: what it was given {error}"
        raise InvalidQuery(f"{reason}.", reason=reason) from None
    stored = actual if isinstance(actual, str | None) else as_json(actual)
    return bool((boxes_meet if boxes else meet)(stored, shape.number))


def _parsed(text: Any) -> Any:
    """None for what is no shape, or an empty one."""
    if not isinstance(text, str) or (_MAY_NEST.search(text) and not _is_shape(text)):
        return None
    found = _read(text)
    return None if found is None or found.is_empty else found


def _is_shape(text: str) -> bool:
    try:
        read(text)
    except NoShapeError:
        return False
    return True


def _read(text: str) -> Any:
    import shapely

    return shapely.from_geojson(text, on_invalid="ignore")


def _unbounded() -> AbstractContextManager[Any]:
    """Without a warning where numbers are too large to be multiplied."""
    import numpy as np

    return np.errstate(all="ignore")


def _prepared(number: int) -> Any:
    """A thread has its own: a prepared shape is changed when it is used."""
    if not hasattr(_own, "prepared"):
        _own.prepared = lru_cache(KEPT)(_prepare)
    return _own.prepared(number)


def _prepare(number: int) -> Any:
    import shapely

    shape = _read(shape_numbered(number).geojson)
    shapely.prepare(shape)
    return shape


def _intersect(one: Any, prepared: Any) -> bool | None:
    """Lines of a shape that cross one another are put in order first, where they cannot be compared as they are."""
    import shapely

    try:
        return bool(shapely.intersects(prepared, one))
    except shapely.errors.GEOSException:
        pass
    try:
        return bool(shapely.intersects(shapely.make_valid(prepared), shapely.make_valid(one)))
    except shapely.errors.GEOSException:
        return None
