"""Who may what at the routes of models, files, settings and users: one table, and no route that is not in it."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from .conftest import ADMIN_TOKEN, Answer, Server
from .ledger_rows import a_call, write_calls

ADMIN, USER, ANYBODY = "administrators", "those who are signed in", "anybody"
LINKED = "whoever has a link from mail: here nobody"
"""Who may. A user here has a static token and no policy: what policies grant is told by the tests of permissions."""

AROUND_ITEMS: dict[str, dict[str, Any]] = {
    "presets": {"bookmark": "x"},
    "notifications": {"subject": "x"},
    "comments": {"collection": "directus_users", "comment": "x"},
    "translations": {"language": "en-US", "key": "x", "value": "x"},
    "panels": {"type": "x", "position_x": 1, "position_y": 1, "width": 1, "height": 1},
    "dashboards": {"name": "x"},
    "versions": {"key": "x"},
    "shares": {"collection": "directus_users"},
}
"""What is written like any item, each with what one needs."""

WHO_MAY: dict[tuple[str, str], str] = {
    # Models are called, and one's own bill is read, by whoever is signed in.
    ("POST", "/ai/generate"): USER,
    ("POST", "/ai/v1/chat/completions"): USER,
    ("POST", "/ai/v1/responses"): USER,
    ("POST", "/ai/v1/embeddings"): USER,
    ("GET", "/ai/v1/models"): USER,
    ("GET", "/ai/v1/models/{model}"): USER,
    ("GET", "/ai/models"): USER,
    ("GET", "/ai/usage"): USER,
    ("GET", "/ai/calls"): USER,
    # What they may cost is said by administrators; so is what a call in doubt was; the call here is another's.
    ("GET", "/ai/calls/{call}"): ADMIN,
    ("POST", "/ai/calls/{call}/resolve"): ADMIN,
    ("GET", "/ai/budgets"): ADMIN,
    ("POST", "/ai/budgets"): ADMIN,
    ("GET", "/ai/budgets/{budget}"): ADMIN,
    ("PATCH", "/ai/budgets/{budget}"): ADMIN,
    ("DELETE", "/ai/budgets/{budget}"): ADMIN,
    ("GET", "/ai/prices"): ADMIN,
    ("POST", "/ai/prices"): ADMIN,
    # Without a policy nobody reads or writes a file.
    ("GET", "/files"): ADMIN,
    ("POST", "/files"): ADMIN,
    ("POST", "/files/import"): ADMIN,
    ("POST", "/files/tus"): ADMIN,
    ("PATCH", "/files"): ADMIN,
    ("GET", "/files/{id}"): ADMIN,
    ("PATCH", "/files/{id}"): ADMIN,
    ("GET", "/assets/{id}"): ADMIN,
    ("POST", "/assets/files"): ADMIN,
    ("GET", "/assets/folder/{id}"): ADMIN,
    ("POST", "/assets/folder/{id}"): ADMIN,
    ("DELETE", "/files/{id}"): ADMIN,
    ("DELETE", "/files"): ADMIN,
    ("GET", "/folders"): ADMIN,
    ("POST", "/folders"): ADMIN,
    ("GET", "/folders/{id}"): ADMIN,
    ("PATCH", "/folders/{id}"): ADMIN,
    ("DELETE", "/folders/{id}"): ADMIN,
    ("GET", "/settings"): ADMIN,
    ("PATCH", "/settings"): ADMIN,
    # One sees oneself; to change oneself takes access to the app, which is a policy's.
    ("GET", "/users/me"): USER,
    ("PATCH", "/users/me"): ADMIN,
    ("GET", "/users"): ADMIN,
    ("POST", "/users"): ADMIN,
    ("PATCH", "/users"): ADMIN,
    ("GET", "/users/{user}"): ADMIN,
    ("PATCH", "/users/{user}"): ADMIN,
    ("DELETE", "/users/{user}"): ADMIN,
    ("DELETE", "/users"): ADMIN,
    # Who may create users may invite; the rest takes a link, or settings that let strangers in.
    ("POST", "/users/invite"): ADMIN,
    ("POST", "/users/invite/accept"): LINKED,
    ("POST", "/users/register"): LINKED,
    ("GET", "/users/register/verify-email"): LINKED,
    ("PATCH", "/users/me/track/page"): USER,
    ("POST", "/users/me/tfa/generate"): USER,
    ("POST", "/users/me/tfa/enable"): USER,
    ("POST", "/users/me/tfa/disable"): USER,
    # A share tells whoever knows its id; what it lets them read is told by its own tests.
    ("GET", "/shares/info/{share}"): ANYBODY,
    ("POST", "/shares/auth"): ANYBODY,
    ("POST", "/shares/invite"): ADMIN,
    ("POST", "/versions/{id}/save"): ADMIN,
    ("GET", "/versions/{id}/compare"): ADMIN,
    ("POST", "/versions/{id}/promote"): ADMIN,
    # Without a policy one sees one's own roles, and what one may do, which is nothing.
    **{
        (method, f"/{name}{part}"): ADMIN
        for name in (*AROUND_ITEMS, "permissions", "access", "policies", "roles")
        for method, part in (
            ("GET", ""),
            ("POST", ""),
            ("PATCH", ""),
            ("GET", "/{id}"),
            ("PATCH", "/{id}"),
            ("DELETE", "/{id}"),
            ("DELETE", ""),
        )
    },
    # What was done is read by whom a policy lets; without one, by administrators.
    ("GET", "/activity"): ADMIN,
    ("GET", "/activity/{activity}"): ADMIN,
    ("GET", "/revisions"): ADMIN,
    ("GET", "/revisions/{revision}"): ADMIN,
    ("GET", "/roles/me"): USER,
    ("GET", "/policies/me/globals"): ANYBODY,
    ("GET", "/permissions/me"): ANYBODY,
    ("GET", "/permissions/me/{collection}"): ANYBODY,
    ("GET", "/permissions/me/{collection}/{id}"): ANYBODY,
    # What it shows is only what exists for the caller.
    ("GET", "/server/specs/graphql"): ANYBODY,
    ("GET", "/server/specs/graphql/system"): ANYBODY,
    ("GET", "/server/info"): ANYBODY,
    ("GET", "/server/health"): ANYBODY,
    ("GET", "/server/ping"): ANYBODY,
}
GUARDED = (
    *AROUND_ITEMS, "access", "activity", "ai", "assets", "files", "folders", "permissions", "policies", "revisions",
    "roles", "server", "settings", "users",
)  # fmt: skip
"""The first parts of the paths that the table is about."""

NOBODY = "00000000-0000-4000-8000-000000000000"
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/ai/budgets"): {"scope": "purpose", "scope_id": "nothing", "limit": "5/day"},
    ("PATCH", "/ai/budgets/{budget}"): {"hard": False},
    ("POST", "/ai/calls/{call}/resolve"): {"paid": False},
    ("POST", "/files"): {"type": "text/plain", "filename_download": "a.txt"},
    ("POST", "/files/import"): {"url": "http://127.0.0.1:1/refused.png"},
    ("PATCH", "/files"): {"keys": [], "data": {"title": "x"}},
    ("PATCH", "/files/{id}"): {"title": "x"},
    ("DELETE", "/files"): {"query": {"filter": {"id": {"_eq": NOBODY}}}},
    ("POST", "/folders"): {"name": "x"},
    ("PATCH", "/folders/{id}"): {"name": "y"},
    ("PATCH", "/settings"): {"project_descriptor": "x"},
    ("PATCH", "/users/me"): {"location": "x"},
    ("POST", "/users/invite"): {"email": "invited@example.com", "role": None},
    ("POST", "/users/invite/accept"): {"token": "x", "password": "a-long-password"},
    ("PATCH", "/users/me/track/page"): {"last_page": "/content"},
    ("POST", "/users/me/tfa/enable"): {"secret": "x", "otp": "x"},
    ("POST", "/users/me/tfa/disable"): {"otp": "x"},
    ("POST", "/users/register"): {"email": "stranger@example.com", "password": "a-long-password"},
    ("PATCH", "/users/{user}"): {"location": "x"},
    **{
        (method, f"/{name}{part}"): body
        for name, body in {"roles": {"name": "x"}, "policies": {"name": "x"}}.items()
        for method, part in (("POST", ""), ("PATCH", "/{id}"))
    },
    ("PATCH", "/permissions/{id}"): {"fields": ["id"]},
    ("PATCH", "/access/{id}"): {"sort": 5},
    **{("PATCH", f"/{name}/{{id}}"): {} for name in AROUND_ITEMS},
    ("POST", "/versions/{id}/save"): {"title": "y"},
    **{
        route: body
        for name in (*AROUND_ITEMS, "permissions", "access", "policies", "roles")
        for route, body in {
            ("PATCH", f"/{name}"): {"keys": [], "data": {"id": None}},
            ("DELETE", f"/{name}"): {"query": {"filter": {"id": {"_null": True}}}},
        }.items()
    },
}
HEADERS = {("POST", "/files/tus"): {"Tus-Resumable": "1.0.0", "Upload-Length": "5"}}
WORDS = {"folders": "folder", "roles": "role", "policies": "policy", "permissions": "permission", "access": "access"}
PERMISSION = {"collection": "directus_folders", "action": "read"}
BOUNDARY = "x"
FORM = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\ntext\r\n--{BOUNDARY}--\r\n'
).encode()


@pytest.fixture
def places(server: Server, database_url: str, tmp_path: Path) -> dict[str, str]:
    """Something at each place of the paths, none of it the user's own."""
    call = a_call(state="in_doubt", held_nano_usd=1)
    write_calls(database_url, [call])
    form = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    made = {
        "budget": server.post("/ai/budgets", {"scope": "purpose", "scope_id": uuid4().hex, "limit": "5/day"}),
        "user": server.post("/users", {"email": f"{uuid4().hex}@example.com"}),
        "role": server.post("/roles", {"name": "x"}),
        "policy": server.post("/policies", {"name": "x"}),
        "file": server.send("POST", "/files", raw=FORM, headers=form),
        "folder": server.post("/folders", {"name": "x"}),
    }
    policy = made["policy"].data["id"]
    made["permission"] = server.post("/permissions", PERMISSION | {"policy": policy})
    made["access"] = server.post("/access", {"policy": policy, "role": made["role"].data["id"]})
    assert {answer.status for answer in made.values()} == {200}
    named = {"call": call["id"], "model": "gpt-5", "collection": "directus_files"}
    revision = server.get("/revisions?sort=-id&limit=1").data[0]
    named |= {"revision": revision["id"], "activity": revision["activity"]}
    found = {**named, **{name: answer.data["id"] for name, answer in made.items()}}
    found["admin"] = server.get("/users/me").data["id"]
    found["versioned"] = f"versioned_{uuid4().hex[:8]}"
    fields = [{"field": "title", "type": "string"}]
    server.post("/collections", {"collection": found["versioned"], "meta": {"versioning": True}, "fields": fields})
    server.post(f"/items/{found['versioned']}", {"title": "x"})
    for name in sorted(AROUND_ITEMS):
        answer = server.post(f"/{name}", around(name, found))
        assert answer.status == 200, answer.body
        found[name[:-1]] = answer.data["id"]
    return found


