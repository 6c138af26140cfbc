"""GraphQL: what exists for a caller, what is answered, and what is refused."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from graphql import build_schema

from datastead.graphql.documents import Documents
from datastead.settings import Settings

from .conftest import Answer, Server, collection

INTROSPECTION = "{ __schema { types { name fields { name } inputFields { name } } } }"


@dataclass(frozen=True)
class Blog:
    """Collections of one's own: authors, posts (m2o author, o2m lines), headings, and lines (m2a item)."""

    server: Server
    mark: str

    def ask(self, text: str, path: str = "/graphql", server: Server | None = None, **variables: Any) -> Answer:
        """`authors`, `posts` … in the text are this blog's."""
        for name in ("authors", "posts", "headings", "lines"):
            text = text.replace(f"~{name}", f"{name}_{self.mark}")
        return (server or self.server).post(path, {"query": text, "variables": variables})

    def data(self, text: str, **more: Any) -> Any:
        answer = self.ask(text, **more)
        assert answer.status == 200, answer.body
        assert "errors" not in answer.json, answer.body
        return {name.replace(f"_{self.mark}", ""): value for name, value in answer.json["data"].items()}

    def reader(self, *permissions: dict[str, Any]) -> Server:
        """A user who may do what the permissions say."""
        policy = self.server.post("/policies", {"name": "x"}).data["id"]
        token = uuid4().hex
        user = self.server.post("/users", {"email": f"{token}@example.com", "token": token}).data["id"]
        self.server.post("/access", {"policy": policy, "user": user})
        for each in permissions:
            collection = f"{each['collection']}_{self.mark}"
            granted = {"policy": policy, "action": "read", "fields": ["*"], **each, "collection": collection}
            assert self.server.post("/permissions", granted).status == 200
        return self.server.acting_as(token)


@pytest.fixture(scope="module")
def blog(server: Server) -> Blog:
    mark = uuid4().hex[:8]
    key = {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}}

    def text(name: str, kind: str = "string") -> dict[str, Any]:
        return {"field": name, "type": kind}

    posts = {"field": "posts", "type": "alias", "meta": {"special": ["o2m"]}}
    lines = {"field": "lines", "type": "alias", "meta": {"special": ["o2m"]}}
    tables = {
        "authors": [key, text("name"), posts],
        "posts": [key, text("title"), text("views", "integer"), text("at", "timestamp"), text("tags", "json"),
                  text("big", "bigInteger"), text("author", "integer"), lines],
        "headings": [key, text("text")],
        "lines": [key, text("collection"), text("item"), text("post", "integer")],
    }  # fmt: skip
    for name, fields in tables.items():
        made = server.post("/collections", {"collection": f"{name}_{mark}", "schema": {}, "meta": {}, "fields": fields})
        assert made.status == 200, made.body
    for name, field, related, meta in (
        ("posts", "author", f"authors_{mark}", {"one_field": "posts"}),
        ("lines", "post", f"posts_{mark}", {"one_field": "lines"}),
        ("lines", "item", None, {"one_collection_field": "collection",
                                 "one_allowed_collections": [f"headings_{mark}", f"authors_{mark}"]}),
    ):  # fmt: skip
        body = {"collection": f"{name}_{mark}", "field": field, "related_collection": related, "meta": meta}
        made = server.post("/relations", body)
        assert made.status == 200, made.body
    blog = Blog(server, mark)
    for name, items in {
        "authors": [{"name": "Ann"}, {"name": "Bob"}],
        "headings": [{"text": "Hello"}],
        "posts": [
            {"title": "Bread", "views": 5, "author": 1, "at": "2024-02-29T12:00:00Z", "tags": ["a", "b"], "big": 9007199254740993},
            {"title": "Rye", "views": 1, "author": 1, "at": "2023-01-01T00:00:00Z"},
            {"title": "Salt", "views": 9, "author": 2},
        ],
        "lines": [
            {"post": 1, "collection": f"headings_{mark}", "item": "1"},
            {"post": 1, "collection": f"authors_{mark}", "item": "2"},
        ],
    }.items():  # fmt: skip
        made = server.post(f"/items/{name}_{mark}", items)
        assert made.status == 200, made.body
    return blog


