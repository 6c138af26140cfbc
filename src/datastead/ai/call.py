"""The call path: hold, send, read, settle; again where that is safe. Every model call goes through here.

HTTP is done here once for all providers, on aiohttp, which is why nothing imports this module before the first call.
"""

import asyncio
import logging
import random
import urllib.request
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from dataclasses import replace
from io import BytesIO
from typing import Any

import aiohttp
import sqlalchemy as sa

from datastead.ai.attempts import Attempt, Plan, build_request, explained, new_id
from datastead.ai.budgets import Need
from datastead.ai.ledger import Answered, Doubtful, Elsewhere, Held, Hold, Ledger, Outcome, Settlement, Uncapped
from datastead.ai.observers import Observers
from datastead.ai.prices import bound_nano_usd
from datastead.ai.results import GenerationResult
from datastead.ai.streams import StreamState
from datastead.errors import AIError, CallInDoubt, DatasteadError, ProviderTimeout, ProviderUnavailable
from datastead.messages import StreamEvent

log = logging.getLogger(__name__)

RETRIES = 2
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0
CONNECT_TIMEOUT_S = 15.0
END_TIMEOUT_S = 1.0
LARGE_BODY_BYTES = 1 << 20
"""From here on a body is sent in pieces, so that it does not hold up the event loop."""

RENEW_EVERY_S = 10.0
KEEP_ALIVE_S = 4.0
"""Less than the 5 s of uvicorn, which many local servers run on: a POST on a connection that is just being closed can
not be told from one that was received."""

_BREAKS = (aiohttp.ClientError, TimeoutError, OSError)
_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)


