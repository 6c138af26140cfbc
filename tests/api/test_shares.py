"""Shares: whoever has the link reads the one item, as far as both its sharer and its role may, and nothing else."""

from typing import Any
from uuid import uuid4

import pytest

from tests.mailbox import Mailbox

from .conftest import Answer, Server, collection
from .test_access import Somebody, created, permit, refused, somebody
from .test_users import within_a_second

__all__ = ["somebody"]

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def posts(server: Server) -> str:
    """Posts with authors and tags: post 1 by Ann with red, post 2 by Bob with blue."""
    name, suffix = f"posts_{uuid4().hex[:8]}", uuid4().hex[:8]
    text = {"field": "name", "type": "string"}
    for other in ("authors", "tags"):
        created(server, "/collections", {"collection": f"{other}_{suffix}", "schema": {}, "meta": {}, "fields": [text]})
    alias = {"field": "tags_of", "type": "alias", "meta": {"special": ["m2m"]}, "schema": None}
    more = [{"field": "author", "type": "integer"}, alias]
    described = collection(name)
    created(server, "/collections", {**described, "fields": [*described["fields"], *more]})
    fields = [{"field": field, "type": "integer"} for field in ("post", "tag")]
    junction = f"post_tags_{suffix}"
    created(server, "/collections", {"collection": junction, "schema": {}, "meta": {}, "fields": fields})
    for many, field, one, meta in (
        (name, "author", f"authors_{suffix}", {}),
        (junction, "post", name, {"one_field": "tags_of", "junction_field": "tag"}),
        (junction, "tag", f"tags_{suffix}", {"junction_field": "post"}),
    ):
        created(server, "/relations", {"collection": many, "field": field, "related_collection": one, "meta": meta})
    for title, author, tag in (("First", "Ann", "red"), ("Second", "Bob", "blue")):
        body = {"title": title, "views": 1, "author": {"name": author}, "tags_of": [{"tag": {"name": tag}}]}
        created(server, f"/items/{name}", body)
    return name


def related(server: Server, posts: str) -> list[str]:
    """The collections that the posts lead to."""
    suffix = server.get(f"/relations/{posts}/author").data["related_collection"].partition("_")[2]
    return [f"authors_{suffix}", f"tags_{suffix}", f"post_tags_{suffix}"]


def enter(server: Server, share: str, **more: Any) -> Answer:
    return server.public.post("/shares/auth", {"share": share, **more})


def holder(server: Server, share: str, **more: Any) -> Server:
    answer = enter(server, share, **more)
    assert answer.status == 200, answer.body
    return server.acting_as(answer.data["access_token"])


def test_a_share_of_an_administrator_shows_the_item_as_far_as_its_role_may(
    server: Server, somebody: Somebody, posts: str
) -> None:
    authors, tags, junction = related(server, posts)
    permit(server, somebody, posts, fields=["id", "title", "author", "tags_of"])
    for name in (authors, tags, junction):
        permit(server, somebody, name)
    share = created(server, "/shares", {"collection": posts, "item": "1", "role": somebody.role, "password": "pw"})
    assert (share["password"], share["times_used"], share["max_uses"]) == ("**********", 0, None)
    assert server.public.get(f"/shares/info/{share['id']}").data == {
        "id": share["id"], "collection": posts, "item": "1", "password": "**********", "max_uses": None, "times_used": 0,
        "date_start": None, "date_end": None,
    }  # fmt: skip
    assert refused(enter(server, share["id"])) == (401, "INVALID_CREDENTIALS")
    assert refused(enter(server, share["id"], password="wrong")) == (401, "INVALID_CREDENTIALS")
    mine = holder(server, share["id"], password="pw")
    read = f"/items/{posts}?fields=title,author.name,tags_of.tag.name"
    assert mine.get(read).data == [{"title": "First", "author": {"name": "Ann"}, "tags_of": [{"tag": {"name": "red"}}]}]
    assert refused(mine.get(f"/items/{posts}/2")) == (403, "FORBIDDEN")
    assert refused(mine.get(f"/items/{posts}/1?fields=views")) == (403, "FORBIDDEN")
    assert [row["name"] for row in mine.get(f"/items/{authors}").data] == ["Ann"]
    assert [row["name"] for row in mine.get(f"/items/{tags}").data] == ["red"]
    assert [row["post"] for row in mine.get(f"/items/{junction}").data] == [1]
    assert refused(mine.send("PATCH", f"/items/{posts}/1", {"title": "x"})) == (403, "FORBIDDEN")
    for path in ("/users", "/shares", "/collections", "/files", "/settings", "/activity"):
        assert mine.get(path).status in {401, 403, 404}, path
    assert refused(mine.get("/users/me")) == (401, "INVALID_CREDENTIALS")


