"""A stream as Chat Completions' chunks. Text, nearly all of it, takes the short way."""

from time import time
from typing import Any

import orjson

from datastead.ai.engine import GenerationResult
from datastead.api.gateway import errors
from datastead.api.gateway.chat_words import FINISH, arguments, refuse_new_beginning, usage_json
from datastead.api.gateway.opaque import extra_content, reasoning_details
from datastead.messages import (
    Finished,
    ReasoningDelta,
    ReasoningDone,
    Started,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    ToolCallDone,
)

DONE = b"data: [DONE]\n\n"
_AFTER_TEXT = b'},"logprobs":null,"finish_reason":null}]}\n\n'


class ChatEncoder:
    """One stream. model: what to call it until the provider says its own name."""

    def __init__(self, model: str, *, with_usage: bool) -> None:
        self._model = model
        self._with_usage = with_usage
        self._head: dict[str, Any] = {}
        self._before_text = b""
        self._calls: dict[str, int] = {}
        self._written: set[str] = set()
        self._said = False
        self._kept: tuple[str, dict[str, Any]] | None = None

    def begin(self, call: str | None) -> bytes:
        self._head = {
            "id": f"chatcmpl-{call}",
            "object": "chat.completion.chunk",
            "created": int(time()),
            "model": self._model,
        }
        return b""

    def write(self, event: StreamEvent) -> bytes:
        if event.__class__ is TextDelta and self._before_text and self._kept is None:
            self._said = True
            return self._before_text + orjson.dumps(event.content) + _AFTER_TEXT
        if self._said:
            refuse_new_beginning(event)
        before = self._opening(event) + self._let_go(event)
        return before + self._other(event)

    def end(self, result: GenerationResult) -> bytes:
        if not self._with_usage:
            return DONE
        return _data({**self._head, "choices": [], "usage": usage_json(result)}) + DONE

    def fail(self, error: BaseException) -> bytes:
        return errors.event(error) + DONE

    def _opening(self, event: StreamEvent) -> bytes:
        """The first chunk, once: with the role, and the model's name as the provider has it."""
        if self._before_text:
            return b""
        if isinstance(event, Started) and event.model:
            self._head["model"] = event.model
        head = orjson.dumps(self._head)[:-1]
        self._before_text = b"data: " + head + b',"choices":[{"index":0,"delta":{"content":'
        return self._chunk({"role": "assistant", "content": ""})

    def _other(self, event: StreamEvent) -> bytes:
        if isinstance(event, TextDelta):
            return self._chunk({"content": event.content})
        if isinstance(event, ReasoningDelta):
            return self._chunk({"reasoning_content": event.reasoning})
        if isinstance(event, ReasoningDone):
            details = reasoning_details([event.part])
            return self._chunk({"reasoning_details": details}) if details else b""
        if isinstance(event, ToolCallDelta):
            return self._call_piece(event)
        if isinstance(event, ToolCallDone):
            return self._call_end(event)
        return self._chunk({}, FINISH[event.reason]) if isinstance(event, Finished) else b""

    def _call_piece(self, event: ToolCallDelta) -> bytes:
        if event.arguments:
            self._written.add(event.id)
        if event.id not in self._calls:
            self._begin_call(event.id, event.name or "", event.arguments)
            return b""
        return self._call(event.id, {"function": {"arguments": event.arguments}}) if event.arguments else b""

    def _call_end(self, event: ToolCallDone) -> bytes:
        """What the pieces did not bring: all of a call that came at once, and what has to come back with it."""
        call = event.call
        if call.id not in self._calls:
            self._begin_call(call.id, call.name, "")
        extra = extra_content(call.opaque)
        missing = {} if call.id in self._written else {"function": {"arguments": arguments(call)}}
        if self._kept is None:
            return self._call(call.id, {**missing, **extra}) if missing or extra else b""
        (_, begun), self._kept = self._kept, None
        return self._call(call.id, {**begun, "function": {**begun["function"], **missing.get("function", {})}, **extra})

    def _begin_call(self, call_id: str, name: str, text: str) -> None:
        """A call's first piece is kept until the next event: clients look for `extra_content` there, and only there."""
        self._calls[call_id] = len(self._calls)
        function = {"name": name, "arguments": text}
        self._kept = (call_id, {"id": call_id, "type": "function", "function": function})

    def _let_go(self, event: StreamEvent) -> bytes:
        """The piece that was kept, unless the event is the end of the same call."""
        if self._kept is None or (isinstance(event, ToolCallDone) and event.call.id == self._kept[0]):
            return b""
        (call_id, begun), self._kept = self._kept, None
        return self._call(call_id, begun)

    def _call(self, call_id: str, piece: dict[str, Any]) -> bytes:
        return self._chunk({"tool_calls": [{"index": self._calls[call_id], **piece}]})

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _data({**self._head, "choices": [choice]})


def _data(value: Any) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"
