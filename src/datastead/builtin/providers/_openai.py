"""What `openai` and `openai-compatible` share: both speak both of OpenAI's wire formats."""

import re
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from datastead import Decoder, Provider
from datastead.builtin.providers import _chat_completions, _embeddings, _responses
from datastead.builtin.providers._openai_errors import error_of
from datastead.errors import AIError
from datastead.messages import Call, EmbeddingCall, Embeddings, Endpoint, StreamEvent, WireRequest

if TYPE_CHECKING:
    from datastead import ModelDefinition

Api = Literal["responses", "chat-completions"]
_OPENAI_REASONING = re.compile(r"(^|/)(o\d|gpt-5)")

_OPENAIS_OWN = re.compile(r"https://(\w+\.)?api\.openai\.com(/|:|$)")  # us. and eu. are OpenAI's, too

STANDARD = {"service_tier": "default"}
"""What a request leaves out, OpenAI takes from the project's settings, and a project can stand at `priority`: the bill
would be above the hold.

Source: OpenAI's API reference (`service_tier`) and its guide on priority processing, read in copies on 2026-11-26.
"""


class OpenAIWire(Provider):
    """Responses or Chat Completions, as the model's `api` says, else as the subclass does.

    Answers are told apart by their shape.
    """

    request_id_headers = ("x-request-id", "x-generation-id", "request-id")

    name: str
    default_api: Api
    is_openai = False

    def request(self, endpoint: Endpoint, model: "ModelDefinition", call: Call) -> WireRequest:
        path, body = self._path_and_body(model, call)
        if _OPENAIS_OWN.match(endpoint.base_url):
            body = {**STANDARD, **body}
        return _sent(endpoint, path, body)

    def response(self, body: Mapping[str, Any]) -> Iterator[StreamEvent]:
        if "output" in body:
            return _responses.events(body, self.name)
        return _chat_completions.events(body, self.name)

    def decoder(self) -> Decoder:
        chosen: Decoder | None = None

        def decode(chunks: Iterable[dict[str, Any]], events: list[StreamEvent]) -> None:
            nonlocal chosen
            left = iter(chunks)
            while chosen is None:
                first = next(left, None)
                if first is None:
                    return
                wire = _wire_of(first)
                if wire is not None:
                    chosen = wire.decoder(self.name)
                    chosen.all((first,), events)
            chosen.all(left, events)

        return Decoder(decode)

    def error(self, status: int, headers: Mapping[str, str], body: Any) -> AIError:
        return error_of(self.name, status, headers, body)

    def embedding_request(self, endpoint: Endpoint, call: EmbeddingCall) -> WireRequest:
        return _sent(endpoint, "/embeddings", _embeddings.request_body(call))

    def embeddings(self, body: Mapping[str, Any]) -> Embeddings:
        return _embeddings.vectors(body, self.name)

    def _path_and_body(self, model: "ModelDefinition", call: Call) -> tuple[str, dict[str, Any]]:
        if self.api(model, call) == "responses":
            return "/responses", _responses.request_body(model, call, openai=self.is_openai)
        reasons = self.is_openai_reasoning(model, call)
        body = _chat_completions.request_body(call, openai_reasoning=reasons, openai=self.is_openai)
        return "/chat/completions", body

    def api(self, model: "ModelDefinition", call: Call) -> Api:  # noqa: ARG002  a subclass looks at it
        """The wire format for a call."""
        return model.api or self.default_api

    def is_openai_reasoning(self, model: "ModelDefinition", call: Call) -> bool:  # noqa: ARG002  a subclass looks at it
        """Whether it is one of OpenAI's reasoning models. By name: those of other vendors take what these refuse."""
        return bool(_OPENAI_REASONING.search(call.model))


def _wire_of(chunk: dict[str, Any]) -> ModuleType | None:
    """The wire format that a stream's first chunk is in; None where it could be either, as a ping is."""
    kind = chunk.get("type")
    if isinstance(kind, str) and (kind == "error" or kind.startswith("response.")):
        return _responses
    return _chat_completions if {"choices", "error", "object"} & chunk.keys() else None


def _sent(endpoint: Endpoint, path: str, body: Mapping[str, Any]) -> WireRequest:
    headers = {"content-type": "application/json"}
    if endpoint.api_key:
        headers["authorization"] = f"Bearer {endpoint.api_key}"
    return WireRequest(f"{endpoint.base_url.rstrip('/')}{path}", {**headers, **endpoint.headers}, body)
