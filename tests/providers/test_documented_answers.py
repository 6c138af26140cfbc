"""Each mapping, on answers in the format that its vendor documents: streamed and whole give the same."""

import pytest

from datastead.errors import AIError, ContentFiltered, ProviderUnavailable, RateLimitExceeded
from datastead.messages import (
    Finished,
    Reasoning,
    ReasoningDelta,
    ReasoningDone,
    Started,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallDone,
    Usage,
    UsageReport,
)
from tests.providers.documented import FIXTURES, body, streamed, text_of, usage_of, whole
from tests.providers.documented import provider as named

TEXT = "The harbour opens at dawn."
PIECES = [TextDelta("The harbour"), TextDelta(" opens"), TextDelta(" at dawn.")]


def test_every_documented_answer_names_its_source_and_date():
    manifest = body("manifest.json")
    files = {file.name for file in FIXTURES.iterdir()} - {"manifest.json"}
    assert files == set(manifest)
    assert all(entry["source"] and entry["checked"] and entry["what"] for entry in manifest.values())


RESPONSES_USAGE = Usage(input=76, cache_read=1024, cache_write=100, output=9)
CHAT_USAGE = Usage(input=93, cache_read=1024, output=46)
ANTHROPIC_USAGE = Usage(input=21, cache_read=2048, cache_write=88, cache_write_1h=100, output=11)
GOOGLE_USAGE = Usage(input=400, cache_read=1100, output=58, reasoning=52)


@pytest.mark.parametrize(
    ("provider", "fixture", "started", "usage", "finished"),
    [
        (
            "openai",
            "responses_text",
            Started("resp_0a1b2c3d4e5f", "gpt-4.1-2025-04-14"),
            RESPONSES_USAGE,
            Finished("stop", "completed"),
        ),
        ("openai", "chat_text", Started("chatcmpl-Bx9y8z", "gpt-4.1-2025-04-14"), CHAT_USAGE, Finished("stop", "stop")),
        (
            "openai-compatible",
            "chat_text",
            Started("chatcmpl-Bx9y8z", "gpt-4.1-2025-04-14"),
            CHAT_USAGE,
            Finished("stop", "stop"),
        ),
        (
            "anthropic",
            "anthropic_text",
            Started("msg_01Harbour", "claude-sonnet-4-5-20250929"),
            ANTHROPIC_USAGE,
            Finished("stop", "end_turn"),
        ),
        ("google", "google_text", Started("Kx0iaYharbour", "gemini-2.5-flash"), GOOGLE_USAGE, Finished("stop", "STOP")),
    ],
)
def test_text_comes_out_the_same_whole_and_streamed(provider, fixture, started, usage, finished):
    assert whole(provider, f"{fixture}.json") == [started, TextDelta(TEXT), UsageReport(usage), finished]
    events = streamed(provider, f"{fixture}.sse")
    assert events[0] == started
    assert [event for event in events if isinstance(event, TextDelta)] == PIECES
    assert text_of(events) == TEXT
    assert usage_of(events) == usage
    assert [event for event in events if isinstance(event, Finished)] == [finished]


def test_a_responses_stream_of_reasoning_and_a_call_keeps_the_item_that_is_sent_back():
    item = body("responses_tools.json")["output"][0]
    reasoning = Reasoning("**Find the tide**\n\nI need the table.", item)
    call = ToolCallDone(ToolCall("call_Ab12Cd34", "tide_table", {"port": "Oban", "days": 2}))
    usage = UsageReport(Usage(input=210, output=148, reasoning=128))
    assert streamed("openai", "responses_tools.sse") == [
        Started("resp_0a1b2c3d4e5f", "gpt-5-2025-08-07"),
        ReasoningDelta("**Find the"),
        ReasoningDelta(" tide**"),
        ReasoningDelta("\n\n"),
        ReasoningDelta("I need the table."),
        ReasoningDone(reasoning),
        ToolCallDelta("call_Ab12Cd34", "tide_table", ""),
        ToolCallDelta("call_Ab12Cd34", arguments='{"port":'),
        ToolCallDelta("call_Ab12Cd34", arguments='"Oban",'),
        ToolCallDelta("call_Ab12Cd34", arguments='"days":2}'),
        call,
        usage,
        Finished("tool-calls", "completed"),
    ]
    assert whole("openai", "responses_tools.json") == [
        Started("resp_0a1b2c3d4e5f", "gpt-5-2025-08-07"),
        ReasoningDelta(reasoning.text),
        ReasoningDone(reasoning),
        ToolCallDelta("call_Ab12Cd34", "tide_table", '{"port":"Oban","days":2}'),
        call,
        usage,
        Finished("tool-calls", "completed"),
    ]


def test_a_chat_stream_of_two_calls_puts_their_pieces_together():
    usage = UsageReport(Usage(input=82, output=17))
    done = [
        ToolCallDone(ToolCall("call_one", "tide_table", {"port": "Oban"})),
        ToolCallDone(ToolCall("call_two", "now", {})),
    ]
    assert streamed("openai-compatible", "chat_tools.sse") == [
        Started("chatcmpl-Bx9y8z", "gpt-4.1-2025-04-14"),
        ToolCallDelta("call_one", "tide_table", ""),
        ToolCallDelta("call_one", arguments='{"port":'),
        ToolCallDelta("call_one", arguments='"Oban"}'),
        ToolCallDelta("call_two", "now", ""),
        ToolCallDelta("call_two", arguments="{}"),
        *done,
        Finished("tool-calls", "tool_calls"),
        usage,
    ]
    assert whole("openai-compatible", "chat_tools.json") == [
        Started("chatcmpl-Bx9y8z", "gpt-4.1-2025-04-14"),
        ToolCallDelta("call_one", "tide_table", '{"port":"Oban"}'),
        ToolCallDelta("call_two", "now", "{}"),
        *done,
        usage,
        Finished("tool-calls", "tool_calls"),
    ]


