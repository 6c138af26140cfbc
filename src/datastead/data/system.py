"""The platform's own tables: `directus_*` where Directus has them, `datastead_*` where it does not.

The `directus_*` tables have Directus's columns (version 11), so that a database written by it is understood and a
database written by us can be opened by it. We never alter one that we did not create: what we need beside goes into a
`datastead_*` table.
"""

from datetime import UTC, datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class Json(TypeDecorator[Any]):
    """Any JSON value: `json` on PostgreSQL, text elsewhere."""

    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.JSON(none_as_null=True))
        return dialect.type_descriptor(sa.Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return orjson.dumps(value).decode()

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        is_loaded = dialect.name == "postgresql"  # there the driver has done it, and text is a JSON string's value
        return orjson.loads(value) if isinstance(value, str | bytes) and not is_loaded else value


class _SqliteMoment(sqlite.DATETIME):
    """Reads what Directus writes, too."""

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:  # noqa: ARG002  SQLAlchemy's signature
        return to_moment


class Timestamp(TypeDecorator[datetime]):
    """A moment, as aware UTC in Python; on SQLite text like `2026-11-23 18:26:26.938000`."""

    impl = sa.DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(_SqliteMoment())  # type: ignore[no-untyped-call]
        return dialect.type_descriptor(sa.DateTime(timezone=dialect.name == "postgresql"))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name == "postgresql":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def to_moment(value: Any) -> datetime | None:
    """A moment as aware UTC, from a database's text, or from milliseconds since 1970, as JavaScript's drivers write."""
    if value is None:
        return None
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value / 1000, UTC)
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


metadata = sa.MetaData()
CHAR_36 = sa.CHAR(36)


def _uuid(
    name: str = "id", *constraints: sa.ForeignKey, primary_key: bool = False, nullable: bool = True
) -> sa.Column[Any]:
    return sa.Column(
        name,
        sa.Uuid(as_uuid=False, native_uuid=True).with_variant(sa.String(36), "sqlite").with_variant(CHAR_36, "mariadb"),
        *constraints,
        primary_key=primary_key,
        nullable=nullable and not primary_key,
    )


def _count() -> sa.Column[Any]:
    """The key of rows that are counted. Their tables say `sqlite_autoincrement`: no number is given twice."""
    return sa.Column("id", sa.Integer, primary_key=True, autoincrement=True)


def _text(name: str, length: int | None = 255, default: str | None = None, **options: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length) if length else sa.Text, server_default=default, **options)


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> sa.Index:
    """An index of some rows only."""
    return sa.Index(name, *columns, unique=unique, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _elsewhere(index: sa.Index) -> sa.Index:
    """An index for MariaDB, which has none of some rows only: what those are about comes first in it."""
    return index.ddl_if(dialect="mariadb")


def _flag(name: str, default: bool) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.true() if default else sa.false())


def _owner(
    name: str, on_delete: str = "SET NULL", *, refers: str = "directus_users", nullable: bool = True
) -> sa.Column[Any]:
    """A user or role, of which an existing database may have another type. on_delete: what becomes of the row then."""
    column = _uuid(name, nullable=nullable)
    column.info = {"refers": refers, "on_delete": on_delete}
    return column


def _now(name: str) -> sa.Column[Any]:
    """The moment when the row was written, unless it says another."""
    return sa.Column(name, Timestamp, server_default=sa.func.current_timestamp())


collections = sa.Table(
    "directus_collections", metadata,
    _text("collection", 64, primary_key=True), _text("icon", 64), _text("note", None), _text("display_template"),
    _flag("hidden", False), _flag("singleton", False), sa.Column("translations", Json), _text("archive_field", 64),
    _flag("archive_app_filter", True), _text("archive_value"), _text("unarchive_value"), _text("sort_field", 64),
    _text("accountability", default="all"), _text("color"), sa.Column("item_duplication_fields", Json),
    sa.Column("sort", sa.Integer), _text("group", 64), _text("collapse", default="open", nullable=False),
    _text("preview_url"), _flag("versioning", False),
)  # fmt: skip

