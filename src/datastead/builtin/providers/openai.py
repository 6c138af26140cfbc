"""OpenAI, through the Responses API, or Chat Completions where the model's definition says so."""

from typing import TYPE_CHECKING

from datastead import provider
from datastead.builtin.providers._openai import Api, OpenAIWire
from datastead.messages import Call

if TYPE_CHECKING:
    from datastead import ModelDefinition


@provider("openai", default_base_url="https://api.openai.com/v1", key_variables=("OPENAI_API_KEY",))
class OpenAI(OpenAIWire):
    """OpenAI's models. A custom base URL may be any endpoint that speaks Responses or Chat Completions."""

    name = "openai"
    default_api = "responses"
    is_openai = True

    def api(self, model: "ModelDefinition", call: Call) -> Api:
        """Responses has no stop sequences: a call with them goes to Chat Completions where the model allows both."""
        wants_stop = bool(call.stop) and model.api is None and not model.reasoning
        return "chat-completions" if wants_stop else super().api(model, call)

    def is_openai_reasoning(self, model: "ModelDefinition", call: Call) -> bool:
        return model.reasoning or super().is_openai_reasoning(model, call)
