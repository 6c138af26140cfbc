"""Google's Gemini API: `generateContent` and `streamGenerateContent`, v1beta.

Sources: ai.google.dev/api/generate-content, and /gemini-api/docs/thinking, /thought-signatures, /troubleshooting,
2026-11.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import uuid4

from datastead import Decoder, Provider, provider
from datastead.builtin.providers._content import base64, inline_text, merged, service_tier
from datastead.builtin.providers._embeddings import vector
from datastead.builtin.providers._errors import Refusal, Rule, retry_after_s
from datastead.builtin.providers._pieces import Pieces
from datastead.builtin.providers._reading import an_object, count, objects, string
from datastead.builtin.providers._usage import counts_anything, tier_of
from datastead.errors import (
    AIError,
    ContentFiltered,
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
    EmbeddingCall,
    Embeddings,
    Endpoint,
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
    ToolCallDelta,
    ToolCallDone,
    ToolResult,
    Usage,
    UsageReport,
    WireRequest,
)

if TYPE_CHECKING:
    from datastead import ModelDefinition

FILES_URL = "https://generativelanguage.googleapis.com/v1beta/"
SIGNATURE = "thoughtSignature"

_BUDGETS: Mapping[Effort, int] = {"minimal": 512, "low": 1_024, "medium": 8_192, "high": 24_576}
_DYNAMIC = -1  # a budget: as much as the model sees fit
_GENERATION = re.compile(r"gemini-(\d+)")
_PRO_3 = re.compile(r"gemini-3(\.\d+)?-pro")
_DURATION = re.compile(r"^(\d+(?:\.\d+)?)s$")


@provider(
    "google",
    default_base_url="https://generativelanguage.googleapis.com",
    key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
)
class Google(Provider):
    """Google's Gemini models."""

    most_embedding_inputs = 100

    def request(self, endpoint: Endpoint, model: "ModelDefinition", call: Call) -> WireRequest:  # noqa: ARG002
        method = "streamGenerateContent?alt=sse" if call.stream else "generateContent"
        return _sent(endpoint, call.model, method, request_body(call))

    def response(self, body: Mapping[str, Any]) -> Iterator[StreamEvent]:
        if "candidates" not in body and "promptFeedback" not in body and "error" not in body:
            raise ProviderUnavailable("The provider's answer has no candidates.", provider="google")
        return _Stream().events(body)

    def decoder(self) -> Decoder:
        slow = _Stream()

        def decode(chunks: Iterable[dict[str, Any]], events: list[StreamEvent]) -> None:
            with Pieces(events) as pieces:
                for chunk in chunks:
                    if slow.is_plain:
                        try:
                            candidate = chunk["candidates"][0]
                            (part,) = candidate["content"]["parts"]
                            text = part["text"]
                            if len(part) == 1 and text.__class__ is str and "finishReason" not in candidate:
                                pieces.append(text)
                                continue
                        except (KeyError, IndexError, TypeError, ValueError):
                            pass  # not such a chunk: the careful reader below takes any shape
                    pieces.join()
                    events += slow.events(chunk)

        return Decoder(decode)

    def error(self, status: int, headers: Mapping[str, str], body: Any) -> AIError:
        whole = body[0] if isinstance(body, list) and body else body
        error = an_object(whole).get("error")
        return _typed(status, error if error is not None else {"message": whole}, retry_after_s(headers))

    def embedding_request(self, endpoint: Endpoint, call: EmbeddingCall) -> WireRequest:
        return _sent(endpoint, call.model, "batchEmbedContents", _embedding_body(call))

    def embeddings(self, body: Mapping[str, Any]) -> Embeddings:
        if body.get("error"):
            raise _error_in(body["error"])
        if not isinstance(body.get("embeddings"), list):
            raise ProviderUnavailable("The provider's answer has no embeddings.", provider="google")
        found = tuple(vector(entry.get("values"), "google") for entry in objects(body["embeddings"]))
        return Embeddings(found, usage_of(an_object(body.get("usageMetadata"))))


def _sent(endpoint: Endpoint, model: str, method: str, body: Mapping[str, Any]) -> WireRequest:
    headers = {"content-type": "application/json"}
    if endpoint.api_key:
        headers["x-goog-api-key"] = endpoint.api_key
    name = quote(model.removeprefix("models/"), safe="")
    url = f"{endpoint.base_url.rstrip('/')}/v1beta/models/{name}:{method}"
    return WireRequest(url, {**headers, **endpoint.headers}, body)


