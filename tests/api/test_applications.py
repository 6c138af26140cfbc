"""What applications that were written for Directus rely on without saying so, found by sending both the same requests."""

import json
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from .conftest import Server

KEY = {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}}


class Shop:
    """Menus kept in order by hand, with dishes (o2m), sections of several kinds (m2a), and notes and images for those."""

    def __init__(self, server: Server) -> None:
        self.server = server
        ending = uuid4().hex[:8]
        self.names = {name: f"{name}_{ending}" for name in ("menus", "dishes", "sections", "notes", "images")}

    def path(self, name: str) -> str:
        return f"/items/{self.names[name]}"

    def make(self) -> "Shop":
        fields: dict[str, list[dict[str, Any]]] = {
            "menus": [
                {"field": "name", "type": "string"}, {"field": "sort", "type": "integer"},
                {"field": "options", "type": "json"}, {"field": "parent", "type": "integer"},
                *({"field": name, "type": "alias", "meta": {"special": [kind]}}
                  for name, kind in (("dishes", "o2m"), ("children", "o2m"), ("sections", "m2a"))),
            ],
            "dishes": [{"field": "name", "type": "string"}, {"field": "price", "type": "integer"},
                       {"field": "menu", "type": "integer"}],
            "sections": [{"field": name, "type": kind} for name, kind in
                         (("menu", "integer"), ("item", "string"), ("collection", "string"))],
            "notes": [{"field": "body", "type": "string"}],
            "images": [{"field": "alt", "type": "string"}],
        }  # fmt: skip
        for name, own in fields.items():
            meta = {"sort_field": "sort"} if name == "menus" else {}
            body = {"collection": self.names[name], "schema": {}, "meta": meta, "fields": [KEY, *own]}
            assert self.server.post("/collections", body).status == 200
        of = self.names
        kinds = {"one_collection_field": "collection", "one_allowed_collections": [of["notes"], of["images"]]}
        for many, field, one, meta in (
            ("dishes", "menu", "menus", {"one_field": "dishes"}),
            ("menus", "parent", "menus", {"one_field": "children"}),
            ("sections", "menu", "menus", {"one_field": "sections", "junction_field": "item"}),
            ("sections", "item", None, {"junction_field": "menu", **kinds}),
        ):
            related = of[one] if one else None
            body = {"collection": of[many], "field": field, "related_collection": related, "meta": meta}
            assert self.server.post("/relations", body).status == 200
        self.write()
        return self

    def write(self) -> None:
        for name, rows in (
            ("menus", [{"name": "Supper", "sort": 3}, {"name": "Breakfast", "sort": 1}, {"name": "Lunch", "sort": 2},
                       {"name": "Never"}]),
            ("dishes", [{"name": "Egg", "price": 3, "menu": 2}, {"name": "Tea", "price": None, "menu": 2},
                        {"name": "Soup", "price": 5, "menu": 3}]),
            ("notes", [{"body": "Fresh"}]),
            ("images", [{"alt": "A plate"}]),
            ("sections", [{"menu": 1, "item": "1", "collection": self.names["notes"]},
                          {"menu": 1, "item": "1", "collection": self.names["images"]}]),
        ):  # fmt: skip
            assert self.server.post(self.path(name), rows).status == 200
        for key, parent in ((2, 1), (3, 1)):
            self.server.send("PATCH", f"{self.path('menus')}/{key}", {"parent": parent})

    def found(self, name: str, condition: Any) -> list[Any]:
        """The keys of the items that a filter finds."""
        query = f"fields=id&sort=id&filter={quote(json.dumps(condition))}"
        return [item["id"] for item in self.server.get(f"{self.path(name)}?{query}").data]


@pytest.fixture(scope="module")
def shop(server: Server) -> Shop:
    return Shop(server).make()


def test_items_come_in_the_order_that_is_kept_by_hand(shop: Shop) -> None:
    listed = shop.server.get(f"{shop.path('menus')}?fields=name").data
    assert [item["name"] for item in listed] == ["Breakfast", "Lunch", "Supper", "Never"]
    page = shop.server.get(f"{shop.path('menus')}?fields=name&limit=1&page=2").data
    assert page == [{"name": "Lunch"}]
    (parent,) = shop.server.get(f"{shop.path('menus')}?fields=children.name&filter[id]=1").data
    assert [child["name"] for child in parent["children"]] == ["Breakfast", "Lunch"]


