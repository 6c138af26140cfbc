"""Who acts in a run: the actor that caused it, kept with the run; and what templates see as `$accountability`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from datastead.auth.identity import actor_of_role
from datastead.context import PUBLIC, SYSTEM, Actor

if TYPE_CHECKING:
    from datastead.data.engine import Database


def to_json(actor: Actor) -> dict[str, Any]:
    """The actor as a run keeps it."""
    return {
        "user": actor.user, "role": actor.role, "roles": list(actor.roles), "is_admin": actor.is_admin,
        "has_app_access": actor.has_app_access, "ip": actor.ip, "user_agent": actor.user_agent,
        "origin": actor.origin, "policies": list(actor.policies),
    }  # fmt: skip


def from_json(saved: Mapping[str, Any] | None) -> Actor:
    """The actor that a run keeps. None is nobody: the public."""
    if not saved:
        return PUBLIC
    return Actor(**{**saved, "roles": tuple(saved["roles"]), "policies": tuple(saved.get("policies", ()))})


def accountability(actor: Actor) -> dict[str, Any] | None:
    """`$accountability`: null where the server itself acts."""
    if actor == SYSTEM:
        return None
    return {
        "role": actor.role, "user": actor.user, "roles": list(actor.roles), "admin": actor.is_admin,
        "app": actor.has_app_access, "ip": actor.ip, "userAgent": actor.user_agent,
    }  # fmt: skip


async def permitted(database: "Database", caused_by: Actor, permissions: object) -> Actor:
    """Who an operation acts as, by its option `permissions`: `$trigger`, `$full`, `$public`, or a role's id.

    A role has the policies that are its own or its ancestors'.
    """
    match permissions:
        case None | "" | "$trigger":
            return caused_by
        case "$full":
            return SYSTEM
        case "$public":
            return PUBLIC
        case _:
            return await actor_of_role(database, str(permissions))
