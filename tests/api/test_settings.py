"""`/settings`: the project's one row; keys that are kept encrypted and never shown; providers that work at once."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from datastead.settings import Settings
from datastead.testing.simulator import Simulator
from tests.databases import sqlalchemy_url

from .conftest import ADMIN_TOKEN, Answer, Server, serving

KEY = "sk-canary-7d1e90b2c4"
MASK = "**********"
SECRET = "s" * 40
KEYS = ("ai_openai_api_key", "ai_anthropic_api_key", "ai_google_api_key", "ai_openai_compatible_api_key")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def own(simulator: Simulator, tmp_path: Path) -> Callable[..., Settings]:
    """Settings of a server of the test's own: on a database of its own, with the vendors at the simulator."""

    def make(**more: Any) -> Settings:
        given = {
            "database_url": f"sqlite:///{tmp_path / 'own.db'}",
            "admin_token": ADMIN_TOKEN,
            "admin_password": "a-long-password",
            "secret": SECRET,
            "extensions_path": str(tmp_path / "extensions"),
            "ai_openai_base_url": simulator.base_url("openai"),
            "ai_anthropic_base_url": simulator.base_url("anthropic"),
            "ai_google_base_url": simulator.base_url("google"),
            **more,
        }
        return Settings(**{name: value for name, value in given.items() if value is not None})

    return make


def rows(settings: Settings) -> dict[str, Any]:
    """The row as it is stored."""
    engine = sa.create_engine(sqlalchemy_url(settings.database))
    with engine.connect() as connection:
        found = dict(connection.execute(sa.text("SELECT * FROM directus_settings")).mappings().one())
    engine.dispose()
    return found


def patch(server: Server, **changes: Any) -> Answer:
    return server.send("PATCH", "/settings", changes)


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.code


def eventually(is_so: Callable[[], bool], within_s: float = 10) -> bool:
    end = time.monotonic() + within_s
    while not is_so() and time.monotonic() < end:
        time.sleep(0.05)
    return is_so()


def asked(server: Server, model: str) -> Answer:
    """A model's answer, through a webhook flow of its own."""
    options = {"type": "action", "method": "GET", "return": "$last", "async": False, "error_on_reject": True}
    operation = {"key": "ask", "type": "ai-generate", "options": {"model": model, "prompt": "Say something."}}
    flow = {"id": str(uuid4()), "name": str(uuid4()), "status": "active", "trigger": "webhook", "options": options}
    made = server.post("/flows/apply", {**flow, "operations": [operation]})
    assert made.status == 200, made.body
    return server.get(f"/flows/trigger/{flow['id']}")


def test_the_settings_are_one_row_of_the_contracts_fields(server: Server) -> None:
    found = server.get("/settings").data
    assert found["id"] == 1
    assert (found["project_color"], found["mcp_system_prompt_enabled"], found["mcp_enabled"]) == (
        "#6644FF",
        True,
        False,
    )
    assert {"ai_translation_glossary", "ai_system_prompt", "mcp_prompts_collection", "project_id"} <= set(found)
    assert {found[name] for name in KEYS} == {None}
    assert server.get("/settings?fields=project_name,mcp_enabled").data == {
        "project_name": found["project_name"], "mcp_enabled": False
    }  # fmt: skip


def test_only_administrators_see_and_change_the_settings(server: Server) -> None:
    assert refused(server.public.get("/settings")) == (403, "FORBIDDEN")
    assert refused(patch(server.public, project_name="Mine")) == (403, "FORBIDDEN")


def test_the_projects_look_is_public_and_comes_from_the_settings(server: Server) -> None:
    changed = patch(server, project_name="Harbour", project_color="#112233", public_note="Welcome")
    assert (changed.status, changed.data["project_name"]) == (200, "Harbour")
    shown = server.public.get("/server/info").data["project"]
    assert (shown["project_name"], shown["project_color"], shown["public_note"]) == ("Harbour", "#112233", "Welcome")
    assert patch(server, project_name="Datastead", project_color="#6644FF", public_note=None).status == 200


