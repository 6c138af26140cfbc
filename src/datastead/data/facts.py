"""What permissions ask of the one who acts: `$CURRENT_USER.<path>`, `$CURRENT_ROLE.<path>`, read once an identity."""

import logging
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import sqlalchemy as sa

from datastead.context import SYSTEM, Context
from datastead.data.filters import FACTS
from datastead.data.permissions import Action, permitted
from datastead.data.query import Query
from datastead.data.reading import Reader
from datastead.data.schema import Schema
from datastead.data.wire import CONCEALED
from datastead.errors import RequestError, ServiceUnavailable

log = logging.getLogger(__name__)

COLLECTIONS = {"$CURRENT_USER": "directus_users", "$CURRENT_ROLE": "directus_roles"}


async def learn(ctx: Context, schema: Schema) -> None:
    """Reads what the actor's policies ask of it, unless that is known. What cannot be read is None."""
    actor = ctx.actor
    for name in _asked(ctx, schema) - actor.facts.keys():
        actor.facts[name] = await _value(ctx, schema, name)


def facts_in(raw: Any) -> Iterator[str]:
    """The variables of this kind that a filter, or presets, mention."""
    if isinstance(raw, str):
        if raw.startswith(FACTS):
            yield raw
    elif isinstance(raw, Mapping):
        for value in raw.values():
            yield from facts_in(value)
    elif isinstance(raw, list):
        for value in raw:
            yield from facts_in(value)


def place_of(name: str) -> tuple[str, str]:
    """The collection that a variable asks, and the path in it."""
    variable, _, path = name.partition(".")
    return COLLECTIONS[variable], path


def _asked(ctx: Context, schema: Schema) -> frozenset[str]:
    """Kept with the schema: few policies ask for any."""
    actor = ctx.actor
    key = ("facts", actor.policies, actor.share, schema.policies.public_at(actor.ip))
    found: frozenset[str] | None = schema.plans.get(key)
    if found is not None:
        return found
    names = frozenset(
        name
        for action in get_args(Action)
        for permissions in permitted(schema, actor, action).values()
        for each in permissions
        for name in facts_in([each.permissions, each.validation, each.presets])
    )
    schema.plans.put(key, names)
    return names


async def _value(ctx: Context, schema: Schema, name: str) -> Any:
    collection, path = place_of(name)
    key = ctx.actor.user if collection == COLLECTIONS["$CURRENT_USER"] else ctx.actor.role
    if key is None:
        return None
    reader = Reader(ctx.acting_as(SYSTEM), schema, schema.collection(collection))
    try:
        rows = await reader.read_keys([key], Query(fields=(path,), limit=-1))
    except RequestError as error:
        log.warning("A policy asks for `%s`, which cannot be read: %s", name, error.message)
        return None
    except sa.exc.DBAPIError as error:
        ctx.services.schemas.forget()
        raise ServiceUnavailable("The schema has just been changed: try again.") from error
    return _at(rows[0], path.split(".")) if rows else None


def _at(value: Any, path: list[str]) -> Any:
    """The value at a path; through to-many fields, the list of all. What is concealed is not there."""
    if isinstance(value, list):
        found = [_at(entry, path) for entry in value]
        return [one for each in found if each is not None for one in (each if isinstance(each, list) else [each])]
    if not path or value is None:
        return None if value == CONCEALED else value
    return _at(value.get(path[0]), path[1:]) if isinstance(value, Mapping) else None