fields = sa.Table(
    "directus_fields", metadata,
    _count(),
    _text("collection", 64, nullable=False), _text("field", 64, nullable=False), _text("special", 64),
    _text("interface", 64), sa.Column("options", Json), _text("display", 64), sa.Column("display_options", Json),
    _flag("readonly", False), _flag("hidden", False), sa.Column("sort", sa.Integer), _text("width", 30, "full"),
    sa.Column("translations", Json), _text("note", None), sa.Column("conditions", Json), _flag("required", False),
    _text("group", 64), sa.Column("validation", Json), _text("validation_message", None), _flag("searchable", True),
    sqlite_autoincrement=True,
)  # fmt: skip

relations = sa.Table(
    "directus_relations", metadata,
    _count(),
    _text("many_collection", 64, nullable=False), _text("many_field", 64, nullable=False), _text("one_collection", 64),
    _text("one_field", 64), _text("one_collection_field", 64), _text("one_allowed_collections", None),
    _text("junction_field", 64), _text("sort_field", 64),
    _text("one_deselect_action", default="nullify", nullable=False), sqlite_autoincrement=True,
)  # fmt: skip

users = sa.Table(
    "directus_users", metadata,
    _uuid(primary_key=True), _text("first_name", 50), _text("last_name", 50), _text("email", 128, unique=True),
    _text("password"), _text("location"), _text("title", 50), _text("description", None), sa.Column("tags", Json),
    _uuid("avatar"), _text("language"), _text("tfa_secret"), _text("status", 16, "active", nullable=False),
    _uuid("role"), _text("token", unique=True), sa.Column("last_access", Timestamp), _text("last_page"),
    _text("provider", 128, "default", nullable=False), _text("external_identifier", unique=True),
    sa.Column("auth_data", Json), _flag("email_notifications", True), _text("appearance"), _text("theme_dark"),
    _text("theme_light"), sa.Column("theme_light_overrides", Json), sa.Column("theme_dark_overrides", Json),
    _text("text_direction", default="auto", nullable=False),
)  # fmt: skip

roles = sa.Table(
    "directus_roles", metadata,
    _uuid(primary_key=True), _text("name", 100, nullable=False), _text("icon", 64, "supervised_user_circle"),
    _text("description", None), _uuid("parent"),
)  # fmt: skip

policies = sa.Table(
    "directus_policies", metadata,
    _uuid(primary_key=True), _text("name", 100, nullable=False), _text("icon", 64, "badge"), _text("description", None),
    _text("ip_access", None), _flag("enforce_tfa", False), _flag("admin_access", False), _flag("app_access", False),
)  # fmt: skip

access = sa.Table(
    "directus_access", metadata,
    _uuid(primary_key=True), _uuid("role"), _uuid("user"), _uuid("policy", nullable=False),
    sa.Column("sort", sa.Integer),
)  # fmt: skip

permissions = sa.Table(
    "directus_permissions", metadata,
    _count(),
    _text("collection", 64, nullable=False), _text("action", 10, nullable=False), sa.Column("permissions", Json),
    sa.Column("validation", Json), sa.Column("presets", Json), _text("fields", None), _uuid("policy", nullable=False),
    sa.Index("datastead_permissions_policy", "policy"), sqlite_autoincrement=True,
)  # fmt: skip

sessions = sa.Table(
    "directus_sessions", metadata,
    _text("token", 64, primary_key=True), _uuid("user"), sa.Column("expires", Timestamp, nullable=False),
    _text("ip"), _text("user_agent", None), _uuid("share"), _text("origin"), _text("next_token", 64),
)  # fmt: skip

logins = sa.Table(
    "datastead_logins", metadata,
    # failures: one after another, since the last success; otp_step: the 30 seconds of the last one-time password
    _uuid("user", primary_key=True), sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("locked_until", Timestamp), sa.Column("otp_step", sa.BigInteger),
)  # fmt: skip

limits = sa.Table(
    "datastead_limits", metadata,
    # how often something was done: the count begins anew at `until`
    _text("key", 128, primary_key=True), sa.Column("used", sa.Integer, nullable=False),
    sa.Column("until", Timestamp, nullable=False), sa.Index("datastead_limits_until", "until"),
)  # fmt: skip

