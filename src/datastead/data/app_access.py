"""What comes with access to the app (`app_access`), whatever the policies permit: one's own things, and no others'."""

from collections.abc import Mapping
from typing import Any

from datastead.data.schema import Permission

MINE = {"_eq": "$CURRENT_USER"}
POLICY = "app_access"
Filter = Mapping[str, Any]

OWN_PRESETS: Filter = {"user": MINE}
SEEN_PRESETS: Filter = {
    "_or": [
        OWN_PRESETS,
        {"user": {"_null": True}, "_or": [{"role": {"_eq": "$CURRENT_ROLE"}}, {"role": {"_null": True}}]},
    ]
}
SEEN_SHARES: Filter = {"_or": [{"user_created": MINE}, {"role": {"_eq": "$CURRENT_ROLE"}}, {"role": {"_null": True}}]}
OWN_FIELDS = frozenset({
    "id", "first_name", "last_name", "email", "password", "location", "title", "description", "tags", "avatar",
    "language", "tfa_secret", "status", "role", "last_page", "provider", "email_notifications", "appearance",
    "theme_light", "theme_dark", "theme_light_overrides", "theme_dark_overrides", "text_direction",
})  # fmt: skip
"""What everybody may see of themselves; password and second factor as a mask."""

LOOK = frozenset({
    "id", "project_name", "project_url", "project_color", "project_logo", "project_descriptor", "public_foreground",
    "public_background", "public_favicon", "public_note", "default_language", "default_appearance",
    "default_theme_light", "default_theme_dark", "theme_light_overrides", "theme_dark_overrides", "custom_css",
    "custom_aspect_ratios", "module_bar", "basemaps", "mapbox_key", "storage_asset_transform", "storage_asset_presets",
    "storage_default_folder", "report_error_url", "report_bug_url", "report_feature_url", "auth_password_policy",
    "visual_editor_urls", "default_save_action", "collaborative_editing_enabled",
})  # fmt: skip
"""Of the settings what the app is drawn with; not what says who may register, nor anything of models and tools."""


def _permission(
    collection: str,
    action: str,
    rows: Filter | None = None,
    *,
    fields: frozenset[str] | None = None,
    validation: Filter | None = None,
    presets: Mapping[str, Any] | None = None,
) -> Permission:
    return Permission(POLICY, f"directus_{collection}", action, fields, rows, validation, presets)


APP_ACCESS: tuple[Permission, ...] = (
    _permission("users", "read", {"id": MINE}, fields=OWN_FIELDS),
    _permission("settings", "read", fields=LOOK),
    _permission("presets", "read", SEEN_PRESETS),
    _permission("presets", "create", validation=OWN_PRESETS, presets={"user": "$CURRENT_USER"}),
    _permission("presets", "update", OWN_PRESETS, validation=OWN_PRESETS),
    _permission("presets", "delete", OWN_PRESETS),
    _permission("notifications", "read", {"recipient": MINE}),
    _permission("notifications", "update", {"recipient": MINE}, fields=frozenset({"status"})),
    _permission("comments", "create"),
    *(_permission("comments", action, {"user_created": MINE}) for action in ("read", "update", "delete")),
    _permission("translations", "read"),
    _permission("roles", "read", {"id": {"_in": "$CURRENT_ROLES"}}),
    _permission("shares", "read", SEEN_SHARES),
    _permission("shares", "create"),
    *(_permission("shares", action, {"user_created": MINE}) for action in ("update", "delete")),
)
