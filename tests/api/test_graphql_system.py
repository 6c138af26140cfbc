"""`/graphql/system` beside items: each root field does what a route of REST does, for the same callers."""

from typing import Any
from uuid import uuid4

import pytest

from tests.mailbox import Mailbox

from .conftest import PASSWORD, Answer, Server, collection
from .test_mail_links import registering
from .test_realtime import reader
from .test_second_factor import code, signed_in
from .test_users import email, made, within_a_second

__all__ = ["registering"]

PATH = "/graphql/system"


def ask(server: Server, text: str, **variables: Any) -> Answer:
    return server.post(PATH, {"query": text, "variables": variables})


def told(server: Server, text: str, **variables: Any) -> Any:
    answer = ask(server, text, **variables)
    assert "errors" not in answer.json, answer.body
    return answer.data


def refusal(server: Server, text: str, **variables: Any) -> Any:
    """The code of the only error."""
    (error,) = ask(server, text, **variables).json["errors"]
    return error["extensions"]["code"]


def cookies_of(answer: Answer) -> str:
    return answer.headers["set-cookie"].partition(";")[0]


@pytest.fixture
def user(server: Server) -> str:
    address = email()
    made(server, email=address, password=PASSWORD)
    return address


def test_the_server_says_what_it_is_and_how_it_is(server: Server) -> None:
    asked = """{ server_ping server_health called: server_info { project { name: project_name } queryLimit { max }
        rateLimit { points } websocket { rest { path } } version } }"""
    found = told(server, asked)
    rest = server.get("/server/info").data
    assert found["server_ping"] == "pong"
    assert found["server_health"]["status"] in {"ok", "warn"}
    assert "checks" in found["server_health"]
    assert found["called"] == {
        "project": {"name": rest["project"]["project_name"]}, "queryLimit": {"max": rest["queryLimit"]["max"]},
        "rateLimit": None, "websocket": None, "version": rest["version"],
    }  # fmt: skip
    strangers = told(server.public, "{ server_health server_info { project { project_name } version } }")
    assert strangers["server_info"]["version"] is None
    assert "checks" not in strangers["server_health"]


def test_the_server_says_what_can_be_asked(server: Server, articles: str) -> None:
    found = told(server, "{ server_specs_oas items: server_specs_graphql own: server_specs_graphql(scope: system) }")
    assert found["server_specs_oas"]["openapi"].startswith("3.")
    assert f"type {articles} {{" in found["items"]
    assert "type directus_users {" in found["own"]
    often = " ".join(f"a{n}: server_specs_graphql" for n in range(5)) + " collections { collection }"
    assert [error["path"] for error in ask(server, f"{{ {often} }}").json["errors"]] == [["collections"]]
    assert articles not in told(server.public, "{ server_specs_graphql }")["server_specs_graphql"]


def test_a_session_is_kept_in_a_cookie_as_over_rest(server: Server, user: str) -> None:
    log_in = """mutation ($e: String!, $p: String!, $m: auth_mode) { auth_login(email: $e, password: $p, mode: $m) {
        access_token refresh_token expires } }"""
    session = ask(server.public, log_in, e=user, p=PASSWORD, m="session")
    assert session.data["auth_login"]["access_token"] is session.data["auth_login"]["refresh_token"] is None
    cookie = {"Cookie": cookies_of(session), "Content-Type": "application/json"}
    assert cookie["Cookie"].startswith("directus_session_token=")
    me = b'{"query": "{ users_me { id } }"}'
    assert server.public.send("POST", PATH, raw=me, headers=cookie).data["users_me"]
    end = b'{"query": "mutation { auth_logout(mode: session) }"}'
    over = server.public.send("POST", PATH, raw=end, headers=cookie)
    assert (over.data, "Max-Age=0" in over.headers["set-cookie"]) == ({"auth_logout": True}, True)
    assert server.public.send("POST", PATH, raw=me, headers=cookie).status == 401

    kept = ask(server.public, log_in, e=user, p=PASSWORD, m="cookie")
    assert kept.data["auth_login"]["access_token"]
    assert kept.data["auth_login"]["refresh_token"] is None
    cookie["Cookie"] = cookies_of(kept)
    assert cookie["Cookie"].startswith("directus_refresh_token=")
    renew = b'{"query": "mutation { auth_refresh(mode: cookie) { access_token refresh_token } }"}'
    renewed = server.public.send("POST", PATH, raw=renew, headers=cookie)
    token = renewed.data["auth_refresh"]["access_token"]
    assert server.acting_as(token).get("/users/me").status == 200
    assert cookies_of(renewed) != cookie["Cookie"]
    assert refusal(server.public, "mutation { auth_refresh(mode: json) { expires } }") == "INVALID_PAYLOAD"
    assert refusal(server.public, "mutation { auth_logout }") == "INVALID_PAYLOAD"


