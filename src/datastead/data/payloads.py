"""What a caller wants to write, as a row: unknown fields refused, special fields filled in, every value checked."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Literal
from uuid import uuid4

from datastead.context import Context
from datastead.data.evaluation import bounds_of, failures_of
from datastead.data.nesting import links_of, mapped, objects_in
from datastead.data.schema import Collection, Field, Schema
from datastead.data.values import Encoder, encoder
from datastead.data.vault import Vault, concealed, in_secrets, is_sealed, place_of
from datastead.data.wire import CONCEALED
from datastead.errors import FailedValidation, InvalidPayload, ServiceUnavailable

Verb = Literal["create", "update"]
NAMES_SHOWN = 50


def checked(ctx: Context, schema: Schema, collection: Collection, payload: Any) -> dict[str, Any]:
    """A copy of the payload. Raises `InvalidPayload` on what is not an object, and on fields that do not exist.

    With `ignore_unknown_fields` in the settings, the latter are left out.
    """
    if not isinstance(payload, (dict, Mapping)):
        reason = f"An item of `{collection.name}` has to be an object"
        raise InvalidPayload(f"{reason}.", reason=reason, collection=collection.name)
    if payload.keys() <= collection.writable:
        return dict(payload)
    if ctx.services.settings.ignore_unknown_fields:
        payload = {name: value for name, value in payload.items() if name in collection.fields}
    return {name: value for name, value in payload.items() if _is_written(schema, collection, name)}


def _is_written(schema: Schema, collection: Collection, name: Any) -> bool:
    item = collection.named.get(name) if isinstance(name, str) else None
    if item is None:
        known = ", ".join(f"`{field}`" for field in list(collection.named)[:NAMES_SHOWN])
        reason = f"`{str(name)[:100]}` is not a field of `{collection.name}`, whose fields are {known}"
        raise InvalidPayload(f"{reason}.", reason=reason, collection=collection.name, field=str(name)[:100])
    if item.column is None:
        return name in links_of(schema, collection).many
    if item.column.is_generated:
        _refuse(item, "is worked out by the database")
    return True


def _refuse(item: Field, why: str) -> None:
    reason = f"`{item.name}` of `{item.collection}` {why}"
    raise InvalidPayload(f"{reason}.", reason=reason, collection=item.collection, field=item.name)


def validate(ctx: Context, collection: Collection, payload: Mapping[str, Any]) -> None:
    """Raises `FailedValidation` for a value that its field's own rule (`meta.validation`) does not allow."""
    for item in collection.validated:
        if item.name not in payload or item.meta is None:
            continue
        rule = item.meta["validation"]
        seen = payload if _names(rule, item.name) else {item.name: payload[item.name]}
        failures = failures_of(ctx, rule if seen is payload else {item.name: rule}, seen, partial=True)
        if failures:
            raise _not_allowed(item, failures[0])


def _names(rule: Any, name: str) -> bool:
    """Whether the rule is about fields, of which this is one; or else about the value itself."""
    if isinstance(rule, Mapping):
        return name in rule or any(_names(part, name) for part in rule.values())
    return isinstance(rule, list) and any(_names(part, name) for part in rule)


def _not_allowed(item: Field, failure: Mapping[str, Any]) -> FailedValidation:
    said = item.meta.get("validation_message") if item.meta else None
    reason = (
        str(said) if said else f"The value of `{item.name}` of `{item.collection}` is not one that the field allows"
    )
    return FailedValidation(
        reason if said else f"{reason}.", reason=reason, collection=item.collection, field=item.name,
        type=failure["type"], path=[], **bounds_of(failure),
    )  # fmt: skip


