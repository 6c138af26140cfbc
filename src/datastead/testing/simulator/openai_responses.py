"""OpenAI's Responses API, as the simulator speaks it.

Source: platform.openai.com/docs/api-reference/responses, 2026-11."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from starlette.requests import Request

from datastead.testing.simulator import openai_rules as rules
from datastead.testing.simulator.exchange import Answer, Ask, Fault, SimulatedCall, sse

_FIELDS = frozenset(
    """background context_management conversation include input instructions max_output_tokens max_tool_calls metadata
    model parallel_tool_calls previous_response_id prompt prompt_cache_key prompt_cache_retention reasoning
    safety_identifier service_tier store stream stream_options temperature text tool_choice tools top_logprobs top_p
    truncation user""".split()  # noqa: SIM905  reads best so
)
_USER_CONTENT = frozenset({"input_text", "input_image", "input_file"})
_ROLES = frozenset({"user", "assistant", "system", "developer"})


class OpenAIResponses:
    """`POST /v1/responses`."""

    def read(self, request: Request, body: Mapping[str, Any]) -> Ask:
        rules.check_key(request)
        model = rules.check_model(body)
        rules.refuse_unknown(body, _FIELDS)
        _check_options(model, body)
        rules.check_tools(body)
        items = _items(body.get("input"))
        _check_calls(items)
        choice = body.get("tool_choice")
        tools = tuple(str(tool.get("name")) for tool in body.get("tools") or [])
        last = items[-1]
        return Ask(
            model,
            "\n".join(text for item in items for text in _texts(item)),
            system=str(body.get("instructions") or ""),
            max_tokens=body.get("max_output_tokens"),
            schema=_schema(body),
            tools=tools,
            must_call=_must_call(choice, tools),
            tool_result=str(last.get("output")) if last.get("type") == "function_call_output" else None,
            stream=bool(body.get("stream")),
            tier=rules.check_tier(body),
            reasoning=bool((body.get("reasoning") or {}).get("summary")),
        )

    def refuse(self, fault: Fault) -> tuple[int, dict[str, str], Any]:
        return rules.refuse(fault)

    def headers(self, number: int) -> dict[str, str]:
        return {"x-request-id": f"req_sim{number:06d}"}

    def whole(self, ask: Ask, answer: Answer) -> Any:
        return _response(ask, answer, _status(answer), [*_thought(answer), *_message(answer), *_calls(answer)])

    def opening(self, ask: Ask, answer: Answer) -> bytes:
        return _sent(_first_events(ask, answer), 0)

    def piece(self, ask: Ask, answer: Answer, index: int, text: str) -> bytes:  # noqa: ARG002  others need the model
        number = _first_count(answer) + index
        start = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","sequence_number":%d,'
        place = b'"item_id":"msg_sim%06d","output_index":%d,"content_index":0,"logprobs":[],"delta":'
        return start % number + place % (answer.number, bool(answer.reasoning)) + orjson.dumps(text) + b"}\n\n"

    def closing(self, ask: Ask, answer: Answer) -> bytes:
        output = [*_thought(answer), *_message(answer), *_calls(answer)]
        events = [event for index, item in enumerate(output) for event in _item_end(index, item)]
        final = _response(ask, answer, _status(answer), output)
        events.append((f"response.{_status(answer)}", {"response": final}))
        return _sent(events, _first_count(answer) + len(answer.pieces))

    def broken(self) -> bytes:
        error = {"code": "server_error", "message": "The server had an error.", "param": None}
        return _event("error", {"error": {"type": "server_error", **error}}, 0)


def _event(name: str, data: dict[str, Any], number: int) -> bytes:
    return sse({"type": name, "sequence_number": number, **data}, name)


def _sent(events: list[tuple[str, dict[str, Any]]], first: int) -> bytes:
    return b"".join(_event(name, data, first + index) for index, (name, data) in enumerate(events))


def _first_events(ask: Ask, answer: Answer) -> list[tuple[str, dict[str, Any]]]:
    begun = _response(ask, answer, "in_progress", [])
    events: list[tuple[str, dict[str, Any]]] = [
        ("response.created", {"response": begun}),
        ("response.in_progress", {"response": begun}),
    ]
    for item in _thought(answer):
        events += _thought_events(item)
    for item in _message(answer):
        place = {"item_id": item["id"], "output_index": len(_thought(answer)), "content_index": 0}
        begun_item = {**item, "status": "in_progress", "content": []}
        events.append(("response.output_item.added", {"output_index": place["output_index"], "item": begun_item}))
        events.append(("response.content_part.added", {**place, "part": _part("")}))
    return events


def _first_count(answer: Answer) -> int:
    """How many events come before the text."""
    return 2 + (6 if answer.reasoning else 0) + (2 if _message(answer) else 0)


def _check_options(model: str, body: Mapping[str, Any]) -> None:
    if rules.is_reasoning(model):
        rules.refuse_sampling(body, ("temperature", "top_p"))
    else:
        rules.refuse_sampling(body, ("reasoning",))
        if "reasoning.encrypted_content" in (body.get("include") or []):
            raise Fault("invalid", "Encrypted content is not supported with this model.", param="include")
    cap = body.get("max_output_tokens")
    if cap is not None and (not isinstance(cap, int) or cap < 16):
        message = "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16."
        raise Fault("invalid", message, param="max_output_tokens", code="integer_below_min_value")
    for position, tool in enumerate(body.get("tools") or []):
        if tool.get("type") == "function":
            rules.refuse_name(tool.get("name"), f"tools[{position}].name")


def _schema(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    wanted = (body.get("text") or {}).get("format") or {}
    if wanted.get("type") != "json_schema":
        return None
    rules.refuse_name(wanted.get("name"), "text.format.name")
    return rules.check_schema(wanted.get("schema"), strict=bool(wanted.get("strict")), where="text.format.schema")


def _must_call(choice: Any, tools: tuple[str, ...]) -> str | None:
    if isinstance(choice, Mapping):
        return str(choice.get("name"))
    return tools[0] if choice == "required" and tools else None


def _items(given: Any) -> list[Mapping[str, Any]]:
    items = [{"role": "user", "content": given}] if isinstance(given, str) and given else given
    if not isinstance(items, list) or not items:
        raise Fault("invalid", "One of 'input' or 'previous_response_id' or 'prompt' has to be given.", param="input")
    for position, item in enumerate(items):
        _check_item(item, f"input[{position}]")
    return items


def _check_item(item: Mapping[str, Any], where: str) -> None:
    if item.get("type", "message") != "message":
        return
    role, content = item.get("role"), item.get("content")
    if role not in _ROLES:
        raise Fault("invalid", f"Invalid value: '{role}'.", param=f"{where}.role", code="invalid_value")
    allowed = frozenset({"output_text", "refusal"}) if role == "assistant" else _USER_CONTENT
    for part in content if isinstance(content, list) else []:
        if part.get("type") not in allowed:
            message = f"Invalid value: '{part.get('type')}'. Supported values are: {', '.join(sorted(allowed))}."
            raise Fault("invalid", message, param=f"{where}.content", code="invalid_value")


def _check_calls(items: list[Mapping[str, Any]]) -> None:
    called = {item.get("call_id") for item in items if item.get("type") == "function_call"}
    answered = {item.get("call_id") for item in items if item.get("type") == "function_call_output"}
    for call_id in called - answered:
        raise Fault("invalid", f"No tool output found for function call {call_id}.", param="input")
    for call_id in answered - called:
        raise Fault("invalid", f"No tool call found for function call output with call_id {call_id}.", param="input")


def _texts(item: Mapping[str, Any]) -> Iterator[str]:
    content = item.get("content") if item.get("type", "message") == "message" else item.get("output")
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        yield from (str(part["text"]) for part in content if "text" in part)


def _status(answer: Answer) -> str:
    return "incomplete" if answer.finish in {"length", "content-filter"} else "completed"


def _response(ask: Ask, answer: Answer, status: str, output: list[dict[str, Any]]) -> dict[str, Any]:
    reason = {"length": "max_output_tokens", "content-filter": "content_filter"}.get(answer.finish)
    ended = status != "in_progress"
    return {
        "id": f"resp_sim{answer.number:06d}",
        "object": "response",
        "created_at": int(time.time()),
        "status": status,
        "error": None,
        "incomplete_details": {"reason": reason} if status == "incomplete" else None,
        "instructions": ask.system or None,
        "max_output_tokens": ask.max_tokens,
        "metadata": {},
        "model": ask.model,
        "output": output,
        "parallel_tool_calls": True,
        "service_tier": ask.tier,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": rules.usage(answer.counts, "input", "output") if ended else None,
    }


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _message(answer: Answer) -> list[dict[str, Any]]:
    if answer.calls and not answer.text:
        return []
    status = "incomplete" if _status(answer) == "incomplete" else "completed"
    content = [_part(answer.text)]
    item = {"id": f"msg_sim{answer.number:06d}", "type": "message", "status": status, "role": "assistant"}
    return [{**item, "content": content}]


def _thought(answer: Answer) -> list[dict[str, Any]]:
    if not answer.reasoning:
        return []
    summary = [{"type": "summary_text", "text": answer.reasoning}]
    item = {"id": f"rs_sim{answer.number:06d}", "type": "reasoning", "summary": summary}
    return [{**item, "encrypted_content": f"encrypted-{answer.number}"}]


def _calls(answer: Answer) -> list[dict[str, Any]]:
    return [_call(call) for call in answer.calls]


def _call(call: SimulatedCall) -> dict[str, Any]:
    named = {"call_id": f"call_sim{call.id}", "name": call.name, "arguments": call.json}
    return {"id": f"fc_sim{call.id}", "type": "function_call", "status": "completed", **named}


def _thought_events(item: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    place = {"item_id": item["id"], "output_index": 0, "summary_index": 0}
    text = item["summary"][0]["text"]
    part = {"type": "summary_text", "text": ""}
    return [
        ("response.output_item.added", {"output_index": 0, "item": {**item, "summary": []}}),
        ("response.reasoning_summary_part.added", {**place, "part": part}),
        ("response.reasoning_summary_text.delta", {**place, "delta": text}),
        ("response.reasoning_summary_text.done", {**place, "text": text}),
        ("response.reasoning_summary_part.done", {**place, "part": {**part, "text": text}}),
        ("response.output_item.done", {"output_index": 0, "item": item}),
    ]


def _item_end(index: int, item: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    place = {"item_id": item["id"], "output_index": index}
    done = ("response.output_item.done", {"output_index": index, "item": item})
    if item["type"] == "message":
        part = item["content"][0]
        text = {**place, "content_index": 0, "text": part["text"], "logprobs": []}
        ended = ("response.content_part.done", {**place, "content_index": 0, "part": part})
        return [("response.output_text.done", text), ended, done]
    if item["type"] == "function_call":
        begun = {**item, "status": "in_progress", "arguments": ""}
        return [
            ("response.output_item.added", {"output_index": index, "item": begun}),
            ("response.function_call_arguments.delta", {**place, "delta": item["arguments"]}),
            ("response.function_call_arguments.done", {**place, "arguments": item["arguments"], "name": item["name"]}),
            done,
        ]
    return []