def test_what_a_share_shows_exists_in_graphql_for_its_holders_alone(
    server: Server, somebody: Somebody, posts: str
) -> None:
    authors, _, _ = related(server, posts)
    permit(server, somebody, posts, fields=["id", "title"])
    text = f'{{ __type(name: "{posts}") {{ fields {{ name }} }} }}'

    def seen(by: Server) -> list[str] | None:
        found = by.post("/graphql", {"query": text}).data["__type"]
        return found and [field["name"] for field in found["fields"]]

    share = created(server, "/shares", {"collection": posts, "item": "1", "role": somebody.role})
    of_author = created(server, "/shares", {"collection": authors, "item": "1", "role": None})
    assert seen(holder(server, share["id"])) == ["id", "title"]
    assert seen(server.public) is None
    assert seen(holder(server, of_author["id"])) is None
    permit(server, somebody, posts, fields=["views"])
    within_a_second(lambda: seen(holder(server, share["id"])) == ["id", "title", "views"])
    read = f"{{ {posts} {{ title }} }}"
    assert holder(server, share["id"]).post("/graphql", {"query": read}).data == {posts: [{"title": "First"}]}


def test_a_share_shows_no_more_than_whoever_shared_it_may_see(server: Server, somebody: Somebody, posts: str) -> None:
    role, policy = created(server, "/roles", {"name": "all"})["id"], created(server, "/policies", {"name": "all"})["id"]
    created(server, "/access", {"role": role, "policy": policy})
    created(server, "/permissions", {"policy": policy, "collection": posts, "action": "read", "fields": ["*"]})
    mine = {"views": {"_eq": 1}, "title": {"_neq": "$CURRENT_USER"}}
    permit(server, somebody, posts, fields=["id", "title"], permissions=mine)
    permit(server, somebody, posts, "share")
    for action in ("create", "read", "update"):
        permit(server, somebody, "directus_shares", action)
    share = created(somebody.server, "/shares", {"collection": posts, "item": "1", "role": role})
    guest = holder(server, share["id"])
    assert guest.get(f"/items/{posts}").data == [{"id": 1, "title": "First"}]
    server.send("PATCH", f"/items/{posts}/1", {"views": 2})
    assert within_a_second(lambda: guest.get(f"/items/{posts}").data == [])
    server.send("PATCH", f"/items/{posts}/1", {"views": 1})
    # nobody makes an administrator of the one who has shared it
    admin = server.get("/users/me").data["id"]
    assert refused(somebody.server.send("PATCH", f"/shares/{share['id']}", {"user_created": admin})) == (
        403,
        "FORBIDDEN",
    )
    assert refused(somebody.server.send("PATCH", f"/shares/{share['id']}", {"item": "2"})) == (400, "INVALID_PAYLOAD")
    server.send("PATCH", f"/users/{somebody.user}", {"status": "suspended"})
    assert within_a_second(lambda: guest.get(f"/items/{posts}").status == 401)
    assert refused(enter(server, share["id"])) == (401, "INVALID_CREDENTIALS")


