"""What is around a call that is more than a prompt: files are read, long prompts cut, answers held to their schema.

A module of its own, so that a plain call goes past all of it.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, get_args

from datastead.ai.attachments import FileSource, Reader, attachments_in
from datastead.ai.bounds import check_capabilities
from datastead.ai.context_window import Cut, refuse_overflow, room_for_answer, truncated
from datastead.ai.models import VENDORS, ModelDefinition
from datastead.ai.parameters import invalid
from datastead.ai.requests import LONGEST_KEY, CallOptions, Overflow, build_call, timeout_of
from datastead.ai.results import GenerationResult
from datastead.ai.structure import (
    LONGEST_QUOTE,
    Shape,
    can_be_repaired,
    in_words,
    is_about_schema,
    repair_request,
    shape_of,
)
from datastead.errors import AIError, InvalidOutput
from datastead.messages import Attachment, Call, Message, Usage, assistant, user

if TYPE_CHECKING:
    from datastead.settings import Settings

REPAIR = ":repair"


def needs_preparation(options: CallOptions) -> bool:
    """Whether there is anything to do around the call."""
    return options.get("schema") is not None or options.get("overflow") is not None or has_files(options)


def has_files(options: CallOptions) -> bool:
    """Whether files go with the prompt, or may be among the turns before it."""
    return bool(options.get("attachments")) or _have_files(options.get("messages"))


def repair_key(key: str) -> str:
    """The key of the call that mends the answer of the call with that key."""
    made = key + REPAIR
    return made if len(made) <= LONGEST_KEY else hashlib.sha256(key.encode()).hexdigest() + REPAIR


@dataclass(slots=True)
class Job:
    """A call with what is around it: asked once, and once more where the answer does not fit.

    options: of the next call; the prompt is a turn of it already. name: the model's provider and id. words_only: those
    that refused a schema. deadline: by the loop's clock, seconds. first, problem: the answer that did not fit, and why.
    """

    options: CallOptions
    shape: Shape | None
    cuts: tuple[Cut, ...]
    deadline: float
    name: tuple[str, str]
    words_only: set[tuple[str, str]]
    first: GenerationResult | None = None
    problem: InvalidOutput | None = None

    def asked(self) -> CallOptions:
        """The options of the next call."""
        left_s = self.deadline - asyncio.get_running_loop().time()
        return {**self.options, "timeout_s": max(left_s, 0.001)}

    def took(self, result: GenerationResult) -> GenerationResult | None:
        """The result of the job; None where the model has to be asked again. Raises `InvalidOutput`."""
        whole = result if self.first is None else together(self.first, result)
        if self.shape is None or result.tool_calls:
            return replace(whole, truncated=self.cuts)
        try:
            value = self.shape.value(result)
        except InvalidOutput as problem:
            if self.first is not None or not can_be_repaired(problem):
                problem.result = whole
                raise self._final(problem) from problem.__cause__
            self._ask_again(self.shape, result, problem)
            return None
        return replace(whole, object=value, truncated=self.cuts)

    def fits(self, result: GenerationResult) -> bool:
        """Whether an answer is worth keeping for others who ask the same."""
        if self.shape is None or result.tool_calls:
            return True
        try:
            self.shape.value(result)
        except InvalidOutput:
            return False
        return True

    def failed(self, error: AIError) -> None:
        """Turns to the schema in words where the provider refused it as such; raises otherwise."""
        if self.shape is not None and self.options.get("schema") is not None and is_about_schema(error):
            if self.name[0] not in VENDORS:  # theirs have the mode: it was this schema that they did not take
                self.words_only.add(self.name)
            self._use_words(self.shape)
            return
        if self.problem is not None:
            self.problem.details["repair_error"] = error.code
            raise self._final(self.problem) from error
        raise error

    def _use_words(self, shape: Shape) -> None:
        self.options = {**self.options, "schema": None, "system": in_words(shape.schema, self.options.get("system"))}

    def _ask_again(self, shape: Shape, result: GenerationResult, problem: InvalidOutput) -> None:
        """The same model, with its answer and what is wrong with it; under a key of its own, as it is another call."""
        self.first, self.problem = result, problem
        said = result.content[:LONGEST_QUOTE]
        again = [*([assistant(said)] if said.strip() else []), user(repair_request(problem, shape))]
        key = self.options.get("key")
        self.options = {
            **self.options,
            "messages": [*(self.options.get("messages") or ()), *again],
            "model": result.model,
            "provider": result.provider,
            "fallbacks": None,
            "key": None if key is None else repair_key(key),
        }

    def _final(self, problem: InvalidOutput) -> InvalidOutput:
        if self.first is not None:
            problem.details["repaired"] = True
        return problem


@dataclass(frozen=True, slots=True)
class Preparer:
    """Makes jobs. words_only: models that refused a schema, by provider and id; shared by all jobs."""

    settings: "Settings"
    files: FileSource | None
    words_only: set[tuple[str, str]]

    async def job(self, prompt: str | None, options: CallOptions, definition: ModelDefinition) -> Job:
        """Reads the files of a call, and cuts it where need be. Raises an `AIError`, or what reading a file does."""
        job = self.unread(options, definition)
        overflow = options.get("overflow")
        if overflow not in (None, *get_args(Overflow)):
            raise invalid("overflow", overflow, "`refuse` or `truncate`")
        if job.name in self.words_only:
            definition = replace(definition, schema=False)
        call = await self._call(prompt, options, job.shape, definition)
        call, job.cuts = await _fitted(call, definition, overflow, self.settings.ai_max_tokens_default)
        job.options = {**options, "schema": call.schema, "system": call.system, "messages": call.messages,
                       "attachments": None, "overflow": None}  # fmt: skip
        return job

    def unread(self, options: CallOptions, definition: ModelDefinition) -> Job:
        """The job as it is before a file of it is read: fit for an answer, not to be asked."""
        timeout_s = timeout_of(options, self.settings.ai_timeout_s)
        deadline = asyncio.get_running_loop().time() + timeout_s
        shape = shape_of(options["schema"]) if options.get("schema") is not None else None
        return Job(options, shape, (), deadline, (definition.provider, definition.model), self.words_only)

    async def call(self, prompt: str | None, options: CallOptions, definition: ModelDefinition) -> Call:
        """The call that the options describe, with its files read."""
        shape = shape_of(options["schema"]) if options.get("schema") is not None else None
        return await self._call(prompt, options, shape, definition)

    async def _call(
        self, prompt: str | None, options: CallOptions, shape: Shape | None, definition: ModelDefinition
    ) -> Call:
        given: CallOptions = {**options, "schema": None if shape is None else shape.schema}
        call = build_call(prompt, given, definition, stream=False)
        check_capabilities(call, definition)
        if not attachments_in(call.messages):
            return call
        timeout_s = timeout_of(options, self.settings.ai_timeout_s)
        reader = Reader(self.settings, self.files, options.get("context"), timeout_s=timeout_s)
        return replace(call, messages=await reader.resolved(call.messages))


async def _fitted(
    call: Call, definition: ModelDefinition, overflow: Overflow | None, default_room: int
) -> tuple[Call, tuple[Cut, ...]]:
    """Counting a long prompt takes a while: not on the loop."""
    room = room_for_answer(call, definition, default_room)
    if overflow == "truncate":
        return await asyncio.to_thread(truncated, call, definition, room)
    if overflow == "refuse":
        await asyncio.to_thread(refuse_overflow, call, definition, room)
    return call, ()


def together(first: GenerationResult, second: GenerationResult) -> GenerationResult:
    """The second answer, with what both have cost."""
    known = first.cost_nano_usd is not None and second.cost_nano_usd is not None
    cost = (first.cost_nano_usd or 0) + (second.cost_nano_usd or 0)
    return replace(
        second,
        usage=_sum(first.usage, second.usage),
        cost_nano_usd=cost if known else None,
        warnings=(*first.warnings, *second.warnings),
        attempts=(*first.attempts, *second.attempts),
        cached=first.cached and second.cached,
        saved_nano_usd=_saved(first, second),
        repaired=first.call,
    )


def _saved(first: GenerationResult, second: GenerationResult) -> int | None:
    saved = [each.saved_nano_usd for each in (first, second) if each.saved_nano_usd is not None]
    return sum(saved) if saved else None


def _sum(first: Usage, second: Usage) -> Usage:
    counts = [field.name for field in fields(Usage) if field.type is int or field.type == "int"]
    added = {name: getattr(first, name) + getattr(second, name) for name in counts}
    own = [usage.cost_nano_usd for usage in (first, second)]
    return replace(second, **added, cost_nano_usd=None if None in own else sum(each or 0 for each in own))


def _have_files(messages: Any) -> bool:
    return bool(messages) and any(
        any(isinstance(part, Attachment) for part in message.parts)
        if isinstance(message, Message)
        else isinstance(message, Mapping) and not isinstance(message.get("content"), str)
        for message in messages
    )