def _embedding_body(call: EmbeddingCall) -> dict[str, Any]:
    """A request for each text. Options are those of one request, such as `taskType`."""
    sized = {} if call.dimensions is None else {"outputDimensionality": call.dimensions}
    shared = merged({"model": f"models/{call.model.removeprefix('models/')}", **sized}, call.provider_options)
    return {"requests": [{**shared, "content": {"parts": [{"text": text}]}} for text in call.inputs]}


def request_body(call: Call) -> dict[str, Any]:
    """The call as JSON. Google keeps the beginning of every prompt by itself: `prompt_cache` says nothing here."""
    if call.tools and call.parallel_tools is False:
        raise UnsupportedCapability(
            f"`{call.model}` cannot be kept from calling several tools at once.",
            model=call.model, capability="parallel_tools",
        )  # fmt: skip
    config = {
        "maxOutputTokens": call.max_tokens,
        "temperature": call.temperature,
        "topP": call.top_p,
        "stopSequences": list(call.stop) or None,
        "responseMimeType": "application/json" if call.schema is not None else None,
        "responseJsonSchema": call.schema,
        "thinkingConfig": _thinking(call),
    }
    body = {
        "systemInstruction": {"parts": [{"text": call.system}]} if call.system else None,
        "contents": _contents(call.messages),
        "tools": [{"functionDeclarations": [_function(tool) for tool in call.tools]}] if call.tools else None,
        "toolConfig": {"functionCallingConfig": _calling(call.tool_choice)} if call.tools else None,
        "serviceTier": service_tier(call, ("flex", "priority"), "Google's API"),
        "generationConfig": {key: value for key, value in config.items() if value is not None} or None,
    }
    return merged(body, call.provider_options)


def _thinking(call: Call) -> dict[str, Any] | None:
    """Since Gemini 3 in levels, before in tokens. Without a word of the call's, as the model does by itself."""
    shown = {"includeThoughts": True} if call.enable_reasoning else {}
    if call.budget_tokens is not None:
        return {**shown, "thinkingBudget": call.budget_tokens}
    generation = _GENERATION.search(call.model)
    in_levels = generation is not None and int(generation[1]) >= 3
    if call.effort is not None:
        return (
            {**shown, "thinkingLevel": _level(call)}
            if in_levels
            else {**shown, "thinkingBudget": _BUDGETS[call.effort]}
        )
    return ({**shown} if in_levels else {**shown, "thinkingBudget": _DYNAMIC}) if shown else None


def _level(call: Call) -> str | None:
    """Gemini 3 Pro has `low` and `high` only; its successors have `medium`, too; none of them has `minimal`."""
    found = _PRO_3.search(call.model)
    if found is None:
        return call.effort
    has_medium = bool(found[1])
    return "low" if call.effort in {"minimal", "low"} else call.effort if has_medium else "high"


def _function(tool: Any) -> dict[str, Any]:
    return {"name": tool.name, "description": tool.description, "parametersJsonSchema": tool.input_schema}


def _calling(choice: str) -> dict[str, Any]:
    modes = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
    return {"mode": modes[choice]} if choice in modes else {"mode": "ANY", "allowedFunctionNames": [choice]}


