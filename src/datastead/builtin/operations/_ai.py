"""What the operations that ask models have in common: their options, and the call that these make."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from datastead import Context, Options, with_data
from datastead.builtin.operations._items import json_or_text

Schema = Annotated[dict[str, Any] | None, BeforeValidator(json_or_text)]
Attachments = Annotated[list[dict[str, Any]], BeforeValidator(lambda value: json_or_text(value) or [])]


class AIOptions(Options):
    """The model, and what to ask it."""

    provider: str | None = Field(
        None, description="`openai`, `anthropic`, `google`, `openai-compatible`, or one's own."
    )
    model: str = Field(min_length=1, description="The model's id, such as `gpt-4.1`.")
    prompt: str = Field(min_length=1, description="What to ask; a template.")
    system: str | None = Field(None, description="The system prompt.")
    data: Any = Field(None, description="What to work on: text or any JSON. It is put apart from the prompt, as data.")
    attachments: Attachments = Field(
        default_factory=list,
        description="Files: `{type: 'file', fileId}`, `{type: 'url', url}`, `{type: 'data', data, mediaType}`.",
    )
    max_tokens: int | None = Field(None, alias="maxTokens", gt=0, description="The longest answer, in tokens.")
    temperature: float | None = Field(None, ge=0, le=2, description="How free the model is, 0 to 2.")
    top_p: float | None = Field(
        None, alias="topP", ge=0, le=1, description="The share of likely words it chooses from."
    )
    stop: list[str] = Field(default_factory=list, description="Texts at which the answer ends.")
    enable_reasoning: bool | None = Field(
        None, alias="enableReasoning", description="Let a reasoning model think first, and explain."
    )
    effort: Literal["minimal", "low", "medium", "high"] | None = Field(None, description="How much it thinks.")
    budget_tokens: int | None = Field(None, alias="budgetTokens", gt=0, description="How many tokens it may think.")
    schema_: Schema = Field(None, alias="schema", description="JSON schema that the answer has to fit.")
    fallbacks: list[str | dict[str, str]] = Field(
        default_factory=list, description="Models to call in turn where this one cannot be reached."
    )
    cache: bool | float | dict[str, float] | None = Field(
        None, description="Give the same call the same answer: true, seconds, or `{ttl: seconds}`."
    )
    timeout: float | None = Field(None, gt=0, description="How long to wait for the answer, in seconds.")
    in_doubt: Literal["retry", "reject"] | None = Field(
        None, alias="inDoubt", description="What to do with a call that was under way when the process died."
    )
    overflow: Literal["refuse", "truncate"] | None = Field(
        None, description="What to do with a prompt that may be too long: refuse it, or cut it and say what was cut."
    )


async def ask(ctx: Context, options: AIOptions, purpose: str, schema: dict[str, Any] | None = None) -> dict[str, Any]:
    """The model's answer as JSON. The step names the call, so that a run that is taken up again does not pay twice."""
    prompt, system = options.prompt, options.system
    if "data" in options.model_fields_set:
        prompt, system = with_data(prompt, options.data, system)
    result = await ctx.services.ai.generate(
        prompt,
        model=options.model,
        provider=options.provider,
        attachments=options.attachments,
        system=system,
        max_tokens=options.max_tokens,
        temperature=options.temperature,
        top_p=options.top_p,
        stop=options.stop,
        enable_reasoning=options.enable_reasoning,
        effort=options.effort,
        budget_tokens=options.budget_tokens,
        schema=schema or options.schema_,
        fallbacks=options.fallbacks,
        cache=options.cache,
        timeout_s=options.timeout,
        key=ctx.step,
        purpose=purpose,
        context=ctx,
        in_doubt=options.in_doubt,
        overflow=options.overflow,
    )
    return result.to_dict()
