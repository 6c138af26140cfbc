"""`/server/*`: is it there, what is it, and is it well."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

import datastead
from datastead.api.answers import Json, data
from datastead.api.request import RequestContext
from datastead.context import SYSTEM, Context
from datastead.data.project import COLLECTION, COLOR, NAME, ProjectSettings
from datastead.data.query import Query
from datastead.health import Check, Health
from datastead.settings import Settings

router = APIRouter(prefix="/server", tags=["Server"])

PROJECT = {
    "project_name": NAME,
    "project_color": COLOR,
    "default_appearance": "auto",
    "default_language": "en-US",
    "public_registration": False,
    "public_registration_verify_email": True,
    **dict.fromkeys((
        "project_descriptor", "project_logo", "default_theme_light", "default_theme_dark", "theme_light_overrides",
        "theme_dark_overrides", "public_foreground", "public_favicon", "public_note", "custom_css", "public_background",
    )),
}  # fmt: skip
"""What `/server/info` says of the project, with what counts where the settings say nothing."""

CLIENTS = {"postgresql": "pg", "sqlite": "sqlite3", "mariadb": "mysql"}
COMPONENTS = {"database": "datastore", "storage": "objectstore", "mail": "email"}
"""What the contract calls a database, and what was checked."""


@router.get("/ping", response_class=HTMLResponse)
async def ping() -> Response:
    """Answers `pong`."""
    return HTMLResponse("pong")


@router.get("/info")
async def info(ctx: RequestContext) -> Response:
    """What the project is called; for those who are signed in also what is switched on."""
    return data(await info_of(ctx))


async def info_of(ctx: Context) -> dict[str, Any]:
    """What the project is called; for those who are signed in also what is switched on."""
    found: dict[str, Any] = {"project": await _project(ctx), "setupCompleted": True}
    if ctx.actor.user is not None:
        settings = ctx.services.settings
        found |= {
            "mcp_enabled": False,
            "ai_enabled": settings.ai_enabled,
            **({"ai_providers": ctx.services.ai.providers()} if settings.ai_enabled else {}),
            "mcp_oauth_enabled": False,
            "mcp_oauth_dcr_enabled": False,
            "mcp_oauth_cimd_enabled": False,
            "files": {"mimeTypeAllowList": settings.files_mime_type_allow_list},
            "rateLimit": _limit(settings, "rate_limiter"),
            "rateLimitGlobal": _limit(settings, "rate_limiter_global"),
            "extensions": {"limit": None},
            "queryLimit": {"default": settings.query_limit_default, "max": settings.query_limit_max},
            "websocket": _websocket(settings),
            **({"uploads": {"chunkSize": settings.tus_chunk_size}} if settings.tus_enabled else {}),
            "version": datastead.__version__,
        }
    return found


@router.get("/health")
async def health(request: Request, ctx: RequestContext) -> Response:
    """Whether the database, the storages and mail are well. Administrators see what was checked; 503 for an error."""
    found = await health_of(ctx, request.app.state.health)
    answer = Json(found, 503 if found["status"] == "error" else 200)
    answer.raw_headers[0] = (b"content-type", b"application/health+json; charset=utf-8")
    return answer


async def health_of(ctx: Context, health: Health) -> dict[str, Any]:
    """`{status}`; for administrators also what was checked."""
    report = await health.report()
    found: dict[str, Any] = {"status": report.status}
    if ctx.actor.is_admin:
        service = ctx.services.settings.public_url
        checks = {_name_of(check): [_shown(check)] for check in report.checks}
        found |= {"releaseId": datastead.__version__, "serviceId": service, "checks": checks}
    return found


def _name_of(check: Check) -> str:
    if check.part == "mail":
        return "email:connection"
    return f"{CLIENTS[check.name] if check.part == 'database' else f'storage:{check.name}'}:responseTime"


def _shown(check: Check) -> dict[str, Any]:
    found = {"status": check.status, "componentType": COMPONENTS[check.part]}
    if check.threshold_ms is None:
        return found
    return {**found, "observedUnit": "ms", "observedValue": check.took_ms, "threshold": check.threshold_ms}


def _websocket(settings: Settings) -> Any:
    """How clients may connect; False where they may not."""
    if not settings.websockets_enabled:
        return False
    rest = {"authentication": settings.websockets_rest_auth, "path": settings.websockets_rest_path}
    graphql = {"authentication": settings.websockets_graphql_auth, "path": settings.websockets_graphql_path}
    beats = settings.websockets_heartbeat_enabled
    return {
        "rest": rest if settings.websockets_rest_enabled else False,
        "graphql": graphql if settings.websockets_graphql_enabled else False,
        "heartbeat": settings.websockets_heartbeat_period if beats else False,
    }


def _limit(settings: Settings, of: str) -> dict[str, Any] | bool:
    """`{points, duration}` of a rate limit, or False where there is none."""
    known = settings.model_dump(include={f"{of}_{name}" for name in ("enabled", "points", "duration")})
    return {name: known[f"{of}_{name}"] for name in ("points", "duration")} if known[f"{of}_enabled"] else False


async def _project(ctx: Context) -> dict[str, Any]:
    """The project's look, of which everybody may know."""
    columns = (await ctx.services.schemas.get()).collection(COLLECTION).columns
    query = Query(fields=tuple(name for name in PROJECT if name in columns))
    row = await ProjectSettings(ctx.acting_as(SYSTEM)).read(query)
    return {name: row[name] if row.get(name) is not None else default for name, default in PROJECT.items()}
