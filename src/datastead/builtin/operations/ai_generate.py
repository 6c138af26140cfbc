"""The operation `ai-generate`."""

from typing import Any, Literal

from pydantic import Field

from datastead import Chain, Context, Options, operation


class AIGenerateOptions(Options):
    """The model, and what to ask it."""

    provider: str | None = Field(
        None, description="`openai`, `anthropic`, `google`, `openai-compatible`, or one's own."
    )
    model: str = Field(min_length=1, description="The model's id, such as `gpt-4.1`.")
    prompt: str = Field(min_length=1, description="What to ask; a template.")
    system: str | None = Field(None, description="The system prompt.")
    max_tokens: int | None = Field(None, alias="maxTokens", gt=0, description="The longest answer, in tokens.")
    temperature: float | None = Field(None, ge=0, le=2, description="How free the model is, 0 to 2.")
    top_p: float | None = Field(None, alias="topP", ge=0, le=1)
    stop: list[str] = Field(default_factory=list, description="Texts at which the answer ends.")
    enable_reasoning: bool | None = Field(
        None, alias="enableReasoning", description="Let a reasoning model think first."
    )
    effort: Literal["minimal", "low", "medium", "high"] | None = Field(None, description="How much it thinks.")
    timeout: float | None = Field(None, gt=0, description="How long to wait for the answer, in seconds.")
    in_doubt: Literal["retry", "reject"] | None = Field(
        None, alias="inDoubt", description="What to do with a call that was under way when the process died."
    )


@operation("ai-generate", AIGenerateOptions, slow=True)
async def ai_generate(ctx: Context, options: AIGenerateOptions, chain: Chain) -> Any:  # noqa: ARG001
    """Asks a model for text. Gives `{content, reasoning, usage, cost, model, provider, call, finish_reason}`."""
    result = await ctx.services.ai.generate(
        options.prompt,
        model=options.model,
        provider=options.provider,
        system=options.system,
        max_tokens=options.max_tokens,
        temperature=options.temperature,
        top_p=options.top_p,
        stop=options.stop,
        enable_reasoning=options.enable_reasoning,
        effort=options.effort,
        timeout_s=options.timeout,
        key=ctx.step,
        purpose="ai-generate",
        context=ctx,
        in_doubt=options.in_doubt,
    )
    return result.to_dict()