def test_a_tree_of_items_is_read_with_arguments_on_each_level(blog: Blog) -> None:
    found = blog.data("""{
      ~authors(sort: ["-name"], filter: {posts: {_some: {views: {_gt: 3}}}}) {
        id name
        best: posts(sort: ["-views"], limit: 1) { title author { called: name } }
        old: posts(filter: {at_func: {year: {_eq: 2023}}}) { id }
        posts { id } posts_func { count }
      }
    }""")
    assert found == {"authors": [
        {"id": "2", "name": "Bob", "best": [{"title": "Salt", "author": {"called": "Bob"}}], "old": [],
         "posts": [{"id": "3"}], "posts_func": {"count": 1}},
        {"id": "1", "name": "Ann", "best": [{"title": "Bread", "author": {"called": "Ann"}}], "old": [{"id": "2"}],
         "posts": [{"id": "1"}, {"id": "2"}], "posts_func": {"count": 2}},
    ]}  # fmt: skip


def test_a_single_item_is_hidden_by_what_does_not_let_it_through(blog: Blog) -> None:
    found = blog.data("""{ ~posts(sort: ["id"], limit: 3) {
      bob: author(filter: {name: {_eq: "Bob"}}, limit: 0, sort: ["-id"]) { name posts(limit: 1) { title } }
      author { name few: posts(limit: 1) { title } all: posts { title } }
      found: author(search: "ann") { __typename }
    } }""")
    ann = {"name": "Ann", "few": [{"title": "Bread"}], "all": [{"title": "Bread"}, {"title": "Rye"}]}
    bob = {"name": "Bob", "few": [{"title": "Salt"}], "all": [{"title": "Salt"}]}
    seen = {"__typename": f"authors_{blog.mark}"}
    assert found["posts"] == [
        {"bob": None, "author": ann, "found": seen}, {"bob": None, "author": ann, "found": seen},
        {"bob": {"name": "Bob", "posts": [{"title": "Salt"}]}, "author": bob, "found": None},
    ]  # fmt: skip


def test_types_and_functions_are_the_contracts(blog: Blog) -> None:
    found = blog.data(
        "query ($id: ID!) { ~posts_by_id(id: $id) { id big tags tags_func { count } at at_func { year month } views } }",
        id=1,
    )
    assert found["posts_by_id"] == {
        "id": "1", "big": "9007199254740993", "tags": ["a", "b"], "tags_func": {"count": 2}, "views": 5,
        "at": found["posts_by_id"]["at"], "at_func": {"year": 2024, "month": 2},
    }  # fmt: skip
    assert found["posts_by_id"]["at"].startswith("2024-02-29T12:00:00")


def test_items_of_several_collections_are_read_by_fragments(blog: Blog) -> None:
    found = blog.data("""
      query { ~lines(sort: ["id"], filter: {_or: [{item__~headings: {text: {_eq: "Hello"}}}, {id: {_eq: 2}}]}) {
        id item { __typename ... on ~headings { text } ...Who } } }
      fragment Who on ~authors { name posts(limit: 1) { title } }
    """)
    assert found["lines"] == [
        {"id": "1", "item": {"__typename": f"headings_{blog.mark}", "text": "Hello"}},
        {"id": "2", "item": {"__typename": f"authors_{blog.mark}", "name": "Bob", "posts": [{"title": "Salt"}]}},
    ]


def test_a_collection_may_be_called_as_a_type_is(server: Server) -> None:
    mark = uuid4().hex[:8]
    parts, target = f"parts_{mark}", f"goals_{mark}"
    taken = f"{parts}_goal_union"
    key = {"field": "kind", "type": "string"}
    for name, fields in ((target, []), (taken, []), (parts, [key, {"field": "goal", "type": "string"}])):
        made = server.post("/collections", {"collection": name, "schema": {}, "meta": {}, "fields": fields})
        assert made.status == 200, made.body
    meta = {"one_collection_field": "kind", "one_allowed_collections": [target]}
    made = server.post("/relations", {"collection": parts, "field": "goal", "related_collection": None, "meta": meta})
    assert made.status == 200, made.body
    server.post(f"/items/{target}", {})
    server.post(f"/items/{parts}", {"kind": target, "goal": "1"})
    text = f"{{ {parts} {{ goal {{ ... on {target} {{ id }} }} }} }}"
    assert server.post("/graphql", {"query": text}).data == {parts: [{"goal": {"id": "1"}}]}
    server.send("DELETE", f"/collections/{parts}")


