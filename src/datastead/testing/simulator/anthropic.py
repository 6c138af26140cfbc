"""Anthropic's Messages API, as the simulator speaks it. Source: platform.claude.com/docs/en/api/messages, 2026-11."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from starlette.requests import Request

from datastead.testing.simulator.exchange import Answer, Ask, Counts, Fault, Finish, sse

_FIELDS = frozenset(
    """cache_control container context_management inference_geo max_tokens mcp_servers messages metadata model
    output_config service_tier speed stop_sequences stream system temperature thinking tool_choice tools top_k
    top_p""".split()  # noqa: SIM905  reads best so
)
_REFUSALS = {
    "invalid": (400, "invalid_request_error"),
    "missing-key": (401, "authentication_error"),
    "bad-key": (401, "authentication_error"),
    "rate-limit": (429, "rate_limit_error"),
    "quota": (400, "invalid_request_error"),
    "unavailable": (500, "api_error"),
    "overloaded": (529, "overloaded_error"),
    "context-length": (400, "invalid_request_error"),
    "model-not-found": (404, "not_found_error"),
    "no-route": (404, "not_found_error"),
}
MESSAGES = {
    "rate-limit": "This request would exceed your organization's rate limit.",
    "quota": "Your credit balance is too low to access the Anthropic API: see Plans & Billing.",
    "unavailable": "Internal server error",
    "overloaded": "Overloaded",
    "context-length": "prompt is too long: 210000 tokens > 200000 maximum",
    "bad-key": "invalid x-api-key",
    "model-not-found": "model: no-such-model",
    "no-route": "Not found",
}
MOST_MARKS = 4
_FINISH: dict[Finish, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool-calls": "tool_use",
    "content-filter": "refusal",
}


class AnthropicMessages:
    """`POST /v1/messages`."""

    def read(self, request: Request, body: Mapping[str, Any]) -> Ask:
        _check_headers(request)
        model = _check_model(body)
        unknown = sorted(set(body) - _FIELDS)
        if unknown:
            raise Fault("invalid", f"{unknown[0]}: Extra inputs are not permitted")
        _check_thinking(model, body)
        _check_tier(body)
        _check_marks(body)
        messages = _messages(body.get("messages"))
        _check_calls(messages)
        last = messages[-1]
        results = [block for block in _blocks(last) if block.get("type") == "tool_result"]
        tools = tuple(str(tool.get("name")) for tool in body.get("tools") or [])
        return Ask(
            model,
            "\n".join(text for message in messages for text in _texts(_blocks(message))),
            system="\n".join(_texts(_blocks({"content": body.get("system") or []}))),
            max_tokens=body.get("max_tokens"),
            schema=_schema(body),
            tools=tools,
            must_call=_must_call(body.get("tool_choice"), tools),
            tool_result="\n".join(_texts(_blocks(results[-1]))) if results else None,
            stream=bool(body.get("stream")),
            reasoning=(body.get("thinking") or {}).get("type") in {"enabled", "adaptive"},
        )

    def refuse(self, fault: Fault) -> tuple[int, dict[str, str], Any]:
        status, kind = _REFUSALS[fault.kind]
        headers = {"request-id": "req_simulated"}
        if fault.retry_after_s is not None:
            headers["retry-after"] = f"{fault.retry_after_s:g}"
        error = {"type": kind, "message": fault.message}
        return fault.status or status, headers, {"type": "error", "error": error, "request_id": "req_simulated"}

    def headers(self, number: int) -> dict[str, str]:
        return {"request-id": f"req_sim{number:06d}"}

    def whole(self, ask: Ask, answer: Answer) -> Any:
        ended = {"stop_reason": _FINISH[answer.finish], "stop_sequence": None, "stop_details": None}
        usage = {} if answer.counts is None else {"usage": _usage(answer.counts)}
        return {**_head(ask, answer), "content": _content(answer), **ended, **usage}

    def opening(self, ask: Ask, answer: Answer) -> bytes:
        begun = {} if answer.counts is None else {"usage": {**_usage(answer.counts), "output_tokens": 1}}
        message = {**_head(ask, answer), "content": [], "stop_reason": None, "stop_sequence": None, **begun}
        events: list[tuple[str, dict[str, Any]]] = [("message_start", {"message": message}), ("ping", {})]
        if answer.reasoning:
            events += _thought_events(answer)
        if _has_text(answer):
            begin = {"index": int(bool(answer.reasoning)), "content_block": {"type": "text", "text": ""}}
            events.append(("content_block_start", begin))
        return b"".join(_event(name, data) for name, data in events)

    def piece(self, ask: Ask, answer: Answer, index: int, text: str) -> bytes:  # noqa: ARG002  others need them
        start = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,' % bool(answer.reasoning)
        return start + b'"delta":{"type":"text_delta","text":' + orjson.dumps(text) + b"}}\n\n"

    def closing(self, ask: Ask, answer: Answer) -> bytes:  # noqa: ARG002  other formats name the model
        index = int(bool(answer.reasoning))
        events: list[tuple[str, dict[str, Any]]] = []
        if _has_text(answer):
            events.append(("content_block_stop", {"index": index}))
            index += 1
        for offset, block in enumerate(_calls(answer)):
            events += _call_events(index + offset, block)
        delta = {"stop_reason": _FINISH[answer.finish], "stop_sequence": None}
        usage = {} if answer.counts is None else {"usage": {"output_tokens": answer.counts.output}}
        events += [("message_delta", {"delta": delta, **usage}), ("message_stop", {})]
        return b"".join(_event(name, data) for name, data in events)

    def broken(self) -> bytes:
        return _event("error", {"error": {"type": "overloaded_error", "message": "Overloaded"}})


def _event(name: str, data: dict[str, Any]) -> bytes:
    return sse({"type": name, **data}, name)


def _check_headers(request: Request) -> None:
    key = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix("Bearer ")
    if not key:
        raise Fault("missing-key", "x-api-key header is required")
    if key == "bad-key":
        raise Fault("bad-key", MESSAGES["bad-key"])
    if "anthropic-version" not in request.headers:
        raise Fault("invalid", "anthropic-version: header is required")


def _check_model(body: Mapping[str, Any]) -> str:
    model, cap = body.get("model"), body.get("max_tokens")
    if not isinstance(model, str) or not model:
        raise Fault("invalid", "model: Field required")
    if not isinstance(cap, int):
        raise Fault(
            "invalid", "max_tokens: Field required" if cap is None else "max_tokens: Input should be a valid integer"
        )
    if cap < 1:
        raise Fault("invalid", "max_tokens: Input should be greater than or equal to 1")
    if model.startswith("no-such"):
        raise Fault("model-not-found", f"model: {model}")
    return model


def _check_tier(body: Mapping[str, Any]) -> None:
    if body.get("service_tier") not in {None, "auto", "standard_only"}:
        raise Fault("invalid", "service_tier: Input should be 'auto' or 'standard_only'")


def _check_marks(body: Mapping[str, Any]) -> None:
    """At most four parts of a prompt may be kept, and none of them is a thought."""
    found = orjson.dumps([body.get("tools"), body.get("system"), body.get("messages")]).count(b'"cache_control":')
    found += body.get("cache_control") is not None
    if found > MOST_MARKS:
        text = f"A maximum of {MOST_MARKS} blocks with cache_control may be provided. Found {found}."
        raise Fault("invalid", text)


def _check_thinking(model: str, body: Mapping[str, Any]) -> None:
    thinking = body.get("thinking") or {}
    newest = "opus-4-7" in model
    if newest and any(body.get(name) is not None for name in ("temperature", "top_p", "top_k")):
        raise Fault("invalid", "`temperature`, `top_p` and `top_k` are not supported by this model.")
    if thinking.get("type") not in {"enabled", "adaptive"}:
        return
    if body.get("temperature") not in {None, 1}:
        raise Fault("invalid", "`temperature` may only be set to 1 when thinking is enabled.")
    if (body.get("tool_choice") or {}).get("type") in {"any", "tool"}:
        raise Fault("invalid", "Thinking may not be enabled when tool_choice forces tool use.")
    if thinking["type"] == "enabled":
        _check_budget(thinking.get("budget_tokens"), body["max_tokens"], newest=newest)


def _check_budget(budget: Any, cap: int, *, newest: bool) -> None:
    if newest:
        raise Fault("invalid", "thinking.type: `enabled` is not supported by this model: use `adaptive`.")
    if not isinstance(budget, int) or budget < 1024:
        raise Fault("invalid", "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
    if budget >= cap:
        raise Fault("invalid", "`max_tokens` must be greater than `thinking.budget_tokens`.")


def _messages(given: Any) -> list[Mapping[str, Any]]:
    if not isinstance(given, list) or not given:
        raise Fault(
            "invalid", "messages: at least one message is required" if given == [] else "messages: Field required"
        )
    for position, message in enumerate(given):
        if message.get("role") not in {"user", "assistant"}:
            raise Fault("invalid", f"messages.{position}.role: Input should be 'user' or 'assistant'")
        blocks = _blocks(message)
        if not blocks:
            raise Fault("invalid", f"messages.{position}: all messages must have non-empty content")
        for block in blocks:
            _check_block(block, f"messages.{position}")
    return given


_BLOCKS = frozenset(
    """text image document search_result thinking redacted_thinking tool_use tool_result server_tool_use
    container_upload""".split()  # noqa: SIM905  reads best so
)


def _check_block(block: Mapping[str, Any], where: str) -> None:
    kind = block.get("type")
    if kind not in _BLOCKS:
        raise Fault("invalid", f"{where}.content: Input tag '{kind}' does not match any of the expected tags")
    if kind == "text" and not block.get("text"):
        raise Fault("invalid", f"{where}: text content blocks must be non-empty")
    if kind == "thinking" and not block.get("signature"):
        raise Fault("invalid", f"{where}.content.0.thinking.signature: Field required")


def _check_calls(messages: list[Mapping[str, Any]]) -> None:
    """The results of an assistant's calls stand first in the very next message."""
    waiting: set[Any] = set()
    for position, message in enumerate(messages):
        blocks = _blocks(message)
        given = {block.get("tool_use_id") for block in blocks if block.get("type") == "tool_result"}
        if waiting - given:
            missing = ", ".join(sorted(waiting - given))
            text = "`tool_use` ids were found without `tool_result` blocks immediately after"
            raise Fault("invalid", f"messages.{position - 1}: {text}: {missing}")
        if given - waiting:
            raise Fault("invalid", f"messages.{position}: unexpected `tool_use_id` found in `tool_result` blocks")
        if given and blocks[0].get("type") != "tool_result":
            raise Fault("invalid", f"messages.{position}: `tool_result` blocks have to come first")
        waiting = {block.get("id") for block in blocks if block.get("type") == "tool_use"}
    if waiting:
        raise Fault("invalid", "messages: `tool_use` ids were found without `tool_result` blocks immediately after")


