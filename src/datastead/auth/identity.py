"""`Identity`: what the database says of a user: role, the role's ancestors, and the policies that apply."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from datastead.context import Actor
from datastead.data import system
from datastead.data.networks import are_for, networks_of
from datastead.errors import InvalidIp

if TYPE_CHECKING:
    from datastead.data.engine import Database, Transaction
    from datastead.data.schema import Permission

EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,189}")
MAX_ANCESTORS = 100
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Policy:
    """What one policy grants. networks: the addresses it is limited to; empty = all."""

    id: str
    admin_access: bool
    app_access: bool
    networks: tuple[str, ...] = ()
    enforce_tfa: bool = False

    def applies_to(self, ip: str | None) -> bool:
        return are_for(self.networks, ip)


@dataclass(frozen=True, slots=True)
class Identity:
    """A user who may act; or None, a role by itself. roles: the role and its ancestors. facts: see `Actor`.

    share, grants: of whoever has a share's link, who is nobody else.
    has_second_factor: also for those who need none, such as a program with a static token.
    """

    user: str | None
    role: str | None
    roles: tuple[str, ...]
    policies: tuple[Policy, ...]
    has_second_factor: bool = True
    share: str | None = None
    grants: "tuple[Permission, ...]" = field(default=(), compare=False)
    facts: dict[str, Any] = field(default_factory=dict, compare=False)

    def actor(self, ip: str | None = None, user_agent: str | None = None, token: str | None = None) -> Actor:
        """The user, acting from an address. token: the fingerprint of a static token that was shown."""
        policies = [policy for policy in self.policies if policy.applies_to(ip)]
        if not self.has_second_factor and any(policy.enforce_tfa for policy in policies):
            return Actor(self.user, ip=ip, user_agent=user_agent, lacks_tfa=True)
        return Actor(
            user=self.user,
            role=self.role,
            roles=self.roles,
            is_admin=any(policy.admin_access for policy in policies),
            has_app_access=any(policy.admin_access or policy.app_access for policy in policies),
            ip=ip,
            user_agent=user_agent,
            token=token,
            policies=tuple(policy.id for policy in policies),
            share=self.share,
            grants=self.grants,
            facts=self.facts,
        )

    def require_address(self, ip: str | None) -> None:
        """Raises `InvalidIp` where there are policies, and none of them is for the address."""
        if self.policies and ip is not None and not any(policy.applies_to(ip) for policy in self.policies):
            raise InvalidIp


async def identity_of(database: "Database", condition: sa.ColumnElement[bool]) -> Identity | None:
    """The active user for whom the condition (on `directus_users`) holds."""
    return await database.read(_reader(condition))


def _reader(condition: sa.ColumnElement[bool]) -> "Callable[[Transaction], Identity | None]":
    users = system.users
    own = (users.c.id, users.c.role, users.c.tfa_secret, users.c.provider)
    statement = sa.select(*own).where(condition, users.c.status == "active")

    def read(transaction: "Transaction") -> Identity | None:
        row = transaction.execute(statement).first()
        if row is None:
            return None
        roles = _with_ancestors(transaction, row.role)
        has_second_factor = bool(row.tfa_secret) or row.provider != "default"
        return Identity(row.id, row.role, roles, _policies(transaction, row.id, roles), has_second_factor)

    return read


def _with_ancestors(transaction: "Transaction", role: str | None) -> tuple[str, ...]:
    """The role, its parent, and so on: read together, as there are few."""
    if role is None:
        return ()
    rows = transaction.execute(sa.select(system.roles.c.id, system.roles.c.parent)).all()
    parents: dict[str, str | None] = {row.id: row.parent for row in rows}
    found: list[str] = []
    while role is not None and role not in found and len(found) < MAX_ANCESTORS:
        found.append(role)
        role = parents.get(role)
    return tuple(found)


def _policies(transaction: "Transaction", user: str | None, roles: Sequence[str]) -> tuple[Policy, ...]:
    access, policies = system.access, system.policies
    own = access.c.user == user if user is not None else sa.false()
    statement = (
        sa.select(
            policies.c.id, policies.c.admin_access, policies.c.app_access, policies.c.ip_access, policies.c.enforce_tfa
        )
        .join(access, access.c.policy == policies.c.id)
        .where(sa.or_(own, access.c.role.in_(roles)))
    )
    return tuple(
        Policy(
            str(row.id), bool(row.admin_access), bool(row.app_access), networks_of(row.ip_access), bool(row.enforce_tfa)
        )
        for row in transaction.execute(statement).all()
    )


async def actor_of_role(database: "Database", role: str, ip: str | None = None) -> Actor:
    """Whoever has the role, without being a user: with the policies of the role and its ancestors, as far as they are
    for the address.
    """
    if not is_uuid(role):
        return Actor(role=role, roles=(role,))

    def read(transaction: "Transaction") -> Identity:
        roles = _with_ancestors(transaction, role)
        return Identity(None, role, roles, _policies(transaction, None, roles))

    return (await database.read(read)).actor(ip)


def is_uuid(value: object) -> bool:
    """Whether it is text that every database takes for the id of a user, role or policy."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def has_active_admin(transaction: "Transaction") -> bool:
    """Whether anybody is left who may do everything."""
    return bool(active_admins(transaction, limit=1))


def active_admins(transaction: "Transaction", limit: int | None = None) -> set[str]:
    """The ids of the active users who may do everything."""
    users, access, policies = system.users, system.access, system.policies
    granted = transaction.execute(
        sa.select(access.c.user, access.c.role)
        .join(policies, access.c.policy == policies.c.id)
        .where(policies.c.admin_access == sa.true())
    ).all()
    roles = _with_descendants(transaction, {row.role for row in granted if row.role is not None})
    is_admin = sa.or_(users.c.id.in_([row.user for row in granted if row.user]), users.c.role.in_(roles))
    statement = sa.select(users.c.id).where(users.c.status == "active", is_admin).limit(limit)
    return {row.id for row in transaction.execute(statement).all()}


def _with_descendants(transaction: "Transaction", roles: set[str]) -> set[str]:
    rows = transaction.execute(sa.select(system.roles.c.id, system.roles.c.parent)).all()
    found, size = set(roles), -1
    while len(found) != size:
        size = len(found)
        found |= {row.id for row in rows if row.parent in found}
    return found
