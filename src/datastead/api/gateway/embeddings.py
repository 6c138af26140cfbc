"""`POST /ai/v1/embeddings`: vectors from any provider that makes them.

Source: platform.openai.com/docs/api-reference/embeddings, 2026-11.
"""

from array import array
from base64 import b64encode
from collections.abc import Sequence
from sys import byteorder
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from datastead.api.answers import Json
from datastead.api.gateway import errors, reading
from datastead.api.gateway.endpoint import Ask, read_body, said_of, signed_in
from datastead.api.gateway.leaving import Leaving
from datastead.api.gateway.reading import wrong

if TYPE_CHECKING:
    from datastead.ai.embedding import EmbeddingResult

_FORMATS = ("float", "base64")


class Embeddings:
    """Texts in, vectors out: as numbers, or as the base64 of 32-bit floats that the official client asks for."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            ctx = await signed_in(scope)
            body = await read_body(scope, receive, ctx)
            model, inputs, form = reading.model_of(body), _inputs(body.get("input")), _format(body)
            with Leaving(receive) as leaving:
                result = await ctx.services.ai.embed(
                    inputs,
                    model=model,
                    dimensions=body.get("dimensions"),
                    purpose=reading.purpose_of(body),
                    context=ctx,
                )
                leaving.stop()
                said = said_of(ctx, Ask(None, {"model": model}), result.call, result.cost)
                await Json(_answer(result, form), headers=said)(scope, receive, send)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001  answered in the client's own words, and logged where it is ours
            await errors.refuse(error)(scope, receive, send)


def _inputs(given: Any) -> list[str]:
    """Token numbers are those of one vendor's vocabulary, and say nothing to the others."""
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise wrong("input", given, "text, or a list of texts; lists of tokens are not taken")
    return texts


def _format(body: dict[str, Any]) -> str:
    form = body.get("encoding_format", "float")
    if form not in _FORMATS:
        raise wrong("encoding_format", form, "`float` or `base64`")
    return str(form)


def _answer(result: "EmbeddingResult", form: str) -> dict[str, Any]:
    shown = _base64 if form == "base64" else list
    tokens = result.usage.input_total
    cost = {} if result.cost is None else {"cost": float(result.cost)}
    return {
        "object": "list",
        "model": result.model,
        "data": [
            {"object": "embedding", "index": number, "embedding": shown(vector)}
            for number, vector in enumerate(result.vectors)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens, **cost},
    }


def _base64(vector: Sequence[float]) -> str:
    """32-bit floats, little end first."""
    floats = array("f", vector)
    if byteorder == "big":
        floats.byteswap()
    return b64encode(floats.tobytes()).decode()
