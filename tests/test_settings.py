"""Settings: where they are read, what they mean, and what is said of a wrong one."""

import json
from pathlib import Path
from typing import Any

import pytest

from datastead.errors import InvalidSettings
from datastead.settings import Settings, load_settings

CANARY = "canary-3f9a77"

PAGE = """
# One provider
AI_OPENAI_ENABLED = true
AI_OPENAI_API_KEY = "sk-one"   # from the console
AI_OPENAI_BASE_URL = "https://api.openai.com/v1"
AI_OPENAI_ALLOWED_MODELS = "gpt-4o-mini, gpt-4.1,gpt-5"

AI_OPENAI_COMPATIBLE_ENABLED = true
AI_OPENAI_COMPATIBLE_BASE_URL = "https://your-api.example.com/v1"
AI_OPENAI_COMPATIBLE_MODELS = 'json:[
  {
    "id": "custom-model-1",
    "name": "Custom Model",
    "context": 128000,
    "output": 4096,
    "attachment": true,
    "reasoning": false
  }
]'
"""


def loaded(folder: Path, **env: Any) -> Settings:
    return load_settings(env, cwd=folder)


def problems(folder: Path, **env: Any) -> list[str]:
    with pytest.raises(InvalidSettings) as caught:
        loaded(folder, **env)
    return str(caught.value).splitlines()


def test_nothing_has_to_be_set(tmp_path: Path) -> None:
    settings = loaded(tmp_path)
    assert (settings.host, settings.port, settings.database) == ("0.0.0.0", 8055, f"sqlite:///{tmp_path}/data.db")


