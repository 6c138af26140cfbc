"""Geometry over HTTP: the operators that compare shapes, on each database against `shapely`, and native columns."""

import json
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
import shapely
import sqlalchemy as sa

from tests.databases import sqlalchemy_url

from .conftest import Server
from .test_access import Somebody, created, permit, refused, somebody
from .test_users import within_a_second

__all__ = ["somebody"]

Shape = dict[str, Any]
OPERATORS = ("_intersects", "_nintersects", "_intersects_bbox", "_nintersects_bbox")
MIDDLE = {"type": "Point", "coordinates": [8.5, 47.4]}
KEY = {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}}


@contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(sqlalchemy_url(url))
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def add_postgis(url: str) -> None:
    """Skips the test where PostgreSQL has none."""
    with connected(url) as connection:
        known = connection.exec_driver_sql("SELECT 1 FROM pg_available_extensions WHERE name = 'postgis'").first()
        if known is None:
            pytest.skip("this PostgreSQL server has no PostGIS")
        connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS postgis")


@pytest.fixture
def url(database_url: str) -> str:
    """Of a database that compares shapes."""
    if database_url.startswith("postgresql"):
        add_postgis(database_url)
    return database_url


@pytest.fixture
def places(server: Server, url: str) -> str:
    """A collection with `name` and `place`, of any geometry."""
    name = f"places_{uuid4().hex[:8]}"
    fields = [KEY, {"field": "name", "type": "string"}, {"field": "place", "type": "geometry"}]
    created(server, "/collections", {"collection": name, "schema": {}, "meta": {}, "fields": fields})
    assert within_a_second(lambda: found(server, name, "_intersects", MIDDLE) == [])
    return name


def asked(server: Server, collection: str, operator: str, shape: Any, **more: Any) -> Any:
    query = {"filter": {"place": {operator: shape}}, "fields": ["id"], "sort": ["id"], "limit": -1, **more}
    return server.send("SEARCH", f"/items/{collection}", {"query": query})


def found(server: Server, collection: str, operator: str, shape: Any, **more: Any) -> list[int] | None:
    answer = asked(server, collection, operator, shape, **more)
    return [item["id"] for item in answer.data] if answer.status == 200 else None


def polygon(*rings: list[list[float]]) -> Shape:
    return {"type": "Polygon", "coordinates": list(rings)}


def square(left: float, bottom: float, size: float) -> list[list[float]]:
    right, top = left + size, bottom + size
    return [[left, bottom], [right, bottom], [right, top], [left, top], [left, bottom]]


def collected(*shapes: Shape) -> Shape:
    return {"type": "GeometryCollection", "geometries": list(shapes)}


def point(x: float, y: float) -> Shape:
    return {"type": "Point", "coordinates": [x, y]}


def line(*positions: list[float]) -> Shape:
    return {"type": "LineString", "coordinates": list(positions)}


RING = polygon(square(0, 0, 6), square(2, 2, 2))
SHAPES: list[Shape] = [
    point(1, 1), point(0, 3), point(6, 6), point(3, 3), point(2, 3), point(9, 9), point(179.5, 0), point(-179.5, 0),
    line([-1, 3], [1, 3]), line([0, -1], [0, 7]), line([6, 7], [7, 6]), line([2.5, 2.5], [3.5, 3.5]),
    line([179, 0], [-179, 0]), polygon(square(6, 0, 2)), polygon(square(2.5, 2.5, 1)), polygon(square(-5, -5, 20)),
    RING, {"type": "MultiPoint", "coordinates": [[9, 9], [3, 3]]},
    {"type": "MultiLineString", "coordinates": [[[9, 9], [8, 8]], [[3, 3], [1, 3]]]},
    {"type": "MultiPolygon", "coordinates": [[square(7, 7, 1)], [square(5, 5, 1)]]},
    collected(point(9, 9), line([3, 3], [3.5, 3.5])), collected(polygon(square(0, 0, 3)), polygon(square(1, 1, 3))),
    {"type": "Point", "coordinates": [1.5, 1.5, 400]}, collected(collected(point(5, 5))),
]  # fmt: skip
ODD = [
    "no GeoJSON", "", "5", "null", "{}", '{"type":"Point"}', '{"type":"Point","coordinates":[]}',
    '{"type":"Point","coordinates":[1]}', '{"type":"Point","coordinates":[1,2', '{"type":"Polygon","coordinates":[[[0,0],[9,0],[9,9]]]}',
    '{"type":"LineString","coordinates":[[0,0],[]]}', '{"type":"GeometryCollection","geometries":[]}',
    '{"type":"GeometryCollection","geometries":[' * 50_000 + '{"type":"Point","coordinates":[1,1]}' + "]}" * 50_000,
]  # fmt: skip