def test_sums_are_read(blog: Blog) -> None:
    found = blog.data("""{
      ~posts_aggregated { countAll count { id author } sum { views } avg { views } most: max { views } }
      grouped: ~posts_aggregated(groupBy: ["author"], sort: ["author"]) { group countAll }
    }""")
    assert found["posts_aggregated"] == [
        {
            "countAll": 3,
            "count": {"id": 3, "author": 3},
            "sum": {"views": 15},
            "avg": {"views": 5},
            "most": {"views": 9},
        }
    ]
    assert found["grouped"] == [{"group": {"author": 1}, "countAll": 2}, {"group": {"author": 2}, "countAll": 1}]


def test_what_is_grouped_by_may_be_called_like_a_sum(server: Server) -> None:
    name = f"sums_{uuid4().hex[:8]}"
    fields = [{"field": each, "type": "integer"} for each in ("count", "group", "sum")]
    assert server.post("/collections", {"collection": name, "schema": {}, "meta": {}, "fields": fields}).status == 200
    server.post(f"/items/{name}", [{"count": 1, "group": 7, "sum": 4}])
    text = f'{{ {name}_aggregated(groupBy: ["count", "group"]) {{ group countAll sum {{ sum }} }} }}'
    found = [{"group": {"count": 1, "group": 7}, "countAll": 1, "sum": {"sum": 4}}]
    assert server.post("/graphql", {"query": text}).data == {f"{name}_aggregated": found}


def test_directives_names_and_fragments_select_what_they_say(blog: Blog) -> None:
    found = blog.data(
        """query ($no: Boolean!) { ~posts(limit: 1) {
            a: title b: title views @skip(if: $no) ... @include(if: $no) { id } __typename author { __typename } } }""",
        no=True,
    )
    mark = blog.mark
    assert found["posts"] == [
        {
            "a": "Bread",
            "b": "Bread",
            "id": "1",
            "__typename": f"posts_{mark}",
            "author": {"__typename": f"authors_{mark}"},
        }
    ]


def test_items_are_created_changed_and_deleted_in_order(blog: Blog) -> None:
    made = blog.data("""mutation {
      one: create_~posts_item(data: {title: "New", author: {name: "Zoe"}}) { title author { name } }
      many: create_~posts_items(data: [{title: "x"}, {title: "y"}]) { title }
    }""")
    assert made["one"] == {"title": "New", "author": {"name": "Zoe"}}
    assert made["many"] == [{"title": "x"}, {"title": "y"}]
    keys = [
        row["id"] for row in blog.data('{ ~posts(filter: {title: {_in: ["x", "y"]}}, sort: ["id"]) { id } }')["posts"]
    ]
    changed = blog.data(
        """mutation ($ids: [ID]!, $first: ID!, $batch: [update_~posts_input!]) {
          update_~posts_items(ids: $ids, data: {views: 7}) { views }
          update_~posts_item(id: $first, data: {title: "X"}) { title views }
          update_~posts_batch(data: $batch) { views }
          delete_~posts_item(id: $first) { id }
          delete_~posts_items(ids: $ids) { ids }
        }""".replace("[update_~posts_input!]", f"[update_posts_{blog.mark}_input!]"),
        ids=keys[1:], first=keys[0], batch=[{"id": keys[1], "views": 8}],
    )  # fmt: skip
    assert changed == {
        "update_posts_items": [{"views": 7}], "update_posts_item": {"title": "X", "views": None},
        "update_posts_batch": [{"views": 8}], "delete_posts_item": {"id": keys[0]}, "delete_posts_items": {"ids": keys[1:]},
    }  # fmt: skip
    blog.server.send("DELETE", f"/items/posts_{blog.mark}", {"query": {"filter": {"title": {"_eq": "New"}}}})