def ask(server: Server, route: tuple[str, str], places: dict[str, str]) -> Answer:
    method, path = route
    name = path.split("/")[1]
    about = {**places, "id": places[WORDS.get(name, name[:-1] if name in AROUND_ITEMS else "file")]}
    body = BODIES.get(route, {} if method in {"POST", "PATCH"} else None)
    if path == "/assets/files":
        body = {"ids": [places["file"]]}
    about |= {"id": places["folder"]} if path.startswith("/assets/folder") else {}
    if route in {("DELETE", "/users"), ("PATCH", "/users")}:
        body = [places["user"]] if method == "DELETE" else {"keys": [places["user"]], "data": {"location": "x"}}
    elif method == "POST" and path in {"/permissions", "/access"}:
        body = {"policy": places["policy"]} | (PERMISSION if path == "/permissions" else {"role": places["role"]})
    elif method == "POST" and path == f"/{name}" and name in AROUND_ITEMS:
        body = around(name, places)
    elif path in {"/shares/auth", "/shares/invite"}:
        body = {"share": places["share"], "emails": ["a@example.com"]}
    elif path == "/versions/{id}/promote":
        body = {"mainHash": server.acting_as(ADMIN_TOKEN).get(f"/versions/{about['id']}/compare").data["mainHash"]}
    query = "?token=x" if path.endswith("/verify-email") else ""
    return server.send(method, path.format(**about) + query, body, headers=HEADERS.get(route))


