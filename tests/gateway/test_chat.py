"""Chat Completions through the official client, with each wire format behind it."""

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from datastead.testing import Simulator

from .conftest import PIXEL, REASONING, WIRES, Gateway

ASK: Any = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Say hello."}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def test_a_model_of_any_provider_answers_the_official_client(gateway: Gateway, simulator: Simulator, wire: str) -> None:
    simulator.script({"text": "Hello there.", "usage": {"input": 10, "output": 5, "cache_read": 4}})
    raw = gateway.client().chat.completions.with_raw_response.create(model=WIRES[wire], messages=ASK, max_tokens=50)
    answer, row = raw.parse(), gateway.row(raw.headers["x-datastead-call"])
    assert answer.choices[0].message.content == "Hello there."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.id == f"chatcmpl-{row['id']}"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens_details is not None
    assert (answer.usage.completion_tokens, answer.usage.prompt_tokens_details.cached_tokens) == (5, 4)
    assert answer.usage.prompt_tokens == row["input_tokens"] + row["cache_read_tokens"]
    assert (row["state"], row["provider"], row["usage_source"]) == ("settled", wire, "provider")
    assert float(raw.headers["x-datastead-cost"]) == pytest.approx(row["cost_nano_usd"] / 1e9)
    assert row["token"]
    sent = json.dumps(simulator.requests[-1]["json"])
    assert "Be kind." in sent
    assert "Say hello." in sent
    assert "sk-upstream" not in raw.text


async def test_a_stream_of_any_provider_reaches_the_official_client(
    gateway: Gateway, simulator: Simulator, wire: str
) -> None:
    simulator.script({"text": "one two three four", "chunks": 4, "chunk_delay_s": 0.02})
    texts, last, usage = [], None, None
    async with gateway.async_client() as client:
        stream = await client.chat.completions.create(
            model=WIRES[wire], messages=ASK, max_tokens=50, stream=True, stream_options={"include_usage": True}
        )
        async for chunk in stream:
            usage = chunk.usage or usage
            if chunk.choices:
                texts.append(chunk.choices[0].delta.content or "")
                last = chunk.choices[0].finish_reason
    assert ("".join(texts), last) == ("one two three four", "stop")
    assert len([text for text in texts if text]) >= 4
    assert usage is not None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens > 0


