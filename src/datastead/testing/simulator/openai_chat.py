"""OpenAI's Chat Completions, as the simulator speaks it.

Source: platform.openai.com/docs/api-reference/chat, 2026-11."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from starlette.requests import Request

from datastead.testing.simulator import openai_rules as rules
from datastead.testing.simulator.exchange import Answer, Ask, Fault, Finish, SimulatedCall, sse

_FIELDS = frozenset(
    """audio frequency_penalty function_call functions logit_bias logprobs max_completion_tokens max_tokens messages
    metadata modalities model n parallel_tool_calls prediction presence_penalty prompt_cache_key prompt_cache_retention
    reasoning_effort response_format safety_identifier seed service_tier stop store stream stream_options temperature
    tool_choice tools top_logprobs top_p user verbosity web_search_options""".split()  # noqa: SIM905  reads best so
)
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_FINISH: dict[Finish, str] = {
    "stop": "stop",
    "length": "length",
    "tool-calls": "tool_calls",
    "content-filter": "content_filter",
}
_DONE = b"data: [DONE]\n\n"


class OpenAIChat:
    """`POST /v1/chat/completions`. compatible: as other vendors' servers take it, without keys or strictness."""

    def __init__(self, *, compatible: bool = False) -> None:
        self._compatible = compatible

    def read(self, request: Request, body: Mapping[str, Any]) -> Ask:
        if self._compatible:
            rules.refuse_bad_key(request.headers.get("authorization", "").removeprefix("Bearer "))
        else:
            rules.check_key(request)
        model = rules.check_model(body)
        if not self._compatible:
            _check_options(model, body)
        rules.check_tools(body)
        messages = _messages(body.get("messages"))
        _check_calls(messages)
        tools = tuple(_tool_name(tool, position) for position, tool in enumerate(body.get("tools") or []))
        choice, last = body.get("tool_choice"), messages[-1]
        spoken = [message for message in messages if message["role"] not in {"system", "developer"}]
        return Ask(
            model,
            "\n".join(text for message in spoken for text in _texts(message)),
            system="\n".join(text for message in messages if message not in spoken for text in _texts(message)),
            max_tokens=body.get("max_completion_tokens") or body.get("max_tokens"),
            schema=_schema(body),
            tools=tools,
            must_call=_must_call(choice, tools),
            tool_result="".join(_texts(last)) if last["role"] == "tool" else None,
            stream=bool(body.get("stream")),
            tier=rules.check_tier(body),
            include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        )

    def refuse(self, fault: Fault) -> tuple[int, dict[str, str], Any]:
        return rules.refuse(fault)

    def headers(self, number: int) -> dict[str, str]:
        return {"x-request-id": f"req_sim{number:06d}"}

    def whole(self, ask: Ask, answer: Answer) -> Any:
        message: dict[str, Any] = {
            "role": "assistant",
            "content": answer.text or None,
            "refusal": None,
            "annotations": [],
        }
        if answer.calls:
            message["tool_calls"] = [_call(call) for call in answer.calls]
        if answer.reasoning:
            message["reasoning_content"] = answer.reasoning
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _FINISH[answer.finish]}
        usage = rules.usage(answer.counts, "prompt", "completion")
        return {**_head(ask, answer, "chat.completion"), "choices": [choice], **({"usage": usage} if usage else {})}

    def opening(self, ask: Ask, answer: Answer) -> bytes:
        first = _chunk(ask, answer, {"role": "assistant", "content": "", "refusal": None})
        thought = _chunk(ask, answer, {"reasoning_content": answer.reasoning}) if answer.reasoning else b""
        return first + thought

    def piece(self, ask: Ask, answer: Answer, index: int, text: str) -> bytes:  # noqa: ARG002  others need them
        head = orjson.dumps(_head(ask, answer, "chat.completion.chunk"))[:-1]
        usage = b',"usage":null' if ask.include_usage else b""
        delta = b',"choices":[{"index":0,"delta":{"content":' + orjson.dumps(text)
        return b"data: " + head + delta + b'},"logprobs":null,"finish_reason":null}]' + usage + b"}\n\n"

    def closing(self, ask: Ask, answer: Answer) -> bytes:
        calls = b"".join(_call_chunks(ask, answer, index, call) for index, call in enumerate(answer.calls))
        end = _chunk(ask, answer, {}, _FINISH[answer.finish])
        usage = rules.usage(answer.counts, "prompt", "completion")
        if ask.include_usage and usage is not None:
            end += sse({**_head(ask, answer, "chat.completion.chunk"), "choices": [], "usage": usage})
        return calls + end + _DONE

    def broken(self) -> bytes:
        return sse(
            {"error": {"message": "The server had an error.", "type": "server_error", "param": None, "code": None}}
        )