def test_strangers_register_by_a_link_where_they_may(registering: Server, mailbox: Mailbox) -> None:
    address, register = email(), 'mutation ($e: String!, $p: String!) { users_register(email: $e, password: $p, first_name: "Zoe") }'  # fmt: skip
    assert told(registering, register, e=address, p=PASSWORD) == {"users_register": True}
    verify = "mutation ($t: String!) { users_register_verify(token: $t) }"
    assert told(registering, verify, t=mailbox.token_to(address)) == {"users_register_verify": True}
    log_in = registering.post("/auth/login", {"email": address, "password": PASSWORD})
    me = registering.acting_as(log_in.data["access_token"])
    assert told(me, "{ users_me { id } }")["users_me"]["id"] == me.get("/users/me").data["id"]
    assert refusal(registering, verify, t="wrong") == "INVALID_TOKEN"


def test_nobody_registers_where_strangers_may_not(server: Server) -> None:
    register = "mutation ($e: String!, $p: String!) { users_register(email: $e, password: $p) }"
    assert refusal(server.public, register, e=email(), p=PASSWORD) == "FORBIDDEN"


def test_an_invited_user_chooses_a_password(server: Server, mailbox: Mailbox) -> None:
    address = email()
    role = server.post("/roles", {"name": "invited"}).data["id"]
    invite = "mutation ($e: String!, $r: String!) { users_invite(email: $e, role: $r) }"
    assert told(server, invite, e=address, r=role) == {"users_invite": True}
    accept = "mutation ($t: String!, $p: String!) { users_invite_accept(token: $t, password: $p) }"
    assert told(server.public, accept, t=mailbox.token_to(address), p=PASSWORD) == {"users_invite_accept": True}
    assert server.public.post("/auth/login", {"email": address, "password": PASSWORD}).status == 200
    assert ask(server.public, invite, e=address, r=role).code == "GRAPHQL_VALIDATION"


def test_a_second_factor_is_set_up_and_taken_away(server: Server, user: str) -> None:
    me = signed_in(server, user)
    generate = "mutation ($p: String!) { users_me_tfa_generate(password: $p) { secret otpauth_url } }"
    secret = told(me, generate, p=PASSWORD)["users_me_tfa_generate"]
    assert secret["secret"] in secret["otpauth_url"]
    assert refusal(me, generate, p="wrong") == "INVALID_CREDENTIALS"
    enable = "mutation ($s: String!, $o: String!) { users_me_tfa_enable(secret: $s, otp: $o) }"
    assert refusal(me, enable, s=secret["secret"], o="000") == "INVALID_PAYLOAD"
    assert told(me, enable, s=secret["secret"], o=code(secret["secret"])) == {"users_me_tfa_enable": True}
    assert server.public.post("/auth/login", {"email": user, "password": PASSWORD}).code == "INVALID_OTP"
    disable = "mutation ($o: String!) { users_me_tfa_disable(otp: $o) }"
    assert told(me, disable, o=code(secret["secret"], 1)) == {"users_me_tfa_disable": True}
    assert refusal(server.public, generate, p=PASSWORD) == "INVALID_CREDENTIALS"


def test_passwords_are_tried_once_in_a_request(server: Server, user: str) -> None:
    wrong = 'users_me_tfa_generate(password: "wrong") { secret }'
    answer = ask(signed_in(server, user), f"mutation {{ one: {wrong} two: {wrong} }}")
    found = [(each["path"], each["extensions"]["code"]) for each in answer.json["errors"]]
    assert found == [(["one"], "INVALID_CREDENTIALS"), (["two"], "INVALID_QUERY")]


