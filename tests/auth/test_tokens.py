"""Whom a token stands for, as the database changes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import sqlalchemy as sa

from datastead.auth.tokens import Authenticator, issue_access_token
from datastead.auth.users import create_user, ensure_admin, new_token
from datastead.context import Actor, Services
from datastead.data import system
from datastead.data.engine import Database
from datastead.data.migrations import migrate
from datastead.data.schema import Schemas
from datastead.errors import InvalidCredentials, InvalidIp
from datastead.events import Bus
from datastead.extensions import Registry
from datastead.settings import Settings

EMAIL = "ann@example.com"


class House:
    """Services on an empty database in memory, with a clock that stands still until it is moved."""

    def __init__(self, database: Database) -> None:
        self.now = datetime(2026, 11, 23, tzinfo=UTC)
        self.database = database
        nobody: Any = None  # neither models nor flows take part
        self.services = Services(
            Settings(), Registry(), database, Schemas(database), Bus(), nobody, nobody, lambda: self.now
        )
        self.authenticator = Authenticator(self.services)

    async def write(self, *statements: sa.Executable) -> None:
        async with self.database.transaction() as connection:
            for statement in statements:
                await connection.execute(statement)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    database = Database.open("sqlite://")
    await database.start()
    await migrate(database)
    yield House(database)
    await database.close()


async def test_a_token_that_was_changed_is_of_no_use_a_second_later(house: House) -> None:
    await create_user(house.database, EMAIL, admin=True)
    token = await new_token(house.database, EMAIL)
    assert (await house.authenticator.actor(token)).is_admin
    changed = await new_token(house.database, EMAIL)
    assert (await house.authenticator.actor(changed)).is_admin
    house.now += timedelta(seconds=1)
    with pytest.raises(InvalidCredentials):
        await house.authenticator.actor(token)


async def test_a_right_that_was_taken_away_is_gone_a_second_later(house: House) -> None:
    await create_user(house.database, EMAIL, admin=True)
    token = await new_token(house.database, EMAIL)
    assert (await house.authenticator.actor(token)).is_admin
    await house.write(sa.update(system.policies).values(admin_access=False))
    house.now += timedelta(seconds=1)
    assert not (await house.authenticator.actor(token)).is_admin


async def test_a_suspended_user_looks_like_an_unknown_one(house: House) -> None:
    await create_user(house.database, EMAIL)
    token = await new_token(house.database, EMAIL)
    await house.write(sa.update(system.users).values(status="suspended"))
    with pytest.raises(InvalidCredentials):
        await house.authenticator.actor(token)


async def test_rights_come_from_the_roles_above_too(house: House) -> None:
    await create_user(house.database, "root@example.com", admin=True)
    await create_user(house.database, EMAIL)
    token = await new_token(house.database, EMAIL)
    async with house.database.transaction() as connection:
        (admins,) = await connection.execute(sa.select(system.roles.c.id))
    child, grandchild = str(uuid4()), str(uuid4())
    await house.write(
        sa.insert(system.roles).values(id=child, name="child", parent=admins.id),
        sa.insert(system.roles).values(id=grandchild, name="grandchild", parent=child),
        sa.update(system.users).where(system.users.c.email == EMAIL).values(role=grandchild),
    )
    actor = await house.authenticator.actor(token)
    assert actor.is_admin
    assert actor.roles == (grandchild, child, admins.id)


async def test_roles_in_a_circle_have_an_end(house: House) -> None:
    await create_user(house.database, EMAIL)
    token = await new_token(house.database, EMAIL)
    one, two = str(uuid4()), str(uuid4())
    await house.write(
        sa.insert(system.roles).values(id=one, name="one", parent=two),
        sa.insert(system.roles).values(id=two, name="two", parent=one),
        sa.update(system.users).values(role=one),
    )
    assert (await house.authenticator.actor(token)).roles == (one, two)


@pytest.mark.parametrize(
    ("ip_access", "ip", "is_admin"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("192.0.2.7,10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1-10.0.0.9", "10.0.0.5", True),
        ("10.0.0.1-10.0.0.9", "10.0.0.10", False),
        ("nonsense", "10.0.0.1", False),
        ("10.0.0.0/8", None, False),
        ("2001:db8::/32", "2001:db8::1", True),
    ],
)
async def test_a_policy_counts_only_from_its_addresses(
    house: House, ip_access: str, ip: str | None, is_admin: bool
) -> None:
    await create_user(house.database, EMAIL, admin=True)
    token = await new_token(house.database, EMAIL)
    await house.write(sa.update(system.policies).values(ip_access=ip_access))
    assert (await _is_admin(house, token, ip)) is is_admin


async def _is_admin(house: House, token: str, ip: str | None) -> bool:
    try:
        return (await house.authenticator.actor(token, ip)).is_admin
    except InvalidIp:  # none of the policies is for the address
        return False


async def test_two_first_starts_at_once_make_one_administrator(house: House) -> None:
    made = await asyncio.gather(*(ensure_admin(house.database, Settings()) for _ in range(3)))
    assert len([user for user in made if user is not None]) == 1


async def test_a_database_with_users_gets_no_administrator(house: House) -> None:
    await create_user(house.database, EMAIL)
    assert await ensure_admin(house.database, Settings()) is None
    assert await ensure_admin(house.database, Settings(admin_token="x")) is None
    with pytest.raises(InvalidCredentials):
        await house.authenticator.actor("x")


async def test_a_share_shows_what_its_role_and_its_sharer_may_see_from_where_it_is_opened(house: House) -> None:
    sharer = (await create_user(house.database, EMAIL)).id
    role, share, theirs, its = (str(uuid4()) for _ in range(4))
    await house.database.alter(lambda inside: inside.execute(sa.text("CREATE TABLE notes (id INTEGER PRIMARY KEY)")))
    await house.write(
        sa.text("INSERT INTO notes VALUES (1)"),
        sa.insert(system.roles).values(id=role, name="guests"),
        *(
            statement
            for policy, networks, owner in ((theirs, "10.0.0.0/8", {"user": sharer}), (its, "10.1.0.0/16", {"role": role}))
            for statement in (
                sa.insert(system.policies).values(id=policy, name="x", ip_access=networks),
                sa.insert(system.access).values(id=str(uuid4()), policy=policy, **owner),
                sa.insert(system.permissions).values(policy=policy, collection="notes", action="read", fields="*"),
            )
        ),
        sa.insert(system.shares).values(id=share, collection="notes", item="1", role=role, user_created=sharer),
    )  # fmt: skip
    token = issue_access_token(house.services.settings, Actor(share=share), house.now)
    for ip, count in (("10.1.0.1", 1), ("10.2.0.1", 0), ("11.0.0.1", 0), (None, 0), ("10.1.0.1", 1)):
        actor = await house.authenticator.actor(token, ip)
        assert len(actor.grants) == count, ip
    seen = {(await house.authenticator.actor(token, ip)).fingerprint for ip in ("10.1.0.1", "10.2.0.1")}
    assert len(seen) == 2
    house.authenticator.forget(token)
    await house.write(sa.delete(system.shares))
    with pytest.raises(InvalidCredentials):
        await house.authenticator.actor(token, "10.1.0.1")