READ_BY_SOME = ['{"type":"Point","coordinates":["a",1]}', '{"type":"Point","coordinates":[1e400,1]}']
"""What PostGIS takes for a point, and the others do not."""


def expected(shapes: list[Shape | None], operator: str, shape: Shape) -> list[int]:
    """What it means: numbers from 1 on. Null is neither in nor out."""
    other = plain(shape)
    pairs = [(number, plain(each)) for number, each in enumerate(shapes, 1) if each is not None]
    if operator.endswith("bbox"):
        other = shapely.box(*other.bounds)
        pairs = [(number, shapely.box(*each.bounds)) for number, each in pairs]
    return [number for number, each in pairs if bool(shapely.intersects(each, other)) is not operator.startswith("_n")]


def plain(shape: Shape) -> Any:
    return shapely.force_2d(shapely.from_geojson(json.dumps(shape)))


def some_shape(chance: random.Random) -> Shape:
    """On a grid of a few points, so that much of it touches."""

    def position() -> list[float]:
        return [chance.randint(0, 5), chance.randint(0, 5) / 2]

    def ring() -> list[list[float]]:
        while True:
            corners = [position() for _ in range(chance.randint(3, 5))]
            made = [*corners, corners[0]]
            if shapely.Polygon(made).is_valid and shapely.Polygon(made).area > 0:
                return made

    def path(size: int) -> list[list[float]]:
        while True:
            made = [position() for _ in range(size)]
            if len(set(map(tuple, made))) == size:
                return made

    kinds: list[Callable[[], Shape]] = [
        lambda: {"type": "Point", "coordinates": position()},
        lambda: line(*path(3)),
        lambda: polygon(ring()),
        lambda: {"type": "MultiPoint", "coordinates": [position(), position()]},
        lambda: {"type": "MultiLineString", "coordinates": [path(2), path(2)]},
        lambda: collected(polygon(ring()), line(*path(2)), polygon(ring())),
    ]
    return chance.choice(kinds)()


def test_shapes_are_found_as_geometry_has_it(server: Server, places: str, url: str) -> None:
    chance = random.Random(7)
    shapes = [None, *SHAPES, *(some_shape(chance) for _ in range(20))]
    made = created(server, f"/items/{places}", [{"place": shape} for shape in shapes])
    assert [item["place"] for item in made] == shapes
    with connected(url) as connection:  # as other programs write
        connection.execute(
            sa.text(f"INSERT INTO {places} (place) VALUES (:text)"), [{"text": text} for text in [*ODD, *READ_BY_SOME]]
        )
    wanted = [
        RING, point(0, 3), polygon(square(2, 2, 2)), line([6, 6], [9, 9]), collected(point(9, 9), polygon(square(5, 5, 2))),
        polygon(square(170, -5, 10)), *(some_shape(chance) for _ in range(8)),
    ]  # fmt: skip
    wrong = [
        (operator, shape, got, right)
        for shape in wanted
        for operator in OPERATORS
        if (got := [key for key in found(server, places, operator, shape) or () if key <= len(shapes) + len(ODD)])
        != (right := expected(shapes, operator, shape))
    ]
    assert wrong == []


def test_rows_are_permitted_by_their_shapes(server: Server, places: str, somebody: Somebody, url: str) -> None:
    permit(server, somebody, places, permissions={"place": {"_intersects": RING}})
    permit(server, somebody, places, "update", permissions={"place": {"_nintersects": json.dumps(point(1, 1))}})
    created(server, f"/items/{places}", [{"place": shape} for shape in (point(1, 1), point(5, 5), point(9, 9), None)])
    mine = somebody.server
    assert [item["id"] for item in mine.get(f"/items/{places}").data] == [1, 2]
    statuses = [mine.send("PATCH", f"/items/{places}/{key}", {"name": "x"}).status for key in (1, 2, 3, 4)]
    assert statuses == [403, 200, 204, 403]
    assert mine.get(
        f"/items/{places}?aggregate[count]=*&filter[place][_nintersects]={quote(json.dumps(point(5, 5)))}"
    ).data == [{"count": 1}]