def test_usage_is_in_a_stream_only_where_it_is_asked_for(gateway: Gateway) -> None:
    chunks = list(gateway.client().chat.completions.create(model="local", messages=ASK, stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


@pytest.mark.parametrize("stream", [False, True])
def test_tools_are_called_and_answered_over_two_turns(
    gateway: Gateway, simulator: Simulator, wire: str, stream: bool
) -> None:
    calls = ({"name": "weather", "arguments": {"city": "Rome"}}, {"name": "weather", "arguments": {"city": "Oslo"}})
    simulator.script({"tool_calls": calls})
    client, messages = gateway.client(), list(ASK)
    turn = _turn(client, stream, model=WIRES[wire], messages=messages, tools=[WEATHER], max_tokens=200)
    assert [json.loads(call["function"]["arguments"]) for call in turn["tool_calls"]] == [
        {"city": "Rome"},
        {"city": "Oslo"},
    ]
    messages += [turn, *({"role": "tool", "tool_call_id": call["id"], "content": "21"} for call in turn["tool_calls"])]
    second = _turn(client, stream, model=WIRES[wire], messages=messages, tools=[WEATHER], max_tokens=200)
    assert "21" in second["content"]


def _turn(client: Any, stream: bool, **request: Any) -> dict[str, Any]:
    """An assistant's turn, as clients put it together from a stream: what comes with a call comes with its beginning."""
    if not stream:
        found: dict[str, Any] = client.chat.completions.create(**request).choices[0].message.to_dict()
        return found
    turn: dict[str, Any] = {"role": "assistant", "content": "", "tool_calls": []}
    for chunk in client.chat.completions.create(**request, stream=True):
        delta = chunk.choices[0].delta
        turn["content"] += delta.content or ""
        for piece in delta.tool_calls or []:
            if piece.index == len(turn["tool_calls"]):
                turn["tool_calls"].append(piece.to_dict())
            else:
                turn["tool_calls"][piece.index]["function"]["arguments"] += piece.function.arguments
    turn["tool_calls"] = turn["tool_calls"] or None
    return {name: value for name, value in turn.items() if value is not None}


def test_googles_signature_comes_back_to_google_with_the_call_it_belongs_to(
    gateway: Gateway, simulator: Simulator
) -> None:
    for own in (True, False):  # kept whole, and as a client that knows only Google's own form keeps it
        simulator.script({"tool": "weather", "arguments": {"city": "Rome"}})
        client = gateway.client()
        turn = _turn(client, True, model="gemini-2.5-pro", messages=ASK, tools=[WEATHER], max_tokens=200)
        (call,) = turn["tool_calls"]
        signature = call["extra_content"]["google"]["thought_signature"]
        if not own:
            call["extra_content"] = {"google": {"thought_signature": signature}}
        answer = {"role": "tool", "tool_call_id": call["id"], "content": "21"}
        _turn(client, True, model="gemini-2.5-pro", messages=[*ASK, turn, answer], tools=[WEATHER], max_tokens=200)
        assert signature in json.dumps(simulator.requests[-1]["json"])


def test_tool_choice_reaches_the_provider(gateway: Gateway, wire: str) -> None:
    choice: Any = {"type": "function", "function": {"name": "weather"}}
    answer = gateway.client().chat.completions.create(
        model=WIRES[wire], messages=ASK, tools=[WEATHER], tool_choice=choice, max_tokens=100
    )
    assert answer.choices[0].finish_reason == "tool_calls"


def test_structured_output_is_parsed_by_the_client(gateway: Gateway, wire: str) -> None:
    class City(BaseModel):
        name: str
        inhabitants: int

    answer = gateway.client().chat.completions.parse(
        model=WIRES[wire], messages=ASK, response_format=City, max_tokens=200
    )
    assert isinstance(answer.choices[0].message.parsed, City)


def test_an_image_and_a_file_reach_the_provider(gateway: Gateway, simulator: Simulator, wire: str) -> None:
    pdf = "JVBERi0xLjQKJSVFT0Y="
    parts: Any = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{pdf}"}},
    ]
    answer = gateway.client().chat.completions.create(
        model=WIRES[wire], messages=[{"role": "user", "content": parts}], max_tokens=50
    )
    assert answer.choices[0].message.content
    sent = json.dumps(simulator.requests[-1]["json"])
    assert PIXEL in sent
    assert pdf in sent


def test_reasoning_is_shown_apart_and_comes_back_on_the_next_turn(
    gateway: Gateway, simulator: Simulator, wire: str
) -> None:
    simulator.script({"text": "42", "reasoning": "I think of a number."})
    client, model = gateway.client(), REASONING[wire]
    first = client.chat.completions.create(
        model=model, messages=ASK, max_completion_tokens=4000, extra_body={"reasoning": {"enabled": True}}
    )
    message = first.choices[0].message.to_dict()
    assert message["content"] == "42"
    assert message["reasoning_content"] == "I think of a number."
    more: Any = [*ASK, message, {"role": "user", "content": "Why?"}]
    client.chat.completions.create(model=model, messages=more, max_completion_tokens=4000, reasoning_effort="low")
    sent = json.dumps(simulator.requests[-1]["json"])
    kept = {"openai": "encrypted-", "anthropic": "signature"}.get(wire, "")  # the others want none of it back
    assert kept in sent


def test_reasoning_is_streamed_apart(gateway: Gateway, simulator: Simulator, wire: str) -> None:
    simulator.script({"text": "42", "reasoning": "I think of a number."})
    stream = gateway.client().chat.completions.create(
        model=REASONING[wire], messages=ASK, max_completion_tokens=4000, stream=True, reasoning_effort="medium"
    )
    deltas = [chunk.choices[0].delta.to_dict() for chunk in stream]
    assert "".join(str(delta.get("reasoning_content", "")) for delta in deltas) == "I think of a number."
    assert "".join(str(delta.get("content") or "") for delta in deltas) == "42"


def test_what_only_openai_knows_is_passed_on_to_openai_and_named_as_ignored_elsewhere(
    gateway: Gateway, simulator: Simulator, wire: str
) -> None:
    raw = gateway.client().chat.completions.with_raw_response.create(
        model=WIRES[wire], messages=ASK, max_tokens=50, seed=7, presence_penalty=0.5
    )
    sent, ignored = simulator.requests[-1], raw.headers.get("x-datastead-ignored")
    if wire.startswith("openai"):
        assert (sent["json"]["seed"], sent["json"]["presence_penalty"], ignored) == (7, 0.5, None)
        assert sent["path"].endswith("/chat/completions")
    else:
        assert "seed" not in sent["json"]
        assert set(str(ignored).split(",")) == {"seed", "presence_penalty"}


def test_no_parameter_changes_which_model_is_called(gateway: Gateway, simulator: Simulator) -> None:
    more = {"models": ["dear-model"], "route": "fallback", "store": True}
    gateway.client().chat.completions.create(model="local", messages=ASK, extra_body=more)
    assert not {"models", "route", "store"} & simulator.requests[-1]["json"].keys()


def test_user_and_metadata_are_the_purpose_in_the_ledger(gateway: Gateway) -> None:
    chat = gateway.client().chat.completions.with_raw_response
    by_user = chat.create(model="local", messages=ASK, user="u" * 100)
    by_purpose = chat.create(model="local", messages=ASK, user="somebody", metadata={"purpose": "seo"})
    assert gateway.row(by_user.headers["x-datastead-call"])["purpose"] == "u" * 64
    assert gateway.row(by_purpose.headers["x-datastead-call"])["purpose"] == "seo"


def test_our_own_options_go_along_in_an_object_of_their_own(gateway: Gateway, simulator: Simulator) -> None:
    own = {"datastead": {"key": "the-same", "purpose": "twice"}}
    chat = gateway.client().chat.completions
    first, second = (chat.create(model="local", messages=ASK, extra_body=own) for _ in range(2))
    assert first.id == second.id
    assert len(simulator.requests) == 1


def test_plain_json_is_asked_for_in_the_providers_own_way(gateway: Gateway, simulator: Simulator, wire: str) -> None:
    gateway.client().chat.completions.create(
        model=WIRES[wire], messages=ASK, max_tokens=50, response_format={"type": "json_object"}
    )
    sent = simulator.requests[-1]["json"]
    if wire.startswith("openai"):
        assert sent["response_format"] == {"type": "json_object"}
    else:
        assert "one JSON object" in json.dumps(sent)


def test_models_are_listed_as_they_can_be_called(gateway: Gateway) -> None:
    client = gateway.client()
    listed = {model.id: model for model in client.models.list()}
    assert listed["claude-haiku-4-5"].owned_by == "anthropic"
    assert listed["local"].to_dict()["price"] == {"input": 1.0, "output": 2.0}
    assert client.models.retrieve("openai/gpt-4.1").id == "openai/gpt-4.1"
    assert client.chat.completions.create(model="openai/gpt-4.1", messages=ASK).choices


SCHEMA: Any = {
    "type": "json_schema",
    "json_schema": {
        "name": "city",
        "schema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    },
}


def test_an_answer_that_does_not_fit_its_schema_is_mended_and_is_the_value_alone(
    gateway: Gateway, simulator: Simulator
) -> None:
    simulator.script([{"text": '{"name": 7}'}, {"text": '{"name": "Rome"}'}])
    answer = gateway.client().chat.completions.create(model="local", messages=ASK, response_format=SCHEMA)
    assert json.loads(answer.choices[0].message.content or "") == {"name": "Rome"}


def test_a_stream_that_does_not_fit_its_schema_ends_in_an_error_and_not_in_two_answers(
    gateway: Gateway, simulator: Simulator
) -> None:
    simulator.script([{"text": '{"name": 7}'}, {"text": '{"name": "Rome"}'}])
    texts: list[str] = []
    with pytest.raises(openai.APIError) as caught:
        chunks = gateway.client().chat.completions.create(
            model="local", messages=ASK, response_format=SCHEMA, stream=True
        )
        texts.extend(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert caught.value.code == "invalid_output"
    assert "Rome" not in "".join(texts)


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_with_a_schema_that_is_cut_is_no_error_but_ends_by_its_length(
    gateway: Gateway, simulator: Simulator, stream: bool, wire: str
) -> None:
    simulator.script({"text": '{"name": "Rome, ' + "the eternal city, " * 20 + '"}'})
    asked = gateway.client().chat.completions.with_raw_response.create(
        model=WIRES[wire], messages=ASK, response_format=SCHEMA, max_tokens=16, stream=stream
    )
    if stream:
        choices = [chunk.choices[0] for chunk in asked.parse() if chunk.choices]
        text, reason = "".join(each.delta.content or "" for each in choices), choices[-1].finish_reason
    else:
        (choice,) = asked.parse().choices
        text, reason = choice.message.content or "", choice.finish_reason
    row = gateway.row(asked.headers["x-datastead-call"])
    assert (text.startswith('{"name"'), text.endswith("}"), reason) == (True, False, "length")
    assert (row["state"], row["finish_reason"]) == ("settled", "length")


def test_an_answer_with_a_schema_that_is_withheld_is_no_error_but_says_so(
    gateway: Gateway, simulator: Simulator
) -> None:
    part = {"role": "assistant", "content": '{"name": "Ro'}
    body = {"choices": [{"index": 0, "message": part, "finish_reason": "content_filter"}]}
    simulator.script({"kind": "body", "body": body})
    answer = gateway.client().chat.completions.create(model="local", messages=ASK, response_format=SCHEMA)
    assert (answer.choices[0].finish_reason, answer.choices[0].message.content) == ("content_filter", '{"name": "Ro')
