"""Model calls as OpenTelemetry spans, one an attempt, in the words of the GenAI semantic conventions.

Needs `datastead[otel]`. Source: github.com/open-telemetry/semantic-conventions-genai, docs/gen-ai/client-inference.md,
2026-11 (status: development).
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider

import datastead
from datastead.errors import InvalidSettings
from datastead.messages import Attachment, Message, Part, Reasoning, Text, ToolCall

if TYPE_CHECKING:
    from datastead.ai.attempts import Attempt
    from datastead.ai.entries import Settlement
    from datastead.ai.plans import Plan, Target
    from datastead.ai.results import GenerationResult
    from datastead.errors import AIError

Attributes = dict[str, Any]

_PROVIDERS = {"openai": "openai", "anthropic": "anthropic", "google": "gcp.gemini"}
_FINISH = {"stop": "stop", "length": "length", "tool-calls": "tool_call", "content-filter": "content_filter"}
_WHO = {"flow": "datastead.flow", "run": "datastead.run", "step": "datastead.step", "user": "datastead.user"}


class Tracing:
    """An `Observer` that makes spans: children of whatever span is current where the call is made.

    record: whether prompts and answers are put on the spans.
    """

    def __init__(self, provider: TracerProvider | None = None, *, record: bool = False) -> None:
        self._tracer = trace.get_tracer("datastead", datastead.__version__, provider)
        self._record = record
        self._spans: dict[str, Span] = {}

    def begun(self, attempt: "Attempt") -> None:
        attributes = _request(attempt)
        if self._record:
            attributes |= _prompt(attempt)
        name = f"{attributes['gen_ai.operation.name']} {attempt.plan.target.definition.model}"
        self._spans[attempt.id] = self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)

    def ended(self, attempt: "Attempt", settlement: "Settlement") -> None:
        span = self._spans.pop(attempt.id, None)
        if span is None:
            return
        span.set_attributes(_answer(attempt, settlement))
        if self._record and not attempt.collected.is_empty:
            span.set_attribute("gen_ai.output.messages", _json([_said(attempt)]))
        if settlement.error_code is not None:
            span.set_attribute("error.type", settlement.error_code)
            span.set_status(Status(StatusCode.ERROR, settlement.error))
        span.end()

    def refused(self, plan: "Plan", error: "AIError") -> None:
        """Nothing was sent: there is no span."""

    def reused(self, target: "Target", result: "GenerationResult") -> None:
        """Nothing was sent: there is no span."""


@contextmanager
def exporting() -> Iterator[None]:
    """Sends spans to where the standard `OTEL_*` variables say, unless the process has a tracer provider already."""
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider as Exporting
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise InvalidSettings("`OTEL_ENABLED` needs packages: `pip install 'datastead[otel]'`.") from None
    named = Resource.create({"service.version": datastead.__version__}).merge(_service())
    provider = Exporting(resource=named)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.shutdown()


def _service() -> Any:
    """`OTEL_SERVICE_NAME` goes before our own name."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    return Resource({"service.name": "datastead"}).merge(OTELResourceDetector().detect())


def _request(attempt: "Attempt") -> Attributes:
    plan, call = attempt.plan, attempt.plan.call
    source, address = plan.target.source, urlsplit(plan.target.endpoint.base_url)
    found: Attributes = {
        "gen_ai.operation.name": "chat" if plan.embedding is None else "embeddings",
        "gen_ai.provider.name": _PROVIDERS.get(source.name, source.name),
        "gen_ai.request.model": plan.target.definition.model,
        "gen_ai.request.max_tokens": call.max_tokens,
        "gen_ai.request.temperature": call.temperature,
        "gen_ai.request.top_p": call.top_p,
        "gen_ai.request.stop_sequences": call.stop or None,
        "gen_ai.request.reasoning.level": call.effort,
        "gen_ai.request.stream": call.stream or None,
        "gen_ai.output.type": _output_type(plan),
        "gen_ai.conversation.id": plan.who.get("thread"),
        "server.address": address.hostname,
        "server.port": address.port or (443 if address.scheme == "https" else 80),
        "datastead.call": attempt.id,
        "datastead.purpose": plan.purpose,
        **{ours: plan.who.get(name) for name, ours in _WHO.items()},
    }
    return {name: value for name, value in found.items() if value is not None}


