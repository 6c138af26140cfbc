"""The models that are known from the start, as data: limits in tokens, prices in USD per million tokens.

A module of its own, because it changes when a vendor changes something, and never otherwise.
Source: the vendors' model and price pages (openai.com/api/pricing, claude.com/pricing, ai.google.dev/pricing).
"""

from datetime import date
from typing import Literal, NamedTuple

from datastead.messages import ServiceTier

CHECKED = date(2026, 11, 23)
"""When the table was last compared with the vendors' pages: it stands in the ledger beside each price."""


class Tier(NamedTuple):
    """Another service tier: all rates times `share`, those of reading from a cache times `cached` where that differs.

    rates: the tier's own, where they are no such share.
    """

    name: ServiceTier
    share: float = 1.0
    cached: float | None = None
    rates: tuple[float, ...] | None = None


BATCH = (Tier("batch", 0.5),)
BATCH_UNCACHED = (Tier("batch", 0.5, cached=1.0),)  # what is read from a cache costs as much as ever
FLEX = (*BATCH, Tier("flex", 0.5))
DOUBLE = (*FLEX, Tier("priority", 2.0))
DEARER = (*BATCH_UNCACHED, Tier("priority", 1.75))


class Row(NamedTuple):
    """A model.

    context, output: tokens. rates: input, output, cache read; then, where they differ, cache write and 1 h cache write.
    tiers: where a vendor publishes them. audio: of audio input, where it differs.
    long: from how many prompt tokens on other rates hold, and which.
    Every chat model in the table takes attachments, calls tools, and can be held to a schema.
    """

    provider: str
    model: str
    name: str
    context: int
    output: int
    rates: tuple[float, ...]
    tiers: tuple[Tier, ...] = ()
    reasoning: bool = False
    audio: float | None = None
    long: tuple[int, tuple[float, ...]] | None = None
    kind: Literal["chat", "embedding"] = "chat"


