"""Ollama, vLLM and OpenRouter as they document themselves: what they add to Chat Completions, and leave out of it."""

import pytest

from datastead.errors import ProviderUnavailable, RateLimitExceeded
from datastead.messages import (
    Call,
    Finished,
    Message,
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
    user,
)
from tests.providers.documented import body, chunks, model, provider, streamed, text_of, usage_of, whole, wire

NAME = "openai-compatible"


def test_openrouters_stream_has_its_own_cost_and_reasoning_that_goes_back():
    detail = {
        "type": "reasoning.text",
        "text": "Boats need water.",
        "signature": "EqQBCgIYAhIM",
        "format": "anthropic-claude-v1",
        "index": 0,
    }
    assert streamed(NAME, "openrouter_reasoning.sse") == [
        Started("gen-1730000000-Harbour", "anthropic/claude-sonnet-4.5"),
        ReasoningDelta("Boats "),
        ReasoningDelta("need water."),
        ReasoningDone(Reasoning("Boats need water.", {"reasoning_details": [detail]})),
        TextDelta("The harbour"),
        TextDelta(" opens at dawn."),
        Finished("stop", "stop"),
        UsageReport(Usage(input=94, cache_write=100, output=62, reasoning=40, cost_nano_usd=1_510_000)),
    ]


def test_encrypted_reasoning_goes_back_with_its_call_and_a_key_of_ones_own_costs_both():
    events = whole(NAME, "openrouter_encrypted.json")
    (reasoning,) = [event.part for event in events if isinstance(event, ReasoningDone)]
    (call,) = [event.call for event in events if isinstance(event, ToolCallDone)]
    turns = (user("When?"), Message("assistant", (reasoning, call)))
    (_, sent) = wire(model(NAME, "openai/gpt-5"), Call("openai/gpt-5", turns)).json["messages"]
    assert reasoning.text == ""
    assert sent["reasoning_details"] == [
        {
            "type": "reasoning.encrypted",
            "data": "gAAAAABtide",
            "id": "rs_1",
            "format": "openai-responses-v1",
            "index": 0,
        }
    ]
    assert (usage_of(events).cost_nano_usd, usage_of(events).tier) == (75_500 + 1_510_000, "flex")


def test_an_error_in_a_chunk_with_choices_is_raised():
    decode = provider(NAME).decoder()
    text, error = chunks("openrouter_error.sse")
    assert text_of(list(decode(text))) == "The harbour"
    with pytest.raises(ProviderUnavailable) as raised:
        list(decode(error))
    assert raised.value.details["provider_code"] == "server_error"


def test_an_error_in_a_choice_is_raised_after_what_it_cost():
    events = provider(NAME).response(body("openrouter_choice_error.json"))
    assert next(events) == UsageReport(Usage(input=12, output=3, cost_nano_usd=81_000))
    with pytest.raises(ProviderUnavailable):
        next(events)


def test_ollamas_calls_of_the_same_index_are_told_apart_by_their_ids():
    assert streamed(NAME, "ollama_tools.sse") == [
        Started("chatcmpl-512", "qwen3:8b"),
        ReasoningDelta("I need"),
        ReasoningDelta(" the table."),
        ReasoningDone(Reasoning("I need the table.", {"reasoning": "I need the table."})),
        ToolCallDelta("call_a1b2", "tide_table", '{"port":"Oban"}'),
        ToolCallDelta("call_c3d4", "now", "{}"),
        ToolCallDone(ToolCall("call_a1b2", "tide_table", {"port": "Oban"})),
        ToolCallDone(ToolCall("call_c3d4", "now", {})),
        Finished("tool-calls", "tool_calls"),
        UsageReport(Usage(input=158, output=41)),
    ]


def test_vllms_usage_in_every_chunk_counts_once():
    events = streamed(NAME, "vllm_continuous.sse")
    assert text_of(events) == "The harbour opens at dawn."
    assert ReasoningDone(Reasoning("Boats need water.", {"reasoning": "Boats need water."})) in events
    assert usage_of(events) == Usage(input=24, output=12)


def test_vllms_error_in_a_stream_is_raised_by_its_number():
    with pytest.raises(ProviderUnavailable) as raised:
        streamed(NAME, "vllm_error.sse")
    assert raised.value.details["provider_status"] == 500


