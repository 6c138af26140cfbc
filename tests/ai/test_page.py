"""The code blocks of the AI guide, each in Python."""

import dataclasses
from collections.abc import Callable
from typing import Any

from datastead import AI, Context, Settings, build_custom_models, get_model_definition
from datastead.errors import AIError
from datastead.flows.template import Templates
from datastead.messages import Attachment
from datastead.testing.simulator import Simulator
from tests.ai.conftest import REGISTRY, House

MakeSettings = Callable[..., Settings]


def test_a_model_definition_has_the_shape_of_the_page() -> None:
    model = get_model_definition("gpt-5")
    shown = dataclasses.asdict(model)
    assert {name: shown[name] for name in ("provider", "model", "name", "attachment", "reasoning")} == {
        "provider": "openai",
        "model": "gpt-5",
        "name": "GPT-5",
        "attachment": True,
        "reasoning": True,
    }
    assert shown["limit"] == {"context": 400_000, "output": 128_000}
    assert (model.cost.input, model.cost.output) == (1.25, 10.0)


def test_limits_of_a_model_can_be_looked_up() -> None:
    model = get_model_definition("gpt-5")
    assert f"Context: {model.limit.context} tokens" == "Context: 400000 tokens"
    assert f"Output: {model.limit.output} tokens" == "Output: 128000 tokens"


async def test_the_cost_worked_out_from_the_definition_is_the_cost_in_the_ledger(house: House) -> None:
    model = get_model_definition("gpt-5")
    result = await house.ai.generate("How much is this?", provider="openai", model="gpt-5")
    estimated = result.usage.input / 1_000_000 * model.cost.input + result.usage.output / 1_000_000 * model.cost.output
    assert result.cost is not None
    assert abs(estimated - float(result.cost)) < 1e-9


def test_custom_models_are_built_with_the_page_s_shape() -> None:
    (model,) = build_custom_models(
        [
            {
                "id": "my-custom-model",
                "name": "My Custom Model",
                "context": 32_000,
                "output": 4096,
                "attachment": False,
                "reasoning": False,
            }
        ]
    )
    assert (model.provider, model.model, model.name) == ("openai-compatible", "my-custom-model", "My Custom Model")
    assert (model.limit.context, model.limit.output) == (32_000, 4096)
    assert (model.cost.input, model.cost.output, model.cost.state) == (0, 0, "unknown")


async def test_a_stream_gives_its_content_piece_by_piece(house: House, simulator: Simulator) -> None:
    simulator.script({"text": "A detailed article about salt.", "chunks": 5, "chunk_delay_s": 0.02})
    pieces = []
    async for chunk in house.ai.generate_stream(model="gpt-4.1", prompt="Write a detailed article about salt"):
        pieces.append(chunk.content)  # noqa: PERF401  as the page does it
    assert "".join(pieces) == "A detailed article about salt."
    assert len([piece for piece in pieces if piece]) == 5


async def test_what_arrives_together_is_one_piece(house: House, simulator: Simulator) -> None:
    simulator.script({"text": "word " * 200, "chunks": 200})
    pieces = [
        event.content async for event in house.ai.generate_stream(model="gpt-4.1", prompt="Write") if event.content
    ]
    assert "".join(pieces) == "word " * 200
    assert len(pieces) < 100


async def test_errors_are_told_apart_by_their_code(house: House, simulator: Simulator) -> None:
    seen = []
    for kind in ("rate-limit", "context-length", "bad-key"):
        simulator.script({"kind": kind, "times": 0, "retry_after_s": 1000})
        try:
            await house.ai.generate(provider="openai", model="gpt-5", prompt="Hello")
        except AIError as error:
            seen.append(error.code)
        simulator.reset()
    assert seen == ["RATE_LIMIT_EXCEEDED", "CONTEXT_LENGTH_EXCEEDED", "INVALID_API_KEY"]


async def test_the_page_s_operation_options_are_a_call(house: House, simulator: Simulator) -> None:
    result = await house.ai.generate(
        "Generate SEO meta description for: Salt\n\nContent: Why we need it.",
        provider="openai",
        model="gpt-4.1",
        max_tokens=160,
        temperature=0.7,
    )
    sent = simulator.requests[-1]["json"]
    assert (sent["model"], sent["max_output_tokens"], sent["temperature"]) == ("gpt-4.1", 160, 0.7)
    assert result.content == result.text != ""


def test_a_script_needs_no_event_loop_and_no_database(settings: MakeSettings) -> None:
    with AI(settings(), registry=REGISTRY) as ai:
        result = ai.generate_sync("Hello", model="gpt-4.1")
        with ai.generate_stream_sync("Hello", model="gpt-4.1") as stream:
            streamed = "".join(chunk.content for chunk in stream)
        assert streamed == result.content == stream.result.content


async def test_a_stream_may_be_asked_for_with_the_page_s_words(house: House, simulator: Simulator) -> None:
    simulator.script({"text": "Salt is old."})
    stream = house.ai.generate_stream(model="gpt-4.1", prompt="Write a detailed article about...", stream=True)
    assert "".join([chunk.content async for chunk in stream]) == "Salt is old."


def test_the_page_s_prompt_is_a_template_that_cuts_long_content() -> None:
    prompt = """
Task: Generate a summary
Content:
{{$trigger.content | truncate(10000)}}
Requirements:
- Max 3 sentences
"""
    rendered = Templates(REGISTRY).render(prompt, {"$trigger": {"content": "x" * 20_000}}).value
    assert "x" * 10_000 in rendered
    assert "x" * 10_001 not in rendered


async def test_an_attachment_of_the_page_s_shape_is_read_as_the_caller(
    settings: MakeSettings, simulator: Simulator
) -> None:
    class Files:
        async def read(self, ctx: Context, file_id: str, *, max_bytes: int) -> Attachment:
            return Attachment("image/png", data=b"\x89PNG\r\n\x1a\n" + file_id.encode())

    services: Any = None
    async with AI(settings(), registry=REGISTRY, files=Files()) as ai:
        await ai.generate(
            provider="anthropic",
            model="claude-sonnet-4-5",
            prompt="Describe this image in detail",
            attachments=[{"type": "file", "fileId": "image-1"}],
            context=Context(services),
        )
    source = simulator.requests[-1]["json"]["messages"][0]["content"][1]["source"]
    assert (source["type"], source["media_type"]) == ("base64", "image/png")


async def test_a_repeated_generation_can_be_answered_from_the_cache(house: House, simulator: Simulator) -> None:
    first = await house.ai.generate("Often asked", model="gpt-4.1", cache=True)
    second = await house.ai.generate("Often asked", model="gpt-4.1", cache=True)
    assert (second.content, second.cost_nano_usd, len(simulator.requests)) == (first.content, 0, 1)