def test_hashes_and_random_texts_are_for_those_who_are_signed_in(server: Server, user: str) -> None:
    me = signed_in(server, user)
    made = told(me, 'mutation { utils_hash_generate(string: "a") utils_random_string(length: 9) }')
    assert len(made["utils_random_string"]) == 9
    verify = "mutation ($h: String!, $s: String!) { utils_hash_verify(hash: $h, string: $s) }"
    hashed = made["utils_hash_generate"]
    assert [told(me, verify, h=hashed, s=text)["utils_hash_verify"] for text in ("a", "b")] == [True, False]
    assert refusal(me, "mutation { utils_random_string(length: 501) }") == "INVALID_PAYLOAD"
    assert refusal(server.public, "mutation { utils_random_string }") == "INVALID_CREDENTIALS"
    assert refusal(server.public, 'mutation { utils_hash_generate(string: "a") }') == "INVALID_CREDENTIALS"
    many = " ".join(f'a{n}: utils_hash_generate(string: "a")' for n in range(11))
    assert [error["path"] for error in ask(me, f"mutation {{ {many} }}").json["errors"]] == [["a10"]]


def test_items_are_sorted_and_reverted_and_the_cache_is_cleared(server: Server, user: str) -> None:
    name = f"steps_{uuid4().hex[:8]}"
    fields = [{"field": "place", "type": "integer"}, {"field": "title", "type": "string"}]
    made = {"collection": name, "schema": {}, "meta": {"sort_field": "place"}, "fields": fields}
    assert server.post("/collections", made).status == 200
    server.post(f"/items/{name}", [{"place": n, "title": "a"} for n in (1, 2, 3)])
    sort = 'mutation ($c: String!) { utils_sort(collection: $c, item: "3", to: "1") }'
    assert told(server, sort, c=name) == {"utils_sort": True}
    assert [row["id"] for row in server.get(f"/items/{name}?sort=place").data] == [3, 1, 2]
    server.send("PATCH", f"/items/{name}/1", {"title": "b"})
    kept = server.get(f"/revisions?filter[collection][_eq]={name}&filter[item][_eq]=1&sort=id&limit=1").data[0]["id"]
    assert told(server, "mutation ($r: ID!) { utils_revert(revision: $r) }", r=kept) == {"utils_revert": True}
    assert server.get(f"/items/{name}/1").data["title"] == "a"
    assert told(server, "mutation { utils_cache_clear }") == {"utils_cache_clear": None}
    for text in (
        "mutation { utils_cache_clear }",
        sort.replace("$c)", '"directus_users")').replace("($c: String!)", ""),
    ):
        assert refusal(signed_in(server, user), text.replace("collection: $c", f'collection: "{name}"')) == "FORBIDDEN"


def test_a_user_sees_its_own_roles_permissions_and_globals(server: Server, user: str) -> None:
    asked = (
        "{ users_me { id } roles_me { id } permissions_me policies_me_globals { admin_access app_access enforce_tfa } }"
    )
    everything = told(server, asked)
    assert everything["policies_me_globals"] == server.get("/policies/me/globals").data
    assert everything["permissions_me"]["directus_users"]["delete"] == {"access": "full", "fields": ["*"]}
    assert everything["roles_me"] == [{"id": each["id"]} for each in server.get("/roles/me?fields=id").data]
    me = signed_in(server, user)
    assert told(me, asked) == {
        "users_me": {"id": me.get("/users/me").data["id"]}, "roles_me": [],
        "permissions_me": me.get("/permissions/me").data,
        "policies_me_globals": {"admin_access": False, "app_access": False, "enforce_tfa": False},
    }  # fmt: skip
    assert ask(server.public, "{ roles_me { id } }").code == "GRAPHQL_VALIDATION"
    assert ask(me, "{ users_me { email } }").code == "GRAPHQL_VALIDATION"


