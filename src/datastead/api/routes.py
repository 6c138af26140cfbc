"""All routes on one app: the hot ones first, as plain ASGI, then the typed ones."""

from fastapi import FastAPI

from datastead.api import (
    access,
    accounts,
    ai_models,
    assets,
    auth,
    budgets,
    collections,
    fields,
    files,
    flows,
    gateway,
    graphql_routes,
    history,
    items,
    metrics,
    operations,
    relations,
    schema,
    server,
    settings,
    shares,
    sso,
    transfer,
    tus,
    usage,
    users,
    utilities,
    versions,
    workspace,
)
from datastead.api.errors import Edge, install_error_handlers
from datastead.api.openapi import install_reference
from datastead.settings import Settings

TYPED = (
    server,
    auth,
    sso,
    accounts,
    users,
    settings,
    shares,
    collections,
    fields,
    relations,
    schema,
    utilities,
    transfer,
    flows,
    operations,
    ai_models,
    budgets,
    usage,
)


def install_routes(app: FastAPI, settings: Settings) -> None:
    """Everything that is served over HTTP and WebSockets."""
    app.router.routes.extend(
        [
            *items.routes,
            *flows.routes,
            *access.routes,
            *versions.routes,
            *workspace.routes,
            *tus.routes,
            *history.routes,
            *files.routes,
            *assets.routes,
            *gateway.routes,
            *metrics.routes,
            *graphql_routes.routes,
        ]
    )
    for resource in TYPED:
        app.include_router(resource.router)
    if settings.websockets_enabled:
        from datastead.api.realtime.routes import realtime_routes

        app.router.routes.extend(realtime_routes(app, settings))
    install_reference(app, settings.root_redirect)
    install_error_handlers(app)
    app.add_middleware(Edge)
