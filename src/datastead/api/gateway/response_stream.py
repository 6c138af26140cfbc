"""A stream as the Responses API's events: each output item is added, filled and done, one after the other."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from datastead.ai.engine import GenerationResult
from datastead.api.gateway import errors
from datastead.api.gateway.chat_words import arguments, refuse_new_beginning
from datastead.api.gateway.endpoint import Ask
from datastead.api.gateway.response_words import (
    Item,
    begun,
    call_item,
    message_item,
    reasoning_item,
    response,
    text_part,
)
from datastead.messages import (
    Reasoning,
    ReasoningDelta,
    ReasoningDone,
    Started,
    StreamEvent,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallDone,
)


class ResponseEncoder:
    """One stream. Text and reasoning are open one at a time; tool calls may come side by side."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._call: str | None = None
        self._model = str(ask.options["model"])
        self._begun = False
        self._number = 0
        self._output: list[Item | None] = []
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._message: int | None = None
        self._thinking: int | None = None
        self._calls: dict[str, tuple[int, list[str]]] = {}
        self._before_text = b""

    def begin(self, call: str | None) -> bytes:
        self._call = call
        return b""

    def write(self, event: StreamEvent) -> bytes:
        if event.__class__ is TextDelta and self._message is not None:
            return self._text(event.content)
        if self._output:
            refuse_new_beginning(event)
        return b"".join(self._slow(event))

    def end(self, result: GenerationResult) -> bytes:
        last = b"".join([*self._close_thinking(), *self._close_message()])
        whole = response(self._ask, result, [item for item in self._output if item is not None])
        return last + self._event(f"response.{whole['status']}", response=whole)

    def fail(self, error: BaseException) -> bytes:
        """`error` is what OpenAI's clients raise over; the response that failed comes before it."""
        _, said = errors.described(error)
        failed = {
            **begun(self._ask, self._call, self._model),
            "status": "failed",
            "error": {"code": said["code"] or "server_error", "message": said["message"]},
            "output": [item for item in self._output if item is not None],
        }
        flat = {name: said[name] for name in ("code", "message", "param")}
        return self._event("response.failed", response=failed) + self._event("error", **flat, error=said)

    def _slow(self, event: StreamEvent) -> Iterator[bytes]:
        yield from self._opening(event)
        if isinstance(event, TextDelta):
            yield from self._close_thinking()
            yield from self._open_message()
            yield self._text(event.content)
        elif isinstance(event, ReasoningDelta):
            yield from self._think(event.reasoning)
        elif isinstance(event, ReasoningDone):
            yield from self._close_thinking(event.part)
        elif isinstance(event, ToolCallDelta):
            yield from self._close_thinking()
            yield from self._close_message()
            yield from self._call_piece(event)
        elif isinstance(event, ToolCallDone):
            yield from self._close_thinking()
            yield from self._close_message()
            yield from self._call_end(event.call)

    def _opening(self, event: StreamEvent) -> Iterator[bytes]:
        if isinstance(event, Started) and event.model:
            self._model = event.model
        if self._begun:
            return
        self._begun = True
        started = begun(self._ask, self._call, self._model)
        yield self._event("response.created", response=started)
        yield self._event("response.in_progress", response=started)

    def _open_message(self) -> Iterator[bytes]:
        if self._message is None:
            self._message = self._new_item()
            item_id = self._id("msg", self._message)
            yield self._added(self._message, message_item(item_id, "", "in_progress"))
            yield self._event("response.content_part.added", **self._at(self._message, "msg"), part=text_part(""))
            head = orjson.dumps(self._at(self._message, "msg"))[1:-1]
            self._before_text = b',"type":"response.output_text.delta","logprobs":[],' + head + b',"delta":'

    def _text(self, text: str) -> bytes:
        """The short way: nearly all of a stream."""
        self._texts.append(text)
        number, self._number = self._number, self._number + 1
        head = b'event: response.output_text.delta\ndata: {"sequence_number":%d' % number
        return head + self._before_text + orjson.dumps(text) + b"}\n\n"

    def _close_message(self) -> Iterator[bytes]:
        if self._message is None:
            return
        place, text = self._message, "".join(self._texts)
        yield self._event("response.output_text.done", **self._at(place, "msg"), text=text, logprobs=[])
        yield self._event("response.content_part.done", **self._at(place, "msg"), part=text_part(text))
        yield self._done(place, message_item(self._id("msg", place), text))
        self._message, self._texts = None, []

    def _think(self, text: str) -> Iterator[bytes]:
        if self._thinking is None:
            yield from self._close_message()
            self._thinking = self._new_item()
            yield self._added(self._thinking, reasoning_item(self._id("rs", self._thinking), Reasoning("")))
            part = {"type": "summary_text", "text": ""}
            yield self._event("response.reasoning_summary_part.added", **self._summary(self._thinking), part=part)
        self._thoughts.append(text)
        yield self._event("response.reasoning_summary_text.delta", **self._summary(self._thinking), delta=text)

    def _close_thinking(self, part: Reasoning | None = None) -> Iterator[bytes]:
        """The end of a thought; of one that was not shown there is nothing but what has to come back."""
        if self._thinking is None:
            if part is not None and part.opaque is not None:
                yield from self._close_message()
                place = self._new_item()
                item = reasoning_item(self._id("rs", place), part)
                yield self._added(place, item)
                yield self._done(place, item)
            return
        place, text = self._thinking, "".join(self._thoughts)
        said = {"type": "summary_text", "text": text}
        yield self._event("response.reasoning_summary_text.done", **self._summary(place), text=text)
        yield self._event("response.reasoning_summary_part.done", **self._summary(place), part=said)
        opaque = None if part is None else part.opaque
        yield self._done(place, reasoning_item(self._id("rs", place), Reasoning(text, opaque)))
        self._thinking, self._thoughts = None, []

    def _call_piece(self, event: ToolCallDelta) -> Iterator[bytes]:
        if event.id not in self._calls:
            yield from self._open_call(event.id, event.name or "")
        if event.arguments:
            place, texts = self._calls[event.id]
            texts.append(event.arguments)
            yield self._event("response.function_call_arguments.delta", **self._item(place), delta=event.arguments)

    def _open_call(self, call_id: str, name: str) -> Iterator[bytes]:
        place = self._new_item()
        self._calls[call_id] = (place, [])
        yield self._added(place, call_item(self._id("fc", place), ToolCall(call_id, name, {}), "in_progress"))

    def _call_end(self, call: ToolCall) -> Iterator[bytes]:
        if call.id not in self._calls:
            yield from self._open_call(call.id, call.name)
        place, texts = self._calls.pop(call.id)
        text = arguments(call)
        if not texts:
            yield self._event("response.function_call_arguments.delta", **self._item(place), delta=text)
        said = "".join(texts) or text
        yield self._event("response.function_call_arguments.done", **self._item(place), name=call.name, arguments=said)
        yield self._done(place, {**call_item(self._id("fc", place), call), "arguments": said})

    def _new_item(self) -> int:
        self._output.append(None)
        return len(self._output) - 1

    def _added(self, place: int, item: Item) -> bytes:
        return self._event("response.output_item.added", output_index=place, item=item)

    def _done(self, place: int, item: Item) -> bytes:
        self._output[place] = item
        return self._event("response.output_item.done", output_index=place, item=item)

    def _id(self, kind: str, place: int) -> str:
        return f"{kind}_{self._call}_{place}"

    def _at(self, place: int, kind: str) -> Mapping[str, Any]:
        return {"item_id": self._id(kind, place), "output_index": place, "content_index": 0}

    def _summary(self, place: int) -> Mapping[str, Any]:
        return {"item_id": self._id("rs", place), "output_index": place, "summary_index": 0}

    def _item(self, place: int) -> Mapping[str, Any]:
        return {"item_id": self._id("fc", place), "output_index": place}

    def _event(self, kind: str, **values: Any) -> bytes:
        number, self._number = self._number, self._number + 1
        data = orjson.dumps({"type": kind, "sequence_number": number, **values}, default=str)
        return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"
