"""Definitions, allow-lists, and from a name to a model and a provider."""

from collections.abc import Callable
from typing import Any

import pytest

from datastead import Settings, build_custom_models, get_model_definition
from datastead.ai.endpoints import Endpoints
from datastead.ai.models import BUILT_IN
from datastead.errors import (
    AIError,
    InvalidRequest,
    ModelNotAllowed,
    ModelNotFound,
    ProviderNotConfigured,
    UnsupportedCapability,
)
from tests.ai.conftest import House

OPENAI: dict[str, Any] = {"ai_openai_enabled": True, "ai_openai_api_key": "k"}

PAGE_AND_REGISTRY = """
openai gpt-4o-mini 128000 16384 0.15 0.60 no
openai gpt-4.1-nano 1047576 32768 0.10 0.40 no
openai gpt-4.1-mini 1047576 32768 0.40 1.60 no
openai gpt-4.1 1047576 32768 2.00 8.00 no
openai gpt-5-nano 400000 128000 0.05 0.40 yes
openai gpt-5-mini 400000 128000 0.25 2 yes
openai gpt-5 400000 128000 1.25 10 yes
openai gpt-5.1 400000 128000 1.25 10 yes
openai gpt-5.1-chat-latest 128000 16384 1.25 10 yes
openai gpt-5.2-chat-latest 128000 16384 1.75 14 yes
openai gpt-5.2 400000 128000 1.75 14 yes
openai gpt-5.2-pro 400000 128000 21 168 yes
openai gpt-5.4-nano 400000 128000 0.20 1.25 yes
openai gpt-5.4-mini 400000 128000 0.75 4.50 yes
openai gpt-5.4 1050000 128000 2.5 15 yes
openai gpt-5.4-pro 1050000 128000 30 180 yes
openai gpt-5.5 1050000 128000 5 30 yes
openai gpt-5.5-pro 1050000 128000 30 180 yes
anthropic claude-haiku-4-5 200000 64000 1 5 no
anthropic claude-sonnet-4-5 200000 64000 3 15 yes
anthropic claude-sonnet-4-6 200000 64000 3 15 yes
anthropic claude-opus-4-5 200000 64000 5 25 yes
anthropic claude-opus-4-6 200000 128000 5 25 yes
anthropic claude-opus-4-7 200000 128000 5 25 yes
google gemini-3.1-pro-preview 1048576 65536 2 12 yes
google gemini-3-pro-preview 1048576 65536 2 12 yes
google gemini-3.1-flash-lite-preview 1048576 65536 0.5 3 yes
google gemini-3-flash-preview 1048576 65536 0.5 3 yes
google gemini-2.5-pro 1048576 65536 1.25 10 yes
google gemini-2.5-flash 1048576 65536 0.3 2.5 yes
google gemini-2.5-flash-lite 1048576 65536 0.1 0.4 yes
"""


@pytest.mark.parametrize("line", PAGE_AND_REGISTRY.strip().splitlines())
def test_every_model_of_the_page_and_of_the_contract_is_built_in(line: str) -> None:
    provider, model, context, output, input_cost, output_cost, reasoning = line.split()
    found = get_model_definition(model)
    assert (found.provider, found.limit.context, found.limit.output) == (provider, int(context), int(output))
    assert (found.cost.input, found.cost.output) == (float(input_cost), float(output_cost))
    assert (found.attachment, found.reasoning) == (True, reasoning == "yes")
    assert (found.tools, found.schema, found.kind) == (True, True, "chat")


@pytest.mark.parametrize(
    ("model", "context", "input_cost"),
    [
        ("text-embedding-3-small", 8192, 0.02),
        ("text-embedding-3-large", 8192, 0.13),
        ("gemini-embedding-001", 2048, 0.15),
    ],
)
def test_models_that_make_vectors_are_built_in_with_their_input_limit(
    model: str, context: int, input_cost: float
) -> None:
    found = get_model_definition(model)
    assert (found.kind, found.limit.context, found.cost.input, found.tools) == ("embedding", context, input_cost, False)