def test_a_get_request_reads_and_does_not_change(blog: Blog) -> None:
    name = f"posts_{blog.mark}"
    asked = quote(f"query Q($n: Int) {{ {name}(limit: $n) {{ id }} }}")
    read = blog.server.get(f"/graphql?query={asked}&variables={quote(json.dumps({'n': 1}))}&operationName=Q")
    assert read.data == {name: [{"id": "1"}]}
    changing = quote(f"mutation {{ delete_{name}_item(id: 1) {{ id }} }}")
    refused = blog.server.get(f"/graphql?query={changing}")
    assert (refused.status, refused.code) == (405, "METHOD_NOT_ALLOWED")
    assert blog.server.get(f"/items/{name}/1").status == 200


def test_what_cannot_be_asked_is_refused_with_the_contracts_codes(blog: Blog) -> None:
    wrong = blog.ask("{ nope { id } }")
    assert wrong.status == 400
    (error,) = wrong.json["errors"]
    assert error["extensions"] == {
        "errors": [{"message": 'Cannot query field "nope" on type "Query".', "locations": [{"line": 1, "column": 3}]}],
        "code": "GRAPHQL_VALIDATION",
    }
    for text, code in (
        ("{ ", "INVALID_PAYLOAD"), ("", "INVALID_PAYLOAD"), ("query A { __typename } query B { __typename }", "INVALID_PAYLOAD"),
        ("query ($id: ID!) { ~posts_by_id(id: $id) { id } }", "GRAPHQL_VALIDATION"),
        ("{" + "a: __typename " * 301 + "}", "INVALID_PAYLOAD"), ("{ __typename " * 1 + "x" * 10 + "}", "GRAPHQL_VALIDATION"),
        ("{" * 3000, "INVALID_PAYLOAD"), ("{ " + "a " * 6000 + "}", "INVALID_PAYLOAD"),
    ):  # fmt: skip
        answer = blog.ask(text)
        assert (answer.status, answer.code) == (400, code), text[:50]
    for body in (
        [],
        {"query": 5},
        {"query": "{ __typename }", "variables": []},
        {"query": "{ __typename }", "operationName": 1},
    ):
        assert blog.server.post("/graphql", body).code == "INVALID_PAYLOAD"


def test_an_item_without_values_is_created(blog: Blog) -> None:
    made = blog.data("mutation { create_~headings_item(data: {}) { id text } create_~headings_items(data: []) { id } }")
    assert made["create_headings_item"]["text"] is None
    assert made["create_headings_items"] == []
    blog.data("mutation ($id: ID!) { delete_~headings_item(id: $id) { id } }", id=made["create_headings_item"]["id"])


def test_nothing_is_written_where_the_answer_cannot_be_given(blog: Blog) -> None:
    count = blog.data("{ ~headings_aggregated { countAll } }")
    deep = "posts { author { " * 6 + "id" + " } }" * 6
    assert blog.ask(f'mutation {{ create_~authors_item(data: {{name: "x"}}) {{ {deep} }} }}').json["errors"]
    new = " ".join(f'a{n}: create_~headings_item(data: {{text: "x"}}) {{ id }}' for n in range(102))
    made = blog.ask(f"mutation {{ {new} }}").json
    assert [error["path"] for error in made["errors"]] == [["a100"], ["a101"]]
    found = blog.data("{ ~headings_aggregated { countAll } ~authors_aggregated { countAll } }")
    assert found["headings_aggregated"][0]["countAll"] == count["headings_aggregated"][0]["countAll"] + 100
    gone = " ".join(f"a{n}: delete_~headings_item(id: 0) {{ id }}" for n in range(101))
    assert blog.ask(f"mutation {{ {gone} }}").json["errors"][0]["path"] == ["a100"]
    assert blog.ask('{ ~authors(filter: {name: {_eq: "x"}}) { id } }').data == {f"authors_{blog.mark}": []}
    blog.server.send("DELETE", f"/items/headings_{blog.mark}", {"query": {"filter": {"text": {"_eq": "x"}}}})


