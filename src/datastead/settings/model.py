"""`Settings`: every variable, with its type, its default and what it is for."""

import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr

from datastead.settings.access import AccessSettings
from datastead.settings.prices import DeclaredCost, DeclaredPrice
from datastead.settings.values import (
    DATABASE_SCHEMES,
    CookieName,
    Cron,
    DatabaseUrl,
    DbClient,
    Duration,
    Headers,
    HttpUrl,
    Names,
    Objects,
    Origins,
    SameSite,
    SecretNames,
    Size,
    StorageOptions,
)

MADE_UP_SECRET = "DATASTEAD_MADE_UP_SECRET"  # noqa: S105  the name of a variable
"""In the environment of workers, whose `SECRET` the parent has made up for all of them."""


class CustomModel(BaseModel):
    """A model of an OpenAI-compatible endpoint. context, output: tokens; cost: USD per million tokens.

    attachment, reasoning, tools, schema: what it can take and do; `schema` = structured output of its own.
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True, hide_input_in_errors=True)

    id: str = Field(min_length=1)
    name: str | None = None
    context: int = Field(128_000, gt=0)
    output: int = Field(16_000, gt=0)
    attachment: bool = False
    reasoning: bool = False
    tools: bool = True
    schema_: bool = Field(True, alias="schema")
    kind: Literal["chat", "embedding"] = "chat"
    cost: DeclaredCost | None = None
    provider_options: dict[str, Any] = Field(default_factory=dict, alias="providerOptions")
    api: Literal["chat-completions", "responses"] = "chat-completions"


class CompatibleProvider(BaseModel):
    """One more OpenAI-compatible endpoint, a provider by its name."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: str = Field(min_length=1)
    base_url: HttpUrl
    api_key: SecretStr | None = None
    headers: Headers = Field(default_factory=dict, repr=False)
    models: list[CustomModel] = Field(default_factory=list)