def _head(ask: Ask, answer: Answer, kind: str) -> dict[str, Any]:
    head = {"id": f"chatcmpl-sim{answer.number:06d}", "object": kind, "created": int(time.time()), "model": ask.model}
    return {**head, "service_tier": ask.tier, "system_fingerprint": "fp_simulated"}


def _chunk(ask: Ask, answer: Answer, delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    usage = {"usage": None} if ask.include_usage else {}
    return sse({**_head(ask, answer, "chat.completion.chunk"), "choices": [choice], **usage})


def _call(call: SimulatedCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.json}
    return {"id": f"call_sim{call.id}", "type": "function", "function": function}


def _call_chunks(ask: Ask, answer: Answer, index: int, call: SimulatedCall) -> bytes:
    begun = {**_call(call), "index": index, "function": {"name": call.name, "arguments": ""}}
    half = len(call.json) // 2
    parts = [{"index": index, "function": {"arguments": text}} for text in (call.json[:half], call.json[half:])]
    return b"".join(_chunk(ask, answer, {"tool_calls": [each]}) for each in (begun, *parts))


def _check_options(model: str, body: Mapping[str, Any]) -> None:
    rules.refuse_unknown(body, _FIELDS)
    if rules.is_reasoning(model):
        rules.refuse_sampling(body, ("max_tokens", "temperature", "top_p", "stop"))
    else:
        rules.refuse_sampling(body, ("reasoning_effort",))
    if body.get("stream_options") and not body.get("stream"):
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise Fault("invalid", message, param="stream_options")


def _messages(given: Any) -> list[Mapping[str, Any]]:
    if not isinstance(given, list) or not given:
        raise Fault(
            "invalid", "Missing required parameter: 'messages'.", param="messages", code="missing_required_parameter"
        )
    for position, message in enumerate(given):
        _check_message(message, f"messages[{position}]")
    return given


def _check_message(message: Mapping[str, Any], where: str) -> None:
    role, content = message.get("role"), message.get("content")
    if role not in _ROLES:
        raise Fault("invalid", f"Invalid value: '{role}'.", param=f"{where}.role", code="invalid_value")
    if content is None and not (role == "assistant" and message.get("tool_calls")):
        raise Fault(
            "invalid", f"Invalid value for 'content': expected a string, got null at {where}.", param=f"{where}.content"
        )
    for part in content if isinstance(content, list) else []:
        if part.get("type") not in {"text", "image_url", "input_audio", "file", "refusal"}:
            raise Fault(
                "invalid", f"Invalid value: '{part.get('type')}'.", param=f"{where}.content", code="invalid_value"
            )


def _check_calls(messages: list[Mapping[str, Any]]) -> None:
    """Every tool call is answered by the messages that follow at once, and nothing else is."""
    waiting: set[str] = set()
    for position, message in enumerate(messages):
        if message["role"] == "tool":
            if message.get("tool_call_id") not in waiting:
                text = "messages with role 'tool' must be a response to a preceding message with 'tool_calls'."
                raise Fault("invalid", f"Invalid parameter: {text}", param=f"messages[{position}].role")
            waiting.discard(message["tool_call_id"])
            continue
        _refuse_waiting(waiting, position)
        waiting = {str(call.get("id")) for call in message.get("tool_calls") or []}
    _refuse_waiting(waiting, len(messages))


def _refuse_waiting(waiting: set[str], position: int) -> None:
    if waiting:
        text = "An assistant message with 'tool_calls' must be followed by tool messages responding to each of them."
        raise Fault("invalid", f"{text} Missing: {', '.join(sorted(waiting))}.", param=f"messages[{position}].role")


def _tool_name(tool: Mapping[str, Any], position: int) -> str:
    name = (tool.get("function") or {}).get("name")
    rules.refuse_name(name, f"tools[{position}].function.name")
    return str(name)


def _must_call(choice: Any, tools: tuple[str, ...]) -> str | None:
    if isinstance(choice, Mapping):
        return str((choice.get("function") or {}).get("name"))
    return tools[0] if choice == "required" and tools else None


def _schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    wanted = body.get("response_format") or {}
    if wanted.get("type") != "json_schema":
        return None
    named = wanted.get("json_schema") or {}
    rules.refuse_name(named.get("name"), "response_format.json_schema.name")
    return rules.check_schema(named.get("schema"), strict=bool(named.get("strict")), where="response_format")


def _texts(message: Mapping[str, Any]) -> Iterator[str]:
    content = message.get("content")
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        yield from (str(part["text"]) for part in content if part.get("type") == "text")
