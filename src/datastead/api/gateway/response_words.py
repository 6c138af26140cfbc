"""The Responses API's words for what a model answered, shared by whole answers and streams."""

from time import time
from typing import Any

from datastead.ai.engine import GenerationResult
from datastead.api.gateway.chat_words import arguments, content_of, cost_json, written
from datastead.api.gateway.endpoint import Ask
from datastead.api.gateway.opaque import extra_content, sealed
from datastead.messages import Reasoning, ToolCall

Item = dict[str, Any]

_REPEATED: dict[str, Any] = {
    "instructions": None, "max_output_tokens": None, "metadata": {}, "parallel_tool_calls": True, "temperature": None,
    "tool_choice": "auto", "tools": [], "top_p": None, "text": {"format": {"type": "text"}}, "truncation": "disabled",
    "reasoning": {"effort": None, "summary": None}, "user": None,
}  # fmt: skip
"""What a response repeats of its request, and what stands there where the request does not say."""

_INCOMPLETE = {"length": "max_output_tokens", "content-filter": "content_filter"}


def response(ask: Ask, result: GenerationResult, output: list[Item]) -> dict[str, Any]:
    """A response that is over."""
    reason = _INCOMPLETE.get(result.finish_reason)
    return {
        **begun(ask, result.call, result.response_model or result.model),
        "status": "completed" if reason is None else "incomplete",
        "incomplete_details": None if reason is None else {"reason": reason},
        "output": output,
        "usage": _usage(result),
        "service_tier": result.usage.tier or "default",
    }


def begun(ask: Ask, call: str | None, model: str) -> dict[str, Any]:
    """A response that is under way."""
    repeated = {name: value if ask.body.get(name) is None else ask.body[name] for name, value in _REPEATED.items()}
    return {
        "id": f"resp_{call}",
        "object": "response",
        "created_at": int(time()),
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": [],
        "previous_response_id": None,
        "store": False,
        "usage": None,
        **repeated,
    }


def items_of(result: GenerationResult) -> list[Item]:
    """The output items of a whole answer: reasoning, the message, and tool calls."""
    thoughts = list(result.reasoning_parts) or ([Reasoning(result.reasoning)] if result.reasoning else [])
    items = [reasoning_item(f"rs_{result.call}_{number}", part) for number, part in enumerate(thoughts)]
    content = content_of(result)
    if content or not result.tool_calls:
        items.append(message_item(f"msg_{result.call}", content))
    return [*items, *(call_item(f"fc_{result.call}_{number}", call) for number, call in enumerate(result.tool_calls))]


def message_item(item_id: str, text: str, status: str = "completed") -> Item:
    content = [text_part(text)] if status == "completed" else []
    return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}


def text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def reasoning_item(item_id: str, part: Reasoning) -> Item:
    """What has to come back is in `encrypted_content`, sealed: so that an item has one id from its beginning on."""
    summary = [{"type": "summary_text", "text": part.text}] if part.text else []
    kept = None if part.opaque is None else sealed(part.opaque)
    return {"id": item_id, "type": "reasoning", "summary": summary, "encrypted_content": kept}


def call_item(item_id: str, call: ToolCall, status: str = "completed") -> Item:
    text = arguments(call) if status == "completed" else ""
    return {
        "id": item_id,
        "type": "function_call",
        "status": status,
        "call_id": call.id,
        "name": call.name,
        "arguments": text,
        **extra_content(call.opaque),
    }


def _usage(result: GenerationResult) -> dict[str, Any]:
    usage = result.usage
    return {
        "input_tokens": usage.input_total,
        "input_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": 0, **written(usage)},
        "output_tokens": usage.output_total,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
        **cost_json(result),
    }
