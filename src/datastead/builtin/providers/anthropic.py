"""Anthropic's Messages API, version 2023-06-01.

Sources: platform.claude.com/docs/en/api/messages and /errors, /build-with-claude/streaming and /adaptive-thinking,
2026-11.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from datastead import Decoder, Provider, provider
from datastead.builtin.providers._content import (
    PDF,
    base64,
    inline_text,
    is_image,
    merged,
    service_tier,
    unsupported,
)
from datastead.builtin.providers._errors import Refusal, Rule, retry_after_s
from datastead.builtin.providers._pieces import Pieces
from datastead.builtin.providers._reading import an_object, arguments, count, objects, string
from datastead.builtin.providers._schemas import for_anthropic
from datastead.builtin.providers._usage import counts_anything, tier_of
from datastead.errors import (
    AIError,
    ContextLengthExceeded,
    InvalidApiKey,
    InvalidRequest,
    ModelNotFound,
    ProviderTimeout,
    ProviderUnavailable,
    QuotaExceeded,
    RateLimitExceeded,
    UnsupportedCapability,
)
from datastead.messages import (
    Attachment,
    Call,
    Effort,
    Endpoint,
    Finished,
    FinishReason,
    Message,
    Part,
    PromptCache,
    Reasoning,
    ReasoningDelta,
    ReasoningDone,
    ServiceTier,
    Started,
    StreamEvent,
    Text,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallDone,
    ToolResult,
    Usage,
    UsageReport,
    WireRequest,
)

if TYPE_CHECKING:
    from datastead import ModelDefinition

VERSION = "2023-06-01"
FILES_BETA = "files-api-2025-04-14"
DEFAULT_MAX_TOKENS = 16_384  # where the call has no cap; the API wants one
LEAST_BUDGET = 1_024  # tokens

MOST_MARKS = 4  # of a prompt's parts that shall be kept
_UNMARKABLE = frozenset({"thinking", "redacted_thinking"})
_SERVICE_TIERS: Mapping[ServiceTier | None, str] = {"priority": "auto"}
_BUDGETS: Mapping[Effort, int] = {"minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 24_576}
_MODEL_VERSION = re.compile(r"claude-[a-z]+-(\d+)(?:-(\d{1,2}))?(?!\d)")


@provider("anthropic", default_base_url="https://api.anthropic.com", key_variables=("ANTHROPIC_API_KEY",))
class Anthropic(Provider):
    """Anthropic's Claude models."""

    def request(self, endpoint: Endpoint, model: "ModelDefinition", call: Call) -> WireRequest:
        headers = {"content-type": "application/json", "anthropic-version": VERSION}
        if endpoint.api_key:
            headers["x-api-key"] = endpoint.api_key
        if _names_files(call):
            headers["anthropic-beta"] = FILES_BETA
        url = f"{endpoint.base_url.rstrip('/')}/v1/messages"
        return WireRequest(url, {**headers, **endpoint.headers}, request_body(model, call))

    def response(self, body: Mapping[str, Any]) -> Iterator[StreamEvent]:
        if body.get("type") == "error" or not isinstance(body.get("content"), list):
            raise _error_in(body.get("error") or {"message": "The provider's answer is not a message."})
        yield Started(string(body.get("id")) or None, string(body.get("model")) or None)
        for block in objects(body["content"]):
            yield from _block_events(block)
        usage = usage_of(an_object(body.get("usage")))
        if usage is not None:
            yield UsageReport(usage)
        yield _finished(string(body.get("stop_reason")))

    def decoder(self) -> Decoder:
        slow = _Stream()

        def decode(chunks: Iterable[dict[str, Any]], events: list[StreamEvent]) -> None:
            with Pieces(events) as pieces:
                for chunk in chunks:
                    try:
                        delta = chunk["delta"]
                        if delta["type"] == "text_delta" and chunk["type"] == "content_block_delta":
                            text = delta["text"]
                            if text.__class__ is str:
                                pieces.append(text)
                            continue
                    except (KeyError, TypeError):
                        pass  # not such a chunk: the careful reader below takes any shape
                    pieces.join()
                    events += slow.events(chunk)

        return Decoder(decode)

    def error(self, status: int, headers: Mapping[str, str], body: Any) -> AIError:
        return _read(status, an_object(body).get("error") or body, retry_after_s(headers)).typed(TABLE)


