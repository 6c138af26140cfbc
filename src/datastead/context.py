"""`Context`: one a unit of work (a request, a step of a run), passed in, never found. And `Actor`: who acts."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from datastead.errors import ServiceUnavailable

if TYPE_CHECKING:
    from datastead.ai.configuration import Configuration
    from datastead.ai.engine import AI
    from datastead.ai.metrics import Metrics
    from datastead.auth.openid import Providers
    from datastead.data.engine import Connection, Database
    from datastead.data.schema import Permission, Schemas
    from datastead.events import Bus
    from datastead.extensions import Registry
    from datastead.files.store import FileStore
    from datastead.flows.service import Flows
    from datastead.mail import Mailer
    from datastead.realtime.hub import Realtime
    from datastead.settings import Settings

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """Now, as aware UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. user, role: ids in `directus_users` and `directus_roles`; roles: the role and its ancestors.

    policies: the ids of those that apply to the user, beside those of the public.

    ip, user_agent, origin: of the request, where there is one; origin is the page that sent it.

    lacks_tfa: the policies ask for a second factor, which the user has yet to set up: until then they grant nothing.

    share: the id of a share, for whoever has its link: `grants` is all that such an actor may do.

    token: a fingerprint of the static token that was shown, never the token; None for any other way to sign in.

    facts: what permissions have asked of the actor so far, such as `$CURRENT_USER.title`; all who act by one identity
    share it.
    """

    user: str | None = None
    role: str | None = None
    roles: tuple[str, ...] = ()
    is_admin: bool = False
    has_app_access: bool = False
    ip: str | None = None
    user_agent: str | None = None
    origin: str | None = None
    token: str | None = None
    policies: tuple[str, ...] = ()
    lacks_tfa: bool = False
    share: str | None = None
    grants: "tuple[Permission, ...]" = field(default=(), compare=False, repr=False)
    facts: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def fingerprint(self) -> str:
        """All that permissions depend on: two actors that differ in it share no kept answer.

        Whoever makes permissions depend on more than this (an address, say) adds it here.
        """
        about = (self.user, self.role, self.roles, self.is_admin, self.has_app_access, self.token, self.share)
        address = None if self.share is None else self.ip  # whose policies count elsewhere is not among `policies`
        return repr((*about, tuple(sorted(self.policies)), address))


PUBLIC = Actor()
SYSTEM = Actor(is_admin=True, has_app_access=True)


@dataclass(slots=True)
class Services:
    """What a process has one of. Made and wired in `app.py`; everything else is given it."""

    settings: "Settings"
    registry: "Registry"
    database: "Database"
    schemas: "Schemas"
    bus: "Bus"
    ai: "AI"
    flows: "Flows"
    clock: Clock = system_clock
    hash_password: Callable[[str], Awaitable[str]] | None = None
    check_password: "Callable[[Context, str], Awaitable[None]] | None" = None
    mail: "Mailer | None" = None
    openid: "Providers | None" = None
    configuration: "Configuration | None" = None
    metrics: "Metrics | None" = None
    files: "FileStore | None" = None
    realtime: "Realtime | None" = None

    @property
    def providers(self) -> "Providers":
        """Raises `ServiceUnavailable` where nobody else signs users in."""
        if self.openid is None:
            raise ServiceUnavailable("Nobody can sign in by a provider here.")
        return self.openid

    @property
    def mailer(self) -> "Mailer":
        """Raises `ServiceUnavailable` where nothing sends mail."""
        if self.mail is None:
            raise ServiceUnavailable("No mail can be sent here.")
        return self.mail


@dataclass(frozen=True, slots=True)
class Context:
    """A unit of work.

    depth: how many flows caused one another up to here; the engine refuses more than `FLOWS_MAX_DEPTH`.
    flow, run, step: ids, where the work is part of a flow's run. step: `<run>:<position>`, unique.
    collection, item, field: what the work is about, where it is about one. thread: the chat that it is part of.
    connection: the open transaction, when inside one.
    """

    services: Services
    actor: Actor = PUBLIC
    request_id: str = field(default_factory=lambda: str(uuid4()))
    depth: int = 0
    flow: str | None = None
    run: str | None = None
    step: str | None = None
    collection: str | None = None
    item: str | None = None
    field: str | None = None
    thread: str | None = None
    connection: "Connection | None" = None

    def now(self) -> datetime:
        """Now, as aware UTC, by the services' clock."""
        return self.services.clock()

    def acting_as(self, actor: Actor) -> Self:
        """The same work, done by another actor."""
        return replace(self, actor=actor)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Self]:
        """The same work inside a transaction: the open one, or a new one that commits when the block ends well."""
        if self.connection is not None:
            yield self
            return
        async with self.services.database.transaction() as connection:
            yield replace(self, connection=connection)
