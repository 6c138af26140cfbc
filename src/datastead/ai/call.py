"""The call path: hold, send, read, settle; again, or elsewhere, where that is safe. Every model call goes here."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any, NoReturn

import aiohttp
import sqlalchemy as sa

from datastead.ai.attempts import Attempt, explained, new_id
from datastead.ai.breaker import Breakers
from datastead.ai.budgets import Need
from datastead.ai.cache import ResponseCache
from datastead.ai.entries import Answered, Doubtful, Elsewhere, Held, Hold, Outcome, Settlement, Uncapped
from datastead.ai.fallback import fall_back, pass_over, pause_s, told
from datastead.ai.ledger import Ledger
from datastead.ai.observers import Observers
from datastead.ai.plans import Plan, build_request
from datastead.ai.prices import bound_nano_usd
from datastead.ai.results import GenerationResult
from datastead.ai.streams import StreamState
from datastead.ai.transport import BREAKS, Transport
from datastead.errors import AIError, CallInDoubt, DatasteadError, ProviderTimeout, ProviderUnavailable
from datastead.messages import StreamEvent

log = logging.getLogger(__name__)

RENEW_EVERY_S = 10.0


class Caller:
    """Makes calls. One a process and loop: it has the connections to the providers."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        cache: ResponseCache,
        breakers: Breakers,
        record: bool,
        max_tokens_default: int,
        observers: Observers | None = None,
    ) -> None:
        self._ledger = ledger
        self._cache = cache
        self._breakers = breakers
        self._observers = observers
        self._record = record
        self._max_tokens_default = max_tokens_default
        self._loop = asyncio.get_running_loop()
        self._open: set[str] = set()
        self._chat_only: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._renewal: asyncio.TimerHandle | None = None
        self._transport = Transport()

    async def close(self) -> None:
        """Waits for what is being settled, and closes the connections."""
        if self._renewal is not None:
            self._renewal.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._transport.close()

    async def generate(self, plan: Plan) -> GenerationResult:
        """A whole answer. Raises an `AIError`."""
        while True:
            attempt = await self._begin(plan)
            if isinstance(attempt, GenerationResult):
                return attempt
            try:
                return await self._whole(attempt)
            except AIError as error:
                if not await self._again(attempt, error):
                    _raise(plan, error)

    @staticmethod
    async def stream(
        begin: "Callable[[], Awaitable[tuple[Caller, Plan]]]", state: StreamState
    ) -> AsyncGenerator[StreamEvent, None]:
        """An answer as it comes. Left early, it stops the provider and settles what has arrived.

        One generator and no other around it: that is what makes leaving it reliable, and an event cheap.
        A stream that is tried again before its first token begins anew, with another `Started`.
        """
        self, plan = await begin()
        while True:
            attempt = await self._begin(plan)
            if isinstance(attempt, GenerationResult):
                state.result = attempt
                for event in attempt.events():
                    yield event
                return
            response: aiohttp.ClientResponse | None = None
            state.call = attempt.id
            try:
                response = await self._transport.send(attempt)
                self._breakers.answered(plan.target.endpoint)
                attempt.is_json = response.content_type == "application/json"
                while not attempt.at_end:
                    events = attempt.feed(await self._transport.receive(response, attempt))
                    for event in events:
                        yield event
                    attempt.raise_problem()
                state.result = await self._finish(attempt)
            except (AIError, *BREAKS) as problem:
                error = await self._fail(attempt, problem, response)
                if not await self._again(attempt, error):
                    _raise(plan, error)
            except (asyncio.CancelledError, GeneratorExit, Exception) as end:
                await self._give_up(attempt, response, end)
                raise
            else:
                await self._transport.let_go(response)
                return

    async def _whole(self, attempt: Attempt) -> GenerationResult:
        try:
            response = await self._transport.send(attempt)
            attempt.read(await response.read())  # which lets go of the connection, or closes it
            return await self._finish(attempt)
        except (AIError, *BREAKS) as problem:
            error = await self._fail(attempt, problem, None)
            raise error from error.__cause__
        except (asyncio.CancelledError, Exception) as end:
            await self._give_up(attempt, None, end)
            raise

    async def _begin(self, plan: Plan) -> Attempt | GenerationResult:
        """Holds the next attempt; or gives the answer that the key or the cache has already."""
        while True:
            wait_s = self._breakers.wait_s(plan.target.endpoint)
            if wait_s is not None:
                self._leave_alone(plan, wait_s)
                continue
            if plan.target.source.name in self._chat_only:
                self._use_chat_completions(plan)
            try:
                kept = await self._kept(plan) if plan.caching is not None and not plan.tries else None
                return await self._held(plan) if kept is None else kept
            except AIError as refusal:
                if isinstance(refusal, CallInDoubt) or not pass_over(plan, refusal, self._loop.time()):
                    _raise(plan, refusal)

    def _leave_alone(self, plan: Plan, wait_s: float) -> None:
        """Turns from an endpoint whose breaker is open to the next fallback. Raises where there is none."""
        source, model = plan.target.source.name, plan.target.definition.model
        error = ProviderUnavailable(
            f"`{source}` has failed {self._breakers.failures} times in a row, and is left alone for {wait_s:.0f} s.",
            retry_after_s=wait_s, provider=source, model=model, breaker="open",
        )  # fmt: skip
        plan.note(error.code, None)
        if not fall_back(plan, error, self._loop.time()):
            _raise(plan, error)

    async def _kept(self, plan: Plan) -> GenerationResult | None:
        found = await self._cache.find(plan)
        return None if found is None else self._reused(plan, found)

    async def _held(self, plan: Plan) -> Attempt | GenerationResult:
        plan.number += 1
        plan.tries += 1
        wait_s = 0.02
        while True:
            attempt = Attempt(new_id(), plan, build_request(plan))
            outcome = await self._hold(attempt)
            if isinstance(outcome, Held):
                attempt.warnings = outcome.warnings
                if self._observers is not None:
                    self._observers.begun(attempt)
                return attempt
            match outcome:
                case Answered(answer):
                    return self._reused(plan, GenerationResult.from_answer(answer))
                case Uncapped():
                    self._cap(plan)
                case Doubtful(error):
                    raise error
                case Elsewhere():
                    wait_s = min(wait_s * 2, 1.0)
                    await self._wait_for_other(plan, wait_s)

    async def _hold(self, attempt: Attempt) -> Outcome:
        plan, bounds = attempt.plan, attempt.request.bounds
        definition, price = plan.target.definition, plan.target.price
        scopes = {**plan.who, "model": definition.model, "provider": plan.target.source.name, "purpose": plan.purpose}
        bound = bound_nano_usd(price, bounds.input, bounds.output, plain=bounds.plain, tier=plan.call.service_tier)
        hold = Hold(
            id=attempt.id,
            provider=plan.target.source.name,
            model=definition.model,
            who=plan.who,
            need=Need(bound, bounds.total, scopes, bounds.capped),
            price_state=price.state,
            price=price.label,
            attempt=plan.number,
            key=plan.key,
            purpose=plan.purpose,
            kind="generate" if plan.embedding is None else "embed",
            policy=plan.policy if plan.number == 1 else None,
            prompt=attempt.request.body.decode() if self._record else None,
        )
        self._open.add(attempt.id)
        self._keep_renewing()
        try:
            outcome = await self._ledger.hold(hold, plan.until)
        except BaseException as error:
            self._open.discard(attempt.id)
            if self._observers is not None and isinstance(error, AIError):
                self._observers.refused(plan, error)
            if isinstance(error, asyncio.CancelledError | TimeoutError):
                self._in_background(self._ledger.withdraw(attempt.id))
            if isinstance(error, TimeoutError):
                raise ProviderTimeout(
                    f"The ledger did not take the call within {attempt.waited_s:.3g} s.", timeout_s=plan.timeout_s
                ) from error
            raise
        if outcome.__class__ is not Held:
            self._open.discard(attempt.id)
        return outcome

    def _reused(self, plan: Plan, result: GenerationResult) -> GenerationResult:
        if self._observers is not None:
            self._observers.reused(plan.target, result)
        return result

    def _cap(self, plan: Plan) -> None:
        """Limits the output of a call that a hard budget applies to and that does not limit it itself."""
        cap = min(self._max_tokens_default, plan.target.definition.limit.output)
        plan.call = replace(plan.call, max_tokens=cap)

    async def _wait_for_other(self, plan: Plan, wait_s: float) -> None:
        if self._loop.time() + wait_s > plan.deadline:
            raise CallInDoubt(f"A call for `{plan.key}` is under way elsewhere.", key=plan.key)
        await asyncio.sleep(wait_s)

    async def _finish(self, attempt: Attempt) -> GenerationResult:
        result = attempt.complete()
        self._breakers.succeeded(attempt.plan.target.endpoint)
        await self._settle(attempt, attempt.settled(result, record=self._record))
        if attempt.plan.cache_key is not None:
            await self._cache.keep(attempt.plan, result)
        return result

    async def _fail(self, attempt: Attempt, problem: BaseException, response: aiohttp.ClientResponse | None) -> AIError:
        """The typed error of an attempt that failed, which is settled with that."""
        if response is not None:
            response.close()
        error = explained(self._transport.typed(attempt, problem), attempt)
        error.__cause__ = _cause(problem)
        attempt.plan.note(error.code, attempt.id)
        self._breakers.failed(attempt.plan.target.endpoint, error, attempt.waited_s)
        broken = attempt.was_cut or not isinstance(problem, AIError)
        await self._settle(attempt, attempt.ended(error, broken=broken, record=self._record))
        return error

    async def _give_up(self, attempt: Attempt, response: aiohttp.ClientResponse | None, end: BaseException) -> None:
        """The caller has gone, or a bug ends the attempt: the connection is closed, and what has arrived is settled."""
        if response is not None:
            response.close()
        if not attempt.is_closed:
            bug = end if isinstance(end, Exception) else None
            settlement = attempt.ended(bug, broken=True, record=self._record)
            await asyncio.shield(self._in_background(self._settle(attempt, settlement)))

    async def _settle(self, attempt: Attempt, settlement: Settlement) -> None:
        """Writes the settlement, also when the caller goes meanwhile. A ledger that fails does not fail the answer."""
        if self._observers is not None and not attempt.is_closed:
            self._observers.ended(attempt, settlement)
        attempt.is_closed = True
        try:
            await self._ledger.settle(settlement)
        except asyncio.CancelledError:
            self._in_background(self._settle(attempt, settlement))
            raise
        except (sa.exc.SQLAlchemyError, DatasteadError):
            log.exception("Call %s could not be settled: it stays held, and becomes in doubt.", attempt.id)
        finally:
            self._open.discard(attempt.id)

    async def _again(self, attempt: Attempt, error: AIError) -> bool:
        """Whether there is something more to try, after waiting for it: the same model again, or the next one."""
        plan = attempt.plan
        if error.details.get("route_not_found") and self._use_chat_completions(plan):
            return True
        if not attempt.collected.is_empty or (error.details.get("in_doubt") and plan.policy == "reject"):
            return False
        wait_s = pause_s(plan, error, self._loop.time())
        if wait_s is None or self._breakers.is_open(plan.target.endpoint):
            return fall_back(plan, error, self._loop.time())
        await asyncio.sleep(wait_s)
        return True

    def _use_chat_completions(self, plan: Plan) -> bool:
        """For endpoints under OpenAI's name that have no Responses API; it is remembered."""
        target = plan.target
        if target.source.wire != "openai" or target.definition.api is not None or plan.embedding is not None:
            return False
        self._chat_only.add(target.source.name)
        plan.target = replace(target, definition=replace(target.definition, api="chat-completions"))
        return True

    def _in_background(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _keep_renewing(self) -> None:
        if self._renewal is None:
            self._renewal = self._loop.call_later(RENEW_EVERY_S, self._renew)

    def _renew(self) -> None:
        self._renewal = None
        if self._open:
            self._in_background(self._ledger.renew(tuple(self._open)))
            self._keep_renewing()


def _cause(problem: BaseException) -> BaseException | None:
    """What a trace may show: no answer that cannot be read, which quotes the provider and holds the request's keys."""
    return None if isinstance(problem, AIError | aiohttp.ClientResponseError) else problem


def _raise(plan: Plan, error: AIError) -> NoReturn:
    """Raises what the whole call ends in."""
    final = told(plan, error)
    if final is error:
        raise error
    raise final from error
