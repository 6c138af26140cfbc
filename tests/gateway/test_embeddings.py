"""Embeddings through the official client, from each provider that makes them."""

from typing import Any

import openai
import pytest

from .conftest import Gateway

MODELS = {
    "openai": "text-embedding-3-small",
    "google": "gemini-embedding-001",
    "openai-compatible": "openai-compatible/local",
}


@pytest.mark.parametrize("provider", MODELS)
def test_vectors_come_in_the_order_of_their_texts_and_are_in_the_ledger(gateway: Gateway, provider: str) -> None:
    embeddings = gateway.client().embeddings
    raw = embeddings.with_raw_response.create(model=MODELS[provider], input=["salt", "snow"], user="search")
    answer, row = raw.parse(), gateway.row(raw.headers["x-datastead-call"])
    assert [each.index for each in answer.data] == [0, 1]
    assert (row["kind"], row["provider"], row["purpose"], row["state"]) == ("embed", provider, "search", "settled")
    assert answer.usage.prompt_tokens == row["input_tokens"] > 0
    (alone,) = embeddings.create(model=MODELS[provider], input="snow", encoding_format="float").data
    assert alone.embedding == pytest.approx(answer.data[1].embedding, abs=1e-6)
    assert answer.data[0].embedding != answer.data[1].embedding


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"input": [[1, 2, 3]]}, "input"),
        ({"input": [1, 2]}, "input"),
        ({"input": []}, "input"),
        ({"input": None}, "input"),
        ({"input": "x", "encoding_format": ["float"]}, "encoding_format"),
        ({"input": "x", "dimensions": -1}, "dimensions"),
        ({"input": "x", "dimensions": "many"}, "dimensions"),
        ({"input": "x", "model": 7}, "model"),
    ],
)
def test_what_cannot_be_embedded_is_a_400_that_names_the_parameter(gateway: Gateway, body: Any, parameter: str) -> None:
    answer = gateway.post("/ai/v1/embeddings", {"model": "text-embedding-3-small", **body})
    assert (answer.status, answer.json["error"]["param"]) == (400, parameter), answer.body


def test_a_model_that_makes_no_vectors_says_so(gateway: Gateway) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        gateway.client().embeddings.create(model="claude-haiku-4-5", input="x")
    assert caught.value.code == "unsupported_capability"