def _output_type(plan: "Plan") -> str | None:
    if plan.embedding is not None:
        return None
    return "json" if plan.call.schema is not None else "text"


def _answer(attempt: "Attempt", settlement: "Settlement") -> Attributes:
    reason = settlement.finish_reason
    found: Attributes = {
        "gen_ai.response.id": settlement.response_id,
        "gen_ai.response.model": settlement.response_model,
        "gen_ai.response.finish_reasons": None if reason is None else [_FINISH.get(reason, "error")],
        "datastead.state": settlement.state,
        "datastead.usage_source": settlement.usage_source,
    }
    if settlement.first_token_ms is not None and attempt.plan.call.stream:
        found["gen_ai.response.time_to_first_chunk"] = settlement.first_token_ms / 1000
    if settlement.cost_nano_usd is not None:
        found["datastead.cost_usd"] = settlement.cost_nano_usd / 1_000_000_000
    if settlement.usage is not None:
        found |= _usage(settlement.usage)
    return {name: value for name, value in found.items() if value is not None}


def _usage(usage: Any) -> Attributes:
    parts = {
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read,
        "gen_ai.usage.cache_write.input_tokens": usage.cache_write + usage.cache_write_1h,
        "gen_ai.usage.audio.input_tokens": usage.audio_input,
        "gen_ai.usage.audio.output_tokens": usage.audio_output,
        "gen_ai.usage.image.input_tokens": usage.image_input,
        "gen_ai.usage.image.output_tokens": usage.image_output,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning,
    }
    totals = {"gen_ai.usage.input_tokens": usage.input_total, "gen_ai.usage.output_tokens": usage.output_total}
    return totals | {name: tokens for name, tokens in parts.items() if tokens}


def _prompt(attempt: "Attempt") -> Attributes:
    call = attempt.plan.call
    found = {"gen_ai.input.messages": _json([_message(message) for message in call.messages])}
    if call.system:
        found["gen_ai.system_instructions"] = _json([{"type": "text", "content": call.system}])
    return found


def _said(attempt: "Attempt") -> dict[str, Any]:
    collected = attempt.collected
    thought: list[Part] = [Reasoning(collected.reasoning_text)] if collected.reasoning_text else []
    text: list[Part] = [Text(collected.text)] if collected.texts else []
    reason = collected.finished.reason if collected.finished is not None else ""
    parts = _parts([*thought, *text, *collected.tool_calls])
    return {"role": "assistant", "parts": parts, "finish_reason": _FINISH.get(reason, "error")}


def _message(message: Message) -> dict[str, Any]:
    return {"role": message.role, "parts": _parts(message.parts)}


def _parts(parts: Iterable[Part]) -> list[Mapping[str, Any]]:
    return [_part(part) for part in parts]


def _part(part: Part) -> Mapping[str, Any]:
    """A part of a message. Files are named, and not put on a span."""
    if isinstance(part, Text):
        return {"type": "text", "content": part.text}
    if isinstance(part, Reasoning):
        return {"type": "reasoning", "content": part.text}
    if isinstance(part, ToolCall):
        return {"type": "tool_call", "id": part.id, "name": part.name, "arguments": part.arguments}
    if isinstance(part, Attachment):
        return {"type": "file", "mime_type": part.media_type, "file_id": part.file_id or part.filename or ""}
    return {"type": "tool_call_response", "id": part.id, "response": part.content}


def _json(value: Any) -> str:
    return orjson.dumps(value, default=str).decode()
