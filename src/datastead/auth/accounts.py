"""`Accounts`: users as the API manages them: checked, and with sessions that end; an administrator always stays."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from datastead.auth.identity import EMAIL
from datastead.context import Context
from datastead.data import system
from datastead.data.items import Items
from datastead.data.permissions import Action, require
from datastead.data.query import Query
from datastead.errors import FailedValidation, Forbidden, InvalidCredentials, InvalidPayload, RecordNotUnique

COLLECTION = system.users.name
STATUSES = ("draft", "invited", "unverified", "active", "suspended", "archived")
MAX_PAGE = 255  # characters
ENDS_SESSIONS = {"password", "status", "email"}
OWN_FIELDS = frozenset(system.users.c.keys()) & {
    "first_name", "last_name", "location", "title", "description", "tags", "avatar", "language", "password",
    "email_notifications", "appearance", "theme_dark", "theme_light", "theme_light_overrides", "theme_dark_overrides",
    "text_direction",
}  # fmt: skip
"""What those who are signed in may change of themselves."""

Payload = Mapping[str, Any]
Keys = Sequence[Any]


class Accounts:
    """The users, for one actor. Each change is whole or not at all."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    async def create(self, new: Sequence[Payload]) -> list[str]:
        """Creates users; their ids. Raises `InvalidPayload`, `RecordNotUnique` and `InvalidForeignKey`."""
        async with self._changing("create") as ctx:
            for payload in new:
                _check(payload)
            keys: list[str] = await Items(ctx, COLLECTION).create_many([_tidied(payload) for payload in new])
            for key, payload in zip(keys, new, strict=True):
                await _check_email(ctx, payload, key)
            return keys

    async def update(self, keys: Keys, payload: Payload) -> list[str]:
        """Changes users alike; the ids of those that exist. Raises `UnprocessableContent` for the last admin's end."""
        return await self.update_each([(key, payload) for key in keys])

    async def update_batch(self, changes: Sequence[Payload]) -> list[str]:
        """Changes users, each as its own payload says, which holds its `id`."""
        if any(payload.get("id") is None for payload in changes):
            raise _invalid("id", "is needed for each user")
        each = [
            (payload["id"], {name: value for name, value in payload.items() if name != "id"}) for payload in changes
        ]
        return await self.update_each(each)

    async def update_each(self, changes: Sequence[tuple[Any, Payload]]) -> list[str]:
        """Changes users, each in its own way."""
        async with self._changing("update") as ctx:
            changed: list[str] = []
            for key, payload in changes:
                _check(payload)
                found = await Items(ctx, COLLECTION).update_many([key], _tidied(payload))
                for own in found:
                    await _check_email(ctx, payload, own)
                if ENDS_SESSIONS & payload.keys():
                    await _end_sessions(ctx, found)
                changed += found
        return changed

    async def update_self(self, payload: Payload) -> None:
        """Changes the one who is signed in: with access to the app what is one's own, else what the policies permit."""
        actor = self._ctx.actor
        if actor.user is None:
            raise Forbidden
        if actor.is_admin:
            await self.update([actor.user], payload)
            return
        holds_others = isinstance(payload.get("avatar"), Mapping)  # to change a file is not a right of one's own
        if not actor.has_app_access or holds_others or not payload.keys() <= OWN_FIELDS:
            await self.update([actor.user], payload)
            return
        await Accounts(self._ctx.acting_as(replace(actor, is_admin=True))).update([actor.user], payload)

    async def track_page(self, page: str) -> None:
        """Keeps the last page of the one who is signed in. Raises `InvalidCredentials` for nobody."""
        if self._ctx.actor.user is None:
            raise InvalidCredentials
        if not 0 < len(page) <= MAX_PAGE:
            raise _invalid("last_page", f"has between 1 and {MAX_PAGE} characters")
        users = system.users
        statement = users.update().where(users.c.id == self._ctx.actor.user).values(last_page=page)
        await self._ctx.services.database.write(lambda transaction: transaction.execute(statement).rowcount)

    async def delete(self, keys: Keys) -> None:
        """Deletes users, with their sessions. Raises `UnprocessableContent` for the last admin."""
        async with self._changing("delete") as ctx:
            await Items(ctx, COLLECTION).delete_many(keys)

    async def keys(self, query: Query) -> list[str]:
        """The ids of the users that the query asks for; without a `limit` of all of them."""
        return await Items(self._ctx, COLLECTION).keys(replace(query, limit=-1) if query.limit is None else query)

    @asynccontextmanager
    async def _changing(self, action: Action) -> AsyncIterator[Context]:
        """The transaction of a change, for those who may make some. Which, `Items` and `auth/rules.py` decide."""
        schema = await self._ctx.services.schemas.get()
        require(schema, self._ctx.actor, action, schema.collection(COLLECTION))
        async with self._ctx.transaction() as ctx:
            yield ctx


def _tidied(payload: Payload) -> dict[str, Any]:
    """An empty token is none."""
    return {name: None if name == "token" and value == "" else value for name, value in payload.items()}


def _check(payload: Payload) -> None:
    """What the columns do not say."""
    email, status = payload.get("email"), payload.get("status")
    if email is not None and not (isinstance(email, str) and EMAIL.fullmatch(email)):
        reason = "`email` has to be an email address"
        raise FailedValidation(f"{reason}.", reason=reason, collection=COLLECTION, field="email", type="email", path=[])
    if "status" in payload and status not in STATUSES:
        raise _invalid("status", f"has to be one of {', '.join(f'`{known}`' for known in STATUSES)}")
    if payload.get("tfa_secret") is not None:
        raise _invalid("tfa_secret", "cannot be set")
    if "password" in payload and not isinstance(payload["password"], str | None):
        raise _invalid("password", "has to be text")


async def _check_email(ctx: Context, payload: Payload, key: Any) -> None:
    """The letters' case makes no other address. After the write: it is said to those only who may write it."""
    users, email = system.users, payload.get("email")
    if not isinstance(email, str):
        return
    statement = sa.select(users.c.id).where(sa.func.lower(users.c.email) == email.lower())
    assert ctx.connection is not None
    if any(row.id != key for row in await ctx.connection.execute(statement)):
        raise RecordNotUnique(
            f"There is a user `{email}` already.", collection=COLLECTION, field="email", value=email, primaryKey=False
        )


async def _end_sessions(ctx: Context, users: Keys) -> None:
    assert ctx.connection is not None
    if users:
        sessions = system.sessions
        await ctx.connection.execute(sessions.delete().where(sessions.c.user.in_(list(users))))


def _invalid(field: str, why: str) -> InvalidPayload:
    reason = f"`{field}` {why}"
    return InvalidPayload(f"{reason}.", reason=reason, collection=COLLECTION, field=field)
