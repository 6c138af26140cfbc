"""A database that Directus 11 or 12 has written: it is understood, and not altered."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jwt
import pytest
import sqlalchemy as sa

from datastead.app import open_services
from datastead.data.retention import delete_old
from datastead.errors import InvalidSettings
from datastead.settings import Settings
from datastead.testing.simulator import Simulator
from tests.api.conftest import Server, serving
from tests.databases import KINDS, postgresql_database, sqlalchemy_url
from tests.mariadb import mariadb_database

from . import rows
from .database import VERSIONS, build, rows_of, schema_of


@dataclass(frozen=True)
class Opened:
    """A server on such a database."""

    server: Server
    url: str
    schema: dict[str, Any]
    rows: dict[str, list[Any]]

    @property
    def editor(self) -> Server:
        return self.server.acting_as(rows.EDITOR_TOKEN)


@contextmanager
def database(kind: str, version: str, folder: Path) -> Iterator[str]:
    with ExitStack() as stack:
        if kind == "sqlite":
            url = f"sqlite:///{folder / 'directus.db'}"
        else:
            url = stack.enter_context(postgresql_database() if kind == "postgresql" else mariadb_database())
        build(url, version)
        yield url


def settings(url: str, folder: Path, **more: Any) -> Settings:
    return Settings(
        database_url=url,
        secret=rows.SECRET,
        extensions_path=str(folder / "extensions"),
        storage_options={"local": {"root": str(folder)}},
        login_stall_time=0,
        **more,
    )


@pytest.fixture(
    scope="module",
    params=[
        pytest.param((kind, version), id=f"{kind}-{version}", marks=[pytest.mark.full] if is_slow else [])
        for kind in KINDS
        for version in VERSIONS
        for is_slow in [kind == "mariadb" or (kind, version) == ("postgresql", "11")]
    ],
)
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    """One for all tests of this page that only read, or change what no other looks at."""
    folder = tmp_path_factory.mktemp("directus")
    (folder / f"{rows.FILE}.txt").write_text("A note.")
    with database(*request.param, folder) as url, Simulator() as simulator:
        schema, found = schema_of(url), rows_of(url)
        with serving(settings(url, folder, ai_openai_base_url=simulator.base_url("openai"))) as port:
            yield Opened(Server(port, rows.ADMIN_TOKEN), url, schema, found)


@pytest.mark.parametrize("last", ["20230823A", "20240806A"])
async def test_a_database_of_too_old_a_directus_is_refused(tmp_path: Path, last: str) -> None:
    with database("sqlite", "11", tmp_path) as url:
        engine = sa.create_engine(sqlalchemy_url(url))
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE directus_migrations SET version = :last"), {"last": last})
        engine.dispose()
        before = schema_of(url)
        with pytest.raises(InvalidSettings, match=last):
            async with open_services(settings(url, tmp_path)):
                pass
        assert schema_of(url) == before


def test_to_open_it_alters_no_table_and_no_row(opened: Opened) -> None:
    """Before the others, which write."""
    assert opened.server.get("/items/articles").status == 200
    assert schema_of(opened.url) == opened.schema
    assert rows_of(opened.url) == opened.rows


@pytest.mark.parametrize(("email", "key"), [("admin@example.com", rows.ADMIN), ("editor@example.com", rows.EDITOR)])
def test_its_users_log_in_with_their_passwords(opened: Opened, email: str, key: str) -> None:
    answer = opened.server.public.post("/auth/login", {"email": email, "password": rows.PASSWORD})
    assert opened.server.acting_as(answer.data["access_token"]).get("/users/me").data["id"] == key


def test_a_suspended_user_does_not_log_in(opened: Opened) -> None:
    answer = opened.server.public.post("/auth/login", {"email": "gone@example.com", "password": rows.PASSWORD})
    assert (answer.status, answer.code) == (401, "INVALID_CREDENTIALS")


def test_whoever_was_logged_in_still_is(opened: Opened) -> None:
    opened.server.public.post("/auth/login", {"email": "admin@example.com", "password": rows.PASSWORD})
    answer = opened.server.public.post("/auth/refresh", {"refresh_token": rows.REFRESH_TOKEN, "mode": "json"})
    assert opened.server.acting_as(answer.data["access_token"]).get("/users/me").data["id"] == rows.EDITOR


def test_items_are_read_with_what_they_refer_to(opened: Opened) -> None:
    fields = "id,seen,day,details,words,author.name,author.articles,cover"
    found = opened.server.get(f"/items/articles/1?fields={fields}").data
    assert found.pop("seen") in {"2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05.000Z", "2026-01-02T03:04:06.000Z"}
    assert found == {
        "id": 1, "day": "2026-01-02", "details": {"rooms": [1, 2]}, "words": ["old", "gold"],
        "author": {"name": "Ada", "articles": [1, 3]}, "cover": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("filter[seen][_gt]=2026-02-01", [2]),
        ("filter[seen][_eq]=2026-03-04T05:06:07Z", [2]),
        ("filter[seen][_between]=2026-01-01,2026-02-01", [1, 3]),
        ("filter[day][_eq]=2026-01-02", [1, 2, 3]),
        ("filter[day][_lt]=2026-01-02", []),
        ("filter[seen][_lt]=$NOW(-1 day)&filter[id][_lt]=3&sort=-seen", [2, 1]),
        ("filter[year(seen)][_eq]=2026", [1, 2, 3]),
    ],
)
def test_moments_are_compared_and_sorted_as_time_goes(opened: Opened, query: str, keys: list[int]) -> None:
    found = opened.server.get(f"/items/articles?fields=id&filter[author][_nnull]=true&{quote(query, safe='=&')}").data
    assert [item["id"] for item in found] == keys


def test_permissions_of_nested_roles_hold(opened: Opened) -> None:
    found = opened.editor.get("/items/articles?fields=*,author.name&sort=id").data
    assert [item["id"] for item in found] == [1, 2]
    assert set(found[0]) == {"id", "title", "author", "seen"}
    assert found[0]["author"] == {"name": "Ada"}
    assert opened.editor.send("PATCH", "/items/articles/2", {"title": "Mine"}).code == "FORBIDDEN"
    assert opened.server.public.get("/items/authors?limit=1&sort=name").data == [{"name": "Ada"}]
    assert opened.server.public.get("/items/articles").code == "FORBIDDEN"


@pytest.mark.parametrize(
    ("path", "name", "value"),
    [
        ("/users", "email", "editor@example.com"), ("/roles", "name", "Staff"), ("/policies", "name", "Edits drafts"),
        ("/permissions", "collection", "authors"), ("/access", "policy", rows.P_EDITS), ("/files", "id", rows.FILE),
        ("/folders", "name", "Pictures"), ("/flows", "name", "Hook"), ("/operations", "type", "exec"),
        ("/activity", "action", "update"), ("/revisions", "item", "1"), ("/versions", "key", "next"),
        ("/shares", "name", "To show"), ("/presets", "bookmark", "Drafts"), ("/dashboards", "name", "Overview"),
        ("/panels", "type", "metric"), ("/comments", "comment", "Well said"), ("/translations", "value", "Hallo"),
        ("/collections", "collection", "museum"), ("/fields/articles", "field", "details"),
        ("/relations/articles", "related_collection", "authors"),
    ],
)  # fmt: skip
def test_what_is_around_items_is_there(opened: Opened, path: str, name: str, value: Any) -> None:
    assert value in {row[name] for row in opened.server.get(path).data}


def test_the_settings_are_those_of_the_project(opened: Opened) -> None:
    found = opened.server.get("/settings").data
    assert (found["project_name"], found["default_language"], found["auth_login_attempts"]) == ("Museum", "de-DE", 20)
    assert (found["ai_openai_api_key"], found["public_registration"]) == ("**********", True)
    assert rows.API_KEY not in opened.server.get("/settings").body


def test_a_key_that_directus_has_encrypted_opens_with_its_secret(opened: Opened) -> None:
    body = {"model": "openai:gpt-5-mini", "messages": [{"role": "user", "content": "Hello"}]}
    assert opened.server.post("/ai/v1/chat/completions", body).status == 200


def test_headers_that_directus_keeps_in_clear_are_used(opened: Opened) -> None:
    body = {"model": "openai-compatible:small", "messages": [{"role": "user", "content": "Hello"}]}
    answer = opened.server.post("/ai/v1/chat/completions", body)
    assert "stored encrypted" not in answer.body  # nobody answers there
    assert answer.status >= 500


def test_the_bytes_of_files_are_found(opened: Opened) -> None:
    answer = opened.server.get(f"/assets/{rows.FILE}")
    assert (answer.status, answer.body) == (200, "A note.")


def test_flows_load_and_one_with_javascript_is_inactive_with_the_reason(opened: Opened) -> None:
    problems = {flow["name"]: flow["problem"] for flow in opened.server.get("/flows/overview").data}
    assert problems.pop("Script").startswith("The operation `script`: JavaScript (`exec`) is not run here")
    assert problems == dict.fromkeys(("Notes", "Hook", "Letter", "Inbox", "Token"))
    assert opened.editor.get("/flows/overview").code == "FORBIDDEN"
    assert opened.server.public.get(f"/flows/trigger/{rows.HOOK}?name=Ann").json == {"greeting": "Hello Ann"}


def test_its_operations_do_what_they_did_there(opened: Opened) -> None:
    public = opened.server.public
    (told,) = public.get(f"/flows/trigger/{rows.INBOX}?name=Ann").json
    assert opened.server.get(f"/notifications/{told}").data["message"] == "From Ann"
    claims = jwt.decode(public.get(f"/flows/trigger/{rows.TOKEN}").json, options={"verify_signature": False})
    assert (claims["name"], claims["exp"] - claims["iat"]) == ("Ann", 7200)


def test_an_item_is_written_with_its_activity_its_revision_and_its_flow(opened: Opened) -> None:
    key = opened.server.post("/items/articles", {"title": "Gold", "words": ["x"]}).data["id"]
    filter_ = f"filter[collection][_eq]=articles&filter[item][_eq]={key}"
    (activity,) = opened.server.get(f"/activity?{filter_}").data
    assert (activity["action"], activity["user"]) == ("create", rows.ADMIN)
    (revision,) = opened.server.get(f"/revisions?{filter_}").data
    assert revision["data"]["title"] == "Gold"
    name = quote("Of Gold")
    while not opened.server.get(f"/items/authors?filter[name][_eq]={name}").data:
        pass  # the run is under way; a test that takes too long is ended


def test_a_version_is_compared_and_promoted(opened: Opened) -> None:
    compared = opened.server.get(f"/versions/{rows.DRAFT}/compare").data
    assert compared["current"] == {"id": "1", "title": "Sea salt"}
    promoted = opened.server.post(f"/versions/{rows.DRAFT}/promote", {"mainHash": compared["mainHash"]})
    assert promoted.status == 200
    assert opened.server.get("/items/articles/1").data["title"] == "Sea salt"


def test_a_share_opens_with_its_password(opened: Opened) -> None:
    answer = opened.server.public.post("/shares/auth", {"share": rows.SHARE, "password": rows.PASSWORD})
    assert opened.server.acting_as(answer.data["access_token"]).get("/items/articles/1?fields=id").data == {"id": 1}


def test_whatever_is_written_no_table_is_altered(opened: Opened) -> None:
    made = {
        "/users": {"email": "new@example.com", "password": "A-new-pass-1"}, "/roles": {"name": "New"},
        "/policies": {"name": "New"}, "/folders": {"name": "New"}, "/presets": {"bookmark": "New"},
        "/dashboards": {"name": "New"}, "/translations": {"language": "de-DE", "key": "new", "value": "Neu"},
        "/comments": {"collection": "articles", "item": "2", "comment": "New"},
        "/notifications": {"recipient": rows.EDITOR, "subject": "New"},
        "/permissions": {"policy": rows.P_EDITS, "collection": "articles", "action": "share", "fields": ["*"]},
        "/versions": {"key": "new", "collection": "articles", "item": "2"},
        "/shares": {"collection": "articles", "item": "2", "role": rows.EDITORS},
        "/flows": {"name": "New", "trigger": "manual", "status": "inactive", "options": {"collections": ["articles"]}},
    }  # fmt: skip
    assert {path: opened.server.post(path, body).status for path, body in made.items()} == dict.fromkeys(made, 200)
    assert opened.server.send("PATCH", "/settings", {"project_name": "Gallery"}).status == 200
    assert schema_of(opened.url) == opened.schema


async def test_old_history_goes_by_its_age_not_by_its_form(tmp_path: Path) -> None:
    with database("sqlite", "12", tmp_path) as url:
        given = settings(url, tmp_path, activity_retention="10d", revisions_retention="10d")
        async with open_services(given, dispatch=False) as (services, _):
            early, late = (replace(services, clock=lambda days=days: rows.MOMENT + timedelta(days)) for days in (9, 11))
            assert (await delete_old(early), await delete_old(late)) == (0, 4)


def test_an_older_directus_11_with_fewer_columns_is_opened(tmp_path: Path) -> None:
    """As it was before 11.9: what came since is not asked for."""
    with database("sqlite", "11", tmp_path) as url:
        engine = sa.create_engine(sqlalchemy_url(url))
        with engine.begin() as connection:
            told = sa.inspect(connection).get_columns("directus_settings")
            late = [column["name"] for column in told if column["name"].startswith(("ai_", "mcp_", "project_id"))]
            for name in late:
                connection.execute(sa.text(f"ALTER TABLE directus_settings DROP COLUMN {name}"))
            connection.execute(sa.text("ALTER TABLE directus_fields DROP COLUMN searchable"))
            connection.execute(sa.text("ALTER TABLE directus_users DROP COLUMN text_direction"))
        engine.dispose()
        before = schema_of(url)
        with serving(settings(url, tmp_path)) as port:
            server = Server(port, rows.ADMIN_TOKEN)
            assert server.get("/settings").data["project_name"] == "Museum"
            assert server.get("/users/me").data["email"] == "admin@example.com"
            assert len(server.get("/items/articles?search=salt").data) == 1
        assert schema_of(url) == before
