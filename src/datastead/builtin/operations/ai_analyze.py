"""The operation `ai-analyze`."""

from typing import Any

from datastead import Chain, Context, operation
from datastead.builtin.operations._ai import AIOptions, ask


@operation("ai-analyze", AIOptions, slow=True)
async def ai_analyze(ctx: Context, options: AIOptions, chain: Chain) -> Any:  # noqa: ARG001
    """Asks a model about `data`, which is never read as an instruction. With `enableReasoning` it says why, too.

    Gives `{content, reasoning, object, usage, cost, model, provider, call, …}`: the explanation is in `reasoning`.
    """
    return await ask(ctx, options, "ai-analyze")
