"""The Responses API through the official client, with each wire format behind it."""

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from datastead.testing import Simulator

from .conftest import PIXEL, REASONING, WIRES, Gateway

TOOL: Any = {
    "type": "function",
    "name": "weather",
    "strict": False,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def test_a_model_of_any_provider_answers_responses(gateway: Gateway, simulator: Simulator, wire: str) -> None:
    simulator.script({"text": "Hello there."})
    raw = gateway.client().responses.with_raw_response.create(
        model=WIRES[wire], instructions="Be kind.", input="Say hello.", max_output_tokens=50, user="me"
    )
    answer, row = raw.parse(), gateway.row(raw.headers["x-datastead-call"])
    assert (answer.output_text, answer.status, answer.instructions) == ("Hello there.", "completed", "Be kind.")
    assert answer.id == f"resp_{row['id']}"
    assert (row["state"], row["purpose"]) == ("settled", "me")
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens > 0


def test_an_answer_that_is_cut_is_incomplete(gateway: Gateway, simulator: Simulator) -> None:
    simulator.script({"text": "one two three four five six seven eight nine ten"})
    answer = gateway.client().responses.create(model="claude-haiku-4-5", input="Go on.", max_output_tokens=3)
    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"


async def test_reasoning_text_and_calls_stream_in_order_and_come_back_on_the_next_turn(
    gateway: Gateway, simulator: Simulator, wire: str
) -> None:
    simulator.script({"tool": "weather", "arguments": {"city": "Rome"}, "text": "Let me look.", "reasoning": "Hm."})
    request: Any = {
        "model": REASONING[wire],
        "max_output_tokens": 4000,
        "tools": [TOOL],
        "reasoning": {"effort": "low"},
    }
    asked: list[Any] = [{"role": "user", "content": "How warm is Rome?"}]
    async with gateway.async_client() as client:
        async with client.responses.stream(input=asked, **request) as stream:
            numbers = [event.sequence_number async for event in stream if hasattr(event, "sequence_number")]
            first = await stream.get_final_response()
        assert numbers == list(range(len(numbers)))
        kinds = [item.type for item in first.output if item.type != "reasoning"]
        assert kinds == ["message", "function_call"]
        assert first.output_text == "Let me look."
        calls = [item for item in first.output if item.type == "function_call"]
        assert json.loads(calls[0].arguments) == {"city": "Rome"}
        kept = [
            item.model_dump(exclude={"parsed_arguments"}, exclude_none=True, warnings=False) for item in first.output
        ]
        asked += [*kept, {"type": "function_call_output", "call_id": calls[0].call_id, "output": "21"}]
        second = await client.responses.create(input=asked, **request)
    assert "21" in second.output_text
    sent = json.dumps(simulator.requests[-1]["json"])
    sealed = {"openai": "encrypted-", "anthropic": "signature", "google": "signature"}.get(wire, "")
    assert sealed in sent


def test_structured_output_of_responses_is_parsed_by_the_client(gateway: Gateway, wire: str) -> None:
    class City(BaseModel):
        name: str
        inhabitants: int

    answer = gateway.client().responses.parse(
        model=WIRES[wire], input="Which city?", text_format=City, max_output_tokens=200
    )
    assert isinstance(answer.output_parsed, City)


def test_images_reach_the_provider_from_responses(gateway: Gateway, simulator: Simulator, wire: str) -> None:
    content = [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"},
    ]
    asked: Any = [{"role": "user", "content": content}]
    assert gateway.client().responses.create(model=WIRES[wire], input=asked, max_output_tokens=50).output_text
    assert PIXEL in json.dumps(simulator.requests[-1]["json"])


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"background": True}, "background"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": [{"type": "magic"}]}, "input[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "magic"}]}]}, "input[0].content[0].type"),
        ({"input": [{"type": "function_call_output", "output": "x"}]}, "input[0].call_id"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"instructions": 7}, "instructions"),
    ],
)
def test_what_responses_cannot_do_here_is_a_400_that_says_so(gateway: Gateway, body: Any, parameter: str) -> None:
    answer = gateway.post("/ai/v1/responses", {"model": "local", "input": "Hi", **body})
    assert (answer.status, answer.json["error"]["param"]) == (400, parameter), answer.body


def test_an_error_in_a_stream_of_responses_is_the_clients_exception(gateway: Gateway, simulator: Simulator) -> None:
    simulator.default({"kind": "error-in-stream", "text": "one two three", "chunks": 3, "after_chunks": 2})
    kinds: list[str] = []
    with pytest.raises(openai.APIError):
        events = gateway.client().responses.create(model="claude-haiku-4-5", input="Hi", stream=True)
        kinds.extend(event.type for event in events)
    assert kinds[-1] == "response.failed"


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_with_a_schema_that_is_cut_is_incomplete_and_no_error(
    gateway: Gateway, simulator: Simulator, stream: bool
) -> None:
    simulator.script({"text": '{"name": "Rome, ' + "the eternal city, " * 20 + '"}'})
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    given: Any = {"format": {"type": "json_schema", "name": "city", "schema": schema}}
    answer: Any = gateway.client().responses.create(
        model="claude-haiku-4-5", input="Go on.", text=given, max_output_tokens=16, stream=stream
    )
    if stream:
        *_, last = answer
        answer = last.response
    assert (answer.status, answer.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert answer.output_text.startswith('{"name"')
