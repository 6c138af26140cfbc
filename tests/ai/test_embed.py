"""Texts become vectors: in batches, priced and held as calls are."""

from collections.abc import Callable
from typing import Any

import pytest

from datastead import AI, Settings
from datastead.errors import AIError, InvalidRequest, ProviderTimeout, UnsupportedCapability
from datastead.testing.simulator import Simulator
from tests.ai.conftest import REGISTRY, House, opened

MODELS = {"openai": "text-embedding-3-small", "google": "gemini-embedding-001", "openai-compatible": "local"}


@pytest.mark.parametrize("wire", MODELS)
async def test_each_text_has_its_vector_and_the_row_its_cost(any_house: House, simulator: Simulator, wire: str) -> None:
    result = await any_house.ai.embed(["salt", "pepper", "salt"], model=MODELS[wire], provider=wire, purpose="search")
    row = await any_house.row()
    salt, pepper, again = result.vectors
    assert salt == again != pepper
    assert (result.model, result.provider, result.call) == (MODELS[wire], wire, row["id"])
    assert (row["kind"], row["state"], row["output_tokens"], row["purpose"]) == ("embed", "settled", 0, "search")
    assert row["input_tokens"] == result.usage.input > 0
    assert row["cost_nano_usd"] == result.cost_nano_usd
    assert 0 < row["cost_nano_usd"] <= row["held_nano_usd"]


async def test_one_text_and_fewer_dimensions(house: House) -> None:
    result = await house.ai.embed("salt", model="text-embedding-3-small", dimensions=8)
    assert [len(vector) for vector in result.vectors] == [8]


async def test_more_texts_than_a_request_takes_go_in_several_each_with_a_row(
    house: House, simulator: Simulator
) -> None:
    texts = [f"text {number}" for number in range(250)]
    result = await house.ai.embed(texts, model="gemini-embedding-001")
    rows = await house.rows()
    assert len(result.vectors) == 250
    assert [len(request["json"]["requests"]) for request in simulator.requests] == [100, 100, 50]
    assert list(result.calls) == [row["id"] for row in rows]
    assert result.usage.input == sum(row["input_tokens"] for row in rows)
    assert result.cost_nano_usd == sum(row["cost_nano_usd"] for row in rows)


async def test_it_is_tried_again_and_each_attempt_has_a_row(house: House, simulator: Simulator) -> None:
    simulator.script({"kind": "rate-limit", "retry_after_s": 0.01})
    result = await house.ai.embed("salt", model="text-embedding-3-small")
    assert [row["state"] for row in await house.rows()] == ["failed", "settled"]
    assert [made.code for made in result.attempts] == ["RATE_LIMIT_EXCEEDED", None]


async def test_it_is_held_against_budgets(any_house: House, simulator: Simulator) -> None:
    await any_house.budget(limit_nano_usd=1)
    with pytest.raises(AIError) as caught:
        await any_house.ai.embed("salt", model="text-embedding-3-small")
    assert caught.value.code == "BUDGET_EXCEEDED"
    assert not simulator.requests


async def test_a_budget_asks_for_no_output_cap(any_house: House) -> None:
    await any_house.budget(limit_nano_usd=10**9)
    assert (await any_house.ai.embed("salt", model="text-embedding-3-small")).vectors


async def test_a_model_that_answers_makes_no_vectors(house: House, simulator: Simulator) -> None:
    with pytest.raises(UnsupportedCapability):
        await house.ai.embed("salt", model="gpt-4.1")
    with pytest.raises(UnsupportedCapability):
        await house.ai.embed("salt", model="claude-haiku-4-5")
    assert not simulator.requests


@pytest.mark.parametrize(
    ("inputs", "options", "parameter"),
    [
        ([], {}, "inputs"),
        ("", {}, "inputs.0"),
        (["salt", 3], {}, "inputs.1"),
        ("salt", {"dimensions": 0}, "dimensions"),
        ("salt", {"provider_options": 3}, "provider_options"),
        ("salt", {"timeout_s": 0}, "timeout_s"),
    ],
)
async def test_what_is_wrong_is_named_before_anything_is_sent(
    house: House, simulator: Simulator, inputs: Any, options: dict[str, Any], parameter: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await house.ai.embed(inputs, model="text-embedding-3-small", **options)
    assert caught.value.details["parameter"] == parameter
    assert not simulator.requests


async def test_a_text_that_is_too_long_is_refused_with_the_numbers(house: House, simulator: Simulator) -> None:
    with pytest.raises(AIError) as caught:
        await house.ai.embed(["salt", "word " * 9000], model="text-embedding-3-small")
    assert (caught.value.code, caught.value.details["allowed"]) == ("CONTEXT_LENGTH_EXCEEDED", 8192)


async def test_the_time_is_for_all_requests_together(house: House, simulator: Simulator) -> None:
    simulator.script([{}, {"delay_s": 30}])
    with pytest.raises(ProviderTimeout):
        await house.ai.embed([f"text {number}" for number in range(150)], model="gemini-embedding-001", timeout_s=1)
    assert [row["state"] for row in await house.rows()] == ["settled", "in_doubt"]


async def test_another_number_of_vectors_than_of_texts_is_an_error(house: House, simulator: Simulator) -> None:
    body = {"object": "list", "data": [{"index": 0, "embedding": [0.5]}], "usage": {"prompt_tokens": 2}}
    simulator.script({"kind": "body", "body": body, "times": 0})
    with pytest.raises(AIError) as caught:
        await house.ai.embed(["salt", "pepper"], model="text-embedding-3-small", timeout_s=1)
    assert caught.value.code == "PROVIDER_UNAVAILABLE"
    assert {row["cost_nano_usd"] > 0 for row in await house.rows()} == {True}


def test_a_script_needs_neither_a_server_nor_a_database(settings: Callable[..., Settings]) -> None:
    with AI(settings(), registry=REGISTRY) as ai:
        assert ai.embed_sync("salt", model="text-embedding-3-small").vectors


async def test_a_wrong_option_is_a_wrong_keyword(house: House) -> None:
    with pytest.raises(TypeError, match="dimensions"):
        await house.ai.embed("salt", model="text-embedding-3-small", dimension=3)  # type: ignore[call-arg]


async def test_endpoints_that_take_any_model_take_embedding_models(
    sqlite_url: str, settings: Callable[..., Settings]
) -> None:
    async with opened(sqlite_url, settings(ai_openai_compatible_models=[])) as house:
        result = await house.ai.embed("salt", model="nomic-embed-text", provider="openai-compatible")
    assert (len(result.vectors), result.cost) == (1, None)
