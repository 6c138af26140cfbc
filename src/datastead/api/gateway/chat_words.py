"""OpenAI's words for what a model answered, shared by whole answers and streams."""

from collections.abc import Mapping
from typing import Any

import orjson

from datastead.ai.engine import GenerationResult
from datastead.ai.results import json_value
from datastead.api.gateway.opaque import extra_content
from datastead.errors import InvalidOutput
from datastead.messages import FinishReason, Started, StreamEvent, ToolCall, Usage

FINISH: Mapping[FinishReason, str] = {
    "stop": "stop",
    "length": "length",
    "tool-calls": "tool_calls",
    "content-filter": "content_filter",
    "error": "stop",
    "other": "stop",
}


def content_of(result: GenerationResult) -> str:
    """The answer's text; of one that has a schema the value alone, whatever words the model has put around it."""
    return result.content if result.object is None else orjson.dumps(json_value(result.object)).decode()


def refuse_new_beginning(event: StreamEvent) -> None:
    """An answer that did not fit its schema is asked for again: what is sent already cannot be taken back."""
    if isinstance(event, Started):
        raise InvalidOutput("The model's answer does not have the shape of the schema: ask again.")


def tool_call(call: ToolCall) -> dict[str, Any]:
    """A call that is complete."""
    function = {"name": call.name, "arguments": arguments(call)}
    return {"id": call.id, "type": "function", "function": function, **extra_content(call.opaque)}


def arguments(call: ToolCall) -> str:
    """A call's arguments as JSON text."""
    return orjson.dumps(call.arguments).decode()


def usage_json(result: GenerationResult) -> dict[str, Any]:
    """Chat Completions' usage object; `cost` in USD, where the price is known."""
    usage = result.usage
    return {
        "prompt_tokens": usage.input_total,
        "completion_tokens": usage.output_total,
        "total_tokens": usage.total,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read,
            "audio_tokens": usage.audio_input,
            **written(usage),
        },
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning, "audio_tokens": usage.audio_output},
        **cost_json(result),
    }


def written(usage: Usage) -> dict[str, int]:
    """Tokens written to a cache, which OpenAI's own models do not bill."""
    tokens = usage.cache_write + usage.cache_write_1h
    return {"cache_write_tokens": tokens} if tokens else {}


def cost_json(result: GenerationResult) -> dict[str, float]:
    return {} if result.cost is None else {"cost": float(result.cost)}
