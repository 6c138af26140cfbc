"""Messages of the WebSocket at `/websocket`, as values: what clients send, checked, and what they are answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from datastead.api.body import invalid, parse_json
from datastead.api.doors import Doors
from datastead.context import Context
from datastead.data.query import Query
from datastead.errors import DatasteadError, InvalidCollection, RequestError
from datastead.realtime.hub import VERBS, Realtime
from datastead.realtime.subscription import Subscription, may_read

EVENTS = frozenset(VERBS.values())
MAX_UID = 255

Message = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message. uid: the client's own mark, which answers carry."""

    type: str
    values: Mapping[str, Any]
    uid: str | int | float | None = None

    def answer(self, **more: Any) -> Message:
        """An answer of the same type."""
        return {"type": self.type, **more, **({} if self.uid is None else {"uid": self.uid})}

    def text(self, name: str) -> str:
        """A value that has to be text. Raises `InvalidPayload`."""
        value = self.values.get(name)
        if not isinstance(value, str) or not value:
            raise invalid(f"`{name}` has to be text.")
        return value

    def query(self, ctx: Context) -> Query:
        """The query. Raises `InvalidPayload` and `InvalidQuery`."""
        given = self.values.get("query")
        if given is not None and not isinstance(given, dict):
            raise invalid("`query` has to be an object.")
        return Query.parse(given or {}, ctx.services.settings)


def incoming(raw: bytes) -> Incoming:
    """The message of some bytes. Raises `InvalidPayload`."""
    try:
        values = parse_json(raw, None)
    except RequestError as error:
        raise invalid("Unable to parse the incoming message.") from error
    if not isinstance(values, dict) or not isinstance(values.get("type"), str):
        raise invalid("A message is a JSON object with a `type`.")
    uid = values.get("uid")
    if uid is not None and (isinstance(uid, bool) or not isinstance(uid, str | int | float) or len(str(uid)) > MAX_UID):
        raise invalid(f"`uid` has to be text of at most {MAX_UID} characters, or a number.")
    return Incoming(values["type"].lower(), values, uid)


async def subscription_of(ctx: Context, hub: Realtime, doors: Doors, message: Incoming) -> Subscription:
    """What a message wants to subscribe to. Raises `InvalidCollection`, `InvalidPayload` and `InvalidQuery`."""
    collection = await readable(ctx, doors, message)
    event, item = message.values.get("event"), message.values.get("item")
    if event is not None and (not isinstance(event, str) or event not in EVENTS):
        raise invalid("`event` has to be `create`, `update` or `delete`.")
    if item is not None and (isinstance(item, bool) or not isinstance(item, str | int)):
        raise invalid("`item` has to be the key of an item.")
    asked = orjson.dumps(message.values.get("query"), option=orjson.OPT_SORT_KEYS)
    key = None if item is None else str(item)
    subscription = Subscription(hub, collection, message.query(ctx), asked, event, key, message.uid)
    subscription.check()
    return subscription


async def readable(ctx: Context, doors: Doors, message: Incoming) -> str:
    """The collection of a message, of which the client may read something. Raises `InvalidCollection`."""
    name = message.text("collection")
    if not doors.shows(name) or not await may_read(ctx, name):
        raise InvalidCollection
    return name


def failure(kind: str, error: DatasteadError | None, uid: Any = None) -> Message:
    """An error as a client is told it; None: one that nobody expected."""
    known = error or DatasteadError("Something went wrong in the server.")
    told: Message = {"type": kind, "status": "error", "error": {"code": known.code, "message": known.message}}
    return told if uid is None else {**told, "uid": uid}