async def hashed(ctx: Context, collection: Collection, payload: dict[str, Any]) -> dict[str, Any]:
    """With `hash` fields hashed and `encrypt` fields sealed. The mask that is shown for a value leaves it as it is."""
    if collection.concealed.isdisjoint(payload):
        return payload
    kept = {
        name: value
        for name, value in payload.items()
        if not (value == CONCEALED and collection.fields[name].is_concealed)
    }
    for name, value in kept.items():
        if "hash" in collection.fields[name].special and isinstance(value, str) and value:
            if ctx.services.hash_password is None:
                raise ServiceUnavailable(f"`{name}` of `{collection.name}` cannot be hashed here.")
            if collection.name == "directus_users" and ctx.services.check_password is not None:
                await ctx.services.check_password(ctx, value)
            kept[name] = await ctx.services.hash_password(value)
        elif "encrypt" in collection.fields[name].special and value:
            kept[name] = _sealed(ctx, collection.fields[name], value)
    return kept


def _sealed(ctx: Context, item: Field, value: Any) -> Any:
    if item.has_sealed_values and not _is_listed(value):
        _refuse(item, "is a list of objects with `header` and `value`, both of them text")
    if not item.has_sealed_values and not isinstance(value, str):
        _refuse(item, "is text")
    vault, place = Vault(ctx.services.settings), place_of(item.collection, item.name)
    return in_secrets(value, lambda text: text if is_sealed(text) else vault.seal(place, text))


def _is_listed(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(entry, Mapping)
        and entry.keys() == {"header", "value"}
        and all(isinstance(text, str) for text in entry.values())
        for entry in value
    )


def with_specials(collection: Collection, payload: dict[str, Any], verb: Verb, ctx: Context) -> dict[str, Any]:
    """With the fields that fill themselves in: dates, users, and keys that are UUIDs."""
    if not collection.specials:
        return payload
    filled = dict(payload)
    for item in collection.specials:
        value = _special(item, verb, ctx)
        if value is None:
            continue
        if "uuid" in item.special and filled.get(item.name):
            continue
        filled[item.name] = value
    return filled


def _special(item: Field, verb: Verb, ctx: Context) -> Any:
    created = verb == "create"
    now: datetime = ctx.now()
    if "uuid" in item.special and created and _makes_uuids(item):
        return str(uuid4())
    if ("date-created" in item.special and created) or ("date-updated" in item.special and not created):
        return _wire(now)
    if ("user-created" in item.special and created) or ("user-updated" in item.special and not created):
        return ctx.actor.user
    if ("role-created" in item.special and created) or ("role-updated" in item.special and not created):
        return ctx.actor.role
    return None


def _makes_uuids(item: Field) -> bool:
    return item.column is not None and not item.column.foreign_key and "m2o" not in item.special


def _wire(moment: datetime) -> str:
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def row_of(
    schema: Schema, collection: Collection, payload: Mapping[str, Any], verb: Verb, dialect: str
) -> dict[str, Any]:
    """The values as the driver takes them. Raises typed errors that name field and value."""
    return _row(collection, encoders_of(schema, collection, dialect), payload, verb)


def rows_of(
    schema: Schema, collection: Collection, payloads: Sequence[Mapping[str, Any]], dialect: str
) -> list[dict[str, Any]]:
    """The same of new items."""
    encoders = encoders_of(schema, collection, dialect)
    return [_row(collection, encoders, payload, "create") for payload in payloads]


def _row(
    collection: Collection, encoders: Mapping[str, Encoder], payload: Mapping[str, Any], verb: Verb
) -> dict[str, Any]:
    row = {name: encoders[name](value) for name, value in payload.items()}
    if None in row.values():
        for name in [name for name, value in row.items() if value is None]:
            _check_null(collection.fields[name], verb)
            if verb == "create" and _counts_itself(collection.fields[name]):
                del row[name]
    if verb == "create":
        for item in collection.required:
            if item.name not in payload:
                raise _missing(item)
    return row


