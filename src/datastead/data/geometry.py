"""Shapes in SQL: how each database compares them, and columns of types that databases have for them (`NativeShape`).

Fields that are made here keep GeoJSON as text. A column of PostGIS or MariaDB looks the same from outside: its values
are read as GeoJSON and written from it, wherever a statement mentions the column.
"""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from datastead.data import planar
from datastead.errors import InvalidQuery

Value = sa.ColumnElement[Any]
Clause = sa.ColumnElement[bool]

BOXES = frozenset({"_intersects_bbox", "_nintersects_bbox"})
NEGATED = frozenset({"_nintersects", "_nintersects_bbox"})
SRID = 4326
"""The system of GeoJSON's coordinates, longitude and latitude in degrees, which values are labelled with."""

_DIGITS: Value = sa.literal_column("17")
_ONLY_2D: Value = sa.literal_column("2")
_HALF_A_POSITION: Value = sa.literal_column("'[[][[:space:]]*[-+.0-9eE]*[[:space:]]*[]]'")
"""A list of no or one number. MariaDB reads it as a position, with whatever is in its memory for the rest."""


class NativeShape(sa.types.UserDefinedType[str]):
    """A column of a type for geometry. kind: the field's type. srid: what its values are labelled with."""

    cache_ok = True

    def __init__(self, dialect: str, data_type: str, kind: str, srid: int = SRID) -> None:
        self.dialect = dialect
        self.data_type = data_type
        self.kind = kind
        self.srid = srid

    @property
    def dimensions(self) -> int:
        """How many numbers a position has at most."""
        return 2 if self.dialect == "mariadb" else 3

    def bind_expression(self, bindvalue: Any) -> Value:
        if self.dialect == "mariadb":
            made = sa.func.ST_AsWKB(sa.func.ST_GeomFromGeoJSON(bindvalue, _ONLY_2D))
            return sa.func.ST_GeomFromWKB(made, sa.literal_column(str(self.srid)))
        return sa.func.ST_SetSRID(_of_text(bindvalue), sa.literal_column(str(self.srid)))

    def column_expression(self, column: Any) -> Value:
        if self.dialect == "mariadb":
            return sa.func.ST_AsGeoJSON(column, _DIGITS, type_=sa.Text())
        plain = _planar(column, self)
        if self.kind == "geometry":  # which may be one that has no GeoJSON
            return sa.func.datastead_geojson(sa.func.ST_AsBinary(plain), type_=sa.Text())
        return sa.func.ST_AsGeoJSON(plain, _DIGITS, sa.literal_column("0"), type_=sa.Text())


class _Geometry(sa.types.UserDefinedType[str]):
    """For casts."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "geometry"


def meets(column: Value, native: NativeShape | None, shape: Value, operator: str, dialect: str) -> Clause:
    """Whether a column's shape, or the rectangle around it, has a point in common with another; or has none.

    column: text where native is None. shape: a parameter, GeoJSON in text; the number of a `Shape` on SQLite. It is
    null for null, for what is no shape, and for a shape without points.
    """
    found = _MEETS[dialect](column, native, shape, operator in BOXES)
    if operator in NEGATED:
        return sa.not_(found)
    if native is None or dialect != "postgresql":
        return found
    return sa.and_(_in_index(column, native, shape), found)


def _in_sqlite(column: Value, _native: NativeShape | None, shape: Value, boxes: bool) -> Clause:
    return sa.func.shape_boxes_meet(column, shape) if boxes else sa.func.shapes_meet(column, shape)


def _in_mariadb(column: Value, native: NativeShape | None, shape: Value, boxes: bool) -> Clause:
    compare = sa.func.MBRIntersects if boxes else sa.func.ST_Intersects
    other = sa.func.ST_GeomFromGeoJSON(shape, _ONLY_2D)
    if native is not None:
        return compare(column, other)
    is_whole = sa.and_(sa.func.json_valid(column), sa.not_(column.op("REGEXP")(_HALF_A_POSITION)))
    return sa.case((is_whole, compare(sa.func.ST_GeomFromGeoJSON(column, _ONLY_2D), other)))


def _in_postgresql(column: Value, native: NativeShape | None, shape: Value, boxes: bool) -> Clause:
    """By functions of ours (see the migration): a shape that PostGIS cannot compare would end the query."""
    if native is None:
        stored = sa.func.datastead_shape(sa.cast(column, sa.Text))
    else:
        stored = sa.func.ST_AsBinary(_planar(column, native))
    other = sa.select(sa.func.ST_AsBinary(_of_text(shape))).scalar_subquery()
    return sa.func.datastead_shapes_meet(stored, other, sa.true() if boxes else sa.false())


def _in_index(column: Value, native: NativeShape, shape: Value) -> Clause:
    """What an index of PostGIS's answers: whether the rectangles meet, or almost."""
    other = sa.func.ST_SetSRID(_of_text(shape), sa.literal_column(str(native.srid)))
    return _planar(column, native).op("&&")(other)


def _planar(column: Value, native: NativeShape) -> Value:
    """PostGIS's `geography` in the plane."""
    return sa.cast(column, _Geometry()) if native.data_type == "geography" else column


_MEETS: dict[str, Callable[[Value, NativeShape | None, Value, bool], Clause]] = {
    "sqlite": _in_sqlite,
    "mariadb": _in_mariadb,
    "postgresql": _in_postgresql,
}


def _of_text(value: Value) -> Value:
    return sa.func.ST_GeomFromGeoJSON(sa.cast(value, sa.Text))


def require(operator: str, dialect: str, *, has_postgis: bool) -> None:
    """Raises `InvalidQuery`, with the cure, where the database cannot compare shapes."""
    if dialect == "sqlite":
        planar.require(operator)
    elif dialect == "postgresql" and not has_postgis:
        reason = f"`{operator}` compares shapes, which needs PostGIS in the database: `CREATE EXTENSION postgis`"
        raise InvalidQuery(f"{reason}.", reason=reason)