def request_body(model: "ModelDefinition", call: Call) -> dict[str, Any]:
    """The call as JSON. With thinking, and on the newest models always, temperature and top_p are left out."""
    cap = call.max_tokens or min(model.limit.output, DEFAULT_MAX_TOKENS)
    adaptive, unsampled = _version(call.model) >= (4, 6), _version(call.model) >= (4, 7)
    thinking = _thinking(call, cap, adaptive=adaptive, shown=unsampled)
    sampled = thinking is None and not unsampled
    messages = _messages(call.messages)
    if thinking is not None and call.tools and call.tool_choice not in {"auto", "none"}:
        raise UnsupportedCapability(
            f"`{call.model}` cannot be made to call a tool while it reasons: use `auto`, or do not reason.",
            model=call.model, capability="tool_choice", value=call.tool_choice,
        )  # fmt: skip
    body = {
        "model": call.model,
        "max_tokens": cap,
        "system": call.system or None,
        "messages": messages,
        "temperature": call.temperature if sampled else None,
        "top_p": call.top_p if sampled else None,
        "stop_sequences": list(call.stop) or None,
        "thinking": thinking,
        "output_config": _output_config(call, with_effort=adaptive and thinking is not None),
        "tools": [_tool(tool) for tool in call.tools] or None,
        "tool_choice": _tool_choice(call) if call.tools else None,
        "stream": call.stream or None,
        "service_tier": _SERVICE_TIERS.get(service_tier(call, ("priority",), "Anthropic's Messages API")),
    }
    if call.prompt_cache is not None:
        _mark_cached(body, call.prompt_cache, MOST_MARKS - ("cache_control" in call.provider_options))
    return merged(body, call.provider_options)


def _mark_cached(body: dict[str, Any], prompt_cache: PromptCache, marks: int) -> None:
    """Says how far the prompt shall be kept: to the end of each of the last turns, of the system prompt, of the tools.

    The end of the last turn is where the next call goes on; the one before it is where the last call left off.
    """
    mark = {"cache_control": {"type": "ephemeral", **({"ttl": "1h"} if prompt_cache == "1h" else {})}}
    if isinstance(body["system"], str):
        body["system"] = [{"type": "text", "text": body["system"]}]
    turns = [turn["content"] for turn in reversed(body["messages"]) if turn["role"] == "user"]
    for blocks in [*turns[:1], body["system"] or [], body["tools"] or [], *turns[1:2]]:
        markable = [position for position, block in enumerate(blocks) if block.get("type") not in _UNMARKABLE]
        if markable and marks > 0:
            marks -= 1
            blocks[markable[-1]] = {**blocks[markable[-1]], **mark}


def _version(model: str) -> tuple[int, int]:
    """The model's generation: (4, 6) of `claude-opus-4-6`; of an unknown name, the oldest that thinks."""
    found = _MODEL_VERSION.search(model)
    return (int(found[1]), int(found[2] or 0)) if found else (3, 7)