def _contents(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """The turns: what follows one another in the same role is one. Tool results stand in the order of their calls."""
    turns: list[tuple[str, list[Part]]] = []
    for message in messages:
        role = "model" if message.role == "assistant" else "user"
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(message.parts)
        else:
            turns.append((role, list(message.parts)))
    contents: list[dict[str, Any]] = []
    calls: dict[str, tuple[int, bool]] = {}
    for role, parts in turns:
        ordered = sorted(parts, key=lambda part: _place(part, calls)) if role == "user" else parts
        wire = [found for part in ordered for found in _parts(part, calls)]
        calls = _called(parts) if role == "model" else calls
        if wire:
            contents.append({"role": role, "parts": wire})
    return contents


def _called(parts: list[Part]) -> dict[str, tuple[int, bool]]:
    """Place of each call in its turn, and whether its id is the provider's own."""
    calls = [part for part in parts if isinstance(part, ToolCall)]
    return {call.id: (place, _has_id(call)) for place, call in enumerate(calls)}


def _has_id(call: ToolCall) -> bool:
    return call.opaque is not None and call.opaque.get("id") == call.id


def _place(part: Part, calls: Mapping[str, tuple[int, bool]]) -> int:
    return calls.get(part.id, (0, False))[0] if isinstance(part, ToolResult) else len(calls)


def _parts(part: Part, calls: Mapping[str, tuple[int, bool]]) -> Iterator[dict[str, Any]]:
    if isinstance(part, Text):
        if part.text:
            yield {"text": part.text}
    elif isinstance(part, Attachment):
        yield _file(part)
    elif isinstance(part, ToolCall):
        named = {"name": part.name, "args": part.arguments} | ({"id": part.id} if _has_id(part) else {})
        yield {"functionCall": named, **_signature(part.opaque)}
    elif isinstance(part, ToolResult):
        named = {"name": part.name, "response": _result(part)}
        yield {"functionResponse": named | ({"id": part.id} if calls.get(part.id, (0, False))[1] else {})}
    elif _signature(part.opaque):
        yield {"text": "", **_signature(part.opaque)}


def _signature(opaque: Mapping[str, Any] | None) -> dict[str, Any]:
    return {SIGNATURE: opaque[SIGNATURE]} if opaque is not None and SIGNATURE in opaque else {}


def _result(part: ToolResult) -> Mapping[str, Any]:
    """The wire wants an object: the tool's own where it gave one."""
    try:
        value = json.loads(part.content)
    except ValueError:
        value = part.content
    if part.is_error:
        return {"error": value}
    return value if isinstance(value, dict) else {"result": value}


def _file(part: Attachment) -> dict[str, Any]:
    text = inline_text(part)
    if text is not None:
        return {"text": text}
    if part.data is not None:
        return {"inlineData": {"mimeType": part.media_type, "data": base64(part.data)}}
    uri = part.url or string(part.file_id)
    uri = f"{FILES_URL}{uri}" if uri.startswith("files/") else uri
    return {"fileData": {"mimeType": part.media_type, "fileUri": uri}}


def usage_of(raw: Mapping[str, Any], *, at_end: bool = True) -> Usage | None:
    """The wire's usage in disjoint parts: the prompt holds what was cached, the candidates' tokens hold no thoughts.

    What tools gave is a prompt of its own. Audio and images are told apart where the wire does; of what was cached, the
    images are billed as text is, and sound is not. None where it does not say.
    """
    if not counts_anything(raw, "promptTokenCount", "candidatesTokenCount", "totalTokenCount"):
        return None
    prompt = count(raw.get("promptTokenCount")) + count(raw.get("toolUsePromptTokenCount"))
    thought, said = count(raw.get("thoughtsTokenCount")), count(raw.get("candidatesTokenCount"))
    if not (prompt or said or thought or at_end):
        return None
    cache_read = min(count(raw.get("cachedContentTokenCount")), prompt)
    audio_input = min(_uncached(raw, "AUDIO"), prompt - cache_read)
    image_input = min(_uncached(raw, "IMAGE"), prompt - cache_read - audio_input)
    audio_output = min(_counted(raw, "candidatesTokensDetails", "AUDIO"), said)
    image_output = min(_counted(raw, "candidatesTokensDetails", "IMAGE"), said - audio_output)
    return Usage(
        input=prompt - cache_read - audio_input - image_input,
        output=said + thought - audio_output - image_output,
        cache_read=cache_read,
        cache_read_audio=min(_counted(raw, "cacheTokensDetails", "AUDIO"), cache_read),
        audio_input=audio_input,
        audio_output=audio_output,
        image_input=image_input,
        image_output=image_output,
        reasoning=thought,
        tier=tier_of(raw.get("serviceTier"), raw.get("trafficType")),
        raw=raw,
    )


def _uncached(raw: Mapping[str, Any], modality: str) -> int:
    """Prompt tokens of a modality that were not read from a cache; the tools' included."""
    given = _counted(raw, "promptTokensDetails", modality) + _counted(raw, "toolUsePromptTokensDetails", modality)
    return max(given - _counted(raw, "cacheTokensDetails", modality), 0)


def _counted(raw: Mapping[str, Any], where: str, modality: str) -> int:
    given = raw.get(where)
    if not given:
        return 0
    return sum(count(each.get("tokenCount")) for each in objects(given) if each.get("modality") == modality)


_FINISH: Mapping[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content-filter",
    "RECITATION": "content-filter",
    "LANGUAGE": "content-filter",
    "BLOCKLIST": "content-filter",
    "PROHIBITED_CONTENT": "content-filter",
    "SPII": "content-filter",
    "IMAGE_SAFETY": "content-filter",
    "IMAGE_PROHIBITED_CONTENT": "content-filter",
    "IMAGE_RECITATION": "content-filter",
    "MODEL_ARMOR": "content-filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "MALFORMED_RESPONSE": "error",
}


class _Stream:
    """What has to be remembered in a stream. A whole answer is a stream of one chunk.

    is_plain: it has started, and no thoughts are open.
    """

    def __init__(self) -> None:
        self.is_plain = False
        self._started = False
        self._thoughts: list[str] = []
        self._response_id: str | None = None
        self._calls = 0
        self._counted = False

    def events(self, chunk: Mapping[str, Any]) -> Iterator[StreamEvent]:
        if chunk.get("error"):
            raise _error_in(chunk["error"])
        if not self._started:
            self._started = True
            self._response_id = string(chunk.get("responseId")) or None
            yield Started(self._response_id, string(chunk.get("modelVersion")) or None)
        candidate = next(iter(objects(chunk.get("candidates"))), {})
        for part in objects(an_object(candidate.get("content")).get("parts")):
            yield from self._part(part)
        self.is_plain = not self._thoughts
        reason = string(candidate.get("finishReason"))
        usage = usage_of(an_object(chunk.get("usageMetadata")), at_end=bool(reason))
        if usage is not None and (usage.total or not self._counted):
            self._counted = True
            yield UsageReport(usage)
        _refuse_blocked(chunk)
        if reason:
            yield from self._thought(None)
            yield self._finished(reason)

    def _finished(self, reason: str) -> Finished:
        known = _FINISH.get(reason, "other")
        return Finished("tool-calls" if known == "stop" and self._calls else known, reason)

    def _part(self, part: Mapping[str, Any]) -> Iterator[StreamEvent]:
        text, signature = string(part.get("text")), part.get(SIGNATURE)
        if part.get("thought"):
            if text:
                self._thoughts.append(text)
                yield ReasoningDelta(text)
            return
        if "functionCall" in part:
            yield from self._thought(None)
            yield from self._call(an_object(part["functionCall"]), signature)
            return
        if text or signature:
            yield from self._thought(signature)
        if text:
            yield TextDelta(text)

    def _thought(self, signature: Any) -> Iterator[StreamEvent]:
        """The end of the thoughts: the wire does not mark it, but what follows does."""
        if self._thoughts or signature:
            text, self._thoughts = "".join(self._thoughts), []
            yield ReasoningDone(Reasoning(text, {SIGNATURE: signature} if signature else None))

    def _call(self, wire: Mapping[str, Any], signature: Any) -> Iterator[StreamEvent]:
        own_id, name = string(wire.get("id")), string(wire.get("name"))
        made_id = f"{self._response_id or uuid4().hex}-{self._calls}"
        self._calls += 1
        opaque = ({"id": own_id} if own_id else {}) | ({SIGNATURE: signature} if signature else {})
        call = ToolCall(own_id or made_id, name, an_object(wire.get("args")), opaque or None)
        yield ToolCallDelta(call.id, name, json.dumps(call.arguments, ensure_ascii=False))
        yield ToolCallDone(call)


def _refuse_blocked(chunk: Mapping[str, Any]) -> None:
    reason = string(an_object(chunk.get("promptFeedback")).get("blockReason"))
    if reason:
        raise ContentFiltered(f"The prompt was blocked: `{reason}`.", provider="google", provider_code=reason)


TABLE = (
    Rule(InvalidApiKey, ("API_KEY_*", "UNAUTHENTICATED", "PERMISSION_DENIED")),
    # What is used up for a day, and a prompt that is too long, have no code of their own.
    Rule(QuotaExceeded, ("RESOURCE_EXHAUSTED",), says=("perday", "credits are depleted")),
    Rule(RateLimitExceeded, ("RESOURCE_EXHAUSTED",)),
    Rule(
        ContextLengthExceeded,
        ("INVALID_ARGUMENT",),
        says=("exceeds the maximum number of tokens", "but model only supports up to"),
    ),
    Rule(InvalidRequest, ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE")),
    Rule(ModelNotFound, ("NOT_FOUND",)),
    Rule(ProviderTimeout, ("DEADLINE_EXCEEDED",)),
    Rule(ProviderUnavailable, ("INTERNAL", "UNAVAILABLE")),
)
"""What a refusal is; where no row fits, its status says it."""


def _error_in(error: object) -> AIError:
    """The typed error for an error object inside a stream, or in place of an answer."""
    return _typed(count(an_object(error).get("code")), error, None)


def _typed(status: int, error: object, wait_s: float | None) -> AIError:
    fields = an_object(error)
    details = objects(fields.get("details"))
    reason = next((string(each.get("reason")) for each in details if each.get("reason")), "")
    waits = (_DURATION.match(string(each.get("retryDelay"))) for each in details)
    wait_s = next((float(found[1]) for found in waits if found), wait_s)
    message = string(fields.get("message")) or string(error)
    quotas = " ".join(_quotas(details))
    return Refusal("google", status, message, reason, string(fields.get("status")), wait_s, quotas).typed(TABLE)


def _quotas(details: list[Mapping[str, Any]]) -> list[str]:
    ids = [string(each.get("quotaId")) for detail in details for each in objects(detail.get("violations"))]
    return ids + [string(an_object(detail.get("metadata")).get("quota_limit")) for detail in details]