@pytest.mark.parametrize("name", KEYS)
def test_a_key_is_masked_for_readers_and_encrypted_at_rest(server: Server, settings: Settings, name: str) -> None:
    changed = patch(server, **{name: KEY})
    assert (changed.status, changed.data[name]) == (200, MASK)
    assert server.get(f"/settings?fields={name}").data == {name: MASK}
    stored = rows(settings)[name]
    assert stored.startswith("datastead:1:")
    assert KEY not in stored
    assert patch(server, **{name: None}).data[name] is None


def test_writing_the_mask_back_keeps_the_key(server: Server, settings: Settings) -> None:
    patch(server, ai_google_api_key=KEY)
    before = rows(settings)["ai_google_api_key"]
    read = server.get("/settings").data
    assert patch(server, **{**read, "project_descriptor": "same key"}).status == 200
    assert rows(settings)["ai_google_api_key"] == before
    patch(server, ai_google_api_key=None, project_descriptor=None)


def test_the_values_of_headers_are_masked_encrypted_and_kept_by_name(server: Server, settings: Settings) -> None:
    both = [{"header": "X-Team", "value": "blue"}, {"header": "Authorization", "value": f"Token {KEY}"}]
    shown = patch(server, ai_openai_compatible_headers=both).data["ai_openai_compatible_headers"]
    assert shown == [{"header": "X-Team", "value": MASK}, {"header": "Authorization", "value": MASK}]
    assert KEY not in str(rows(settings))
    before = rows(settings)["ai_openai_compatible_headers"]
    one = [{"header": "Authorization", "value": MASK}]
    assert patch(server, ai_openai_compatible_headers=one).data["ai_openai_compatible_headers"] == one
    kept = rows(settings)["ai_openai_compatible_headers"]
    kept, before = ((json.loads(value) if isinstance(value, str) else value) for value in (kept, before))
    assert kept == [before[1]]
    patch(server, ai_openai_compatible_headers=None)


def test_a_key_cannot_be_searched_sorted_or_filtered_out_of_the_settings(server: Server) -> None:
    patch(server, ai_openai_api_key=KEY)
    for query in (
        "filter[ai_openai_api_key][_starts_with]=datastead",
        "filter[ai_openai_api_key][_eq]=x",
        "sort=ai_openai_api_key",
    ):
        assert refused(server.get(f"/settings?{query}")) == (400, "INVALID_QUERY")
    patch(server, ai_openai_api_key=None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ai_openai_api_key", 5),
        ("ai_openai_api_key", {"a": KEY}),
        ("ai_openai_api_key", f"{KEY}\n{KEY}"),
        ("ai_anthropic_api_key", "k" * 5000),
        ("ai_openai_allowed_models", "gpt-5"),
        ("ai_openai_allowed_models", [1]),
        ("ai_openai_allowed_models", [""]),
        ("ai_openai_allowed_models", {"gpt-5": True}),
        ("ai_openai_compatible_base_url", "ftp://host"),
        ("ai_openai_compatible_base_url", "localhost"),
        ("ai_openai_compatible_base_url", f"https://user:{KEY}@host/v1"),
        ("ai_openai_compatible_base_url", ["https://host"]),
        ("ai_openai_compatible_headers", {"X-Key": KEY}),
        ("ai_openai_compatible_headers", [{"header": "X-Key"}]),
        ("ai_openai_compatible_headers", [{"header": "X Key", "value": KEY}]),
        ("ai_openai_compatible_headers", [{"header": "X-Key", "value": f"{KEY}\r\nX-Other: 1"}]),
        ("ai_openai_compatible_headers", [{"header": "X-Key", "value": KEY, "more": 1}]),
        ("ai_openai_compatible_models", [{"name": "no id"}]),
        ("ai_openai_compatible_models", [{"id": "a", "context": -1}]),
        ("ai_openai_compatible_models", [{"id": "a", "api": "telepathy"}]),
        ("ai_openai_compatible_models", "a,b"),
        ("ai_translation_glossary", [{"translation_note": "no term"}]),
        ("storage_asset_presets", 5),
        ("storage_asset_presets", "card"),
        ("storage_asset_presets", [{"width": 5}]),
        ("storage_asset_transform", "some"),
    ],
)
def test_a_wrong_value_is_refused_by_field_and_not_repeated(server: Server, field: str, value: Any) -> None:
    answer = patch(server, **{field: value})
    assert refused(answer) == (400, "INVALID_PAYLOAD")
    assert answer.json["errors"][0]["extensions"]["field"] == field
    assert KEY not in answer.body


