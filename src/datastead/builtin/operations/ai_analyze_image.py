"""The operation `ai-analyze-image`."""

from typing import Any

from pydantic import Field

from datastead import Chain, Context, operation
from datastead.builtin.operations._ai import AIOptions, Attachments, ask


class AIAnalyzeImageOptions(AIOptions):
    """The model, the files, and what to ask about them."""

    attachments: Attachments = Field(
        min_length=1,
        description="Files: `{type: 'file', fileId}`, `{type: 'url', url}`, `{type: 'data', data, mediaType}`.",
    )


@operation("ai-analyze-image", AIAnalyzeImageOptions, slow=True)
async def ai_analyze_image(ctx: Context, options: AIAnalyzeImageOptions, chain: Chain) -> Any:  # noqa: ARG001
    """Asks a model about images, PDFs or other files. A file is read as the one who caused the run may see it.

    Gives `{content, reasoning, object, usage, cost, model, provider, call, …}`.
    """
    return await ask(ctx, options, "ai-analyze-image")
