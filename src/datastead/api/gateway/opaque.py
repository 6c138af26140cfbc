"""What a provider wants back with the next turn, in the places that OpenAI's clients keep as they came.

Chat Completions has none of its own: `reasoning_details` on a message and `extra_content` on a tool call are what other
gateways and Google's own endpoint use. Responses has `encrypted_content`.
"""

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from datastead.messages import Reasoning

MARK = "datastead.v1."
"""Before base64 of JSON, where the text is not the provider's own."""

_SIGNATURE = "thoughtSignature"
_GOOGLE = "google"
_OURS = "datastead"


def sealed(opaque: Mapping[str, Any]) -> str:
    """As text that a client keeps."""
    return MARK + b64encode(orjson.dumps(opaque, default=dict)).decode()


def opened(value: Any) -> Mapping[str, Any] | None:
    """What `sealed` made; None for anything else."""
    if not isinstance(value, str) or not value.startswith(MARK):
        return None
    try:
        found = orjson.loads(b64decode(value[len(MARK) :], validate=True))
    except (NotBase64, ValueError):
        return None
    return found if isinstance(found, dict) else None


def reasoning_details(parts: Iterable[Reasoning]) -> list[dict[str, Any]]:
    """Chat Completions' `reasoning_details`: only of reasoning that has to come back."""
    return [
        {"type": "reasoning.encrypted", "data": sealed(part.opaque), "index": number}
        for number, part in enumerate(parts)
        if part.opaque is not None
    ]


def reasoning_parts(details: Any) -> list[Reasoning]:
    """The reasoning in a client's `reasoning_details`; what is not of here is left out."""
    given = details if isinstance(details, list) else []
    found = [opened(each.get("data")) for each in given if isinstance(each, dict)]
    return [Reasoning("", each) for each in found if each is not None]


def extra_content(opaque: Mapping[str, Any] | None) -> dict[str, Any]:
    """A tool call's `extra_content`, where there is something to bring back; Google's also in Google's own form."""
    if opaque is None:
        return {}
    google = {_GOOGLE: {"thought_signature": opaque[_SIGNATURE]}} if _SIGNATURE in opaque else {}
    return {"extra_content": {_OURS: sealed(opaque), **google}}


def tool_opaque(extra: Any) -> Mapping[str, Any] | None:
    """What came with a tool call, out of its `extra_content`."""
    if not isinstance(extra, dict):
        return None
    own = opened(extra.get(_OURS))
    if own is not None:
        return own
    google = extra.get(_GOOGLE)
    signature = google.get("thought_signature") if isinstance(google, dict) else None
    return {_SIGNATURE: signature, "extra_content": extra} if isinstance(signature, str) else None
