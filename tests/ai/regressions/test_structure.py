"""Structured output: what peers get wrong, one test a lesson (n8n 18765, 20029, 12735, 17535, 26004, 27726)."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, Field, field_validator

from datastead import Settings
from datastead.errors import InvalidOutput, InvalidRequest
from datastead.testing.simulator import Simulator
from tests.ai.conftest import WIRES, House, opened

MakeSettings = Callable[..., Settings]
ISSUE = {
    "type": "object",
    "properties": {
        "topic": {"type": "string"},
        "urgency": {"type": "integer", "minimum": 1, "maximum": 5},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["topic", "urgency", "tags"],
}
GOOD = {"topic": "Login", "urgency": 4, "tags": ["auth", "web"]}
GOOD_TEXT = json.dumps(GOOD)
BAD_TEXT = json.dumps({**GOOD, "urgency": "high"})


async def ask(house: House, model: str = "local", *, stream: bool = False, **options: Any) -> Any:
    given = {"schema": ISSUE, "model": model, **options}
    if stream:
        return await house.ai.generate_stream("Sort this ticket.", **given).collect()
    return await house.ai.object("Sort this ticket.", **given)


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("stream", [False, True])
async def test_the_schema_goes_through_the_providers_own_mode(
    house: House, simulator: Simulator, wire: str, stream: bool
) -> None:
    result = await ask(house, WIRES[wire], provider=wire, stream=stream)
    sent = json.dumps(simulator.requests[-1]["json"])
    mode = {
        "openai": '"format"',
        "openai-compatible": '"response_format"',
        "anthropic": '"output_config"',
        "google": '"responseJsonSchema"',
    }
    assert mode[wire] in sent
    assert set(result.object) == {"topic", "urgency", "tags"}
    assert len(await house.rows()) == 1


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_does_not_fit_is_mended_once_and_each_call_is_a_row(
    house: House, simulator: Simulator, wire: str, stream: bool
) -> None:
    simulator.script([{"text": BAD_TEXT}, {"text": GOOD_TEXT}])
    result = await ask(house, WIRES[wire], provider=wire, stream=stream, key="ticket-1")
    first, second = await house.rows()
    assert result.object == GOOD
    assert (first["state"], second["state"], first["key"], second["key"]) == (
        "settled", "settled", "ticket-1", "ticket-1:repair",
    )  # fmt: skip
    assert (result.call, result.repaired) == (second["id"], first["id"])
    assert result.cost_nano_usd == first["cost_nano_usd"] + second["cost_nano_usd"] > 0
    assert result.usage.output == first["output_tokens"] + second["output_tokens"]
    said = json.dumps(simulator.requests[-1]["json"])
    assert "$.urgency" in said
    assert "Sort this ticket." in said


async def test_an_answer_that_never_fits_is_a_typed_error_with_the_place_and_the_reason(
    house: House, simulator: Simulator
) -> None:
    simulator.default({"text": json.dumps({**GOOD, "tags": ["a", 5]})})
    with pytest.raises(InvalidOutput) as caught:
        await ask(house)
    details = caught.value.details
    assert (details["cause"], details["path"], details["repaired"]) == ("schema", "$.tags[1]", True)
    assert "string" in details["reason"]
    assert len(await house.rows()) == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cut_answer_is_called_cut_and_is_not_paid_for_twice(
    house: House, simulator: Simulator, stream: bool
) -> None:
    simulator.default({"text": GOOD_TEXT})
    with pytest.raises(InvalidOutput) as caught:
        await ask(house, max_tokens=5, stream=stream)
    assert caught.value.details["cause"] == "length"
    assert [row["state"] for row in await house.rows()] == ["settled"]


@pytest.mark.parametrize("wire", ["openai", "openai-compatible", "anthropic"])
async def test_a_refusal_is_called_a_refusal_and_never_becomes_a_value(
    house: House, simulator: Simulator, wire: str
) -> None:
    simulator.script({"kind": "body", "body": REFUSALS[wire]})
    with pytest.raises(InvalidOutput) as caught:
        await ask(house, WIRES[wire], provider=wire)
    assert caught.value.details["cause"] == "content-filter"
    assert len(simulator.requests) == 1


REFUSED = "I can not help with that."
REFUSALS: dict[str, Any] = {
    "openai": {
        "id": "r", "object": "response", "status": "completed", "model": "gpt-4.1",
        "output": [{"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": REFUSED}]}],
        "usage": {"input_tokens": 5, "output_tokens": 7},
    },
    "openai-compatible": {
        "id": "c", "model": "local", "usage": {"prompt_tokens": 5, "completion_tokens": 7},
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "refusal": REFUSED}}],
    },
    "anthropic": {
        "id": "m", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "stop_reason": "refusal",
        "content": [{"type": "text", "text": REFUSED}], "usage": {"input_tokens": 5, "output_tokens": 7},
    },
}  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        f"```json\n{GOOD_TEXT}\n```",
        f"Here it is:\n\n```\n{GOOD_TEXT}\n```\nAnything else?",
        f"Sure! {GOOD_TEXT} Let me know.",
        f"\ufeff  {GOOD_TEXT}\n",
        f"<think>a brace {{ first</think>```json\n{GOOD_TEXT}\n```",
    ],
)
async def test_json_in_a_fence_or_between_words_needs_no_regex_of_the_callers(
    house: House, simulator: Simulator, text: str
) -> None:
    simulator.script({"text": text})
    assert (await ask(house)).object == GOOD
    assert len(simulator.requests) == 1


@pytest.mark.parametrize(
    "text",
    [
        "The ticket is about the login.",
        "",
        "{'topic': 'Login'}",
        f"```json\n{GOOD_TEXT}\n```\nor\n```json\n{GOOD_TEXT}\n```",
        '{"topic": "Login", "urgency": NaN, "tags": []}',
        "[" * 100_000,
        '{"topic": 1' + "0" * 5000 + "}",
        "null",
        f"[{GOOD_TEXT}]",
        json.dumps({"output": GOOD}),
    ],
)  # fmt: skip
async def test_text_that_is_not_the_value_never_becomes_one(house: House, simulator: Simulator, text: str) -> None:
    simulator.script([{"text": text}, {"text": text}])
    with pytest.raises(InvalidOutput) as caught:
        await ask(house)
    assert caught.value.details["cause"] in {"json", "schema"}
    assert len(simulator.requests) == 2


@pytest.mark.parametrize("wire", WIRES)
async def test_a_list_can_be_asked_for_though_providers_take_objects_only(
    house: House, simulator: Simulator, wire: str
) -> None:
    schema = {"type": "array", "items": {"$ref": "#/$defs/word"}, "$defs": {"word": {"type": "string", "minLength": 2}}}
    simulator.script({"text": json.dumps({"value": ["salt", "water"]})})
    result = await ask(house, WIRES[wire], provider=wire, schema=schema)
    assert result.object == ["salt", "water"]


async def test_the_place_of_a_misfit_in_a_list_is_that_of_the_callers_schema(
    house: House, simulator: Simulator
) -> None:
    simulator.default({"text": json.dumps({"value": ["salt", 5]})})
    with pytest.raises(InvalidOutput) as caught:
        await ask(house, schema={"type": "array", "items": {"type": "string"}})
    assert caught.value.details["path"] == "$[1]"


async def test_formats_are_checked(house: House, simulator: Simulator) -> None:
    schema = {"type": "object", "properties": {"on": {"type": "string", "format": "date"}}, "required": ["on"]}
    simulator.script([{"text": '{"on": "soon"}'}, {"text": '{"on": "2026-11-26"}'}])
    assert (await ask(house, schema=schema)).object == {"on": "2026-11-26"}


@pytest.mark.parametrize("stream", [False, True])
async def test_an_endpoint_that_refuses_schemas_is_asked_in_words_and_that_is_remembered(
    house: House, simulator: Simulator, stream: bool
) -> None:
    refusal = {
        "error": {"message": "response_format of type json_schema is not supported", "type": "invalid_request_error"}
    }
    simulator.script([{"kind": "body", "status": 400, "body": refusal}, {"text": f"```json\n{GOOD_TEXT}\n```"}])
    assert (await ask(house, stream=stream)).object == GOOD
    first, second = (request["json"] for request in simulator.requests)
    assert "response_format" in first
    assert "response_format" not in second
    assert '"urgency"' in second["messages"][0]["content"]
    assert [row["state"] for row in await house.rows()] == ["failed", "settled"]
    simulator.script({"text": GOOD_TEXT})
    await ask(house)
    assert "response_format" not in simulator.requests[-1]["json"]


async def test_a_model_declared_without_schemas_is_asked_in_words(
    sqlite_url: str, settings: MakeSettings, simulator: Simulator
) -> None:
    simulator.script([{"text": BAD_TEXT}, {"text": GOOD_TEXT}])
    async with opened(sqlite_url, settings(ai_openai_compatible_models=[{"id": "old", "schema": False}])) as house:
        result = await ask(house, "old", system="You sort tickets.")
    assert result.object == GOOD
    for request in simulator.requests:
        system = request["json"]["messages"][0]["content"]
        assert system.startswith("You sort tickets.\n\nAnswer with nothing but JSON")
        assert system.count("Answer with nothing but JSON") == 1
        assert "response_format" not in request["json"]


class Ticket(BaseModel):
    topic: str
    urgency: int = Field(alias="priority")

    @field_validator("topic")
    @classmethod
    def _named(cls, value: str) -> str:
        if not value.istitle():
            raise ValueError("a topic begins with a capital")
        return value


async def test_a_pydantic_model_gives_an_instance_checked_by_its_own_rules(house: House, simulator: Simulator) -> None:
    simulator.script([{"text": '{"topic": "login", "priority": 3}'}, {"text": '{"topic": "Login", "priority": 3}'}])
    result = await ask(house, schema=Ticket)
    assert result.object == Ticket(topic="Login", priority=3)
    assert result.to_dict()["object"] == {"topic": "Login", "priority": 3}
    assert "begins with a capital" in json.dumps(simulator.requests[-1]["json"])


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "thing"},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}},
        {"$ref": "http://127.0.0.1:1/schema.json"},
        {"$ref": "file:///etc/hostname"},
        {"type": "object", "properties": {"a": {"pattern": "("}}},
        {"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#"}}]},
        "string",
        5,
        int,
        [],
    ],
)  # fmt: skip
async def test_a_schema_that_is_none_is_refused_before_anything_is_paid(
    house: House, simulator: Simulator, schema: Any
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await ask(house, schema=schema)
    assert caught.value.details["parameter"] == "schema"
    assert (simulator.requests, await house.rows()) == ([], [])


async def test_a_pattern_that_never_ends_does_not_stop_the_house(house: House, simulator: Simulator) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(?=a)(a+)+$"}}, "required": ["a"]}
    simulator.default({"text": json.dumps({"a": "a" * 5000 + "!"})})
    with pytest.raises(InvalidOutput):
        await ask(house, schema=schema)


async def test_a_model_that_calls_a_tool_first_has_no_object_yet(house: House, simulator: Simulator) -> None:
    tools = [{"name": "look_up", "description": "Looks a ticket up.", "inputSchema": {"type": "object"}}]
    simulator.script({"tool": "look_up", "arguments": {}})
    result = await ask(house, tools=tools)
    assert (result.object, result.finish_reason) == (None, "tool-calls")


async def test_a_repair_that_cannot_be_paid_for_is_still_an_invalid_output(house: House, simulator: Simulator) -> None:
    simulator.script([{"text": BAD_TEXT}, {"kind": "quota"}])
    with pytest.raises(InvalidOutput) as caught:
        await ask(house)
    assert (caught.value.details["cause"], caught.value.details["repair_error"]) == ("schema", "QUOTA_EXCEEDED")


async def test_a_replay_of_a_mended_answer_pays_for_neither_call_again(house: House, simulator: Simulator) -> None:
    simulator.script([{"text": BAD_TEXT}, {"text": GOOD_TEXT}])
    first = await ask(house, key="step")
    again = await ask(house, key="step")
    assert (again.object, again.cost_nano_usd) == (first.object, first.cost_nano_usd)
    assert len(simulator.requests) == 2
    await house.ai.release("step")
    simulator.script({"text": GOOD_TEXT})
    await ask(house, key="step")
    assert len(simulator.requests) == 3


async def test_a_stream_left_early_stops_the_provider_though_a_schema_is_asked_for(
    house: House, simulator: Simulator
) -> None:
    simulator.script({"text": GOOD_TEXT, "chunks": 20, "chunk_delay_s": 0.02})
    async with house.ai.generate_stream("Sort.", model="local", schema=ISSUE) as stream:
        async for event in stream:
            if event.content:
                break
    row = await house.row()
    assert (row["state"], row["error_code"]) == ("settled", "CANCELLED")


CONSTRAINED: dict[str, Any] = {
    "type": "object",
    "properties": {
        "urgency": {"type": "integer", "minimum": 1, "maximum": 5, "multipleOf": 1},
        "topic": {"type": "string", "minLength": 2, "maxLength": 12, "description": "In a word."},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 9}, "minItems": 2, "uniqueItems": False},
        "about": {"oneOf": [{"$ref": "#/$defs/place", "description": "Where."}, {"type": "null"}]},
        "when": {"type": "string", "format": "date"},
        "code": {"type": "string", "format": "regex"},
    },
    "required": ["urgency", "topic", "tags", "about", "when", "code"],
    "$defs": {
        "place": {"type": "object", "properties": {"name": {"type": "string", "default": "x"}}, "required": ["name"]}
    },
}


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_vendors_mode_refuses_is_told_in_words_and_costs_no_refused_call(
    house: House, simulator: Simulator, wire: str, stream: bool
) -> None:
    result = await ask(house, WIRES[wire], provider=wire, stream=stream, schema=CONSTRAINED)
    (request,) = simulator.requests
    sent = json.dumps(request["json"])
    assert (1 <= result.object["urgency"] <= 5, 2 <= len(result.object["topic"]) <= 12) == (True, True)
    assert "maxLength" in sent
    assert ("In a word.\\nHas to fit" in sent) is (wire in {"openai", "anthropic"})


@pytest.mark.parametrize(
    "part",
    [
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object"},
        {},
        {"$ref": "#/$defs/tree"},
        {"type": "array", "prefixItems": [{"type": "string"}]},
        {"allOf": [{"$ref": "#/$defs/leaf"}]},
        {"enum": [["a"], ["b"]]},
    ],
)
async def test_what_anthropics_mode_cannot_say_is_asked_in_words_at_once(
    house: House, simulator: Simulator, part: dict[str, Any]
) -> None:
    tree = {"type": "object", "properties": {"next": {"$ref": "#/$defs/tree"}}}
    leaf = {"type": "object", "properties": {"a": {"type": "string"}}}
    schema = {"type": "object", "properties": {"part": part}, "$defs": {"tree": tree, "leaf": leaf}}
    simulator.script({"text": "{}"})
    assert (await ask(house, WIRES["anthropic"], schema=schema)).object == {}
    (request,) = simulator.requests
    assert "output_config" not in request["json"]
    assert "fit this JSON schema" in json.dumps(request["json"]["system"])
    assert [row["state"] for row in await house.rows()] == ["settled"]


async def test_an_answer_is_held_to_what_was_told_in_words(house: House, simulator: Simulator) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string", "maxLength": 3}}, "required": ["a"]}
    simulator.script([{"text": '{"a": "long"}'}, {"text": '{"a": "abc"}'}])
    result = await ask(house, WIRES["anthropic"], schema=schema)
    assert (result.object, result.repaired is None) == ({"a": "abc"}, False)


async def test_openais_strict_mode_is_left_where_it_would_lose_part_of_the_schema(
    house: House, simulator: Simulator
) -> None:
    part = {"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}]}
    schema = {"type": "object", "properties": {"part": part}, "required": ["part"]}
    await ask(house, WIRES["openai"], schema=schema)
    (request,) = simulator.requests
    assert request["json"]["text"]["format"]["strict"] is False
    assert "allOf" in json.dumps(request["json"])