ROWS = (
    Row("openai", "gpt-4o-mini", "GPT-4o mini", 128_000, 16_384, (0.15, 0.60, 0.075),
        (*BATCH_UNCACHED, Tier("priority", rates=(0.25, 1.00, 0.125)))),
    Row("openai", "gpt-4.1-nano", "GPT-4.1 nano", 1_047_576, 32_768, (0.10, 0.40, 0.025),
        (*BATCH_UNCACHED, Tier("priority", 2))),
    Row("openai", "gpt-4.1-mini", "GPT-4.1 mini", 1_047_576, 32_768, (0.40, 1.60, 0.10), DEARER),
    Row("openai", "gpt-4.1", "GPT-4.1", 1_047_576, 32_768, (2.00, 8.00, 0.50), DEARER),
    Row("openai", "gpt-5-nano", "GPT-5 nano", 400_000, 128_000, (0.05, 0.40, 0.005), FLEX, reasoning=True),
    Row("openai", "gpt-5-mini", "GPT-5 mini", 400_000, 128_000, (0.25, 2.00, 0.025),
        (*FLEX, Tier("priority", 1.8)), reasoning=True),
    Row("openai", "gpt-5", "GPT-5", 400_000, 128_000, (1.25, 10.00, 0.125), DOUBLE, reasoning=True),
    Row("openai", "gpt-5.1", "GPT-5.1", 400_000, 128_000, (1.25, 10.00, 0.125), DOUBLE, reasoning=True),
    Row("openai", "gpt-5.1-chat-latest", "GPT-5.1 Chat", 128_000, 16_384, (1.25, 10.00, 0.125), DOUBLE, reasoning=True),
    Row("openai", "gpt-5.2", "GPT-5.2", 400_000, 128_000, (1.75, 14.00, 0.175), DOUBLE, reasoning=True),
    Row("openai", "gpt-5.2-chat-latest", "GPT-5.2 Chat", 128_000, 16_384, (1.75, 14.00, 0.175), DOUBLE, reasoning=True),
    Row("openai", "gpt-5.2-pro", "GPT-5.2 Pro", 400_000, 128_000, (21.00, 168.00), BATCH, reasoning=True),
    Row("openai", "gpt-5.4-nano", "GPT-5.4 nano", 400_000, 128_000, (0.20, 1.25, 0.02), FLEX, reasoning=True),
    Row("openai", "gpt-5.4-mini", "GPT-5.4 mini", 400_000, 128_000, (0.75, 4.50, 0.075), DOUBLE, reasoning=True),
    Row("openai", "gpt-5.4", "GPT-5.4", 1_050_000, 128_000, (2.50, 15.00, 0.25), DOUBLE, reasoning=True,
        long=(272_000, (5.00, 22.50, 0.50))),
    Row("openai", "gpt-5.4-pro", "GPT-5.4 Pro", 1_050_000, 128_000, (30.00, 180.00), FLEX, reasoning=True,
        long=(272_000, (60.00, 270.00))),
    Row("openai", "gpt-5.5", "GPT-5.5", 1_050_000, 128_000, (5.00, 30.00, 0.50),
        (*FLEX, Tier("priority", 2.5)), reasoning=True,
        long=(272_000, (10.00, 45.00, 1.00))),
    Row("openai", "gpt-5.5-pro", "GPT-5.5 Pro", 1_050_000, 128_000, (30.00, 180.00), FLEX, reasoning=True,
        long=(272_000, (60.00, 270.00))),
    Row("anthropic", "claude-haiku-4-5", "Claude Haiku 4.5", 200_000, 64_000, (1.00, 5.00, 0.10, 1.25, 2.00),
        BATCH),
    Row("anthropic", "claude-sonnet-4-5", "Claude Sonnet 4.5", 200_000, 64_000, (3.00, 15.00, 0.30, 3.75, 6.00),
        BATCH, reasoning=True, long=(200_000, (6.00, 22.50, 0.60, 7.50, 12.00))),
    Row("anthropic", "claude-sonnet-4-6", "Claude Sonnet 4.6", 200_000, 64_000, (3.00, 15.00, 0.30, 3.75, 6.00),
        BATCH, reasoning=True),
    Row("anthropic", "claude-opus-4-5", "Claude Opus 4.5", 200_000, 64_000, (5.00, 25.00, 0.50, 6.25, 10.00),
        BATCH, reasoning=True),
    Row("anthropic", "claude-opus-4-6", "Claude Opus 4.6", 200_000, 128_000, (5.00, 25.00, 0.50, 6.25, 10.00),
        BATCH, reasoning=True),
    Row("anthropic", "claude-opus-4-7", "Claude Opus 4.7", 200_000, 128_000, (5.00, 25.00, 0.50, 6.25, 10.00),
        BATCH, reasoning=True),
    Row("google", "gemini-2.5-flash-lite", "Gemini 2.5 Flash-Lite", 1_048_576, 65_536, (0.10, 0.40, 0.01),
        BATCH_UNCACHED, reasoning=True, audio=0.30),
    Row("google", "gemini-2.5-flash", "Gemini 2.5 Flash", 1_048_576, 65_536, (0.30, 2.50, 0.03),
        BATCH_UNCACHED, reasoning=True, audio=1.00),
    Row("google", "gemini-2.5-pro", "Gemini 2.5 Pro", 1_048_576, 65_536, (1.25, 10.00, 0.125),
        BATCH_UNCACHED, reasoning=True, long=(200_000, (2.50, 15.00, 0.25))),
    Row("google", "gemini-3-flash-preview", "Gemini 3 Flash Preview", 1_048_576, 65_536, (0.50, 3.00, 0.05),
        BATCH_UNCACHED, reasoning=True, audio=1.00),
    Row("google", "gemini-3-pro-preview", "Gemini 3 Pro Preview", 1_048_576, 65_536, (2.00, 12.00, 0.20),
        BATCH_UNCACHED, reasoning=True, long=(200_000, (4.00, 18.00, 0.40))),
    Row("google", "gemini-3.1-flash-lite-preview", "Gemini 3.1 Flash-Lite Preview", 1_048_576, 65_536,
        (0.50, 3.00, 0.05), BATCH_UNCACHED, reasoning=True, audio=1.00),
    Row("google", "gemini-3.1-pro-preview", "Gemini 3.1 Pro Preview", 1_048_576, 65_536, (2.00, 12.00, 0.20),
        BATCH_UNCACHED, reasoning=True, long=(200_000, (4.00, 18.00, 0.40))),
    Row("openai", "text-embedding-3-small", "Text Embedding 3 Small", 8192, 0, (0.02, 0.0), BATCH, kind="embedding"),
    Row("openai", "text-embedding-3-large", "Text Embedding 3 Large", 8192, 0, (0.13, 0.0), BATCH, kind="embedding"),
    Row("openai", "text-embedding-ada-002", "Text Embedding Ada 002", 8192, 0, (0.10, 0.0), BATCH, kind="embedding"),
    Row("google", "gemini-embedding-001", "Gemini Embedding", 2048, 0, (0.15, 0.0), BATCH, kind="embedding"),
    Row("google", "gemini-embedding-2", "Gemini Embedding 2", 8192, 0, (0.20, 0.0), BATCH, kind="embedding",
        audio=6.50),
)  # fmt: skip
