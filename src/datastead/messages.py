"""What goes to a model and what comes back: one vocabulary for every provider.

A module of its own, at the bottom, because providers (outside packages too), the call path, flows and the assistant all
speak it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeVar, dataclass_transform

T = TypeVar("T")

Role = Literal["user", "assistant", "tool"]
Effort = Literal["minimal", "low", "medium", "high"]
ServiceTier = Literal["flex", "batch", "priority"]
PromptCache = Literal["5m", "1h"]
FinishReason = Literal["stop", "length", "content-filter", "tool-calls", "error", "other"]


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(kind: type[T]) -> type[T]:
    """A dataclass that the type checker keeps from being changed.

    At run time it is a plain one: one that guards itself takes two to six times as long to make.
    """
    return dataclass(slots=True, unsafe_hash=True)(kind)


@frozen
class Text:
    """Plain text."""

    text: str


@frozen
class Reasoning:
    """A model's reasoning, as it has to be sent back on the next turn.

    opaque: the provider's own object (signature, encrypted content), sent back as it came.
    """

    text: str
    opaque: Mapping[str, Any] | None = None


@frozen
class Attachment:
    """A file beside the text: exactly one of `data`, `url` and `file_id` (the provider's own id) is set."""

    media_type: str
    data: bytes | None = None
    url: str | None = None
    file_id: str | None = None
    filename: str | None = None


@frozen
class ToolCall:
    """A model's wish to call a tool. opaque: what the provider wants back with it (a thought signature)."""

    id: str
    name: str
    arguments: Mapping[str, Any]
    opaque: Mapping[str, Any] | None = None


@frozen
class ToolResult:
    """What a tool call gave. content: text or JSON text."""

    id: str
    name: str
    content: str
    is_error: bool = False


Part = Text | Reasoning | Attachment | ToolCall | ToolResult


@frozen
class Message:
    """One turn. Tool results come in a message of role `tool`; the system prompt is `Call.system`."""

    role: Role
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts if isinstance(part, Text))


def user(text: str) -> Message:
    """A user's message of plain text."""
    return Message("user", (Text(text),))


def assistant(text: str) -> Message:
    """A model's message of plain text."""
    return Message("assistant", (Text(text),))


@frozen
class ToolDefinition:
    """A tool as the model sees it. input_schema: JSON schema of an object."""

    name: str
    description: str
    input_schema: Mapping[str, Any]


@frozen
class Call:
    """A model call, as the provider mappings get it: checked, and complete.

    model: the provider's own model id. max_tokens: output cap, tokens.
    schema: JSON schema that the answer has to have. tool_choice: `auto`, `none`, `required` or a tool's name.
    effort, budget_tokens: how much to reason; both None = the provider's default, unless `enable_reasoning`.
    prompt_cache: how long the provider shall keep the prompt's beginning, where it has to be told.
    service_tier: `flex` and `batch` are cheaper and slower, `priority` is dearer and faster; None = the normal one.
    parallel_tools: whether the model may call several tools at once; None = the provider's default.
    provider_options: merged into the request's JSON last, as they are.
    """

    model: str
    messages: tuple[Message, ...]
    system: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    tools: tuple[ToolDefinition, ...] = ()
    tool_choice: str = "auto"
    schema: Mapping[str, Any] | None = None
    enable_reasoning: bool = False
    effort: Effort | None = None
    budget_tokens: int | None = None
    prompt_cache: PromptCache | None = None
    service_tier: ServiceTier | None = None
    parallel_tools: bool | None = None
    stream: bool = False
    provider_options: Mapping[str, Any] = field(default_factory=dict)


@frozen
class Endpoint:
    """Where a provider is reached. base_url: as the vendor's own SDK takes it, without a slash at its end."""

    provider: str
    base_url: str
    api_key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@frozen
class WireRequest:
    """An HTTP POST, ready to be sent. json: the body, still an object."""

    url: str
    headers: Mapping[str, str] = field(repr=False)
    json: Mapping[str, Any]


