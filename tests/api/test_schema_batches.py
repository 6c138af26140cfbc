"""Several collections or fields in one request: all or none; folders, groups and geometry; and who sees the schema."""

from uuid import uuid4

from .conftest import Server, collection
from .test_access import Somebody, created, permit, refused, somebody
from .test_users import within_a_second

__all__ = ["somebody"]


def test_collections_are_created_and_changed_together_or_not_at_all(server: Server) -> None:
    one, two, three = (f"batch_{uuid4().hex[:8]}" for _ in range(3))
    assert [entry["collection"] for entry in created(server, "/collections", [collection(one), collection(two)])] == [
        one,
        two,
    ]
    both = [{"collection": one, "meta": {"note": "1", "hidden": True}}, {"collection": two, "meta": {"note": "2"}}]
    changed = server.send("PATCH", "/collections", both).data
    assert [(entry["meta"]["note"], entry["meta"]["hidden"]) for entry in changed] == [("1", True), ("2", False)]
    wrong = [{"collection": one, "meta": {"note": "3"}}, {"collection": "nowhere", "meta": {"note": "3"}}]
    assert refused(server.send("PATCH", "/collections", wrong)) == (403, "FORBIDDEN")
    assert server.get(f"/collections/{one}").data["meta"]["note"] == "1"
    assert refused(server.post("/collections", [collection(three), collection(one)])) == (400, "INVALID_PAYLOAD")
    assert refused(server.post("/collections", [collection(three), collection(three)])) == (400, "INVALID_PAYLOAD")
    assert refused(server.get(f"/collections/{three}")) == (403, "FORBIDDEN")
    assert refused(server.send("PATCH", "/collections", {"note": "x"})) == (400, "INVALID_PAYLOAD")


def test_fields_are_changed_together_or_not_at_all(server: Server, articles: str) -> None:
    path = f"/fields/{articles}"
    changes = [{"field": "views", "meta": {"note": "n", "sort": 1}}, {"field": "slug", "meta": {"width": "half"}}]
    changed = server.send("PATCH", path, changes).data
    assert [(entry["field"], entry["meta"]["note"], entry["meta"]["width"]) for entry in changed] == [
        ("views", "n", "full"), ("slug", None, "half"),
    ]  # fmt: skip
    created(server, f"/items/{articles}", {"title": "x", "views": None})
    wrong = [{"field": "slug", "meta": {"note": "s"}}, {"field": "views", "schema": {"is_nullable": False}}]
    assert refused(server.send("PATCH", path, wrong)) == (400, "CONTAINS_NULL_VALUES")
    assert server.get(f"{path}/slug").data["meta"]["note"] is None
    assert refused(server.send("PATCH", path, [{"field": "nope", "meta": {}}])) == (403, "FORBIDDEN")
    assert refused(server.send("PATCH", path, [{"meta": {}}])) == (400, "INVALID_PAYLOAD")
    assert refused(server.send("PATCH", path, {"field": "slug"})) == (400, "INVALID_PAYLOAD")


def test_a_folder_holds_collections_and_a_group_holds_fields(server: Server, articles: str) -> None:
    folder = f"folder_{uuid4().hex[:8]}"
    made = created(server, "/collections", {"collection": folder, "schema": None, "meta": {"icon": "folder"}})
    assert (made["schema"], made["meta"]["icon"]) == (None, "folder")
    assert refused(server.get(f"/items/{folder}")) == (403, "FORBIDDEN")
    inside = server.send("PATCH", f"/collections/{articles}", {"meta": {"group": folder}}).data
    assert inside["meta"]["group"] == folder
    group = {"field": "details", "type": "alias", "schema": None, "meta": {"special": ["alias", "no-data", "group"]}}
    assert created(server, f"/fields/{articles}", group)["schema"] is None
    server.send("PATCH", f"/fields/{articles}/views", {"meta": {"group": "details"}})
    assert "details" not in created(server, f"/items/{articles}", {"title": "x"})
    assert server.send("DELETE", f"/fields/{articles}/details").status == 204
    assert server.get(f"/fields/{articles}/views").data["meta"]["group"] is None
    assert server.send("DELETE", f"/collections/{folder}").status == 204
    assert server.get(f"/collections/{articles}").data["meta"]["group"] is None


def test_a_deleted_field_is_no_longer_what_items_are_sorted_by(server: Server, articles: str) -> None:
    server.send("PATCH", f"/collections/{articles}", {"meta": {"sort_field": "views"}})
    server.send("DELETE", f"/fields/{articles}/views")
    assert server.get(f"/collections/{articles}").data["meta"]["sort_field"] is None