def test_an_order_that_is_asked_for_goes_before_that_by_hand(shop: Shop) -> None:
    listed = shop.server.get(f"{shop.path('menus')}?fields=id&sort=-id").data
    assert [item["id"] for item in listed] == [4, 3, 2, 1]


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("dishes.name,id", ["Breakfast", "Lunch", "Supper", "Never"]),
        ("-dishes.price,-id", ["Never", "Supper", "Lunch", "Breakfast"]),
        ("children.dishes.price,id", ["Supper", "Breakfast", "Lunch", "Never"]),
        ("-parent.name,id", ["Supper", "Never", "Breakfast", "Lunch"]),
    ],
)
def test_items_are_sorted_by_the_first_of_their_related_items(shop: Shop, sort: str, names: list[str]) -> None:
    listed = shop.server.get(f"{shop.path('menus')}?fields=name&sort={sort}").data
    assert [item["name"] for item in listed] == names


def test_a_sort_does_not_turn_to_several_items_again_and_again(shop: Shop) -> None:
    path = f"{shop.path('menus')}?fields=name&sort="
    for allowed in ("parent.children.dishes.price", "children.parent.children.name", "children.children.children.name"):
        assert shop.server.get(path + allowed).status == 200
    for sort in (
        "parent.children.parent.children.name", "-children.parent.children.parent.children.dishes.price",
        "parent.children.parent.count(children)",
    ):  # fmt: skip
        assert shop.server.get(path + sort).code == "INVALID_QUERY"


@pytest.mark.parametrize(
    ("condition", "keys"),
    [
        ({"dishes": {"id": {"_null": True}}}, [1, 4]),
        ({"dishes": {"name": {"_eq": None}}}, [1, 4]),
        ({"dishes": {"price": {"_null": True}}}, [1, 2, 4]),
        ({"dishes": {"price": {"_nnull": True}}}, [2, 3]),
        ({"dishes": {"_or": [{"name": {"_empty": True}}, {"name": "Soup"}]}}, [1, 3, 4]),
        ({"dishes": {"_some": {"price": {"_null": True}}}}, [2]),
        ({"dishes": {}}, [1, 2, 3, 4]),
        ({"parent": {"dishes": {"id": {"_null": True}}}}, [1, 2, 3, 4]),
        ({"children": {"dishes": {"name": {"_null": True}}}}, [2, 3, 4]),
    ],
)
def test_null_of_a_related_field_finds_what_has_no_related_items(shop: Shop, condition: Any, keys: list[int]) -> None:
    assert shop.found("menus", condition) == keys


def test_conditions_side_by_side_are_about_the_same_related_item(shop: Shop) -> None:
    egg, dear = {"dishes": {"name": {"_eq": "Egg"}}}, {"dishes": {"price": {"_null": True}}}
    assert shop.found("menus", {"_and": [egg, dear]}) == []
    assert shop.found("menus", {"_and": [egg, {"id": {"_gt": 1}}, {"dishes": {"price": {"_eq": 3}}}]}) == [2]
    both = [{"dishes": {"_some": {"name": {"_eq": name}}}} for name in ("Egg", "Tea")]
    assert shop.found("menus", {"_and": both}) == [2]


def test_an_empty_group_is_no_alternative(shop: Shop) -> None:
    for empty in ({"_and": []}, {"_or": []}, {"_and": [{"_or": []}]}):
        assert shop.found("menus", {"_or": [{"id": 1}, empty]}) == [1]
        assert shop.found("menus", {"_or": [empty]}) == [1, 2, 3, 4]
    assert shop.found("menus", {"_or": [{"id": 1}, {}]}) == [1, 2, 3, 4]


def test_null_can_be_said_in_brackets(shop: Shop) -> None:
    path = f"{shop.path('menus')}?fields=id&sort=id"
    assert shop.server.get(f"{path}&filter[parent][_eq]=null").data == [{"id": 1}, {"id": 4}]
    assert shop.server.get(f"{path}&filter[parent][_neq]=null").data == [{"id": 2}, {"id": 3}]


def test_null_in_a_list_is_equal_to_nothing(shop: Shop) -> None:
    assert shop.found("menus", {"parent": {"_in": [1, None]}}) == [2, 3]
    assert shop.found("menus", {"parent": {"_in": None}}) == []
    assert shop.found("menus", {"id": {"_nin": [1, None]}}) == [2, 3, 4]
    assert shop.found("menus", {"parent": {"_nin": None}}) == [2, 3]
    assert shop.found("menus", {"name": {"_nin": ["Lunch", None]}}) == []
    assert shop.found("menus", {"parent": {"_null": None}}) == [1, 4]