def _thinking(call: Call, cap: int, *, adaptive: bool, shown: bool) -> dict[str, Any] | None:
    """How to think: since 4.6 as much as the model sees fit, up to an effort; before, within a budget below the cap.

    shown: the model leaves its thoughts out unless it is told otherwise.
    """
    if not (call.enable_reasoning or call.effort or call.budget_tokens):
        return None
    if adaptive:
        return {"type": "adaptive", "display": "summarized"} if shown else {"type": "adaptive"}
    if cap <= LEAST_BUDGET:
        raise InvalidRequest(
            f"To reason, `{call.model}` needs a `max_tokens` above {LEAST_BUDGET}: {cap} is too few.",
            model=call.model,
            max_tokens=cap,
        )
    wanted = call.budget_tokens or _BUDGETS[call.effort or "medium"]
    room = max(cap - max(cap // 4, 1), LEAST_BUDGET)  # what is left is for the answer
    return {"type": "enabled", "budget_tokens": max(min(wanted, room), LEAST_BUDGET)}


def _output_config(call: Call, *, with_effort: bool) -> dict[str, Any] | None:
    config: dict[str, Any] = {}
    if with_effort and (call.effort or call.budget_tokens):
        config["effort"] = _effort(call)
    if call.schema is not None:
        config["format"] = {"type": "json_schema", "schema": for_anthropic(call.schema)}
    return config or None


def _effort(call: Call) -> str:
    """The wire's effort; a budget says which is nearest, as adaptive models have none."""
    if call.effort is not None:
        return "low" if call.effort == "minimal" else call.effort
    budget = call.budget_tokens or 0
    return "low" if budget < 4_096 else "medium" if budget < 16_384 else "high"


def _tool(tool: Any) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "input_schema": tool.input_schema}


def _tool_choice(call: Call) -> dict[str, Any]:
    kinds, choice = {"auto": "auto", "none": "none", "required": "any"}, call.tool_choice
    chosen: dict[str, Any] = {"type": kinds[choice]} if choice in kinds else {"type": "tool", "name": choice}
    told = call.parallel_tools is not None and choice != "none"
    return {**chosen, "disable_parallel_tool_use": not call.parallel_tools} if told else chosen


def _names_files(call: Call) -> bool:
    parts = (part for message in call.messages for part in message.parts)
    return any(isinstance(part, Attachment) and part.file_id is not None for part in parts)


def _messages(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """The turns: what follows one another in the same role is one turn, its tool results first."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        blocks = [block for part in message.parts for block in _blocks(part)]
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    for turn in turns:
        turn["content"].sort(key=lambda block: block["type"] != "tool_result")
    return turns


def _blocks(part: Part) -> Iterator[dict[str, Any]]:
    if isinstance(part, Text):
        if part.text:
            yield {"type": "text", "text": part.text}
    elif isinstance(part, Attachment):
        yield _file(part)
    elif isinstance(part, ToolCall):
        yield {"type": "tool_use", "id": part.id, "name": part.name, "input": part.arguments}
    elif isinstance(part, ToolResult):
        failed = {"is_error": True} if part.is_error else {}
        yield {"type": "tool_result", "tool_use_id": part.id, "content": part.content, **failed}
    elif part.opaque is not None and part.opaque.get("type") in {"thinking", "redacted_thinking"}:
        yield dict(part.opaque)


def _file(part: Attachment) -> dict[str, Any]:
    if not is_image(part) and part.media_type != PDF and not part.media_type.startswith("text/"):
        text = inline_text(part)
        if text is None:
            raise unsupported(part, "Anthropic's Messages API")
        return {"type": "text", "text": text}
    titled = {"title": part.filename} if part.filename and not is_image(part) else {}
    return {"type": "image" if is_image(part) else "document", "source": _source(part), **titled}


def _source(part: Attachment) -> dict[str, str]:
    if part.file_id is not None:
        return {"type": "file", "file_id": part.file_id}
    if part.url is not None:
        if part.media_type.startswith("text/"):
            raise unsupported(part, "Anthropic's Messages API")
        return {"type": "url", "url": part.url}
    data = part.data or b""
    if part.media_type.startswith("text/"):
        return {"type": "text", "media_type": "text/plain", "data": data.decode("utf-8", errors="replace")}
    return {"type": "base64", "media_type": part.media_type, "data": base64(data)}


def usage_of(raw: Mapping[str, Any], *, at_end: bool = True) -> Usage | None:
    """The wire's usage, which is in disjoint parts already; output includes thinking. None where it does not say.

    at_end: whether the answer is complete: before that, zeros are what gateways fill a frame with.
    """
    if not counts_anything(raw, "input_tokens", "output_tokens"):
        return None
    written, detail = count(raw.get("cache_creation_input_tokens")), an_object(raw.get("cache_creation"))
    for_an_hour = count(detail.get("ephemeral_1h_input_tokens"))
    written = max(written, for_an_hour + count(detail.get("ephemeral_5m_input_tokens")))
    output = count(raw.get("output_tokens"))
    thought = count(an_object(raw.get("output_tokens_details")).get("thinking_tokens"))
    usage = Usage(
        input=count(raw.get("input_tokens")),
        output=output,
        cache_read=count(raw.get("cache_read_input_tokens")),
        cache_write=written - for_an_hour,
        cache_write_1h=for_an_hour,
        reasoning=min(thought, output),
        tier=tier_of(raw.get("service_tier")),
        raw=raw,
    )
    return usage if usage.total or at_end else None


_FINISH: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool-calls",
    "refusal": "content-filter",
}


def _finished(reason: str) -> Finished:
    return Finished(_FINISH.get(reason, "other"), reason or None)


def _block_events(block: Mapping[str, Any]) -> Iterator[StreamEvent]:
    kind = string(block.get("type"))
    if kind == "text":
        text = string(block.get("text"))
        if text:
            yield TextDelta(text)
    elif kind in {"thinking", "redacted_thinking"}:
        thought = string(block.get("thinking"))
        if thought:
            yield ReasoningDelta(thought)
        yield ReasoningDone(Reasoning(thought, block))
    elif kind == "tool_use":
        call = ToolCall(string(block.get("id")), string(block.get("name")), an_object(block.get("input")))
        yield ToolCallDelta(call.id, call.name)
        yield ToolCallDone(call)


class _Stream:
    """What has to be remembered in a stream: the blocks that are not text, the usage so far, the reason of the end.

    _is_opening: the only output tokens that were counted are those of the opening frame.
    """

    def __init__(self) -> None:
        self._blocks: dict[int, dict[str, Any]] = {}
        self._json: dict[int, list[str]] = {}
        self._usage: dict[str, Any] = {}
        self._reason = ""
        self._is_opening = True
        self._handlers: dict[str, Callable[[Mapping[str, Any]], Iterable[StreamEvent]]] = {
            "message_start": self._message_start,
            "content_block_start": self._block_start,
            "content_block_delta": self._block_delta,
            "content_block_stop": self._block_stop,
            "message_delta": self._message_delta,
            "message_stop": lambda _: (_finished(self._reason),),
            "error": self._error,
        }

    def events(self, chunk: Mapping[str, Any]) -> Iterable[StreamEvent]:
        handler = self._handlers.get(string(chunk.get("type")))
        return handler(chunk) if handler is not None else ()

    def _message_start(self, chunk: Mapping[str, Any]) -> Iterable[StreamEvent]:
        message = an_object(chunk.get("message"))
        yield Started(string(message.get("id")) or None, string(message.get("model")) or None)
        yield from self._report(message, at_end=False)

    def _report(self, holder: Mapping[str, Any], *, at_end: bool) -> Iterator[StreamEvent]:
        """Usage is cumulative; a later frame leaves out what has not changed, and takes nothing back."""
        given = {key: value for key, value in an_object(holder.get("usage")).items() if value is not None}
        self._usage |= {key: value for key, value in given.items() if value != 0 or key not in self._usage}
        usage = usage_of(dict(self._usage), at_end=at_end) if given else None
        if usage is not None:
            yield UsageReport(usage)

    def _block_start(self, chunk: Mapping[str, Any]) -> Iterable[StreamEvent]:
        index, block = count(chunk.get("index")), dict(an_object(chunk.get("content_block")))
        if block.get("type") == "text":
            return (TextDelta(block["text"]),) if string(block.get("text")) else ()
        self._blocks[index] = block
        if block.get("type") != "tool_use":
            return ()
        self._json[index] = []
        return (ToolCallDelta(string(block.get("id")), string(block.get("name"))),)

    def _block_delta(self, chunk: Mapping[str, Any]) -> Iterable[StreamEvent]:
        index, delta = count(chunk.get("index")), an_object(chunk.get("delta"))
        block = self._blocks.get(index, {})
        kind = delta.get("type")
        if kind == "input_json_delta" and index in self._json:
            piece = string(delta.get("partial_json"))
            self._json[index].append(piece)
            return (ToolCallDelta(string(block.get("id")), arguments=piece),) if piece else ()
        if kind == "thinking_delta":
            piece = string(delta.get("thinking"))
            block["thinking"] = string(block.get("thinking")) + piece
            return (ReasoningDelta(piece),)
        if kind == "signature_delta":
            block["signature"] = string(block.get("signature")) + string(delta.get("signature"))
        return ()

    def _block_stop(self, chunk: Mapping[str, Any]) -> Iterable[StreamEvent]:
        index = count(chunk.get("index"))
        block = self._blocks.pop(index, {})
        if string(block.get("type")) in {"thinking", "redacted_thinking"}:
            return (ReasoningDone(Reasoning(string(block.get("thinking")), block)),)
        if block.get("type") != "tool_use":
            return ()
        name, text = string(block.get("name")), "".join(self._json.pop(index, []))
        given = arguments(text, name) if text else an_object(block.get("input"))
        return (ToolCallDone(ToolCall(string(block.get("id")), name, given)),)

    def _message_delta(self, chunk: Mapping[str, Any]) -> Iterable[StreamEvent]:
        if self._is_opening and "output_tokens" in an_object(chunk.get("usage")):
            self._is_opening = False
            self._usage.pop("output_tokens", None)  # the opening frame counts a token before there is any
        self._reason = string(an_object(chunk.get("delta")).get("stop_reason")) or self._reason
        return self._report(chunk, at_end=True)

    def _error(self, chunk: Mapping[str, Any]) -> Iterable[StreamEvent]:
        raise _error_in(chunk.get("error"))


TABLE = (
    Rule(QuotaExceeded, ("*spend_limit_reached", "billing_error")),
    # A prompt that is too long and an empty balance have no code of their own: only their words tell.
    Rule(ContextLengthExceeded, ("invalid_request_error",), says=("prompt is too long", "exceed context limit")),
    Rule(QuotaExceeded, ("invalid_request_error",), says=("credit balance",)),
    Rule(InvalidRequest, ("invalid_request_error", "request_too_large")),
    Rule(InvalidApiKey, ("authentication_error", "permission_error")),
    Rule(ModelNotFound, ("not_found_error",)),
    Rule(RateLimitExceeded, ("rate_limit_error",)),
    Rule(ProviderTimeout, ("timeout_error",)),
    Rule(ProviderUnavailable, ("api_error", "overloaded_error")),
)
"""What a refusal is; where no row fits, its status says it."""


def _error_in(error: object) -> AIError:
    """The typed error for an error object inside a stream, or in place of an answer."""
    return _read(0, error, None).typed(TABLE)


def _read(status: int, error: object, wait_s: float | None) -> Refusal:
    fields = an_object(error)
    message = string(fields.get("message")) or string(error)
    code = string(an_object(fields.get("details")).get("error_code"))
    return Refusal("anthropic", status, message, code, string(fields.get("type")), wait_s)
