"""OpenAI, through the Responses API, or Chat Completions where the model's definition says so."""

from typing import TYPE_CHECKING

from datastead import provider
from datastead.builtin.providers._openai import Api, OpenAIWire
from datastead.messages import Call

if TYPE_CHECKING:
    from datastead import ModelDefinition

_CHAT_ONLY = frozenset(
    {"frequency_penalty", "presence_penalty", "logit_bias", "seed", "response_format", "prediction", "verbosity"}
)
"""Options that Chat Completions has by these names, and Responses has not."""


@provider("openai", default_base_url="https://api.openai.com/v1", key_variables=("OPENAI_API_KEY",))
class OpenAI(OpenAIWire):
    """OpenAI's models. A custom base URL may be any endpoint that speaks Responses or Chat Completions."""

    name = "openai"
    default_api = "responses"
    is_openai = True

    def api(self, model: "ModelDefinition", call: Call) -> Api:
        """Responses has no stop sequences and no penalties: such a call goes to Chat Completions, if the model may."""
        wants_stop = bool(call.stop) and not model.reasoning
        wants_chat = wants_stop or not _CHAT_ONLY.isdisjoint(call.provider_options)
        return "chat-completions" if wants_chat and model.api is None else super().api(model, call)

    def is_openai_reasoning(self, model: "ModelDefinition", call: Call) -> bool:
        return model.reasoning or super().is_openai_reasoning(model, call)
