"""`Subscription`: what one subscriber wants to know, and what it is told: no more than it could read by itself.

A changed item is read back with the subscriber's query, under what it is permitted now: one that it may not see, or
that does not match its filter (any more), is not spoken of. Of a deleted item there is only the key: that is told to
those who may read every item of the collection, and to others where the subscription has shown them the item before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from datastead.context import Context
from datastead.data.facts import learn
from datastead.data.items import Items
from datastead.data.permissions import rights_of
from datastead.data.query import Query
from datastead.data.schema import Collection
from datastead.errors import Forbidden, InvalidQuery, RequestError
from datastead.realtime.feed import Change, Verb
from datastead.realtime.hub import Realtime

MAX_SHOWN = 1000
"""How many items a subscription remembers to have shown, where that counts."""

Answer = dict[str, Any]


@dataclass(eq=False, slots=True)
class Subscription:
    """One subscription. asked: the query as it was sent, by which two are known to ask the same.

    event: the only one that it is about; None = all. item: the key of the only item.
    uid: the subscriber's own mark.
    """

    hub: Realtime
    collection: str
    query: Query = field(default_factory=Query)
    asked: bytes = b""
    event: Verb | None = None
    item: str | None = None
    uid: Any = None
    _shown: dict[str, None] = field(default_factory=dict)

    def check(self) -> None:
        """Raises `InvalidQuery` for what cannot be told bit by bit."""
        if self.query.aggregate or self.query.group or self.query.export:
            raise InvalidQuery("A subscription is to items: it has no sums and no export.", reason="not items")

    async def begin(self, ctx: Context) -> None:
        """Begins without telling what there is. Raises `Forbidden`, `InvalidQuery`."""
        await Items(ctx, self.collection).read(replace(self.query, limit=0))
        collection = (await ctx.services.schemas.get()).collection(self.collection)
        if self.event is None and not await _sees_all(ctx, collection):
            self._remember(await _readable_keys(ctx, collection, None, self.query))

    async def first(self, ctx: Context) -> Answer:
        """What there is at the beginning, unless one event only is wanted. Raises `Forbidden`, `InvalidQuery`."""
        items = Items(ctx, self.collection)
        if self.event is not None:
            await items.read(replace(self.query, limit=0))
            return {"event": "init"}
        collection = (await ctx.services.schemas.get()).collection(self.collection)
        if self.item is not None:
            rows = [await items.read_one(self.item, self.query)]
            await self._show(ctx, [self.item])
        elif collection.singleton:
            rows = [await items.read_singleton(self.query)]
        else:
            rows = await items.read(self.query)
            if not await _sees_all(ctx, collection):
                self._remember(await _readable_keys(ctx, collection, None, self.query))
        return await self._answer(ctx, "init", rows)

    async def told(self, ctx: Context, change: Change) -> Answer | None:
        """What the subscriber is told of a change; None = nothing."""
        if self.event is not None and self.event != change.action:
            return None
        keys = change.keys if self.item is None else tuple(key for key in change.keys if str(key) == self.item)
        if not keys:
            return None
        try:
            if change.action == "delete":
                told = await self._deleted(ctx, keys)
                return {"event": "delete", "data": told} if told else None
            rows = await self._once(ctx, change, keys)
            await self._show(ctx, keys)
            return await self._answer(ctx, change.action, rows) if rows else None
        except RequestError:  # what it asked for it may not see any more, or there is no such field any more
            return None

    async def _answer(self, ctx: Context, event: str, rows: list[Any]) -> Answer:
        answer: Answer = {"event": event, "data": rows}
        if self.query.meta:
            answer["meta"] = await Items(ctx, self.collection).meta(self.query)
        return answer

    async def _once(self, ctx: Context, change: Change, keys: Sequence[Any]) -> list[Any]:
        """The items, read once for all who see the same and ask the same."""
        schema = await ctx.services.schemas.get()
        who = ctx.actor.fingerprint, schema.policies.public_at(ctx.actor.ip)
        key = (change.id, who, self.asked, self.item, schema.version)
        found: list[Any] = await self.hub.once(key, lambda: Items(ctx, self.collection).read_many(keys, self.query))
        return found

    async def _show(self, ctx: Context, keys: Sequence[Any]) -> None:
        """Remembers which of the items it has been shown, and forgets those that it does not see any more."""
        collection = (await ctx.services.schemas.get()).collection(self.collection)
        if self.event is None and not await _sees_all(ctx, collection):
            for key in keys:
                self._shown.pop(str(key), None)
            self._remember(await _readable_keys(ctx, collection, keys, self.query))

    def _remember(self, keys: Sequence[Any]) -> None:
        self._shown |= dict.fromkeys(map(str, keys))
        while len(self._shown) > MAX_SHOWN:
            del self._shown[next(iter(self._shown))]

    async def _deleted(self, ctx: Context, keys: Sequence[Any]) -> list[str]:
        """The keys that it may be told, as text."""
        collection = (await ctx.services.schemas.get()).collection(self.collection)
        texts = [str(key) for key in keys]
        if await _sees_all(ctx, collection):
            return texts
        shown = [key for key in texts if key in self._shown]
        for key in shown:
            del self._shown[key]
        await Items(ctx, self.collection).read(replace(_keys_only(collection, self.query), limit=0))
        return shown


async def may_read(ctx: Context, name: str) -> bool:
    """Whether there is a collection of that name of which the actor may read something."""
    schema = await ctx.services.schemas.get()
    collection = schema.collections.get(name)
    if collection is None or not collection.has_table:
        return False
    if ctx.actor.is_admin:
        return True
    await learn(ctx, schema)
    rights = rights_of(schema, ctx.actor, "read", ctx.now)
    return rights is None or name in rights.rules


async def _sees_all(ctx: Context, collection: Collection) -> bool:
    """Whether the actor may read the keys of all items."""
    if ctx.actor.is_admin:
        return True
    schema = await ctx.services.schemas.get()
    await learn(ctx, schema)
    rights = rights_of(schema, ctx.actor, "read", ctx.now)
    if rights is None:
        return True
    rule, key = rights.rule(collection), collection.primary
    if key is None or not rule.has(key.name):
        return False
    return rule.rows() is None and rule.guard(key.name) is None


async def _readable_keys(ctx: Context, collection: Collection, keys: Sequence[Any] | None, query: Query) -> list[Any]:
    """The keys of the items that the actor sees by this query, of those given; none where keys are hidden."""
    if collection.primary is None:
        return []
    items, asked = Items(ctx, collection.name), _keys_only(collection, query)
    try:
        found = await (items.read(replace(asked, limit=MAX_SHOWN)) if keys is None else items.read_many(keys, asked))
    except Forbidden:
        return []
    return [key for row in found for key in row.values() if key is not None]


def _keys_only(collection: Collection, query: Query) -> Query:
    assert collection.primary is not None
    return Query(fields=(collection.primary.name,), filter=query.filter, search=query.search, sort=query.sort, limit=-1)
