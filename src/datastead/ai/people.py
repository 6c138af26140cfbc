"""Users, roles and flows by what people call them, and their names by their ids."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from datastead.data import system
from datastead.errors import InvalidPayload

if TYPE_CHECKING:
    from datastead.data.engine import Transaction

_TABLES = {"user": system.users, "role": system.roles, "flow": system.flows}
NAMED = tuple(_TABLES)
"""Scopes whose values are ids, and have names."""


def resolve(transaction: "Transaction", scope: str, which: str) -> str:
    """The id of a user (by e-mail or id), role or flow (by name or id). Raises `InvalidPayload` where there is none."""
    table = _TABLES[scope]
    if (own := _as_uuid(which)) is not None:
        found = transaction.execute(sa.select(table.c.id).where(table.c.id == own)).scalars().all()
    else:
        name = sa.func.lower(table.c.email if scope == "user" else table.c.name)
        found = transaction.execute(sa.select(table.c.id).where(name == which.lower())).scalars().all()
    called = "e-mail" if scope == "user" else "name"
    if not found:
        raise InvalidPayload(
            f"There is no {scope} `{which[:128]}`: give the {called} or the id of one.", field="scope_id"
        )
    if len(found) > 1:
        raise InvalidPayload(f"There are {len(found)} {scope}s called `{which[:128]}`: give the id.", field="scope_id")
    return str(found[0])


def names_of(transaction: "Transaction", scope: str, ids: Collection[str]) -> dict[str, str]:
    """Names by id, of those that there are."""
    wanted = [each for each in ids if _as_uuid(each) is not None]
    if scope not in _TABLES or not wanted:
        return {}
    table = _TABLES[scope]
    rows = transaction.execute(sa.select(table).where(table.c.id.in_(wanted))).mappings()
    return {str(row["id"]): _name(scope, row) for row in rows}


def _name(scope: str, row: Any) -> str:
    if scope != "user":
        return str(row["name"])
    full = " ".join(str(row[part]) for part in ("first_name", "last_name") if row[part])
    return str(row["email"] or full or row["id"])


def _as_uuid(text: str) -> str | None:
    try:
        return str(UUID(text))
    except ValueError:
        return None
