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
    return data(await hashed(ctx, body))


@router.post("/hash/verify", openapi_extra=json_body(OBJECT))
async def verify_hash(ctx: RequestContext, body: Body) -> Response:
    """Whether `hash` is one of `string`."""
    return data(await is_hash(ctx, body))


@router.get("/random/string")
async def random_string(ctx: RequestContext, parameters: Parameters) -> Response:
    """A text that nobody can guess, of `length` letters, digits, `-` and `_`."""
    return data(random_text(ctx, parameters.get("length")))


@router.post("/sort/{collection}", openapi_extra=json_body(_MOVE))
async def sort_items(ctx: RequestContext, collection: str, body: Body) -> Response:
    """Puts the item `item` where the item `to` is, in the order that the collection's sort field keeps."""
    await sort(ctx, collection, body)
    return NoContent()


@router.post("/revert/{revision}")
async def revert_item(ctx: RequestContext, revision: str) -> Response:
    """Gives an item the values again that a revision has kept of it."""
    await revert(ctx, revision, WRITERS)
    return NoContent()


@router.post("/cache/clear")
async def clear_cache(ctx: RequestContext) -> Response:
    """Lets go of what this process keeps of the schema; it is read again with the next request."""
    forget_schema(ctx)
    return data(None)


async def hashed(ctx: Context, given: Mapping[str, Any]) -> str:
    """A hash of `string`, for whoever is signed in. Raises `InvalidPayload`, `InvalidCredentials`."""
    _require_user(ctx)
    return await hash_password(_text(given, "string"))


async def is_hash(ctx: Context, given: Mapping[str, Any]) -> bool:
    """Whether `hash` is one of `string`, for whoever is signed in. Raises as `hashed`."""
    _require_user(ctx)
    return await verify_password(_text(given, "hash"), _text(given, "string"))


def random_text(ctx: Context, wanted: Any) -> str:
    """A text of that length, for whoever is signed in. wanted: a number, also as text; None for the usual."""
    _require_user(ctx)
    length = _length(wanted)
    return secrets.token_urlsafe(length)[:length]


async def sort(ctx: Context, collection: str, given: Mapping[str, Any]) -> None:
    """Puts the item `item` where the item `to` is. Raises `InvalidPayload` for what is no key."""
    for name in ("item", "to"):
        if not is_key(given.get(name)):
            raise invalid(f"`{name}` has to be the key of an item.")
    await move(ctx, collection, given["item"], given["to"])


def forget_schema(ctx: Context) -> None:
    """Lets go of what this process keeps of the schema. Raises `Forbidden` for all but administrators."""
    require_admin(ctx.actor)
    ctx.services.schemas.forget()


async def _write_user(ctx: Context, key: Any, changes: Mapping[str, Any]) -> None:
    await Accounts(ctx).update([key], changes)


async def _write_settings(ctx: Context, _: Any, changes: Mapping[str, Any]) -> None:
    await ProjectSettings(ctx).write(changes)


WRITERS: Mapping[str, Write] = {USERS: _write_user, SETTINGS: _write_settings}


def _require_user(ctx: Context) -> None:
    if ctx.actor.user is None and not ctx.actor.is_admin:
        raise InvalidCredentials


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise invalid(f"`{name}` is required, and has to be a text.")
    return value


def _length(value: Any) -> int:
    if value is None or value == "":
        return DEFAULT_LENGTH
    text = str(value)
    length = int(text) if text.isdecimal() and len(text) < 6 else 0
    if not 1 <= length <= LONGEST:
        raise invalid(f"`length` has to be a whole number from 1 to {LONGEST}.")
    return length
