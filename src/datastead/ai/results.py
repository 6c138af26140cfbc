"""What a model call gave: put together from its events, and kept as JSON for whoever asks with the same key."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from time import perf_counter
from typing import Any, NamedTuple

from pydantic import BaseModel

from datastead.ai.context_window import Cut, cuts_json
from datastead.ai.prices import usd
from datastead.messages import (
    Finished,
    FinishReason,
    Message,
    Part,
    Reasoning,
    ReasoningDelta,
    ReasoningDone,
    Started,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDone,
    Usage,
    UsageReport,
    frozen,
)

_USAGE_PARTS = (
    "input", "output", "cache_read", "cache_write", "cache_write_1h", "audio_input", "audio_output", "image_input",
    "image_output", "reasoning", "cache_read_audio",
)  # fmt: skip
_USAGE_REST = ("tier", "cost_nano_usd", "raw")


class AttemptMade(NamedTuple):
    """An attempt that a call took. code: what went wrong; None = it answered.

    call: id of the ledger's row; None where nothing was sent: the model could not take the call, say.
    """

    provider: str
    model: str
    code: str | None
    call: str | None


@frozen
class GenerationResult:
    """A model's answer, and what it cost.

    cost_nano_usd: None where the model's price is unknown. reasoning: its explanation, where the provider gives one.
    model, provider: as they were called; response_model: as the provider names it. call: id of the ledger's row.
    usage_source: `provider`, or `estimated` where it did not say. cost_source: `provider` where it said itself what the
    call cost, else `price`. warnings: of budgets that only warn.
    object: the answer as a value that fits the `schema` that was asked for. truncated: what was cut out of the prompt.
    repaired: id of an earlier call whose answer did not fit; `usage` and `cost` are those of both.
    cached: the answer is out of the cache and cost nothing; saved_nano_usd: what it had cost. attempts: what the call
    took, the last of them the answer.
    """

    content: str
    usage: Usage
    cost_nano_usd: int | None
    model: str
    provider: str
    finish_reason: FinishReason
    call: str
    reasoning: str | None = None
    reasoning_parts: tuple[Reasoning, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    response_id: str | None = None
    response_model: str | None = None
    usage_source: str = "provider"
    warnings: tuple[Mapping[str, Any], ...] = ()
    object: Any = None
    truncated: tuple[Cut, ...] = ()
    repaired: str | None = None
    cost_source: str | None = None
    cached: bool = False
    saved_nano_usd: int | None = None
    attempts: tuple[AttemptMade, ...] = ()

    @property
    def text(self) -> str:
        """The same as `content`."""
        return self.content

    @property
    def cost(self) -> Decimal | None:
        """USD, exactly."""
        return usd(self.cost_nano_usd)

    @property
    def saved(self) -> Decimal | None:
        """What an answer out of the cache would have cost, USD, exactly."""
        return usd(self.saved_nano_usd)

    @property
    def message(self) -> Message:
        """The answer as a turn of the conversation, with all that the provider wants back on the next one."""
        text: tuple[Part, ...] = (Text(self.content),) if self.content else ()
        return Message("assistant", (*self.reasoning_parts, *text, *self.tool_calls))

    def to_dict(self) -> dict[str, Any]:
        """JSON, as a flow's steps see it. cost: USD."""
        return {
            "content": self.content,
            "reasoning": self.reasoning,
            "object": json_value(self.object),
            "tool_calls": [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in self.tool_calls],
            "usage": usage_json(self.usage),
            "cost": None if self.cost is None else float(self.cost),
            "model": self.model,
            "provider": self.provider,
            "finish_reason": self.finish_reason,
            "call": self.call,
            "cached": self.cached,
            "saved": None if self.saved is None else float(self.saved),
            "attempts": [made._asdict() for made in self.attempts],
            **({"warnings": [dict(warning) for warning in self.warnings]} if self.warnings else {}),
            "truncated": cuts_json(self.truncated),
            "repaired": self.repaired,
        }

    def to_answer(self) -> dict[str, Any]:
        """JSON with everything, to be read by `from_answer`."""
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "usage": {name: getattr(self.usage, name) for name in (*_USAGE_PARTS, *_USAGE_REST)},
            "reasoning_parts": [asdict(part) for part in self.reasoning_parts],
            "tool_calls": [asdict(call) for call in self.tool_calls],
            "attempts": [made._asdict() for made in self.attempts],
        }

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> "GenerationResult":
        """The result that `to_answer` wrote down, also by an earlier version, which wrote less."""
        return cls(
            **{name: answer[name] for name in _PLAIN if name in answer},
            usage=Usage(**answer["usage"]),
            reasoning_parts=tuple(Reasoning(**part) for part in answer["reasoning_parts"]),
            tool_calls=tuple(ToolCall(**call) for call in answer["tool_calls"]),
            attempts=tuple(AttemptMade(**made) for made in answer.get("attempts", ())),
        )

    def events(self) -> list[StreamEvent]:
        """The answer as a stream would have brought it, in few pieces."""
        found: list[StreamEvent] = [Started(self.response_id, self.response_model)]
        found += [ReasoningDelta(self.reasoning)] if self.reasoning else []
        found += [ReasoningDone(part) for part in self.reasoning_parts]
        found += [TextDelta(self.content)] if self.content else []
        found += [ToolCallDone(call) for call in self.tool_calls]
        return [*found, UsageReport(self.usage), Finished(self.finish_reason)]


