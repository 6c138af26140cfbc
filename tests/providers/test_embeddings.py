"""Texts become vectors: the requests, and the documented answers."""

import base64
import struct

import pytest

from datastead.errors import ProviderUnavailable, QuotaExceeded, UnsupportedCapability
from datastead.messages import EmbeddingCall, Embeddings, Endpoint, Usage, WireRequest
from tests.providers.documented import body, provider

TEXTS = EmbeddingCall("small", ("high tide", "low tide"), dimensions=3)


def asked(name: str, call: EmbeddingCall = TEXTS) -> WireRequest:
    return provider(name).embedding_request(Endpoint(name, "https://host/", "key", {"x-team": "tides"}), call)


@pytest.mark.parametrize("name", ["openai", "openai-compatible"])
def test_openais_embeddings_are_asked_for_in_one_request(name):
    sent = asked(name)
    assert sent.url == "https://host/embeddings"
    assert sent.headers == {"content-type": "application/json", "authorization": "Bearer key", "x-team": "tides"}
    assert sent.json == {"model": "small", "input": ["high tide", "low tide"], "dimensions": 3}


def test_googles_embeddings_are_asked_for_in_one_request_with_each_texts_options():
    sent = asked("google", EmbeddingCall("gemini-embedding-001", TEXTS.inputs, 3, {"taskType": "CLUSTERING"}))
    each = {"model": "models/gemini-embedding-001", "outputDimensionality": 3, "taskType": "CLUSTERING"}
    assert sent.url == "https://host/v1beta/models/gemini-embedding-001:batchEmbedContents"
    assert sent.headers == {"content-type": "application/json", "x-goog-api-key": "key", "x-team": "tides"}
    assert sent.json == {
        "requests": [
            {**each, "content": {"parts": [{"text": "high tide"}]}},
            {**each, "content": {"parts": [{"text": "low tide"}]}},
        ]
    }


def test_anthropic_makes_no_embeddings():
    with pytest.raises(UnsupportedCapability) as raised:
        asked("anthropic")
    assert raised.value.details["capability"] == "embeddings"


def test_openais_vectors_stand_in_the_order_of_the_texts_whatever_order_they_came_in():
    vectors = ((0.25, -0.5, 0.125), (1.0, 0.0, -1.0))
    assert provider("openai").embeddings(body("openai_embeddings.json")) == Embeddings(
        vectors, Usage(input=8), "text-embedding-3-small"
    )


def test_vectors_in_base64_are_vectors():
    packed = base64.b64encode(struct.pack("<3f", 0.25, -0.5, 0.125)).decode()
    answer = {"data": [{"embedding": packed}], "model": "m"}
    assert provider("openai-compatible").embeddings(answer) == Embeddings(((0.25, -0.5, 0.125),), None, "m")


def test_googles_vectors_come_with_their_usage_where_it_is_said():
    answer = body("google_embeddings.json")
    vectors = ((0.25, -0.5, 0.125), (1.0, 0.0, -1.0))
    assert provider("google").embeddings(answer) == Embeddings(vectors, Usage(input=8))
    assert provider("google").embeddings({"embeddings": answer["embeddings"]}) == Embeddings(vectors, None)


@pytest.mark.parametrize("name", ["openai", "openai-compatible", "google"])
@pytest.mark.parametrize("entry", [[], ["x"], [None], "&&&", None, {}])
def test_what_is_no_vector_is_an_unavailable_provider(name, entry):
    answer = {"data": [{"embedding": entry}], "embeddings": [{"values": entry}]}
    with pytest.raises(ProviderUnavailable):
        provider(name).embeddings(answer)


@pytest.mark.parametrize("name", ["openai", "openai-compatible", "google"])
def test_an_answer_without_vectors_is_an_unavailable_provider(name):
    with pytest.raises(ProviderUnavailable):
        provider(name).embeddings({"embedding": [1.0]})


def test_an_error_in_place_of_vectors_is_typed_by_its_own_code():
    with pytest.raises(QuotaExceeded):
        provider("openai-compatible").embeddings({"error": {"code": "insufficient_quota", "message": "No credit."}})


@pytest.mark.parametrize(
    ("name", "header"),
    [("openai", "x-request-id"), ("openai-compatible", "x-request-id"), ("anthropic", "request-id")],
)
def test_the_request_id_is_read_from_the_header_that_the_vendor_documents(name, header):
    assert provider(name).request_id({header: "req_1", "date": "today"}) == "req_1"
    assert provider(name).request_id({header: ""}) is None
    assert provider(name).request_id({}) is None
