"""What comes with access to the app: oneself and the look of it, and nothing that policies hide."""

from typing import Any
from uuid import uuid4

import pytest

from datastead.data.app_access import LOOK, OWN_FIELDS

from .conftest import PASSWORD, Answer, Server
from .test_users import email, made, patch


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


@pytest.fixture
def me(server: Server) -> dict[str, Any]:
    """A user whose only policy gives access to the app."""
    user = made(server, email=email(), password=PASSWORD, token=uuid4().hex, first_name="Zoe")
    policy = server.post("/policies", {"name": "app", "app_access": True}).data["id"]
    server.post("/access", {"policy": policy, "user": user["id"]})
    answer = server.public.post("/auth/login", {"email": user["email"], "password": PASSWORD})
    return {**user, "own": server.acting_as(answer.data["access_token"])}


def test_one_sees_oneself_and_nobody_else(server: Server, me: dict[str, Any]) -> None:
    own: Server = me["own"]
    found = own.get("/users/me").data
    assert set(found) == OWN_FIELDS
    assert (found["first_name"], found["password"], found["tfa_secret"]) == ("Zoe", "**********", None)
    assert [user["id"] for user in own.get("/users").data] == [me["id"]]
    other = made(server)
    assert refused(own.get(f"/users/{other['id']}")) == (403, "FORBIDDEN")
    assert refused(own.get("/users?fields=id,token")) == (403, "FORBIDDEN")
    assert own.get("/users?aggregate[count]=*").json["data"] in ([{"count": 1}], [{"count": "1"}])
    assert refused(own.get(f"/users?filter[token][_eq]={uuid4().hex}")) == (403, "FORBIDDEN")
    assert refused(own.get("/users?filter[role][users][id][_nnull]=true&fields=auth_data")) == (403, "FORBIDDEN")
    assert refused(patch(own, f"/users/{me['id']}", {"first_name": "x"})) == (403, "FORBIDDEN")
    assert patch(own, "/users/me", {"first_name": "Eve"}).data["first_name"] == "Eve"


def test_of_the_settings_one_sees_the_look_only(server: Server, me: dict[str, Any]) -> None:
    own: Server = me["own"]
    assert set(own.get("/settings").data) == LOOK
    for hidden in ("ai_openai_api_key", "ai_system_prompt", "public_registration_email_filter", "auth_login_attempts"):
        assert refused(own.get(f"/settings?fields={hidden}")) == (403, "FORBIDDEN")
    assert refused(patch(own, "/settings", {"project_name": "x"})) == (403, "FORBIDDEN")
    assert refused(server.public.get("/settings")) == (403, "FORBIDDEN")


def test_ones_permissions_tell_of_it(me: dict[str, Any]) -> None:
    own: Server = me["own"]
    found = own.get("/permissions/me").data
    assert found["directus_users"]["read"] == {"access": "partial", "fields": sorted(OWN_FIELDS)}
    assert found["directus_users"]["update"] == {"access": "none"}
    assert found["directus_settings"]["read"] == {"access": "full", "fields": sorted(LOOK)}
    assert "directus_policies" not in found
    for path in ("/policies", "/access", "/permissions", "/flows", "/operations"):
        assert refused(own.get(path)) == (403, "FORBIDDEN")


def test_the_last_page_is_kept_without_an_event(server: Server, me: dict[str, Any]) -> None:
    own: Server = me["own"]
    assert patch(own, "/users/me/track/page", {"last_page": "/content/articles"}).status == 204
    assert own.get("/users/me?fields=last_page").data == {"last_page": "/content/articles"}
    assert server.get(f"/users/{me['id']}?fields=last_access").data["last_access"] is not None
    for wrong in ({}, {"last_page": 5}, {"last_page": ""}, {"last_page": "x" * 256}):
        assert refused(patch(own, "/users/me/track/page", wrong)) == (400, "INVALID_PAYLOAD")
    assert refused(patch(server.public, "/users/me/track/page", {"last_page": "/"})) == (401, "INVALID_CREDENTIALS")
