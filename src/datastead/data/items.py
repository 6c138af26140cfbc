"""`Items`: the items of one collection, for one actor: read, create, update, delete."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from datastead.context import Context
from datastead.data import payloads
from datastead.data.engine import Transaction, dangling
from datastead.data.facts import learn
from datastead.data.nesting import inspect, links_of, require_depth
from datastead.data.permissions import GOVERNING, Action, admitted, changeable, rights_of
from datastead.data.query import Query
from datastead.data.reading import Reader
from datastead.data.recorded import NOTHING_WRITTEN, Recorded, Written
from datastead.data.relations import Nested
from datastead.data.rights import Rights
from datastead.data.schema import Collection, Schema
from datastead.data.violations import violation_of
from datastead.errors import (
    Forbidden,
    InvalidPayload,
    InvalidQuery,
    RequestError,
    ServiceUnavailable,
    UnprocessableContent,
)
from datastead.events import Event, EventKind

T = TypeVar("T")
Key = Any
Item = dict[str, Any]

EVERY_ITEM = Query(limit=-1)


class _Target(NamedTuple):
    """The collection, in the schema of this moment."""

    schema: Schema
    collection: Collection

    @property
    def primary(self) -> str:
        """The key's name. Raises `UnprocessableContent` for a table without one."""
        if self.collection.primary is None:
            reason = f"The table `{self.collection.name}` has no primary key of one column: it can only be read"
            raise UnprocessableContent(f"{reason}.", reason=reason)
        return self.collection.primary.name