def test_a_relation_is_changed_and_removed(server: Server, articles: str) -> None:
    created(server, f"/fields/{articles}", {"field": "parent", "type": "integer"})
    relation = {"collection": articles, "field": "parent", "related_collection": articles}
    created(server, "/relations", relation)
    path = f"/relations/{articles}/parent"
    changed = server.send("PATCH", path, {"schema": {"on_delete": "CASCADE"}, "meta": {"sort_field": "views"}}).data
    assert (changed["schema"]["on_delete"], changed["meta"]["sort_field"]) == ("CASCADE", "views")
    assert refused(server.send("PATCH", path, {"schema": {"on_delete": "EXPLODE"}})) == (400, "INVALID_PAYLOAD")
    assert server.send("DELETE", path).status == 204
    assert refused(server.get(path)) == (403, "FORBIDDEN")
    assert (
        "parent" in server.get(f"/items/{articles}?limit=1").body
        or server.get(f"/fields/{articles}/parent").status == 200
    )


def test_geometry_is_geojson(server: Server, articles: str) -> None:
    field = created(server, f"/fields/{articles}", {"field": "place", "type": "geometry.Point"})
    assert (field["type"], field["meta"]["special"]) == ("geometry.Point", ["geometry.Point"])
    point = {"type": "Point", "coordinates": [8.5, 47.4]}
    made = created(server, f"/items/{articles}", {"title": "x", "place": point})
    assert made["place"] == server.get(f"/items/{articles}/{made['id']}").data["place"] == point
    for wrong in ({"type": "Polygon", "coordinates": []}, "somewhere", 5, {"type": "Point"}, {"type": []}):
        answer = server.post(f"/items/{articles}", {"title": "x", "place": wrong})
        assert refused(answer) == (400, "INVALID_PAYLOAD"), wrong
    assert refused(server.get(f"/items/{articles}?filter[place][_eq]=x")) == (400, "INVALID_QUERY")
    assert len(server.get(f"/items/{articles}?filter[place][_nnull]=true").data) == 1


def test_a_special_field_fills_itself_in(server: Server) -> None:
    name = f"special_{uuid4().hex[:8]}"
    specials = {
        "made": ("timestamp", "date-created"), "changed": ("timestamp", "date-updated"), "author": ("uuid", "user-created"),
        "editor": ("uuid", "user-updated"), "role": ("uuid", "role-created"), "pin": ("hash", "hash"),
        "hidden": ("string", "conceal"), "tags": ("csv", "cast-csv"), "data": ("text", "cast-json"),
        "flag": ("integer", "cast-boolean"), "at": ("string", "cast-datetime"),
    }  # fmt: skip
    fields = [
        {"field": "id", "type": "uuid", "meta": {"special": ["uuid"]}, "schema": {"is_primary_key": True}},
        *({"field": field, "type": kind, "meta": {"special": [word]}} for field, (kind, word) in specials.items()),
    ]
    created(server, "/collections", {"collection": name, "schema": {}, "meta": {}, "fields": fields})
    sent = {
        "pin": "1234",
        "hidden": "x",
        "tags": ["a", "b"],
        "data": {"a": [1]},
        "flag": True,
        "at": "2024-02-29T12:30:15",
    }
    made = created(server, f"/items/{name}", sent)
    me = server.get("/users/me").data
    assert (made["author"], made["role"], made["editor"], made["changed"]) == (me["id"], me["role"], None, None)
    assert made["made"].endswith("Z")
    shown = {**sent, "pin": "**********", "hidden": "**********"}
    assert {field: made[field] for field in sent} == shown
    after = server.send("PATCH", f"/items/{name}/{made['id']}", {"flag": False}).data
    assert (after["editor"], after["flag"], after["made"]) == (me["id"], False, made["made"])
    assert after["changed"] is not None
    assert len(made["id"]) == 36


def test_those_with_access_to_the_app_see_the_schema_of_what_they_may_read(
    server: Server, somebody: Somebody, articles: str
) -> None:
    mine = somebody.server
    permit(server, somebody, articles, fields=["id", "title"])
    for path in ("/collections", "/fields", "/relations", f"/collections/{articles}", f"/fields/{articles}"):
        assert refused(mine.get(path)) == (403, "FORBIDDEN")
    server.send("PATCH", f"/policies/{somebody.policy}", {"app_access": True})
    assert within_a_second(lambda: mine.get(f"/collections/{articles}").status == 200)
    assert [entry["field"] for entry in mine.get(f"/fields/{articles}").data] == ["id", "title"]
    assert {entry["collection"] for entry in mine.get("/fields").data} >= {articles, "directus_presets"}
    assert "directus_policies" not in {entry["collection"] for entry in mine.get("/collections").data}
    assert refused(mine.get("/fields/directus_policies")) == (403, "FORBIDDEN")
    assert refused(mine.get(f"/fields/{articles}/views")) == (403, "FORBIDDEN")
    assert refused(mine.send("PATCH", "/collections", [])) == (403, "FORBIDDEN")
    assert mine.get("/relations").status == 200