@frozen
class Usage:
    """Tokens as billed, in disjoint parts whose sum is `total`.

    input: not from a cache. cache_read, cache_write, cache_write_1h: prompt tokens read from and written to a cache.
    cache_read_audio: the share of `cache_read` that is sound, where the provider bills it apart; not a part of its own.
    output: all output, reasoning included; `reasoning` is the share of it, not a part of its own.
    audio_input, audio_output, image_input, image_output: such tokens, where the provider bills them apart: not counted
    in `input` and `output`.
    tier: the service tier that was billed, in the words of `ServiceTier`; None = the normal one.
    cost_nano_usd: what the provider itself says that the call cost, where it does.
    raw: the provider's own usage object, as it came.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    cache_read_audio: int = 0
    audio_input: int = 0
    audio_output: int = 0
    image_input: int = 0
    image_output: int = 0
    reasoning: int = 0
    tier: ServiceTier | None = None
    cost_nano_usd: int | None = None
    raw: Mapping[str, Any] | None = field(default=None, compare=False)

    @property
    def input_total(self) -> int:
        """All prompt tokens."""
        cached = self.cache_read + self.cache_write + self.cache_write_1h
        return self.input + cached + self.audio_input + self.image_input

    @property
    def output_total(self) -> int:
        """All output tokens."""
        return self.output + self.audio_output + self.image_output

    @property
    def total(self) -> int:
        """All tokens."""
        return self.input_total + self.output_total


@frozen
class EmbeddingCall:
    """Texts that shall become vectors. dimensions: of each vector; None = the model's own."""

    model: str
    inputs: tuple[str, ...]
    dimensions: int | None = None
    provider_options: Mapping[str, Any] = field(default_factory=dict)


@frozen
class Embeddings:
    """One vector for each input, in their order."""

    vectors: tuple[tuple[float, ...], ...]
    usage: Usage | None = None
    model: str | None = None


@frozen
class Started:
    """The provider has begun to answer. model: as the provider names it."""

    response_id: str | None = None
    model: str | None = None
    content: ClassVar[str] = ""
    type: ClassVar[Literal["started"]] = "started"


@frozen
class TextDelta:
    """A piece of the answer: as much of it as has arrived at once."""

    content: str
    type: ClassVar[Literal["text"]] = "text"

    @property
    def text(self) -> str:
        return self.content


@frozen
class ReasoningDelta:
    """A piece of the model's explanation of its reasoning. Its `content` is empty: it is no part of the answer."""

    reasoning: str
    content: ClassVar[str] = ""
    type: ClassVar[Literal["reasoning"]] = "reasoning"


@frozen
class ReasoningDone:
    """A reasoning part is complete, with what has to be sent back on the next turn."""

    part: Reasoning
    content: ClassVar[str] = ""
    type: ClassVar[Literal["reasoning-done"]] = "reasoning-done"


@frozen
class ToolCallDelta:
    """A piece of a tool call: the first of an id has its name; `arguments` is a piece of JSON text."""

    id: str
    name: str | None = None
    arguments: str = ""
    content: ClassVar[str] = ""
    type: ClassVar[Literal["tool-call-delta"]] = "tool-call-delta"


@frozen
class ToolCallDone:
    """A tool call is complete."""

    call: ToolCall
    content: ClassVar[str] = ""
    type: ClassVar[Literal["tool-call"]] = "tool-call"


@frozen
class UsageReport:
    """What the provider says was used, in all so far: a later report replaces an earlier one."""

    usage: Usage
    content: ClassVar[str] = ""
    type: ClassVar[Literal["usage"]] = "usage"


@frozen
class Finished:
    """The answer is complete. A stream without it was cut."""

    reason: FinishReason
    raw_reason: str | None = None
    content: ClassVar[str] = ""
    type: ClassVar[Literal["finished"]] = "finished"


StreamEvent = (
    Started | TextDelta | ReasoningDelta | ReasoningDone | ToolCallDelta | ToolCallDone | UsageReport | Finished
)
