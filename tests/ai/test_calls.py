"""Calls over the four wire formats: the answer, the bill, and the ledger's row."""

from collections.abc import Callable
from typing import Any

import pytest

from datastead import PUBLIC, Actor, Context, Settings
from datastead.errors import ContextLengthExceeded, InvalidRequest, UnsupportedCapability
from datastead.messages import Attachment, Message, Text, user
from datastead.testing.simulator import Simulator
from tests.ai.conftest import WIRES, House, opened

USAGE = {"input": 1000, "output": 50, "cache_read": 400, "reasoning": 20}
BILLS = {
    "openai": 1000 * 2000 + 400 * 500 + 50 * 8000,
    "openai-compatible": 1400 * 1000 + 50 * 2000,
    "anthropic": 1000 * 1000 + 400 * 100 + 50 * 5000,
    "google": 1000 * 300 + 400 * 30 + 50 * 2500,
}
"""nano-USD for USAGE, by hand."""


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("stream", [False, True])
async def test_usage_and_cost_are_the_providers_on_every_wire(
    any_house: House, simulator: Simulator, wire: str, stream: bool
) -> None:
    simulator.script({"text": "The answer is salt.", "usage": USAGE})
    if stream:
        result = await any_house.ai.generate_stream("What?", model=WIRES[wire], provider=wire).collect()
    else:
        result = await any_house.ai.generate("What?", model=WIRES[wire], provider=wire)
    row = await any_house.row()
    assert result.content == "The answer is salt."
    assert (result.usage.input, result.usage.cache_read, result.usage.output) == (1000, 400, 50)
    assert (result.cost_nano_usd, row["cost_nano_usd"]) == (BILLS[wire], BILLS[wire])
    assert (row["state"], row["usage_source"], row["finish_reason"]) == ("settled", "provider", "stop")
    assert (row["input_tokens"], row["cache_read_tokens"], row["output_tokens"]) == (1000, 400, 50)
    assert (row["id"], row["provider"], row["model"]) == (result.call, wire, WIRES[wire])
    assert row["held_nano_usd"] >= row["cost_nano_usd"]
    assert row["raw_usage"]
    assert row["error_code"] is None


@pytest.mark.parametrize("wire", WIRES)
async def test_reasoning_is_apart_from_the_answer(
    sqlite_url: str, settings: Callable[..., Settings], simulator: Simulator, wire: str
) -> None:
    models = {**WIRES, "openai": "gpt-5", "anthropic": "claude-opus-4-5", "openai-compatible": "thinker"}
    own = {"ai_openai_compatible_models": [{"id": "thinker", "reasoning": True}]}
    simulator.script({"text": "Forty-two.", "reasoning": "Let me see."})
    async with opened(sqlite_url, settings(**own)) as house:
        result = await house.ai.generate("Why?", model=models[wire], provider=wire, enable_reasoning=True)
    assert (result.content, result.reasoning) == ("Forty-two.", "Let me see.")


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_call_comes_whole(house: House, simulator: Simulator, wire: str, stream: bool) -> None:
    simulator.script({"tool": "weather", "arguments": {"city": "Bern"}})
    result = (
        await house.ai.generate_stream("?", model=WIRES[wire], provider=wire).collect()
        if stream
        else await house.ai.generate("?", model=WIRES[wire], provider=wire)
    )
    (call,) = result.tool_calls
    assert (call.name, call.arguments, result.finish_reason) == ("weather", {"city": "Bern"}, "tool-calls")


async def test_the_row_says_who_asked_and_why(any_house: House) -> None:
    user_id, role, flow, run = (f"{number:08d}-0000-4000-8000-000000000000" for number in range(4))
    actor = Actor(user=user_id, role=role)
    services: Any = None
    context = Context(services, actor, request_id="request-1", flow=flow, run=run, step=f"{run}:3")
    await any_house.ai.generate("Hi", model="gpt-4.1", context=context, purpose="test")
    row = await any_house.row()
    shown = {name: str(row[name]) for name in ("user", "role", "flow", "run", "step", "request_id", "purpose")}
    assert shown == {
        "user": user_id, "role": role, "flow": flow, "run": run, "step": f"{run}:3", "request_id": "request-1",
        "purpose": "test",
    }  # fmt: skip


async def test_prompts_and_answers_are_not_kept(house: House) -> None:
    await house.ai.generate("A secret wish", model="gpt-4.1")
    row = await house.row()
    assert (row["prompt"], row["answer"]) == (None, None)


async def test_prompts_and_answers_are_kept_where_the_settings_say_so(
    database_url: str, settings: Callable[..., Settings]
) -> None:
    async with opened(database_url, settings(ai_record_io=True)) as house:
        result = await house.ai.generate("A public wish", model="gpt-4.1")
        row = await house.row()
    assert "A public wish" in str(row["prompt"])
    assert row["answer"]["content"] == result.content


async def test_a_price_that_is_unknown_is_no_cost(sqlite_url: str, settings: Callable[..., Settings]) -> None:
    async with opened(sqlite_url, settings(ai_openai_compatible_models=[{"id": "unpriced"}])) as house:
        result = await house.ai.generate("Hi", model="unpriced")
        row = await house.row()
    assert (result.cost, result.cost_nano_usd) == (None, None)
    assert (row["cost_nano_usd"], row["price_state"]) == (None, "unknown")