def test_values_are_checked_by_shapes_before_they_are_written(
    server: Server, places: str, somebody: Somebody, url: str
) -> None:
    rule = {"place": {"_intersects": RING, "_nintersects_bbox": point(3, 3)}}
    assert refused(
        server.post(
            "/permissions",
            {
                "policy": somebody.policy,
                "collection": places,
                "action": "create",
                "validation": {"place": {"_intersects": "here"}},
            },
        )
    ) == (400, "INVALID_PAYLOAD")
    permit(server, somebody, places, "create", validation=rule)
    outcomes = [
        somebody.server.post(f"/items/{places}", {"place": shape}).status
        for shape in (point(1, 1), json.dumps(point(6, 6)), point(3, 3), point(9, 9), polygon(square(1, 1, 4)), None)
    ]
    assert outcomes == [204, 204, 400, 400, 400, 400]


WRONG: list[Any] = [
    None, 5, True, "here", "", "{", [], {}, [8.5, 47.4], {"type": "Point"}, {"type": ["Point"], "coordinates": [1, 2]},
    {"type": "Point", "coordinates": []}, {"type": "Point", "coordinates": [1]}, {"type": "Point", "coordinates": ["1", "2"]},
    {"type": "Point", "coordinates": [True, 2]}, {"type": "Point", "coordinates": [1e300, 2]}, {"type": "Point", "coordinates": [[1, 2]]}, {"type": "Circle", "coordinates": [1, 2]},
    {"type": "LineString", "coordinates": [[1, 2]]}, {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1]]]},
    {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [0, 0]]]}, {"type": "Polygon", "coordinates": []},
    {"type": "MultiPolygon", "coordinates": [[]]}, {"type": "GeometryCollection", "geometries": []},
    {"type": "GeometryCollection", "geometries": [5]}, {"type": "Feature", "geometry": MIDDLE}, "$NOW", "$CURRENT_USER",
    {"type": "MultiPoint", "coordinates": [[0, 0]] * 20_001}, '{"type":"Point","coordinates":[NaN,1]}',
    '{"type":"Point","coordinates":[1e999,1]}', "[" * 1000 + "]" * 1000,
    '{"type":"GeometryCollection","geometries":[' * 30 + json.dumps(MIDDLE) + "]}" * 30,
    '{"type":"GeometryCollection","geometries":[' * 1000 + json.dumps(MIDDLE) + "]}" * 1000,
]  # fmt: skip


def test_what_is_no_shape_is_refused_wherever_it_comes_from(server: Server, places: str) -> None:
    known = {"$CURRENT_USER"}  # a text that is known, and none of geometry
    for wrong in WRONG:
        for operator in OPERATORS[:: 1 if wrong == "here" else 3]:
            answer = asked(server, places, operator, wrong)
            assert refused(answer) == (400, "INVALID_QUERY"), wrong
            assert "GeoJSON" in answer.body or wrong in known
        if wrong is not None:
            answer = server.post(f"/items/{places}", {"place": wrong})
            is_large = isinstance(wrong, dict) and len(wrong.get("coordinates", ())) > 20_000
            assert is_large or refused(answer) == (400, "INVALID_PAYLOAD"), wrong
    for operator in OPERATORS:
        for name, value in (("name", MIDDLE), ("id", MIDDLE), ("place", "$CURRENT_USER.nothing")):
            answer = server.send("SEARCH", f"/items/{places}", {"query": {"filter": {name: {operator: value}}}})
            assert refused(answer) == (400, "INVALID_QUERY"), (name, operator)
            assert name == "place" or "which has no operator" in answer.body
    answer = server.get(f"/items/{places}?filter[place][_eq]={quote(json.dumps(MIDDLE))}")
    assert refused(answer) == (400, "INVALID_QUERY")
    text = "{ %s(filter: {place: {_intersects: %s}}) { id } }"
    answer = server.post("/graphql", {"query": text % (places, '{type: "Point"}')})
    assert answer.json["errors"][0]["extensions"]["code"] == "INVALID_QUERY"


