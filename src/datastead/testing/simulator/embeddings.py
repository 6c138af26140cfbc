"""Embeddings, as the simulator makes them: texts with the same words lie near each other.

Sources: platform.openai.com/docs/api-reference/embeddings and ai.google.dev/api/embeddings, 2026-11.
"""

import re
from base64 import b64encode
from collections.abc import Mapping
from math import sqrt
from struct import pack
from typing import Any
from zlib import crc32

from starlette.requests import Request

from datastead.testing.simulator import google
from datastead.testing.simulator import openai_rules as rules
from datastead.testing.simulator.exchange import Answer, Ask, Fault

DIMENSIONS = 64
MOST_TEXTS = 2048  # in a request to OpenAI; Google takes 100
_FIELDS = frozenset({"dimensions", "encoding_format", "input", "model", "user"})
_WORD = re.compile(r"\w+")


def vector(text: str, dimensions: int | None) -> list[float]:
    """A vector of length one: each word of the text counts at a place of its own."""
    size = dimensions or DIMENSIONS
    numbers = [0.0] * size
    for word in _WORD.findall(text.lower()) or [text]:
        numbers[crc32(word.encode()) % size] += 1.0
    length = sqrt(sum(number * number for number in numbers))
    return [round(number / length, 6) for number in numbers]


def _ask(model: str, texts: list[str], *, dimensions: int | None, encoding: str = "float") -> Ask:
    return Ask(model, "\n".join(texts), texts=tuple(texts), dimensions=dimensions, encoding=encoding)


def _encoded(numbers: list[float], encoding: str) -> list[float] | str:
    return b64encode(pack(f"<{len(numbers)}f", *numbers)).decode() if encoding == "base64" else numbers


class _Embeddings:
    """What all vendors' share: there is no stream."""

    def opening(self, ask: Ask, answer: Answer) -> bytes:  # noqa: ARG002  there is no stream
        return b""

    def piece(self, ask: Ask, answer: Answer, index: int, text: str) -> bytes:  # noqa: ARG002  there is no stream
        return b""

    def closing(self, ask: Ask, answer: Answer) -> bytes:  # noqa: ARG002  there is no stream
        return b""

    def broken(self) -> bytes:
        return b""


class OpenAIEmbeddings(_Embeddings):
    """`POST /v1/embeddings`. compatible: as other vendors' servers take it, without keys or strictness."""

    def __init__(self, *, compatible: bool = False) -> None:
        self._compatible = compatible

    def read(self, request: Request, body: Mapping[str, Any]) -> Ask:
        if self._compatible:
            rules.refuse_bad_key(request.headers.get("authorization", "").removeprefix("Bearer "))
        else:
            rules.check_key(request)
            rules.refuse_unknown(body, _FIELDS)
        given = body.get("input")
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
            raise Fault(
                "invalid", "'$.input' is invalid: a string, or a list of strings, none of them empty.", param="input"
            )
        if len(texts) > MOST_TEXTS:
            raise Fault("invalid", f"'$.input' is invalid: at most {MOST_TEXTS} entries.", param="input")
        model, encoding = rules.check_model(body), str(body.get("encoding_format") or "float")
        return _ask(model, texts, dimensions=body.get("dimensions"), encoding=encoding)

    def refuse(self, fault: Fault) -> tuple[int, dict[str, str], Any]:
        return rules.refuse(fault)

    def headers(self, number: int) -> dict[str, str]:
        return {"x-request-id": f"req_sim{number:06d}"}

    def whole(self, ask: Ask, answer: Answer) -> Any:
        data = [
            {"object": "embedding", "index": index, "embedding": _encoded(vector(text, ask.dimensions), ask.encoding)}
            for index, text in enumerate(ask.texts)
        ]
        counted = answer.counts.input if answer.counts else 0
        usage = {"usage": {"prompt_tokens": counted, "total_tokens": counted}} if answer.counts else {}
        return {"object": "list", "data": data, "model": ask.model, **usage}


class GoogleEmbeddings(_Embeddings):
    """`POST /v1beta/models/{model}:batchEmbedContents`."""

    def read(self, request: Request, body: Mapping[str, Any]) -> Ask:
        google.check_key(request)
        model = request.path_params["model"].rpartition(":")[0]
        google.check_model(model)
        asked = body.get("requests")
        if not isinstance(asked, list) or not asked:
            raise Fault("invalid", "* BatchEmbedContentsRequest.requests: requests is not specified")
        if any(each.get("model") != f"models/{model}" for each in asked):
            raise Fault("invalid", "* BatchEmbedContentsRequest.requests: model has to be that of the path")
        texts = ["".join(part.get("text", "") for part in each["content"]["parts"]) for each in asked]
        return _ask(model, texts, dimensions=asked[0].get("outputDimensionality"))

    def refuse(self, fault: Fault) -> tuple[int, dict[str, str], Any]:
        return google.GoogleGenerate().refuse(fault)

    def headers(self, number: int) -> dict[str, str]:  # noqa: ARG002  Google gives no id in a header
        return {}

    def whole(self, ask: Ask, answer: Answer) -> Any:
        vectors = [{"values": vector(text, ask.dimensions)} for text in ask.texts]
        usage = {} if answer.counts is None else {"usageMetadata": {"promptTokenCount": answer.counts.input}}
        return {"embeddings": vectors, **usage}