def test_unknown_fields_and_bodies_are_refused(server: Server) -> None:
    assert refused(patch(server, ai_openai_apikey=KEY)) == (400, "INVALID_PAYLOAD")
    assert KEY not in patch(server, ai_openai_apikey=KEY).body
    assert refused(server.send("PATCH", "/settings", [])) == (400, "INVALID_PAYLOAD")
    assert refused(patch(server, mcp_enabled="perhaps")) == (400, "INVALID_PAYLOAD")
    assert patch(server, id=77, project_name="Datastead").data["id"] == 1


def test_without_a_secret_of_its_own_the_server_takes_no_keys(own: Callable[..., Settings]) -> None:
    with serving(own(secret=None)) as port:
        server = Server(port)
        for changes in (
            {"ai_openai_api_key": KEY},
            {"ai_openai_compatible_headers": [{"header": "X-Key", "value": KEY}]},
        ):
            answer = patch(server, **changes)
            assert refused(answer) == (422, "UNPROCESSABLE_CONTENT")
            assert "`SECRET`" in answer.body
            assert KEY not in answer.body
        assert patch(server, project_name="Still works").status == 200


def test_a_provider_configured_by_its_key_answers_at_once_and_elsewhere_within_a_second(
    own: Callable[..., Settings],
) -> None:
    settings = own()
    with serving(settings) as here, serving(settings) as there:
        server, other = Server(here), Server(there)
        assert server.get("/server/info").data["ai_providers"] == []
        assert asked(server, "openai:gpt-5-mini").code == "PROVIDER_NOT_CONFIGURED"
        assert patch(server, ai_openai_api_key=KEY).status == 200
        assert server.get("/server/info").data["ai_providers"] == ["openai"]
        assert asked(server, "openai:gpt-5-mini").json["content"]
        assert eventually(lambda: other.get("/server/info").data["ai_providers"] == ["openai"], within_s=5)
        assert asked(other, "openai:gpt-5-mini").json["content"]
        patch(server, ai_openai_api_key=None)
        assert eventually(lambda: other.get("/server/info").data["ai_providers"] == [], within_s=5)


def test_another_process_on_either_database_sees_the_change_and_its_end(server: Server, settings: Settings) -> None:
    with serving(settings) as there:
        other = Server(there)
        assert other.get("/server/info").data["ai_providers"] == []
        patch(server, ai_anthropic_api_key=KEY)
        assert eventually(lambda: other.get("/server/info").data["ai_providers"] == ["anthropic"])
        patch(other, ai_anthropic_api_key=None)
        assert eventually(lambda: server.get("/server/info").data["ai_providers"] == [])


def test_the_command_line_calls_what_the_settings_configure(own: Callable[..., Settings], tmp_path: Path) -> None:
    settings = own()
    with serving(settings) as port:
        patch(Server(port), ai_google_api_key=KEY, ai_google_allowed_models=["gemini-2.5-pro"])
    env = {"PATH": os.environ["PATH"], "DATABASE_URL": settings.database, "SECRET": SECRET}
    command = [sys.executable, "-m", "datastead", "ai", "models", "--json"]
    listed = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=True)
    assert [model["model"] for model in json.loads(listed.stdout)] == ["gemini-2.5-pro"]


@pytest.mark.parametrize("allowed", [None, []])
def test_no_allowed_models_means_none_for_a_provider_of_the_settings(
    own: Callable[..., Settings], allowed: list[str] | None
) -> None:
    with serving(own()) as port:
        server = Server(port)
        patch(server, ai_openai_api_key=KEY, ai_openai_allowed_models=allowed)
        assert asked(server, "openai:gpt-5-mini").code == "MODEL_NOT_ALLOWED"
        patch(server, ai_openai_allowed_models=["gpt-5-mini", "my-own-finetune"])
        assert asked(server, "gpt-5-mini").json["content"]
        assert asked(server, "openai:my-own-finetune").json["content"]
        assert asked(server, "openai:gpt-4.1").code == "MODEL_NOT_ALLOWED"