def test_the_model_is_made_changed_and_read(server: Server) -> None:
    name = f"notes_{uuid4().hex[:8]}"
    new = "mutation ($data: directus_collections_input!) { create_collections_item(data: $data) { collection meta { note singleton } schema { name } } }"  # fmt: skip
    fields = [{"field": "title", "type": "string", "schema": {"max_length": 40, "default_value": "New"}}]
    data = {"collection": name, "schema": {}, "meta": {"note": "Mine"}, "fields": fields}
    assert told(server, new, data=data)["create_collections_item"] == {
        "collection": name, "meta": {"note": "Mine", "singleton": False}, "schema": {"name": name}
    }  # fmt: skip
    change = 'mutation ($c: String!) { update_collections_item(collection: $c, data: {meta: {note: "Ours"}}) { meta { note } } }'  # fmt: skip
    assert told(server, change, c=name)["update_collections_item"] == {"meta": {"note": "Ours"}}
    field = """mutation ($c: String!, $n: directus_fields_input!) {
        create_fields_item(collection: $c, data: $n) { field type schema { default_value is_nullable } }
        update_fields_item(collection: $c, field: "score", data: {meta: {note: "x", options: {a: [1]}}}) { meta { note options } }
        update_fields_items(collection: $c, data: [{field: "score", meta: {note: "y"}}]) { meta { note } }
        create_relations_item(data: {collection: $c, field: "score", related_collection: $c, schema: {on_delete: "SET NULL"}}) {
            related_collection schema { on_delete } }
        update_relations_item(collection: $c, field: "score", data: {meta: {one_field: "notes"}}) { meta { one_field } }
        delete_relations_item(collection: $c, field: "score") { collection field }
    }"""
    done = told(server, field, c=name, n={"field": "score", "type": "integer", "schema": {"default_value": 5}})
    assert done == {
        "create_fields_item": {"field": "score", "type": "integer", "schema": {"default_value": "5", "is_nullable": True}},
        "update_fields_item": {"meta": {"note": "x", "options": {"a": [1]}}},
        "update_fields_items": [{"meta": {"note": "y"}}],
        "create_relations_item": {"related_collection": name, "schema": {"on_delete": "SET NULL"}},
        "update_relations_item": {"meta": {"one_field": "notes"}},
        "delete_relations_item": {"collection": name, "field": "score"},
    }  # fmt: skip
    read = """query ($c: String!) { collections { collection } one: collections_by_name(name: $c) { collection }
        fields { collection } some: fields_in_collection(collection: $c) { field } it: fields_by_name(collection: $c, field: "title") { type }
        relations { collection } none: relations_in_collection(collection: $c) { field } }"""
    found = told(server, read, c=name)
    assert {"collection": name} in found["collections"]
    assert {"collection": name} in found["fields"]
    assert (found["one"], found["it"], found["none"]) == ({"collection": name}, {"type": "string"}, [])
    assert [each["field"] for each in found["some"]] == ["id", "title", "score"]
    gone = 'mutation ($c: String!) { delete_fields_item(collection: $c, field: "score") { field } delete_collections_item(collection: $c) { collection } }'  # fmt: skip
    assert told(server, gone, c=name)["delete_collections_item"] == {"collection": name}
    assert (
        refusal(server, "query ($c: String!) { collections_by_name(name: $c) { collection } }", c=name) == "FORBIDDEN"
    )


def test_the_model_is_read_as_far_as_one_may_and_changed_by_administrators(server: Server, articles: str) -> None:
    hidden = f"secret_{uuid4().hex[:8]}"
    assert server.post("/collections", collection(hidden)).status == 200
    token, permission = reader(server, articles, fields=["id", "title"])
    me, asked = (
        server.acting_as(token),
        "{ collections { collection } fields { collection field } relations { field } }",
    )
    assert ask(me, asked).code == "GRAPHQL_VALIDATION"
    policy = server.get(f"/permissions/{permission}").data["policy"]
    server.send("PATCH", f"/policies/{policy}", {"app_access": True})
    within_a_second(lambda: ask(me, asked).status == 200)
    found = told(me, asked)
    assert [each["field"] for each in found["fields"] if each["collection"] == articles] == ["id", "title"]
    assert found["collections"] == [{"collection": each["collection"]} for each in me.get("/collections").data]
    assert {"collection": hidden} not in found["collections"]
    for there in (hidden, "nothing"):
        one = "query ($c: String!) { fields_in_collection(collection: $c) { field } }"
        assert refusal(me, one, c=there) == "FORBIDDEN"
    gone = "mutation ($c: String!) { delete_collections_item(collection: $c) { collection } }"
    assert ask(me, gone, c=articles).code == "GRAPHQL_VALIDATION"