def test_shapes_are_asked_for_in_graphql(server: Server, places: str) -> None:
    created(server, f"/items/{places}", [{"place": MIDDLE}, {"place": point(1, 1)}])
    text = "query ($box: GraphQLGeoJSON) { %s(filter: {_or: [{place: {_intersects: $box}}, {place: {_null: true}}]}) { id place } }"
    answer = server.post("/graphql", {"query": text % places, "variables": {"box": polygon(square(8, 47, 1))}})
    assert answer.json == {"data": {places: [{"id": "1", "place": MIDDLE}]}}
    text = '{ %s(filter: {place: {_nintersects_bbox: {type: "Point", coordinates: [8.5, 47.4]}}}) { id } }'
    assert server.post("/graphql", {"query": text % places}).json == {"data": {places: [{"id": "2"}]}}
    fields = server.post(
        "/graphql", {"query": '{ __type(name: "geometry_filter_operators") { inputFields { name } } }'}
    ).json
    assert {field["name"] for field in fields["data"]["__type"]["inputFields"]} == {*OPERATORS, "_null", "_nnull"}


def test_without_shapely_it_is_said_how_one_gets_it(
    server: Server, url: str, somebody: Somebody, articles: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    created(server, f"/fields/{articles}", {"field": "place", "type": "geometry"})
    monkeypatch.setitem(sys.modules, "shapely", None)
    if url.startswith("sqlite"):
        answer = asked(server, articles, "_intersects", MIDDLE)
        assert refused(answer) == (400, "INVALID_QUERY")
        assert "datastead[geometry]" in answer.body
    for part in ("validation", *(["permissions"] if url.startswith("sqlite") else [])):
        rule = {
            "policy": somebody.policy,
            "collection": articles,
            "action": "read",
            part: {"place": {"_intersects": MIDDLE}},
        }
        answer = server.post("/permissions", rule)
        assert refused(answer) == (400, "INVALID_PAYLOAD")
        assert "datastead[geometry]" in answer.body


def test_without_postgis_it_is_said_how_one_gets_it(server: Server, database_url: str, articles: str) -> None:
    if not database_url.startswith("postgresql"):
        pytest.skip("PostGIS is of PostgreSQL")
    add_postgis(database_url)
    with connected(database_url) as connection:
        connection.exec_driver_sql("DROP EXTENSION postgis CASCADE")
    created(server, f"/fields/{articles}", {"field": "place", "type": "geometry"})
    assert within_a_second(lambda: "CREATE EXTENSION postgis" in asked(server, articles, "_intersects", MIDDLE).body)
    assert refused(asked(server, articles, "_intersects", MIDDLE)) == (400, "INVALID_QUERY")
    add_postgis(database_url)
    assert within_a_second(lambda: found(server, articles, "_intersects", MIDDLE) == [])


NATIVE = {
    "postgresql": """
        CREATE TABLE {name} (id serial PRIMARY KEY, name text, place geometry(Point, 4326), area geometry,
          globe geography(Polygon, 4326), high geometry(PointZ, 2056), parent integer REFERENCES {name} (id))
    """,
    "mariadb": """
        CREATE TABLE {name} (id integer PRIMARY KEY AUTO_INCREMENT, name text, place point, area geometry, globe polygon,
          high geometrycollection, parent integer REFERENCES {name} (id))
    """,
}  # fmt: skip


@pytest.fixture
def natives(server: Server, url: str) -> Iterator[str]:
    """A table with columns of the database's own."""
    kind = url.partition(":")[0]
    if kind not in NATIVE:
        pytest.skip("SQLite has no columns for geometry")
    name = f"natives_{uuid4().hex[:8]}"
    with connected(url) as connection:
        connection.exec_driver_sql(NATIVE[kind].format(name=name))
    created(server, "/collections", {"collection": f"seen_{name}", "schema": {}})  # so that the schema is read anew
    assert within_a_second(lambda: server.get(f"/items/{name}").status == 200)
    yield name
    with connected(url) as connection:
        connection.exec_driver_sql(f"DROP TABLE {name}")


def test_native_columns_are_read_written_and_filtered_as_geojson(server: Server, natives: str, url: str) -> None:
    path = f"/items/{natives}"
    types = {field["field"]: field["type"] for field in server.get(f"/fields/{natives}").data}
    assert {name: types[name] for name in ("place", "area", "globe")} == {
        "place": "geometry.Point", "area": "geometry", "globe": "geometry.Polygon"
    }  # fmt: skip
    exact = {"type": "Point", "coordinates": [8.123456789012345, -47.1]}
    both = collected(point(1, 1), line([0, 0], [2, 2]))
    made = created(server, path, {"name": "a", "place": exact, "area": RING, "globe": polygon(square(0, 0, 1))})
    assert (made["place"], made["area"], made["globe"]) == (exact, RING, polygon(square(0, 0, 1)))
    several = created(
        server, path, [{"place": point(n, n), "area": both if n % 2 else None, "parent": 1} for n in range(5)]
    )
    assert [item["place"] for item in several] == [point(n, n) for n in range(5)]
    changed = server.send("PATCH", f"{path}/1", {"place": json.dumps(point(7, 7)), "area": None}).data
    assert (changed["place"], changed["area"]) == (point(7, 7), None)
    many = server.send("PATCH", path, {"keys": [2, 3], "data": {"area": point(4, 4)}}).data
    assert [item["area"] for item in many] == [point(4, 4)] * 2
    assert server.get(f"{path}?filter[area][_null]=true&fields=id").data == [{"id": 1}, {"id": 4}, {"id": 6}]
    box = quote(json.dumps(polygon(square(0, 0, 2.5))))
    for operator, keys in (("_intersects", [2, 3, 4]), ("_nintersects_bbox", [1, 5, 6])):
        got = server.get(f"{path}?filter[place][{operator}]={box}&fields=id,place&sort=-id").data
        assert [item["id"] for item in got] == keys[::-1]
        assert all(item["place"]["type"] == "Point" for item in got)
    globes = server.get(f"{path}?filter[globe][_intersects]={quote(json.dumps(point(1, 1)))}&fields=id").data
    assert globes == [{"id": 1}]
    nested = server.get(f"{path}/2?fields=parent.place,parent.globe").data
    assert nested == {"parent": {"place": point(7, 7), "globe": polygon(square(0, 0, 1))}}
    assert server.get(f"{path}?aggregate[countDistinct]=place&filter[id][_in]=1,2,3").data == [
        {"countDistinct": {"place": 3}}
    ]
    groups = server.get(f"{path}?aggregate[count]=*&groupBy=area&filter[id][_in]=2,3").data
    assert groups == [{"area": point(4, 4), "count": 2}]
    assert len(server.get(f"{path}?sort=place,-area&search=a").data) == 1
    assert json.dumps(point(7, 7), separators=(",", ":")) in json.dumps(
        server.get(f"{path}?export=json").json, separators=(",", ":")
    )
    assert server.get(f"{path}?export=csv").status == 200
    revisions = server.get(f"/revisions?filter[collection]={natives}&filter[item]=1&sort=-id&fields=id,data").data
    assert all(revision["data"]["globe"] == polygon(square(0, 0, 1)) for revision in revisions)
    text = '{ %s(filter: {place: {_intersects: {type: "Point", coordinates: [7, 7]}}}) { id place } }'
    assert server.post("/graphql", {"query": text % natives}).json == {
        "data": {natives: [{"id": "1", "place": point(7, 7)}]}
    }
    snapshot = server.get("/schema/snapshot").data
    assert server.send("POST", "/schema/diff?force=true", snapshot).status in {200, 204}


def test_shapes_are_found_in_native_columns_as_geometry_has_it(server: Server, natives: str) -> None:
    flat = [json.loads(shapely.to_geojson(plain(shape))) for shape in SHAPES]
    shapes = [None, *flat]
    created(server, f"/items/{natives}", [{"area": shape} for shape in shapes])
    wrong = [
        (operator, shape)
        for shape in (RING, point(0, 3), collected(point(9, 9), polygon(square(5, 5, 2))), polygon(square(170, -5, 10)))
        for operator in OPERATORS
        if [
            item["id"]
            for item in server.send(
                "SEARCH",
                f"/items/{natives}",
                {"query": {"filter": {"area": {operator: shape}}, "limit": -1, "fields": "id"}},
            ).data
        ]
        != expected(shapes, operator, shape)
    ]
    assert wrong == []


def test_native_columns_are_read_among_related_items_and_as_far_as_they_may_be_seen(
    server: Server, natives: str, somebody: Somebody
) -> None:
    path = f"/items/{natives}"
    created(server, f"/fields/{natives}", {"field": "parts", "type": "alias", "meta": {"special": ["o2m"]}})
    assert server.send("PATCH", f"/relations/{natives}/parent", {"meta": {"one_field": "parts"}}).status == 200
    parts = [{"place": point(n, n), "area": point(n, 0)} for n in range(3)]
    key = created(server, path, {"name": "whole", "place": MIDDLE, "parts": parts})["id"]
    read = server.get(
        f"{path}/{key}?fields=place,parts.place,parts.area&deep[parts][_limit]=2&deep[parts][_sort]=-id"
    ).data
    assert read == {"place": MIDDLE, "parts": parts[:0:-1]}
    some = {"parts": {"_some": {"place": {"_intersects": point(2, 2)}}}}
    assert [item["id"] for item in server.send("SEARCH", path, {"query": {"filter": some}}).data] == [key]
    permit(server, somebody, natives, fields=["id"])
    permit(
        server, somebody, natives, fields=["place"], permissions={"area": {"_intersects_bbox": line([0, 0], [1, 0])}}
    )
    seen = somebody.server.get(f"{path}?sort=id").data
    assert [item["place"] for item in seen] == [None, point(0, 0), point(1, 1), None]


def test_what_a_native_column_does_not_hold_is_refused(server: Server, natives: str, url: str) -> None:
    path = f"/items/{natives}"
    for value in (
        RING,
        "here",
        {"type": "Point"},
        {"type": "Point", "coordinates": [1, 2, 3]},
        {"type": "Point", "coordinates": [1, 2, 3, 4]},
    ):
        for body in ({"place": value}, [{"place": point(1, 1)}, {"place": value}]):
            assert refused(server.post(path, body)) == (400, "INVALID_PAYLOAD"), value
    assert server.get(f"{path}?aggregate[count]=*").data == [{"count": 0}]
    for change in ({"type": "text"}, {"type": "geometry"}, {"schema": {"default_value": MIDDLE}}):
        assert refused(server.send("PATCH", f"/fields/{natives}/place", change)) == (400, "INVALID_PAYLOAD")
    assert server.send("PATCH", f"/fields/{natives}/place", {"schema": {"is_nullable": False}}).status == 200
    assert refused(server.post(path, {"name": "nowhere"})) == (400, "FAILED_VALIDATION")
    assert server.send("PATCH", f"/fields/{natives}/place", {"schema": {"is_nullable": True}}).status == 200
    if url.startswith("postgresql"):
        high = {"type": "Point", "coordinates": [2600000.5, 1200000.25, 430.5]}
        assert created(server, path, {"high": high})["high"] == high
        with connected(url) as connection:
            for words in ("CIRCULARSTRING(0 0, 1 1, 2 0)", "POINT EMPTY", "POLYHEDRALSURFACE(((0 0 0,0 0 1,0 1 1,0 1 0,0 0 0)))",
                          "SRID=3857;POINT(1 1)", "POLYGON((0 0,2 2,2 0,0 2,0 0))"):  # fmt: skip
                connection.execute(sa.text(f"INSERT INTO {natives} (area) VALUES (:words)"), {"words": words})
        odd = [item["area"]["type"] for item in server.get(f"{path}?filter[area][_nnull]=true&sort=id").data]
        assert odd == ["LineString", "Point", "GeometryCollection", "Point", "Polygon"]
        for operator in OPERATORS:
            query = {"filter": {"area": {operator: collected(polygon(square(0, 0, 3)), polygon(square(1, 1, 3)))}}}
            assert len(server.send("SEARCH", path, {"query": query}).data) == (0 if operator.startswith("_n") else 4)