def encoders_of(schema: Schema, collection: Collection, dialect: str) -> Mapping[str, Encoder]:
    """The stored fields' encoders, made once a schema."""
    key = ("encoders", collection.name)
    found: Mapping[str, Encoder] | None = schema.plans.get(key)
    if found is not None:
        return found
    encoders = {name: encoder(item, dialect) for name, item in collection.columns.items()}
    schema.plans.put(key, encoders)
    return encoders


def encoder_of(schema: Schema, item: Field, dialect: str) -> Encoder:
    """A field's encoder."""
    return encoders_of(schema, schema.collections[item.collection], dialect)[item.name]


def _counts_itself(item: Field) -> bool:
    return item.column is not None and item.column.has_auto_increment


def _check_null(item: Field, verb: Verb) -> None:
    column = item.column
    if column is None or column.is_nullable or (verb == "create" and _counts_itself(item)):
        return
    reason = f"The field `{item.name}` of `{item.collection}` needs a value"
    raise FailedValidation(
        f"{reason}.", reason=reason, collection=item.collection, field=item.name, type="nnull", path=[]
    )


def _missing(item: Field) -> FailedValidation:
    reason = f"The field `{item.name}` of `{item.collection}` is required"
    return FailedValidation(
        f"{reason}.", reason=reason, collection=item.collection, field=item.name, type="required", path=[]
    )


def shown(schema: Schema, collection: Collection, payload: Mapping[str, Any]) -> dict[str, Any]:
    """The payload for those who hear of the change: without what is concealed, in it and in the items that it holds."""
    fields = collection.named
    masked = {name: _concealed(fields[name], value) for name, value in payload.items() if name in fields}
    links = links_of(schema, collection)
    if not links.is_plain(payload):
        for name in links.in_use(payload):
            inner, is_many = links.inner(schema, name, payload), name in links.many
            masked[name] = mapped(payload[name], partial(_shown_inner, schema, inner), is_many=is_many)
    return masked


def _shown_inner(schema: Schema, collection: Collection | None, payload: Mapping[str, Any]) -> dict[str, Any]:
    return {} if collection is None else shown(schema, collection, payload)


def _concealed(item: Field, value: Any) -> Any:
    if value is None or not item.is_concealed:
        return value
    return concealed(value) if item.has_sealed_values else CONCEALED


def unconcealed(schema: Schema, collection: Collection, filtered: Any, payload: Mapping[str, Any]) -> Any:
    """What the filters have made of `shown(payload)`, with the concealed values that they left put back."""
    if not isinstance(filtered, Mapping):
        return filtered
    found = {
        name: _put_back(collection.named[name], value, payload[name]) if name in payload else value
        for name, value in filtered.items()
    }
    links = links_of(schema, collection)
    for name in links.in_use(payload):
        if name in found:
            found[name] = _put_back_inner(schema, collection, name, found[name], payload)
    return found


def _put_back_inner(schema: Schema, collection: Collection, name: str, value: Any, payload: Mapping[str, Any]) -> Any:
    """The same for the items that the payload holds, as long as the filters left as many of them."""
    links = links_of(schema, collection)
    inner, is_many = links.inner(schema, name, payload), name in links.many
    originals = objects_in(payload[name], is_many=is_many)
    if len(objects_in(value, is_many=is_many)) != len(originals):
        return value
    left = iter(originals)
    return mapped(
        value,
        lambda entry: next(left) if inner is None else unconcealed(schema, inner, entry, next(left)),
        is_many=is_many,
    )


def _put_back(item: Field, value: Any, original: Any) -> Any:
    if value == _concealed(item, original):
        return original
    if not item.has_sealed_values or not isinstance(value, list):
        return value
    secrets = {str(entry.get("header")): entry.get("value") for entry in original or () if isinstance(entry, Mapping)}
    return [
        {**entry, "value": secrets.get(str(entry.get("header")), CONCEALED)}
        if isinstance(entry, Mapping) and entry.get("value") == CONCEALED
        else entry
        for entry in value
    ]
