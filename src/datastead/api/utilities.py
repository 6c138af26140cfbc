"""`/utils`: small services: hashes, random texts, the order of items, and what is kept in memory let go."""

import secrets
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from datastead.api.answers import NoContent, data
from datastead.api.body import invalid
from datastead.api.openapi import OBJECT, json_body
from datastead.api.request import Body, Parameters, RequestContext
from datastead.auth.accounts import COLLECTION as USERS
from datastead.auth.accounts import Accounts
from datastead.auth.passwords import hash_password, verify_password
from datastead.context import Context
from datastead.data.nesting import is_key
from datastead.data.permissions import require_admin
from datastead.data.project import COLLECTION as SETTINGS
from datastead.data.project import ProjectSettings
from datastead.data.reverting import Write, revert
from datastead.data.sorting import move
from datastead.errors import InvalidCredentials

router = APIRouter(prefix="/utils", tags=["Utilities"])

LONGEST = 500
DEFAULT_LENGTH = 32
_KEY = {"type": ["string", "integer"]}
_MOVE = {"type": "object", "required": ["item", "to"], "properties": {"item": _KEY, "to": _KEY}}


@router.post("/hash/generate", openapi_extra=json_body(OBJECT))
async def generate_hash(ctx: RequestContext, body: Body) -> Response:
    """An argon2 hash of `string`."""
    _require_user(ctx)
    return data(await hash_password(_text(body, "string")))


@router.post("/hash/verify", openapi_extra=json_body(OBJECT))
async def verify_hash(ctx: RequestContext, body: Body) -> Response:
    """Whether `hash` is one of `string`."""
    _require_user(ctx)
    return data(await verify_password(_text(body, "hash"), _text(body, "string")))


@router.get("/random/string")
async def random_string(ctx: RequestContext, parameters: Parameters) -> Response:
    """A text that nobody can guess, of `length` letters, digits, `-` and `_`."""
    _require_user(ctx)
    length = _length(parameters.get("length"))
    return data(secrets.token_urlsafe(length)[:length])


@router.post("/sort/{collection}", openapi_extra=json_body(_MOVE))
async def sort_items(ctx: RequestContext, collection: str, body: Body) -> Response:
    """Puts the item `item` where the item `to` is, in the order that the collection's sort field keeps."""
    for name in ("item", "to"):
        if not is_key(body.get(name)):
            raise invalid(f"`{name}` has to be the key of an item.")
    await move(ctx, collection, body["item"], body["to"])
    return NoContent()


@router.post("/revert/{revision}")
async def revert_item(ctx: RequestContext, revision: str) -> Response:
    """Gives an item the values again that a revision has kept of it."""
    await revert(ctx, revision, WRITERS)
    return NoContent()


@router.post("/cache/clear")
async def clear_cache(ctx: RequestContext) -> Response:
    """Lets go of what this process keeps of the schema; it is read again with the next request."""
    require_admin(ctx.actor)
    ctx.services.schemas.forget()
    return data(None)


async def _write_user(ctx: Context, key: Any, changes: Mapping[str, Any]) -> None:
    await Accounts(ctx).update([key], changes)


async def _write_settings(ctx: Context, _: Any, changes: Mapping[str, Any]) -> None:
    await ProjectSettings(ctx).write(changes)


WRITERS: Mapping[str, Write] = {USERS: _write_user, SETTINGS: _write_settings}


def _require_user(ctx: Context) -> None:
    if ctx.actor.user is None and not ctx.actor.is_admin:
        raise InvalidCredentials


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise invalid(f"`{name}` is required, and has to be a text.")
    return value


def _length(value: Any) -> int:
    if value is None or value == "":
        return DEFAULT_LENGTH
    length = int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 6 else 0
    if not 1 <= length <= LONGEST:
        raise invalid(f"`length` has to be a whole number from 1 to {LONGEST}.")
    return length
