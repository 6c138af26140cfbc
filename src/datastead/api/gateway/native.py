"""`POST /ai/generate`: a model call in our own words, whole or as server-sent events."""

from typing import Any, cast

import orjson

from datastead.ai.conversation import message_json
from datastead.ai.data import with_data
from datastead.ai.engine import GenerationResult
from datastead.ai.requests import CallOptions
from datastead.ai.results import usage_json
from datastead.api.answers import Json, error_answer
from datastead.api.gateway.endpoint import Ask, Encoder
from datastead.api.gateway.options import own_options
from datastead.api.gateway.reading import model_of, text, wrong
from datastead.context import Context
from datastead.errors import InvalidOutput
from datastead.messages import (
    Finished,
    ReasoningDelta,
    ReasoningDone,
    Started,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
    UsageReport,
)

DONE = b"data: [DONE]\n\n"


class Native:
    """Our own words, read and written."""

    def read(self, body: dict[str, Any], ctx: Context) -> Ask:
        stream = body.pop("stream", None)
        if stream is not None and not isinstance(stream, bool):
            raise wrong("stream", stream, "`true` or `false`")
        prompt, data = body.pop("prompt", None), body.pop("data", None)
        options = own_options(body, ctx)
        if data is not None:
            texts = {"prompt": prompt, "system": options.get("system")}
            given = {name: text(value, name) for name, value in texts.items() if value is not None}
            prompt, options["system"] = with_data(given.get("prompt"), data, given.get("system"))
        model_of(body)
        return Ask(prompt, cast("CallOptions", options), stream=bool(stream))  # each value is checked by the call path

    def whole(self, ask: Ask, result: GenerationResult) -> Any:  # noqa: ARG002  other dialects repeat what was asked
        return {"data": result_json(result)}

    def encoder(self, ask: Ask) -> Encoder:  # noqa: ARG002  other dialects look at it
        return NativeEncoder()

    def refuse(self, error: BaseException) -> Json:
        return error_answer(error, contract=False)

    def unfinished(self, error: InvalidOutput) -> GenerationResult | None:  # noqa: ARG002  here it is an error
        return None


class NativeEncoder:
    """One stream: each event is `data: {type, …}`."""

    def __init__(self) -> None:
        self._call: str | None = None

    def begin(self, call: str | None) -> bytes:
        self._call = call
        return b""

    def write(self, event: StreamEvent) -> bytes:
        if event.__class__ is TextDelta:
            return b'data: {"type":"text","content":' + orjson.dumps(event.content) + b"}\n\n"
        found = self._json(event)
        return _data(found) if found is not None else b""

    def end(self, result: GenerationResult) -> bytes:
        """The last event has all that a whole answer has."""
        return _data({"type": "finished", "data": result_json(result)}) + DONE

    def fail(self, error: BaseException) -> bytes:
        (entry,) = orjson.loads(error_answer(error, contract=False).body)["errors"]
        return _data({"type": "error", "code": entry["extensions"]["code"], **entry}) + DONE

    def _json(self, event: StreamEvent) -> dict[str, Any] | None:
        if isinstance(event, Started):
            return {"type": "started", "call": self._call, "model": event.model, "response_id": event.response_id}
        if isinstance(event, ReasoningDelta):
            return {"type": "reasoning", "reasoning": event.reasoning}
        if isinstance(event, ToolCallDelta):
            return {"type": "tool-call-delta", "id": event.id, "name": event.name, "arguments": event.arguments}
        if isinstance(event, ToolCallDone):
            call = event.call
            return {"type": "tool-call", "id": call.id, "name": call.name, "arguments": call.arguments}
        if isinstance(event, UsageReport):
            return {"type": "usage", "usage": usage_json(event.usage)}
        assert isinstance(event, ReasoningDone | Finished | TextDelta)
        return None  # part of the last event


def result_json(result: GenerationResult) -> dict[str, Any]:
    """What a flow's step sees, and `message`: the answer as the next request's `messages` can have it."""
    return {**result.to_dict(), "message": message_json(result.message)}


def _data(value: Any) -> bytes:
    return b"data: " + orjson.dumps(value, default=str) + b"\n\n"
