"""Every endpoint that speaks OpenAI's wire formats: Ollama, vLLM, OpenRouter, Mistral, DeepSeek, gateways …"""

from datastead import provider
from datastead.builtin.providers._openai import OpenAIWire


@provider("openai-compatible")
class OpenAICompatible(OpenAIWire):
    """OpenAI-compatible endpoints: Chat Completions, or Responses where a model's `api` says so. A key is optional."""

    name = "openai-compatible"
    default_api = "chat-completions"