def json_value(value: Any) -> Any:
    """The value as JSON, where it is an instance of a pydantic model."""
    return value.model_dump(mode="json", by_alias=True) if isinstance(value, BaseModel) else value


_PLAIN = (
    "content", "cost_nano_usd", "model", "provider", "finish_reason", "call", "reasoning", "response_id",
    "response_model", "usage_source", "cost_source", "cached", "saved_nano_usd",
)  # fmt: skip


def usage_json(usage: Usage) -> dict[str, int]:
    """The parts and the total; `reasoning` is a share of `output`."""
    return {name: getattr(usage, name) for name in _USAGE_PARTS} | {"total": usage.total}


@dataclass(slots=True)
class Collected:
    """What has arrived of an answer. first_at: when the first piece of text or reasoning came, by `perf_counter`."""

    texts: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    reasoning_parts: list[Reasoning] = field(default_factory=list)
    tool_calls: list[ToolCall] = field(default_factory=list)
    usage: Usage | None = None
    finished: Finished | None = None
    started: Started | None = None
    first_at: float | None = None

    def add_all(self, events: list[StreamEvent]) -> None:
        """Takes in a piece of a stream: nearly all of it is text, which goes the short way."""
        texts = [event.content for event in events if event.__class__ is TextDelta]
        if texts:
            self._note_time()
            self.texts += texts
        if len(texts) < len(events):
            for event in events:
                if event.__class__ is not TextDelta:
                    self.add(event)

    def add(self, event: StreamEvent) -> None:
        """Takes an event in."""
        if isinstance(event, TextDelta):
            self._note_time()
            self.texts.append(event.content)
        elif isinstance(event, UsageReport):
            self.usage = event.usage
        elif isinstance(event, Started):
            self.started = event
        elif isinstance(event, Finished):
            self.finished = event
        else:
            self._add_rare(event)

    def _add_rare(self, event: StreamEvent) -> None:
        if isinstance(event, ReasoningDone):
            self.reasoning_parts.append(event.part)
        elif isinstance(event, ReasoningDelta):
            self._note_time()
            self.reasoning.append(event.reasoning)
        elif isinstance(event, ToolCallDone):
            self._note_time()
            self.tool_calls.append(event.call)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    @property
    def reasoning_text(self) -> str:
        return "".join(self.reasoning) or "\n\n".join(part.text for part in self.reasoning_parts if part.text)

    @property
    def is_empty(self) -> bool:
        """Whether nothing has come that a provider would charge for."""
        return not (self.texts or self.reasoning or self.reasoning_parts or self.tool_calls)

    def _note_time(self) -> None:
        if self.first_at is None:
            self.first_at = perf_counter()
