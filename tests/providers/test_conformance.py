"""The providers that come with the house pass what every provider has to."""

from datastead.testing.providers import ProviderConformance
from tests.providers.documented import body, chunks, provider


class TestOpenAI(ProviderConformance):
    provider = provider("openai")
    answer = body("responses_text.json")
    chunks = chunks("responses_text.sse")


class TestOpenAICompatible(ProviderConformance):
    provider = provider("openai-compatible")
    answer = body("chat_text.json")
    chunks = chunks("chat_text.sse")


class TestAnthropic(ProviderConformance):
    provider = provider("anthropic")
    answer = body("anthropic_text.json")
    chunks = chunks("anthropic_text.sse")


class TestGoogle(ProviderConformance):
    provider = provider("google")
    answer = body("google_text.json")
    chunks = chunks("google_text.sse")
