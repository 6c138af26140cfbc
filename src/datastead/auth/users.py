"""Users made by the platform itself: the first administrator, and those of the command line."""

import logging
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import sqlalchemy as sa

from datastead.auth.identity import EMAIL
from datastead.auth.passwords import hash_password
from datastead.data import system
from datastead.data.locks import hold_users
from datastead.errors import InvalidPayload, RecordNotUnique

if TYPE_CHECKING:
    from datastead.data.engine import Connection, Database
    from datastead.settings import Settings

log = logging.getLogger(__name__)


PUBLIC_POLICY = "abf8a154-5b1c-4a46-ac9c-7300570f4f17"
"""The id that the contract's public policy has everywhere, by which scripts find it."""


@dataclass(frozen=True, slots=True)
class NewUser:
    """A user that was made. password: in clear, where it was made up and nobody has seen it yet."""

    id: str
    email: str
    password: str | None = None


async def ensure_admin(database: "Database", settings: "Settings") -> NewUser | None:
    """The first administrator, where the database has no user yet; and `ADMIN_TOKEN` is that user's token."""
    if await _is_settled(database, settings):
        return None
    made_up = None if settings.admin_password else secrets.token_urlsafe(12)
    password = settings.admin_password.get_secret_value() if settings.admin_password else made_up or ""
    hashed = await hash_password(password)
    async with database.transaction() as connection:
        await connection.run(hold_users)  # several processes may start at once on an empty database
        user = await _user(connection, settings.admin_email)
        new = None
        if user is None and not await _any_user(connection):
            user = await _insert_admin(connection, settings.admin_email, hashed)
            await _insert_public(connection)
            new = NewUser(user, settings.admin_email, made_up)
        await _set_admin_token(connection, settings, user)
    return new


async def create_user(
    database: "Database", email: str, *, password: str | None = None, admin: bool = False, role: str | None = None
) -> NewUser:
    """A new user, with a made-up password where none is given.

    admin: with a role that has admin access. role: the name or id of another one, in its place.
    """
    if not EMAIL.fullmatch(email):
        raise InvalidPayload(f"`{email}` is not an email address.", field="email")
    made_up = None if password else secrets.token_urlsafe(12)
    hashed = await hash_password(password or made_up or "")
    async with database.transaction() as connection:
        if await _user(connection, email) is not None:
            raise RecordNotUnique(f"There is a user `{email}` already.", collection="directus_users", field="email")
        found = await _role(connection, role) if role else None
        if admin:
            found = await _admin_role(connection) or await _insert_admin_role(connection)
        user = await _insert_user(connection, email, hashed, found)
    return NewUser(user, email, made_up)


@dataclass(frozen=True, slots=True)
class ListedUser:
    """A user, as a list shows it. role: its name. has_token: whether there is a static token."""

    id: str
    email: str | None
    name: str
    role: str | None
    status: str
    has_token: bool


async def list_users(database: "Database") -> list[ListedUser]:
    """All users, by their emails."""
    users, roles = system.users, system.roles
    statement = (
        sa.select(
            users.c.id, users.c.email, users.c.first_name, users.c.last_name, users.c.status,
            users.c.token.is_not(None).label("has_token"), roles.c.name.label("role"),
        )
        .outerjoin(roles, users.c.role == roles.c.id)
        .order_by(users.c.email, users.c.id)
    )  # fmt: skip
    rows = await database.read(lambda transaction: transaction.execute(statement).all())
    return [
        ListedUser(
            row.id, row.email, " ".join(filter(None, (row.first_name, row.last_name))), row.role, row.status,
            bool(row.has_token),
        )
        for row in rows
    ]  # fmt: skip


async def new_token(database: "Database", email: str) -> str:
    """A new static token for a user; the one before is no longer valid."""
    token = secrets.token_urlsafe(24)
    async with database.transaction() as connection:
        user = await _user(connection, email)
        if user is None:
            raise InvalidPayload(f"There is no user `{email}`.", field="email")
        await _update_user(connection, user, token=token)
    return token