@pytest.mark.parametrize("name", ["gpt-5", "openai:gpt-5", "openai/gpt-5"])
def test_a_definition_is_found_with_or_without_its_provider(name: str) -> None:
    assert get_model_definition(name) is BUILT_IN[("openai", "gpt-5")]


def test_an_unknown_model_is_answered_with_those_that_look_alike() -> None:
    with pytest.raises(ModelNotFound) as caught:
        get_model_definition("gpt5")
    assert "gpt-5" in caught.value.details["near"]


def test_a_custom_model_without_limits_has_the_defaults() -> None:
    (model,) = build_custom_models([{"id": "m"}])
    assert (model.name, model.limit.context, model.limit.output) == ("m", 128_000, 16_000)
    assert (model.attachment, model.reasoning) == (False, False)
    assert (model.tools, model.schema, model.kind) == (True, True, "chat")


def test_a_custom_model_says_what_it_can_do() -> None:
    (model,) = build_custom_models([{"id": "m", "tools": False, "schema": True, "kind": "embedding"}])
    assert (model.tools, model.schema, model.kind) == (False, True, "embedding")


@pytest.mark.parametrize(
    ("cost", "state"), [(None, "unknown"), ({"input": 0, "output": 0}, "zero"), ({"input": 1, "output": 0}, "known")]
)
def test_a_custom_price_is_known_declared_zero_or_unknown(cost: Any, state: str) -> None:
    (model,) = build_custom_models([{"id": "m", "cost": cost}])
    assert model.cost.state == state


@pytest.mark.parametrize(
    "wrong",
    [{}, {"id": ""}, {"id": "m", "context": 0}, {"id": "m", "colour": 1}, {"id": "m", "cost": {"input": 1}},
     {"id": "m", "cost": {"input": 1, "output": -1}}],
)  # fmt: skip
def test_a_custom_model_that_is_wrong_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        build_custom_models([wrong])


def resolve(model: str, provider: str | None = None, **settings: Any) -> str:
    definition, source = Endpoints(Settings(**settings)).resolve(model, provider)
    return f"{source.name}:{definition.model}"


@pytest.mark.parametrize("name", ["gpt-5", "openai:gpt-5", "openai/gpt-5"])
def test_a_bare_id_and_one_with_its_provider_mean_the_same(name: str) -> None:
    assert resolve(name, **OPENAI) == "openai:gpt-5"


def test_an_id_may_look_like_one_with_a_provider() -> None:
    settings: dict[str, Any] = {
        "ai_openai_compatible_enabled": True,
        "ai_openai_compatible_base_url": "http://x/v1",
        "ai_openai_compatible_models": [{"id": "meta-llama/llama-3:free"}, {"id": "openai/gpt-5"}],
    }
    assert resolve("meta-llama/llama-3:free", **settings) == "openai-compatible:meta-llama/llama-3:free"
    assert resolve("openai/gpt-5", **settings) == "openai-compatible:openai/gpt-5"


def test_an_id_at_two_providers_is_refused_with_both_named() -> None:
    twice: dict[str, Any] = {
        **OPENAI,
        "ai_openai_compatible_enabled": True,
        "ai_openai_compatible_base_url": "http://x/v1",
        "ai_openai_compatible_models": [{"id": "gpt-5"}],
    }
    with pytest.raises(InvalidRequest) as caught:
        resolve("gpt-5", **twice)
    assert caught.value.details["candidates"] == ["openai:gpt-5", "openai-compatible:gpt-5"]
    assert resolve("openai-compatible:gpt-5", **twice) == "openai-compatible:gpt-5"


def test_an_allow_list_allows_only_what_it_names() -> None:
    with pytest.raises(ModelNotAllowed):
        resolve("gpt-5", **OPENAI, ai_openai_allowed_models="gpt-4.1")
    assert resolve("gpt-4.1", **OPENAI, ai_openai_allowed_models="gpt-4.1") == "openai:gpt-4.1"


