"""The filter `truncate_tokens`."""

from typing import Any

from datastead import template_filter, truncate_tokens


@template_filter("truncate_tokens")
def truncate(value: Any, tokens: int, model: str | None = None) -> str:
    """At most so many tokens of a text: `{{ $trigger.content | truncate_tokens(2000, "gpt-4.1") }}`.

    model: whose tokens; OpenAI's newest without one, and the most that it can be where the model's are not known.
    """
    if tokens < 0:
        raise ValueError("the number of tokens has to be 0 or more")
    return "" if value is None else truncate_tokens(str(value), tokens, model)