class Settings(AccessSettings):
    """Every variable, with its default. In the environment its name is in upper case.

    Made directly, it has what it is given and nothing else; `load_settings` reads the environment and the files.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    host: str = Field("0.0.0.0", description="Address to listen on.")  # noqa: S104  a server listens for all by default
    port: int = Field(8055, ge=0, le=65535, description="Port to listen on; 0 = any free one.")
    public_url: str | None = Field(None, description="The URL under which users reach the server.")
    root_redirect: str = Field(
        "./docs",
        pattern=r"^(false|\./[^/\s]\S*|/[^/\s]\S*|https?://\S+)$",
        description="Where `/` sends a browser: a path other than its own, or a URL; `false` = nowhere.",
    )
    secret: SecretStr = Field(
        default_factory=lambda: SecretStr(secrets.token_urlsafe(32)),
        description="Signs access tokens, and encrypts keys in the settings. Made anew at each start when not set.",
    )
    secret_previous: SecretStr | None = Field(
        None, description="The former `SECRET`, after a change: keys in the settings are encrypted anew at the start."
    )
    access_token_ttl: Duration = Field(900.0, description="How long an access token is valid, such as `15m`.")
    refresh_token_ttl: Duration = Field(604_800.0, description="How long a refresh token is valid, such as `7d`.")
    refresh_token_cookie_name: CookieName = Field("directus_refresh_token", description="The cookie of mode `cookie`.")
    refresh_token_cookie_domain: str | None = Field(None, description="Its domain; unset = the server's host only.")
    refresh_token_cookie_secure: bool = Field(False, description="Whether it is sent over HTTPS only.")
    refresh_token_cookie_same_site: SameSite = Field("lax", description="`strict`, `lax` or `none`.")
    session_cookie_name: CookieName = Field("directus_session_token", description="The cookie of mode `session`.")
    session_cookie_ttl: Duration = Field(86_400.0, description="How long such a session lasts, such as `1d`.")
    session_cookie_domain: str | None = Field(None, description="Its domain; unset = the server's host only.")
    session_cookie_secure: bool = Field(False, description="Whether it is sent over HTTPS only.")
    session_cookie_same_site: SameSite = Field(
        "lax", description="`strict`, `lax` or `none`: with `none` pages of other sites act as whoever is signed in."
    )
    admin_email: str = Field("admin@example.com", description="The first administrator's email.")
    admin_password: SecretStr | None = Field(
        None, description="The first administrator's password. Made, and shown once, when not set."
    )
    admin_token: SecretStr | None = Field(None, description="A static token for the first administrator.")

    database_url: DatabaseUrl | None = Field(
        None,
        description="`sqlite:///data.db`, `postgresql://user@host/name` or `mariadb://user@host/name`."
        " Goes before the `DB_*` variables.",
    )
    db_client: DbClient = Field("sqlite3", description="Which database, without `DATABASE_URL`; `mysql` is MariaDB.")
    db_filename: str = Field("data.db", description="The SQLite file.")
    db_host: str | None = Field(None, description="PostgreSQL's or MariaDB's host.")
    db_port: int | None = Field(None, ge=1, le=65535, description="PostgreSQL's or MariaDB's port.")
    db_database: str | None = Field(None, description="The name of the database there.")
    db_user: str | None = Field(None, description="The user there.")
    db_password: SecretStr | None = Field(None, description="The password of that user.")
    db_connection_string: DatabaseUrl | None = Field(
        None, description="A URL like `DATABASE_URL`, which goes before it."
    )

    max_payload_size: Size = Field(1 << 20, description="The largest request body, such as `1mb`.")
    query_limit_default: int = Field(100, ge=0, description="Items in a list when the query has no `limit`.")
    query_limit_max: int = Field(-1, ge=-1, description="The largest `limit` allowed; -1 = no bound.")
    query_timeout: float = Field(
        60,
        ge=0,
        le=86_400,
        description="How many seconds one SELECT of a query may take; 0 = no bound.",
    )
    query_fields_max: int = Field(500, ge=1, description="How many names `fields` may have.")
    query_sort_max: int = Field(
        50, ge=1, description="How many names `sort`, `groupBy`, `meta` and each function of `aggregate` may have."
    )
    query_alias_max: int = Field(100, ge=1, description="How many names `alias` may have.")
    query_deep_max: int = Field(500, ge=1, description="How many fields `deep` may be about.")
    query_deep_max_depth: int = Field(10, ge=1, le=32, description="How deep `deep` may be nested.")
    query_relations_max: int = Field(
        40,
        ge=1,
        le=55,
        description="How many fields that refer to one item a query may follow, at each level of lists.",
    )
    query_string_max_size: Size = Field(64 << 10, description="The longest query string, such as `64kb`.")
    query_string_max_parameters: int = Field(1000, ge=1, description="How many parameters a query string may have.")
    query_string_max_depth: int = Field(
        20, ge=1, le=100, description="How deep a parameter's name may be nested, as in `filter[author][name][_eq]`."
    )
    query_filter_max_depth: int = Field(32, ge=1, le=64, description="How deep a filter may be nested.")
    query_filter_max_conditions: int = Field(500, ge=1, le=2_000, description="How many conditions a filter may have.")
    query_filter_max_values: int = Field(
        5_000, ge=1, le=15_000, description="How many values a filter may have, with those in the lists of `_in`."
    )
    ignore_unknown_fields: bool = Field(
        False,
        description="Whether fields that a collection does not have are left out of payloads; else they are refused.",
    )
    max_relational_depth: int = Field(10, ge=1, description="How deep queries and nested writes may reach.")
    max_batch_mutation: int = Field(
        10_000, ge=1, description="How many items one request may create or change, with those nested in them."
    )
    retention_enabled: bool = Field(
        False, description="Whether old activities, revisions and runs of flows are deleted."
    )
    retention_schedule: Cron = Field(
        "0 0 * * *", description="When that is looked after, as a cron expression, in UTC."
    )
    retention_batch: int = Field(500, ge=1, le=10_000, description="How many rows are deleted in one statement.")
    activity_retention: Duration = Field(7_776_000.0, description="How long activities are kept, such as `90d`.")
    revisions_retention: Duration = Field(7_776_000.0, description="How long revisions are kept, such as `90d`.")
    flow_logs_retention: Duration = Field(
        7_776_000.0, description="How long runs of flows that have ended are kept, such as `90d`."
    )
    storage_locations: Names = Field(["local"], description="Where files are kept, by commas; new ones in the first.")
    storage_options: StorageOptions = Field(
        default_factory=dict,
        repr=False,
        description="Each location's driver and its options, read from `STORAGE_<LOCATION>_DRIVER` and the like: "
        "`STORAGE_LOCAL_ROOT=./uploads`. Without a driver the location's name is the driver's.",
    )
    files_max_upload_size: Size | None = Field(None, description="The largest file, such as `100mb`; unset = no bound.")
    files_mime_type_allow_list: Names = Field(
        ["*/*"], description="Which types of files may be uploaded, by commas, such as `image/*,application/pdf`."
    )
    file_metadata_allow_list: Names = Field(
        [
            "ifd0.Make", "ifd0.Model", "exif.FNumber", "exif.ExposureTime", "exif.FocalLength", "exif.ISOSpeedRatings",
        ],
        description="What is kept of an image's EXIF data, by commas, such as `ifd0.Model,gps.GPSLatitude`; `*` = all.",
    )  # fmt: skip
    tus_enabled: bool = Field(True, description="Whether files may be uploaded in several requests, by tus.")
    tus_chunk_size: Size = Field(
        8 << 20, description="The pieces in which such an upload is kept, and which clients are told to send: `8mb`."
    )
    tus_upload_expiration: Duration = Field(
        600.0, description="How long such an upload may rest before it is removed, such as `10m`."
    )
    import_timeout: Duration = Field(
        600.0, description="The longest that `/files/import` may take to fetch a file, such as `10m`."
    )
    assets_cache_ttl: Duration = Field(2_592_000.0, description="How long browsers keep an asset, such as `30d`.")
    assets_transform_image_max_dimension: int = Field(
        6000,
        ge=1,
        le=30_000,
        description="The longest side of an image that is transformed, and that is made, in pixels.",
    )
    assets_transform_max_operations: int = Field(
        5, ge=0, description="How many operations `transforms` may name for one image."
    )
    assets_transform_max_concurrent: int = Field(
        2, ge=1, description="How many images are transformed at a time, each in a process of its own; others wait."
    )
    assets_transform_timeout: Duration = Field(
        7.5, description="The longest that an image may take to transform, such as `7500ms`."
    )
    assets_transform_storage_size: Size = Field(
        1 << 30, description="How much room transformed images may take, such as `1gb`: the longest unused go first."
    )
    cors_enabled: bool = Field(False, description="Whether pages of other origins may call the API.")
    cors_origin: Origins = Field(["*"], description="Which may: `true` for all, or a list by commas.")
    cors_credentials: bool = Field(True, description="Whether they may send credentials.")

    graphql_introspection: bool = Field(True, description="Whether GraphQL tells its schema, as far as one may see it.")
    graphql_query_token_limit: int = Field(5000, ge=1, description="How many tokens a GraphQL document may have.")
    graphql_max_selects: int = Field(
        100, ge=1, description="How many lists and single items one GraphQL request may ask for, at all levels."
    )
    websockets_enabled: bool = Field(False, description="Whether clients may connect by WebSocket.")
    websockets_rest_enabled: bool = Field(True, description="Whether they may subscribe to items, where they may.")
    websockets_rest_path: str = Field("/websocket", pattern=r"^/[^{}]+$", description="Where they connect.")
    websockets_rest_auth: Literal["handshake", "strict", "public"] = Field(
        "handshake",
        description="`handshake`: the first message says who it is; `strict`: the URL or a cookie does; `public`: they"
        " may do without, as anybody.",
    )
    websockets_rest_auth_timeout: float = Field(
        10, gt=0, description="How long they have to say who they are, in seconds."
    )
    websockets_rest_conn_limit: int | None = Field(
        None, ge=1, description="How many may be connected to one process; unset = no bound."
    )
    websockets_graphql_enabled: bool = Field(True, description="Whether they may subscribe by GraphQL, where they may.")
    websockets_graphql_path: str = Field("/graphql", pattern=r"^/[^{}]+$", description="Where they connect for that.")
    websockets_graphql_auth: Literal["handshake", "strict", "public"] = Field(
        "handshake", description="As `WEBSOCKETS_REST_AUTH`; the first message is `connection_init`."
    )
    websockets_graphql_auth_timeout: float = Field(
        10, gt=0, description="How long they have for that message, in seconds."
    )
    websockets_graphql_conn_limit: int | None = Field(
        None, ge=1, description="How many may be connected to one process by GraphQL; unset = no bound."
    )
    websockets_max_subscriptions: int = Field(100, ge=1, description="How many subscriptions one connection may have.")
    websockets_heartbeat_enabled: bool = Field(
        True, description="Whether the server asks whether they are still there."
    )
    websockets_heartbeat_period: float = Field(
        30, gt=0, description="How often, in seconds; whoever sends nothing before the next time is cut off."
    )

    ai_enabled: bool = Field(True, description="Whether models can be called at all.")
    ai_record_io: bool = Field(False, description="Whether the ledger keeps prompts and answers.")
    ai_openai_enabled: bool = Field(False, description="Whether OpenAI's models can be called.")
    ai_openai_api_key: SecretStr | None = Field(None, description="OpenAI's API key.")
    ai_openai_base_url: HttpUrl | None = Field(None, description="Another endpoint in place of OpenAI's own.")
    ai_openai_allowed_models: Names | None = Field(None, description="The models that may be called; unset = all.")
    ai_anthropic_enabled: bool = Field(False, description="Whether Anthropic's models can be called.")
    ai_anthropic_api_key: SecretStr | None = Field(None, description="Anthropic's API key.")
    ai_anthropic_base_url: HttpUrl | None = Field(None, description="Another endpoint in place of Anthropic's own.")
    ai_anthropic_allowed_models: Names | None = Field(None, description="The models that may be called; unset = all.")
    ai_google_enabled: bool = Field(False, description="Whether Google's models can be called.")
    ai_google_api_key: SecretStr | None = Field(None, description="The API key for Gemini.")
    ai_google_base_url: HttpUrl | None = Field(None, description="Another endpoint in place of Google's own.")
    ai_google_allowed_models: Names | None = Field(None, description="The models that may be called; unset = all.")
    ai_openai_compatible_enabled: bool = Field(False, description="Whether the compatible endpoint can be called.")
    ai_openai_compatible_name: str = Field("openai-compatible", description="The compatible endpoint's shown name.")
    ai_openai_compatible_api_key: SecretStr | None = Field(None, description="The compatible endpoint's API key.")
    ai_openai_compatible_base_url: HttpUrl | None = Field(None, description="The compatible endpoint's URL.")
    ai_openai_compatible_headers: Headers = Field(
        default_factory=dict, description='More headers: `json:{…}`, `json:[{"header", "value"}]` or `Name: value, …`.'
    )
    ai_openai_compatible_models: Annotated[list[CustomModel], Objects] = Field(
        default_factory=list, description="The compatible endpoint's models: `json:[{id, name, context, output, …}]`."
    )
    ai_openai_compatible_providers: Annotated[list[CompatibleProvider], Objects] = Field(
        default_factory=list, description="More such endpoints: `json:[{name, base_url, api_key, headers, models}]`."
    )
    ai_prices: Annotated[list[DeclaredPrice], Objects] = Field(
        default_factory=list,
        description="Prices that go before those that are known, in USD per million tokens:"
        " `json:[{provider, model, input, output, cache_read, …, valid_from}]`.",
    )
    ai_timeout_s: float = Field(600, gt=0, description="The longest that a model call may take, in seconds.")
    ai_max_payload_size: Size = Field(
        32 << 20,
        description="The largest request body of a model call over HTTP, with its attachments, such as `32mb`.",
    )
    ai_max_tokens_default: int = Field(4096, gt=0, description="Output cap under a hard budget, without `maxTokens`.")
    ai_in_doubt: Literal["retry", "reject"] = Field(
        "retry", description="What a flow does with a model call that was under way when its process died."
    )
    ai_http_answers_ttl: Duration = Field(
        86_400.0,
        description="How long the answer of a call with a `key` over HTTP is kept for that key, such as `24h`.",
    )

    metrics_enabled: bool = Field(False, description="Whether `/metrics` tells Prometheus how this process does.")
    metrics_tokens: SecretNames = Field(
        default_factory=list, description="Tokens that may read `/metrics`, by commas; administrators may anyway."
    )
    otel_enabled: bool = Field(
        False,
        description="Whether model calls are OpenTelemetry spans, sent where the standard `OTEL_*` variables say.",
    )

    flows_max_depth: int = Field(10, ge=1, description="How many flows may trigger one another in a row.")
    flows_env_allow_list: Names = Field(
        default_factory=list, description="Which environment variables templates see as `$env`, by commas."
    )
    flows_concurrency: int = Field(16, ge=1, description="How many runs one process carries out at a time.")
    flows_lease_s: float = Field(30, gt=0, description="How long a silent process keeps its runs, in seconds.")
    flows_retries: int = Field(
        5, ge=0, description="How often a run is tried again that an internal error has stopped; then it is rejected."
    )
    import_ip_deny_list: Names = Field(
        default_factory=list, description="More addresses that outgoing requests may not reach."
    )
    import_ip_allow_list: Names = Field(
        default_factory=list, description="Private addresses that outgoing requests may reach after all."
    )
    extensions_path: str = Field("extensions", description="A folder whose `*.py` are loaded as extensions.")

    _folder: Path = PrivateAttr(default_factory=Path.cwd)
    _variables: Mapping[str, str] = PrivateAttr(default_factory=lambda: os.environ)

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Only what can hold no secret."""
        yield from (("port", self.port), ("db_client", self.db_client))

    @property
    def database(self) -> str:
        """The URL of the database, with a SQLite file's full path. It may hold a password."""
        given = self.db_connection_string or self.database_url
        return _resolved(given.get_secret_value() if given else self._url_of_parts(), self._folder)

    @property
    def extensions_folder(self) -> Path:
        """The full path of `EXTENSIONS_PATH`."""
        return self._folder / self.extensions_path

    @property
    def templates_folder(self) -> Path:
        """The full path of `EMAIL_TEMPLATES_PATH`."""
        return self._folder / self.email_templates_path

    @property
    def folder(self) -> Path:
        """Where relative paths begin."""
        return self._folder

    @property
    def has_own_secret(self) -> bool:
        """Whether `SECRET` was given, so that access tokens and encrypted keys outlive a restart."""
        return "secret" in self.model_fields_set and MADE_UP_SECRET not in self._variables

    @property
    def flow_variables(self) -> dict[str, str]:
        """What templates see as `$env`: the variables of `FLOWS_ENV_ALLOW_LIST`, from the environment and `.env`."""
        return {name: self._variables[name] for name in self.flows_env_allow_list if name in self._variables}

    def loaded_from(self, folder: Path, variables: Mapping[str, str]) -> Self:
        """The same settings, with relative paths from `folder` and `$env` from `variables`."""
        loaded = self.model_copy()
        loaded._folder, loaded._variables = folder, variables  # noqa: SLF001  our own class's
        return loaded

    def _url_of_parts(self) -> str:
        if self.db_client == "sqlite3":
            return f"sqlite:///{self.db_filename}"
        user = quote(self.db_user or "", safe="")
        password = f":{quote(self.db_password.get_secret_value(), safe='')}" if self.db_password else ""
        host = f"[{self.db_host}]" if self.db_host and ":" in self.db_host else self.db_host or "localhost"
        address = f"{host}:{self.db_port}" if self.db_port else host
        kind = "postgresql" if self.db_client == "pg" else "mariadb"
        return f"{kind}://{user}{password}{'@' if user else ''}{address}/{quote(self.db_database or '', safe='')}"


def _resolved(url: str, folder: Path) -> str:
    scheme, _, rest = url.partition("://")
    kind = DATABASE_SCHEMES[scheme.partition("+")[0]]
    if kind != "sqlite":
        return f"{kind}://{rest}"
    path, mark, options = rest.removeprefix("/").partition("?")
    return "sqlite://" if path in {"", ":memory:"} else f"sqlite:///{folder / Path(path).expanduser()}{mark}{options}"
