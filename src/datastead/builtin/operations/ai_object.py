"""The operation `ai-object`."""

from typing import Any

from pydantic import Field

from datastead import Chain, Context, operation
from datastead.builtin.operations._ai import AIOptions, ask
from datastead.builtin.operations._field_schema import schema_of
from datastead.errors import InvalidRequest


class AIObjectOptions(AIOptions):
    """The model, what to ask it, and what the answer has to be."""

    collection: str | None = Field(None, description="In place of a schema: the collection whose fields are wanted.")
    fields: list[str] = Field(default_factory=list, description="The fields of `collection` that the model fills in.")


@operation("ai-object", AIObjectOptions, slow=True)
async def ai_object(ctx: Context, options: AIObjectOptions, chain: Chain) -> Any:  # noqa: ARG001
    """Asks a model for a value that fits a JSON schema, or the fields of a collection, so that it can be saved.

    Gives `{object, content, reasoning, usage, cost, model, provider, call, …}`. An answer that does not fit is mended
    once; then the operation rejects with `INVALID_OUTPUT`, which says whether it was cut, refused or wrong, and where.
    """
    return await ask(ctx, options, "ai-object", await _schema(ctx, options))


async def _schema(ctx: Context, options: AIObjectOptions) -> dict[str, Any]:
    if (options.schema_ is None) == (options.collection is None):
        raise InvalidRequest("Give either `schema`, or `collection` and `fields`.", parameter="schema")
    if options.schema_ is not None:
        return options.schema_
    if not options.fields:
        raise InvalidRequest("Say which `fields` of the collection the model fills in.", parameter="fields")
    schema = await ctx.services.schemas.get()
    return schema_of(schema.collection(options.collection or ""), options.fields)