def test_what_is_not_asked_for_of_several_collections_stays_a_key(shop: Shop) -> None:
    scope = f"item:{shop.names['notes']}.body"
    listed = shop.server.get(f"{shop.path('sections')}?fields={scope}&sort=id").data
    assert listed == [{"item": {"body": "Fresh"}}, {"item": 1}]
    (menu,) = shop.server.get(f"{shop.path('menus')}?fields=sections.{scope}&filter[id]=1").data
    assert menu["sections"] == listed


def test_an_update_answers_with_the_fields_of_related_items(shop: Shop) -> None:
    path = f"{shop.path('menus')}/2"
    answer = shop.server.send("PATCH", f"{path}?fields=name,dishes.name,parent.name", {"name": "Breakfast"})
    assert answer.status == 200
    dishes = [{"name": "Egg"}, {"name": "Tea"}]
    assert answer.data == {"name": "Breakfast", "dishes": dishes, "parent": {"name": "Supper"}}


def test_numbering_goes_on_after_a_key_that_was_given(shop: Shop) -> None:
    path = f"{shop.path('images')}?fields=id"
    assert shop.server.post(path, {"id": 20, "alt": "given"}).data == {"id": 20}
    assert shop.server.post(path, [{"id": 41}, {"id": 40}]).data == [{"id": 41}, {"id": 40}]
    assert shop.server.post(path, {"alt": "counted"}).data == {"id": 42}
    assert shop.server.post(path, {"id": 30}).data == {"id": 30}
    assert shop.server.post(path, {"alt": "counted"}).data == {"id": 43}


@pytest.mark.parametrize(
    ("sent", "kept"), [('{"a": [1]}', {"a": [1]}), ("[1, 2]", [1, 2]), ("no JSON", "no JSON"), ("[1", "[1"), ("5", 5)]
)
def test_json_may_be_sent_as_text(shop: Shop, sent: str, kept: Any) -> None:
    answer = shop.server.send("PATCH", f"{shop.path('menus')}/4?fields=options", {"options": sent})
    assert answer.data == {"options": kept}


def test_what_is_let_go_may_be_gone_already(shop: Shop) -> None:
    path = f"{shop.path('menus')}/4?fields=dishes.name"
    changes = {"create": [{"name": "Pie"}], "update": [{"id": 8888, "name": "Nothing"}], "delete": [9999, 1]}
    assert shop.server.send("PATCH", path, {"dishes": changes}).data == {"dishes": [{"name": "Pie"}]}
    assert shop.found("dishes", {"id": 1, "menu": 2}) == [1]  # another menu's, and left with it


def test_deep_of_what_is_not_asked_for_changes_nothing(shop: Shop) -> None:
    path = f"{shop.path('menus')}?fields=id&sort=id&limit=1"
    assert shop.server.get(f"{path}&deep[dishes][_limit]=1&deep[parent][dishes][_limit]=1").data == [{"id": 1}]


@pytest.fixture(scope="module")
def guest(shop: Shop) -> Server:
    """Sees menus, but no dishes; may write dishes, with rules for some of their fields."""
    server, names = shop.server, shop.names
    rules = {"price": {"_lt": 10}, "kind": {"_neq": "secret"}}
    for field in ({"field": "kind", "type": "string", "schema": {"default_value": "plain"}},):
        assert server.post(f"/fields/{names['dishes']}", field).status == 200
    permissions = [
        {"collection": names["menus"], "action": "read", "fields": ["id", "name", "parent", "dishes", "sections"]},
        {"collection": names["sections"], "action": "read", "fields": ["*"]},
        {"collection": names["notes"], "action": "read", "fields": ["*"]},
        {"collection": names["dishes"], "action": "create", "fields": ["*"], "validation": rules},
        {"collection": names["images"], "action": "create", "fields": ["*"], "validation": {"alt": {"_eq": "x"}}},
    ]
    return _with(server, *permissions)


def _with(server: Server, *permissions: dict[str, Any]) -> Server:
    """The server, as a new user with these permissions asks it."""
    policy = server.post("/policies", {"name": "Guests"}).data["id"]
    assert server.post("/permissions", [{"policy": policy, **each} for each in permissions]).status == 200
    token = uuid4().hex
    user = {"email": f"{token}@example.com", "token": token, "policies": [{"policy": policy}]}
    assert server.post("/users", user).status == 200
    return server.acting_as(token)