settings = sa.Table(
    "directus_settings", metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    _text("project_name", 100, "Datastead", nullable=False), _text("project_url"),
    _text("project_color", default="#6644FF", nullable=False), _uuid("project_logo"), _uuid("public_foreground"),
    _uuid("public_background"), _text("public_note", None),
    sa.Column("auth_login_attempts", sa.Integer, server_default="25"), _text("auth_password_policy", 100),
    _text("storage_asset_transform", 7, "all"), sa.Column("storage_asset_presets", Json), _text("custom_css", None),
    _uuid("storage_default_folder"), sa.Column("basemaps", Json), _text("mapbox_key"), sa.Column("module_bar", Json),
    _text("project_descriptor", 100), _text("default_language", default="en-US", nullable=False),
    sa.Column("custom_aspect_ratios", Json), _uuid("public_favicon"),
    _text("default_appearance", default="auto", nullable=False), _text("default_theme_light"),
    sa.Column("theme_light_overrides", Json), _text("default_theme_dark"), sa.Column("theme_dark_overrides", Json),
    _text("report_error_url"), _text("report_bug_url"), _text("report_feature_url"),
    _flag("public_registration", False), _flag("public_registration_verify_email", True),
    _uuid("public_registration_role"), sa.Column("public_registration_email_filter", Json),
    sa.Column("visual_editor_urls", Json), _uuid("project_id"),
    _flag("mcp_enabled", False), _flag("mcp_allow_deletes", False), _text("mcp_prompts_collection"),
    _flag("mcp_system_prompt_enabled", True), _text("mcp_system_prompt", None),
    _flag("mcp_oauth_enabled", False), _flag("mcp_oauth_dcr_enabled", False), _flag("mcp_oauth_cimd_enabled", False),
    _text("project_owner"), _text("project_usage"), _text("org_name"), sa.Column("product_updates", sa.Boolean),
    _text("project_status"),
    _text("ai_openai_api_key", None), _text("ai_anthropic_api_key", None), _text("ai_system_prompt", None),
    _text("ai_google_api_key", None), _text("ai_openai_compatible_api_key", None),
    _text("ai_openai_compatible_base_url", None), _text("ai_openai_compatible_name", None),
    sa.Column("ai_openai_compatible_models", Json), sa.Column("ai_openai_compatible_headers", Json),
    sa.Column("ai_openai_allowed_models", Json), sa.Column("ai_anthropic_allowed_models", Json),
    sa.Column("ai_google_allowed_models", Json), _text("ai_translation_default_model", None),
    sa.Column("ai_translation_glossary", Json), _text("ai_translation_style_guide", None),
    _flag("collaborative_editing_enabled", False), _text("default_save_action"),
)  # fmt: skip

flows = sa.Table(
    "directus_flows", metadata,
    _uuid(primary_key=True), _text("name", nullable=False), _text("icon", 64), _text("color"),
    _text("description", None), _text("status", default="active", nullable=False), _text("trigger"),
    _text("accountability", default="all"), sa.Column("options", Json), _uuid("operation"),
    sa.Column("date_created", Timestamp), _uuid("user_created"),
    sa.UniqueConstraint("operation"),
)  # fmt: skip

operations = sa.Table(
    "directus_operations", metadata,
    _uuid(primary_key=True), _text("name"), _text("key", nullable=False), _text("type", nullable=False),
    sa.Column("position_x", sa.Integer, nullable=False), sa.Column("position_y", sa.Integer, nullable=False),
    sa.Column("options", Json), _uuid("resolve"), _uuid("reject"), _uuid("flow", nullable=False),
    sa.Column("date_created", Timestamp), _uuid("user_created"),
    sa.UniqueConstraint("resolve"), sa.UniqueConstraint("reject"),
)  # fmt: skip

folders = sa.Table(
    "directus_folders", metadata,
    _uuid(primary_key=True), _text("name", nullable=False), _uuid("parent", sa.ForeignKey("directus_folders.id")),
)  # fmt: skip