def test_a_compatible_endpoints_reasoning_ends_where_its_text_begins():
    assert streamed("openai-compatible", "chat_reasoning.sse") == [
        Started("f0a1b2c3", "deepseek-reasoner"),
        ReasoningDelta("Boats "),
        ReasoningDelta("need water."),
        ReasoningDone(Reasoning("Boats need water.", {"reasoning_content": "Boats need water."})),
        TextDelta("The harbour"),
        TextDelta(" opens at dawn."),
        Finished("stop", "stop"),
        UsageReport(Usage(input=20, cache_read=10, output=60, reasoning=52)),
    ]


def test_anthropics_thinking_comes_with_its_signature_before_the_call():
    thinking = {"type": "thinking", "thinking": "Boats need water.", "signature": "EqQBCgIYAhIM"}
    call = ToolCallDone(ToolCall("toolu_01Tide", "tide_table", {"port": "Oban", "days": 2}))
    usage = UsageReport(Usage(input=472, output=89, reasoning=40))
    assert streamed("anthropic", "anthropic_tools.sse") == [
        Started("msg_01Harbour", "claude-sonnet-4-5-20250929"),
        UsageReport(Usage(input=472, output=2)),
        ReasoningDelta("Boats "),
        ReasoningDelta("need water."),
        ReasoningDone(Reasoning("Boats need water.", thinking)),
        TextDelta("Let me look."),
        ToolCallDelta("toolu_01Tide", "tide_table"),
        ToolCallDelta("toolu_01Tide", arguments='{"port": "Ob'),
        ToolCallDelta("toolu_01Tide", arguments='an", "days": 2}'),
        call,
        usage,
        Finished("tool-calls", "tool_use"),
    ]
    assert whole("anthropic", "anthropic_tools.json") == [
        Started("msg_01Harbour", "claude-sonnet-4-5-20250929"),
        ReasoningDelta("Boats need water."),
        ReasoningDone(Reasoning("Boats need water.", thinking)),
        TextDelta("Let me look."),
        ToolCallDelta("toolu_01Tide", "tide_table"),
        call,
        usage,
        Finished("tool-calls", "tool_use"),
    ]


@pytest.mark.parametrize("read", [whole, streamed])
def test_googles_calls_keep_the_signature_that_is_sent_back(read):
    events = read("google", f"google_tools.{'json' if read is whole else 'sse'}")
    first = ToolCall(
        "k3j2h1", "tide_table", {"port": "Oban", "days": 2}, {"id": "k3j2h1", "thoughtSignature": "CiQBVKhc7g=="}
    )
    assert [event for event in events if not isinstance(event, UsageReport)] == [
        Started("Kx0iaYtide", "gemini-3-pro-preview"),
        ReasoningDelta("**Find the tide**"),
        ReasoningDone(Reasoning("**Find the tide**")),
        ToolCallDelta("k3j2h1", "tide_table", '{"port": "Oban", "days": 2}'),
        ToolCallDone(first),
        ToolCallDelta("k3j2h2", "now", "{}"),
        ToolCallDone(ToolCall("k3j2h2", "now", {}, {"id": "k3j2h2"})),
        Finished("tool-calls", "STOP"),
    ]
    assert usage_of(events) == Usage(input=95, output=134, reasoning=100)


def test_a_signature_in_an_empty_part_at_the_end_is_kept():
    events = streamed("google", "google_signed_text.sse")
    assert text_of(events) == TEXT
    assert ReasoningDone(Reasoning("", {"thoughtSignature": "CiQBVKhc7g=="})) in events


def test_an_answer_that_its_token_limit_cut_off_says_so():
    assert whole("openai", "responses_incomplete.json")[-1] == Finished("length", "max_output_tokens")


@pytest.mark.parametrize(
    ("provider", "fixture", "error"),
    [
        ("openai", "responses_failed.sse", ProviderUnavailable),
        ("openai", "responses_error.sse", RateLimitExceeded),
        ("openai", "responses_error_nested.sse", RateLimitExceeded),
        ("anthropic", "anthropic_error.sse", ProviderUnavailable),
        ("google", "google_error.sse", ProviderUnavailable),
    ],
)
def test_an_error_inside_a_stream_is_raised_as_its_type(provider, fixture, error):
    with pytest.raises(error):
        streamed(provider, fixture)


def test_a_blocked_prompt_is_a_typed_error():
    with pytest.raises(ContentFiltered) as raised:
        whole("google", "google_blocked.json")
    assert raised.value.details["provider_code"] == "PROHIBITED_CONTENT"


def error_cases():
    for provider, name in (
        ("openai", "openai_errors.json"),
        ("openai-compatible", "compatible_errors.json"),
        ("anthropic", "anthropic_errors.json"),
        ("google", "google_errors.json"),
    ):
        for number, case in enumerate(body(name)):
            yield pytest.param(provider, case, id=f"{provider}-{number}-{case['status']}-{case['code']}")


@pytest.mark.parametrize(("provider", "case"), list(error_cases()))
def test_an_error_body_becomes_its_typed_error(provider, case):
    error = named(provider).error(case["status"], case.get("headers", {}), case["body"])
    assert isinstance(error, AIError)
    assert error.code == case["code"]
    assert error.retry_after_s == case.get("retry_after_s")
    assert error.details.get("route_not_found", False) == case.get("route_not_found", False)
    assert error.details["provider"] == provider
    assert error.details["provider_status"] == case["status"]