@pytest.mark.parametrize("stream", [False, True])
async def test_usage_that_the_provider_leaves_out_is_estimated(
    house: House, simulator: Simulator, stream: bool
) -> None:
    simulator.script({"text": "A short answer.", "usage": False})
    call = house.ai.generate_stream("Hi there", model="local") if stream else None
    result = await call.collect() if call else await house.ai.generate("Hi there", model="local")
    row = await house.row()
    assert (row["state"], row["usage_source"], result.usage_source) == ("settled", "estimated", "estimated")
    assert row["cost_nano_usd"] > 0


async def test_earlier_turns_are_sent_in_order(house: House, simulator: Simulator) -> None:
    turns: list[dict[str, Any]] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "One"}]},
        {"role": "assistant", "content": "Two"},
    ]
    await house.ai.generate("Three", model="local", system="Be kind.", messages=turns)
    sent = [(each["role"], each["content"]) for each in simulator.requests[-1]["json"]["messages"]]
    assert sent == [("system", "Be kind.\n\nBe brief."), ("user", "One"), ("assistant", "Two"), ("user", "Three")]


async def test_an_answer_can_be_a_turn_of_the_next_call(house: House, simulator: Simulator) -> None:
    first = await house.ai.generate("One", model="local")
    await house.ai.generate("Two", model="local", messages=[user("One"), first.message])
    assert simulator.requests[-1]["json"]["messages"][1] == {"role": "assistant", "content": first.content}


async def test_options_of_a_custom_model_go_into_each_request(
    sqlite_url: str, settings: Callable[..., Settings], simulator: Simulator
) -> None:
    own = {"ai_openai_compatible_models": [{"id": "m", "providerOptions": {"top_k": 5, "seed": 1}}]}
    async with opened(sqlite_url, settings(**own)) as house:
        await house.ai.generate("Hi", model="m", provider_options={"seed": 2})
    sent = simulator.requests[-1]["json"]
    assert (sent["top_k"], sent["seed"]) == (5, 2)


PNG = Attachment("image/png", data=b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"prompt": ""}, InvalidRequest),
        ({"prompt": 5}, InvalidRequest),
        ({"max_tokens": 0}, InvalidRequest),
        ({"max_tokens": True}, InvalidRequest),
        ({"max_tokens": 40_000}, InvalidRequest),
        ({"temperature": 3}, InvalidRequest),
        ({"temperature": "warm"}, InvalidRequest),
        ({"effort": "huge"}, InvalidRequest),
        ({"timeout_s": 0}, InvalidRequest),
        ({"key": "k" * 129}, InvalidRequest),
        ({"provider_options": {"x": object()}}, InvalidRequest),
        ({"provider_options": 5}, InvalidRequest),
        ({"messages": [{"role": "robot", "content": "Hi"}]}, InvalidRequest),
        ({"messages": [{"role": "user", "content": 5}]}, InvalidRequest),
        ({"enable_reasoning": True}, UnsupportedCapability),
        ({"model": "local", "attachments": [PNG]}, UnsupportedCapability),
        ({"model": "local", "messages": [Message("user", (Text("x"), PNG))]}, UnsupportedCapability),
    ],
)
async def test_a_call_that_is_wrong_is_refused_before_it_is_sent(
    house: House, simulator: Simulator, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await house.ai.generate(**{"prompt": "Hi", "model": "gpt-4.1", **options})
    assert (simulator.requests, await house.rows()) == ([], [])


async def test_an_option_that_does_not_exist_is_a_type_error_with_a_hint(house: House) -> None:
    with pytest.raises(TypeError, match="max_tokens"):
        await house.ai.generate("Hi", model="gpt-4.1", max_token=5)  # type: ignore[call-arg]


async def test_a_prompt_that_cannot_fit_is_refused_with_the_numbers(
    sqlite_url: str, settings: Callable[..., Settings], simulator: Simulator
) -> None:
    own = {"ai_openai_compatible_models": [{"id": "small", "context": 100}]}
    async with opened(sqlite_url, settings(**own)) as house:
        with pytest.raises(ContextLengthExceeded) as caught:
            await house.ai.generate("word " * 101, model="small")
    assert (caught.value.details["counted"], caught.value.details["allowed"]) == (101, 100)
    assert simulator.requests == []


async def test_a_prompt_that_might_fit_is_sent(
    sqlite_url: str, settings: Callable[..., Settings], simulator: Simulator
) -> None:
    own = {"ai_openai_compatible_models": [{"id": "small", "context": 100}]}
    async with opened(sqlite_url, settings(**own)) as house:
        await house.ai.generate(" " * 5000 + "-" * 5000 + "word", model="small")
    assert len(simulator.requests) == 1


async def test_nobody_in_particular_may_ask(house: House) -> None:
    services: Any = None
    await house.ai.generate("Hi", model="gpt-4.1", context=Context(services, PUBLIC))
    assert (await house.row())["user"] is None
