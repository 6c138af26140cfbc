"""The composition root: settings in, open services out. Knows every part but the server's routes.

A command of the CLI has all it needs here, and does not wait for FastAPI to be loaded.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from datastead.ai.alarms import announce
from datastead.ai.configuration import Configuration
from datastead.ai.engine import AI
from datastead.auth import rules
from datastead.auth.openid import Providers
from datastead.auth.password_policy import check_password
from datastead.auth.passwords import hash_password
from datastead.auth.users import NewUser, ensure_admin
from datastead.context import Clock, Services, system_clock
from datastead.data import notices, workspace
from datastead.data.engine import Database
from datastead.data.history import ACTIVITY, REVISIONS, refuse_changes
from datastead.data.migrations import migrate
from datastead.data.retention import Retention
from datastead.data.schema import Schemas
from datastead.data.signals import Signals
from datastead.events import Bus
from datastead.extensions import Registry
from datastead.files.guard import COLLECTION as FILES
from datastead.files.guard import guard
from datastead.files.source import FilesAsSource
from datastead.files.store import FileStore
from datastead.flows.service import Flows
from datastead.mail import Mailer
from datastead.realtime.hub import Realtime
from datastead.settings import Settings

if TYPE_CHECKING:
    from datastead.ai.metrics import Metrics
    from datastead.ai.observers import Observer

log = logging.getLogger(__name__)

SHORT_SECRET = 32  # characters


@asynccontextmanager
async def open_services(
    settings: Settings, *, clock: Clock = system_clock, registry: Registry | None = None, dispatch: bool = True
) -> AsyncIterator[tuple[Services, NewUser | None]]:
    """What a process has one of, open; and the first administrator where this start has made one.

    dispatch: whether runs of flows are carried out here; not by a command that ends at once.
    """
    secret = settings.secret.get_secret_value()
    if len(secret) < SHORT_SECRET:
        log.warning("`SECRET` has fewer than %s characters: tokens signed with it can be guessed.", SHORT_SECRET)
    registry = registry or Registry.discover(settings.extensions_folder)
    async with AsyncExitStack() as stack:
        database = Database.open(settings.database, read_timeout_s=settings.query_timeout)
        stack.push_async_callback(database.close)
        await database.start()
        await migrate(database)
        first_admin = await ensure_admin(database, settings)
        bus, schemas, signals = Bus(), Schemas(database), Signals(database)
        metrics, observers = _observers(settings, stack)
        ai = AI(settings, database=database, registry=registry, files=FilesAsSource(), clock=clock, observers=observers)
        flows = Flows(settings, registry, database, schemas, bus, clock)
        configuration = Configuration(settings, database, ai)
        files, mailer = FileStore(settings, registry, database, clock), Mailer(settings)
        bus.on_guard(FILES, guard)
        rules.install(bus)
        realtime = Realtime(database, bus, signals, clock) if settings.websockets_enabled else None
        workspace.install(bus)
        notices.install(bus)
        for kept in (ACTIVITY, REVISIONS):
            bus.on_guard(kept, refuse_changes)
        services = Services(
            settings,
            registry,
            database,
            schemas,
            bus,
            ai,
            flows,
            clock,
            hash_password,
            check_password,
            mailer,
            Providers(settings),
            configuration=configuration,
            metrics=metrics,
            files=files,
            realtime=realtime,
        )
        ai.on_budget_warning(partial(announce, services))
        stack.push_async_callback(mailer.close)
        await files.start()
        stack.push_async_callback(files.close)
        await ai.start()
        stack.push_async_callback(ai.close)
        await configuration.start()
        stack.push_async_callback(configuration.close)
        if realtime is not None:
            stack.push_async_callback(realtime.stop)
        signals.on("schema", schemas.look_again)
        signals.on("flows", flows.look_again)
        await flows.start(services, dispatch=dispatch)
        stack.push_async_callback(flows.stop)
        if dispatch:
            signals.start()
            stack.push_async_callback(signals.stop)
            retention = Retention(services)
            retention.start()
            stack.push_async_callback(retention.stop)
        yield services, first_admin


def _observers(settings: Settings, stack: AsyncExitStack) -> "tuple[Metrics | None, list[Observer]]":
    """Who watches model calls here; their packages are loaded only where they are switched on."""
    metrics, observers = None, list["Observer"]()
    if settings.metrics_enabled:
        from datastead.ai.metrics import Metrics as Counted

        metrics = Counted()
        observers.append(metrics)
    if settings.otel_enabled:
        from datastead.ai.tracing import Tracing, exporting

        stack.enter_context(exporting())
        observers.append(Tracing(record=settings.ai_record_io))
    return metrics, observers