def test_fields_of_items_that_nobody_shows_the_caller_are_left_out(shop: Shop, guest: Server) -> None:
    path = f"{shop.path('menus')}?filter[id]=2"
    assert guest.get(f"{path}&fields=name,dishes.name,parent.name").data == [
        {"name": "Breakfast", "parent": {"name": "Supper"}}
    ]
    assert guest.get(f"{path}&fields=name,dishes").data == [{"name": "Breakfast"}]
    assert guest.get(f"{path}&fields=name,dishes.name&deep[dishes][_limit]=1").data == [{"name": "Breakfast"}]
    assert guest.get(f"{path}&fields=name,options").code == "FORBIDDEN"
    assert guest.get(f"{path}&fields=name&filter[dishes][name]=Egg").code == "FORBIDDEN"


def test_a_path_over_a_hidden_field_to_hidden_items_is_left_out_and_the_field_itself_refused(shop: Shop) -> None:
    menus = shop.names["menus"]
    reader = _with(shop.server, {"collection": menus, "action": "read", "fields": ["id"]})
    assert reader.get(f"/items/{menus}?fields=id,dishes.name&limit=1").data == [{"id": 1}]
    for name in ("dishes", "sections", "nothing", "nothing.name"):
        assert reader.get(f"/items/{menus}?fields=id,{name}").code == "FORBIDDEN"


def test_items_of_a_collection_that_is_not_shown_stay_keys(shop: Shop, guest: Server) -> None:
    scopes = f"item:{shop.names['notes']}.body,item:{shop.names['images']}.alt"
    listed = guest.get(f"{shop.path('sections')}?fields={scopes}&sort=id").data
    assert listed == [{"item": {"body": "Fresh"}}, {"item": 1}]


def test_a_policys_rule_is_about_the_values_that_are_written(shop: Shop, guest: Server) -> None:
    assert guest.post(shop.path("dishes"), {"name": "Bread"}).status == 204
    assert guest.post(shop.path("dishes"), {"name": "Cake", "price": 9, "kind": "sweet"}).status == 204
    for refused in ({"price": 12}, {"price": None}, {"kind": "secret"}, {"price": 1, "kind": "secret"}):
        assert guest.post(shop.path("dishes"), {"name": "Cake", **refused}).code == "FAILED_VALIDATION"


def test_a_policys_rule_is_about_defaults_too(shop: Shop, guest: Server) -> None:
    changed = {"schema": {"default_value": "secret"}}
    field = f"/fields/{shop.names['dishes']}/kind"
    assert shop.server.send("PATCH", field, changed).status == 200
    try:
        assert guest.post(shop.path("dishes"), {"name": "Bread"}).code == "FAILED_VALIDATION"
        assert guest.post(shop.path("dishes"), {"name": "Bread", "kind": "plain"}).status == 204
    finally:
        shop.server.send("PATCH", field, {"schema": {"default_value": "plain"}})


def test_a_file_is_saved_under_the_name_in_its_address(server: Server) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nhi\r\n--x--\r\n'
    file = server.send("POST", "/files", raw=body, headers={"Content-Type": "multipart/form-data; boundary=x"}).data
    answer = server.get(f"/assets/{file['id']}/letter.txt?download")
    assert answer.headers["content-disposition"] == 'attachment; filename="letter.txt"'


def test_users_are_exported(server: Server) -> None:
    answer = server.get("/users?export=csv&fields=email&filter[email]=admin@example.com")
    assert (answer.status, answer.body.strip()) == (200, '"email"\n"admin@example.com"')


def test_csv_may_begin_with_the_mark_of_utf_8(shop: Shop) -> None:
    answer = shop.server.get(f"{shop.path('menus')}?export=csv_utf8&fields=name&filter[id]=1")
    assert answer.body.startswith('\ufeff"name"')
    assert answer.headers["content-disposition"].endswith('.csv"')


def test_an_address_that_is_none_fails_validation(server: Server) -> None:
    answer = server.post("/users", {"email": "nobody"})
    assert (answer.status, answer.code) == (400, "FAILED_VALIDATION")
    extensions = answer.json["errors"][0]["extensions"]
    assert (extensions["field"], extensions["type"]) == ("email", "email")


