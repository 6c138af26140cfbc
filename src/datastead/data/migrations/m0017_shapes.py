"""Functions for PostgreSQL that compare and read shapes by PostGIS, and go on where it would refuse one."""

from datastead.data.engine import Transaction

SHAPE = """
    CREATE OR REPLACE FUNCTION datastead_shape(geojson text) RETURNS bytea
    LANGUAGE plpgsql IMMUTABLE STRICT COST 1000 AS $$
    BEGIN
      RETURN (SELECT ST_AsBinary(shape) FROM ST_GeomFromGeoJSON(
        CASE WHEN strpos(geojson, '"crs"') > 0 THEN (geojson::jsonb - 'crs')::text ELSE geojson END) AS shape);
    EXCEPTION WHEN others THEN
      RETURN NULL;
    END $$
"""
"""GeoJSON as WKB; null for what is none. Its coordinates are longitude and latitude, whatever an old `crs` says."""

SHAPES_MEET = """
    CREATE OR REPLACE FUNCTION datastead_shapes_meet(stored bytea, given bytea, boxes boolean) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE STRICT COST 1000 AS $$
    BEGIN
      IF ST_IsEmpty(ST_GeomFromWKB(stored)) THEN
        RETURN NULL;
      ELSIF boxes THEN
        RETURN ST_Intersects(ST_Envelope(ST_GeomFromWKB(stored)), ST_Envelope(ST_GeomFromWKB(given)));
      ELSIF NOT 'GEOMETRYCOLLECTION' IN (GeometryType(ST_GeomFromWKB(stored)), GeometryType(ST_GeomFromWKB(given))) THEN
        BEGIN
          RETURN ST_Intersects(ST_GeomFromWKB(stored), ST_GeomFromWKB(given));
        EXCEPTION WHEN others THEN
          NULL;
        END;
      END IF;
      RETURN EXISTS (
        SELECT FROM ST_Dump(ST_CurveToLine(ST_GeomFromWKB(stored))) AS one, ST_Dump(ST_GeomFromWKB(given)) AS other
        WHERE ST_Intersects(ST_MakeValid(one.geom), ST_MakeValid(other.geom)));
    EXCEPTION WHEN others THEN
      RETURN NULL;
    END $$
"""
"""Of two shapes in WKB. boxes: only the rectangles around them.

PostGIS compares no collections whose parts overlap, and no lines that cross themselves: their parts are compared, and
put in order before. Null for a shape without points.
"""

GEOJSON = """
    CREATE OR REPLACE FUNCTION datastead_geojson(stored bytea) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT AS $$
    BEGIN
      RETURN ST_AsGeoJSON(ST_CurveToLine(ST_GeomFromWKB(stored)), 17, 0);
    EXCEPTION WHEN others THEN
      RETURN (
        SELECT json_build_object('type', 'GeometryCollection', 'geometries',
                                 json_agg(ST_AsGeoJSON(part.geom, 17, 0)::json))
        FROM ST_Dump(ST_CurveToLine(ST_GeomFromWKB(stored))) AS part);
    END $$
"""
"""Of a shape in WKB. GeoJSON has no arcs and no surfaces of many faces, and PostGIS no collections in collections."""


def upgrade(transaction: Transaction) -> None:
    """Makes the functions. They look for PostGIS when they are called."""
    if transaction.dialect == "postgresql":
        for function in (SHAPE, SHAPES_MEET, GEOJSON):
            transaction.connection.exec_driver_sql(function)