def test_types_are_the_contracts(server: Server) -> None:
    name = f"kinds_{uuid4().hex[:8]}"
    kinds = ("uuid", "time", "date", "bigInteger", "decimal", "csv", "json", "boolean", "text")
    fields = [{"field": kind, "type": kind} for kind in kinds]
    fields += [{"field": "hidden", "type": "string", "meta": {"special": ["conceal"]}}]
    assert server.post("/collections", {"collection": name, "schema": {}, "meta": {}, "fields": fields}).status == 200
    asked = '{ __type(name: "%s") { fields { name type { name kind } } inputFields { name type { name } } } }'
    (item,) = server.post("/graphql", {"query": asked % name}).data.values()
    found = {each["name"]: each["type"]["name"] or each["type"]["kind"] for each in item["fields"]}
    assert {key: found[key] for key in (*kinds, "hidden")} == {
        "uuid": "ID", "time": "Date", "date": "Date", "bigInteger": "GraphQLBigInt", "decimal": "Float", "csv": "LIST",
        "json": "JSON", "boolean": "Boolean", "text": "String", "hidden": "Hash",
    }  # fmt: skip
    (filters,) = server.post("/graphql", {"query": asked % f"{name}_filter"}).data.values()
    by_name = {each["name"]: each["type"]["name"] for each in filters["inputFields"]}
    assert [by_name[key] for key in ("uuid", "time", "hidden")] == [
        "id_filter_operators", "date_filter_operators", "hash_filter_operators"
    ]  # fmt: skip
    uid = str(uuid4())
    server.post(f"/items/{name}", {"uuid": uid, "time": "12:00:00", "bigInteger": "9007199254740993"})
    text = f"query ($id: ID) {{ {name}(filter: {{uuid: {{_eq: $id}}}}) {{ uuid time }} {name}_aggregated {{ max {{ bigInteger }} }} }}"
    answer = server.post("/graphql", {"query": text, "variables": {"id": uid}})
    assert answer.data == {
        name: [{"uuid": uid, "time": "12:00:00"}], f"{name}_aggregated": [{"max": {"bigInteger": 9007199254740992.0}}]
    }  # fmt: skip