class Caller:
    """Makes calls. One a process and loop: it has the connections to the providers."""

    def __init__(
        self, ledger: Ledger, *, record: bool, max_tokens_default: int, observers: Observers | None = None
    ) -> None:
        self._ledger = ledger
        self._observers = observers
        self._record = record
        self._max_tokens_default = max_tokens_default
        self._loop = asyncio.get_running_loop()
        self._open: set[str] = set()
        self._chat_only: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._renewal: asyncio.TimerHandle | None = None
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=bool(urllib.request.getproxies()),
            auto_decompress=True,
        )

    async def close(self) -> None:
        """Waits for what is being settled, and closes the connections."""
        if self._renewal is not None:
            self._renewal.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._session.close()

    async def generate(self, plan: Plan) -> GenerationResult:
        """A whole answer. Raises an `AIError`."""
        number = 0
        while True:
            number += 1
            attempt = await self._begin(plan, number)
            if isinstance(attempt, GenerationResult):
                return attempt
            try:
                return await self._whole(attempt)
            except AIError as error:
                if not await self._pause(attempt, number, error):
                    raise

    @staticmethod
    async def stream(
        begin: "Callable[[], Awaitable[tuple[Caller, Plan]]]", state: StreamState
    ) -> AsyncGenerator[StreamEvent, None]:
        """An answer as it comes. Left early, it stops the provider and settles what has arrived.

        One generator and no other around it: that is what makes leaving it reliable, and an event cheap.
        A stream that is tried again before its first token begins anew, with another `Started`.
        """
        self, plan = await begin()
        number = 0
        while True:
            number += 1
            attempt = await self._begin(plan, number)
            if isinstance(attempt, GenerationResult):
                state.result = attempt
                for event in attempt.events():
                    yield event
                return
            response: aiohttp.ClientResponse | None = None
            state.call = attempt.id
            try:
                response = await self._send(attempt)
                attempt.is_json = response.content_type == "application/json"
                while not attempt.at_end:
                    events = attempt.feed(await self._receive(response, attempt))
                    for event in events:
                        yield event
                    attempt.raise_problem()
                state.result = await self._finish(attempt)
            except (asyncio.CancelledError, GeneratorExit):
                await self._give_up(attempt, response)
                raise
            except (AIError, *_BREAKS) as problem:
                error = await self._fail(attempt, problem, response)
                if not await self._pause(attempt, number, error):
                    raise error from _cause(problem)
            else:
                await self._let_go(response)
                return

    async def _whole(self, attempt: Attempt) -> GenerationResult:
        try:
            async with await self._send(attempt) as response:
                attempt.read(await response.read())
            return await self._finish(attempt)
        except asyncio.CancelledError:
            await self._give_up(attempt, None)
            raise
        except (AIError, *_BREAKS) as problem:
            error = await self._fail(attempt, problem, None)
            raise error from _cause(problem)

    async def _begin(self, plan: Plan, number: int) -> Attempt | GenerationResult:
        """Holds the next attempt; or gives the answer that the key has already."""
        if plan.target.source.name in self._chat_only:
            self._use_chat_completions(plan)
        pause_s = 0.02
        while True:
            request = build_request(plan)
            attempt = Attempt(new_id(), plan, request)
            outcome = await self._hold(attempt, number)
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
                    pause_s = min(pause_s * 2, 1.0)
                    await self._wait_for_other(plan, pause_s)

    async def _hold(self, attempt: Attempt, number: int) -> Outcome:
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
            attempt=number,
            key=plan.key,
            purpose=plan.purpose,
            policy=plan.policy if number == 1 else None,
            prompt=attempt.request.body.decode() if self._record else None,
        )
        self._open.add(attempt.id)
        self._keep_renewing()
        try:
            outcome = await self._ledger.hold(hold)
        except BaseException as error:
            self._open.discard(attempt.id)
            if self._observers is not None and isinstance(error, AIError):
                self._observers.refused(plan, error)
            if isinstance(error, asyncio.CancelledError):
                self._in_background(self._ledger.withdraw(attempt.id))
            raise
        if outcome.__class__ is not Held:
            self._open.discard(attempt.id)
        return outcome

    def _reused(self, plan: Plan, result: GenerationResult) -> GenerationResult:
        if self._observers is not None:
            self._observers.reused(plan, result)
        return result

    def _cap(self, plan: Plan) -> None:
        """Limits the output of a call that a hard budget applies to and that does not limit it itself."""
        cap = min(self._max_tokens_default, plan.target.definition.limit.output)
        plan.call = replace(plan.call, max_tokens=cap)

    async def _wait_for_other(self, plan: Plan, pause_s: float) -> None:
        if self._loop.time() + pause_s > plan.deadline:
            raise CallInDoubt(f"A call for `{plan.key}` is under way elsewhere.", key=plan.key)
        await asyncio.sleep(pause_s)

    async def _send(self, attempt: Attempt) -> aiohttp.ClientResponse:
        """The provider's 2xx answer, its body still to come. Raises the error of any other."""
        request, left_s = attempt.request, attempt.plan.deadline - self._loop.time()
        if left_s <= 0:
            attempt.sent = False
            raise ProviderTimeout("The time for the call was over before it was sent.")
        response = await self._session.post(
            request.wire.url,
            data=request.body if len(request.body) < LARGE_BODY_BYTES else BytesIO(request.body),
            headers=request.wire.headers,
            allow_redirects=False,  # a redirect would carry the key elsewhere
            timeout=aiohttp.ClientTimeout(total=left_s, sock_connect=CONNECT_TIMEOUT_S),
        )
        if 200 <= response.status < 300:
            return response
        async with response:
            raise attempt.refusal(response.status, response.headers, await response.read())

    async def _receive(self, response: aiohttp.ClientResponse, attempt: Attempt) -> bytes:
        """The next piece of a stream; empty at its end. What breaks after the answer is complete does no harm."""
        try:
            return await response.content.readany()
        except _BREAKS:
            if attempt.collected.finished is None:
                raise
            return b""

    async def _let_go(self, response: aiohttp.ClientResponse) -> None:
        """Reads what little is left behind a stream that has said all, so that its connection can be used again."""
        try:
            if not response.content.at_eof():
                async with asyncio.timeout(END_TIMEOUT_S):
                    await response.read()
        except _BREAKS:
            response.close()
        finally:
            response.release()

    async def _finish(self, attempt: Attempt) -> GenerationResult:
        result = attempt.complete()
        await self._settle(attempt, attempt.settled(result, record=self._record))
        return result

    async def _fail(self, attempt: Attempt, problem: BaseException, response: aiohttp.ClientResponse | None) -> AIError:
        """The typed error of an attempt that failed, which is settled with that."""
        if response is not None:
            response.close()
        error = explained(self._typed(attempt, problem), attempt)
        broken = attempt.was_cut or not isinstance(problem, AIError)
        await self._settle(attempt, attempt.ended(error, broken=broken, record=self._record))
        return error

    async def _give_up(self, attempt: Attempt, response: aiohttp.ClientResponse | None) -> None:
        """The caller has gone: the provider is told by closing the connection, and what has arrived is settled."""
        if response is not None:
            response.close()
        if not attempt.is_closed:
            settlement = attempt.ended(None, broken=True, record=self._record)
            await asyncio.shield(self._in_background(self._settle(attempt, settlement)))

    def _typed(self, attempt: Attempt, problem: BaseException) -> AIError:
        if isinstance(problem, AIError):
            return problem
        target = attempt.plan.target
        attempt.sent = not isinstance(problem, _NEVER_SENT)
        if isinstance(problem, TimeoutError) and self._loop.time() >= attempt.plan.deadline:
            return ProviderTimeout(f"`{target.source.name}` did not answer in time.")
        if not attempt.sent:
            return ProviderUnavailable(f"`{target.source.name}` cannot be reached at `{target.host}`.")
        return ProviderUnavailable(f"The connection to `{target.source.name}` broke ({type(problem).__name__}).")

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

    async def _pause(self, attempt: Attempt, number: int, error: AIError) -> bool:
        """Waits until the call may be tried again; False where it may not, or has begun to answer."""
        plan = attempt.plan
        if error.details.get("route_not_found") and self._use_chat_completions(plan):
            return True
        if not error.retryable or number > RETRIES or not attempt.collected.is_empty:
            return False
        if error.details.get("in_doubt") and plan.policy == "reject":
            return False
        pause_s = error.retry_after_s
        if pause_s is None:
            pause_s = FIRST_PAUSE_S * 2 ** (number - 1) * random.uniform(0.5, 1)  # noqa: S311  no secret
        if pause_s > LONGEST_PAUSE_S or self._loop.time() + pause_s >= plan.deadline:
            return False
        await asyncio.sleep(pause_s)
        return True

    def _use_chat_completions(self, plan: Plan) -> bool:
        """For endpoints under OpenAI's name that have no Responses API; it is remembered."""
        target = plan.target
        if target.source.wire != "openai" or target.definition.api is not None:
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
