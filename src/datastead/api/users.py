"""`/users`: who may come in; and `/users/me`, who is signed in."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from datastead.api.answers import NoContent, data
from datastead.api.body import invalid, keys_of, objects_of, optional_text, read_json, text_of
from datastead.api.export import exported
from datastead.api.items import read_back
from datastead.api.openapi import OBJECT, body_of, json_body
from datastead.api.request import Body, RequestContext, RequestQuery
from datastead.auth import tfa
from datastead.auth.accounts import COLLECTION, Accounts
from datastead.auth.own import own_items
from datastead.context import Context
from datastead.data.batches import batches_of
from datastead.data.items import Items
from datastead.data.query import Query
from datastead.errors import InvalidCredentials

router = APIRouter(prefix="/users", tags=["Users"])

_SEVERAL = {"oneOf": [OBJECT, {"type": "array", "items": OBJECT}]}


@router.get("")
async def read_users(ctx: RequestContext, query: RequestQuery) -> Response:
    """All users."""
    items = Items(ctx, COLLECTION)
    if query.export:
        return await exported(batches_of(ctx, COLLECTION, query), query.export, COLLECTION, ctx.now())
    return data(await items.read(query), await items.meta(query) if query.meta else None)


@router.api_route("", methods=["SEARCH"], include_in_schema=False)
async def search_users(ctx: RequestContext, body: Body) -> Response:
    """The users of a query that is in the body."""
    given = body.get("query", {})
    if not isinstance(given, dict):
        raise invalid("`query` has to be an object.")
    return await read_users(ctx, Query.parse(given, ctx.services.settings))


@router.get("/me")
async def read_me(ctx: RequestContext, query: RequestQuery) -> Response:
    """The signed-in user, as far as the policies let the user see it; the id always."""
    if ctx.actor.user is None:
        raise InvalidCredentials
    return data((await own_items(ctx, COLLECTION, [ctx.actor.user], query))[0])


@router.patch("/me", openapi_extra=json_body(OBJECT))
async def update_me(ctx: RequestContext, body: Body, query: RequestQuery) -> Response:
    """Changes the signed-in user: name, language, look and password, and what the policies permit."""
    if ctx.actor.user is None:
        raise InvalidCredentials
    await Accounts(ctx).update_self(body)
    return await read_me(ctx, query)


@router.patch("/me/track/page", openapi_extra=body_of(last_page={"type": "string"}))
async def track_page(ctx: RequestContext, body: Body) -> Response:
    """Keeps which page of the app the user has seen last, for the next time. No event tells of it."""
    await Accounts(ctx).track_page(text_of(body, "last_page"))
    return NoContent()


@router.post("/me/tfa/generate", openapi_extra=body_of(password={"type": "string"}))
async def generate_tfa(ctx: RequestContext, body: Body) -> Response:
    """A secret for an authenticator app, and the URL of its QR code. It counts when it is enabled."""
    return data(await tfa.generate(ctx, optional_text(body, "password")))


@router.post("/me/tfa/enable", openapi_extra=body_of(secret={"type": "string"}, otp={"type": "string"}))
async def enable_tfa(ctx: RequestContext, body: Body) -> Response:
    """From now on logging in takes a one-time password of the secret, of which `otp` is one."""
    await tfa.enable(ctx, text_of(body, "secret"), text_of(body, "otp"))
    return NoContent()


@router.post("/me/tfa/disable", openapi_extra=body_of(otp={"type": "string"}))
async def disable_tfa(ctx: RequestContext, body: Body) -> Response:
    """Logging in takes a password only."""
    await tfa.disable(ctx, text_of(body, "otp"))
    return NoContent()


@router.get("/{user}")
async def read_user(ctx: RequestContext, user: str, query: RequestQuery) -> Response:
    """One user; password and token are shown as `**********`."""
    return data(await Items(ctx, COLLECTION).read_one(user, query))


@router.post("", openapi_extra=json_body(_SEVERAL))
async def create_users(ctx: RequestContext, request: Request, query: RequestQuery) -> Response:
    """Adds a user, or a list of them."""
    body = await _body(ctx, request)
    if isinstance(body, list):
        keys = await Accounts(ctx).create(objects_of(body))
        return await read_back(Items(ctx, COLLECTION).read_many(keys, query))
    if not isinstance(body, dict):
        raise invalid("The body has to be an object, or a list of objects.")
    (key,) = await Accounts(ctx).create([body])
    return await read_back(Items(ctx, COLLECTION).read_one(key, query))


@router.patch("", openapi_extra=json_body(_SEVERAL))
async def update_users(ctx: RequestContext, request: Request, query: RequestQuery) -> Response:
    """Changes users: a list with an `id` each, or `data` for those of `keys` or `query`."""
    body = await _body(ctx, request)
    accounts = Accounts(ctx)
    if isinstance(body, list):
        keys = await accounts.update_batch(objects_of(body))
    elif isinstance(body, dict) and isinstance(body.get("data"), dict):
        keys = await accounts.update(await _named(ctx, body), body["data"])
    else:
        raise invalid("The body has to be a list of objects with `id`, or an object with `data` and `keys` or `query`.")
    return await read_back(Items(ctx, COLLECTION).read_many(keys, query))


@router.patch("/{user}", openapi_extra=json_body(OBJECT))
async def update_user(ctx: RequestContext, user: str, body: Body, query: RequestQuery) -> Response:
    """Changes a user: within a second everywhere, also for those whose token or status it takes away."""
    await Accounts(ctx).update([user], body)
    return await read_back(Items(ctx, COLLECTION).read_one(user, query))


@router.delete("", openapi_extra=json_body(_SEVERAL))
async def delete_users(ctx: RequestContext, request: Request) -> Response:
    """Removes users: a list of ids, or those of `keys` or `query`."""
    body = await _body(ctx, request)
    await Accounts(ctx).delete(keys_of(body) if isinstance(body, list) else await _named(ctx, body))
    return NoContent()


@router.delete("/{user}")
async def delete_user(ctx: RequestContext, user: str) -> Response:
    """Removes a user. The last administrator cannot be removed."""
    await Accounts(ctx).delete([user])
    return NoContent()


async def _body(ctx: Context, request: Request) -> Any:
    return await read_json(request, max_size=ctx.services.settings.max_payload_size)


async def _named(ctx: Context, body: Any) -> list[Any]:
    """The users that a body means by `keys` or `query`."""
    if isinstance(body, dict) and "keys" in body:
        return keys_of(body["keys"])
    if not isinstance(body, dict) or not isinstance(body.get("query"), dict):
        raise invalid("`keys` (a list) or `query` (an object) has to say which users.")
    return await Accounts(ctx).keys(Query.parse(body["query"], ctx.services.settings))