def test_an_empty_allow_list_allows_nothing() -> None:
    with pytest.raises(ModelNotAllowed):
        resolve("gpt-5", **OPENAI, ai_openai_allowed_models="")


def test_a_custom_id_in_an_allow_list_is_a_model_with_default_limits_and_an_unknown_price() -> None:
    settings = Settings(**OPENAI, ai_openai_allowed_models="gpt-5,our-own-finetune")
    definition, _ = Endpoints(settings).resolve("our-own-finetune")
    assert (definition.limit.context, definition.limit.output, definition.cost.state) == (128_000, 16_000, "unknown")


def test_a_model_that_is_not_built_in_has_the_price_that_genai_prices_knows() -> None:
    definition, _ = Endpoints(Settings(**OPENAI)).resolve("openai:gpt-4o")
    assert (definition.cost.input, definition.cost.output, definition.cost.state) == (2.5, 10.0, "known")


def test_a_slip_of_the_pen_does_not_become_a_model() -> None:
    with pytest.raises(ModelNotFound):
        resolve("openai:gpt-4oo", **OPENAI)


def test_an_endpoint_without_a_list_takes_any_id() -> None:
    settings: dict[str, Any] = {"ai_openai_compatible_enabled": True, "ai_openai_compatible_base_url": "http://x/v1"}
    assert resolve("llama3:8b", **settings) == "openai-compatible:llama3:8b"


def test_further_endpoints_are_providers_by_their_names() -> None:
    more: Any = [{"name": "groq", "base_url": "http://x/v1", "models": [{"id": "llama"}]}]
    assert resolve("groq:llama", ai_openai_compatible_providers=more) == "groq:llama"
    assert resolve("llama", "groq", ai_openai_compatible_providers=more) == "groq:llama"


def test_the_first_endpoint_goes_by_its_shown_name_too() -> None:
    settings: dict[str, Any] = {
        "ai_openai_compatible_enabled": True,
        "ai_openai_compatible_base_url": "http://x/v1",
        "ai_openai_compatible_name": "ollama",
    }
    assert resolve("m", "ollama", **settings) == resolve("m", "openai-compatible", **settings)


@pytest.mark.parametrize(
    ("model", "settings", "error"),
    [
        ("gpt-5", {}, ProviderNotConfigured),
        ("claude-opus-4-5", OPENAI, ProviderNotConfigured),
        ("gpt-5", {**OPENAI, "ai_openai_api_key": None}, ProviderNotConfigured),
        ("gpt-5", {**OPENAI, "ai_enabled": False}, ProviderNotConfigured),
        ("no-such-thing", OPENAI, ModelNotFound),
        ("nobody:gpt-5", OPENAI, ModelNotFound),
        ("", OPENAI, InvalidRequest),
    ],
)
def test_what_cannot_be_called_is_refused_with_the_reason(
    model: str, settings: dict[str, Any], error: type[AIError]
) -> None:
    with pytest.raises(error):
        resolve(model, **settings)


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ProviderNotConfigured) as caught:
        resolve("gpt-5", ai_openai_enabled=True)
    assert "AI_OPENAI_API_KEY" in caught.value.message


def test_only_configured_and_allowed_models_are_listed(settings: Callable[..., Settings]) -> None:
    listed = Endpoints(settings(ai_openai_allowed_models="gpt-5", ai_google_enabled=False, ai_anthropic_api_key=None))
    assert [f"{model.provider}:{model.model}" for model in listed.models()] == [
        "openai:gpt-5",
        "openai-compatible:local",
    ]


async def test_a_model_that_makes_vectors_is_not_asked_for_an_answer(house: House) -> None:
    with pytest.raises(UnsupportedCapability):
        await house.ai.generate("Hello", model="text-embedding-3-small")
    assert await house.rows() == []
