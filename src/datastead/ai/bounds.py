"""How many tokens a call can use, and how many it will have used: before the call and without asking the provider.

The upper bound is what a hold is made of, so it must never be too low; the lower bound is why a call is refused, so it
must never be too high. What a tokenizer really counts lies between.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datastead.ai.context_window import check_context
from datastead.ai.models import ModelDefinition
from datastead.errors import InvalidRequest, UnsupportedCapability
from datastead.messages import Attachment, Call, Text, ToolResult

FRAME_TOKENS = 64  # what a provider wraps around a prompt, beyond what the request's own JSON counts for
TOOL_FRAME_TOKENS = 1024  # the hidden instructions that come with tools; Anthropic's are 264 to 804
BYTES_PER_TOKEN = 3  # for estimates: English has about 4.5, most other writing 2 to 4

_OUTPUT_CAPS = ("max_output_tokens", "max_completion_tokens", "max_tokens")
_STORED_CONTEXT = frozenset({"previous_response_id", "conversation", "cachedContent"})


@dataclass(slots=True)
class Bounds:
    """The most tokens that a request can use. capped: the caller limits the output. plain: see `prices`."""

    input: int
    output: int
    capped: bool
    plain: bool

    @property
    def total(self) -> int:
        return self.input + self.output


def bounds_of(call: Call, model: ModelDefinition, wire: Mapping[str, Any], size_bytes: int) -> Bounds:
    """The upper bound, read off the JSON that will be sent, so that it holds whatever a mapping or an option adds.

    size_bytes: of that JSON. No tokenizer makes more tokens than a text has UTF-8 bytes. What the JSON only refers to
    (a file, a stored conversation) is counted as a full context.
    """
    files = _attachments(call)
    elsewhere = not _STORED_CONTEXT.isdisjoint(wire)
    encoded = sum(len(file.data) * 4 // 3 for file in files if file.data is not None) if files else 0
    text = max(size_bytes - encoded, 0) + FRAME_TOKENS + (TOOL_FRAME_TOKENS if "tools" in wire else 0)
    beyond = model.limit.context if files or elsewhere else 0
    cap, answers = _output_cap(wire)
    output = (model.limit.output if cap is None else cap) * answers
    capped = call.max_tokens is not None or (cap is not None and bool(call.provider_options))
    return Bounds(text + beyond, output, capped, not files and not _mentions_cache(call))


def check_call(call: Call, model: ModelDefinition) -> None:
    """Raises an `InvalidRequest` where the model cannot take the call, before anything is sent."""
    if model.kind != "chat":
        raise UnsupportedCapability(
            f"`{model.model}` makes vectors, and does not answer.",
            model=model.model, provider=model.provider, capability="chat",
        )  # fmt: skip
    if call.max_tokens is not None and call.max_tokens > model.limit.output:
        raise InvalidRequest(
            f"`max_tokens` is {call.max_tokens}, and `{model.model}` answers with at most {model.limit.output} tokens.",
            parameter="max_tokens", value=call.max_tokens, allowed=model.limit.output,
        )  # fmt: skip
    check_capabilities(call, model)
    check_context(call, model)


def check_capabilities(call: Call, model: ModelDefinition) -> None:
    """Raises `UnsupportedCapability` where the model cannot do what the call asks for."""
    if not model.attachment and _attachments(call):
        raise _lacking(model, "attachment", "takes no attachments")
    if not model.reasoning and (call.enable_reasoning or call.effort or call.budget_tokens):
        raise _lacking(model, "reasoning", "does not reason")
    if not model.tools and call.tools:
        raise _lacking(model, "tools", "calls no tools")


def _lacking(model: ModelDefinition, capability: str, what: str) -> UnsupportedCapability:
    return UnsupportedCapability(
        f"`{model.model}` {what}.", model=model.model, provider=model.provider, capability=capability
    )


def estimate_tokens(text: str) -> int:
    """About how many tokens a text is, rather more than fewer: for answers whose usage the provider did not report."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def estimate_prompt(call: Call) -> int:
    """About how many tokens a prompt is."""
    return sum(estimate_tokens(text) for text in _texts(call))


def _texts(call: Call) -> list[str]:
    parts = (part for message in call.messages for part in message.parts)
    said = [
        part.text if isinstance(part, Text) else part.content for part in parts if isinstance(part, Text | ToolResult)
    ]
    return [call.system, *said] if call.system else said


def _attachments(call: Call) -> list[Attachment]:
    return [part for message in call.messages for part in message.parts if isinstance(part, Attachment)]


def _mentions_cache(call: Call) -> bool:
    return call.prompt_cache is not None or (bool(call.provider_options) and "cache" in repr(call.provider_options))


def _output_cap(wire: Mapping[str, Any]) -> tuple[int | None, int]:
    """The output cap of one answer, and how many answers are asked for, in any of the wire formats."""
    cap, answers = _largest(wire, _OUTPUT_CAPS), _largest(wire, ("n",))
    google = wire.get("generationConfig")
    if isinstance(google, dict):
        cap = cap or _largest(google, ("maxOutputTokens",))
        answers = answers or _largest(google, ("candidateCount",))
    return cap, answers or 1


def _largest(wire: Mapping[str, Any], names: tuple[str, ...]) -> int | None:
    found = 0
    for name in names:
        value = wire.get(name)
        if value.__class__ is int and value > found:
            found = int(value)
    return found or None