def test_special_words_may_be_text(shop: Shop) -> None:
    field = {"field": "code", "type": "uuid", "meta": {"special": "uuid,conceal"}}
    made = shop.server.post(f"/fields/{shop.names['notes']}", field)
    assert set(made.data["meta"]["special"]) == {"uuid", "conceal"}


def test_a_whole_number_that_javascript_cannot_hold_is_text(shop: Shop) -> None:
    path = f"{shop.path('images')}?fields=size"
    field = {"field": "size", "type": "bigInteger"}
    assert shop.server.post(f"/fields/{shop.names['images']}", field).status == 200
    for sent, shown in ((2**53 - 1, 2**53 - 1), (2**53, "9007199254740992"), (str(-(2**53)), "-9007199254740992")):
        assert shop.server.post(path, {"size": sent}).data == {"size": shown}
        assert {"size": shown} in shop.server.get(path).data


def test_what_is_wrong_with_a_value_is_said_in_the_contracts_words(shop: Shop) -> None:
    rules = {"validation": {"_and": [{"shape": {"_regex": "^[a-z]+$"}}]}}
    fields = f"/fields/{shop.names['images']}"
    shape = {"field": "shape", "type": "string", "schema": {"is_nullable": False, "default_value": "round"}}
    assert shop.server.post(fields, {**shape, "meta": rules}).status == 200

    def wrong(value: Any) -> dict[str, Any]:
        (error,) = shop.server.post(shop.path("images"), {"shape": value}).json["errors"]
        extensions = error["extensions"]
        assert (extensions["code"], extensions["field"], extensions["path"]) == ("FAILED_VALIDATION", "shape", [])
        return {name: extensions[name] for name in ("type", "invalid") if name in extensions}

    assert wrong("A1") == {"type": "regex", "invalid": "A1"}
    assert wrong(None)["type"] in {"nnull", "required"}


def test_a_version_shows_items_that_are_not_there_yet_as_they_will_be(shop: Shop) -> None:
    menus, notes = shop.names["menus"], shop.names["notes"]
    assert shop.server.send("PATCH", f"/collections/{menus}", {"meta": {"versioning": True}}).status == 200
    version = shop.server.post("/versions", {"collection": menus, "item": "4", "key": "next"}).data["id"]
    changes = {
        "sections": {"create": [{"item": "1", "collection": notes}], "update": [], "delete": []},
        "children": {"create": [{"name": "Tea time", "dishes": [{"name": "Scone"}]}], "update": [], "delete": []},
    }
    assert shop.server.post(f"/versions/{version}/save", changes).status == 200
    fields = f"name,sections.item:{notes}.body,children.name,children.sort,children.dishes.name,children.children"
    assert shop.server.get(f"{shop.path('menus')}/4?version=next&fields={fields}").data == {
        "name": "Never",
        "sections": [{"item": {"body": "Fresh"}}],
        "children": [{"name": "Tea time", "sort": None, "dishes": [{"name": "Scone"}], "children": []}],
    }


def test_what_the_publics_policy_permits_everybody_may(shop: Shop) -> None:
    policy = "abf8a154-5b1c-4a46-ac9c-7300570f4f17"
    path, server = f"{shop.path('notes')}?fields=body", shop.server
    assert server.public.get(path).code == "FORBIDDEN"
    permission = {"policy": policy, "collection": shop.names["notes"], "action": "read", "fields": ["body"]}
    made = server.post("/permissions", permission).data["id"]
    try:
        assert server.public.get(path).data == [{"body": "Fresh"}]
    finally:
        assert server.send("DELETE", f"/permissions/{made}").status == 204


def test_what_is_wrong_in_a_nested_item_is_told_with_the_way_to_it(shop: Shop) -> None:
    field = {"field": "origin", "type": "string", "schema": {"is_nullable": False, "default_value": "here"}}
    assert shop.server.post(f"/fields/{shop.names['dishes']}", field).status == 200

    def path_of(payload: Any) -> Any:
        (error,) = shop.server.post(shop.path("menus"), payload).json["errors"]
        assert (error["extensions"]["code"], error["extensions"]["field"]) == ("FAILED_VALIDATION", "origin")
        return error["extensions"]["path"]

    wrong = {"name": "Soup", "origin": None}
    assert path_of({"dishes": [wrong]}) == ["dishes"]
    assert path_of({"parent": {"children": {"create": [{"dishes": [wrong]}]}}}) == ["parent", "children", "dishes"]
