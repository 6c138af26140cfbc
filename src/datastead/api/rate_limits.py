"""`RateLimits`: how many requests one address, and all together, may send in a time. There only when it is switched on.
A message over a WebSocket counts as a request does.

Each process counts for itself, in a window that begins anew for everybody at once: a request costs two additions.
"""

import math
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from starlette.types import ASGIApp, Receive, Scope, Send

from datastead.api.answers import error_answer
from datastead.errors import RequestsExceeded
from datastead.settings import Settings

MAX_ADDRESSES = 100_000
"""In one window. More are counted together, as one."""

ALL = "all"
LIMIT = "datastead.rate_limit"
"""Where the scope of a WebSocket has what counts a message of it: `() -> RequestsExceeded | None`."""


class RateLimits:
    """Answers 429 in place of the app where there were too many requests."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._own = _Window(settings.rate_limiter_points, settings.rate_limiter_duration)
        self._global = _Window(settings.rate_limiter_global_points, settings.rate_limiter_global_duration)
        self._is_own = settings.rate_limiter_enabled
        self._is_global = settings.rate_limiter_global_enabled

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in {"http", "websocket"}:
            client = scope.get("client")
            address = client[0] if client else None
            window = self._exceeded(address)
            if window is not None:
                return await _refuse(window, scope, receive, send)
            if scope["type"] == "websocket":
                scope[LIMIT] = lambda: self._count(address)
        return await self._app(scope, receive, send)

    def _exceeded(self, address: str | None) -> "_Window | None":
        """Counts one more; the window in which that is too many."""
        now = time.monotonic()
        if self._is_own and address and self._own.is_exceeded(_network(address), now):
            return self._own
        return self._global if self._is_global and self._global.is_exceeded(ALL, now) else None

    def _count(self, address: str | None) -> RequestsExceeded | None:
        window = self._exceeded(address)
        return None if window is None else _error(window)


class _Window:
    """points: requests; duration_s: how long a window lasts."""

    def __init__(self, points: int, duration_s: float) -> None:
        self.points = points
        self._duration_s = duration_s
        self._ends = 0.0
        self._used: dict[str, int] = {}

    def is_exceeded(self, key: str, now: float) -> bool:
        """Counts one more; whether that is too many."""
        if now >= self._ends:
            self._used.clear()
            self._ends = now + self._duration_s
        used = self._used.get(key, 0) + 1
        if used == 1 and len(self._used) >= MAX_ADDRESSES:
            key, used = ALL, self._used.get(ALL, 0) + 1
        self._used[key] = used
        return used > self.points

    def left_s(self, now: float) -> float:
        return max(self._ends - now, 0.0)


@lru_cache(maxsize=4096)
def _network(address: str) -> str:
    """What is counted as one: an IPv4 address; of IPv6 the network of 64 bits that one customer has."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(ip_network((parsed, 64), strict=False))
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


def _error(window: _Window) -> RequestsExceeded:
    left_s = max(1, math.ceil(window.left_s(time.monotonic())))
    reset = (datetime.now(UTC) + timedelta(seconds=left_s)).isoformat(timespec="seconds").replace("+00:00", "Z")
    return RequestsExceeded(limit=window.points, reset=reset, retry_after_s=left_s)


async def _refuse(window: _Window, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1013, "reason": "REQUESTS_EXCEEDED"})
        return
    error = _error(window)
    answer = error_answer(error)
    told = {"limit": window.points, "remaining": 0, "reset": error.retry_after_s}
    answer.raw_headers += [(f"x-ratelimit-{name}".encode(), str(value).encode()) for name, value in told.items()]
    await answer(scope, receive, send)
