"""HTTP to the providers, once for all of them, on aiohttp: which is why nothing imports this before the first call."""

import asyncio
import urllib.request
from collections.abc import Awaitable
from functools import lru_cache
from io import BytesIO
from math import ceil

import aiohttp

from datastead.ai.attempts import Attempt
from datastead.ai.plans import Plan
from datastead.errors import AIError, ProviderTimeout, ProviderUnavailable

CONNECT_TIMEOUT_S = 15.0
END_TIMEOUT_S = 1.0
LARGE_BODY_BYTES = 1 << 20
"""From here on a body is sent in pieces, so that it does not hold up the event loop."""

KEEP_ALIVE_S = 4.0
"""Less than the 5 s of uvicorn, which many local servers run on: a POST on a connection that is just being closed can
not be told from one that was received."""

BREAKS = (aiohttp.ClientError, TimeoutError, OSError)
"""What a connection can end in."""

ROUNDED_FROM_S = 5.0
"""From here on aiohttp rounds a time up to a whole second of the loop's clock."""

_NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)


class Transport:
    """The connections of one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=bool(urllib.request.getproxies()),
            auto_decompress=True,
        )

    async def close(self) -> None:
        await self._session.close()

    def send(self, attempt: Attempt) -> Awaitable[aiohttp.ClientResponse]:
        """The provider's 2xx answer, its body still to come. Raises the error of any other."""
        plan = attempt.plan
        if plan.call.stream and plan.until < plan.deadline:
            return self._begun_in_time(attempt)
        return self._post(attempt, plan.until)

    async def _begun_in_time(self, attempt: Attempt) -> aiohttp.ClientResponse:
        """A stream that has to begin before the next model's turn, and may go on until the deadline."""
        async with asyncio.timeout_at(attempt.plan.until):
            return await self._post(attempt, attempt.plan.deadline)

    async def receive(self, response: aiohttp.ClientResponse, attempt: Attempt) -> bytes:
        """The next piece of a stream; empty at its end. What breaks after the answer is complete does no harm."""
        plan = attempt.plan
        try:
            if plan.until < plan.deadline and attempt.collected.is_empty:
                async with asyncio.timeout_at(plan.until):
                    return await response.content.readany()
            return await response.content.readany()
        except BREAKS:
            if attempt.collected.finished is None:
                raise
            return b""

    @staticmethod
    async def let_go(response: aiohttp.ClientResponse) -> None:
        """Reads what little is left behind a stream that has said all, so that its connection can be used again."""
        try:
            if not response.content.at_eof():
                async with asyncio.timeout(END_TIMEOUT_S):
                    await response.read()
        except BREAKS:
            response.close()
        finally:
            response.release()

    def typed(self, attempt: Attempt, problem: BaseException) -> AIError:
        """The error that a broken connection means; an `AIError` is itself."""
        if isinstance(problem, AIError):
            return problem
        target, plan = attempt.plan.target, attempt.plan
        attempt.sent = not isinstance(problem, _NEVER_SENT)
        if isinstance(problem, TimeoutError) and self._loop.time() >= plan.until:
            return late(plan, attempt.waited_s)
        if not attempt.sent:
            return ProviderUnavailable(f"`{target.source.name}` cannot be reached at `{target.host}`.")
        return ProviderUnavailable(f"The connection to `{target.source.name}` broke ({type(problem).__name__}).")

    async def _post(self, attempt: Attempt, until: float) -> aiohttp.ClientResponse:
        request, left_s = attempt.request, until - self._loop.time()
        if left_s <= 0:
            attempt.sent = False
            raise late(attempt.plan, attempt.waited_s)
        response = await self._session.post(
            request.wire.url,
            data=aiohttp.BytesPayload(request.body) if len(request.body) < LARGE_BODY_BYTES else BytesIO(request.body),
            headers=request.wire.headers,
            allow_redirects=False,  # a redirect would carry the key elsewhere
            timeout=_timeout(left_s if left_s < ROUNDED_FROM_S else ceil(left_s * 10) / 10),
        )
        attempt.request_id = attempt.plan.target.provider.request_id(response.headers)
        if 200 <= response.status < 300:
            return response
        async with response:
            raise attempt.refusal(response.status, response.headers, await response.read())


@lru_cache(maxsize=1024)
def _timeout(left_s: float) -> aiohttp.ClientTimeout:
    """Kept: to make one takes as long as to parse an answer."""
    return aiohttp.ClientTimeout(total=left_s, sock_connect=CONNECT_TIMEOUT_S)


def late(plan: Plan, waited_s: float) -> ProviderTimeout:
    """The error of an attempt whose time is over. waited_s: how long this one has taken."""
    return ProviderTimeout(
        f"`{plan.target.source.name}` did not answer within {waited_s:.3g} s (`timeout_s` is {plan.timeout_s:g}).",
        timeout_s=plan.timeout_s, waited_s=round(waited_s, 3),
    )  # fmt: skip