files = sa.Table(
    "directus_files", metadata,
    _uuid(primary_key=True), _text("storage", nullable=False), _text("filename_disk"),
    _text("filename_download", nullable=False), _text("title"), _text("type"),
    _uuid("folder", sa.ForeignKey("directus_folders.id", ondelete="SET NULL")), _uuid("uploaded_by"),
    sa.Column("created_on", Timestamp, nullable=False, server_default=sa.func.current_timestamp()),
    _uuid("modified_by"),
    sa.Column("modified_on", Timestamp, nullable=False, server_default=sa.func.current_timestamp()),
    _text("charset", 50), sa.Column("filesize", sa.BigInteger), sa.Column("width", sa.Integer),
    sa.Column("height", sa.Integer), sa.Column("duration", sa.Integer), _text("embed", 200), _text("description", None),
    _text("location", None), _text("tags", None), sa.Column("metadata", Json), sa.Column("focal_point_x", sa.Integer),
    sa.Column("focal_point_y", sa.Integer), _text("tus_id", 64), sa.Column("tus_data", Json),
    sa.Column("uploaded_on", Timestamp),
)  # fmt: skip

presets = sa.Table(
    "directus_presets", metadata,
    _count(), _text("bookmark"), _owner("user", "CASCADE"),
    _owner("role", "CASCADE", refers="directus_roles"), _text("collection", 64),
    _text("search", 100), _text("layout", 100, "tabular"), sa.Column("layout_query", Json),
    sa.Column("layout_options", Json), sa.Column("refresh_interval", sa.Integer), sa.Column("filter", Json),
    _text("icon", 64, "bookmark"), _text("color"), sqlite_autoincrement=True,
)  # fmt: skip

notifications = sa.Table(
    "directus_notifications", metadata,
    _count(), _now("timestamp"), _text("status", 255, "inbox"),
    _owner("recipient", "CASCADE", nullable=False), _owner("sender"), _text("subject", nullable=False),
    _text("message", None), _text("collection", 64), _text("item"), sqlite_autoincrement=True,
)  # fmt: skip

comments = sa.Table(
    "directus_comments", metadata,
    _uuid(primary_key=True), _text("collection", 64, nullable=False), _text("item", nullable=False),
    _text("comment", None, nullable=False), _now("date_created"), _now("date_updated"), _owner("user_created"),
    _owner("user_updated"), sa.Index("datastead_comments_item", "collection", "item"),
)  # fmt: skip

translations = sa.Table(
    "directus_translations", metadata,
    _uuid(primary_key=True), _text("language", nullable=False), _text("key", nullable=False),
    _text("value", None, nullable=False),
)  # fmt: skip

dashboards = sa.Table(
    "directus_dashboards", metadata,
    _uuid(primary_key=True), _text("name", nullable=False), _text("icon", 64, "dashboard", nullable=False),
    _text("note", None), _now("date_created"), _owner("user_created"), _text("color"),
)  # fmt: skip

panels = sa.Table(
    "directus_panels", metadata,
    _uuid(primary_key=True),
    _uuid("dashboard", sa.ForeignKey("directus_dashboards.id", ondelete="CASCADE"), nullable=False), _text("name"),
    _text("icon", 64), _text("color", 10), _flag("show_header", False), _text("note", None),
    _text("type", nullable=False), *(
        sa.Column(name, sa.Integer, nullable=False) for name in ("position_x", "position_y", "width", "height")
    ),
    sa.Column("options", Json), _now("date_created"), _owner("user_created"),
)  # fmt: skip

item_versions = sa.Table(
    "directus_versions", metadata,
    _uuid(primary_key=True), _text("key", 64, nullable=False), _text("name"), _text("collection", 64, nullable=False),
    _text("item", nullable=False), _text("hash"), _now("date_created"), _now("date_updated"), _owner("user_created"),
    _owner("user_updated"), sa.Column("delta", Json), sa.UniqueConstraint("collection", "item", "key"),
)  # fmt: skip

