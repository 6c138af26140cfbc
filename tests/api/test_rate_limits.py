"""How many requests an address, and all together, may send."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from datastead.api.rate_limits import RateLimits, _network
from datastead.settings import Settings

from .conftest import ADMIN_TOKEN, PASSWORD, Server, serving


def limited(folder: Path, **more: Any) -> Settings:
    return Settings(
        database_url=f"sqlite:///{folder / 'data.db'}", admin_token=ADMIN_TOKEN, admin_password=PASSWORD,
        secret="s" * 40, **more,
    )  # fmt: skip


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    own = {"rate_limiter_enabled": True, "rate_limiter_points": 4, "rate_limiter_duration": 600}
    with serving(limited(tmp_path, **own)) as port:
        yield Server(port)


def test_one_request_too_many_is_refused_and_told_when_to_come_again(server: Server) -> None:
    assert server.get("/server/info").data["rateLimit"] == {"points": 4, "duration": 600}
    assert [server.get("/server/ping").status for _ in range(3)] == [200] * 3
    for path in ("/server/ping", "/users/me", "/no/such/route"):
        answer = server.get(path)
        assert (answer.status, answer.code) == (429, "REQUESTS_EXCEEDED")
        assert 0 < int(answer.headers["retry-after"]) <= 600
        assert (answer.headers["x-ratelimit-limit"], answer.headers["x-ratelimit-remaining"]) == ("4", "0")
        assert answer.json["errors"][0]["extensions"]["limit"] == 4


async def answered(limits: RateLimits, address: str) -> bool:
    """Whether a request gets through."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await limits({"type": "http", "client": (address, 1)}, None, send)  # type: ignore[arg-type]  # nothing is received
    return not sent


async def nothing(*_: Any) -> None:
    pass


async def test_addresses_are_counted_apart_and_all_together() -> None:
    own = Settings(rate_limiter_enabled=True, rate_limiter_points=1, rate_limiter_duration=600)
    limits = RateLimits(nothing, own)
    asked = ("192.0.2.1", "192.0.2.2", "192.0.2.1", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1")
    assert [await answered(limits, address) for address in asked] == [True, True, False, True, False, True]
    together = Settings(
        rate_limiter_global_enabled=True, rate_limiter_global_points=2, rate_limiter_global_duration=600
    )
    limits = RateLimits(nothing, together)
    assert [await answered(limits, f"192.0.2.{number}") for number in range(3)] == [True, True, False]


async def test_the_count_begins_anew_when_the_window_is_over() -> None:
    own = Settings(rate_limiter_enabled=True, rate_limiter_points=1, rate_limiter_duration=1e-9)
    limits = RateLimits(nothing, own)
    assert [await answered(limits, "192.0.2.1") for _ in range(3)] == [True] * 3


@pytest.mark.parametrize(
    ("address", "counted"),
    [("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("fe80::1%eth0", "fe80::/64"), ("", ""),
     ("testclient", "testclient")],
)  # fmt: skip
def test_what_is_counted_as_one_address(address: str, counted: str) -> None:
    assert _network(address) == counted
