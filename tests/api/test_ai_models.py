"""`/ai/models` and `/ai/prices`: what can be called, what it costs, and who may say so."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from datastead.settings import Settings

from .conftest import ADMIN_TOKEN, Server, serving

PRICE = {"model": "claude-haiku-4-5", "input": 2, "output": 6}
ALLOWED = ["gpt-5", "our-own-finetune"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with two vendors, one of them with an allow-list, and an endpoint."""
    folder = tmp_path_factory.mktemp("models")
    given: dict[str, Any] = {
        "database_url": f"sqlite:///{folder / 'own.db'}",
        "admin_token": ADMIN_TOKEN,
        "admin_password": "a-long-password",
        "secret": "s" * 40,
        "ai_openai_enabled": True,
        "ai_openai_api_key": "k",
        "ai_openai_allowed_models": ALLOWED,
        "ai_anthropic_enabled": True,
        "ai_anthropic_api_key": "k",
        "ai_google_enabled": True,  # and no key: not configured
        "ai_openai_compatible_enabled": True,
        "ai_openai_compatible_name": "Our Llama",
        "ai_openai_compatible_base_url": "http://127.0.0.1:9/v1",
        "ai_openai_compatible_models": [{"id": "llama", "schema": True, "cost": {"input": 0, "output": 0}}],
    }
    with serving(Settings(**given)) as port:
        yield Server(port)


@pytest.fixture(scope="module")
def reader(house: Server) -> Server:
    """Somebody who is signed in, and no administrator."""
    made = house.post("/users", {"email": "reader@example.com", "password": "a-long-password", "token": "reader-token"})
    assert made.status == 200, made.body
    return house.acting_as("reader-token")


def found(server: Server, query: str = "") -> list[str]:
    answer = server.get(f"/ai/models{query}")
    assert answer.status == 200, answer.body
    return [f"{model['provider']}:{model['model']}" for model in answer.data]


def test_a_model_is_listed_in_the_shape_of_the_page_with_its_price_and_what_it_can_do(house: Server) -> None:
    (model,) = house.get("/ai/models?search=gpt-5").data
    assert model == {
        "provider": "openai",
        "provider_name": "OpenAI",
        "model": "gpt-5",
        "name": "GPT-5",
        "kind": "chat",
        "limit": {"context": 400_000, "output": 128_000},
        "cost": {
            "input": 1.25,
            "output": 10.0,
            "cache_read": 0.125,
            "tiers": {
                "batch": {"input": 0.625, "output": 5.0, "cache_read": 0.0625},
                "flex": {"input": 0.625, "output": 5.0, "cache_read": 0.0625},
                "priority": {"input": 2.5, "output": 20.0, "cache_read": 0.25},
            },
            "state": "known",
            "source": "built-in 2026-11-23",
            "valid_from": "2026-11-23T00:00:00+00:00",
            "valid_until": None,
        },
        "attachment": True,
        "reasoning": True,
        "tools": True,
        "schema": True,
    }


def test_only_what_is_configured_and_allowed_is_listed(house: Server) -> None:
    listed = found(house)
    assert {name for name in listed if name.startswith("openai:")} == {"openai:gpt-5", "openai:our-own-finetune"}
    assert "anthropic:claude-opus-4-5" in listed
    assert "openai-compatible:llama" in listed
    assert not [name for name in listed if name.startswith("google:")]


def test_all_adds_what_genai_prices_alone_knows_where_no_list_forbids_it(house: Server) -> None:
    more = set(found(house, "?all=true")) - set(found(house))
    assert "anthropic:claude-opus-5" in more
    assert {name.partition(":")[0] for name in more} == {"anthropic"}


def test_every_listed_model_says_what_is_known_of_its_price(house: Server) -> None:
    states = {model["model"]: model["cost"]["state"] for model in house.get("/ai/models?all=1").data}
    assert (states["our-own-finetune"], states["llama"], states["claude-opus-5"]) == ("unknown", "zero", "known")


def test_a_provider_is_found_by_its_shown_name_too(house: Server) -> None:
    assert found(house, f"?provider={quote('Our Llama')}") == found(house, "?provider=openai-compatible")
    (model,) = house.get("/ai/models?search=llama").data
    assert (model["provider_name"], model["schema"]) == ("Our Llama", True)


def test_whoever_is_signed_in_may_list_and_nobody_else(house: Server, reader: Server) -> None:
    assert found(reader) == found(house)
    assert (house.public.get("/ai/models").status, house.public.get("/ai/models").code) == (403, "FORBIDDEN")


@pytest.mark.parametrize("query", ["?all=perhaps", "?search[_eq]=x", "?provider=nobody", "?provider=a&provider=b"])
def test_a_list_that_cannot_be_asked_for_is_refused(house: Server, query: str) -> None:
    assert house.get(f"/ai/models{query}").status == 400


def test_nothing_configured_is_an_empty_list(server: Server) -> None:
    assert server.get("/ai/models?all=true").data == []


def test_a_price_is_added_by_an_administrator_and_holds_at_once(server: Server) -> None:
    added = server.post("/ai/prices", PRICE)
    assert added.status == 200, added.body
    assert (added.data["provider"], added.data["current"], added.data["rates"]) == (
        "anthropic", True, {"input": 2.0, "output": 6.0},
    )  # fmt: skip
    assert added.data["user"] is not None
    history = server.get("/ai/prices?model=claude-haiku-4-5").data
    assert [entry["current"] for entry in history if entry["id"] is None] == [False]
    assert history[-1] == added.data
    assert added.data in server.get("/ai/prices").data


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("POST", PRICE)])
def test_prices_are_for_administrators(house: Server, reader: Server, method: str, body: Any) -> None:
    for server in (reader, house.public):
        assert server.send(method, "/ai/prices", body).code == "FORBIDDEN"


@pytest.mark.parametrize(
    "body",
    [{}, {"model": "gpt-5"}, {"model": 5, "input": 1, "output": 1}, {"model": "no-such-model", "input": 1, "output": 1},
     {**PRICE, "input": "dear"}, {**PRICE, "input": 1e300}, {**PRICE, "valid_from": "0001-01-01T00:00:00+14:00"},
     {**PRICE, "provider": {}}, {**PRICE, "model": "m" * 300, "provider": "openai"}, {**PRICE, "limits": []},
     {**PRICE, "tiers": {"batch": {"input": 1}}}, {**PRICE, "long": 7}],
)  # fmt: skip
def test_a_price_that_is_wrong_is_a_typed_refusal(house: Server, body: dict[str, Any]) -> None:
    answer = house.post("/ai/prices", body)
    assert answer.status in {400, 404}, answer.body
    assert answer.code
    assert house.get("/ai/prices").data == []