shares = sa.Table(
    "directus_shares", metadata,
    _uuid(primary_key=True), _text("name"), _text("collection", 64, nullable=False), _text("item", nullable=False),
    _owner("role", "CASCADE", refers="directus_roles"), _text("password"),
    _owner("user_created", "CASCADE"), _now("date_created"), sa.Column("date_start", Timestamp),
    sa.Column("date_end", Timestamp), sa.Column("times_used", sa.Integer, server_default="0"),
    sa.Column("max_uses", sa.Integer),
)  # fmt: skip

activity = sa.Table(
    "directus_activity", metadata,
    _count(),
    # create | update | delete | login
    _text("action", 45, nullable=False), _uuid("user"),
    sa.Column("timestamp", Timestamp, nullable=False, server_default=sa.func.current_timestamp()),
    _text("ip", 50), _text("user_agent", None), _text("collection", 64, nullable=False), _text("item", nullable=False),
    _text("origin"),
    sa.Index("datastead_activity_timestamp", "timestamp"), sqlite_autoincrement=True,
)  # fmt: skip

revisions = sa.Table(
    "directus_revisions", metadata,
    _count(),
    sa.Column("activity", sa.Integer, sa.ForeignKey("directus_activity.id", ondelete="CASCADE"), nullable=False),
    _text("collection", 64, nullable=False), _text("item", nullable=False),
    # the item after the change, and what was written of it
    sa.Column("data", Json), sa.Column("delta", Json),
    # the revision of the item from which this one was written
    sa.Column("parent", sa.Integer, sa.ForeignKey("directus_revisions.id")), _uuid("version"),
    sa.Index("datastead_revisions_activity", "activity"), sa.Index("datastead_revisions_item", "collection", "item"),
    _partial("datastead_revisions_parent", "parent", where="parent IS NOT NULL"), sqlite_autoincrement=True,
)  # fmt: skip

file_leases = sa.Table(
    "datastead_file_leases", metadata,
    # bytes in a storage that no row of `directus_files` answers for: not yet (`held`), or no more (`dropped`)
    _text("location", 64, primary_key=True), _text("name", primary_key=True), _text("state", 16, nullable=False),
    sa.Column("lease_until", Timestamp, nullable=False),
)  # fmt: skip

file_variants = sa.Table(
    "datastead_file_variants", metadata,
    # images as they were made for `/assets`. source: the `filename_disk` they were made of. key: of the recipe
    _uuid("file", primary_key=True), _text("key", 64, primary_key=True), _text("source", nullable=False),
    _text("location", 64, nullable=False), _text("name", nullable=False), _text("type", 64, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False), sa.Column("created_at", Timestamp, nullable=False),
    sa.Column("used_at", Timestamp, nullable=False),
)  # fmt: skip

uploads = sa.Table(
    "datastead_uploads", metadata,
    # files that come in several requests. file: the id that it gets, or has. size, received: bytes
    _uuid(primary_key=True), _uuid("file", nullable=False), sa.Column("replaces", sa.Boolean, nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False), sa.Column("received", sa.BigInteger, nullable=False),
    sa.Column("parts", sa.Integer, nullable=False), sa.Column("fields", Json), _text("filename", nullable=False),
    _text("type"), _uuid("user"), sa.Column("is_finished", sa.Boolean, nullable=False),
    sa.Column("expires_at", Timestamp, nullable=False),
)  # fmt: skip

upload_parts = sa.Table(
    "datastead_upload_parts", metadata,
    # what has come of them. start: the first byte's place
    _uuid("upload", primary_key=True), sa.Column("start", sa.BigInteger, primary_key=True, autoincrement=False),
    _text("location", 64, nullable=False), _text("name", nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
)  # fmt: skip

runs = sa.Table(
    "datastead_runs", metadata,
    _uuid(primary_key=True), _uuid("flow", nullable=False),
    # pending | running | resolved | rejected
    _text("status", 16, nullable=False), _text("trigger", nullable=False),
    sa.Column("trigger_data", Json), sa.Column("actor", Json), sa.Column("depth", sa.Integer, nullable=False),
    sa.Column("result", Json), sa.Column("error", Json),
    # the flow as it was when the run began: a changed flow does not change a run under way
    sa.Column("definition", Json),
    _text("owner"), sa.Column("lease_until", Timestamp),
    # how often an internal error has stopped it
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("created_at", Timestamp, nullable=False), sa.Column("started_at", Timestamp),
    sa.Column("finished_at", Timestamp),
    sa.Index("datastead_runs_flow", "flow", "created_at"), sa.Index("datastead_runs_status", "status", "created_at"),
)  # fmt: skip

steps = sa.Table(
    "datastead_steps", metadata,
    _uuid("run", primary_key=True), sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
    _uuid("operation"), _text("key", nullable=False), _text("type", nullable=False),
    # running | resolve | reject | unknown
    _text("status", 16, nullable=False), sa.Column("options", Json), sa.Column("output", Json),
    # template paths that had no value
    sa.Column("missing", Json),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="1"),
    sa.Column("started_at", Timestamp, nullable=False), sa.Column("finished_at", Timestamp),
)  # fmt: skip

