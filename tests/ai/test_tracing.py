"""Model calls as OpenTelemetry spans, read with the SDK's own exporter."""

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from datastead import Settings
from datastead.ai.tracing import Tracing, exporting
from datastead.errors import ContextLengthExceeded, InvalidSettings
from datastead.testing import Simulator

from .conftest import KEY, WIRES, opened


class Spans:
    """A tracer provider, and what it was given."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def all(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()

    def one(self) -> tuple[ReadableSpan, dict[str, Any]]:
        (span,) = self.all()
        return span, dict(span.attributes or {})


@pytest.mark.parametrize("wire", WIRES)
async def test_a_call_is_a_span_in_the_words_of_the_genai_conventions(
    sqlite_url: str, settings: Callable[..., Settings], simulator: Simulator, wire: str
) -> None:
    spans = Spans()
    simulator.script({"text": "Hello.", "usage": {"input": 20, "output": 9, "cache_read": 5}})
    async with opened(sqlite_url, settings(), observers=[Tracing(spans.provider)]) as house:
        result = await house.ai.generate("Hi", model=WIRES[wire], provider=wire, max_tokens=50, temperature=0.5)
    span, found = spans.one()
    assert (span.name, span.kind) == (f"chat {WIRES[wire]}", SpanKind.CLIENT)
    assert found["gen_ai.operation.name"] == "chat"
    assert found["gen_ai.provider.name"] == {"google": "gcp.gemini"}.get(wire, wire)
    assert found["gen_ai.request.max_tokens"] == 50
    assert found["gen_ai.request.temperature"] == 0.5
    assert found["gen_ai.usage.input_tokens"] == result.usage.input_total
    assert found["gen_ai.usage.cache_read.input_tokens"] == 5
    assert found["gen_ai.usage.output_tokens"] == 9
    assert found["gen_ai.response.finish_reasons"] == ("stop",)
    assert found["server.address"] == "127.0.0.1"
    assert found["datastead.call"] == result.call
    assert found["datastead.cost_usd"] == pytest.approx(float(result.cost or 0))
    assert span.status.status_code is StatusCode.UNSET
    assert KEY not in span.to_json()
    assert "Hello." not in span.to_json()


async def test_content_is_on_a_span_only_where_it_is_recorded(
    sqlite_url: str, settings: Callable[..., Settings], simulator: Simulator
) -> None:
    spans = Spans()
    simulator.script({"text": "Hello.", "tool": "look", "arguments": {"at": "sea"}})
    async with opened(sqlite_url, settings(), observers=[Tracing(spans.provider, record=True)]) as house:
        await house.ai.generate("Hi", system="Be kind.", model="gpt-4.1")
    _, found = spans.one()
    assert json.loads(found["gen_ai.system_instructions"]) == [{"type": "text", "content": "Be kind."}]
    assert json.loads(found["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "Hi"}]}
    ]
    (said,) = json.loads(found["gen_ai.output.messages"])
    assert [part["type"] for part in said["parts"]] == ["text", "tool_call"]
    assert said["finish_reason"] == "tool_call"


async def test_each_attempt_is_a_span_and_a_failed_one_names_its_error(
    sqlite_url: str, settings: Callable[..., Settings], simulator: Simulator
) -> None:
    spans = Spans()
    simulator.script([{"kind": "unavailable", "retry_after_s": 0}, {"kind": "context-length"}])
    async with opened(sqlite_url, settings(), observers=[Tracing(spans.provider)]) as house:
        with pytest.raises(ContextLengthExceeded):
            await house.ai.generate("Hi", model="claude-haiku-4-5")
    types = [(span.attributes or {})["error.type"] for span in spans.all()]
    assert types == ["PROVIDER_UNAVAILABLE", "CONTEXT_LENGTH_EXCEEDED"]
    assert all(span.status.status_code is StatusCode.ERROR for span in spans.all())


async def test_a_span_is_a_child_of_the_span_around_the_call_and_says_when_a_stream_began(
    sqlite_url: str, settings: Callable[..., Settings]
) -> None:
    spans = Spans()
    async with opened(sqlite_url, settings(), observers=[Tracing(spans.provider)]) as house:
        with spans.provider.get_tracer("test").start_as_current_span("around"):
            await house.ai.generate_stream("Hi", model="gpt-4.1").collect()
    call, around = spans.all()
    assert call.parent is not None
    assert around.context is not None
    assert call.parent.span_id == around.context.span_id
    assert (call.attributes or {})["gen_ai.request.stream"] is True
    assert "gen_ai.response.time_to_first_chunk" in (call.attributes or {})


def test_a_missing_exporter_is_an_error_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(InvalidSettings, match=r"datastead\[otel\]"), exporting():
        pass


async def test_embeddings_are_spans_too(sqlite_url: str, settings: Callable[..., Settings]) -> None:
    spans = Spans()
    async with opened(sqlite_url, settings(), observers=[Tracing(spans.provider)]) as house:
        await house.ai.embed(["salt"], model="text-embedding-3-small")
    span, found = spans.one()
    assert (span.name, found["gen_ai.operation.name"]) == ("embeddings text-embedding-3-small", "embeddings")
    assert "gen_ai.output.type" not in found