def test_older_vllms_error_is_the_whole_of_the_answer():
    answer = {"object": "error", "message": "Slow down", "type": "RateLimitError", "param": None, "code": 429}
    with pytest.raises(RateLimitExceeded):
        list(provider(NAME).response(answer))


def call_pieces(*pieces: dict[str, object]) -> list[ToolCall]:
    decode = provider(NAME).decoder()
    sent = [{"choices": [{"delta": {"tool_calls": [piece]}, "finish_reason": None}]} for piece in pieces]
    end = {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]}
    return [event.call for chunk in (*sent, end) for event in decode(chunk) if isinstance(event, ToolCallDone)]


def test_calls_without_index_and_id_are_told_apart_by_their_names():
    one, two = call_pieces(
        {"function": {"name": "look", "arguments": '{"at": 1}'}},
        {"function": {"name": "look", "arguments": '{"at": 2}'}},
    )
    assert (one.arguments, two.arguments) == ({"at": 1}, {"at": 2})
    assert one.id != two.id


def test_a_call_whose_name_or_id_comes_again_with_each_piece_is_one_call():
    (named,) = call_pieces(
        {"index": 0, "function": {"name": "look", "arguments": '{"at"'}},
        {"index": 0, "function": {"name": "look", "arguments": ": 1}"}},
    )
    (numbered,) = call_pieces(
        {"index": 0, "id": "c1", "function": {"name": "look", "arguments": '{"at"'}},
        {"index": 0, "id": "c1", "function": {"arguments": ": 1}"}},
    )
    assert named.arguments == numbered.arguments == {"at": 1}


def test_pieces_of_calls_that_come_mixed_are_put_together_by_their_index():
    one, two = call_pieces(
        {"index": 0, "id": "a", "function": {"name": "look", "arguments": '{"at"'}},
        {"index": 1, "id": "b", "function": {"name": "hear", "arguments": '{"of"'}},
        {"index": 0, "function": {"arguments": ": 1}"}},
        {"index": 1, "function": {"arguments": ": 2}"}},
    )
    assert (one.arguments, two.arguments) == ({"at": 1}, {"of": 2})


def test_arguments_that_come_as_an_object_are_arguments():
    (call,) = call_pieces({"index": 0, "id": "a", "function": {"name": "look", "arguments": {"at": 1}}})
    assert call.arguments == {"at": 1}


@pytest.mark.parametrize(
    ("usage", "nano_usd"),
    [
        ({"cost": 0}, 0),
        ({"cost": 0.00014}, 140_000),
        ({"cost": "0.00014"}, 140_000),
        ({"cost": 1e-10}, 1),
        ({"cost": {"total_cost": 0.006}}, 6_000_000),
        ({"cost_in_usd_ticks": 158_500}, 15_850),
        ({"cost": 0.5, "is_byok": False, "cost_details": {"upstream_inference_cost": 0.5}}, 500_000_000),
        ({"cost": -1}, None),
        ({"cost": True}, None),
        ({"cost": "free"}, None),
        ({"cost": "NaN"}, None),
        ({"cost": "Infinity"}, None),
        ({}, None),
    ],
)
def test_the_endpoints_own_cost_is_read_exactly_or_not_at_all(usage, nano_usd):
    answer = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}]}
    answer["usage"] = {"prompt_tokens": 1, "completion_tokens": 1, **usage}
    assert usage_of(list(provider(NAME).response(answer))).cost_nano_usd == nano_usd


def test_an_explicit_zero_is_a_value_at_the_end_and_a_filler_before_it():
    decode = provider(NAME).decoder()
    zero = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    begin = {"choices": [{"delta": {"content": "x"}, "finish_reason": None}], "usage": zero}
    end = {"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": zero}
    assert [event for event in decode(begin) if isinstance(event, UsageReport)] == []
    assert [event for event in decode(end) if isinstance(event, UsageReport)] == [UsageReport(Usage())]


def test_zeros_after_the_count_take_nothing_back():
    decode = provider(NAME).decoder()
    counted = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    end = {"choices": [{"delta": {"content": "x"}, "finish_reason": "stop"}], "usage": counted}
    after = {"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0}}
    events = [event for chunk in (end, after) for event in decode(chunk)]
    assert usage_of(events) == Usage(input=5, output=2)