_REFUSED = frozenset(
    {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "maxItems",
     "uniqueItems"}
)  # fmt: skip
"""Keywords that its structured outputs do not take. Source: its guide on them, 2026."""


def _schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    wanted = (body.get("output_config") or {}).get("format") or {}
    schema = wanted.get("schema") if wanted.get("type") == "json_schema" else None
    if schema is not None:
        _check_closed(schema)
    return schema


def _check_closed(schema: Any) -> None:
    if not isinstance(schema, Mapping):
        return
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        text = "For 'object' type, 'additionalProperties' must be explicitly set to false"
        raise Fault("invalid", f"output_config.format.schema: {text}")
    refused = next((key for key in schema if _is_refused(key, schema[key])), None)
    if refused is not None:
        text = f"For '{schema.get('type')}' type, property '{refused}' is not supported"
        raise Fault("invalid", f"output_config.format.schema: {text}")
    for inner in [*(schema.get("properties") or {}).values(), schema.get("items"), *(schema.get("anyOf") or [])]:
        _check_closed(inner)


def _is_refused(key: str, value: Any) -> bool:
    return key in _REFUSED or (key == "minItems" and value not in (0, 1))


def _must_call(choice: Any, tools: tuple[str, ...]) -> str | None:
    kind = (choice or {}).get("type")
    if kind == "tool":
        return str(choice.get("name"))
    return tools[0] if kind == "any" and tools else None


