"""Google's generateContent, as the simulator speaks it. Source: ai.google.dev/api/generate-content, 2026-11."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from starlette.requests import Request

from datastead.testing.simulator.exchange import Answer, Ask, Counts, Fault, Finish, sse

_FIELDS = frozenset(
    {"cachedContent", "contents", "generationConfig", "labels", "model", "safetySettings", "serviceTier", "store"}
    | {"systemInstruction", "system_instruction", "toolConfig", "tool_config", "tools", "generation_config"}
)
_CONFIG_FIELDS = frozenset(
    """candidateCount enableEnhancedCivicAnswers frequencyPenalty imageConfig logprobs maxOutputTokens mediaResolution
    presencePenalty responseJsonSchema responseLogprobs responseMimeType responseModalities responseSchema seed
    speechConfig stopSequences temperature thinkingConfig topK topP""".split()  # noqa: SIM905  reads best so
)
_REFUSALS = {
    "invalid": (400, "INVALID_ARGUMENT"),
    "missing-key": (403, "PERMISSION_DENIED"),
    "bad-key": (400, "INVALID_ARGUMENT"),
    "rate-limit": (429, "RESOURCE_EXHAUSTED"),
    "quota": (429, "RESOURCE_EXHAUSTED"),
    "unavailable": (503, "UNAVAILABLE"),
    "overloaded": (503, "UNAVAILABLE"),
    "context-length": (400, "INVALID_ARGUMENT"),
    "model-not-found": (404, "NOT_FOUND"),
    "no-route": (404, "NOT_FOUND"),
}
MESSAGES = {
    "rate-limit": "You exceeded your current quota, please check your plan and billing details.",
    "quota": "You exceeded your current quota, please check your plan and billing details.",
    "unavailable": "The service is currently unavailable.",
    "overloaded": "The model is overloaded. Please try again later.",
    "context-length": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
    "bad-key": "API key not valid. Please pass a valid API key.",
    "model-not-found": "models/no-such-model is not found for API version v1beta.",
    "no-route": "Not found",
}
_FINISH: dict[Finish, str] = {"stop": "STOP", "length": "MAX_TOKENS", "tool-calls": "STOP", "content-filter": "SAFETY"}
_RPC = "type.googleapis.com/google.rpc."


class GoogleGenerate:
    """`POST /v1beta/models/{model}:generateContent` and `:streamGenerateContent`."""

    def read(self, request: Request, body: Mapping[str, Any]) -> Ask:
        check_key(request)
        model, _, method = request.path_params["model"].rpartition(":")
        _check_fields(body)
        check_model(model)
        contents = _contents(body.get("contents"))
        _check_calls(model, contents)
        config = body.get("generationConfig") or {}
        thinking = config.get("thinkingConfig") or {}
        if "thinkingBudget" in thinking and "thinkingLevel" in thinking:
            raise Fault("invalid", "You can only set one of thinking_budget and thinking_level.")
        tools = tuple(
            str(function.get("name"))
            for tool in body.get("tools") or []
            for function in tool.get("functionDeclarations", [])
        )
        results = [part["functionResponse"] for part in _parts(contents[-1]) if "functionResponse" in part]
        return Ask(
            model,
            "\n".join(text for content in contents for text in _texts(content)),
            system="\n".join(_texts(body.get("systemInstruction") or {})),
            max_tokens=config.get("maxOutputTokens"),
            schema=config.get("responseJsonSchema") or config.get("responseSchema"),
            tools=tools,
            must_call=_must_call(body, tools),
            tool_result=orjson.dumps(results[-1].get("response")).decode() if results else None,
            stream=method == "streamGenerateContent",
            tier=_tier(body),
            reasoning=bool(thinking.get("includeThoughts")),
        )

    def refuse(self, fault: Fault) -> tuple[int, dict[str, str], Any]:
        status, name = _REFUSALS[fault.kind]
        code = fault.status or status
        error = {"code": code, "message": fault.message, "status": name, "details": _details(fault)}
        return code, {}, {"error": error if error["details"] else {**error, "details": []}}

    def headers(self, number: int) -> dict[str, str]:  # noqa: ARG002  Google gives no id in a header
        return {}

    def whole(self, ask: Ask, answer: Answer) -> Any:
        parts = [*_thought(answer), *([{"text": answer.text}] if answer.text else []), *_calls(ask, answer)]
        return _body(ask, answer, parts, end=True)

    def opening(self, ask: Ask, answer: Answer) -> bytes:
        return sse(_body(ask, answer, _thought(answer))) if answer.reasoning else b""

    def piece(self, ask: Ask, answer: Answer, index: int, text: str) -> bytes:  # noqa: ARG002  others need them
        return sse(_body(ask, answer, [{"text": text}]))

    def closing(self, ask: Ask, answer: Answer) -> bytes:
        return sse(_body(ask, answer, _calls(ask, answer) or [{"text": ""}], end=True))

    def broken(self) -> bytes:
        return sse({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}})


def check_key(request: Request) -> None:
    """Refuses a request without a key, or with `bad-key`."""
    key = request.headers.get("x-goog-api-key") or request.query_params.get("key")
    if not key:
        raise Fault("missing-key", "Method doesn't allow unregistered callers. Please use API Key.")
    if key == "bad-key":
        raise Fault("bad-key", MESSAGES["bad-key"])


def check_model(model: str) -> None:
    """Names that begin with `no-such` do not exist."""
    if model.startswith("no-such"):
        raise Fault("model-not-found", f"models/{model} is not found for API version v1beta.")


def _check_fields(body: Mapping[str, Any]) -> None:
    config = body.get("generationConfig") or {}
    unknown = sorted((set(body) - _FIELDS) | (set(config) - _CONFIG_FIELDS))
    if unknown:
        raise Fault("invalid", f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot find field.')


def _contents(given: Any) -> list[Mapping[str, Any]]:
    if not isinstance(given, list) or not given:
        raise Fault("invalid", "* GenerateContentRequest.contents: contents is not specified")
    for position, content in enumerate(given):
        if content.get("role", "user") not in {"user", "model", "function"}:
            raise Fault("invalid", "Please use a valid role: user, model.")
        if not _parts(content):
            raise Fault(
                "invalid", f"* GenerateContentRequest.contents[{position}].parts: contents.parts must not be empty."
            )
    return given


def _check_calls(model: str, contents: list[Mapping[str, Any]]) -> None:
    """As many responses as calls, in order; and Gemini 3 wants its signature back on a turn's first call."""
    for before, after in zip(contents, [*contents[1:], {}], strict=True):
        calls = [part for part in _parts(before) if "functionCall" in part]
        called = [part["functionCall"].get("name") for part in calls]
        answered = [part["functionResponse"].get("name") for part in _parts(after) if "functionResponse" in part]
        if called != answered:
            text = (
                "Please ensure that the number of function response parts is equal to the number of function call parts"
            )
            raise Fault("invalid", f"{text} of the function call turn.")
        if calls and model.startswith("gemini-3") and "thoughtSignature" not in calls[0]:
            raise Fault(
                "invalid", f"Function call is missing a thought_signature in functionCall parts: `{called[0]}`."
            )