def test_a_compatible_endpoint_of_the_settings_gets_its_headers_key_and_models(
    own: Callable[..., Settings], simulator: Simulator
) -> None:
    with serving(own()) as port:
        server = Server(port)
        patch(
            server,
            ai_openai_compatible_name="Ollama",
            ai_openai_compatible_base_url=simulator.base_url("openai-compatible") + "/",
            ai_openai_compatible_api_key=f" {KEY}\n",
            ai_openai_compatible_headers=[{"header": "X-Team", "value": "blue"}],
            ai_openai_compatible_models=[{"id": "small", "name": "Small"}],
        )
        assert server.get("/server/info").data["ai_providers"] == ["openai-compatible"]
        simulator.reset()
        assert asked(server, "Ollama:small").json["content"]
        (request,) = simulator.requests
        assert (request["headers"]["authorization"], request["headers"]["x-team"]) == (f"Bearer {KEY}", "blue")


def test_the_environment_goes_before_the_settings(own: Callable[..., Settings], simulator: Simulator) -> None:
    env = own(ai_openai_enabled=True, ai_openai_api_key="from-env", ai_anthropic_enabled=False)
    with serving(env) as port:
        server = Server(port)
        patch(server, ai_openai_api_key=KEY, ai_anthropic_api_key=KEY, ai_openai_allowed_models=[])
        assert server.get("/server/info").data["ai_providers"] == ["openai"]
        simulator.reset()
        assert asked(server, "gpt-4.1").json["content"]  # the environment's rule: no list = all
        assert simulator.requests[0]["headers"]["authorization"] == "Bearer from-env"


def test_a_changed_secret_stops_the_provider_with_the_cure_and_nothing_else(own: Callable[..., Settings]) -> None:
    with serving(own()) as port:
        patch(Server(port), ai_openai_api_key=KEY)
    with serving(own(secret="t" * 40)) as port:
        server = Server(port)
        assert server.get("/settings?fields=ai_openai_api_key").data == {"ai_openai_api_key": MASK}
        assert server.get("/server/info").data["ai_providers"] == []
        answer = asked(server, "openai:gpt-5-mini")
        assert answer.code == "PROVIDER_NOT_CONFIGURED"
        assert "SECRET_PREVIOUS" in answer.body
        patch(server, ai_openai_api_key=KEY)
        assert asked(server, "openai:gpt-5-mini").json["content"]


def test_the_former_secret_rotates_the_keys_at_the_next_start(own: Callable[..., Settings]) -> None:
    headers = [{"header": "X-Key", "value": KEY}]
    with serving(own()) as port:
        patch(Server(port), ai_openai_api_key=KEY, ai_openai_compatible_headers=headers)
    before = rows(own())
    with serving(own(secret="t" * 40, secret_previous=SECRET)) as port:
        assert Server(port).get("/server/info").data["ai_providers"] == ["openai"]
    after = rows(own())
    assert after["ai_openai_api_key"] != before["ai_openai_api_key"]
    with serving(own(secret="t" * 40)) as port:  # the former one is needed no more
        assert asked(Server(port), "openai:gpt-5-mini").json["content"]


def test_a_sealed_key_opens_in_no_other_field(own: Callable[..., Settings]) -> None:
    settings = own()
    with serving(settings) as port:
        server = Server(port)
        patch(server, ai_openai_api_key=KEY)
        answer = patch(server, ai_anthropic_api_key=rows(settings)["ai_openai_api_key"])
        assert answer.status == 200
        assert server.get("/server/info").data["ai_providers"] == ["openai"]


def test_what_other_programs_wrote_into_the_row_breaks_only_its_own_provider(own: Callable[..., Settings]) -> None:
    settings = own()
    with serving(settings) as port:
        server = Server(port)
        patch(server, ai_google_api_key=KEY)
        engine = sa.create_engine(settings.database)
        with engine.begin() as connection:
            connection.execute(
                sa.text(
                    "UPDATE directus_settings SET ai_openai_api_key = 'clear', ai_openai_allowed_models = '\"all\"',"
                    " ai_openai_compatible_base_url = 'nowhere', ai_openai_compatible_headers = '[3]'"
                )
            )
        engine.dispose()
        assert eventually(lambda: "openai" in asked(server, "openai:gpt-5-mini").body)
        assert server.get("/server/info").data["ai_providers"] == ["google"]
        assert asked(server, "google:gemini-2.5-pro").json["content"]