def _blocks(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content if isinstance(content, list) else []


def _texts(blocks: list[Mapping[str, Any]]) -> Iterator[str]:
    for block in blocks:
        if block.get("type") == "text":
            yield str(block.get("text"))
        elif block.get("type") == "tool_result":
            yield from _texts(_blocks(block))


def _head(ask: Ask, answer: Answer) -> dict[str, Any]:
    return {"id": f"msg_sim{answer.number:06d}", "type": "message", "role": "assistant", "model": ask.model}


def _usage(counts: Counts) -> dict[str, Any]:
    return {
        "input_tokens": counts.input,
        "cache_creation_input_tokens": counts.cache_write,
        "cache_read_input_tokens": counts.cache_read,
        "cache_creation": {"ephemeral_5m_input_tokens": counts.cache_write, "ephemeral_1h_input_tokens": 0},
        "output_tokens": counts.output,
        "service_tier": "standard",
    }


def _has_text(answer: Answer) -> bool:
    return bool(answer.text)


def _thinking(answer: Answer) -> dict[str, Any]:
    return {"type": "thinking", "thinking": answer.reasoning, "signature": f"signature-{answer.number}"}


def _calls(answer: Answer) -> list[dict[str, Any]]:
    return [
        {"type": "tool_use", "id": f"toolu_sim{call.id}", "name": call.name, "input": call.arguments}
        for call in answer.calls
    ]


def _content(answer: Answer) -> list[dict[str, Any]]:
    thought = [_thinking(answer)] if answer.reasoning else []
    text = [{"type": "text", "text": answer.text}] if answer.text else []
    return [*thought, *text, *_calls(answer)]


def _thought_events(answer: Answer) -> list[tuple[str, dict[str, Any]]]:
    block = {"type": "thinking", "thinking": "", "signature": ""}
    signature = {"type": "signature_delta", "signature": f"signature-{answer.number}"}
    return [
        ("content_block_start", {"index": 0, "content_block": block}),
        ("content_block_delta", {"index": 0, "delta": {"type": "thinking_delta", "thinking": answer.reasoning}}),
        ("content_block_delta", {"index": 0, "delta": signature}),
        ("content_block_stop", {"index": 0}),
    ]


def _call_events(index: int, block: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    text = orjson.dumps(block["input"]).decode()
    half = len(text) // 2
    pieces = ["", text[:half], text[half:]] if text != "{}" else [""]
    deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
    return [
        ("content_block_start", {"index": index, "content_block": {**block, "input": {}}}),
        *(("content_block_delta", {"index": index, "delta": delta}) for delta in deltas),
        ("content_block_stop", {"index": index}),
    ]