ai_calls = sa.Table(
    "datastead_ai_calls", metadata,
    _uuid(primary_key=True),
    # held | settled | failed | in_doubt | cached
    _text("state", 16, nullable=False),
    # on PostgreSQL the id of the transaction that wrote the row, on MariaDB its number; on SQLite null, as `rowid`
    # says the order
    sa.Column("sequence", sa.BigInteger),
    _text("key", 128), sa.Column("attempt", sa.Integer, nullable=False, server_default="1"),
    _text("provider", 64, nullable=False), _text("model", nullable=False), _text("response_model"),
    _text("response_id"), _text("provider_request_id"), _text("purpose", 64),
    # generate | embed
    _text("kind", 16, "generate", nullable=False),
    _uuid("user"), _uuid("role"), _text("token", 64), _uuid("flow"), _uuid("run"), _text("step", 64),
    _text("collection", 64), _text("item"), _text("field", 64), _text("thread", 64), _text("request_id", 64),
    sa.Column("input_tokens", sa.BigInteger), sa.Column("output_tokens", sa.BigInteger),
    sa.Column("cache_read_tokens", sa.BigInteger), sa.Column("cache_write_tokens", sa.BigInteger),
    sa.Column("cache_write_1h_tokens", sa.BigInteger), sa.Column("audio_input_tokens", sa.BigInteger),
    sa.Column("audio_output_tokens", sa.BigInteger), sa.Column("image_input_tokens", sa.BigInteger),
    sa.Column("image_output_tokens", sa.BigInteger), sa.Column("reasoning_tokens", sa.BigInteger),
    # flex | batch | priority; null = the normal one
    _text("service_tier", 16),
    # the upper bounds that were held before the call
    sa.Column("held_tokens", sa.BigInteger), sa.Column("held_nano_usd", sa.BigInteger),
    sa.Column("cost_nano_usd", sa.BigInteger),
    # what an answer from the cache would have cost
    sa.Column("saved_nano_usd", sa.BigInteger),
    # price | provider: who says what it cost
    _text("cost_source", 16),
    # known | zero | unknown
    _text("price_state", 16), _text("price"),
    # provider | estimated | none: where the usage comes from
    _text("usage_source", 16), sa.Column("raw_usage", Json),
    _text("finish_reason", 32), _text("error_code", 64), _text("error", None),
    sa.Column("latency_ms", sa.Integer), sa.Column("first_token_ms", sa.Integer),
    _text("owner"), sa.Column("lease_until", Timestamp),
    sa.Column("created_at", Timestamp, nullable=False), sa.Column("settled_at", Timestamp),
    sa.Column("prompt", Json), sa.Column("answer", Json),
    sa.Index("datastead_ai_calls_created", "created_at"),
    # of the few rows that each is about, so that the others cost nothing
    _partial("datastead_ai_calls_held", "owner", where="state = 'held'"),
    _elsewhere(sa.Index("datastead_ai_calls_state", "state", "owner")),
    _partial("datastead_ai_calls_key", "key", "attempt", where="key IS NOT NULL", unique=True),
    _partial("datastead_ai_calls_run", "run", where="run IS NOT NULL"),
    _partial("datastead_ai_calls_doubt", "created_at", where="state = 'in_doubt'"),
    # a budget for each user, token or flow reads the rows of that one only
    _partial("datastead_ai_calls_user", "user", "sequence", where='"user" IS NOT NULL'),
    _partial("datastead_ai_calls_token", "token", "sequence", where="token IS NOT NULL"),
    _partial("datastead_ai_calls_flow", "flow", "sequence", where="flow IS NOT NULL"),
)  # fmt: skip