def test_sharing_takes_the_permission_to_share_the_item(server: Server, somebody: Somebody, posts: str) -> None:
    permit(server, somebody, posts)
    permit(server, somebody, "directus_shares", "create")
    body = {"collection": posts, "item": "1"}
    assert refused(somebody.server.post("/shares", body)) == (403, "FORBIDDEN")
    permit(server, somebody, posts, "share", permissions={"title": {"_eq": "First"}})
    assert somebody.server.post("/shares", body).status == 204
    assert refused(somebody.server.post("/shares", {**body, "item": "2"})) == (403, "FORBIDDEN")
    assert refused(server.post("/shares", {**body, "item": "99"})) == (403, "FORBIDDEN")
    assert refused(server.post("/shares", {**body, "role": NOBODY})) == (400, "INVALID_FOREIGN_KEY")


@pytest.mark.parametrize(
    "limits", [{"date_end": "2020-01-01T00:00:00Z"}, {"date_start": "2999-01-01T00:00:00Z"}, {"max_uses": 0}]
)
def test_a_share_that_is_not_open_is_none(server: Server, posts: str, limits: dict[str, Any]) -> None:
    share = created(server, "/shares", {"collection": posts, "item": "1", **limits})
    assert refused(enter(server, share["id"])) == (401, "INVALID_CREDENTIALS")
    assert refused(server.public.get(f"/shares/info/{share['id']}")) == (403, "FORBIDDEN")


def test_a_share_is_used_as_often_as_it_may_be_and_ends_when_it_is_deleted(server: Server, posts: str) -> None:
    share = created(server, "/shares", {"collection": posts, "item": "1", "max_uses": 1})
    tokens = enter(server, share["id"]).data
    assert refused(enter(server, share["id"])) == (401, "INVALID_CREDENTIALS")
    assert server.get(f"/shares/{share['id']}").data["times_used"] == 1
    renewed = server.public.post("/auth/refresh", {"refresh_token": tokens["refresh_token"], "mode": "json"})
    assert set(renewed.data) == {"access_token", "refresh_token", "expires"}
    guest = server.acting_as(renewed.data["access_token"])
    assert refused(guest.get(f"/items/{posts}")) == (403, "FORBIDDEN")  # the public may read nothing here
    server.send("DELETE", f"/shares/{share['id']}")
    assert within_a_second(lambda: guest.get(f"/items/{posts}").status == 401)
    again = server.public.post("/auth/refresh", {"refresh_token": renewed.data["refresh_token"], "mode": "json"})
    assert refused(again) == (401, "INVALID_CREDENTIALS")


def test_a_share_ends_with_its_item(server: Server, posts: str) -> None:
    key = created(server, f"/items/{posts}", {"title": "Gone soon"})["id"]
    share = created(server, "/shares", {"collection": posts, "item": str(key)})["id"]
    tokens = enter(server, share).data
    assert server.send("DELETE", f"/items/{posts}/{key}").status == 204
    created(server, f"/items/{posts}", {"id": key, "title": "Another"})
    assert refused(enter(server, share)) == (401, "INVALID_CREDENTIALS")
    assert refused(server.public.post("/auth/refresh", {"refresh_token": tokens["refresh_token"]}))[0] == 401
    assert refused(server.acting_as(tokens["access_token"]).get(f"/items/{posts}/{key}"))[0] in {401, 403}
    assert server.get(f"/shares/{share}").status == 403


def test_a_share_is_opened_from_the_addresses_of_its_roles_policies(
    server: Server, somebody: Somebody, posts: str
) -> None:
    permit(server, somebody, posts)
    patched = server.send("PATCH", f"/policies/{somebody.policy}", {"ip_access": ["127.0.0.0/8"]})
    assert patched.status == 200
    share = created(server, "/shares", {"collection": posts, "item": "1", "role": somebody.role})["id"]
    guest = holder(server, share)
    assert guest.get(f"/items/{posts}/1?fields=title").data == {"title": "First"}
    server.send("PATCH", f"/policies/{somebody.policy}", {"ip_access": ["10.0.0.0/8"]})
    another = created(server, "/shares", {"collection": posts, "item": "1", "role": somebody.role})["id"]
    assert refused(holder(server, another).get(f"/items/{posts}/1")) == (403, "FORBIDDEN")