def test_flows_that_hear_of_changed_settings_see_no_keys(own: Callable[..., Settings]) -> None:
    settings = own()
    with serving(settings) as port:
        server = Server(port)
        for kind in ("filter", "action"):
            options = {"type": kind, "scope": ["settings.update"], "return": "$trigger.payload"}
            operation = {"key": "keep", "type": "transform", "options": {"json": "{{ $trigger }}"}}
            flow = {"id": str(uuid4()), "name": kind, "status": "active", "trigger": "event", "options": options}
            assert server.post("/flows/apply", {**flow, "operations": [operation]}).status == 200
        headers = [{"header": "X-Key", "value": KEY}]
        assert patch(server, ai_openai_api_key=KEY, ai_openai_compatible_headers=headers).status == 200
        assert eventually(lambda: len(server.get("/flows/runs?status=resolved").data) == 2)
        runs = [server.get(f"/flows/runs/{run['id']}") for run in server.get("/flows/runs").data]
        assert all("X-Key" in run.body for run in runs)
        assert not any(KEY in run.body for run in runs)
        assert asked(server, "openai:gpt-5-mini").json["content"]  # the filter has not put the mask in the key's place
    assert KEY.encode() not in b"".join(
        path.read_bytes() for path in Path(settings.database[10:]).parent.glob("own.db*")
    )


def test_a_database_of_directus_keeps_its_row_and_its_columns(own: Callable[..., Settings]) -> None:
    """An older one has fewer columns; and what Directus has encrypted is not ours to read."""
    settings = own()
    engine = sa.create_engine(settings.database)
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "CREATE TABLE directus_settings (id INTEGER PRIMARY KEY, project_name VARCHAR(100) NOT NULL,"
                " ai_openai_api_key TEXT, ai_openai_allowed_models TEXT, mine INTEGER)"
            )
        )
        values = "(3, 'Museum', 'encrypted-by-directus', '[\"gpt-5-mini\"]', 7)"
        connection.execute(sa.text(f"INSERT INTO directus_settings VALUES {values}"))
    engine.dispose()
    with serving(settings) as port:
        server = Server(port)
        assert server.get("/settings").data == {
            "id": 3, "project_name": "Museum", "ai_openai_api_key": MASK, "ai_openai_allowed_models": ["gpt-5-mini"],
            "mine": 7,
        }  # fmt: skip
        assert server.get("/server/info").data["project"]["project_name"] == "Museum"
        assert "write it again" in asked(server, "openai:gpt-5-mini").body
        assert patch(server, ai_openai_api_key=KEY).data["id"] == 3
        assert asked(server, "openai:gpt-5-mini").json["content"]
        assert refused(patch(server, ai_google_api_key=KEY)) == (400, "INVALID_PAYLOAD")


def test_a_filter_that_adds_a_header_leaves_the_others_their_values(
    own: Callable[..., Settings], simulator: Simulator
) -> None:
    with serving(own()) as port:
        server = Server(port)
        options = {"type": "filter", "scope": ["settings.update"], "return": "add"}
        headers = [{"header": "X-Added", "value": "yes"}, "{{ $trigger.payload.ai_openai_compatible_headers[0] }}"]
        payload = {
            "ai_openai_compatible_headers": headers,
            "ai_openai_compatible_base_url": "{{ $trigger.payload.ai_openai_compatible_base_url }}",
        }
        operation = {"key": "add", "type": "transform", "options": {"json": payload}}
        flow = {"id": str(uuid4()), "name": "Add", "status": "active", "trigger": "event", "options": options}
        assert server.post("/flows/apply", {**flow, "operations": [operation]}).status == 200
        url = simulator.base_url("openai-compatible")
        changed = patch(
            server,
            ai_openai_compatible_base_url=url,
            ai_openai_compatible_headers=[{"header": "X-Team", "value": "blue"}],
        )
        assert changed.status == 200, changed.body
        simulator.reset()
        assert asked(server, "openai-compatible:any").json["content"]
        sent = simulator.requests[0]["headers"]
        assert (sent["x-added"], sent["x-team"]) == ("yes", "blue")