ai_answers = sa.Table(
    "datastead_ai_answers", metadata,
    # the answer of a keyed call, kept until the step that asked for it is saved; of one over HTTP, for a time
    _text("key", 128, primary_key=True), _uuid("call", nullable=False), sa.Column("answer", Json, nullable=False),
    sa.Column("created_at", Timestamp, nullable=False), sa.Index("datastead_ai_answers_created", "created_at"),
)  # fmt: skip

ai_cache = sa.Table(
    "datastead_ai_cache", metadata,
    # answers that may be given again until they expire; key: SHA-256, see `ai/cache.py`
    _text("key", 64, primary_key=True), _uuid("call", nullable=False), _text("provider", 64, nullable=False),
    _text("model", nullable=False), sa.Column("answer", Json, nullable=False),
    sa.Column("created_at", Timestamp, nullable=False), sa.Column("expires_at", Timestamp, nullable=False),
    sa.Index("datastead_ai_cache_expires", "expires_at"),
)  # fmt: skip

budgets = sa.Table(
    "datastead_budgets", metadata,
    _uuid(primary_key=True), _text("name"),
    # `all`, `user`, `role`, `flow`, `model`, `provider`, `purpose` or `token`; and which one, null for each of its own
    _text("scope", 32, nullable=False), _text("scope_id"),
    # window: minute | hour | day | week | month | total; rolling: the last so long, not the calendar's
    _text("window", 16, nullable=False), _flag("rolling", False), sa.Column("limit_nano_usd", sa.BigInteger),
    sa.Column("limit_tokens", sa.BigInteger), sa.Column("limit_requests", sa.BigInteger), _flag("hard", True),
    sa.Column("created_at", Timestamp, nullable=False),
)  # fmt: skip

ai_prices = sa.Table(
    "datastead_ai_prices", metadata,
    # an entry of the price list; a change is another entry
    _uuid(primary_key=True), _text("provider", 64, nullable=False), _text("model", nullable=False),
    # {input, output, …} in USD per million tokens; {context?, output?} in tokens
    sa.Column("rates", Json, nullable=False), sa.Column("limits", Json),
    sa.Column("valid_from", Timestamp, nullable=False), sa.Column("created_at", Timestamp, nullable=False),
    _uuid("user"), sa.Index("datastead_ai_prices_model", "provider", "model", "valid_from"),
)  # fmt: skip

listeners = sa.Table(
    "datastead_listeners", metadata,
    # processes that have subscribers, each until when: only while there are some, changes are written down for them
    _text("process", 64, primary_key=True), sa.Column("until", Timestamp, nullable=False),
)  # fmt: skip

changes = sa.Table(
    "datastead_changes", metadata,
    # what a process has changed, for the subscribers of others; a minute old, it goes
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    # entries: [[collection, create | update | delete, [key, …]], …]
    _text("process", 64, nullable=False), sa.Column("entries", Json, nullable=False),
    sa.Column("at", Timestamp, nullable=False), sqlite_autoincrement=True,
)  # fmt: skip

versions = sa.Table(
    "datastead_versions", metadata,
    # counters by which every process sees what another changed: `schema`, `flows`, `settings`, `prices`
    _text("name", 64, primary_key=True), sa.Column("version", sa.BigInteger, nullable=False),
)  # fmt: skip

migrations = sa.Table(
    "datastead_migrations", metadata,
    _text("name", 128, primary_key=True), sa.Column("applied_at", Timestamp, nullable=False),
)  # fmt: skip

_CREATED = {"date_created": "date-created", "user_created": "user-created"}
_WRITTEN = {**_CREATED, "date_updated": "date-updated", "user_updated": "user-updated"}