def test_a_share_follows_links_to_items_of_any_collection(server: Server) -> None:
    mark = uuid4().hex[:6]
    page, head, note, block = (f"{name}_{mark}" for name in ("pages", "heads", "notes", "blocks"))
    text, whole = {"field": "text", "type": "string"}, {"type": "alias", "meta": {"special": ["m2a"]}, "schema": None}
    columns = [{"field": "page", "type": "integer"}, *({"field": name, "type": "string"} for name in ("item", "kind"))]
    for name, fields in ((page, [{"field": "blocks", **whole}]), (head, [text]), (note, [text]), (block, columns)):
        created(server, "/collections", {"collection": name, "schema": {}, "fields": fields})
    meta: dict[str, Any] = {"one_field": "blocks", "junction_field": "item"}
    created(server, "/relations", {"collection": block, "field": "page", "related_collection": page, "meta": meta})
    any_of = {"one_collection_field": "kind", "one_allowed_collections": [head, note], "junction_field": "page"}
    created(server, "/relations", {"collection": block, "field": "item", "related_collection": None, "meta": any_of})
    blocks = [{"kind": head, "item": {"text": "Hello"}}, {"kind": note, "item": {"text": "there"}}]
    created(server, f"/items/{page}", {"blocks": blocks})
    created(server, f"/items/{page}", {"blocks": [{"kind": note, "item": {"text": "hidden"}}]})
    share = created(server, "/shares", {"collection": page, "item": "1", "role": server.get("/users/me").data["role"]})
    guest = holder(server, share["id"])
    fields = f"blocks.item:{head}.text,blocks.item:{note}.text"
    assert guest.get(f"/items/{page}/1?fields={fields}").data == {
        "blocks": [{"item": {"text": "Hello"}}, {"item": {"text": "there"}}]
    }
    assert [item["text"] for item in guest.get(f"/items/{note}").data] == ["there"]


def test_a_shares_password_cannot_be_guessed_for_long(server: Server, posts: str) -> None:
    share = created(server, "/shares", {"collection": posts, "item": "1", "password": "right"})["id"]
    server.send("PATCH", "/settings", {"auth_login_attempts": 3})
    try:
        wrong, right = ({"password": word} for word in ("wrong", "right"))
        assert [enter(server, share, **each).status for each in (wrong, wrong, right)] == [401, 401, 200]
        assert [enter(server, share, **wrong).status for _ in range(3)] == [401, 401, 401]
        assert refused(enter(server, share, **right)) == (401, "INVALID_CREDENTIALS")
    finally:
        server.send("PATCH", "/settings", {"auth_login_attempts": 25})


@pytest.mark.parametrize("share", [NOBODY, "nope", "", 5, None, "a\\u0000b"])
def test_what_is_no_share_lets_nobody_in(server: Server, share: Any) -> None:
    assert server.public.post("/shares/auth", {"share": share}).status in {400, 401}
    assert server.public.get("/shares/info/nope").status == 403


def test_only_addresses_are_invited(server: Server, posts: str) -> None:
    share = created(server, "/shares", {"collection": posts, "item": "1"})
    for emails in ([], "a@example.com", [5], ["nobody"]):
        answer = server.post("/shares/invite", {"share": share["id"], "emails": emails})
        assert refused(answer) == (400, "INVALID_PAYLOAD")
    assert refused(server.post("/shares/invite", {"share": NOBODY, "emails": ["a@example.com"]})) == (403, "FORBIDDEN")


def test_an_invitation_is_mail_with_the_link(server: Server, mailbox: Mailbox, posts: str) -> None:
    share = created(server, "/shares", {"collection": posts, "item": "1", "name": "Look"})
    address = f"{uuid4().hex}@example.com"
    assert server.post("/shares/invite", {"share": share["id"], "emails": [address]}).status == 204
    mail = mailbox.mail_to(address)
    assert (mail["subject"], share["id"] in mail.get_content()) == ("Shared with you: Look", True)