def test_a_dotenv_is_read_as_the_ai_guide_writes_it(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(PAGE)
    settings = loaded(tmp_path)
    assert settings.ai_openai_enabled
    assert settings.ai_openai_api_key is not None
    assert settings.ai_openai_api_key.get_secret_value() == "sk-one"
    assert settings.ai_openai_base_url == "https://api.openai.com/v1"
    assert settings.ai_openai_allowed_models == ["gpt-4o-mini", "gpt-4.1", "gpt-5"]
    assert [model.model_dump(exclude_defaults=True) for model in settings.ai_openai_compatible_models] == [
        {"id": "custom-model-1", "name": "Custom Model", "output": 4096, "attachment": True}
    ]


def test_the_environment_goes_before_the_dotenv_and_that_before_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PORT=2\nHOST=dotenv\nCONFIG_PATH=config.yaml\n")
    (tmp_path / "config.yaml").write_text("port: 3\nhost: file\nadmin_email: me@example.com\n")
    settings = loaded(tmp_path, PORT="1")
    assert (settings.port, settings.host, settings.admin_email) == (1, "dotenv", "me@example.com")


@pytest.mark.parametrize("name", ["config.yaml", "config.json"])
def test_a_file_has_values_of_their_own_types(tmp_path: Path, name: str) -> None:
    values = {"PORT": 99, "AI_OPENAI_ENABLED": True, "AI_OPENAI_ALLOWED_MODELS": ["gpt-5"]}
    (tmp_path / name).write_text(json.dumps(values))
    settings = loaded(tmp_path, CONFIG_PATH=name)
    assert (settings.port, settings.ai_openai_enabled, settings.ai_openai_allowed_models) == (99, True, ["gpt-5"])


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    assert loaded(tmp_path, PORT="", ADMIN_PASSWORD=" ").admin_password is None


@pytest.mark.parametrize(
    "text",
    ['json:{"X-One": "1", "X-Two": "2"}', 'json:[{"header": "X-One", "value": "1"}, {"header": "X-Two", "value": "2"}]',
     "X-One: 1, X-Two:2", '{"X-One": "1", "X-Two": "2"}'],
)  # fmt: skip
def test_headers_may_be_written_in_each_of_the_usual_ways(tmp_path: Path, text: str) -> None:
    headers = loaded(tmp_path, AI_OPENAI_COMPATIBLE_HEADERS=text).ai_openai_compatible_headers
    assert headers == {"X-One": "1", "X-Two": "2"}


def test_a_list_may_be_json(tmp_path: Path) -> None:
    settings = loaded(tmp_path, AI_GOOGLE_ALLOWED_MODELS='json:["a", "b"]', FLOWS_ENV_ALLOW_LIST="X,Y")
    assert (settings.ai_google_allowed_models, settings.flows_env_allow_list) == (["a", "b"], ["X", "Y"])


def test_more_compatible_endpoints_are_providers_of_their_own(tmp_path: Path) -> None:
    text = 'json:[{"name": "groq", "base_url": "https://x.example/v1/", "api_key": "k", "models": [{"id": "m"}]}]'
    (provider,) = loaded(tmp_path, AI_OPENAI_COMPATIBLE_PROVIDERS=text).ai_openai_compatible_providers
    assert (provider.name, provider.base_url, provider.models[0].id) == ("groq", "https://x.example/v1", "m")


def test_a_vendors_own_key_counts_for_a_provider_that_is_enabled(tmp_path: Path) -> None:
    keys = {"OPENAI_API_KEY": "o", "ANTHROPIC_API_KEY": "a", "GEMINI_API_KEY": "g"}
    settings = loaded(tmp_path, AI_OPENAI_ENABLED="true", AI_GOOGLE_ENABLED="true", AI_GOOGLE_API_KEY="own", **keys)
    assert settings.ai_openai_api_key is not None
    assert settings.ai_openai_api_key.get_secret_value() == "o"
    assert settings.ai_google_api_key is not None
    assert settings.ai_google_api_key.get_secret_value() == "own"
    assert settings.ai_anthropic_api_key is None


@pytest.mark.parametrize(
    ("env", "url"),
    [
        ({"DATABASE_URL": "postgres://u:p@h/n"}, "postgresql://u:p@h/n"),
        ({"DATABASE_URL": "postgresql://u:p@h:5/n?sslmode=require"}, "postgresql://u:p@h:5/n?sslmode=require"),
        ({"DATABASE_URL": "sqlite:////var/x.db"}, "sqlite:////var/x.db"),
        ({"DATABASE_URL": "sqlite://"}, "sqlite://"),
        ({"DB_CLIENT": "sqlite3", "DB_FILENAME": "/var/y.db"}, "sqlite:////var/y.db"),
        ({"DB_CLIENT": "pg", "DB_HOST": "h", "DB_PORT": "6", "DB_DATABASE": "n", "DB_USER": "u@x",
          "DB_PASSWORD": "p/:"}, "postgresql://u%40x:p%2F%3A@h:6/n"),
        ({"DB_CLIENT": "pg", "DB_DATABASE": "n"}, "postgresql://localhost/n"),
        ({"DB_CLIENT": "mysql", "DB_DATABASE": "n", "DB_USER": "u", "DB_PORT": "3307"}, "mariadb://u@localhost:3307/n"),
        ({"DATABASE_URL": "mysql+pymysql://u:p@h/n"}, "mariadb://u:p@h/n"),
        ({"DB_CLIENT": "pg", "DB_CONNECTION_STRING": "postgres://h/n"}, "postgresql://h/n"),
    ],
)  # fmt: skip
def test_the_database_is_one_url(tmp_path: Path, env: dict[str, str], url: str) -> None:
    assert loaded(tmp_path, **env).database == url


def test_a_relative_sqlite_file_is_in_the_folder_of_the_start(tmp_path: Path) -> None:
    assert loaded(tmp_path, DATABASE_URL="sqlite:///x/y.db").database == f"sqlite:///{tmp_path}/x/y.db"


def test_postgresql_variables_without_a_client_are_not_left_unused(tmp_path: Path) -> None:
    (line,) = problems(tmp_path, DB_HOST="h")
    assert "DB_CLIENT=pg" in line


def test_sizes_and_times_have_units(tmp_path: Path) -> None:
    settings = loaded(tmp_path, MAX_PAYLOAD_SIZE="2.5mb", ACCESS_TOKEN_TTL="20m", REFRESH_TOKEN_TTL="30d")
    assert settings.max_payload_size == 2_621_440
    assert (settings.access_token_ttl, settings.refresh_token_ttl) == (1200, 2_592_000)


def test_every_wrong_value_is_named_at_once_with_what_is_allowed(tmp_path: Path) -> None:
    assert problems(
        tmp_path,
        PORT="eighty",
        DB_PORT="99999",
        AI_OPENAI_ENABLED="maybe",
        AI_IN_DOUBT="ask",
        AI_TIMEOUT_S="0",
        AI_OPENAI_COMPATIBLE_MODELS='json:[{"id": "a", "context": "big", "extra": 1}, {}]',
    ) == [
        "`PORT` is text of 6 characters; allowed: a whole number from 0 to 65535.",
        "`DB_PORT` is text of 5 characters; allowed: a whole number from 1 to 65535.",
        "`AI_OPENAI_ENABLED` is text of 5 characters; allowed: `true` or `false`.",
        "`AI_OPENAI_COMPATIBLE_MODELS`, at `[0].context`, is text of 3 characters; allowed: a whole number.",
        "`AI_OPENAI_COMPATIBLE_MODELS`, at `[0].extra`, is not a known key.",
        "`AI_OPENAI_COMPATIBLE_MODELS`, at `[1].id`, is missing.",
        "`AI_TIMEOUT_S` is text of 1 character; allowed: a number above 0.",
        "`AI_IN_DOUBT` is text of 3 characters; allowed: `retry` or `reject`.",
    ]


def test_a_name_is_repeated_as_the_user_wrote_it(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("port: x\n")
    (line,) = problems(tmp_path, CONFIG_PATH="c.yaml")
    assert line.startswith("`port` (c.yaml) ")


@pytest.mark.parametrize("name", [name.upper() for name in Settings.model_fields])
def test_no_message_shows_a_piece_of_a_wrong_value(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    values = (CANARY, f"json:[{{{CANARY}", f'json:["{CANARY}"', f"json:{{{CANARY}", f"://{CANARY}@x", 5)
    shown = [_shown(tmp_path, name, value) for value in values]
    assert CANARY not in "".join(shown)
    assert CANARY not in caplog.text


def _shown(folder: Path, name: str, value: Any) -> str:
    """What anybody can see of settings with this value."""
    try:
        return repr(loaded(folder, **{name: value}))
    except InvalidSettings as error:
        return f"{error} {error.__cause__!r} {error.__context__!r}"


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    provider = {"name": "x", "base_url": "http://h", "api_key": CANARY, "headers": {"k": CANARY}}
    settings = loaded(
        tmp_path,
        SECRET=CANARY,
        ADMIN_TOKEN=CANARY,
        DATABASE_URL=f"postgresql://u:{CANARY}@h/n",
        AI_OPENAI_COMPATIBLE_HEADERS=f"Authorization: {CANARY}",
        AI_OPENAI_COMPATIBLE_PROVIDERS=f"json:{json.dumps([provider])}",
    )
    shown = f"{settings!r} {settings} {settings.ai_openai_compatible_providers!r}"
    assert CANARY not in shown


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.json", '{"PORT": '), ("a.yaml", "a: [b"), ("a.yaml", "- PORT"), ("a.yaml", "5"), ("missing.yaml", None)],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, text: str | None) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    (line,) = problems(tmp_path, CONFIG_PATH=name)
    assert name in line


def test_a_dotenv_line_that_cannot_be_read_is_numbered_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"PORT=1\nSECRET='{CANARY}\n")
    (line,) = problems(tmp_path)
    assert "line 2" in line
    assert CANARY not in line


def test_a_name_that_is_nearly_ours_is_pointed_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    loaded(tmp_path, AI_OPENAI_APIKEY=CANARY, DB_HOSTNAME="x", HOMEBREW="y", AI_OPENAI_ENABLED="true")
    assert [record.getMessage() for record in caplog.records] == [
        "`AI_OPENAI_APIKEY` is not a variable of Datastead: did you mean `AI_OPENAI_API_KEY`?",
        "`DB_HOSTNAME` is not a variable of Datastead: did you mean `DB_HOST`?",
    ]


def test_flows_see_the_allowed_variables_of_the_environment_and_the_dotenv(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("FLOWS_ENV_ALLOW_LIST=ONE,TWO,THREE\nONE=1\nSECRET=s\n")
    assert loaded(tmp_path, TWO="2").flow_variables == {"ONE": "1", "TWO": "2"}


def test_settings_made_directly_do_not_read_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "1")
    assert Settings().port == 8055


def test_a_secret_is_made_where_none_is_given(tmp_path: Path) -> None:
    one, two = loaded(tmp_path), loaded(tmp_path)
    assert one.secret != two.secret
    assert not one.has_own_secret
    assert loaded(tmp_path, SECRET="x" * 32).has_own_secret


def test_no_secret_is_shown_by_any_form_of_the_settings() -> None:
    secret = "cnry-82f1"
    endpoint = {"name": "more", "base_url": "http://host/v1", "api_key": secret, "headers": {"X-Key": secret}}
    settings = Settings(
        secret=secret, secret_previous=secret, admin_password=secret, admin_token=secret, db_password=secret,
        database_url=f"postgresql://user:{secret}@host/name", db_connection_string=f"postgresql://user:{secret}@host/name",
        ai_openai_api_key=secret, ai_anthropic_api_key=secret, ai_google_api_key=secret,
        ai_openai_compatible_api_key=secret, ai_openai_compatible_headers={"X-Key": secret},
        ai_openai_compatible_providers=[endpoint],
    )  # fmt: skip
    forms = (settings, settings.ai_openai_compatible_providers, settings.model_dump(), settings.model_dump_json())
    assert secret in settings.database
    for form in forms:
        assert secret not in f"{form!r} {form}"


def test_a_secret_that_the_server_made_up_for_its_workers_is_not_its_own(tmp_path: Path) -> None:
    given = {"SECRET": "s" * 40}
    assert load_settings(given, cwd=tmp_path).has_own_secret
    assert not load_settings({**given, "DATASTEAD_MADE_UP_SECRET": "true"}, cwd=tmp_path).has_own_secret
    assert not load_settings({}, cwd=tmp_path).has_own_secret
