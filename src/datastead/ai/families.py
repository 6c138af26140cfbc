"""What a vendor's models can do that are not in the built-in table, by the beginning of their names; and dated ids.

A module of its own, because genai-prices tells prices and contexts, and neither capabilities nor the longest answer.
Source: put together from what is known of the models, not copied from the vendors' pages. Held against copies of those
on 2026-11-26: the longest answers of Claude 4.5 to 5 (platform.claude.com/docs/models/overview) and of Gemini 2.0, 2.5
and 3 (ai.google.dev/gemini-api/docs/models). The rest is unchecked; where it was in doubt, the smaller number stands. A
custom model's definition goes before it.
"""

import re
from typing import NamedTuple


class Family(NamedTuple):
    """output: the longest answer, tokens. The longest beginning that fits counts."""

    provider: str
    prefix: str
    output: int
    attachment: bool = True
    reasoning: bool = False
    tools: bool = True
    schema: bool = True


FAMILIES = (
    Family("openai", "gpt-3.5", 4_096, attachment=False, schema=False),
    Family("openai", "gpt-4", 8_192, attachment=False, schema=False),
    Family("openai", "gpt-4-turbo", 4_096, schema=False),
    Family("openai", "gpt-4.1", 32_768),
    Family("openai", "gpt-4.5", 16_384),
    Family("openai", "gpt-4o", 16_384),
    Family("openai", "gpt-4o-2024-05-13", 4_096, schema=False),
    Family("openai", "gpt-4o-audio", 16_384, schema=False),
    Family("openai", "gpt-4o-mini-audio", 16_384, schema=False),
    Family("openai", "chatgpt-4o", 16_384, tools=False, schema=False),
    Family("openai", "gpt-audio", 16_384, schema=False),
    Family("openai", "gpt-5", 128_000, reasoning=True),
    Family("openai", "gpt-5-chat", 16_384),
    Family("openai", "gpt-5.3", 16_384, reasoning=True),
    Family("openai", "gpt-5.3-codex", 128_000, reasoning=True),
    Family("openai", "gpt-6", 128_000, reasoning=True),
    Family("openai", "gpt-chat", 16_384),
    Family("openai", "gpt-oss", 16_000, attachment=False, reasoning=True),
    Family("openai", "gpt-rosalind", 16_000, attachment=False),
    Family("openai", "codex-mini", 100_000, reasoning=True),
    Family("openai", "computer-use", 1_024, reasoning=True, schema=False),
    Family("openai", "o1", 100_000, reasoning=True),
    Family("openai", "o1-mini", 65_536, attachment=False, reasoning=True, tools=False, schema=False),
    Family("openai", "o1-preview", 32_768, attachment=False, reasoning=True, tools=False, schema=False),
    Family("openai", "o3", 100_000, reasoning=True),
    Family("openai", "o3-mini", 100_000, attachment=False, reasoning=True),
    Family("openai", "o4-mini", 100_000, reasoning=True),
    Family("anthropic", "claude-2", 4_096, attachment=False, tools=False, schema=False),
    Family("anthropic", "claude-3", 4_096, schema=False),
    Family("anthropic", "claude-3-5", 8_192, schema=False),
    Family("anthropic", "claude-3-7", 64_000, reasoning=True, schema=False),
    Family("anthropic", "claude-opus-4", 32_000, reasoning=True, schema=False),
    Family("anthropic", "claude-sonnet-4", 64_000, reasoning=True, schema=False),
    Family("anthropic", "claude-opus-4-8", 128_000, reasoning=True),
    Family("anthropic", "claude-opus-5", 128_000, reasoning=True),
    Family("anthropic", "claude-sonnet-5", 128_000, reasoning=True),
    Family("anthropic", "claude-haiku-5", 64_000, reasoning=True),
    Family("anthropic", "claude-fable", 128_000, reasoning=True),
    Family("anthropic", "claude-mythos", 128_000, reasoning=True),
    Family("google", "gemini-1.5", 8_192),
    Family("google", "gemini-2.0", 8_192),
    Family("google", "gemini-2.5", 65_536, reasoning=True),
    Family("google", "gemini-2.5-flash-image", 32_768, tools=False, schema=False),
    Family("google", "gemini-3", 65_536, reasoning=True),
    Family("google", "gemini-3-pro-image", 32_768, reasoning=True, tools=False),
    Family("google", "gemini-3.1-flash-image", 32_768, reasoning=True, tools=False),
    Family("google", "gemini-3.1-flash-lite-image", 32_768, reasoning=True, tools=False),
    Family("google", "gemini-4", 65_536, reasoning=True),
    Family("google", "gemma", 8_192, attachment=False, tools=False, schema=False),
)
"""A model whose name begins in none of these ways is taken to be able to do nothing that a custom model cannot."""

NOT_CALLED = re.compile(
    r"realtime|-live|transcribe|translate|whisper|tts|moderation|instruct|davinci|babbage|curie|^ada$|^claude-v1"
    r"|^gpt-image|^chatgpt-image|-image-\d|^gpt-5-image|nano-banana|omni|robotics|embed"
    r"|^gemini-(flash|pro)(-|$)|^gemini-1\.0|-maas$|:extended|[-:]$|^ft:"
)
"""What a vendor's price list names and a chat call does not reach: other APIs, other sites' names, families."""

_DATE = re.compile(r"[-@](?:20\d\d-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
                   r"|20\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])|(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
                   r"|00[1-9])$")  # fmt: skip


def family_of(provider: str, model: str) -> Family | None:
    """The family of a model; None where nobody knows it."""
    found = [each for each in FAMILIES if each.provider == provider and model.startswith(each.prefix)]
    return max(found, key=lambda each: len(each.prefix), default=None)


def without_date(model: str) -> str:
    """The id of which this one is a dated form (`gpt-5-2025-08-07`, `gpt-4-0613`, `gemini-2.5-pro-001`), else itself.

    Only a date counts: `claude-opus-4-9` is no form of `claude-opus-4`, but a model that nobody knows yet.
    """
    return _DATE.sub("", model)