def around(name: str, places: dict[str, str]) -> dict[str, Any]:
    """A new one of these."""
    references = {
        "notifications": {"recipient": places["admin"]}, "panels": {"dashboard": places.get("dashboard")},
        "versions": {"collection": places["versioned"], "item": "1", "key": uuid4().hex},
        "comments": {"item": places["admin"]}, "shares": {"item": places["admin"]},
    }  # fmt: skip
    return {**AROUND_ITEMS[name], **references.get(name, {})}


def test_everybody_may_do_what_the_table_says_and_no_more(server: Server, places: dict[str, str]) -> None:
    token = f"user-{uuid4()}"
    assert server.post("/users", {"email": f"{uuid4().hex}@example.com", "token": token}).status == 200
    user, wrong = server.acting_as(token), []
    for route, who in WHO_MAY.items():  # those who may not ask first, so that all is still there
        for asks, asking in ((ANYBODY, server.public), (USER, user), (ADMIN, server)):
            answer = ask(asking, route, places)
            may = who == ANYBODY or (asks == ADMIN and who != LINKED) or (who == USER and asks == USER)
            if may == (answer.status in {401, 403}) or answer.status >= 500:
                wrong.append((*route, asks, answer.status, answer.body[:150]))
    assert wrong == []


def test_no_route_is_missing_from_the_table(server: Server) -> None:
    described = server.public.get("/openapi.json").json["paths"]
    routes = {
        (method.upper(), path)
        for path, methods in described.items()
        for method in methods
        if path.split("/")[1] in GUARDED and method != "parameters"
    }
    assert routes - set(WHO_MAY) == set()
