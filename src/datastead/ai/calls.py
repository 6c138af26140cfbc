"""The calls of an `AI`: from what a caller says to the call path, and what is around it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Literal, Unpack

from datastead.ai.bounds import check_call
from datastead.ai.context_window import TokenCount, count
from datastead.ai.preparation import Job, needs_preparation
from datastead.ai.replays import may_be_replayed, replayed
from datastead.ai.requests import (
    LONGEST_KEY,
    LONGEST_PURPOSE,
    CallOptions,
    Fallback,
    build_call,
    cache_ttl_of,
    check_names,
    fallbacks_of,
    text_option,
    timeout_of,
    who_of,
)
from datastead.ai.results import GenerationResult
from datastead.ai.shelf import Shelf
from datastead.ai.streams import GenerationStream, StreamState
from datastead.errors import AIError, InvalidOutput, InvalidRequest, ProviderNotConfigured
from datastead.messages import Call, EmbeddingCall, StreamEvent

if TYPE_CHECKING:
    from datastead.ai.call import Caller
    from datastead.ai.embedding import EmbeddingResult, EmbedOptions
    from datastead.ai.plans import Plan, Target


class Calls(Shelf):
    """Whole answers, streams, values and vectors."""

    async def generate(self, prompt: str | None = None, **options: Unpack[CallOptions]) -> GenerationResult:
        """A model's whole answer. Raises an `AIError`, whose `code` says what went wrong."""
        check_names(options)
        caller = await self._started()
        if not needs_preparation(options):
            return await caller.generate(self._plan(prompt, options, stream=False))
        replay = await self._replayed(options)
        if replay is not None:
            return replay
        job = await self._prepared(prompt, options)
        while True:
            try:
                result = job.took(await caller.generate(self._plan(None, job.asked(), stream=False, fits=job.fits)))
            except InvalidOutput:
                raise
            except AIError as error:
                job.failed(error)
            else:
                if result is not None:
                    return result

    async def object(self, prompt: str | None = None, **options: Unpack[CallOptions]) -> GenerationResult:
        """A model's answer as a value that fits `schema`: in `result.object`. Raises `InvalidOutput` where it does not.

        schema: a JSON schema, or a pydantic model, of which the value is an instance then.
        """
        if options.get("schema") is None:
            raise TypeError("`schema` is missing: what shall the answer be?")
        return await self.generate(prompt, **options)

    async def count_tokens(self, prompt: str | None = None, **options: Unpack[CallOptions]) -> TokenCount:
        """How many tokens the call would have, before it is sent. Takes what `generate` takes."""
        check_names(options)
        definition = self._targets.find(options["model"], options.get("provider")).definition
        call = await self._preparer.call(prompt, options, definition)
        return await asyncio.to_thread(count, call, definition)

    def generate_stream(
        self, prompt: str | None = None, *, stream: Literal[True] = True, **options: Unpack[CallOptions]
    ) -> GenerationStream:
        """A model's answer as it comes: `async for event in ai.generate_stream(…): print(event.content, end="")`.

        stream: may be said, as in JavaScript; it is nothing else here.
        """
        from datastead.ai.call import Caller

        if stream is not True:
            raise InvalidRequest("`stream` is always true here: use `generate` for a whole answer.", parameter="stream")
        check_names(options)

        async def begin() -> "tuple[Caller, Plan]":
            return await self._started(), self._plan(prompt, options, stream=True)

        state = StreamState()
        if needs_preparation(options):
            return GenerationStream(self._prepared_stream(prompt, options, state), state)
        return GenerationStream(Caller.stream(begin, state), state)

    async def embed(self, inputs: str | Sequence[str], **options: "Unpack[EmbedOptions]") -> "EmbeddingResult":
        """One vector for each text. Many texts go in several requests, each of them a row of the ledger."""
        from datastead.ai.embedding import EMBED_NAMES, embedding_calls, joined

        check_names(options, EMBED_NAMES)
        caller = await self._started()
        target = self._targets.find(options["model"], options.get("provider"))
        assert self._loop is not None
        now = self._loop.time()
        done = []
        for call in embedding_calls(inputs, options, target):
            plan = self._embedding_plan(call, options, target, now)
            done.append((plan, await caller.generate(plan)))
        return joined(target, done)

    async def _prepared_stream(
        self, prompt: str | None, options: CallOptions, state: StreamState
    ) -> AsyncGenerator[StreamEvent, None]:
        """A stream with what is around it. Where an answer has to be mended, another follows, with a `Started`."""
        from datastead.ai.call import Caller

        caller = await self._started()
        state.result = await self._replayed(options)
        if state.result is not None:
            for event in state.result.events():
                yield event
            return
        job = await self._prepared(prompt, options)

        async def begin() -> "tuple[Caller, Plan]":
            return caller, self._plan(None, job.asked(), stream=True, fits=job.fits)

        while state.result is None:
            one = StreamState()
            try:
                async with aclosing(Caller.stream(begin, one)) as events:
                    async for event in events:
                        state.call = one.call
                        yield event
            except AIError as error:
                job.failed(error)
            else:
                assert one.result is not None
                state.result = job.took(one.result)

    async def _replayed(self, options: CallOptions) -> GenerationResult | None:
        """The answer of a call with files that its key has already."""
        if not may_be_replayed(options):
            return None
        target = self._targets.find(options["model"], options.get("provider"))
        ledger = await self._opened()
        result = await replayed(self._preparer.unread(options, target.definition), ledger.answer)
        if result is not None and self._observers is not None:
            self._observers.reused(target, result)
        return result

    async def _prepared(self, prompt: str | None, options: CallOptions) -> Job:
        target = self._targets.find(options["model"], options.get("provider"))
        return await self._preparer.job(prompt, options, target.definition)

    def _plan(
        self,
        prompt: str | None,
        options: CallOptions,
        *,
        stream: bool,
        fits: Callable[[GenerationResult], bool] | None = None,
    ) -> "Plan":
        from datastead.ai.plans import Caching, Plan

        def choose(target: "Target") -> Call:
            call = build_call(prompt, options, target.definition, stream=stream)
            check_call(call, target.definition)
            return call

        target = self._targets.find(options["model"], options.get("provider"))
        assert self._loop is not None
        now, timeout_s = self._loop.time(), timeout_of(options, self._settings.ai_timeout_s)
        context, ttl_s = options.get("context"), cache_ttl_of(options)
        fallbacks = fallbacks_of(options)
        plan = Plan(
            target=target,
            call=choose(target),
            who=who_of(context),
            deadline=now + timeout_s,
            timeout_s=timeout_s,
            policy=options.get("in_doubt") or self._settings.ai_in_doubt,
            key=text_option(options, "key", LONGEST_KEY),
            purpose=text_option(options, "purpose", LONGEST_PURPOSE),
            caching=None if ttl_s is None else Caching(ttl_s, context.actor.fingerprint if context else "", fits),
            choose=choose,
        )
        if fallbacks:
            self._add_fallbacks(plan, fallbacks)
        plan.turn(now)
        return plan

    def _embedding_plan(self, call: EmbeddingCall, options: "EmbedOptions", target: "Target", began: float) -> "Plan":
        from datastead.ai.embedding import as_call
        from datastead.ai.plans import Plan

        timeout_s = timeout_of(options, self._settings.ai_timeout_s)
        plan = Plan(
            target=target,
            call=as_call(call),
            who=who_of(options.get("context")),
            deadline=began + timeout_s,
            timeout_s=timeout_s,
            policy=self._settings.ai_in_doubt,
            purpose=text_option(options, "purpose", LONGEST_PURPOSE),
            embedding=call,
        )
        plan.turn(began)
        return plan

    def _add_fallbacks(self, plan: "Plan", fallbacks: tuple[Fallback, ...]) -> None:
        """Looks them up before anything is sent, so that a wrong name is not found out on the day it is needed."""
        found = []
        for fallback in fallbacks:
            try:
                found.append(self._targets.find(fallback.model, fallback.provider))
            except ProviderNotConfigured as error:
                plan.skip(fallback.provider or "", fallback.model, error)
        plan.fallbacks = tuple(found)
