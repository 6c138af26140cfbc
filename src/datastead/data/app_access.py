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


def _permission(
    collection: str,
    action: str,
    rows: Filter | None = None,
    *,
    fields: frozenset[str] | None = None,
    validation: Filter | None = None,
) -> Permission:
    return Permission(POLICY, f"directus_{collection}", action, fields, rows, validation)


APP_ACCESS: tuple[Permission, ...] = (
    _permission("presets", "read", SEEN_PRESETS),
    _permission("presets", "create", validation=OWN_PRESETS),
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
