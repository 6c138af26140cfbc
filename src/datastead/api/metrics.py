"""`GET /metrics`: this process's metrics, for Prometheus. Off unless `METRICS_ENABLED`."""

from hmac import compare_digest

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from datastead.api.answers import error_answer
from datastead.api.errors import route_not_found
from datastead.api.request import context_of, parameters_of, services_of
from datastead.errors import DatasteadError, Forbidden

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SCHEMES = ("metrics", "bearer")


async def metrics(request: Request) -> Response:
    """For those who show one of `METRICS_TOKENS` (as `Metrics <token>` or `Bearer <token>`), and administrators."""
    counted = services_of(request.scope).metrics
    if counted is None:
        return error_answer(route_not_found("/metrics"))
    try:
        if not _has_token(request) and not await _is_admin(request):
            raise Forbidden
    except DatasteadError as error:
        return error_answer(error)
    return Response(counted.exposition(services_of(request.scope).ai.breakers()), media_type=CONTENT_TYPE)


def _has_token(request: Request) -> bool:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    tokens = services_of(request.scope).settings.metrics_tokens
    return scheme.lower() in _SCHEMES and any(
        compare_digest(token.get_secret_value().encode(), given.strip().encode()) for token in tokens
    )


async def _is_admin(request: Request) -> bool:
    return (await context_of(request.scope, parameters_of(request.scope))).actor.is_admin


routes = [Route("/metrics", metrics, methods=["GET"])]