def _must_call(body: Mapping[str, Any], tools: tuple[str, ...]) -> str | None:
    calling = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    allowed = calling.get("allowedFunctionNames") or tools
    return str(allowed[0]) if calling.get("mode") == "ANY" and allowed else None


def _parts(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    parts = content.get("parts")
    return [parts] if isinstance(parts, Mapping) else parts or []


def _texts(content: Mapping[str, Any]) -> Iterator[str]:
    for part in _parts(content):
        if "text" in part:
            yield str(part["text"])
        elif "functionResponse" in part:
            yield orjson.dumps(part["functionResponse"].get("response")).decode()


def _details(fault: Fault) -> list[dict[str, Any]]:
    if fault.kind == "bad-key":
        where = {"domain": "googleapis.com", "metadata": {"service": "generativelanguage.googleapis.com"}}
        return [{"@type": f"{_RPC}ErrorInfo", "reason": "API_KEY_INVALID", **where}]
    if fault.kind not in {"quota", "rate-limit"}:
        return []
    window = "PerDay" if fault.kind == "quota" else "PerMinute"
    violation = {"quotaId": f"GenerateRequests{window}PerProjectPerModel-FreeTier", "quotaValue": "5"}
    details: list[dict[str, Any]] = [{"@type": f"{_RPC}QuotaFailure", "violations": [violation]}]
    if fault.retry_after_s is not None:
        details.append({"@type": f"{_RPC}RetryInfo", "retryDelay": f"{fault.retry_after_s:g}s"})
    return details


def _body(ask: Ask, answer: Answer, parts: list[dict[str, Any]], *, end: bool = False) -> dict[str, Any]:
    finish = {"finishReason": _FINISH[answer.finish]} if end else {}
    content = {} if answer.finish == "content-filter" else {"content": {"parts": parts, "role": "model"}}
    usage = {} if answer.counts is None else {"usageMetadata": {**_usage(answer.counts, whole=end), **_served(ask)}}
    named = {"modelVersion": ask.model, "responseId": f"sim{answer.number:06d}"}
    return {"candidates": [{**content, **finish, "index": 0}], **usage, **named}


def _tier(body: Mapping[str, Any]) -> str | None:
    tier = body.get("serviceTier")
    if tier not in {None, "standard", "flex", "priority"}:
        raise Fault("invalid", f"Invalid value at 'service_tier': \"{tier}\"")
    return tier


def _served(ask: Ask) -> dict[str, Any]:
    return {} if ask.tier is None else {"serviceTier": ask.tier}


def _usage(counts: Counts, *, whole: bool) -> dict[str, Any]:
    """The prompt holds what was cached; reasoning is beside the candidates' tokens, not in them."""
    before = counts.input + counts.cache_read + counts.cache_write
    usage: dict[str, Any] = {"promptTokenCount": before}
    if counts.cache_read:
        usage["cachedContentTokenCount"] = counts.cache_read
    if whole:
        usage["candidatesTokenCount"] = counts.output - counts.reasoning
    if counts.reasoning:
        usage["thoughtsTokenCount"] = counts.reasoning
    total = before + (counts.output if whole else counts.reasoning)
    return {**usage, "totalTokenCount": total, "promptTokensDetails": [{"modality": "TEXT", "tokenCount": before}]}


def _thought(answer: Answer) -> list[dict[str, Any]]:
    return [{"text": answer.reasoning, "thought": True}] if answer.reasoning else []


def _calls(ask: Ask, answer: Answer) -> list[dict[str, Any]]:
    """Calls have ids since Gemini 3; the first of a turn has the signature."""
    has_ids = ask.model.startswith("gemini-3")
    calls = [
        {"functionCall": {"name": call.name, "args": call.arguments} | ({"id": f"sim{call.id}"} if has_ids else {})}
        for call in answer.calls
    ]
    return [{**calls[0], "thoughtSignature": f"signature-{answer.number}"}, *calls[1:]] if calls else []
