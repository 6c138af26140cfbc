"""The server: settings in, an ASGI app out. Known only by testing, cli and ASGI servers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.middleware.cors import CORSMiddleware

from datastead.api import tus
from datastead.api.rate_limits import RateLimits
from datastead.api.routes import install_routes
from datastead.auth.tokens import Authenticator
from datastead.context import Clock, system_clock
from datastead.extensions import Registry
from datastead.health import Health
from datastead.services import open_services
from datastead.settings import Settings, load_settings

RATE_LIMIT_HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")
NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
"""FastAPI's own, which looks at the environment with every request."""


def create_app(
    settings: Settings | None = None, *, clock: Clock = system_clock, registry: Registry | None = None
) -> FastAPI:
    """The server. Nothing is opened before its lifespan begins.

    `app.state.services` is there within the lifespan; `app.state.first_admin` is the administrator that a first start
    has made, with the password if it was made up.
    """
    settings = settings or load_settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings, clock=clock, registry=registry) as (services, first_admin):
            app.state.services = services
            app.state.authenticator = Authenticator(services)
            app.state.health = Health(services.database, services.files, services.mailer)
            app.state.first_admin = first_admin
            yield

    app = FastAPI(
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=NO_TELEMETRY,
    )
    install_routes(app, settings)
    if settings.rate_limiter_enabled or settings.rate_limiter_global_enabled:
        app.add_middleware(RateLimits, settings)
    if settings.cors_enabled:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origin,
            allow_credentials=settings.cors_credentials,
            allow_methods=["GET", "POST", "PATCH", "DELETE", "SEARCH"],
            allow_headers=["Content-Type", "Authorization", *tus.SENT],
            expose_headers=[
                "Content-Range",
                "X-Datastead-Call",
                "X-Datastead-Cost",
                "X-Request-Id",
                "Retry-After",
                *RATE_LIMIT_HEADERS,
                *tus.ANSWERED,
            ],
            max_age=18_000,
        )
    return app
