"""What a permission has to be, checked when it is saved: one that could not be understood would permit nothing."""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, get_args

from datastead.context import SYSTEM, Actor, Context
from datastead.data.evaluation import OPERATORS, failures_of
from datastead.data.facts import facts_in, place_of
from datastead.data.items import Items
from datastead.data.permissions import Action
from datastead.data.query import Query
from datastead.data.reading import Reader
from datastead.data.schema import Collection, Field, Schema
from datastead.errors import Forbidden, InvalidForeignKey, InvalidPayload, RequestError
from datastead.events import Event

COLLECTION = "directus_permissions"
ACTIONS = get_args(Action)
NAMES_SHOWN = 50

Values = Mapping[str, Any]


async def guard_permissions(ctx: Context, event: Event) -> None:
    """Raises `InvalidPayload` and `InvalidForeignKey`, which name the value. In the write's transaction."""
    if event.scope == "items.delete":
        return
    rows: list[dict[str, Any]] = [{}]
    if event.scope == "items.update":
        rows = await Items(ctx.acting_as(SYSTEM), COLLECTION).read_many(event.keys, Query(limit=-1))
    schema = await ctx.services.schemas.get()
    for row in rows:
        await _check(ctx, schema, {**row, **event.payload})


async def _check(ctx: Context, schema: Schema, values: Values) -> None:
    if values.get("action") not in ACTIONS:
        raise _invalid("action", f"`{_short(values.get('action'))}` is none of {', '.join(f'`{a}`' for a in ACTIONS)}")
    name = values.get("collection")
    collection = schema.collections.get(name) if isinstance(name, str) else None
    if collection is None:
        raise _invalid("collection", f"`{_short(name)}` is not a collection")
    await _check_policy(ctx, values.get("policy"))
    _check_fields(collection, values.get("fields"))
    for part, check in (("permissions", _check_rows), ("validation", _check_values), ("presets", _check_presets)):
        given = values.get(part)
        if given is None:
            continue
        if not isinstance(given, Mapping):
            raise _invalid(part, f"`{_short(given)}` is not an object")
        _checked(part, check, ctx, schema, collection, given)
        _check_facts(schema, part, given)


def _checked(part: str, check: Callable[..., None], ctx: Context, *given: Any) -> None:
    try:
        check(ctx, *given)
    except RequestError as error:
        raise _invalid(part, str(error.details.get("reason") or error.message).rstrip(".")) from error


async def _check_policy(ctx: Context, policy: Any) -> None:
    items = Items(ctx.acting_as(SYSTEM), "directus_policies")
    try:
        found = await items.read_many([policy], Query(fields=("id",), limit=-1))
    except Forbidden:
        found = []
    if not found:
        reason = f"There is no policy `{_short(policy)}`"
        raise InvalidForeignKey(
            f"{reason}.", reason=reason, collection=COLLECTION, field="policy", value=_short(policy)
        )


def _check_fields(collection: Collection, given: Any) -> None:
    if given is not None and not (isinstance(given, list) and all(isinstance(name, str) for name in given)):
        raise _invalid("fields", f"`{_short(given)}` is not a list of names")
    for name in given or ():
        if name != "*":
            _check_name(collection, name, "fields")


def _check_name(collection: Collection, name: Any, part: str) -> None:
    if name not in collection.named:
        known = ", ".join(f"`{field}`" for field in list(collection.named)[:NAMES_SHOWN])
        raise _invalid(part, f"`{_short(name)}` is not a field of `{collection.name}`, whose fields are {known}")


def _check_rows(ctx: Context, schema: Schema, collection: Collection, given: Values) -> None:
    """A filter of rows is one that a query can have, tried without being run."""
    Reader(ctx.acting_as(SYSTEM), schema, collection).check_filter(given, defaultdict(lambda: None))


def _check_values(ctx: Context, _: Schema, collection: Collection, given: Values) -> None:
    """A rule for values is one that can be tried on an item without any."""
    _check_rule(collection, given, None)
    actor = Actor(facts=defaultdict(str))
    failures_of(ctx.acting_as(actor), given, {})


def _check_rule(collection: Collection, rule: Any, field: str | None) -> None:
    if not isinstance(rule, Mapping):
        raise _invalid("validation", f"`{_short(rule)}` is not an object")
    for key, value in rule.items():
        if key in {"_and", "_or"}:
            if not isinstance(value, list):
                raise _invalid("validation", f"`{key}` needs a list of filters, not `{_short(value)}`")
            for part in value:
                _check_rule(collection, part, field)
        elif field is None:
            _check_name(collection, key, "validation")
            if isinstance(value, Mapping):
                _check_rule(collection, value, key)
        elif key.startswith("_") and key not in OPERATORS:
            raise _invalid("validation", f"`{_short(key)}` of `{field}` is not an operator")
        elif key == "_regex":
            _check_expression(value)


def _check_expression(value: Any) -> None:
    try:
        re.compile(str(value))
    except re.error as error:
        raise _invalid("validation", f"`{_short(value)}` is not a regular expression: {error}") from None


def _check_presets(_ctx: Context, _schema: Schema, collection: Collection, given: Values) -> None:
    for name in given:
        _check_name(collection, name, "presets")


def _check_facts(schema: Schema, part: str, given: Values) -> None:
    """What is asked of the user or role is there, and is not concealed."""
    for name in facts_in(given):
        collection, path = place_of(name)
        try:
            for step in path.split("."):
                item = schema.collection(collection).field(step)
                if item.is_concealed:
                    raise _invalid(part, f"`{_short(name)}` is never shown")
                collection = _end_of(schema, item) or ""
        except Forbidden as error:
            raise _invalid(part, f"`{_short(name)}` cannot be read: {error.message.rstrip('.')}") from error


def _end_of(schema: Schema, item: Field) -> str | None:
    """The collection that a field leads to."""
    relation = schema.relation(item.collection, item.name)
    if relation is not None:
        return relation.related
    relation = schema.inverse(item.collection, item.name)
    return relation.collection if relation is not None else None


def _short(value: Any) -> str:
    return str(value)[:100]


def _invalid(field: str, reason: str) -> InvalidPayload:
    reason = f"`{field}` of a permission: {reason.removeprefix(f'`{field}` of a permission: ')}"
    return InvalidPayload(f"{reason}.", reason=reason, collection=COLLECTION, field=field)
