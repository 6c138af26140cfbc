"""The operation `ai-generate`."""

from typing import Any

from datastead import Chain, Context, operation
from datastead.builtin.operations._ai import AIOptions, ask


@operation("ai-generate", AIOptions, slow=True)
async def ai_generate(ctx: Context, options: AIOptions, chain: Chain) -> Any:  # noqa: ARG001
    """Asks a model for text. Gives `{content, reasoning, object, usage, cost, model, provider, call, …}`."""
    return await ask(ctx, options, "ai-generate")