async def _is_settled(database: "Database", settings: "Settings") -> bool:
    """Whether there is nothing to do: the usual start, without a transaction and without a hash."""
    users, token = system.users, settings.admin_token
    statement = sa.select(users.c.id).limit(1)
    if token is not None:
        statement = statement.where(users.c.email == settings.admin_email, users.c.token == token.get_secret_value())
    return await database.read(lambda transaction: transaction.execute(statement).first()) is not None


async def _set_admin_token(connection: "Connection", settings: "Settings", user: str | None) -> None:
    if settings.admin_token is None:
        return
    if user is None:
        log.warning("`ADMIN_TOKEN` is not in use: no user has the email of `ADMIN_EMAIL`.")
        return
    await _update_user(connection, user, token=settings.admin_token.get_secret_value())


async def _user(connection: "Connection", email: str) -> str | None:
    users = system.users
    rows = await connection.execute(sa.select(users.c.id).where(sa.func.lower(users.c.email) == email.lower()))
    return rows[0].id if rows else None


async def _role(connection: "Connection", named: str) -> str:
    roles = system.roles
    found = [
        row for row in await connection.execute(sa.select(roles.c.id, roles.c.name)) if named in {row.id, row.name}
    ]
    if len(found) != 1:
        how_many = "several roles" if found else "no role"
        raise InvalidPayload(f"There {'are' if found else 'is'} {how_many} `{named}`.", field="role")
    role: str = found[0].id
    return role


async def _any_user(connection: "Connection") -> bool:
    return bool(await connection.execute(sa.select(system.users.c.id).limit(1)))


async def _admin_role(connection: "Connection") -> str | None:
    access, policies = system.access, system.policies
    rows = await connection.execute(
        sa.select(access.c.role)
        .join(policies, access.c.policy == policies.c.id)
        .where(policies.c.admin_access == sa.true(), access.c.role.is_not(None))
    )
    return rows[0].role if rows else None


async def _insert_admin(connection: "Connection", email: str, hashed: str) -> str:
    role = await _admin_role(connection) or await _insert_admin_role(connection)
    return await _insert_user(connection, email, hashed, role, first_name="Admin", last_name="User")


async def _insert_admin_role(connection: "Connection") -> str:
    role, policy = str(uuid4()), str(uuid4())
    await connection.execute(
        system.roles.insert().values(id=role, name="Administrator", icon="verified", description="May do everything.")
    )
    await connection.execute(
        system.policies.insert().values(
            id=policy, name="Administrator", icon="verified", admin_access=True, app_access=True
        )
    )
    await connection.execute(system.access.insert().values(id=str(uuid4()), role=role, policy=policy, sort=1))
    return role


async def _insert_public(connection: "Connection") -> None:
    """The policy of everybody, which permits nothing yet: where applications look for it."""
    access, policies = system.access, system.policies
    everybody = sa.and_(access.c.role.is_(None), access.c.user.is_(None))
    known = sa.select(policies.c.id).where(policies.c.id == PUBLIC_POLICY)
    if await connection.execute(known) or await connection.execute(sa.select(access.c.id).where(everybody)):
        return
    await connection.execute(policies.insert().values(id=PUBLIC_POLICY, name="$t:public_label", icon="public"))
    await connection.execute(access.insert().values(id=str(uuid4()), policy=PUBLIC_POLICY, sort=1))


async def _insert_user(connection: "Connection", email: str, hashed: str, role: str | None, **values: Any) -> str:
    user = str(uuid4())
    await connection.execute(system.users.insert().values(id=user, email=email, password=hashed, role=role, **values))
    return user


async def _update_user(connection: "Connection", user: str, **values: Any) -> None:
    await connection.execute(system.users.update().where(system.users.c.id == user).values(**values))