class Items:
    """The items of a collection. Inside a transaction (`ctx.connection`) it takes part in that.

    depth: 1, or how deep they lie in the payload of others. revisions: where those of what is written are noted.
    """

    def __init__(self, ctx: Context, collection: str, *, depth: int = 1, revisions: list[int] | None = None) -> None:
        self._ctx = ctx
        self._name = collection
        self._depth = depth
        self._revisions = [] if revisions is None else revisions

    @property
    def collection(self) -> str:
        """The collection's name."""
        return self._name

    async def read(self, query: Query | None = None) -> list[Item]:
        """The items that the query asks for. Raises `Forbidden` and `InvalidQuery`."""
        return await self._reading(query or Query(), lambda reader, restricted: reader.read(restricted))

    async def read_one(self, key: Key, query: Query | None = None) -> Item:
        """One item. Raises `Forbidden` where there is none."""
        found = await self.read_many([key], query)
        if not found:
            raise Forbidden
        return found[0]

    async def read_many(self, keys: Sequence[Key], query: Query | None = None) -> list[Item]:
        """The items with these keys, in their order unless the query sorts. Raises `Forbidden` for what is no key."""
        return await self._reading(query or EVERY_ITEM, lambda reader, restricted: reader.read_keys(keys, restricted))

    async def meta(self, query: Query) -> dict[str, int]:
        """`total_count` (of the collection) and `filter_count` (of the query), as far as `query.meta` asks for them."""
        return await self._reading(query, lambda reader, restricted: reader.meta(restricted))

    async def read_singleton(self, query: Query | None = None) -> Item:
        """The only item of a singleton; without one, the fields' defaults."""
        found = await self.read(replace(query or Query(), limit=1))
        if found:
            return found[0]
        return self._reader(await self._open()).defaults(query or Query())

    async def write_singleton(self, payload: Mapping[str, Any], *, emit: bool = True) -> Key:
        """Changes the only item of a singleton, or creates it; its key."""
        async with self._ctx.transaction() as ctx:
            items = Items(ctx, self._name, depth=self._depth, revisions=self._revisions)
            keys = await items.keys(Query(limit=1))
            if not keys:
                return await items.create(payload, emit=emit)
            await items.update(keys[0], payload, emit=emit)
            return keys[0]

    async def keys(self, query: Query) -> list[Key]:
        """The keys of the items that the query asks for."""
        primary = (await self._open()).primary
        return [item[primary] for item in await self.read(replace(query, fields=(primary,)))]

    async def create(self, payload: Mapping[str, Any], *, emit: bool = True) -> Key:
        """Creates an item; its key."""
        return (await self.create_many([payload], emit=emit))[0]

    async def create_many(self, new: Sequence[Mapping[str, Any]], *, emit: bool = True) -> list[Key]:
        """Creates items, all or none; their keys. Raises typed errors that name field and value."""
        return (await self.create_rows(new, emit=emit)).keys

    async def create_rows(self, new: Sequence[Mapping[str, Any]], *, emit: bool = True) -> Written:
        """`create_many`, with what `read_written` needs."""
        target = await self._open()
        assert target.primary
        checked = [
            admitted(self._ctx, *target, payloads.checked(self._ctx, *target, payload)) for payload in _listed(new)
        ]
        self._inspect(target, checked)
        dialect = self._ctx.services.database.dialect
        if not checked:
            return NOTHING_WRITTEN
        if await self._is_alone(target, "create", checked, emit=emit):
            filled = checked
            if not target.collection.is_bare:
                filled = [await self._filled(self._ctx, target, payload, emit=False) for payload in checked]
            rows = payloads.rows_of(*target, filled, dialect)
            return await self._alone("create", Recorded(self._ctx, *target).insert_alone(rows), emit=emit)
        async with self._ctx.transaction() as ctx:
            filled = [await self._filled(ctx, target, payload, emit=emit) for payload in checked]
            is_plain = all(map(links_of(*target).is_plain, filled))
            around = [] if is_plain else [self._nested(ctx, target, emit=emit) for _ in filled]
            flat = filled if is_plain else [await one.before(own) for one, own in zip(around, filled, strict=True)]
            await self._guarded(ctx, "create", *((payload, ()) for payload in flat))
            rows = payloads.rows_of(*target, flat, dialect)
            written = await self._run(ctx, Recorded(ctx, *target).insert(rows))
            keys = written.keys
            await self._settle(ctx, "create", keys)
            for one, key, payload in zip(around, keys, filled, strict=not is_plain):
                await one.after(key, payload, is_new=True)
            await self._relate(ctx, target, written.revisions, [one.revisions for one in around])
            if emit:
                shown = [payloads.shown(*target, payload) for payload in filled]
                pairs = zip(shown, keys, strict=True)
                events = [self._event("action", "create", payload, (key,)) for payload, key in pairs]
                await ctx.services.bus.action(ctx, events)
        return written._replace(rows=None)

    async def update(self, key: Key, payload: Mapping[str, Any], *, emit: bool = True) -> Key | None:
        """Changes an item; its key, or None where there is none."""
        return next(iter(await self.update_many([key], payload, emit=emit)), None)

    async def update_many(self, keys: Sequence[Key], payload: Mapping[str, Any], *, emit: bool = True) -> list[Key]:
        """Changes items alike, all or none; the keys of those that exist."""
        return (await self.update_rows(keys, payload, emit=emit)).keys

    async def update_rows(self, keys: Sequence[Key], payload: Mapping[str, Any], *, emit: bool = True) -> Written:
        """`update_many`, with what `read_written` needs."""
        target = await self._open()
        encoded = Reader(self._ctx, *target).encode_keys(keys)
        checked = payloads.checked(self._ctx, *target, payload)
        rights = changeable(self._ctx, *target, "update", checked)
        if not encoded or not checked:
            return Written(await self._existing(target, keys))
        self._inspect(target, [checked], times=len(encoded))
        if target.primary in checked and len(encoded) > 1:
            reason = f"Several items of `{self._name}` cannot be given one key"
            raise InvalidPayload(f"{reason}.", reason=reason, collection=self._name, field=target.primary)
        dialect = self._ctx.services.database.dialect
        if rights is None and await self._is_alone(target, "update", [checked], emit=emit):
            filled = await self._filled(self._ctx, target, checked, tuple(keys), emit=False)
            row = payloads.row_of(*target, filled, "update", dialect)
            return await self._alone("update", Recorded(self._ctx, *target).update_alone(row, encoded), emit=emit)
        async with self._ctx.transaction() as ctx:
            await self._require_rows(ctx, target, keys, rights)
            nested = self._nested(ctx, target, emit=emit)
            if not links_of(*target).is_plain(checked):
                encoded = list(await nested.known(target.collection, keys))
                if not encoded:
                    return NOTHING_WRITTEN
            filled = await self._filled(ctx, target, checked, tuple(keys), emit=emit)
            flat = await nested.before(filled, keys)
            await self._guarded(ctx, "update", (flat, tuple(keys)))
            row = payloads.row_of(*target, flat, "update", dialect)
            written = await self._run(ctx, Recorded(ctx, *target).update(row, encoded))
            changed = written.keys
            await self._settle(ctx, "update", changed)
            children, seen = list[list[int]](), 0
            for key in changed:
                await nested.after(key, filled, is_new=False)
                children, seen = [*children, nested.revisions[seen:]], len(nested.revisions)
            await self._relate(ctx, target, written.revisions, children)
            if emit and changed:
                event = self._event("action", "update", payloads.shown(*target, filled), tuple(changed))
                await ctx.services.bus.action(ctx, [event])
        return written._replace(rows=None)

    async def read_written(self, written: Written, query: Query) -> list[Item]:
        """The items that have been written, as `read_many` gives them. Raises `Forbidden`."""
        if written.rows is not None:
            reader = self._reader(await self._open())
            with suppress(sa.exc.DBAPIError):  # the schema is another by now, which `read_many` copes with
                found = await reader.written(written.rows, query, is_new=written.is_new)
                if found is not None:
                    return found
        return await self.read_many(written.keys, query)

    async def may(self, action: Action, key: Key | None = None) -> bool:
        """Whether the actor may do this: to the item, or without a key to some item. Raises `Forbidden`."""
        target = await self._open()
        try:
            rights = changeable(self._ctx, *target, action)
            if key is not None:
                await self._require_rows(self._ctx, target, [key], rights)
        except Forbidden:
            return False
        return True

    async def _existing(self, target: _Target, keys: Sequence[Key]) -> list[Key]:
        """Those of the keys that there is an item for."""
        return [item[target.primary] for item in await self.read_many(keys, Query(fields=(target.primary,)))]

    async def update_by_query(self, query: Query, payload: Mapping[str, Any], *, emit: bool = True) -> list[Key]:
        """Changes the items that the query asks for; their keys. Without a `limit` that is all of them."""
        async with self._ctx.transaction() as ctx:
            items = Items(ctx, self._name, depth=self._depth, revisions=self._revisions)
            return await items.update_many(await items.keys(_unbounded(query)), payload, emit=emit)

    async def update_batch(self, changes: Sequence[Mapping[str, Any]], *, emit: bool = True) -> list[Key]:
        """Changes items, each as its own payload says, which holds its key; all or none."""
        primary = (await self._open()).primary
        listed = _listed(changes)
        if any(not isinstance(payload, Mapping) or payload.get(primary) is None for payload in listed):
            reason = f"Each item needs its key `{primary}`"
            raise InvalidPayload(f"{reason}.", reason=reason, collection=self._name, field=primary)
        self._inspect(await self._open(), listed)
        changed: list[Key] = []
        async with self._ctx.transaction() as ctx:
            items = Items(ctx, self._name, depth=self._depth, revisions=self._revisions)
            for payload in listed:
                rest = {name: value for name, value in payload.items() if name != primary}
                changed += await items.update_many([payload[primary]], rest, emit=emit)
        return changed

    async def delete(self, key: Key, *, emit: bool = True) -> Key | None:
        """Deletes an item; its key, or None where there is none."""
        return next(iter(await self.delete_many([key], emit=emit)), None)

    async def delete_many(self, keys: Sequence[Key], *, emit: bool = True) -> list[Key]:
        """Deletes items, all or none; the keys of those that existed."""
        target = await self._open()
        rights = changeable(self._ctx, *target, "delete")
        encoded = Reader(self._ctx, *target).encode_keys(keys)
        if not encoded:
            return []
        async with self._ctx.transaction() as ctx:
            await self._require_rows(ctx, target, keys, rights)
            if emit:
                await ctx.services.bus.filter(ctx, self._event("filter", "delete", list(keys), tuple(keys)))
            await self._guarded(ctx, "delete", (list(keys), tuple(keys)))
            deleted = (await self._run(ctx, Recorded(ctx, *target).delete(encoded))).keys
            await self._settle(ctx, "delete", deleted)
            if deleted:
                await ctx.services.bus.deletion(ctx, self._event("action", "delete", None, tuple(deleted)))
            if emit and deleted:
                event = self._event("action", "delete", list(deleted), tuple(deleted))
                await ctx.services.bus.action(ctx, [event])
        return deleted

    async def delete_by_query(self, query: Query, *, emit: bool = True) -> list[Key]:
        """Deletes the items that the query asks for; their keys. Without a `limit` that is all of them."""
        async with self._ctx.transaction() as ctx:
            items = Items(ctx, self._name, depth=self._depth, revisions=self._revisions)
            return await items.delete_many(await items.keys(_unbounded(query)), emit=emit)

    async def _open(self) -> _Target:
        schema = await self._ctx.services.schemas.get()
        collection = schema.collection(self._name)
        if not collection.has_table:
            raise Forbidden(f"The collection `{self._name}` is a folder: it has no items.")
        if not self._ctx.actor.is_admin:
            await learn(self._ctx, schema)
        return _Target(schema, collection)

    async def _reading(self, query: Query, read: Callable[[Reader, Query], Awaitable[T]]) -> T:
        """Reads, and once more where the schema has changed meanwhile."""
        try:
            return await read(self._reader(await self._open()), query)
        except sa.exc.DBAPIError as error:
            if not self._is_stale(error):
                raise _query_error(error) from error
        try:
            return await read(self._reader(await self._open()), query)
        except sa.exc.DBAPIError as error:
            raise _query_error(error) from error

    def _reader(self, target: _Target) -> Reader:
        """Reads what the actor may see."""
        return Reader(self._ctx, *target, rights_of(target.schema, self._ctx.actor, "read", self._ctx.now))

    async def _require_rows(self, ctx: Context, target: _Target, keys: Sequence[Key], rights: Rights | None) -> None:
        """Raises `Forbidden` unless the actor may change each of the items. Those that there are not look alike."""
        if rights is None:
            return
        reader = Reader(ctx, *target, rights)
        found = await reader.read_keys(keys, Query(fields=(target.primary,), limit=-1))
        if len(found) < len(reader.encode_keys(keys)):
            raise Forbidden

    async def _settle(self, ctx: Context, verb: str, keys: Sequence[Key]) -> None:
        """What has to hold after the write does, and every process hears when who may do what has changed."""
        outcome = ctx.services.bus.outcome_of(self._name)
        if outcome is not None:
            await outcome(ctx, self._event("filter", verb, None, tuple(keys)))
        if self._name in GOVERNING and ctx.connection is not None:
            await ctx.services.schemas.changed(ctx.connection)

    def _is_stale(self, error: sa.exc.DBAPIError) -> bool:
        if self._ctx.connection is not None or violation_of(error).kind != "stale":
            return False
        self._ctx.services.schemas.forget()
        return True

    async def _filled(
        self, ctx: Context, target: _Target, payload: dict[str, Any], keys: tuple[Key, ...] | None = None, *, emit: bool
    ) -> dict[str, Any]:
        """The payload as it will be written: after the filters, with what fills itself in, and hashed.

        keys: of the items that are changed; None for a new one.
        """
        verb: payloads.Verb = "create" if keys is None else "update"
        if emit:
            masked = payloads.shown(*target, payload)
            filtered = await ctx.services.bus.filter(ctx, self._event("filter", verb, masked, keys or ()))
            if filtered is not masked:
                payload = payloads.checked(ctx, *target, payloads.unconcealed(*target, filtered, payload))
                self._inspect(target, [payload], times=len(keys or (None,)))
        payloads.validate(ctx, target.collection, payload)
        return await payloads.hashed(
            ctx, target.collection, payloads.with_specials(target.collection, payload, verb, ctx)
        )

    def _inspect(self, target: _Target, written: Sequence[Item], *, times: int = 1) -> None:
        """Raises `InvalidPayload` for what cannot be written, before anything is. Nested items have been looked at."""
        if self._depth == 1:
            inspect(*target, written, self._ctx.services.settings, times=times)

    def _nested(self, ctx: Context, target: _Target, *, emit: bool) -> Nested:
        def inside(collection: str) -> Items:
            require_depth(self._depth, ctx.services.settings.max_relational_depth)
            return Items(ctx, collection, depth=self._depth + 1, revisions=revisions)

        revisions: list[int] = []
        return Nested(ctx, *target, inside, emit, revisions)

    async def _relate(
        self, ctx: Context, target: _Target, revisions: Sequence[int], children: Sequence[Sequence[int]]
    ) -> None:
        """Says from which revision each of the items around was written. children: for each item, theirs."""
        self._revisions += revisions or [child for each in children for child in each]
        for revision, written in zip(revisions, children, strict=False):
            if written:
                await self._run(ctx, Recorded(ctx, *target).adopt(revision, written))

    async def _is_alone(self, target: _Target, verb: str, payload: Sequence[Item], *, emit: bool) -> bool:
        """Whether the write is of these items alone: no others in them, no rules of a collection, nobody who hears."""
        if self._ctx.connection is not None or target.collection.is_system:
            return False
        if not all(map(links_of(*target).is_plain, payload)):
            return False
        return not (emit and await self._ctx.services.bus.is_heard(self._ctx, self._examples(target, verb)))

    def _examples(self, target: _Target, verb: str) -> tuple[Event, ...]:
        """Events as the write would send them, without what differs from one to the next. Kept with the schema."""
        key = ("events", self._name, verb)
        found: tuple[Event, ...] | None = target.schema.plans.get(key)
        kinds: tuple[EventKind, ...] = ("filter", "action")
        made = found or tuple(self._event(kind, verb, None, ()) for kind in kinds)
        return found or target.schema.plans.put(key, made)

    async def _alone(self, verb: str, writing: Coroutine[Any, Any, Written], *, emit: bool) -> Written:
        """A transaction of its own, in one hop. Of what is done it is told also when the caller is cancelled."""
        try:
            if not (emit and self._ctx.services.bus.is_witnessed):
                return await writing
            task = asyncio.get_running_loop().create_task(writing)
            task.add_done_callback(partial(self._tell_unheard, verb))
            return await asyncio.shield(task)
        except sa.exc.IntegrityError as error:
            raise dangling() from error
        except sa.exc.DBAPIError as error:
            self._refuse_stale(self._ctx, error)
            raise

    def _tell_unheard(self, verb: str, done: "asyncio.Task[Written]") -> None:
        if not done.cancelled() and done.exception() is None and done.result().keys:
            self._ctx.services.bus.unheard(self._event("action", verb, None, tuple(done.result().keys)))

    async def _guarded(self, ctx: Context, verb: str, *writes: tuple[Any, tuple[Key, ...]]) -> None:
        """writes: payloads, each with the keys that it is for."""
        guard = ctx.services.bus.guard_of(self._name)
        if guard is not None:
            for payload, keys in writes:
                await guard(ctx, self._event("filter", verb, payload, keys))

    async def _run(self, ctx: Context, work: Callable[[Transaction], T]) -> T:
        assert ctx.connection is not None
        try:
            return await ctx.connection.run(work)
        except sa.exc.DBAPIError as error:
            self._refuse_stale(ctx, error)
            raise

    @staticmethod
    def _refuse_stale(ctx: Context, error: sa.exc.DBAPIError) -> None:
        """Raises `ServiceUnavailable` where the schema is another by now."""
        if violation_of(error).kind == "stale":
            ctx.services.schemas.forget()
            raise ServiceUnavailable("The schema has just been changed: try again.") from error

    def _event(self, kind: EventKind, verb: str, payload: Any, keys: tuple[Key, ...]) -> Event:
        scope = f"items.{verb}"
        system = self._name.removeprefix("directus_")
        name = f"{system}.{verb}" if system != self._name else f"{self._name}.{scope}"
        return Event(kind, name, scope, self._name, payload, keys)


def _listed(value: Any) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise InvalidPayload("A list of items is needed.")
    return value


def _unbounded(query: Query) -> Query:
    return replace(query, limit=-1) if query.limit is None else query


def _query_error(error: sa.exc.DBAPIError) -> RequestError | ServiceUnavailable | sa.exc.DBAPIError:
    """A read that the database refuses was asked with a value that does not fit; the rest is not the caller's fault."""
    kind = violation_of(error).kind
    if kind in {"wrong_type", "out_of_range", "too_long"}:
        return InvalidQuery("The query compares a field with a value that does not fit its type.")
    if kind == "slow":
        return InvalidQuery(
            "The query takes longer than `QUERY_TIMEOUT`: ask for less, or add an index.",
            reason="the query takes too long",
        )
    if kind == "stale":
        return ServiceUnavailable("The schema has just been changed: try again.")
    return ServiceUnavailable("The database is busy: try again.") if kind == "busy" else error
