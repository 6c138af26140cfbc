"""A real server in front of the provider simulator, and OpenAI's own client."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import pytest
import sqlalchemy as sa

from datastead import Settings
from datastead.data import system
from datastead.testing import Simulator
from tests.api.conftest import Answer, Server, serving

TOKEN = "admin-token"
LOCAL = {"id": "local", "cost": {"input": 1, "output": 2}, "attachment": True, "reasoning": True}
WIRES = {
    "openai": "gpt-4.1",
    "openai-compatible": "local",
    "anthropic": "claude-haiku-4-5",
    "google": "gemini-2.5-flash",
}
"""A model of each wire format."""


@pytest.fixture(scope="session")
def running_simulator() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def simulator(running_simulator: Simulator) -> Simulator:
    running_simulator.reset()
    return running_simulator


def gateway_settings(simulator: Simulator, folder: Path, **own: Any) -> Settings:
    vendors = {
        f"ai_{name}_{setting}": value
        for name in ("openai", "anthropic", "google")
        for setting, value in (("enabled", True), ("api_key", "sk-upstream"), ("base_url", simulator.base_url(name)))
    }
    return Settings(
        **{
            **vendors,
            "ai_openai_compatible_enabled": True,
            "ai_openai_compatible_base_url": simulator.base_url("openai-compatible"),
            "ai_openai_compatible_models": [LOCAL, {"id": "unpriced"}],
            "database_url": f"sqlite:///{folder / 'gateway.db'}",
            "admin_token": TOKEN,
            "admin_password": "a-long-password",
            "secret": "s" * 40,
            "extensions_path": str(folder / "extensions"),
            "storage_options": {"local": {"root": str(folder / "uploads")}},
            **own,
        }
    )


@dataclass(frozen=True)
class Gateway:
    """A running server. url: of OpenAI's routes."""

    port: int
    settings: Settings
    clients: list[openai.OpenAI] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ai/v1"

    def client(self, token: str = TOKEN) -> openai.OpenAI:
        """The official client, closed when the test is over."""
        client = openai.OpenAI(base_url=self.url, api_key=token, max_retries=0, timeout=20)
        self.clients.append(client)
        return client

    def async_client(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=self.url, api_key=TOKEN, max_retries=0, timeout=20)

    def post(self, path: str, body: Any, token: str | None = TOKEN, **headers: str) -> Answer:
        return Server(self.port, token).send("POST", path, body, headers=headers)

    def get(self, path: str, token: str | None = TOKEN, **headers: str) -> Answer:
        return Server(self.port, token).send("GET", path, headers=headers)

    def rows(self, **where: Any) -> list[dict[str, Any]]:
        """The ledger, in the order in which its rows were written."""
        table = system.ai_calls
        query = sa.select(table).order_by(table.c.created_at, table.c.attempt)
        query = query.where(*(table.c[name] == value for name, value in where.items()))
        engine = sa.create_engine(self.settings.database)
        with engine.connect() as connection:
            found = [dict(row) for row in connection.execute(query).mappings()]
        engine.dispose()
        return found

    def row(self, call: str) -> dict[str, Any]:
        (row,) = self.rows(id=call)
        return row

    def budget(self, **values: Any) -> None:
        engine = sa.create_engine(self.settings.database)
        given = {"id": "0" * 35 + "1", "scope": "all", "window": "total", "hard": True, **values}
        with engine.begin() as connection:
            now = connection.execute(sa.select(system.users.c.last_access)).scalar() or _now()
            connection.execute(sa.insert(system.budgets).values(created_at=now, **given))
        engine.dispose()


def _now() -> Any:
    from datastead.context import system_clock

    return system_clock()


def until(what: Callable[[], Any], seconds: float = 10) -> Any:
    """What a condition gives, once it is true."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "It did not come true in time."
        time.sleep(0.01)
    return found


@pytest.fixture(scope="session")
def running_gateway(running_simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    settings = gateway_settings(running_simulator, tmp_path_factory.mktemp("gateway"))
    with serving(settings) as port:
        yield Gateway(port, settings)


@pytest.fixture
def gateway(running_gateway: Gateway, simulator: Simulator) -> Iterator[Gateway]:
    yield running_gateway
    while running_gateway.clients:
        running_gateway.clients.pop().close()


@pytest.fixture
def own_gateway(simulator: Simulator, tmp_path: Path) -> Iterator[Gateway]:
    """A server of its own, for budgets and limits, which are for all."""
    settings = gateway_settings(simulator, tmp_path)
    with serving(settings) as port:
        gateway = Gateway(port, settings)
        yield gateway
        while gateway.clients:
            gateway.clients.pop().close()


@pytest.fixture(params=list(WIRES))
def wire(request: pytest.FixtureRequest) -> str:
    """Each wire format behind the gateway."""
    return str(request.param)


REASONING = {
    "openai": "gpt-5",
    "openai-compatible": "local",
    "anthropic": "claude-sonnet-4-5",
    "google": "gemini-2.5-pro",
}
"""A model of each wire format that reasons."""

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A PNG of one pixel, as base64."""
