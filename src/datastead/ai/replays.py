"""A keyed call with files that has its answer already: it is given before a file is read, which may be gone by now."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from datastead.ai.preparation import Job, has_files
from datastead.ai.requests import LONGEST_KEY, CallOptions, text_option
from datastead.ai.results import GenerationResult

AnswerOf = Callable[[str], Awaitable[Mapping[str, Any] | None]]
"""The answer that is kept for a key, if any."""


def may_be_replayed(options: CallOptions) -> bool:
    """Whether it is worth asking for the answer before the files are read."""
    return options.get("key") is not None and has_files(options)


async def replayed(job: Job, answer_of: AnswerOf) -> GenerationResult | None:
    """The answer that the job's key has; None where there is something left to ask for, which needs the files.

    The job is one whose files are not read; it is spent after that. Raises `InvalidOutput` as the call itself would.
    """
    for _ in ("asked", "mended"):
        key = text_option(job.options, "key", LONGEST_KEY)
        answer = await answer_of(key) if key is not None else None
        result = None if answer is None else job.took(GenerationResult.from_answer(answer))
        if answer is None or result is not None:
            return result
    return None
