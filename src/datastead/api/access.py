"""`/roles`, `/policies`, `/permissions`, `/access`: who may do what; and what that comes to for the caller."""

from starlette.responses import Response
from starlette.routing import Route

from datastead.api.answers import data
from datastead.api.items import Call, Endpoint, system_routes
from datastead.auth.own import own_globals, own_items, own_permissions, own_permissions_in
from datastead.errors import InvalidCredentials

ROLES, POLICIES, PERMISSIONS = "directus_roles", "directus_policies", "directus_permissions"


async def read_my_roles(call: Call) -> Response:
    """The role and its ancestors, as far as the policies let the caller see them; the ids always."""
    if call.ctx.actor.user is None:
        raise InvalidCredentials
    return data(await own_items(call.ctx, ROLES, call.ctx.actor.roles, call.query))


async def read_my_globals(call: Call) -> Response:
    return data(await own_globals(call.ctx))


async def read_my_permissions(call: Call) -> Response:
    return data(await own_permissions(call.ctx))


async def read_my_permissions_in(call: Call) -> Response:
    named = call.request.path_params
    return data(await own_permissions_in(call.ctx, named["collection"], named.get("key")))


routes = [
    Route("/roles/me", Endpoint(ROLES, GET=read_my_roles), methods=["GET"]),
    Route("/policies/me/globals", Endpoint(POLICIES, GET=read_my_globals), methods=["GET"]),
    Route("/permissions/me", Endpoint(PERMISSIONS, GET=read_my_permissions), methods=["GET"]),
    Route("/permissions/me/{collection}", Endpoint(PERMISSIONS, GET=read_my_permissions_in), methods=["GET"]),
    Route("/permissions/me/{collection}/{key}", Endpoint(PERMISSIONS, GET=read_my_permissions_in), methods=["GET"]),
    *system_routes("/roles", ROLES),
    *system_routes("/policies", POLICIES),
    *system_routes("/permissions", PERMISSIONS),
    *system_routes("/access", "directus_access"),
]