SPECIALS: dict[str, dict[str, str]] = {
    "directus_users": {
        "id": "uuid",
        "password": "hash,conceal",
        "token": "conceal",
        "tfa_secret": "conceal",
        "tags": "cast-json",
    },
    "directus_settings": {
        "ai_openai_api_key": "encrypt",
        "ai_anthropic_api_key": "encrypt",
        "ai_google_api_key": "encrypt",
        "ai_openai_compatible_api_key": "encrypt",
        # in the contract readable by administrators: their values may be keys, too
        "ai_openai_compatible_headers": "cast-json,encrypt",
    },
    "directus_roles": {"id": "uuid"},
    "directus_policies": {"id": "uuid", "ip_access": "cast-csv"},
    "directus_access": {"id": "uuid"},
    "directus_permissions": {"fields": "cast-csv"},
    "directus_flows": {"id": "uuid", "date_created": "date-created", "user_created": "user-created"},
    "directus_operations": {"id": "uuid", "date_created": "date-created", "user_created": "user-created"},
    "directus_folders": {"id": "uuid"},
    "directus_files": {
        "id": "uuid",
        "uploaded_by": "user-created",
        "created_on": "date-created",
        "modified_by": "user-updated",
        "modified_on": "date-updated",
        "tags": "cast-json",
    },
    "directus_notifications": {"timestamp": "date-created", "sender": "user-created"},
    "directus_comments": {"id": "uuid", **_WRITTEN},
    "directus_translations": {"id": "uuid"},
    "directus_dashboards": {"id": "uuid", **_CREATED},
    "directus_panels": {"id": "uuid", **_CREATED},
    "directus_versions": {"id": "uuid", **_WRITTEN},
    "directus_shares": {"id": "uuid", "password": "hash,conceal", **_CREATED},
    "directus_fields": {"special": "cast-csv"},
    "directus_relations": {"one_allowed_collections": "cast-csv"},
}
"""What the fields of system collections are, beside their types; no row of `directus_fields` says so."""

RELATIONS: tuple[tuple[str, str, str, str | None], ...] = (
    ("directus_operations", "flow", "directus_flows", "operations"),
    ("directus_operations", "resolve", "directus_operations", None),
    ("directus_operations", "reject", "directus_operations", None),
    ("directus_operations", "user_created", "directus_users", None),
    ("directus_flows", "operation", "directus_operations", None),
    ("directus_flows", "user_created", "directus_users", None),
    ("directus_users", "role", "directus_roles", "users"),
    ("directus_users", "avatar", "directus_files", None),
    ("directus_folders", "parent", "directus_folders", None),
    ("directus_files", "folder", "directus_folders", None),
    ("directus_files", "uploaded_by", "directus_users", None),
    ("directus_files", "modified_by", "directus_users", None),
    ("directus_roles", "parent", "directus_roles", "children"),
    ("directus_access", "role", "directus_roles", "policies"),
    ("directus_access", "user", "directus_users", "policies"),
    ("directus_access", "policy", "directus_policies", "users"),
    ("directus_access", "policy", "directus_policies", "roles"),
    ("directus_permissions", "policy", "directus_policies", "permissions"),
    ("directus_presets", "user", "directus_users", None),
    ("directus_presets", "role", "directus_roles", None),
    ("directus_notifications", "recipient", "directus_users", None),
    ("directus_notifications", "sender", "directus_users", None),
    ("directus_comments", "user_created", "directus_users", None),
    ("directus_comments", "user_updated", "directus_users", None),
    ("directus_dashboards", "user_created", "directus_users", None),
    ("directus_panels", "dashboard", "directus_dashboards", "panels"),
    ("directus_panels", "user_created", "directus_users", None),
    ("directus_versions", "user_created", "directus_users", None),
    ("directus_versions", "user_updated", "directus_users", None),
    ("directus_shares", "role", "directus_roles", None),
    ("directus_shares", "user_created", "directus_users", None),
    ("directus_activity", "user", "directus_users", None),
    ("directus_revisions", "activity", "directus_activity", "revisions"),
    ("directus_revisions", "parent", "directus_revisions", None),
)
"""Relations between system collections: collection, field, what it refers to, and the alias on that side."""