def test_a_batch_says_by_the_key_which_item_is_meant(blog: Blog) -> None:
    user = blog.reader(
        {"collection": "headings", "fields": ["id", "text"]},
        {"collection": "headings", "action": "update", "fields": ["text"]},
    )
    text = 'mutation { update_~headings_batch(data: [{id: 1, text: "Hi"}]) { id text } }'
    assert blog.data(text, server=user) == {"update_headings_batch": [{"id": "1", "text": "Hi"}]}
    moved = blog.ask("mutation { update_~headings_item(id: 1, data: {id: 7}) { id } }", server=user)
    assert moved.json["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    blog.data('mutation { update_~headings_item(id: 1, data: {text: "Hello"}) { id } }')


def test_a_field_that_fails_says_so_in_its_place(blog: Blog) -> None:
    answer = blog.ask("{ ~posts_by_id(id: 99) { id } good: ~posts(limit: 1) { id } }")
    (error,) = answer.json["errors"]
    seen = (answer.status, error["extensions"]["code"], error["path"])
    assert seen == (200, "FORBIDDEN", [f"posts_{blog.mark}_by_id"])
    assert answer.json["data"]["good"] == [{"id": "1"}]
    for text in ("{ ~posts(limit: -5) { id } }", "{ ~posts_aggregated(groupBy: [null]) { group } }",
                 "{ ~posts(sort: [null]) { id } }"):  # fmt: skip
        assert blog.ask(text).json["errors"][0]["extensions"]["code"] == "INVALID_QUERY"


def test_depth_lists_and_fragments_that_grow_are_bounded(blog: Blog) -> None:
    deep = "{ ~authors { " + "posts { author { " * 6 + "id" + " } }" * 6 + " } }"
    assert blog.ask(deep).json["errors"][0]["extensions"]["code"] == "INVALID_QUERY"
    wide = "{" + " ".join(f"a{n}: ~posts(limit: 1) {{ id }}" for n in range(101)) + "}"
    assert blog.ask(wide).json["errors"][0]["extensions"]["code"] == "INVALID_QUERY"
    parts = [
        f"fragment F{n} on ~{'authors' if n % 2 else 'posts'} {{ "
        + " ".join(f"a{k}: {'posts' if n % 2 else 'author'} {{ ...F{n + 1} }}" for k in range(9))
        + " }"
        for n in range(8)
    ]
    bomb = "{ ~posts { ...F0 } } " + " ".join(parts) + " fragment F8 on ~posts { id }"
    assert blog.ask(bomb).code == "INVALID_PAYLOAD"
    for alike in (
        "{" + "__schema { types { name } }" * 290 + "}",
        "{ ~authors { " + "posts { author { posts { id } } } " * 200 + "} }",
        "{ ~posts { " + " ".join(f"...F{n}" for n in range(16)) + " } }"
        + " ".join(f"fragment F{n} on ~posts {{ {'id ' * 290} }}" for n in range(16)),
        "{" + " ".join(f"a{n}: __schema {{ types {{ name }} }}" for n in range(9)) + "}",
        "{ __schema { types {" + " ".join(f"a{n}: fields {{ name }}" for n in range(9)) + "} } }",
    ):  # fmt: skip
        assert blog.ask(alike).code == "INVALID_PAYLOAD", alike[:60]
    assert len(blog.data("{" + "".join(f"a{n}: __typename " for n in range(400)) + "}")) == 400


def test_what_a_user_may_not_see_does_not_exist(blog: Blog) -> None:
    user = blog.reader(
        {"collection": "posts", "fields": ["id", "title", "author"], "permissions": {"views": {"_gt": 3}}},
        {"collection": "posts", "action": "update", "fields": ["title"], "permissions": {"views": {"_gt": 3}}},
    )
    named = [each["name"] for each in blog.ask(INTROSPECTION, server=user).json["data"]["__schema"]["types"]]
    fields = {
        each["name"]: [inner["name"] for inner in each["fields"] or each["inputFields"] or []]
        for each in blog.ask(INTROSPECTION, server=user).json["data"]["__schema"]["types"]
    }
    mark = blog.mark
    assert not any("authors" in name or "lines" in name or "headings" in name for name in named)
    assert fields[f"posts_{mark}"] == ["id", "title", "author"]
    assert fields[f"update_posts_{mark}_input"] == ["id", "title"]
    assert set(fields[f"posts_{mark}_filter"]) == {"id", "title", "author", "_and", "_or"}
    assert fields["Mutation"] == [
        f"update_posts_{mark}_items",
        f"update_posts_{mark}_batch",
        f"update_posts_{mark}_item",
    ]
    assert blog.data('{ ~posts(sort: ["id"]) { title author } }', server=user)["posts"] == [
        {"title": "Bread", "author": 1}, {"title": "Salt", "author": 2}
    ]  # fmt: skip
    assert blog.ask("{ ~posts { views } }", server=user).code == "GRAPHQL_VALIDATION"
    assert (
        blog.ask('{ ~posts(sort: ["views"]) { id } }', server=user).json["errors"][0]["extensions"]["code"]
        == "FORBIDDEN"
    )
    refused = blog.ask('mutation { update_~posts_item(id: 2, data: {title: "mine"}) { id } }', server=user)
    assert refused.json["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert blog.ask("{ ~posts { id } }", server=blog.server.public).code == "GRAPHQL_VALIDATION"


def test_a_right_that_is_given_later_counts_for_the_next_request(blog: Blog) -> None:
    user = blog.reader({"collection": "posts", "fields": ["id"]})
    assert blog.ask("{ ~authors { id } }", server=user).status == 400
    policy = blog.server.get("/permissions?sort=-id&limit=1").data[0]["policy"]
    granted = {"policy": policy, "collection": f"authors_{blog.mark}", "action": "read", "fields": ["id"]}
    assert blog.server.post("/permissions", granted).status == 200
    assert blog.data("{ ~authors(limit: 2) { id } }", server=user)["authors"] == [{"id": "1"}, {"id": "2"}]


def test_the_platforms_own_collections_are_a_scope_of_their_own(blog: Blog) -> None:
    me = blog.data("{ users_me { id email password } }", path="/graphql/system")["users_me"]
    assert me["email"] == "admin@example.com"
    assert me["password"] == "**********"
    name = uuid4().hex
    made = blog.data(
        """mutation ($name: String) { create_roles_item(data: {name: $name}) { id name }
           update_users_me(data: {location: "Harbour"}) { location } }""",
        path="/graphql/system", name=name,
    )  # fmt: skip
    assert (made["create_roles_item"]["name"], made["update_users_me"]) == (name, {"location": "Harbour"})
    email = {"email": "no address"}
    refused = blog.ask(
        "mutation ($d: create_directus_users_input!) { create_users_item(data: $d) { id } }", "/graphql/system", d=email
    )
    assert refused.json["errors"][0]["extensions"]["code"] == "FAILED_VALIDATION"
    for text in (
        "{ sessions { token } }",
        "{ directus_users { id } }",
    ):
        assert blog.ask(text, "/graphql/system").code == "GRAPHQL_VALIDATION"
    assert blog.ask("{ users { id } }").code == "GRAPHQL_VALIDATION"


def test_the_schema_is_told_as_text_as_far_as_one_may_see_it(blog: Blog) -> None:
    answer = blog.server.get("/server/specs/graphql")
    assert answer.headers["content-type"].startswith("text/plain")
    assert f"type posts_{blog.mark} {{" in answer.body
    assert "type directus_users {" in blog.server.get("/server/specs/graphql/system").body
    assert blog.mark not in blog.server.public.get("/server/specs/graphql").body


def test_one_logs_in_and_out_once_in_a_request(blog: Blog) -> None:
    account = {"email": f"{uuid4().hex}@example.com", "password": "a-long-password"}
    assert blog.server.post("/users", account).status == 200
    public, path = blog.server.public, "/graphql/system"
    log_in = "auth_login(email: $email, password: $password) { access_token refresh_token expires }"
    text = f"mutation ($email: String!, $password: String!) {{ own: {log_in} }}"
    tokens = blog.data(text, path=path, server=public, **account)["own"]
    assert tokens["expires"] == "900000"
    assert blog.server.acting_as(tokens["access_token"]).get("/users/me").status == 200
    wrong = blog.ask(text, path, public, **{**account, "password": "wrong"})
    assert wrong.json["errors"][0]["extensions"]["code"] == "INVALID_CREDENTIALS"
    twice = blog.ask(text.replace("own:", f"first: {log_in} own:"), path, public, **account)
    assert [error["path"] for error in twice.json["errors"]] == [["own"]]
    renew = "mutation ($t: String!) { auth_refresh(refresh_token: $t) { refresh_token } }"
    token = blog.data(renew, path=path, server=public, t=tokens["refresh_token"])["auth_refresh"]["refresh_token"]
    end = "mutation ($t: String!) { auth_logout(refresh_token: $t) }"
    assert blog.data(end, path=path, server=public, t=token) == {"auth_logout": True}
    over = blog.ask(renew, path, public, t=token).json["errors"][0]
    assert over["extensions"]["code"] == "INVALID_CREDENTIALS"
    assert blog.ask(text, server=public, **account).code == "GRAPHQL_VALIDATION"


def test_an_item_is_read_as_of_a_version(server: Server) -> None:
    name = f"drafts_{uuid4().hex[:8]}"
    assert server.post("/collections", collection(name, meta={"versioning": True})).status == 200
    server.post(f"/items/{name}", {"title": "First"})
    version = server.post("/versions", {"key": "draft", "collection": name, "item": "1"}).data["id"]
    server.post(f"/versions/{version}/save", {"title": "Second"})
    for field in (f"{name}_by_version", f"{name}_by_id"):
        text = f'{{ {field}(id: 1, version: "draft") {{ id now: title }} }}'
        assert server.post("/graphql", {"query": text}).data == {field: {"id": "1", "now": "Second"}}


def test_a_version_is_made_by_its_own_rules(server: Server) -> None:
    name = f"drafts_{uuid4().hex[:8]}"
    assert server.post("/collections", collection(name, meta={"versioning": True})).status == 200
    server.post(f"/items/{name}", {"title": "First"})
    text = (
        f'mutation {{ create_versions_item(data: {{key: "draft", collection: "{name}", item: "01"}}) {{ id item }} }}'
    )
    made = server.post("/graphql/system", {"query": text}).data["create_versions_item"]
    assert made["item"] == "1"  # as the database spells it
    assert server.get(f"/versions/{made['id']}/compare").data["outdated"] is False


async def test_a_document_that_is_long_is_not_kept() -> None:
    schema, documents = build_schema("type Query { a(b: String): Int }"), Documents()
    short, long = "{ a }", f'{{ a(b: "{"x" * 20_000}") }}'
    found = [[await documents.checked(Settings(), schema, text) for _ in range(2)] for text in (short, long)]
    assert [first is second for first, second in found] == [True, False]


def test_a_singleton_is_read_as_of_a_version(server: Server) -> None:
    name = f"site_{uuid4().hex[:8]}"
    assert server.post("/collections", collection(name, meta={"versioning": True, "singleton": True})).status == 200
    server.send("PATCH", f"/items/{name}", {"title": "First"})
    version = server.post("/versions", {"key": "draft", "collection": name, "item": "1"}).data["id"]
    server.post(f"/versions/{version}/save", {"title": "Second"})
    text = f'{{ {name} {{ title }} now: {name}(version: "draft") {{ title }} }}'
    assert server.post("/graphql", {"query": text}).data == {name: {"title": "First"}, "now": {"title": "Second"}}


def test_the_settings_are_one_item_and_written_by_their_rules(blog: Blog) -> None:
    path, name = "/graphql/system", uuid4().hex
    change = "mutation ($n: String) { update_settings(data: {project_name: $n}) { project_name } }"
    assert blog.data(change, path=path, n=name) == {"update_settings": {"project_name": name}}
    assert blog.data("{ settings { project_name } }", path=path) == {"settings": {"project_name": name}}
    wrong = 'mutation { update_settings(data: {ai_openai_compatible_base_url: "ftp://x"}) { id } }'
    assert blog.ask(wrong, path).json["errors"][0]["extensions"]["code"] == "INVALID_PAYLOAD"
    for gone in (
        "create_settings_item(data: {})",
        "update_settings_items(ids: [1], data: {})",
        "delete_settings_item(id: 1)",
    ):
        assert blog.ask(f"mutation {{ {gone} {{ id }} }}", path).code == "GRAPHQL_VALIDATION"
    blog.data(change, path=path, n="Datastead")


def test_flows_and_operations_are_written_by_their_own_rules(blog: Blog) -> None:
    path, name = "/graphql/system", uuid4().hex
    new = 'mutation ($name: String!) { create_flows_item(data: {name: $name, trigger: "manual", status: "active"}) { id } }'
    flow = blog.data(new, path=path, name=name)["create_flows_item"]["id"]
    data = '{flow: {id: $flow}, key: "say", name: "Say", type: "log", position_x: 1, position_y: 1, options: {message: "x"}}'
    add = f"mutation ($flow: ID!) {{ create_operations_item(data: {data}) {{ id key }} }}"
    made = blog.data(add, path=path, flow=flow)["create_operations_item"]
    assert made["key"] == "say"
    change = "mutation ($f: ID!, $o: ID!) { update_flows_item(id: $f, data: {operation: {id: $o}}) { name operation { key } } }"
    changed = blog.data(change, path=path, f=flow, o=made["id"])["update_flows_item"]
    assert changed == {"name": name, "operation": {"key": "say"}}
    wrong = blog.ask(add.replace('"log"', '"nothing"'), path, flow=flow).json["errors"][0]["extensions"]
    assert wrong["code"] in {"INVALID_PAYLOAD", "INVALID_FLOW"}
    gone = "mutation ($f: ID!) { delete_flows_item(id: $f) { id } }"
    assert blog.data(gone, path=path, f=flow) == {"delete_flows_item": {"id": flow}}
    assert blog.server.get(f"/operations/{made['id']}").status == 403
    unknown = blog.ask(new, path, blog.server.public, name=name)
    assert unknown.code == "GRAPHQL_VALIDATION"
