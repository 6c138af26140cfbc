"""OpenAI's embeddings, which compatible endpoints speak too: texts as JSON, and vectors out of the answer.

Source: platform.openai.com/docs/api-reference/embeddings, 2026-11.
"""

import array
import sys
from binascii import a2b_base64
from collections.abc import Mapping
from typing import Any

from datastead.builtin.providers._content import merged
from datastead.builtin.providers._openai_errors import error_in
from datastead.builtin.providers._reading import an_object, count, objects, string
from datastead.builtin.providers._usage import openai_usage
from datastead.errors import ProviderUnavailable
from datastead.messages import EmbeddingCall, Embeddings


def request_body(call: EmbeddingCall) -> dict[str, Any]:
    """The call as JSON. Numbers come back as a list, which all endpoints can, unless an option asks for base64."""
    return merged(
        {"model": call.model, "input": list(call.inputs), "dimensions": call.dimensions}, call.provider_options
    )


def vectors(body: Mapping[str, Any], provider: str) -> Embeddings:
    """The answer's vectors in the order of the inputs, which `index` says; some endpoints leave it out."""
    if body.get("error"):
        raise error_in(provider, body["error"])
    if not isinstance(body.get("data"), list):
        raise ProviderUnavailable("The provider's answer has no embeddings.", provider=provider)
    entries = sorted(objects(body["data"]), key=lambda entry: count(entry.get("index")))
    usage = openai_usage(an_object(body.get("usage")), "prompt", "completion")
    found = tuple(vector(entry.get("embedding"), provider) for entry in entries)
    return Embeddings(found, usage, string(body.get("model")) or None)


def vector(given: object, provider: str) -> tuple[float, ...]:
    """Numbers out of a list, or out of base64 of little-endian float32."""
    try:
        numbers = _unpacked(given) if isinstance(given, str) else _listed(given)
    except (ValueError, TypeError) as error:
        raise _no_vector(provider) from error
    if not numbers:
        raise _no_vector(provider)
    return numbers


def _listed(given: object) -> tuple[float, ...]:
    return tuple(map(float, given)) if isinstance(given, list) else ()


def _unpacked(text: str) -> tuple[float, ...]:
    packed = array.array("f", a2b_base64(text))
    if sys.byteorder == "big":
        packed.byteswap()
    return tuple(packed)


def _no_vector(provider: str) -> ProviderUnavailable:
    return ProviderUnavailable("The provider's answer has an embedding that is no vector.", provider=provider)
